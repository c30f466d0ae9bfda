"""Which studies are about the same as a text or a study: shared words, the rare ones counting most."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from socrates_core.corpus.search import read_passages
from socrates_core.corpus.store import open_corpus
from socrates_core.corpus.text_vectors import WordVectors, word_vectors

MOST_WORDS = 6  # that are named as shared

Key = tuple[str, str]  # corpus and study_id


@dataclass(frozen=True)
class Near:
    """A study, how alike it is (the cosine of the TF-IDF vectors, in [0, 1]), and the words that count most in it."""

    corpus: str
    study_id: str
    likeness: float
    shared: tuple[str, ...]


def near_text(text: str, corpora: Sequence[str], most: int = 10) -> list[Near]:
    """The studies most like `text`, best first; studies that share no telling word are left out."""
    keys, known = _vectors(_state(corpora))
    return _ranked(known.of(text), keys, known, most) if known is not None else []


def near_study(corpus: str, study_id: str, corpora: Sequence[str], most: int = 10) -> list[Near]:
    """The other studies most like this one, best first; `corpora` must include its corpus."""
    keys, known = _vectors(_state(corpora))
    if known is None:
        return []
    vector = known.vectors[[keys.index((corpus, study_id))]]
    # One more, since the study is most like itself.
    ranked = _ranked(vector, keys, known, most + 1)
    return [near for near in ranked if (near.corpus, near.study_id) != (corpus, study_id)][:most]


def _ranked(vector: Any, keys: Sequence[Key], known: WordVectors, most: int) -> list[Near]:
    likeness = (known.vectors @ vector.T).toarray().ravel().clip(0, 1)
    order = sorted(range(len(keys)), key=lambda at: (-likeness[at], keys[at]))
    near = []
    for at in order[:most]:
        if likeness[at] > 0:
            weights = known.vectors[[at]].multiply(vector).tocsr()
            shared = sorted(
                zip(known.words[weights.indices], weights.data, strict=True),
                key=lambda pair: (-pair[1], pair[0]),
            )
            words = tuple(str(word) for word, _ in shared[:MOST_WORDS])
            near.append(Near(*keys[at], float(likeness[at]), words))
    return near


def _state(corpora: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, json.dumps(open_corpus(name).manifest["sha256"])) for name in sorted(corpora))


@lru_cache(maxsize=4)
def _vectors(state: tuple[tuple[str, str], ...]) -> tuple[list[Key], WordVectors | None]:
    """The studies with the vectors of all their texts, for one state of the corpora's files."""
    texts = {
        key: " ".join(passage.text for passage in passages)
        for name, _ in state
        for key, passages in read_passages(open_corpus(name)).items()
    }
    return list(texts), word_vectors(list(texts.values()))
