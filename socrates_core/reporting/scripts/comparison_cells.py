"""The cells of a comparison as each model and baseline sees them, and what is measured of one: see comparison.py."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from socrates_core.reporting.scripts.analysis import distance, moments, read

PAPER = ["wasserstein_observed", "accuracy_draw", "accuracy_draw_clipped"]
ACCURACIES = ["accuracy_median", "accuracy_median_clipped", "accuracy_expected", "accuracy_expected_clipped"]
FLOOR = 1e-6  # the least probability of the log score


class Cell(NamedTuple):
    """A cell as one predictor sees it: values [k], shares [n, k], the arrays after them [n]; NaN is missing."""

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

    @property
    def counts(self) -> np.ndarray:
        """How many people gave each value [k]."""
        return np.asarray(memberships(self.human, self.values).sum(axis=0))

    @property
    def answered(self) -> np.ndarray:
        """Whose answer was predicted [n]."""
        return np.array([np.isfinite(row).all() for row in self.shares], dtype=bool)


def by_predictor(folder: Path, predictors: pd.DataFrame) -> dict[int, list[Cell]]:
    """The cells of every model and baseline; people's halves have none."""
    cells, rows, wide, long, values = (
        read(folder, name) for name in ("cells", "rows", "predicted_wide", "predicted_long", "values")
    )
    rows["at"] = rows.groupby("cell").cumcount()
    people, scales = (
        dict(list(rows.groupby("cell"))),
        dict(list(values.groupby(["predictor", "cell"])["value"])),
    )
    listed = dict(list(long.merge(rows[["row", "cell", "at"]], on="row").groupby(["predictor", "cell"])))
    found: dict[int, list[Cell]] = {}
    for each in predictors.to_dict("records"):
        p, name, is_model = each["predictor"], each["name"], each["kind"] == "model"
        told, own = wide[wide["predictor"] == p].set_index("row"), list[Cell]()
        for cell in cells.to_dict("records") if len(told) else ():
            asked = people[cell["cell"]]
            places = scales[p if is_model else 0, cell["cell"]].to_numpy(dtype=float)
            answers = told.loc[asked["row"]]
            own.append(
                Cell(
                    cell["study"],
                    cell["condition_num"],
                    cell["task_num"],
                    cell["item"],
                    bool(cell["open"]),
                    bool(cell["ordered"]),
                    places,
                    spread(listed.get((p, cell["cell"])), len(asked), places),
                    answers["drawn"].to_numpy(dtype=float),
                    answers["valid_mass"].to_numpy(dtype=float),
                    asked["response"].to_numpy(dtype=float),
                    asked["value"].to_numpy(dtype=float),
                    asked["participant"].to_numpy(),
                )
            )
        known = not is_model and name in ("uniform", "condition-blind", "pooled", "majority")
        found |= {p: alike(own, list(cells["pool"]), name) if known else own} if own else {}
    return found


