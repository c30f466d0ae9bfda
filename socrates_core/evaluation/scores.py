"""Every measure of one predictor: cell by cell, then over cells within studies, then over studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.bootstrap import Measure, mean_over_studies
from socrates_core.analysis.halves import expected_half_sample
from socrates_core.analysis.metrics import (
    accuracy,
    exact_wasserstein,
    observed_wasserstein,
    stated_wasserstein,
)
from socrates_core.analysis.proper import MEASURES, score_distributions
from socrates_core.analysis.summary import mean_distribution
from socrates_core.evaluation.cells import EvaluatedCell
from socrates_core.evaluation.predictors import Predictor
from socrates_core.records import Floats

PAPER = (
    "wasserstein_observed",
    "accuracy_draw",
    "accuracy_draw_clipped",
)  # one draw a person, whole outcomes
EXACT = ("wasserstein_stated", "wasserstein_exact_observed", "wasserstein_exact_stated", *MEASURES)
KEY = ["study_id", "condition_num", "task_num"]


@dataclass(frozen=True)
class Summary:
    """A predictor's measures over studies, with the study bootstrap's intervals, and what they rest on.

    `by_study` has one row a study. `n_cells` are those of the published convention (study, condition, outcome);
    `n_dropped` rows lack an answer or a prediction, `n_off_scale` were answered off their scale: these count in the
    published measures and in no other.
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
    """A row a cell with every measure of EXACT, what PAPER measures of the item alone, n and the two means."""
    rows = [
        _score_cell(cell, probabilities, drawn)
        for cell, probabilities, drawn in zip(cells, predictor.probabilities, predictor.drawn, strict=True)
    ]
    scores = pd.DataFrame(rows)
    if predictor.kind == "baseline":
        scores["valid_mass"] = np.nan  # what the cells hold is the model's
    return scores


def _score_cell(cell: EvaluatedCell, probabilities: Floats, drawn: Floats) -> dict[str, Any]:
    values, human = cell.values, cell.human
    answered = np.isfinite(human) & np.isfinite(probabilities).all(axis=1)
    counts = np.array([np.sum(human[answered] == value) for value in values], dtype=float)
    shares = mean_distribution(probabilities[answered])
    listed = not cell.is_drawn and len(values) > 1
    proper = score_distributions(values, probabilities, human, valid_mass=cell.valid_mass)
    low, high = (float(values[0]), float(values[-1])) if listed else (np.nan, np.nan)
    return {
        **dict(zip((*KEY, "part"), cell.key, strict=True)),
        "condition": cell.condition, "outcome": cell.outcome,
        "wasserstein_observed": observed_wasserstein(cell.response, drawn).value,
        "accuracy_draw": accuracy(cell.response, drawn, clipped=False).value,
        "accuracy_draw_clipped": accuracy(cell.response, drawn, clipped=True).value,
        "wasserstein_stated": stated_wasserstein(human, drawn, low=low, high=high).value if listed else np.nan,
        "wasserstein_exact_observed": exact_wasserstein(values, shares, counts, convention="observed"),
        "wasserstein_exact_stated":
            exact_wasserstein(values, shares, counts, convention="stated") if listed else np.nan,
        **{name: getattr(proper, name) for name in MEASURES},
        "human_mean": float(human[answered].mean()) if answered.any() else np.nan,
        "predicted_mean": float(shares @ values), "n_rows": proper.n_rows, "n_dropped": proper.n_dropped,
    }  # fmt: skip


def paper_cells(cells: Sequence[EvaluatedCell], predictor: Predictor) -> pd.DataFrame:
    """A row a (study, condition, outcome) with the measures of PAPER: every response as observed, batteries pooled."""
    rows = []
    whole = zip(cells, predictor.drawn, strict=True)
    for key, group in groupby(whole, key=lambda pair: pair[0].key[:3]):
        own = list(group)
        response = np.concatenate([cell.response for cell, _ in own])
        drawn = np.concatenate([draws for _, draws in own])
        found = observed_wasserstein(response, drawn)
        rows.append({
            **dict(zip(KEY, key, strict=True)), "wasserstein_observed": found.value,
            "accuracy_draw": accuracy(response, drawn, clipped=False).value,
            "accuracy_draw_clipped": accuracy(response, drawn, clipped=True).value,
            "n_rows": found.n_rows, "n_dropped": found.n_dropped,
        })  # fmt: skip
    return pd.DataFrame(rows)


def summarise(cells: Sequence[EvaluatedCell], predictor: Predictor, *, seed: int) -> Summary:
    """The measures of a predictor: cells within studies, then studies, all unweighted."""
    exact, paper = score_cells(cells, predictor), paper_cells(cells, predictor)
    by_study = (
        paper.groupby("study_id")[list(PAPER)].mean().join(exact.groupby("study_id")[list(EXACT)].mean())
    )
    scored = paper["wasserstein_observed"].notna()
    return Summary(
        predictor.name, predictor.kind, _over_studies(by_study, seed=seed), by_study, len(by_study), int(scored.sum()),
        int((~scored).sum()), int(paper.loc[scored, "n_rows"].sum()), int(paper["n_dropped"].sum()),
        sum(cell.n_off_scale for cell in cells),
    )  # fmt: skip


def summarise_halves(cells: Sequence[EvaluatedCell], *, seed: int) -> Summary:
    """People against people: the mean W over all halvings of every cell, as the row to come close to."""
    rows = []
    for cell in cells:
        span = float(np.ptp(cell.values)) if len(cell.values) else 0.0
        stated = np.nan if cell.is_drawn or not span else span
        rows.append({
            "study_id": cell.study_id, "n": int(cell.counts.sum()),
            "wasserstein_exact_observed": expected_half_sample(cell.counts, cell.values),
            "wasserstein_exact_stated":
                expected_half_sample(cell.counts, cell.values, scale_range=stated) if stated > 0 else np.nan,
        })  # fmt: skip
    table = pd.DataFrame(rows)
    by_study = table.groupby("study_id")[["wasserstein_exact_observed", "wasserstein_exact_stated"]].mean()
    scored = table["wasserstein_exact_observed"].notna()
    return Summary(
        "half-sample", "baseline", _over_studies(by_study, seed=seed), by_study, len(by_study), int(scored.sum()),
        int((~scored).sum()), int(table.loc[scored, "n"].sum()), 0, sum(cell.n_off_scale for cell in cells),
    )  # fmt: skip


def _over_studies(by_study: pd.DataFrame, *, seed: int) -> dict[str, Measure]:
    return {str(name): mean_over_studies(by_study[name].to_numpy(), seed=seed) for name in by_study.columns}
