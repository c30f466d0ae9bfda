"""What the two sides of a split share: nothing that is held out may be trained on, and similar texts are listed."""

from dataclasses import dataclass

import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, select
from socrates_core.corpus.text_vectors import most_alike
from socrates_core.errors import UserError
from socrates_core.scales.instructions import instruction_start

MOST_COMPARED = 200  # texts of a study on a side


@dataclass(frozen=True)
class Sides:
    """How large the two sides are and what they share; `n_neither` are rows on no side.

    A shared participant answered on both sides; a shared text is shown word for word on both.
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
    """Counts both sides and their overlap. Raises UserError if the corpus is not the one that was split."""
    counted = "count(DISTINCT {0}) FILTER (side = 'train'), count(DISTINCT {0}) FILTER (side = 'eval')"
    both = "(SELECT count(*) FROM (SELECT {0} FROM shown GROUP BY ALL HAVING count(DISTINCT side) = 2))"
    counts = select(
        corpus,
        split,
        ", shown AS (SELECT placed.*, stimulus FROM placed JOIN texts USING (study_id, stimulus_id)) "
        "SELECT count(*) FILTER (side = 'train'), count(*) FILTER (side = 'eval'), "
        "$n_left + count(*) FILTER (side IS NULL), "
        f"{counted.format('study_id')}, {counted.format('(study_id, participant)')}, {counted.format('stimulus')}, "
        f"{both.format('study_id, participant')}, {both.format('stimulus')} FROM shown",
        n_left=sum(map(len, split.left_out.values())),
    )
    return Sides(*(int(n) for n in counts.iloc[0]))


def check_split(corpus: Corpus, split: Split) -> Sides:
    """Counts both sides. Raises UserError for an empty side, or if what is held out is also trained on."""
    sides = measure_sides(corpus, split)
    if not (sides.n_train and sides.n_eval):
        side = "train on" if not sides.n_train else "evaluate"
        raise UserError(
            f"The split {split.name!r} leaves nothing to {side}. Change its share or its studies."
        )
    if split.kind == "participants" and sides.n_shared_participants:
        raise UserError(
            f"{sides.n_shared_participants:,} participants are on both sides of {split.name!r}. Make the split again."
        )
    if split.apart and sides.n_shared_texts:
        raise UserError(
            f"{sides.n_shared_texts:,} texts are on both sides of {split.name!r}. Make the split again."
        )
    return sides


def near_duplicates(corpus: Corpus, split: Split, least: float = 0.9) -> pd.DataFrame:
    """The held-out stimuli whose most alike trained stimulus has a likeness of `least` or more.

    Columns study_id, stimulus_id, train_study_id, train_stimulus_id, likeness: see
    `text_vectors.most_alike`; response instructions do not count. Ordered by likeness. A text that several stimuli
    share is listed once for each side; if a study has more than MOST_COMPARED on a side, a fixed sample of so many is
    compared. Empty for a split by participants, whose sides show the same texts.
    """
    columns = ["study_id", "stimulus_id", "train_study_id", "train_stimulus_id", "likeness"]
    if split.kind == "participants":
        return pd.DataFrame(columns=columns)
    texts = select(
        corpus,
        split,
        "SELECT side, study_id, min(stimulus_id) AS stimulus_id, stimulus "
        "FROM (SELECT DISTINCT side, study_id, stimulus_id FROM placed WHERE side IS NOT NULL) "
        "JOIN texts USING (study_id, stimulus_id) GROUP BY side, study_id, stimulus "
        "QUALIFY row_number() OVER (PARTITION BY side, study_id ORDER BY md5(stimulus)) <= $most ORDER BY ALL",
        most=MOST_COMPARED,
    )
    # Texts that differ in the instruction alone are alike.
    texts["stimulus"] = [text[: instruction_start(text)] for text in texts["stimulus"]]
    texts = texts.drop_duplicates(["side", "stimulus"])
    held, trained = (texts[texts["side"] == side].reset_index(drop=True) for side in ("eval", "train"))
    alike = most_alike(held["stimulus"].tolist(), trained["stimulus"].tolist(), least)
    nearest = trained.iloc[alike.positions].reset_index(drop=True)
    pairs = held[["study_id", "stimulus_id"]].assign(
        train_study_id=nearest["study_id"], train_stimulus_id=nearest["stimulus_id"], likeness=alike.likeness
    )
    # A likeness of exactly `least` may be rounded to a little less.
    pairs = pairs[pairs["likeness"] >= least - 1e-9].sort_values("likeness", ascending=False, kind="stable")
    return pairs[columns].reset_index(drop=True)
