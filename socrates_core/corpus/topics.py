"""The topic map: studies and questions as points, near each other where they share telling words.

    python -m socrates_core.corpus.topics CORPUS...

TF-IDF, reduced by a truncated SVD and laid out by t-SNE, as the paper's Figure 2 lays out its embeddings. Nothing is
downloaded. It takes some seconds, so a process of its own draws the map once for each content of the corpora.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from filelock import FileLock

from socrates_core.corpus.search import read_passages
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import digest, read_parquet, write_parquet
from socrates_core.records import Floats
from socrates_core.settings import folder

VERSION = 1
MOST_QUESTIONS = 2000
DIMENSIONS = 50
PERPLEXITY = 30
SEED = 0


@dataclass(frozen=True)
class Text:
    """What one point stands for: a "study" with all its texts, or one "question"; `label` is shown."""

    corpus: str
    study_id: str
    kind: str
    label: str
    text: str


def map_path(corpora: Sequence[str]) -> Path:
    """Where the map of these corpora as they are now is kept."""
    state = {name: open_corpus(name).manifest["sha256"] for name in sorted(corpora)}
    told = {name: [tables["studies"], tables["stimuli"]] for name, tables in state.items()}
    return folder("cache", "topics") / f"{digest([VERSION, told])[:32]}.parquet"


def read_map(corpora: Sequence[str]) -> pd.DataFrame | None:
    """The points, columns corpus, study_id, kind ("study" or "question"), label, x and y; None before it is drawn."""
    path = map_path(corpora)
    return read_parquet(path).to_pandas() if path.is_file() else None


def start_map(corpora: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Draws the map in a process of its own, whose errors can be read from it."""
    command = [sys.executable, "-m", "socrates_core.corpus.topics", *corpora]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def make_map(corpora: Sequence[str]) -> Path:
    """Draws the map unless it is there, one process at a time; returns its file. Raises UserError without studies."""
    path = map_path(corpora)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            write_parquet(path, _draw(corpora))
    return path


def _draw(corpora: Sequence[str]) -> pa.Table:
    told = list(_texts(corpora))
    if not told:
        raise UserError("There is nothing to draw: the corpora hold no studies.")
    frames = []
    for kind in ("study", "question"):
        points = [each for each in told if each.kind == kind]
        places = layout([each.text for each in points])
        frame = pd.DataFrame([vars(each) for each in points], columns=["corpus", "study_id", "kind", "label"])
        frames.append(frame.assign(x=places[:, 0], y=places[:, 1]))
    return pa.Table.from_pandas(pd.concat(frames, ignore_index=True), preserve_index=False)


def _texts(corpora: Sequence[str]) -> Iterator[Text]:
    """Every study, and as many of the first questions of each as fit into MOST_QUESTIONS."""
    questions: dict[tuple[str, str], list[str]] = {}
    for name in sorted(corpora):
        for (corpus, study_id), passages in read_passages(open_corpus(name)).items():
            title = next((each.text for each in passages if each.place == "title"), study_id)
            yield Text(corpus, study_id, "study", title, " ".join(each.text for each in passages))
            questions[corpus, study_id] = [each.text for each in passages if each.place == "question"]
    share = _share([len(asked) for asked in questions.values()], MOST_QUESTIONS)
    for (corpus, study_id), asked in questions.items():
        for text in asked[:share]:
            yield Text(corpus, study_id, "question", text[:300], text)


def _share(counts: list[int], most: int) -> int:
    """The largest n for which the first n of each study are at most `most` together."""
    n = max(counts, default=0)
    while n > 1 and sum(min(count, n) for count in counts) > most:
        n -= 1
    return n


def layout(texts: Sequence[str]) -> Floats:
    """Places [n, 2] of texts in a square from -1 to 1, alike ones together; the same for the same texts."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import normalize

    n = len(texts)
    if n < 4:
        return np.column_stack([np.linspace(-1, 1, n) if n > 1 else np.zeros(n), np.zeros(n)])
    read = TfidfVectorizer(
        sublinear_tf=True,
        stop_words="english",
        strip_accents="unicode",
        min_df=1 if n < 50 else 2,
        token_pattern=r"(?u)\b[^\W\d_]{2,}\b",
    )
    try:
        words = read.fit_transform(texts)
    except ValueError:  # no word is left
        return np.zeros((n, 2))
    if words.shape[1] < 3:
        return np.zeros((n, 2))
    reduce = TruncatedSVD(max(2, min(DIMENSIONS, n - 1, words.shape[1] - 1)), random_state=SEED)
    vectors = normalize(reduce.fit_transform(words))
    perplexity = min(PERPLEXITY, max(2, (n - 1) / 3))
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=SEED, max_iter=750).fit_transform(
        vectors
    )
    centred: Floats = np.asarray(places - places.mean(axis=0), dtype=np.float64)
    return centred / (np.abs(centred).max() or 1.0)


if __name__ == "__main__":
    try:
        make_map(sys.argv[1:])
    except UserError as problem:
        sys.exit(str(problem))
