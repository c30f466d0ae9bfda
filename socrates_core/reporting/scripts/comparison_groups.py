"""What depends on who the people are: a model's worth in respondents, and scores of groups; see comparison.py."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from socrates_core.reporting.scripts.analysis import Found, read
from socrates_core.reporting.scripts.comparison_cells import Cell, memberships
from socrates_core.reporting.scripts.comparison_studies import MIN_STUDIES, bootstrap, ends, ratio

LEAST = 2  # the smallest number of respondents that is told apart
MIN_PEOPLE = 30  # a smaller group is not compared
DRAWS = 400  # resamples of people


def worth(folder: Path, p: int, cells: list[Cell]) -> Found:
    """How many respondents a cell a model is worth: what one person misses by over what the model misses by."""
    cells = [cell for cell in cells if cell.is_ordered]
    used = [cell.answered & (memberships(cell.human, cell.values).sum(axis=1) > 0) for cell in cells]
    scored = [
        (cell, rows)
        for cell, rows in zip(cells, used, strict=True)
        if len(cell.values) > 1 and rows.sum() > 1
    ]
    sizes = [int(rows.sum()) for _, rows in scored]
    most = int(np.median(sizes)) if sizes else 0
    sums = study_errors(scored)
    share, low, high = bootstrap(folder, sums, ratio)
    if len(sums) < MIN_STUDIES:
        margin = jackknife(folder, p, scored)
        low, high = share - margin, share + margin
    n_dropped = sum((cell.answered & ~rows).sum() for cell, rows in zip(cells, used, strict=True))
    told = {
        "most": most,
        "n_studies": len(sums),
        "n_cells": len(sizes),
        "n_skipped": len(cells) - len(sizes),
        "n_rows": sum(sizes),
        "n_dropped": n_dropped,
    }
    found = {f"worth_{name}/{p}": float(x) for name, x in told.items()}
    return found | ends("worth", str(p), (people(share, most), people(high, most), people(low, most)))


def people(share: float, most: int) -> float:
    if np.isnan(share):
        return np.nan
    return float(min(max(1 / share, LEAST), most)) if share > 0 else float(most)


def study_errors(scored: list[tuple[Cell, np.ndarray]]) -> np.ndarray:
    """The mean error of a person and of the model [s, 2] over each study's cells, by the rows [n] of each."""
    found: dict[int, list[tuple[float, float]]] = {}
    for cell, rows in scored:
        gaps, n = np.diff(cell.values) / np.ptp(cell.values), rows.sum()
        told = cell.shares[cell.answered].mean(axis=0)
        each = memberships(cell.human[rows], cell.values).cumsum(axis=1)[:, :-1]
        below = each.mean(axis=0)
        spread = float(gaps @ ((each**2).mean(axis=0) - below**2))
        missed = float(gaps @ (told.cumsum()[:-1] / told.sum() - below) ** 2)
        found.setdefault(cell.study, []).append((spread * n / (n - 1), missed - spread / (n - 1)))
    return np.array([np.mean(own, axis=0) for own in found.values()]).reshape(-1, 2)


def jackknife(folder: Path, p: int, scored: list[tuple[Cell, np.ndarray]]) -> float:
    """Half the t interval of the ratio from leaving groups of people out in turn."""
    table = read(folder, "people_left_out")
    table = table[table["predictor"] == p]
    found = []
    for turn in range(20):
        gone = dict(list(table[table["turn"] == turn].groupby("study")["participant"]))
        rest = [(cell, rows & ~np.isin(cell.participant, gone.get(cell.study, []))) for cell, rows in scored]
        found.append(ratio(study_errors([(cell, rows) for cell, rows in rest if rows.sum() > 1]).sum(axis=0)))
    left = np.array(found, dtype=float)
    error = np.sqrt((len(left) - 1) / len(left) * ((left - left.mean()) ** 2).sum())
    return float(error * stats.t.ppf(0.975, len(left) - 1))


