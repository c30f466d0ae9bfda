"""Full-text search over titles, conditions and questions: a small index in memory, no extension to download.

The 210 studies of a full SocSci210 take about a second to read and some milliseconds to search.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.corpus.text_vectors import fold

WEIGHTS = {
    "study_id": 9.0,
    "title": 8.0,
    "topic": 4.0,
    "source": 3.0,
    "outcome": 3.0,
    "condition": 2.0,
    "question": 2.0,
    "text": 1.0,
}
ROOM = 90  # characters of a passage that are shown around what was found


@dataclass(frozen=True)
class Found:
    """A study that holds every word of a search: how well it fits, and the passage that fits best with its place."""

    corpus: str
    study_id: str
    score: float
    place: str
    passage: str


@dataclass(frozen=True)
class Passage:
    """A text of a study with its place in it; `folded` is what is searched."""

    place: str
    text: str
    folded: str


Index = dict[tuple[str, str], tuple[Passage, ...]]


def search(words: str, corpora: Sequence[str]) -> list[Found]:
    """The studies that hold every word, the best first; a word also finds longer ones that it begins.

    "Several words" in quotes are one. Upper case and accents make no difference. A study counts for more where
    rare words stand in its title than where common ones stand in its texts. Nothing is found without words.
    """
    asked = _asked(words)
    if not asked:
        return []
    indexes: Index = {}
    for name in corpora:
        corpus = open_corpus(name)
        indexes |= read_passages(corpus)
    patterns = [re.compile(r"(?<!\w)" + re.escape(word)) for word in asked]
    hits = {key: _hits(passages, patterns, asked) for key, passages in indexes.items()}
    rarity = [
        math.log(1 + len(hits) / max(sum(bool(found[at]) for found in hits.values()), 1))
        for at in range(len(asked))
    ]
    found = [_best(key, each, rarity, asked) for key, each in hits.items() if all(each)]
    return sorted(found, key=lambda each: (-each.score, each.corpus, each.study_id))


def _asked(words: str) -> list[str]:
    """The words and quoted phrases of a search, folded."""
    return [
        fold(phrase or word) for phrase, word in re.findall(r'"([^"]+)"|(\S+)', words) if fold(phrase or word)
    ]


def _hits(
    passages: Sequence[Passage], patterns: Sequence[re.Pattern[str]], asked: Sequence[str]
) -> list[list[Passage]]:
    """For each word the passages that hold it."""
    return [
        [each for each in passages if word in each.folded and pattern.search(each.folded)]
        for word, pattern in zip(asked, patterns, strict=True)
    ]


def _best(key: tuple[str, str], hits: list[list[Passage]], rarity: list[float], asked: list[str]) -> Found:
    scores: dict[int, float] = {}
    held: dict[int, Passage] = {}
    for weight, passages in zip(rarity, hits, strict=True):
        for passage in passages:
            held[id(passage)] = passage
            scores[id(passage)] = scores.get(id(passage), 0.0) + weight * WEIGHTS[passage.place]
    top = max(scores, key=scores.__getitem__)
    whole = sum(
        rare * max(WEIGHTS[each.place] for each in found) for rare, found in zip(rarity, hits, strict=True)
    )
    return Found(*key, whole + 0.1 * scores[top], held[top].place, _around(held[top], asked))


def _around(passage: Passage, asked: list[str]) -> str:
    """The passage, or where it is long the part around the first word found."""
    text = " ".join(passage.text.split())
    if len(text) <= 2 * ROOM:
        return text
    at = min(place for word in asked if (place := passage.folded.find(word)) >= 0)
    start = max(at - ROOM // 2, 0)
    start = text.rfind(" ", 0, start) + 1 if start else 0
    cut = text[start : start + 2 * ROOM].rsplit(" ", 1)[0]
    return ("… " if start else "") + cut + (" …" if start + 2 * ROOM < len(text) else "")


def read_passages(corpus: Corpus) -> Index:
    """The corpus' passages by study, read once for each state of its files."""
    return _read(corpus.name, json.dumps(corpus.manifest["sha256"], sort_keys=True))


@lru_cache(maxsize=16)
def _read(name: str, digests: str) -> Index:
    corpus = open_corpus(name)
    told = [
        (row["study_id"], place, str(row[place]))
        for row in corpus.studies().to_dict("records")
        for place in ("title", "topic", "source", "study_id")
    ]
    told += corpus.passages()
    grouped: dict[tuple[str, str], dict[tuple[str, str], Passage]] = {}
    for study_id, place, text in told:
        if text:
            grouped.setdefault((name, study_id), {})[place, text] = Passage(place, text, fold(text))
    return {key: tuple(passages.values()) for key, passages in grouped.items()}
