"""The rows of a finetune: drawn from a split's training side, some kept back to choose the checkpoint by."""

import zlib
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, corpus_digest, load_split, split_rows
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.rows import capped, with_answers
from socrates_core.files import digest
from socrates_core.finetuning.spec import TrainingSpec

_UNITS = {
    "studies": ["study_id"],
    "conditions": ["study_id", "condition_num"],
    "outcomes": ["study_id", "task_num"],
    "participants": ["study_id", "participant"],
}


@dataclass(frozen=True)
class Chosen:
    """The rows that are trained on and those kept back, a row a person and stimulus with an answer on the scale.

    Columns study_id, condition_num, task_num, part, stimulus_id, sample_id, participant, response and value.
    `answered` are all rows of the training side that are not kept back, `kept_back` all that are, capped or not:
    people's answers in their cells.
    """

    corpus: Corpus
    split: Split
    train: pd.DataFrame
    validation: pd.DataFrame
    answered: pd.DataFrame
    kept_back: pd.DataFrame


def choose_rows(spec: TrainingSpec) -> Chosen:
    """The rows that `spec` trains on, always the same for the same seed.

    A smaller `people_share` or `per_cell` takes a part of what a larger one takes. Raises UserError where the split
    or a study is unknown, or nothing is left to train on.
    """
    split = load_split(spec.split)
    corpus = open_corpus(split.corpus)
    rows = split_rows(corpus, split, "train")
    for study in spec.studies:
        if study not in split.studies:
            raise unknown("study of the split", study, split.studies)
    rows = with_answers(corpus, rows[rows["study_id"].isin(spec.studies)] if spec.studies else rows)
    rows = rows[rows["value"].notna()]
    apart = _kept_back(corpus, split, rows, spec)
    answered, kept_back = _part_of_people(rows[~apart], spec), rows[apart]
    train = answered
    if len(answered):  # capped before people leave, so that a smaller share of them is a part of a larger one
        train = capped(rows[~apart], spec.per_cell, spec.seed)
        train = _per_study(train.merge(answered[["study_id", "sample_id"]]), spec)
    if train.empty:
        raise UserError(_why_empty(spec, answered))
    validation = kept_back
    if len(validation):
        validation = _per_study(capped(validation, spec.validation_cap, spec.seed), spec)
    return Chosen(
        corpus, split, *(frame.reset_index(drop=True) for frame in (train, validation, answered, kept_back))
    )


def _why_empty(spec: TrainingSpec, answered: pd.DataFrame) -> str:
    if len(answered):
        return (
            f"Of {spec.people_share:.2%} of the people none is among the {spec.per_cell} of each cell that are "
            f"trained on. Give a larger 'people_share' than {spec.people_share!r}, or a larger 'per_cell'."
        )
    return (
        f"The split {spec.split!r} leaves no answer on its scale to train on. "
        "Choose other studies or another split."
    )


def learnt_from(spec: TrainingSpec, chosen: Chosen) -> pd.DataFrame:
    """Every row whose answer has a part in what comes out: trained on, a part of a target, or chosen by.

    DPO and distribution training take other people's answers to the same outcomes too; W on the kept-back side is
    measured against everybody there. Columns study_id, condition_num, task_num, stimulus_id, sample_id and participant.
    """
    frames = [chosen.train, chosen.validation, chosen.kept_back if len(chosen.validation) else None]
    if spec.method in ("dpo", "distribution"):
        outcomes = chosen.train[["study_id", "task_num"]].drop_duplicates()
        frames.append(chosen.answered.merge(outcomes))
    columns = ["study_id", "condition_num", "task_num", "stimulus_id", "sample_id", "participant"]
    rows = pd.concat([each[columns] for each in frames if each is not None and len(each)])
    return rows.drop_duplicates(["study_id", "sample_id"], ignore_index=True)


def data_digest(chosen: Chosen) -> str:
    """SHA-256 in hex of which rows are trained on and kept back, of which corpus."""
    rows = [
        frame[["study_id", "sample_id"]].to_csv(index=False) for frame in (chosen.train, chosen.validation)
    ]
    return digest([corpus_digest(chosen.corpus), *rows])


def _kept_back(corpus: Corpus, split: Split, rows: pd.DataFrame, spec: TrainingSpec) -> pd.Series:
    """Which rows belong to units kept back; where it counts, no text is on both sides. Every study keeps a unit."""
    columns = _UNITS[split.kind]
    units = rows[columns].drop_duplicates().reset_index(drop=True)
    n = round(spec.validation_share * len(units))
    if spec.validation_share and len(units) > 1:
        n = max(n, 1)
    order = units.iloc[np.random.default_rng([spec.seed, 1]).permutation(len(units))]
    if split.kind != "studies":
        order = order[order.duplicated("study_id", keep="last")]  # the last of each study stays
    held = order.head(min(n, len(units) - 1))
    index = pd.MultiIndex.from_frame(rows[columns])
    kept = pd.Series(index.isin(pd.MultiIndex.from_frame(held)), index=rows.index)
    if split.kind == "participants" or not kept.any():
        return kept
    texts = rows[["study_id", "stimulus_id"]].merge(
        corpus.ask("SELECT study_id, stimulus_id, stimulus FROM read_parquet($stimuli)"), how="left"
    )["stimulus"]
    texts.index = rows.index
    return kept | texts.isin(texts[kept])


def _part_of_people(rows: pd.DataFrame, spec: TrainingSpec) -> pd.DataFrame:
    """`people_share` of every study's people, the first of a seeded order; at least two."""
    if spec.people_share == 1:
        return rows
    kept = []
    for study, own in rows.groupby("study_id"):
        people = np.sort(own["participant"].unique())
        order = np.random.default_rng([spec.seed, 2, zlib.crc32(str(study).encode())]).permutation(people)
        kept.append(own[own["participant"].isin(order[: max(round(spec.people_share * len(people)), 2)])])
    return pd.concat(kept)


def _per_study(rows: pd.DataFrame, spec: TrainingSpec) -> pd.DataFrame:
    """At most `per_study` rows of every study, drawn with the seed from its conditions in turn."""
    if spec.per_study is None:
        return rows
    kept = []
    for study, own in rows.groupby("study_id"):
        rng = np.random.default_rng([spec.seed, 3, zlib.crc32(str(study).encode())])
        order = rng.permutation(len(own))
        turn = own["condition_num"].iloc[order].groupby(own["condition_num"].iloc[order]).cumcount()
        in_turn = order[np.argsort(turn.to_numpy(), kind="stable")]
        kept.append(own.iloc[np.sort(in_turn[: spec.per_study])])
    return pd.concat(kept)
