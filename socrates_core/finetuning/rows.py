"""The rows of a finetune: drawn from a split's training side, some kept back to choose the checkpoint with."""

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, corpus_digest, load_split, select, split_rows
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.rows import capped, with_answers
from socrates_core.files import digest
from socrates_core.finetuning.spec import Method, TrainingSpec

VALIDATING = 0.1  # share of the training that validations may cost
LEAST_ROWS = 400  # fewer would choose the checkpoint by chance
REASONED_ROWS = 64
SIDES = ("trained", "validation", "held_out", "unused")
_UNITS = {
    "studies": ["study_id"],
    "conditions": ["study_id", "condition_num"],
    "outcomes": ["study_id", "task_num"],
    "participants": ["study_id", "participant"],
}


@dataclass(frozen=True, eq=False)
class TrainingRows:
    """The rows of a finetune, one per person and stimulus with an answer on the scale.

    `train` are trained on, and `validation` chooses the checkpoint; both are capped. `answered` are all rows of the
    training side that are not kept back, and `kept_back` all that are: people's answers in their cells. Columns
    study_id, condition_num, task_num, part, stimulus_id, sample_id, participant, response and value.
    """

    corpus: Corpus
    split: Split
    train: pd.DataFrame
    validation: pd.DataFrame
    answered: pd.DataFrame
    kept_back: pd.DataFrame

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex of the corpus and of which of its rows are trained on and validated with."""
        keys = [
            frame[["study_id", "sample_id"]].to_csv(index=False) for frame in (self.train, self.validation)
        ]
        return digest([corpus_digest(self.corpus), *keys])

    def learned_from(self, method: Method) -> pd.DataFrame:
        """Every row whose answer influences the model: as an example, in a target, or in choosing the checkpoint.

        Columns study_id, condition_num, task_num, stimulus_id, sample_id and participant.
        """
        frames = [self.train, self.validation]
        if len(self.validation):  # W is measured against everybody kept back, not only those who are asked
            frames.append(self.kept_back)
        if method in (
            "dpo",
            "distribution",
        ):  # their targets hold other people's answers to the same outcomes
            outcomes = self.train[["study_id", "task_num"]].drop_duplicates()
            frames.append(self.answered.merge(outcomes))
        columns = ["study_id", "condition_num", "task_num", "stimulus_id", "sample_id", "participant"]
        rows = pd.concat([frame[columns] for frame in frames if len(frame)])
        return rows.drop_duplicates(["study_id", "sample_id"], ignore_index=True)


def choose_rows(spec: TrainingSpec) -> TrainingRows:
    """The rows that `spec` trains on, always the same for the same seed.

    The rows of a smaller `people_share` or `per_cell` are a subset of those of a larger one. Raises UserError if the
    split or a study is unknown, or if nothing is left to train on.
    """
    split = load_split(spec.split)
    corpus = open_corpus(split.corpus)
    rows = split_rows(corpus, split, "train")
    for study in spec.studies:
        if study not in split.studies:
            raise unknown("study of the split", study, split.studies)
    rows = with_answers(corpus, rows[rows["study_id"].isin(spec.studies)] if spec.studies else rows)
    rows = rows[rows["value"].notna()]
    is_kept_back = _draw_kept_back(corpus, split, rows, spec)
    answered = _part_of_people(rows[~is_kept_back], spec)
    train = answered
    if len(answered):
        # The cap comes before people leave: a smaller share of people is then a subset of a larger one.
        train = capped(rows[~is_kept_back], spec.per_cell, spec.seed)
        train = _cap_studies(train.merge(answered[["study_id", "sample_id"]]), spec)
    if train.empty:
        raise UserError(_why_empty(spec, answered))
    kept_back = rows[is_kept_back]
    validation = kept_back
    if len(validation):
        validation = _cap_studies(capped(validation, spec.validation_cap, spec.seed), spec)
    return TrainingRows(
        corpus=corpus,
        split=split,
        train=train.reset_index(drop=True),
        validation=validation.reset_index(drop=True),
        answered=answered.reset_index(drop=True),
        kept_back=kept_back.reset_index(drop=True),
    )


def rows_to_validate(spec: TrainingSpec, rows: TrainingRows) -> pd.DataFrame:
    """The rows of `rows.validation` that are asked in each validation, the same ones every time.

    All, if they are few enough; else fewer people a cell, down to two, then fewer outcomes, the same number of every
    study as far as there are any.
    """
    validation = rows.validation
    most = most_validated(spec, len(rows.train))
    for cap in range(spec.validation_cap - 1, 1, -1):
        if len(validation) <= most:
            return validation
        validation = capped(validation, cap, spec.seed)
    if len(validation) <= most:
        return validation
    outcomes = validation.groupby(["study_id", "task_num"]).size().rename("n").reset_index()
    outcomes = outcomes.sample(frac=1, random_state=spec.seed)
    turn = outcomes.groupby("study_id").cumcount()
    outcomes = outcomes.iloc[np.argsort(turn.to_numpy(), kind="stable")]
    n_outcomes = max(int((outcomes["n"].cumsum() <= most).sum()), 1)
    return validation.merge(outcomes.head(n_outcomes)[["study_id", "task_num"]])


def most_validated(spec: TrainingSpec, n_examples: int) -> int:
    """How many rows each validation asks at most.

    Without a number in the spec, all validations together cost at most a tenth of the training, but each has LEAST_ROWS
    rows. To train on a row costs three times as much as to ask it (Kaplan et al. 2020). A rationale is a hundred tokens
    that are written one after the other, so with reasoning there are REASONED_ROWS.
    """
    if spec.validation_rows is not None:
        return spec.validation_rows
    if spec.method == "reasoning":
        return REASONED_ROWS
    n_steps = n_steps_of(n_examples, spec)
    n_validations = 1 + -(-n_steps // spec.evaluate_every)  # the base model's too
    return max(round(VALIDATING * 3 * n_steps * spec.batch_size / n_validations), LEAST_ROWS)


def n_steps_of(n_examples: int, spec: TrainingSpec) -> int:
    """How many steps a finetune has at most."""
    planned = max(1, round(n_examples * spec.epochs / spec.batch_size))
    return planned if spec.max_steps is None else min(planned, spec.max_steps)


def _why_empty(spec: TrainingSpec, answered: pd.DataFrame) -> str:
    if len(answered):
        return (
            f"With {spec.people_share:.2%} of the people and at most {spec.per_cell} people per cell, no row is left "
            f"to train on. Give a larger 'people_share' than {spec.people_share!r}, or a larger 'per_cell'."
        )
    return (
        f"The split {spec.split!r} leaves no answer on its scale to train on. "
        "Choose other studies or another split."
    )


def unit_of(split: Split) -> str:
    """What `count_sides` counts: people if the split holds people out, else cells."""
    return "people" if split.kind == "participants" else "cells"


def count_sides(rows: TrainingRows) -> pd.DataFrame:
    """How a finetune uses each study of the split: study_id, title, and the number of units (`unit_of`) on each side.

    `trained` units are trained on, `validation` chooses the checkpoint, `held_out` is for evaluation only, and
    `unused` is the rest, such as what the caps leave out. A cell that is partly trained on counts as trained on.
    """
    is_people = unit_of(rows.split) == "people"
    unit = "participant" if is_people else "(condition_num, task_num)"
    totals = select(
        rows.corpus,
        rows.split,
        f"SELECT study_id, count(DISTINCT {unit}) AS n, count(DISTINCT {unit}) FILTER (side = 'eval') AS held_out "
        "FROM placed JOIN texts USING (study_id, stimulus_id) GROUP BY study_id ORDER BY study_id",
    )
    columns = ["study_id", *(["participant"] if is_people else ["condition_num", "task_num"])]
    trained = rows.train[columns].drop_duplicates().assign(side="trained")
    validation = rows.validation[columns].drop_duplicates().assign(side="validation")
    units = pd.concat([trained, validation]).drop_duplicates(columns)
    counts = units.groupby(["study_id", "side"]).size().unstack(fill_value=0)
    table = totals.set_index("study_id").join(counts).reindex(columns=["n", *SIDES]).fillna(0).astype(int)
    table["unused"] = table["n"] - table["trained"] - table["validation"] - table["held_out"]
    titles = rows.corpus.studies().set_index("study_id")["title"]
    return table.assign(title=titles).reset_index()[["study_id", "title", *SIDES]]


def _draw_kept_back(corpus: Corpus, split: Split, rows: pd.DataFrame, spec: TrainingSpec) -> pd.Series:
    """Which rows are kept back: whole units of what the split holds out. Every study keeps a unit to train on."""
    columns = _UNITS[split.kind]
    units = rows[columns].drop_duplicates().reset_index(drop=True)
    n = round(spec.validation_share * len(units))
    if spec.validation_share and len(units) > 1:
        n = max(n, 1)
    order = units.iloc[np.random.default_rng([spec.seed, 1]).permutation(len(units))]
    if split.kind != "studies":
        order = order[order.duplicated("study_id", keep="last")]  # the last of each study stays
    drawn = order.head(min(n, len(units) - 1))
    index = pd.MultiIndex.from_frame(rows[columns])
    kept_back = pd.Series(index.isin(pd.MultiIndex.from_frame(drawn)), index=rows.index)
    if split.kind == "participants" or not kept_back.any():
        return kept_back
    # A text must not be on both sides, so rows of other units that show a kept-back text are kept back too.
    texts = rows[["study_id", "stimulus_id"]].merge(
        corpus.ask("SELECT study_id, stimulus_id, stimulus FROM read_parquet($stimuli)"), how="left"
    )["stimulus"]
    texts.index = rows.index
    return kept_back | texts.isin(texts[kept_back])


def _part_of_people(rows: pd.DataFrame, spec: TrainingSpec) -> pd.DataFrame:
    """`people_share` of every study's people, the first of a seeded order; at least two."""
    if spec.people_share == 1:
        return rows
    parts = []
    for study, study_rows in rows.groupby("study_id"):
        people = np.sort(study_rows["participant"].unique())
        # crc32, because Python's own hash of a text differs from process to process.
        order = np.random.default_rng([spec.seed, 2, zlib.crc32(str(study).encode())]).permutation(people)
        n = max(round(spec.people_share * len(people)), 2)
        parts.append(study_rows[study_rows["participant"].isin(order[:n])])
    return pd.concat(parts)


def _cap_studies(rows: pd.DataFrame, spec: TrainingSpec) -> pd.DataFrame:
    """At most `per_study` rows of every study, drawn with the seed from each of its conditions in turn."""
    if spec.per_study is None:
        return rows
    parts = []
    for study, study_rows in rows.groupby("study_id"):
        rng = np.random.default_rng([spec.seed, 3, zlib.crc32(str(study).encode())])
        order = rng.permutation(len(study_rows))
        conditions = study_rows["condition_num"].iloc[order]
        turn = conditions.groupby(conditions).cumcount()
        in_turn = order[np.argsort(turn.to_numpy(), kind="stable")]
        parts.append(study_rows.iloc[np.sort(in_turn[: spec.per_study])])
    return pd.concat(parts)
