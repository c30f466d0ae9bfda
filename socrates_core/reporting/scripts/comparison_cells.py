"""The cells of a comparison as each model and baseline sees them, and what is measured of one: see comparison.py."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from shared import distance, memberships, moments, read

PAPER = ["wasserstein_observed", "accuracy_draw", "accuracy_draw_clipped"]
ACCURACIES = ["accuracy_median", "accuracy_median_clipped", "accuracy_expected", "accuracy_expected_clipped"]
FLOOR = 1e-6  # the least probability of the log score


class Cell(NamedTuple):
    """A cell as one predictor sees it: values [k], shares [n, k], the arrays after them [n] of those
    asked, the last two of everybody; NaN is missing."""

    study: int
    condition_num: int
    task_num: int
    item: int
    is_open: bool
    is_ordered: bool
    values: np.ndarray
    shares: np.ndarray
    drawn: np.ndarray
    mass: np.ndarray
    response: np.ndarray
    human: np.ndarray
    participant: np.ndarray
    everybody: np.ndarray
    people: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """How many of everybody gave each value [k]."""
        return np.asarray(memberships(self.everybody, self.values).sum(axis=0))

    @property
    def n_people(self) -> int:
        return len(np.unique(self.people))

    @property
    def answered(self) -> np.ndarray:
        """Whose answer was predicted [n]."""
        return np.array([np.isfinite(row).all() for row in self.shares], dtype=bool)


def by_predictor(folder: Path, predictors: pd.DataFrame) -> dict[int, list[Cell]]:
    """The cells of every model and baseline; people's halves have none."""
    cells, rows, wide, long, values = (
        read(folder, name) for name in ("cells", "rows", "predicted_wide", "predicted_long", "values")
    )
    everybody = dict(list(read(folder, "people").groupby("cell")))
    rows["at"] = rows.groupby("cell").cumcount()
    people = dict(list(rows.groupby("cell")))
    scales = dict(list(values.groupby(["predictor", "cell"])["value"]))
    listed = dict(list(long.merge(rows[["row", "cell", "at"]], on="row").groupby(["predictor", "cell"])))
    seen_by: dict[int, list[Cell]] = {}
    for predictor in predictors.to_dict("records"):
        p, name, is_model = predictor["predictor"], predictor["name"], predictor["kind"] == "model"
        predicted = wide[wide["predictor"] == p].set_index("row")
        if predicted.empty:
            continue
        seen = list[Cell]()
        for cell in cells.to_dict("records"):
            people_rows = people[cell["cell"]]
            places = scales[p if is_model else 0, cell["cell"]].to_numpy(dtype=float)
            answers = predicted.loc[people_rows["row"]]
            seen.append(
                Cell(
                    cell["study"],
                    cell["condition_num"],
                    cell["task_num"],
                    cell["item"],
                    bool(cell["open"]),
                    bool(cell["ordered"]),
                    places,
                    spread(listed.get((p, cell["cell"])), len(people_rows), places),
                    answers["drawn"].to_numpy(dtype=float),
                    answers["valid_mass"].to_numpy(dtype=float),
                    people_rows["response"].to_numpy(dtype=float),
                    people_rows["value"].to_numpy(dtype=float),
                    people_rows["participant"].to_numpy(),
                    everybody[cell["cell"]]["value"].to_numpy(dtype=float),
                    everybody[cell["cell"]]["participant"].to_numpy(),
                )
            )
        if not is_model and name in ("uniform", "condition-blind", "pooled", "majority"):
            seen = alike(seen, list(cells["pool"]), name)
        seen_by[p] = seen
    return seen_by


def spread(listed: pd.DataFrame | None, n: int, values: np.ndarray) -> np.ndarray:
    """Listed probabilities as a matrix [n, k]; NaN for people without any."""
    shares = np.full((n, len(values)), np.nan)
    if listed is not None:
        at = listed["at"].to_numpy()
        shares[at] = 0
        shares[at, np.searchsorted(values, listed["value"])] = listed["probability"]
    return shares


def alike(cells: list[Cell], pools: list[int], name: str) -> list[Cell]:
    """The cells with a baseline's distribution, one for everybody, from people who were asked the same question."""
    n = [cell.counts for cell in cells]
    # The published row pools all conditions; other baselines must not see the condition that they predict.
    includes_itself = name == "pooled"
    baseline = []
    for c, cell in enumerate(cells):
        k = len(cell.values)
        same = [n[i] for i, pool in enumerate(pools) if pool == pools[c] and (includes_itself or i != c)]
        weights = np.ones(k) if name == "uniform" else np.sum([np.zeros(k), *same], axis=0)
        if name == "majority":
            weights = ((weights == weights.max()) & (weights > 0)).astype(float)
        if name in ("condition-blind", "majority") and not weights.sum() > 0:
            weights = np.ones(k)  # asked in no other condition: a guess
        row = weights / weights.sum() if weights.sum() > 0 else np.full(k, np.nan)
        baseline.append(cell._replace(shares=np.tile(row, (len(cell.human), 1))))
    return baseline


