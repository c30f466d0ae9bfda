"""The plan of a job: which prompts run together, and how each prompt and its answer tree lie in one row of tokens.

Token ids in, arrays out; no model. A row is a tree of tokens laid out depth first, so one number per token
(where its descendants end) says who may attend to whom. A prompt alone is the simplest such tree. Prompts that
share a beginning can become branches of one row in the same way; for now every prompt has its own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socrates_core.scoring.tree import AnswerTree, Ints

MAX_READS = 1024  # next-token distributions held at once: 0.5 GB at a vocabulary of 128,000


@dataclass(frozen=True, eq=False)
class Item:
    """One distinct prompt with its answer tree, and the positions of the questions that it answers."""

    prompt: NDArray[np.int32]
    tree: AnswerTree
    positions: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """The length of its row when the tree's inner nodes are packed behind the prompt."""
        return len(self.prompt) + len(self.tree.inner) - 1


@dataclass(frozen=True, eq=False)
class Layout:
    """The rows of one batch, padded on the right to [R, L].

    `depth` is every token's position in its own path, `end` the column where its descendants end: column j may
    look at column i where i <= j < end[i]. `branched` says whether any row is more than a chain. The inner nodes
    of all items, in order, are read at (`read_row`, `read_column`) [N].
    """

    tokens: Ints
    depth: Ints
    end: Ints
    branched: bool
    read_row: Ints
    read_column: Ints


@dataclass(frozen=True, eq=False)
class _Row:
    tokens: Ints
    depth: Ints
    end: Ints
    reads: Ints


def merge_identical(prompts: Iterable[NDArray[np.int32]], trees: Iterable[AnswerTree]) -> list[Item]:
    """One item for all questions that share both prompt and tree (the same object), in order of first sight."""
    found: dict[tuple[bytes, int], tuple[NDArray[np.int32], AnswerTree, list[int]]] = {}
    for position, (prompt, tree) in enumerate(zip(prompts, trees, strict=True)):
        found.setdefault((prompt.tobytes(), id(tree)), (prompt, tree, []))[2].append(position)
    return [Item(prompt, tree, tuple(positions)) for prompt, tree, positions in found.values()]


def plan_batches(items: Sequence[Item], *, token_budget: int) -> list[list[Item]]:
    """Batches of similar length, longest first, each within `token_budget` padded tokens or of one item."""
    batches: list[list[Item]] = []
    reads = 0
    for item in sorted(items, key=lambda item: -item.n_tokens):
        reads += len(item.tree.inner)
        full = not batches or (len(batches[-1]) + 1) * batches[-1][0].n_tokens > token_budget
        if full or reads > MAX_READS:
            batches.append([])
            reads = len(item.tree.inner)
        batches[-1].append(item)
    return batches


def lay_out(items: Sequence[Item], *, packed: bool) -> Layout:
    """The rows of `items`: one each where `packed`, else a plain chain for every inner node of every tree.

    Chains are for models that do not take a tree's attention mask; they repeat the prompt for each node.
    """
    rows = [row for item in items for row in ([_packed_row(item)] if packed else _chains(item))]
    width = max(len(row.tokens) for row in rows)
    tokens, depth = (np.zeros((len(rows), width), dtype=np.int64) for _ in range(2))
    end = np.broadcast_to(np.arange(1, width + 1), tokens.shape).copy()
    for index, row in enumerate(rows):
        length = len(row.tokens)
        tokens[index, :length] = row.tokens
        depth[index, :length] = row.depth
        end[index, :length] = row.end
    return Layout(
        tokens, depth, end,
        branched=any(len(row.reads) > 1 for row in rows),
        read_row=np.repeat(np.arange(len(rows)), [len(row.reads) for row in rows]),
        read_column=np.concatenate([row.reads for row in rows]),
    )  # fmt: skip


def _packed_row(item: Item) -> _Row:
    """The prompt, then the tree's inner nodes but the root, each a token that sees the prompt and its ancestors."""
    tree, inner = item.tree, item.tree.inner
    last = len(item.prompt) - 1
    length = item.n_tokens
    return _Row(
        tokens=np.concatenate([item.prompt, tree.token[inner[1:]]]),
        depth=np.concatenate([np.arange(last + 1), last + tree.depth[inner[1:]]]),
        end=np.concatenate([np.full(last + 1, length), last + tree.inner_end[1:]]),
        reads=last + np.arange(len(inner)),
    )


def _chains(item: Item) -> list[_Row]:
    rows = []
    for node in item.tree.inner:
        tokens = np.concatenate([item.prompt, np.array(item.tree.path(int(node)), dtype=np.int64)])
        length = len(tokens)
        rows.append(_Row(tokens, np.arange(length), np.full(length, length), np.array([length - 1])))
    return rows
