"""The field's measures of effects and distributions, next to what knows nothing scores. A part of comparison.py."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from comparison_cells import Cell
from comparison_studies import ZERO
from shared import Numbers, moments, read

MIN_EFFECTS = 3
OF_EFFECTS = (
    "direction",
    "spearman",
    "pearson",
    "r_within",
    "r_adjusted",
    "rmse",
    "rmse_adjusted",
    "intercept",
    "slope",
)
OF_SHAPES = ("variance_ratio", "overlap", "ks")


def ladders(folder: Path, cells: dict[int, list[Cell]], models: list[int], numbers: Numbers) -> Numbers:
    """A row for each model, whose effects are among `numbers`, and for the floors, of the first model's effects."""
    listed = read(folder, "effects")
    if listed.empty:
        return {}
    rungs: Numbers = {}
    for p in models:
        rows = [
            (numbers[f"human//{e}"], numbers[f"human_se//{e}"], numbers[f"predicted/{p}/{e}"], item)
            for e, item in zip(listed["effect"], listed["item"], strict=True)
            if f"predicted/{p}/{e}" in numbers
        ]
        table = pd.DataFrame(rows, columns=["human", "error", "predicted", "item"], dtype=float)
        rungs |= {f"ladder_{name}/{p}": x for name, x in (ladder(table) | shapes(cells[p])).items()}
        if p == models[0]:
            rows_of_floors = floors(table)
    for place, row in enumerate(rows_of_floors):
        rungs |= {f"ladder_{name}//{place}": x for name, x in row.items()}
    return rungs


def ladder(table: pd.DataFrame) -> Numbers:
    table = table[np.isfinite(table["human"]) & np.isfinite(table["predicted"])]
    counts = {"n_effects": float(len(table)), "n_outcomes": float(table["item"].nunique())}
    if len(table) < MIN_EFFECTS:
        return dict.fromkeys(OF_EFFECTS, np.nan) | counts
    h, m, item = (table[name].to_numpy() for name in ("human", "predicted", "item"))
    r = correlation(h, m)
    slope = float(r * h.std() / m.std()) if np.isfinite(r) else np.nan
    signs = [np.where(np.abs(x) < ZERO, 0, np.sign(x)) for x in (h, m)]
    r_adjusted, rmse_adjusted = without_noise(table)
    return {
        "direction": float((1 + signs[0] * signs[1]).mean() / 2),
        "spearman": correlation(stats.rankdata(h), stats.rankdata(m)),
        "pearson": r,
        "r_within": correlation(centered(h, item), centered(m, item)),
        "r_adjusted": r_adjusted,
        "rmse": float(np.sqrt(np.mean((h - m) ** 2))),
        "rmse_adjusted": rmse_adjusted,
        "intercept": float(h.mean() - slope * m.mean()),
        "slope": slope,
        **counts,
    }


def without_noise(table: pd.DataFrame) -> tuple[float, float]:
    """The correlation and the miss without people's sampling error, over effects whose error is known."""
    known = table[np.isfinite(table["error"])]
    if len(known) < MIN_EFFECTS:
        return np.nan, np.nan
    h, m = known["human"].to_numpy(), known["predicted"].to_numpy()
    noise, variance = float(np.mean(known["error"] ** 2)), float(h.var(ddof=1))
    miss = float(np.sqrt(max(np.mean((h - m) ** 2) - noise, 0)))
    if variance <= noise:
        return np.nan, miss
    return float(np.clip(correlation(h, m) * np.sqrt(variance / (variance - noise)), -1, 1)), miss


def floors(table: pd.DataFrame) -> list[Numbers]:
    """No effect, all effects positive and of people's mean size, and a second sample of as many people."""
    size = float(table["human"].abs().mean())
    guesses = [table.assign(predicted=0.0), table.assign(predicted=size)]
    return [*map(ladder, guesses), second_sample(table)]


def second_sample(table: pd.DataFrame) -> Numbers:
    """What a second sample is expected to score: its correlation with the first is the reliability of effects."""
    table = table[np.isfinite(table["human"]) & (table["error"] > 0)]
    counts = {"n_effects": float(len(table)), "n_outcomes": float(table["item"].nunique())}
    if len(table) < MIN_EFFECTS:
        return dict.fromkeys(OF_EFFECTS, np.nan) | counts
    h, error, item = (table[name].to_numpy() for name in ("human", "error", "item"))
    noise, variance = float(np.mean(error**2)), float(h.var(ddof=1))
    reliability = max(variance - noise, 0) / variance if variance > 0 else np.nan
    inside = float((centered(h, item) ** 2).sum()) / max(len(h) - counts["n_outcomes"], 1)
    is_within = inside > 0 and len(h) > counts["n_outcomes"]
    true_size = max(float(np.mean(h**2)) - noise, 0)
    shrink = true_size / (true_size + error**2)
    # true effects are normal around 0: the chance that a second measurement has the sign of the first
    same = stats.norm.cdf(np.sign(h) * shrink * h / np.sqrt(shrink * error**2 + error**2))
    return {
        "direction": float(same.mean()),
        "spearman": np.nan,
        "pearson": reliability,
        "r_within": max(inside - noise, 0) / inside if is_within else np.nan,
        "r_adjusted": float(np.sqrt(reliability)),
        "rmse": float(np.sqrt(2 * noise)),
        "rmse_adjusted": float(np.sqrt(noise)),
        "intercept": float(h.mean() * (1 - reliability)),
        "slope": reliability,
        **counts,
    }


def shapes(cells: list[Cell]) -> Numbers:
    """How predicted distributions differ from people's: means over cells, then studies."""
    rows = []
    for cell in cells:
        if not cell.is_ordered or cell.is_open or not cell.answered.any() or cell.counts.sum() <= 1:
            continue
        model, people = cell.shares[cell.answered].mean(axis=0), cell.counts / cell.counts.sum()
        model, n = model / model.sum(), cell.counts.sum()
        of_people = moments(people, cell.values)[1] ** 2 * n / (n - 1)
        rows.append(
            {
                "study": cell.study,
                "variance_ratio": moments(model, cell.values)[1] ** 2 / of_people
                if of_people > 0
                else np.nan,
                "overlap": np.minimum(people, model).sum(),
                "ks": np.abs(np.cumsum(people - model)).max(),
            }
        )
    means = pd.DataFrame(rows, columns=["study", *OF_SHAPES]).groupby("study").mean().mean()
    return {name: float(means[name]) for name in OF_SHAPES}


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's; NaN where one side does not vary beyond rounding."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    largest = max(np.abs(first).max() * np.abs(second).max(), 1e-30) * len(first)
    return float(a @ b) / spread if spread > 1e-12 * largest else np.nan


def centered(effects: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Differences from the mean of each outcome; what is left of equal effects is rounding."""
    apart = effects - pd.Series(effects).groupby(item).transform("mean").to_numpy()
    return np.where(np.abs(apart) > 1e-12 * np.abs(effects).max(), apart, 0.0)
