"""Full-text search over titles, conditions and questions, with a small index in memory.

DuckDB's full-text search would have to download an extension. The 210 studies of SocSci210 take about a second to read
and some milliseconds to search.
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
ROOM = 90  # characters of a passage that are shown on each side of a hit


@dataclass(frozen=True)
class SearchHit:
    """A study that holds every word of a search: how well it fits, and its best passage with the passage's place."""

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


def search(words: str, corpora: Sequence[str]) -> list[SearchHit]:
    """The studies that hold every word, best first; a word also finds longer words that begin with it.

    "Several words" in quotes are one. Case and accents make no difference. Rare words in a title count for more than
    common words in texts. No words find nothing.
    """
    terms = _terms(words)
    if not terms:
        return []
    indexes: Index = {}
    for name in corpora:
        corpus = open_corpus(name)
        indexes |= read_passages(corpus)
    patterns = [re.compile(r"(?<!\w)" + re.escape(term)) for term in terms]
    hits = {key: _hits(passages, patterns, terms) for key, passages in indexes.items()}
    rarity = [
        math.log(1 + len(hits) / max(sum(bool(by_term[at]) for by_term in hits.values()), 1))
        for at in range(len(terms))
    ]
    studies = [_best(key, by_term, rarity, terms) for key, by_term in hits.items() if all(by_term)]
    return sorted(studies, key=lambda hit: (-hit.score, hit.corpus, hit.study_id))


def _terms(words: str) -> list[str]:
    """The words and quoted phrases of a search, folded."""
    return [
        fold(phrase or word) for phrase, word in re.findall(r'"([^"]+)"|(\S+)', words) if fold(phrase or word)
    ]


def _hits(
    passages: Sequence[Passage], patterns: Sequence[re.Pattern[str]], terms: Sequence[str]
) -> list[list[Passage]]:
    """For each term the passages that hold it."""
    return [
        [passage for passage in passages if term in passage.folded and pattern.search(passage.folded)]
        for term, pattern in zip(terms, patterns, strict=True)
    ]


def _best(
    key: tuple[str, str], hits: list[list[Passage]], rarity: list[float], terms: list[str]
) -> SearchHit:
    scores: dict[int, float] = {}
    held: dict[int, Passage] = {}
    for weight, passages in zip(rarity, hits, strict=True):
        for passage in passages:
            held[id(passage)] = passage
            scores[id(passage)] = scores.get(id(passage), 0.0) + weight * WEIGHTS[passage.place]
    top = max(scores, key=scores.__getitem__)
    whole = sum(
        weight * max(WEIGHTS[passage.place] for passage in passages)
        for weight, passages in zip(rarity, hits, strict=True)
    )
    return SearchHit(*key, whole + 0.1 * scores[top], held[top].place, _around(held[top], terms))


def _around(passage: Passage, terms: list[str]) -> str:
    """The passage; of a long one, the part around the first term."""
    text = " ".join(passage.text.split())
    if len(text) <= 2 * ROOM:
        return text
    at = min(place for term in terms if (place := passage.folded.find(term)) >= 0)
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
    texts = [
        (row["study_id"], place, str(row[place]))
        for row in corpus.studies().to_dict("records")
        for place in ("title", "topic", "source", "study_id")
    ]
    texts += corpus.passages()
    grouped: dict[tuple[str, str], dict[tuple[str, str], Passage]] = {}
    for study_id, place, text in texts:
        if text:
            grouped.setdefault((name, study_id), {})[place, text] = Passage(place, text, fold(text))
    return {key: tuple(passages.values()) for key, passages in grouped.items()}
