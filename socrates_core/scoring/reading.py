"""Who reads answer trees: the protocol between what must be read and the model that reads it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from socrates_core.scoring.plan import Item
from socrates_core.scoring.tree import NodeReadings


class TreeReader(Protocol):
    """Reads what a model predicts at the inner nodes of answer trees.

    It knows token ids only. What the ids mean, and what distribution the readings make, is known to those who call it.
    """

    def read(self, items: Sequence[Item]) -> Iterator[dict[int, NodeReadings]]:
        """Yields the readings of each batch as it finishes, by place in `items`, each place once.

        The reader chooses what it reads together and in which order. The caller may stop at any time; readings that
        were yielded stay valid.
        """
        ...
