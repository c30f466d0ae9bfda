"""Which studies are about the same as a draft."""

from collections.abc import Sequence

from socrates_core.corpus.near import Near, near_text
from socrates_core.surveys.draft import Draft


def near_draft(draft: Draft, corpora: Sequence[str], most: int = 10) -> list[Near]:
    """The studies most like what a draft says and asks."""
    told = [
        draft.title,
        *(each.text for each in draft.conditions),
        *(each.question for each in draft.outcomes),
    ]
    return near_text(" ".join(told), corpora, most)