def memberships(human: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How much of each answer [n] counts for each value [k]: one between two values for both, so that means stay."""
    if len(values) < 2:
        return np.asarray(human[:, None] == values, dtype=float)
    inside = (human >= values[0]) & (human <= values[-1])
    upper = np.clip(np.searchsorted(values, human), 1, len(values) - 1)
    share = (human - values[upper - 1]) / (values[upper] - values[upper - 1])
    found, rows = np.zeros((len(human), len(values))), np.arange(len(human))
    found[rows, upper - 1], found[rows, upper] = 1 - share, share
    return np.where(inside[:, None], found, 0.0)


def spread(told: pd.DataFrame | None, n: int, values: np.ndarray) -> np.ndarray:
    """Listed probabilities as a matrix [n, k]; NaN for people without any."""
    shares = np.full((n, len(values)), np.nan)
    if told is not None:
        at = told["at"].to_numpy()
        shares[at] = 0
        shares[at, np.searchsorted(values, told["value"])] = told["probability"]
    return shares


def alike(cells: list[Cell], pools: list[int], name: str) -> list[Cell]:
    """The cells with a baseline's distribution, which is everybody's: of people who were asked the same question."""
    n = [cell.counts for cell in cells]
    found = []
    for c, cell in enumerate(cells):
        k = len(cell.values)
        with_its_own = name == "pooled"  # the published row; the others know the other conditions alone
        same = [n[i] for i, pool in enumerate(pools) if pool == pools[c] and (with_its_own or i != c)]
        weights = np.ones(k) if name == "uniform" else np.sum([np.zeros(k), *same], axis=0)
        if name == "majority":
            weights = ((weights == weights.max()) & (weights > 0)).astype(float)
        row = weights / weights.sum() if weights.sum() > 0 else np.full(k, np.nan)
        found.append(cell._replace(shares=np.tile(row, (len(cell.human), 1))))
    return found


def published(response: np.ndarray, drawn: np.ndarray) -> dict[str, float]:
    """W of one draw a person in shares of people's observed range, accuracy plain and clipped, n, n dropped."""
    both = np.isfinite(response) & np.isfinite(drawn)
    h, m = response[both], drawn[both]
    found = dict.fromkeys(PAPER, np.nan) | {"n_rows": float(both.sum()), "n_dropped": float((~both).sum())}
    if len(h) >= 2 and h.min() < h.max():
        low, span = h.min(), np.ptp(h)
        inside = np.clip(m, low, h.max())
        w = stats.wasserstein_distance((h - low) / span, (inside - low) / span)
        scores = w, *(1 - np.abs(x - h).mean() / span for x in (m, inside))
        found |= {name: float(x) for name, x in zip(PAPER, scores, strict=True)}
    return found


def score(cell: Cell) -> dict[str, float]:
    """Every measure of one cell."""
    values, human = cell.values, cell.human
    used = np.isfinite(human) & cell.answered
    n = memberships(human[used], values).sum(axis=0)
    told = cell.shares[used].mean(axis=0) if used.any() else np.full(len(values), np.nan)
    listed, drawn = not cell.is_open and len(values) > 1, published(cell.response, cell.drawn)
    on_scale = used & (memberships(human, values).sum(axis=1) > 0)
    found = {
        **{name: drawn[name] for name in PAPER},
        "wasserstein_stated": drawn_on_scale(cell) if listed else np.nan,
        "wasserstein_exact_observed": distance(values, told, n, "observed"),
        "wasserstein_exact_stated": distance(values, told, n, "stated") if listed else np.nan,
        **proper(values, cell.shares[on_scale], human[on_scale], cell.mass),
        "human_mean": float(human[used].mean()) if used.any() else np.nan,
        "predicted_mean": float(told @ values),
        "n_rows": float(on_scale.sum()),
        "n_dropped": float((~on_scale).sum()),
    }
    kept = ("log_score", "brier", "valid_mass", "n_rows", "n_dropped")  # what needs no order
    return {name: x if cell.is_ordered or name in kept else np.nan for name, x in found.items()}


def drawn_on_scale(cell: Cell) -> float:
    both = np.isfinite(cell.human) & np.isfinite(cell.drawn)
    low, span = cell.values[0], np.ptp(cell.values)
    h, m = ((x[both] - low) / span for x in (cell.human, cell.drawn))
    return float(stats.wasserstein_distance(h, np.clip(m, 0, 1))) if both.sum() >= 2 else np.nan


def proper(values: np.ndarray, shares: np.ndarray, human: np.ndarray, mass: np.ndarray) -> dict[str, float]:
    """Scores of one distribution a person as a forecast of that person's answer: `shares` [n, k], `human` [n]."""
    told = mass[np.isfinite(mass)]
    found = dict.fromkeys(["log_score", "ranked_probability", "brier", "sd_ratio", *ACCURACIES], np.nan)
    found["valid_mass"] = float(told.mean()) if len(told) else np.nan
    if not len(human):
        return found
    rows, gaps = shares / shares.sum(axis=1, keepdims=True), np.diff(values)
    given, reached = memberships(human, values), rows.cumsum(axis=1)
    found["log_score"] = float((given * np.log(np.maximum(rows, FLOOR))).sum(axis=1).mean())
    found["brier"] = float(((rows**2).sum(axis=1) - 2 * (given * rows).sum(axis=1) + 1).mean())
    below = given.cumsum(axis=1)[:, :-1]  # below * (1 - below) is 0 but for answers between two values
    missed = ((reached[:, :-1] - below) ** 2 + below * (1 - below)) @ gaps
    found["ranked_probability"] = float(missed.mean() / gaps.sum()) if len(gaps) else np.nan
    low, high = human.min(), human.max()
    if low == high:
        return found
    medians = values[(reached >= reached[:, -1:] / 2 - 1e-12).argmax(axis=1)]
    for end, clipped in {"": False, "_clipped": True}.items():
        middle, places = (np.clip(x, low, high) if clipped else x for x in (medians, values))
        expected = (rows * np.abs(places - human[:, None])).sum(axis=1)
        found[f"accuracy_median{end}"] = 1 - float(np.abs(middle - human).mean() / (high - low))
        found[f"accuracy_expected{end}"] = 1 - float(expected.mean() / (high - low))
    found["sd_ratio"] = moments(rows.mean(axis=0), values)[1] / float(human.std())
    return found
