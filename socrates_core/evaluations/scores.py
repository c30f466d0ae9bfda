"""Every measure of one predictor: by cell, then averaged over cells within studies, then over studies."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.baselines import expected_oracle
from socrates_core.analysis.bootstrap import Measure, mean_over_studies
from socrates_core.analysis.cells import CONVENTIONS
from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.metrics import (
    accuracy,
    exact_wasserstein,
    observed_wasserstein,
    stated_wasserstein,
)
from socrates_core.analysis.proper import MEASURES, score_distributions
from socrates_core.analysis.summary import mean_distribution
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.evaluations.predictors import Predictor
from socrates_core.records import Floats

PAPER = (
    "wasserstein_observed",
    "accuracy_draw",
    "accuracy_draw_clipped",
)  # one draw a person, whole outcomes
EXACT = ("wasserstein_stated", "wasserstein_exact_observed", "wasserstein_exact_stated", *MEASURES)
KEY = ["study_id", "condition_num", "task_num"]
# Measures that need an order. PAPER is among them only for single cells: over whole outcomes the published measures
# treat every answer as a number, and so must those that are compared with them.
OF_ORDER = (
    *PAPER,
    *(name for name in EXACT if name not in ("log_score", "brier", "valid_mass")),
    "human_mean",
    "predicted_mean",
)


@dataclass(frozen=True)
class Summary:
    """A predictor's measures over studies with intervals over studies, and the counts behind them.

    `by_study` has one row a study; `n_studies` counts those with a W. `n_cells` are those of the published convention
    (study, condition, outcome). `n_dropped` rows lack an answer or a prediction. `n_off_scale` rows were answered off
    their scale: they count in the published measures and in no other.
    """

    name: str
    kind: str
    measures: Mapping[str, Measure]
    by_study: pd.DataFrame
    n_studies: int
    n_cells: int
    n_skipped: int
    n_rows: int
    n_dropped: int
    n_off_scale: int


def score_cells(cells: Sequence[EvaluatedCell], predictor: Predictor) -> pd.DataFrame:
    """A row a cell: every measure of EXACT, those of PAPER for the item alone, n and the two means."""
    rows = [
        _score_cell(cell, probabilities, drawn)
        for cell, probabilities, drawn in zip(cells, predictor.probabilities, predictor.drawn, strict=True)
    ]
    scores = pd.DataFrame(rows)
    if predictor.kind == "baseline":
        scores["valid_mass"] = np.nan  # what the cells hold is the model's
    return scores


def _score_cell(cell: EvaluatedCell, probabilities: Floats, drawn: Floats) -> dict[str, Any]:
    values = cell.values
    human = cell.human
    answered = np.isfinite(human) & np.isfinite(probabilities).all(axis=1)
    counts = memberships(human[answered], values).sum(axis=0)
    shares = mean_distribution(probabilities[answered])
    listed = not cell.is_drawn and len(values) > 1
    proper = score_distributions(values, probabilities, human, valid_mass=cell.valid_mass)
    low, high = (float(values[0]), float(values[-1])) if listed else (np.nan, np.nan)
    scores = {
        **dict(zip((*KEY, "part"), cell.key, strict=True)),
        "condition": cell.condition,
        "outcome": cell.outcome,
        # As published: every response counts, those off the scale too. What follows is on the scale alone.
        "wasserstein_observed": observed_wasserstein(cell.response, drawn).value,
        "accuracy_draw": accuracy(cell.response, drawn, clipped=False).value,
        "accuracy_draw_clipped": accuracy(cell.response, drawn, clipped=True).value,
        "wasserstein_stated": stated_wasserstein(human, drawn, low=low, high=high).value
        if listed
        else np.nan,
        "wasserstein_exact_observed": exact_wasserstein(values, shares, counts, convention="observed"),
        "wasserstein_exact_stated": exact_wasserstein(values, shares, counts, convention="stated")
        if listed
        else np.nan,
        **{name: getattr(proper, name) for name in MEASURES},
        "human_mean": float(human[answered].mean()) if answered.any() else np.nan,
        "predicted_mean": float(shares @ values),
        "n_rows": proper.n_rows,
        "n_dropped": proper.n_dropped,
    }
    return scores if cell.is_ordered else scores | dict.fromkeys(OF_ORDER, np.nan)


def paper_cells(cells: Sequence[EvaluatedCell], predictor: Predictor) -> pd.DataFrame:
    """A row a (study, condition, outcome) with the measures of PAPER: every response as observed, batteries pooled."""
    rows = []
    whole = zip(cells, predictor.drawn, strict=True)
    for key, group in groupby(whole, key=lambda pair: pair[0].key[:3]):
        of_outcome = list(group)
        response = np.concatenate([cell.response for cell, _ in of_outcome])
        drawn = np.concatenate([draws for _, draws in of_outcome])
        distance = observed_wasserstein(response, drawn)
        rows.append(
            {
                **dict(zip(KEY, key, strict=True)),
                "wasserstein_observed": distance.value,
                "accuracy_draw": accuracy(response, drawn, clipped=False).value,
                "accuracy_draw_clipped": accuracy(response, drawn, clipped=True).value,
                "n_rows": distance.n_rows,
                "n_dropped": distance.n_dropped,
            }
        )
    return pd.DataFrame(rows)


def summarise(cells: Sequence[EvaluatedCell], predictor: Predictor) -> Summary:
    """The measures of a predictor: cells within studies, then studies, all unweighted."""
    exact, paper = score_cells(cells, predictor), paper_cells(cells, predictor)
    by_study = (
        paper.groupby("study_id")[list(PAPER)].mean().join(exact.groupby("study_id")[list(EXACT)].mean())
    )
    scored = paper["wasserstein_observed"].notna()
    return Summary(
        predictor.name,
        predictor.kind,
        _over_studies(by_study),
        by_study,
        int(by_study["wasserstein_observed"].notna().sum()),
        int(scored.sum()),
        int((~scored).sum()),
        int(paper.loc[scored, "n_rows"].sum()),
        int(paper["n_dropped"].sum()),
        sum(cell.n_off_scale for cell in cells),
    )


def summarise_people(cells: Sequence[EvaluatedCell]) -> list[Summary]:
    """What people's own answers score: half of a cell against the other half, and the oracle.

    The first is the mean W over all halvings of every cell. The oracle is the W of the true distribution to as many
    people as answered. No prediction has a lower W on average, so it shows how much of a model's W is only the noise
    of a small sample.
    """
    table = pd.DataFrame([_halves(cell) for cell in cells])
    oracle = table.assign(**{name: table[name].map(expected_oracle) for name in _HALVED})
    return [
        _people_summary("half-sample", cells, table),
        _people_summary("oracle", cells, oracle),
    ]


_HALVED = ["wasserstein_exact_observed", "wasserstein_exact_stated"]


def _halves(cell: EvaluatedCell) -> dict[str, Any]:
    counted = cell.counted()
    halves = [counted.half_sample(convention) for convention in CONVENTIONS]
    scores = [math.nan if half is None else half for half in halves]
    return {"study_id": cell.study_id, "n": counted.n_people, **dict(zip(_HALVED, scores, strict=True))}


def _people_summary(name: str, cells: Sequence[EvaluatedCell], table: pd.DataFrame) -> Summary:
    by_study = table.groupby("study_id")[_HALVED].mean()
    scored = table[_HALVED[0]].notna()
    return Summary(
        name=name,
        kind="baseline",
        measures=_over_studies(by_study),
        by_study=by_study,
        n_studies=int(by_study[_HALVED[0]].notna().sum()),
        n_cells=int(scored.sum()),
        n_skipped=int((~scored).sum()),
        n_rows=int(table.loc[scored, "n"].sum()),
        n_dropped=0,
        n_off_scale=sum(cell.n_off_scale for cell in cells),
    )


def _over_studies(by_study: pd.DataFrame) -> dict[str, Measure]:
    return {str(name): mean_over_studies(by_study[name].to_numpy()) for name in by_study.columns}
