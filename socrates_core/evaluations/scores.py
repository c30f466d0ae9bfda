"""Every measure of one predictor: by cell, then averaged over cells within studies, then over studies."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.bootstrap import SEED, Measure, mean_over_studies
from socrates_core.analysis.cells import CONVENTIONS
from socrates_core.analysis.corrected import corrected_distance, distance_of_half
from socrates_core.analysis.metrics import (
    accuracy,
    draw_with,
    exact_wasserstein,
    observed_wasserstein,
    stated_wasserstein,
)
from socrates_core.analysis.proper import MEASURES, score_distributions
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.evaluations.predictors import Predictor
from socrates_core.records import Floats

PAPER = (
    "wasserstein_observed",
    "accuracy_draw",
    "accuracy_draw_clipped",
)  # one draw a person, whole outcomes
EXACT = (
    "corrected_distance",
    "wasserstein_stated",
    "wasserstein_exact_observed",
    "wasserstein_exact_stated",
    *MEASURES,
)
DRAWS = 50  # answers drawn for each person, to see how much a single one decides
# What pairs are judged by, and whether lower is better. The luck of a single draw decides nothing.
JUDGED = {
    "corrected_distance": True,
    "wasserstein_exact_stated": True,
    "wasserstein_exact_observed": True,
    "log_score": False,
    "ranked_probability": True,
}
KEY = ["study_id", "condition_num", "task_num"]
# Measures that need an order. PAPER is among them only for single cells: over whole outcomes the published measures
# treat every answer as a number, and so must those that are compared with them.
OF_ORDER = (
    *PAPER,
    *(name for name in EXACT if name not in ("corrected_distance", "log_score", "brier", "valid_mass")),
    "human_mean",
    "predicted_mean",
)


@dataclass(frozen=True)
class Spread:
    """The mean of a measure over DRAWS draws of everybody's answers, and the standard deviation of a single draw."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Summary:
    """A predictor's measures over studies with intervals over studies, and the counts behind them.

    `by_study` has one row a study; `n_studies` counts those with a published W, `n_scored` those with each measure.
    `n_cells` are those of the published convention (study, condition, outcome). `n_rows` people were asked and have
    an answer and a prediction, `n_dropped` lack one; what they are compared with are `n_people` answers of everybody.
    `n_off_scale` rows were answered off their scale: they count in the published measures and in no other. `draws`
    has the measures of PAPER over DRAWS draws a person instead of one. `note` says on which of the others' cells it has
    no score, and why; empty for most.
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
    n_people: int
    draws: Mapping[str, Spread]
    note: str = ""

    @property
    def n_scored(self) -> dict[str, int]:
        """How many studies have each measure."""
        return {str(name): int(n) for name, n in self.by_study.notna().sum().items()}


def score_cells(cells: Sequence[EvaluatedCell], predictor: Predictor) -> pd.DataFrame:
    """A row a cell: every measure of EXACT, those of PAPER for the item alone, n and the two means.

    Distances, spreads and means compare predicted shares with everybody in the cell. What is scored person by person
    (PAPER, the proper scores and accuracies, W of one draw) takes the people who were asked.
    """
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
    counts = cell.counts
    shares = mean_distribution(probabilities)
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
        "corrected_distance": corrected_distance(
            values, shares, cell.everybody, cell.people, is_ordered=cell.is_ordered
        )
        if listed
        else np.nan,
        **{name: getattr(proper, name) for name in MEASURES},
        "sd_ratio": _sd_ratio(cell, shares),
        "human_mean": float(cell.everybody.mean()) if cell.everybody.size else np.nan,
        "predicted_mean": float(shares @ values),
        "n_people": cell.n_people,
        "n_rows": proper.n_rows,
        "n_dropped": proper.n_dropped,
    }
    return scores if cell.is_ordered else scores | dict.fromkeys(OF_ORDER, np.nan)


def _sd_ratio(cell: EvaluatedCell, shares: Floats) -> float:
    """The spread of the predicted shares over that of everybody's answers."""
    spread = float(cell.everybody.std()) if cell.everybody.size else 0.0
    return moments(shares, cell.values).sd / spread if spread > 0 else np.nan


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
        sum(cell.everybody.size for cell in cells),
        draw_again(cells, predictor),
    )


def draw_again(cells: Sequence[EvaluatedCell], predictor: Predictor) -> dict[str, Spread]:
    """The measures of PAPER for DRAWS draws of everybody's answers.

    All predictors are drawn with the same random numbers, so that their differences are not luck.
    """
    levels = [
        np.random.default_rng([SEED, place]).random((len(cell.human), DRAWS))
        for place, cell in enumerate(cells)
    ]
    answers = [
        draw_with(shares, cell.values, level)
        for shares, cell, level in zip(predictor.probabilities, cells, levels, strict=True)
    ]
    scores = []
    places = groupby(range(len(cells)), key=lambda place: cells[place].key[:3])
    for (study, *_), of_outcome in places:
        together = list(of_outcome)
        response = np.concatenate([cells[place].response for place in together])
        drawn = np.concatenate([answers[place] for place in together])
        scores.append((study, _paper_of_draws(response, drawn)))
    studies = np.array([study for study, _ in scores])
    # Cells within studies, then studies, as the published measures; a cell without a range has none.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        by_study = [
            np.nanmean([score for name, score in scores if name == study], axis=0)
            for study in np.unique(studies)
        ]
        over_studies = np.nanmean(by_study, axis=0)
    return {
        name: Spread(float(over_studies[place].mean()), float(over_studies[place].std(ddof=1)))
        for place, name in enumerate(PAPER)
    }


