"""Finds the studies that are about the same as a draft."""

from collections.abc import Sequence

from socrates_core.corpus.near import Near, near_text
from socrates_core.surveys.draft import Draft


def near_draft(draft: Draft, corpora: Sequence[str], most: int = 10) -> list[Near]:
    """The studies most like a draft's title, conditions and questions, best first."""
    texts = [
        draft.title,
        *(condition.text for condition in draft.conditions),
        *(outcome.question for outcome in draft.outcomes),
    ]
    return near_text(" ".join(texts), corpora, most)
