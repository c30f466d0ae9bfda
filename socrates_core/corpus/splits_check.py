"""What a split's two sides have in common: proven to be nothing of what is held out, and told where texts are alike."""

from dataclasses import dataclass

import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, select
from socrates_core.corpus.text_vectors import most_alike
from socrates_core.errors import UserError
from socrates_core.scales.instructions import instruction_start

MOST_TEXTS = 200


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
    MOST_TEXTS on a side a fixed sample of so many is compared. Nothing for a split by participants, whose sides
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
        most=MOST_TEXTS,
    )
    told["stimulus"] = [text[: instruction_start(text)] for text in told["stimulus"]]
    told = told.drop_duplicates(["side", "stimulus"])
    held, trained = (told[told["side"] == side].reset_index(drop=True) for side in ("eval", "train"))
    alike = most_alike(held["stimulus"].tolist(), trained["stimulus"].tolist(), least)
    nearest = trained.iloc[alike.positions].reset_index(drop=True)
    found = held[["study_id", "stimulus_id"]].assign(
        train_study_id=nearest["study_id"], train_stimulus_id=nearest["stimulus_id"], likeness=alike.likeness
    )
    found = found[found["likeness"] >= least - 1e-6].sort_values("likeness", ascending=False, kind="stable")
    return found[columns].reset_index(drop=True)
