"""Predicted effects of the held-out people beside those of everybody who took part."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.studies.answers import HumanEffect, human_effects, read_outline, reference_of


class _Mean(NamedTuple):
    mean: float
    n: int


COLUMNS = [
    "study_id",
    "task_num",
    "part",
    "outcome",
    "condition_num",
    "condition",
    "reference_num",
    "reference",
    "basis",
    "span",
    "human",
    "human_se",
    "n_human",
    "predicted",
    "n_predicted",
]


def effects_table(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """A row an item and condition against the study's reference, where both conditions were answered.

    `human` is the difference in means of everybody in the corpus and `human_se` its standard error, `predicted` the
    difference of the mean predicted answers of the people asked; all are shares of the item's range. `basis` is that of
    `studies.HumanEffect`, and `span` the range of the answers compared: 1 where they are places on their scales. An
    item without an order has no means and no row, nor has one whose scales differ where answers were drawn.
    """
    answered = rows.dropna(subset=["mean"])
    found = [row for study, own in answered.groupby("study_id") for row in _of_study(corpus, str(study), own)]
    return pd.DataFrame(found, columns=COLUMNS)


def _of_study(corpus: Corpus, study: str, answered: pd.DataFrame) -> list[dict[str, Any]]:
    scales = {each.stimulus_id: each.scale for each in corpus.stimuli(study)}
    ends = {n: (scale.values[0], scale.values[-1]) for n, scale in scales.items() if len(scale.values) > 1}
    low, high = (answered["stimulus_id"].map({n: each[at] for n, each in ends.items()}) for at in (0, 1))
    drawn = {n for n, scale in scales.items() if scale.is_drawn}
    cells = ["condition_num", "task_num", "part"]
    placed = answered.assign(place=(answered["mean"] - low) / (high - low))
    listed = placed[~placed["stimulus_id"].isin(drawn)]
    means = {
        basis: {key: _Mean(float(cell.mean()), len(cell)) for key, cell in table.groupby(cells)[column]}
        for basis, table, column in (("answers", placed, "mean"), ("positions", listed, "place"))
    }
    reference = reference_of(corpus.study(study), read_outline(corpus, study).conditions)
    return [
        _row(study, reference, each, means[each.basis])
        for each in human_effects(corpus, study)
        if each.span
        and {(n, each.task_num, each.part) for n in (each.condition_num, reference)}
        <= means[each.basis].keys()
    ]


def _row(study: str, reference: int, effect: HumanEffect, means: Mapping[Any, _Mean]) -> dict[str, Any]:
    item = effect.task_num, effect.part
    treated, base = (means[number, *item] for number in (effect.condition_num, reference))
    span = effect.span or math.nan
    return {
        "study_id": study,
        "task_num": effect.task_num,
        "part": effect.part,
        "outcome": effect.outcome,
        "condition_num": effect.condition_num,
        "condition": effect.condition,
        "reference_num": reference,
        "reference": effect.reference,
        "basis": effect.basis,
        "span": span,
        "human": effect.effect.difference / span,
        "human_se": effect.effect.se / span,
        "n_human": effect.effect.n + effect.effect.n_reference,
        "predicted": (treated.mean - base.mean) / span,
        "n_predicted": treated.n + base.n,
    }