def published(response: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """W of one draw a person in shares of people's observed range, accuracy plain and clipped, n, n dropped."""
    both = np.isfinite(response) & np.isfinite(drawn)
    h, m = response[both], drawn[both]
    scores = dict.fromkeys(PAPER, np.nan) | {"n_rows": float(both.sum()), "n_dropped": float((~both).sum())}
    if len(h) >= 2 and h.min() < h.max():
        low, span = h.min(), np.ptp(h)
        inside = np.clip(m, low, h.max())
        w = stats.wasserstein_distance((h - low) / span, (inside - low) / span)
        scores["wasserstein_observed"] = float(w)
        scores["accuracy_draw"] = float(1 - np.abs(m - h).mean() / span)
        scores["accuracy_draw_clipped"] = float(1 - np.abs(inside - h).mean() / span)
    return scores


def score(cell: Cell) -> dict[str, float]:
    """Every measure of one cell."""
    values, human = cell.values, cell.human
    used = np.isfinite(human) & cell.answered
    n = cell.counts
    predicted = (
        cell.shares[cell.answered].mean(axis=0) if cell.answered.any() else np.full(len(values), np.nan)
    )
    listed = not cell.is_open and len(values) > 1
    drawn = published(cell.response, cell.drawn)
    on_scale = used & (memberships(human, values).sum(axis=1) > 0)
    scores = {
        **{name: drawn[name] for name in PAPER},
        "corrected_distance": corrected_distance(cell, predicted) if listed else np.nan,
        "wasserstein_stated": drawn_on_scale(cell) if listed else np.nan,
        "wasserstein_exact_observed": distance(values, predicted, n, "observed"),
        "wasserstein_exact_stated": distance(values, predicted, n, "stated") if listed else np.nan,
        **proper(values, cell.shares[on_scale], human[on_scale], cell.mass),
        "sd_ratio": sd_ratio(cell, predicted),
        "human_mean": float(cell.everybody.mean()) if len(cell.everybody) else np.nan,
        "predicted_mean": float(predicted @ values),
        "n_people": float(cell.n_people),
        "n_rows": float(on_scale.sum()),
        "n_dropped": float((~on_scale).sum()),
    }
    if cell.is_ordered:
        return scores
    needs_no_order = (
        "corrected_distance",
        "log_score",
        "brier",
        "valid_mass",
        "n_people",
        "n_rows",
        "n_dropped",
    )
    return {name: x if name in needs_no_order else np.nan for name, x in scores.items()}


def sd_ratio(cell: Cell, predicted: np.ndarray) -> float:
    """The spread of the predicted shares over that of everybody's answers."""
    spread = float(cell.everybody.std()) if len(cell.everybody) else 0.0
    return moments(predicted, cell.values)[1] / spread if spread > 0 else np.nan


def corrected_distance(cell: Cell, predicted: np.ndarray) -> float:
    """The squared distance of shares to those of all such people: without the variance of a mean of so many."""
    if not predicted.sum() > 0 or not len(cell.everybody):
        return np.nan
    weights, seen = measured(cell)
    shares = predicted / predicted.sum()
    expected = shares.cumsum()[:-1] if cell.is_ordered else shares
    return float(weights @ ((expected - seen.mean(axis=0)) ** 2 - variance_of_mean(seen, cell.people)))


def measured(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    given = memberships(cell.everybody, cell.values)
    if not cell.is_ordered:
        return np.full(len(cell.values), 0.5), given
    return np.diff(cell.values) / np.ptp(cell.values), given.cumsum(axis=1)[:, :-1]


def variance_of_mean(rows: np.ndarray, people: np.ndarray) -> np.ndarray:
    """The variance [m] of the mean of rows [n, m]; what one person's rows miss by is added up first."""
    residuals = pd.DataFrame(rows - rows.mean(axis=0)).groupby(people).sum().to_numpy()
    n = len(residuals)
    if n < 2:
        return np.full(rows.shape[1], np.nan)
    return np.asarray((residuals**2).sum(axis=0) / (len(rows) / n) ** 2 / (n - 1) / n)


def drawn_on_scale(cell: Cell) -> float:
    both = np.isfinite(cell.human) & np.isfinite(cell.drawn)
    low, span = cell.values[0], np.ptp(cell.values)
    h, m = ((x[both] - low) / span for x in (cell.human, cell.drawn))
    return float(stats.wasserstein_distance(h, np.clip(m, 0, 1))) if both.sum() >= 2 else np.nan


def proper(values: np.ndarray, shares: np.ndarray, human: np.ndarray, mass: np.ndarray) -> dict[str, float]:
    """Scores of one distribution a person as a forecast of that person's answer: `shares` [n, k], `human` [n]."""
    known_mass = mass[np.isfinite(mass)]
    scores = dict.fromkeys(["log_score", "ranked_probability", "brier", *ACCURACIES], np.nan)
    scores["valid_mass"] = float(known_mass.mean()) if len(known_mass) else np.nan
    if not len(human):
        return scores
    rows, gaps = shares / shares.sum(axis=1, keepdims=True), np.diff(values)
    given, reached = memberships(human, values), rows.cumsum(axis=1)
    scores["log_score"] = float((given * np.log(np.maximum(rows, FLOOR))).sum(axis=1).mean())
    scores["brier"] = float(((rows**2).sum(axis=1) - 2 * (given * rows).sum(axis=1) + 1).mean())
    below = given.cumsum(axis=1)[:, :-1]  # below * (1 - below) is 0 but for answers between two values
    missed = ((reached[:, :-1] - below) ** 2 + below * (1 - below)) @ gaps
    scores["ranked_probability"] = float(missed.mean() / gaps.sum()) if len(gaps) else np.nan
    low, high = human.min(), human.max()
    if low == high:
        return scores
    medians = values[(reached >= reached[:, -1:] / 2 - 1e-12).argmax(axis=1)]
    for end, clipped in {"": False, "_clipped": True}.items():
        middle, places = (np.clip(x, low, high) if clipped else x for x in (medians, values))
        expected = (rows * np.abs(places - human[:, None])).sum(axis=1)
        scores[f"accuracy_median{end}"] = 1 - float(np.abs(middle - human).mean() / (high - low))
        scores[f"accuracy_expected{end}"] = 1 - float(expected.mean() / (high - low))
    return scores