def _paper_of_draws(response: Floats, drawn: Floats) -> Floats:
    """The measures of PAPER [3, d] of one outcome's `response` [n] and answers `drawn` [n, d]; NaN without a range."""
    both = np.isfinite(response) & np.isfinite(drawn).all(axis=1)
    h, m = response[both], drawn[both]
    if h.size < 2 or h.min() == h.max():
        return np.full((len(PAPER), drawn.shape[1]), np.nan)
    low, span = h.min(), np.ptp(h)
    inside = np.clip(m, low, h.max())
    # As many draws as answers: W is the mean distance of the two in order.
    distance = np.abs(np.sort(h)[:, None] - np.sort(inside, axis=0)).mean(axis=0)
    plain, clipped = (np.abs(answers - h[:, None]).mean(axis=0) for answers in (m, inside))
    return np.asarray([distance / span, 1 - plain / span, 1 - clipped / span])


def summarise_people(cells: Sequence[EvaluatedCell]) -> list[Summary]:
    """What people's own answers score: half of the people of a cell against the other half, and the oracle.

    The first is the mean W over all halvings of every cell; a person's answers stay in one half. The oracle is the W
    of the true distribution to as many people as answered. No prediction has a lower W on average, so it shows how
    much of a model's W is only the noise of a small sample. Its corrected distance is 0, that of a half is what so few
    people miss by.
    """
    return [_people_summary("half-sample", cells, _halves), _people_summary("oracle", cells, _oracle)]


_HALVED = ["wasserstein_exact_observed", "wasserstein_exact_stated", "corrected_distance"]


def _halves(cell: EvaluatedCell) -> dict[str, Any]:
    corrected = math.nan
    if not cell.is_drawn:
        corrected = distance_of_half(cell.values, cell.everybody, cell.people, is_ordered=cell.is_ordered)
    return _of_people(cell, [cell.half_sample(convention) for convention in CONVENTIONS], corrected)


def _oracle(cell: EvaluatedCell) -> dict[str, Any]:
    corrected = 0.0 if not cell.is_drawn and cell.n_people >= 4 and len(cell.values) > 1 else math.nan
    return _of_people(cell, [cell.oracle(convention) for convention in CONVENTIONS], corrected)


def _of_people(cell: EvaluatedCell, distances: Sequence[float | None], corrected: float) -> dict[str, Any]:
    scores = [*(math.nan if distance is None else distance for distance in distances), corrected]
    return {"study_id": cell.study_id, "n": cell.n_people, **dict(zip(_HALVED, scores, strict=True))}


def _people_summary(
    name: str, cells: Sequence[EvaluatedCell], scores_of: Callable[[EvaluatedCell], dict[str, Any]]
) -> Summary:
    """The summary of what people's answers score. Cells are counted as for every other row: whole outcomes."""
    table = pd.DataFrame([scores_of(cell) for cell in cells])
    by_study = table.groupby("study_id")[_HALVED].mean()
    scored = []
    outcomes = groupby(range(len(cells)), key=lambda place: cells[place].key[:3])
    for (study, *_), of_outcome in outcomes:
        places = list(of_outcome)
        response = np.concatenate([cells[place].response for place in places])
        has_range = math.isfinite(observed_wasserstein(response, response).value)
        if has_range and table.loc[places, _HALVED].notna().any(axis=None):
            scored.append((study, table.loc[places, "n"].sum()))
    n_outcomes = len({cell.key[:3] for cell in cells})
    return Summary(
        name=name,
        kind="baseline",
        measures=_over_studies(by_study),
        by_study=by_study,
        n_studies=len({study for study, _ in scored}),
        n_cells=len(scored),
        n_skipped=n_outcomes - len(scored),
        n_rows=int(sum(n for _, n in scored)),
        n_dropped=0,
        n_off_scale=sum(cell.n_off_scale for cell in cells),
        n_people=sum(cell.everybody.size for cell in cells),
        draws={},
        note=_too_few_people(cells, table),
    )


def _too_few_people(cells: Sequence[EvaluatedCell], table: pd.DataFrame) -> str:
    """Which cells people's halves leave out that predictions are scored on; empty where there are none such."""
    given = [
        cell.is_ordered and math.isfinite(_distance_of_uniform(cell)) and not math.isfinite(score)
        for cell, score in zip(cells, table[_HALVED[0]], strict=True)
    ]
    n = sum(given)
    if not n:
        return ""
    where = "1 question in one condition" if n == 1 else f"{n} questions in one condition each"
    return f"not on {where}, where fewer than four people answered and cannot be halved"


def _distance_of_uniform(cell: EvaluatedCell) -> float:
    return exact_wasserstein(cell.values, np.ones(len(cell.values)), cell.counts, convention="observed")


def _over_studies(by_study: pd.DataFrame) -> dict[str, Measure]:
    return {str(name): mean_over_studies(by_study[name].to_numpy()) for name in by_study.columns}
