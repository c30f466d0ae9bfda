"""Ranked search over titles, conditions and questions, for words and for whole questions, with an index in memory.

A study is ranked by BM25 over fields (Robertson and Zaragoza 2009, The probabilistic relevance framework, section
3.6). A word also finds its other forms and, at a lower weight, its synonyms and longer words that begin with it.
DuckDB's full-text search would have to download an extension.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import numpy as np

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.corpus.text_vectors import SILENT, fold
from socrates_core.corpus.word_forms import stem, synonyms
from socrates_core.records import Floats

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
# What counts how much: a form of a word, a word of nearly the same spelling (only for words that no study has), a
# longer word that begins with it, another word for the same.
FORM = 1.0
SPELLED = 0.7
BEGINS = 0.6
SYNONYM = 0.5
FURTHER = 0.25  # what more of the same counts
SATURATION = 3.0  # k1: how soon more of the same word stops to count
LENGTH = 0.6  # b: how much long studies are held back
LEAST = 0.2  # of the best study's score, for a study to be listed
# Words of questions that name no topic; the index has them all the same.
_ASKING = """
people person someone anyone study experiment research survey answer answers measure affect effect cause change differ
different differently
"""
ASKING = SILENT | set(_ASKING.split())
ROOM = 90  # characters of a passage that are shown on each side of a hit

Key = tuple[str, str]  # corpus and study_id


@dataclass(frozen=True)
class SearchHit:
    """A study that fits a search: how well, against the best one's 1, and its best passage with the passage's place."""

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


@dataclass(frozen=True)
class WordIndex:
    """Where each of `words` occurs: `in_studies`, sparse [n_studies, n_words], and `in_passages` [n_passages, n_words].

    `in_studies` are frequencies, weighted by place and less where a study says much; `in_passages` are ones.
    `study_of` [n_passages] is the place of a passage's study in `keys`.
    """

    keys: tuple[Key, ...]
    passages: tuple[Passage, ...]
    study_of: Any
    in_studies: Any
    in_passages: Any
    words: tuple[str, ...]
    by_stem: dict[str, list[int]]

    def columns(self, word: str) -> list[tuple[float, list[int]]]:
        """What a word of a search finds: what it counts, and the columns of the forms of one word."""
        begins = [
            column for column, known in enumerate(self.words) if len(word) > 2 and known.startswith(word)
        ]
        others = [(SYNONYM, other) for other in sorted(synonyms().get(stem(word), ()))]
        forms = [(FORM, stem(word)), *((SPELLED, other) for other in self._spelled(word)), *others]
        found = [(weight, self.by_stem.get(one, [])) for weight, one in forms] + [(BEGINS, begins)]
        return [(weight, columns) for weight, columns in found if columns]

    def _spelled(self, word: str) -> list[str]:
        """The stems of words that are spelled nearly like one that no study has."""
        known = stem(word) in self.by_stem or any(
            other in self.by_stem for other in synonyms().get(stem(word), ())
        )
        if known or len(word) < 4:
            return []
        alike = [other for other in self.words if other[0] == word[0] and abs(len(other) - len(word)) < 3]
        return [stem(other) for other in get_close_matches(word, alike, n=3, cutoff=0.8)]


Index = dict[Key, tuple[Passage, ...]]


def search(words: str, corpora: Sequence[str]) -> list[SearchHit]:
    """The studies that fit words or a question, best first; [] if no word finds anything.

    "Several words" in quotes must occur as they are. Case and accents make no difference. Rare words in a title count
    for more than common words in texts, and studies that fit far worse than the best one are left out.
    """
    phrases = [phrase for quoted in re.findall(r'"([^"]+)"', words) if (phrase := fold(quoted))]
    terms = _terms(fold(words))
    if not terms or not corpora:
        return []
    index = _word_index(_state(corpora))
    if index is None:
        return []
    n_studies = len(index.keys)
    scores = np.zeros(n_studies)
    matched = dict[int, tuple[float, float]]()
    for term in terms:
        of_term = np.zeros((1, n_studies))
        for weight, columns in index.columns(term):
            frequency = np.asarray(index.in_studies[:, columns].sum(axis=1)).ravel()
            n_with = int((frequency > 0).sum())
            rarity = weight * math.log(1 + (n_studies - n_with + 0.5) / (n_with + 0.5))
            of_term = np.vstack([of_term, rarity * frequency / (SATURATION + frequency)])
            for column in columns:
                matched[column] = max(matched.get(column, (0.0, 0.0)), (weight, rarity))
        # A word and its synonyms are one thing, so the best of them counts in full and the rest for little.
        scores += of_term.max(axis=0) + FURTHER * (of_term.sum(axis=0) - of_term.max(axis=0))
    scores[~_has_phrases(index, phrases)] = 0
    best = scores.max(initial=0)
    order = sorted(
        np.flatnonzero(scores > LEAST * best).tolist(), key=lambda at: (-scores[at], index.keys[at])
    )
    # An id says nothing to a reader, so it is shown only if nothing else fits.
    places = np.array([WEIGHTS[passage.place] * (passage.place != "study_id") for passage in index.passages])
    rarities = np.array([rarity for _, rarity in matched.values()])
    of_passages = places**0.5 * (index.in_passages[:, list(matched)] @ rarities) if matched else places
    weights = {index.words[column]: weight for column, weight in matched.items()}
    hits = []
    for at in order:
        own = np.flatnonzero(index.study_of == at)
        top = index.passages[own[of_passages[own].argmax()]]
        hits.append(SearchHit(*index.keys[at], float(scores[at] / best), top.place, _around(top, weights)))
    return hits


def _terms(folded: str) -> list[str]:
    """The words of a search that say something; all words if none does."""
    words = list(dict.fromkeys(re.findall(r"\w+", folded)))
    return [word for word in words if word not in ASKING] or words


def _has_phrases(index: WordIndex, phrases: Sequence[str]) -> Any:
    """Whether each study [n_studies] holds every phrase, in one of its passages each."""
    holds = np.ones(len(index.keys), dtype=bool)
    for phrase in phrases:
        pattern = re.compile(r"(?<!\w)" + re.escape(phrase))
        here = [
            bool(phrase in passage.folded and pattern.search(passage.folded)) for passage in index.passages
        ]
        holds &= np.bincount(index.study_of, here, len(index.keys)) > 0
    return holds


def _around(passage: Passage, weights: Mapping[str, tuple[float, float]]) -> str:
    """The passage; of a long one, the part around the word that weighs most."""
    text = " ".join(passage.text.split())
    if len(text) <= 2 * ROOM:
        return text
    hits = [match for match in re.finditer(r"\w+", passage.folded) if match.group() in weights]
    at = max(hits, key=lambda match: weights[match.group()]).start() if hits else 0
    start = max(at - ROOM // 2, 0)
    start = text.rfind(" ", 0, start) + 1 if start else 0
    cut = text[start : start + 2 * ROOM].rsplit(" ", 1)[0]
    return ("… " if start else "") + cut + (" …" if start + 2 * ROOM < len(text) else "")


def _state(corpora: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The corpora with the digests of their files, which change when a corpus is written."""
    return tuple(
        (name, json.dumps(open_corpus(name).manifest["sha256"], sort_keys=True)) for name in sorted(corpora)
    )


