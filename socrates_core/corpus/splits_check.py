"""What a split's two sides have in common: proven to be nothing of what is held out, and told where texts are alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, select
from socrates_core.errors import UserError
from socrates_core.scales.instructions import instruction_start

MOST_COMPARED = 200  # texts of a study on a side
_ROUGH, _EXACT = 2**10, 2**20  # features: the rough likeness finds candidates, the exact one is told
_MARGIN = 0.15  # by which the rough likeness may be off; its standard deviation is 1/32
_BLOCK = 2_000
_ODD = np.array(
    [0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93, 0xA0761D6478BD642F],
    dtype=np.uint64,
)


@dataclass(frozen=True)
class Sides:
    """How large the two sides are and what they share; `n_neither` are rows on no side.

    A participant is shared who answered on both sides; a text that is shown, word for word, on both.
    """

    n_train: int
    n_eval: int
    n_neither: int
    n_train_studies: int
    n_eval_studies: int
    n_train_participants: int
    n_eval_participants: int
    n_train_texts: int
    n_eval_texts: int
    n_shared_participants: int
    n_shared_texts: int


def measure_sides(corpus: Corpus, split: Split) -> Sides:
    """Counts both sides and their overlap. Raises UserError where the corpus is not the one that was split."""
    counted = "count(DISTINCT {0}) FILTER (side = 'train'), count(DISTINCT {0}) FILTER (side = 'eval')"
    both = "(SELECT count(*) FROM (SELECT {0} FROM told GROUP BY ALL HAVING count(DISTINCT side) = 2))"
    found = select(
        corpus,
        split,
        ", told AS (SELECT placed.*, stimulus FROM placed JOIN texts USING (study_id, stimulus_id)) "
        "SELECT count(*) FILTER (side = 'train'), count(*) FILTER (side = 'eval'), "
        "$n_left + count(*) FILTER (side IS NULL), "
        f"{counted.format('study_id')}, {counted.format('(study_id, participant)')}, {counted.format('stimulus')}, "
        f"{both.format('study_id, participant')}, {both.format('stimulus')} FROM told",
        n_left=sum(map(len, split.left_out.values())),
    )
    return Sides(*(int(n) for n in found.iloc[0]))


def check_split(corpus: Corpus, split: Split) -> Sides:
    """Passes a split that keeps apart what it holds out. Raises UserError for any other, or for an empty side."""
    sides = measure_sides(corpus, split)
    if not (sides.n_train and sides.n_eval):
        side = "train on" if not sides.n_train else "evaluate"
        raise UserError(
            f"The split {split.name!r} leaves nothing to {side}. Change its share or its studies."
        )
    if split.kind == "participants" and sides.n_shared_participants:
        raise UserError(
            f"{sides.n_shared_participants:,} participants stand on both sides of {split.name!r}."
        )
    if split.apart and sides.n_shared_texts:
        raise UserError(f"{sides.n_shared_texts:,} texts stand on both sides of {split.name!r}.")
    return sides


def near_duplicates(corpus: Corpus, split: Split, least: float = 0.9) -> pd.DataFrame:
    """The stimuli that are evaluated with the most alike one that is trained on, where the likeness is `least` or more.

    Columns study_id, stimulus_id, train_study_id, train_stimulus_id, likeness: the cosine of the counts of five
    characters in a row, case left aside, without the response instructions; 1 for texts that differ in nothing
    else. Ordered by likeness. A text that several stimuli share is told once a side; of a study with more than
    MOST_COMPARED on a side a fixed sample of so many is compared. Nothing for a split by participants, whose sides
    show the same texts.
    """
    columns = ["study_id", "stimulus_id", "train_study_id", "train_stimulus_id", "likeness"]
    if split.kind == "participants":
        return pd.DataFrame(columns=columns)
    told = select(
        corpus,
        split,
        "SELECT side, study_id, min(stimulus_id) AS stimulus_id, stimulus "
        "FROM (SELECT DISTINCT side, study_id, stimulus_id FROM placed WHERE side IS NOT NULL) "
        "JOIN texts USING (study_id, stimulus_id) GROUP BY side, study_id, stimulus "
        "QUALIFY row_number() OVER (PARTITION BY side, study_id ORDER BY md5(stimulus)) <= $most ORDER BY ALL",
        most=MOST_COMPARED,
    )
    told["stimulus"] = [text[: instruction_start(text)] for text in told["stimulus"]]
    told = told.drop_duplicates(["side", "stimulus"])
    held, trained = (told[told["side"] == side].reset_index(drop=True) for side in ("eval", "train"))
    best, likeness = _most_alike(held["stimulus"].tolist(), trained["stimulus"].tolist(), least)
    nearest = trained.iloc[best].reset_index(drop=True)
    found = held[["study_id", "stimulus_id"]].assign(
        train_study_id=nearest["study_id"], train_stimulus_id=nearest["stimulus_id"], likeness=likeness
    )
    found = found[found["likeness"] >= least - 1e-9].sort_values("likeness", ascending=False, kind="stable")
    return found[columns].reset_index(drop=True)


def _most_alike(texts: list[str], others: list[str], least: float) -> tuple[Any, Any]:
    """The most alike of `others` for every text [n], as its position, with the likeness [n]; 0 far below `least`."""
    rough, rough_others = (
        text_vectors(each, _ROUGH).toarray().astype(np.float32) for each in (texts, others)
    )
    exact, exact_others = (text_vectors(each) for each in (texts, others))
    best, likeness = np.zeros(len(texts), dtype=int), np.zeros(len(texts))
    n_looked = min(5, len(others))
    for start in range(0, len(texts), _BLOCK):
        table = rough[start : start + _BLOCK] @ rough_others.T
        rows = np.flatnonzero(table.max(axis=1) >= least - _MARGIN)
        candidates = np.argpartition(-table[rows], n_looked - 1, axis=1)[:, :n_looked]
        rows = rows + start
        pairs = exact[np.repeat(rows, n_looked)].multiply(exact_others[candidates.ravel()])
        alike = np.asarray(pairs.sum(axis=1)).reshape(len(rows), n_looked)
        best[rows], likeness[rows] = candidates[np.arange(len(rows)), alike.argmax(axis=1)], alike.max(axis=1)
    return best, likeness.clip(0, 1)


def text_vectors(texts: list[str], n_features: int = _EXACT) -> Any:
    """Unit vectors [n, n_features], sparse, of how often five characters stand in a row.

    Features are hashed with signs (Weinberger et al. 2009), so that a product of two vectors is the cosine without
    bias, with a standard deviation of about 1 / sqrt(n_features).
    """
    from scipy.sparse import csr_array

    columns, signs, ends = [], [], [0]
    for text in texts:
        codes = np.frombuffer(
            f"    {text.casefold()}    ".encode("utf-32-le", "surrogatepass"), dtype=np.uint32
        )
        mixed = sliding_window_view(codes.astype(np.uint64), len(_ODD)) @ _ODD
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD[0]
        columns.append((mixed >> np.uint64(33)) % np.uint64(n_features))
        signs.append(np.where(mixed >> np.uint64(32) & np.uint64(1), 1.0, -1.0))
        ends.append(ends[-1] + len(mixed))
    parts = np.concatenate(signs), np.concatenate(columns).astype(np.int64), np.array(ends)
    vectors = csr_array(parts, shape=(len(texts), n_features))
    vectors.sum_duplicates()
    lengths = np.sqrt((vectors * vectors).sum(axis=1))
    return csr_array(vectors / np.maximum(lengths, 1e-12)[:, None])
