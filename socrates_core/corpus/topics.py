"""Topics: names for studies whose source names no topic, and the topic map of studies and questions.

    python -m socrates_core.corpus.topics CORPUS...

The map reduces TF-IDF vectors by a truncated SVD. It is laid out by t-SNE, as the paper's Figure 2 lays out its
embeddings; nothing is downloaded. Drawing takes seconds, so a separate process does it once for each content of the
corpora.
"""

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock

from socrates_core.corpus.search import read_passages
from socrates_core.corpus.store import open_corpus
from socrates_core.corpus.text_vectors import fold, word_vectors
from socrates_core.corpus.word_forms import stem
from socrates_core.errors import UserError
from socrates_core.files import digest, read_parquet, write_parquet
from socrates_core.records import Floats
from socrates_core.settings import folder, ours_only
from socrates_core.yaml_files import load_yaml

VERSION = 1
MOST_QUESTIONS = 2000
DIMENSIONS = 50
PERPLEXITY = 30
SEED = 0
LEAST_SCORE = 2.0  # of a theme, for a study to be about it: two of its words, or one three times


@dataclass(frozen=True)
class MapText:
    """The text behind a point of the map: a "study" with all its texts, or one "question"; `label` is shown."""

    corpus: str
    study_id: str
    kind: str
    label: str
    text: str


def name_topics(texts: Mapping[str, str]) -> dict[str, str]:
    """A topic such as "Immigration" by study_id; `texts` holds all that each study shows.

    It is the theme of themes.yaml that the text uses the most words of, each counted by the logarithm of how often.
    Studies that score below LEAST_SCORE in every theme have no topic.
    """
    themes = _themes()
    topics = {}
    for study, text in texts.items():
        counts = Counter(stem(word) for word in re.findall(r"[^\W\d_]+", fold(text)))
        scores = {
            theme: sum(1 + math.log(counts[one]) for one in stems if counts[one])
            for theme, stems in themes.items()
        }
        best = max(scores, key=lambda theme: scores[theme])
        if scores[best] >= LEAST_SCORE:
            topics[study] = best
    return topics


@cache
def _themes() -> Mapping[str, frozenset[str]]:
    """The stems of each theme's words."""
    themes = load_yaml(Path(__file__).parent / "themes.yaml")["themes"]
    return {theme: frozenset(stem(word) for word in words) for theme, words in themes.items()}


def map_path(corpora: Sequence[str]) -> Path:
    """The file with the map of these corpora in their present state."""
    state = {name: open_corpus(name).manifest["sha256"] for name in sorted(corpora)}
    digests = {name: [tables["studies"], tables["stimuli"]] for name, tables in state.items()}
    return folder("cache", "topics") / f"{digest([VERSION, digests])[:32]}.parquet"


def read_map(corpora: Sequence[str]) -> pd.DataFrame | None:
    """The points, columns corpus, study_id, kind ("study" or "question"), label, x and y; None before it is drawn."""
    path = map_path(corpora)
    return read_parquet(path).to_pandas() if path.is_file() else None


def start_map(corpora: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Draws the map in a separate process, whose errors can be read from it."""
    command, environment = ours_only("socrates_core.corpus.topics", *corpora)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
    )


def make_map(corpora: Sequence[str]) -> Path:
    """Draws the map unless it exists, one process at a time; returns its file. Raises UserError without studies."""
    path = map_path(corpora)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            write_parquet(path, _draw(corpora))
    return path


def _draw(corpora: Sequence[str]) -> pa.Table:
    texts = list(_texts(corpora))
    if not texts:
        raise UserError("There is nothing to draw: the corpora hold no studies.")
    frames = []
    for kind in ("study", "question"):
        points = [text for text in texts if text.kind == kind]
        places = layout([point.text for point in points])
        frame = pd.DataFrame(
            [vars(point) for point in points], columns=["corpus", "study_id", "kind", "label"]
        )
        frames.append(frame.assign(x=places[:, 0], y=places[:, 1]))
    return pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False)


def _texts(corpora: Sequence[str]) -> Iterator[MapText]:
    """Every study, and as many of the first questions of each as fit into MOST_QUESTIONS."""
    questions: dict[tuple[str, str], list[str]] = {}
    for name in sorted(corpora):
        for (corpus, study_id), passages in read_passages(open_corpus(name)).items():
            title = next((passage.text for passage in passages if passage.place == "title"), study_id)
            yield MapText(corpus, study_id, "study", title, " ".join(passage.text for passage in passages))
            questions[corpus, study_id] = [p.text for p in passages if p.place == "question"]
    share = _share([len(texts) for texts in questions.values()], MOST_QUESTIONS)
    for (corpus, study_id), texts in questions.items():
        for text in texts[:share]:
            yield MapText(corpus, study_id, "question", text[:300], text)


def _share(counts: list[int], most: int) -> int:
    """The largest n for which the first n of each study are at most `most` together."""
    n = max(counts, default=0)
    while n > 1 and sum(min(count, n) for count in counts) > most:
        n -= 1
    return n


def layout(texts: Sequence[str]) -> Floats:
    """Places [n, 2] of texts in a square from -1 to 1, alike ones together; the same for the same texts."""
    from sklearn.manifold import TSNE

    n = len(texts)
    if n < 4:
        return np.column_stack([np.linspace(-1, 1, n) if n > 1 else np.zeros(n), np.zeros(n)])
    # A word of one text brings nothing together, but a few texts may share none.
    words = word_vectors(texts, least=1 if n < 50 else 2)
    if words is None or words.vectors.shape[1] < 3:
        return np.zeros((n, 2))
    vectors = _reduced(words.vectors)
    perplexity = min(PERPLEXITY, max(2, (n - 1) / 3))
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED, max_iter=750).fit_transform(
        vectors
    )
    centred: Floats = np.asarray(places - places.mean(axis=0), dtype=np.float64)
    return centred / (np.abs(centred).max() or 1.0)


def _reduced(vectors: Any) -> Any:
    """Unit vectors [n, k] of at most DIMENSIONS that keep most of what differs between sparse ones."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize

    n_dimensions = max(2, min(DIMENSIONS, vectors.shape[0] - 1, vectors.shape[1] - 1))
    return normalize(TruncatedSVD(n_dimensions, random_state=SEED).fit_transform(vectors))


if __name__ == "__main__":
    try:
        make_map(sys.argv[1:])
    except UserError as problem:
        sys.exit(str(problem))