def parity(folder: Path, p: int, cells: list[Cell]) -> Found:
    """Scores of groups of people and the largest gap between two, on cells in which each has enough people."""
    table = read(folder, "people_groups")
    table["group"] = table["group"].fillna(-1).astype(int)
    group = table.set_index(["study", "participant"])["group"]
    grouped = [usable(cell, group) for cell in cells if cell.is_ordered and not cell.is_open]
    names = sorted({int(g) for _, own in grouped for g in own} - {-1})
    enough = np.array([[(own == g).sum() >= MIN_PEOPLE for g in names] for _, own in grouped]).reshape(
        -1, len(names)
    )
    kept = [g for g, has in zip(names, enough.T, strict=True) if has.mean() >= 0.5]
    columns = [names.index(g) for g in kept]
    compared = [pair for pair, has in zip(grouped, enough, strict=True) if kept and has[columns].all()]
    everyone, counted = n_people(grouped), n_people(compared)
    scores = group_scores(compared, kept)
    found = {
        f"parity_n_cells/{p}": float(len(compared)),
        f"parity_n_skipped/{p}": float(len(grouped) - len(compared)),
        f"parity_n_unknown/{p}": float(everyone.get(-1, 0)),
    } | ends("parity", str(p), gap(scores[..., 0]))
    for i, g in enumerate(kept):
        found |= ends("group_score", f"{p}/{g}", basic(scores[:, i, 0]))
        told = counted.get(g, 0), *scores[0, i, 1:]
        names_told = ("n", "human_mean", "predicted_mean")
        found |= {f"group_{name}/{p}/{g}": float(x) for name, x in zip(names_told, told, strict=True)}
    return found | {f"group_left_out/{p}/{g}": float(everyone[g]) for g in names if g not in kept}


def usable(cell: Cell, group: "pd.Series[int]") -> tuple[Cell, np.ndarray]:
    """The people of a cell with an answer and a prediction, and the group of each, -1 where unknown."""
    rows = np.isfinite(cell.human) & cell.answered
    kept = cell._replace(shares=cell.shares[rows], human=cell.human[rows], participant=cell.participant[rows])
    return kept, group.loc[
        [(cell.study, who) for who in kept.participant]
    ].to_numpy() if rows.any() else np.zeros(0)


def n_people(grouped: list[tuple[Cell, np.ndarray]]) -> Counter[int]:
    """How many different people there are of each group."""
    told = [(cell.study, zip(cell.participant, own, strict=True)) for cell, own in grouped]
    return Counter(
        g for _, _, g in {(study, int(who), int(g)) for study, people in told for who, g in people}
    )


def group_scores(compared: list[tuple[Cell, np.ndarray]], kept: list[int]) -> np.ndarray:
    """W, people's and the predicted mean [1 + DRAWS, g, 3]: as they are, then with each study's people redrawn."""
    by_study: dict[int, list[tuple[Cell, np.ndarray]]] = {}
    for cell, own in compared:
        by_study.setdefault(cell.study, []).append((cell, own))
    found = []
    for number, together in enumerate(by_study.values()):
        who = np.unique(np.concatenate([cell.participant for cell, _ in together]))
        drawn = np.random.default_rng([0, number]).integers(len(who), size=(DRAWS, len(who)))
        weights = np.stack([np.ones(len(who)), *(np.bincount(row, minlength=len(who)) for row in drawn)])
        cells = [
            cell_scores(cell, own, kept, weights[:, np.searchsorted(who, cell.participant)])
            for cell, own in together
        ]
        found.append(np.mean(cells, axis=0))
    return np.mean(found, axis=0) if found else np.full((1 + DRAWS, len(kept), 3), np.nan)


def cell_scores(cell: Cell, own: np.ndarray, kept: list[int], weights: np.ndarray) -> np.ndarray:
    places = (cell.values - cell.values.min()) / np.ptp(cell.values)
    answers = memberships(cell.human, cell.values)
    found = []
    for g in kept:
        mass = weights[:, own == g]
        with np.errstate(invalid="ignore"):
            told = [
                mass @ each[own == g] / mass.sum(axis=1, keepdims=True) for each in (answers, cell.shares)
            ]
        apart = np.abs((told[0] - told[1]).cumsum(axis=1)[:, :-1]) @ np.diff(places)
        found.append(np.stack([apart, told[0] @ places, told[1] @ places], axis=1))
    return np.stack(found, axis=1)


def gap(scores: np.ndarray) -> tuple[float, float, float]:
    """The largest gap of scores freed of their bootstrap bias, with its simultaneous interval."""
    if scores.shape[1] < 2:
        return np.nan, np.nan, np.nan
    if not np.isfinite(scores).all():
        return float(np.ptp(scores[0])), np.nan, np.nan
    expected = scores[1:].mean(axis=0)
    noise = (
        expected - scores[0]
    )  # of the noise of perfect predictions the bootstrap sees the part sqrt(2) - 1
    value, without_noise = (float(np.ptp(scores[0] - noise / seen)) for seen in (1, np.sqrt(2) - 1))
    reach = np.quantile(np.ptp(scores[1:] - expected, axis=1), 0.95)
    low, high = min(value, without_noise) - reach, max(value, without_noise) + reach
    return min(value, 1.0), float(max(low, 0)), float(min(high, 1))


def basic(scores: np.ndarray) -> tuple[float, float, float]:
    value = float(scores[0])
    if not np.isfinite(scores).all():
        return value, np.nan, np.nan
    low, high = np.clip(2 * value - np.quantile(scores[1:], [0.975, 0.025]), 0, 1)
    return value, float(low), float(high)