@lru_cache(maxsize=4)
def _word_index(state: tuple[tuple[str, str], ...]) -> WordIndex | None:
    """The index of the corpora in one state; None if they hold no word."""
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import CountVectorizer

    texts: Index = {}
    for name, digests in state:
        texts |= _read(name, digests)
    passages = [passage for of_study in texts.values() for passage in of_study]
    study_of = np.repeat(np.arange(len(texts)), [len(of_study) for of_study in texts.values()])
    vectorizer = CountVectorizer(preprocessor=str, token_pattern=r"\w+")
    try:
        counts = vectorizer.fit_transform([passage.folded for passage in passages])
    except ValueError:  # the vocabulary is empty
        return None
    words = vectorizer.get_feature_names_out().tolist()
    by_stem: dict[str, list[int]] = {}
    for column, word in enumerate(words):
        by_stem.setdefault(stem(word), []).append(column)
    lengths = np.asarray(counts.sum(axis=1)).ravel()
    weights = _weights(passages, study_of, lengths)
    together = csr_array((weights, (study_of, np.arange(len(passages)))))
    return WordIndex(
        tuple(texts),
        tuple(passages),
        study_of,
        (together @ counts).tocsc(),
        (counts > 0).tocsc(),
        tuple(words),
        by_stem,
    )


def _weights(passages: Sequence[Passage], study_of: Any, lengths: Floats) -> Floats:
    """What a word counts in each passage [n]: the weight of its place over how much the study says there."""
    weights = np.zeros(len(passages))
    for place, weight in WEIGHTS.items():
        here = np.array([passage.place == place for passage in passages])
        n_words = np.bincount(study_of, lengths * here)
        average = n_words[n_words > 0].mean() if (n_words > 0).any() else 1.0
        weights[here] = weight / (1 - LENGTH + LENGTH * n_words[study_of[here]] / average)
    return weights


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
