"""Predicted effects of the held-out people next to those of everybody who took part."""

import math
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.effect_errors import error_covariance
from socrates_core.analysis.effects import predicted_difference
from socrates_core.corpus.queries import Corpus
from socrates_core.records import Floats
from socrates_core.scales.alike import Basis
from socrates_core.studies.answers import PERSON_MEANS, human_effects, read_outline, reference_of

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
    difference of the mean predicted answers of the people asked; all are shares of the item's range. `basis` is that
    of `studies.HumanEffect`, and `span` the range of the answers compared: 1 where they are places on their scales.
    An item without an order has no means and no row, nor has one whose scales differ where answers were drawn.
    """
    answered = rows.dropna(subset=["mean"])
    parts = [row for study, own in answered.groupby("study_id") for row in _of_study(corpus, str(study), own)]
    return pd.DataFrame(parts, columns=COLUMNS)


def error_covariances(corpus: Corpus, rows: pd.DataFrame, effects: pd.DataFrame) -> dict[str, Floats]:
    """For each study, the covariance [2e, 2e] of the errors of its `effects` as `effects_table` lists them.

    People's effects first, with the squares of their standard errors on the diagonal, then the predicted ones, whose
    error is that of who was asked: the spread of predicted means between the people of a condition. All in shares of
    the scale. Correlations are those of the people that effects share.
    """
    answered = rows.dropna(subset=["mean"])
    return {
        str(study): _errors_of_study(corpus, answered[answered["study_id"] == study], of_study)
        for study, of_study in effects.groupby("study_id")
    }


def _errors_of_study(corpus: Corpus, answered: pd.DataFrame, effects: pd.DataFrame) -> Floats:
    study = str(effects["study_id"].iloc[0])
    means = corpus.person_means(study)
    cells = list(zip(means["condition_num"], means["task_num"], means["part"], strict=True))
    people: dict[Basis, dict[Any, pd.Series[float]]] = {
        basis: {
            cell: pd.Series(values, index=participants)
            for cell, participants, values in zip(cells, means["participants"], means[column], strict=True)
        }
        for basis, column in PERSON_MEANS.items()
    }
    placed = _placed(corpus, study, answered)
    keys = ["condition_num", "task_num", "part", "participant"]
    columns: dict[Basis, str] = {"answers": "mean", "positions": "place"}
    predicted: dict[Basis, dict[Any, pd.Series[float]]] = {
        basis: {
            cell: values.droplevel([0, 1, 2])
            for cell, values in placed.groupby(keys)[column].mean().groupby(level=[0, 1, 2])
        }
        for basis, column in columns.items()
    }
    influences: list[pd.Series[float]] = []
    for given in (people, predicted):
        for effect in effects.to_dict("records"):
            item = effect["task_num"], effect["part"]
            sides = [
                given[effect["basis"]].get((effect[side], *item))
                for side in ("condition_num", "reference_num")
            ]
            influences.append(_influence(sides[0], sides[1], span=effect["span"]))
    matrix = pd.concat(influences, axis=1).fillna(0.0).to_numpy(dtype=float)
    noise = np.sqrt((matrix[:, len(effects) :] ** 2).sum(axis=0))
    return error_covariance(matrix, np.concatenate([effects["human_se"].to_numpy(dtype=float), noise]))


def _influence(
    treated: "pd.Series[float] | None", reference: "pd.Series[float] | None", *, span: float
) -> "pd.Series[float]":
    """How far each person moves the difference in means: the sum of squares is the difference's squared error.

    People on both sides move it by the difference of the two. A side of one person says nothing of its spread.
    """
    sides = []
    for values, sign in ((treated, 1), (reference, -1)):
        usable = values.dropna() if values is not None else pd.Series(dtype=float)
        n = len(usable)
        if n > 1:
            sides.append(sign * (usable - usable.mean()) / (span * math.sqrt(n * (n - 1))))
    return pd.concat(sides).groupby(level=0).sum() if sides else pd.Series(dtype=float)


def _placed(corpus: Corpus, study: str, answered: pd.DataFrame) -> pd.DataFrame:
    """The rows with `place`, the mean answer as a place on its scale from 0 to 1."""
    scales = {stimulus.stimulus_id: stimulus.scale for stimulus in corpus.stimuli(study)}
    listed = {number: scale.values for number, scale in scales.items() if len(scale.values) > 1}
    low = answered["stimulus_id"].map({number: values[0] for number, values in listed.items()})
    high = answered["stimulus_id"].map({number: values[-1] for number, values in listed.items()})
    return answered.assign(place=(answered["mean"] - low) / (high - low))


def _of_study(corpus: Corpus, study: str, answered: pd.DataFrame) -> list[dict[str, Any]]:
    scales = {stimulus.stimulus_id: stimulus.scale for stimulus in corpus.stimuli(study)}
    # The same mean answer on its own units and as a place on its scale, for conditions whose scales differ.
    placed = _placed(corpus, study, answered)
    drawn = [number for number, scale in scales.items() if scale.is_drawn]
    cells = ["condition_num", "task_num", "part"]
    predicted = {
        "answers": dict(iter(placed.groupby(cells)["mean"])),
        "positions": dict(iter(placed[~placed["stimulus_id"].isin(drawn)].groupby(cells)["place"])),
    }
    reference = reference_of(corpus.study(study), read_outline(corpus, study).conditions)
    rows = []
    for human in human_effects(corpus, study):
        by_cell = predicted[human.basis]
        treated = by_cell.get((human.condition_num, human.task_num, human.part))
        base = by_cell.get((reference, human.task_num, human.part))
        if not human.span or treated is None or base is None:
            continue
        effect = predicted_difference(treated.to_numpy(), base.to_numpy(), scale_range=human.span)
        rows.append(
            {
                "study_id": study,
                "task_num": human.task_num,
                "part": human.part,
                "outcome": human.outcome,
                "condition_num": human.condition_num,
                "condition": human.condition,
                "reference_num": reference,
                "reference": human.reference,
                "basis": human.basis,
                "span": human.span,
                "human": human.effect.share,
                "human_se": human.effect.se / human.span,
                "n_human": human.effect.n + human.effect.n_reference,
                "predicted": effect.share,
                "n_predicted": effect.n + effect.n_reference,
            }
        )
    return rows
