"""What depends on who the people are: a model's worth in respondents, and scores of groups; a part of comparison.py."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from comparison_cells import Cell
from comparison_studies import MIN_STUDIES, over_studies, ratio, with_ends
from shared import Numbers, memberships, read

LEAST = 2  # the smallest number of respondents that is told apart
MIN_PEOPLE = 30  # a smaller group is not compared
DRAWS = 400  # resamples of people


def worth(folder: Path, p: int, cells: list[Cell]) -> Numbers:
    """How many respondents a cell a model is worth: what one person misses by over what the model misses by."""
    cells = [cell for cell in cells if cell.is_ordered]
    scored = [
        (cell, np.ones(len(cell.everybody), dtype=bool))
        for cell in cells
        if len(cell.values) > 1 and len(np.unique(cell.people)) > 1 and cell.answered.any()
    ]
    sizes = [int(rows.sum()) for _, rows in scored]
    most = int(np.median([len(np.unique(cell.people)) for cell, _ in scored])) if sizes else 0
    sums = study_errors(scored)
    share, low, high = over_studies(sums, ratio)
    if len(sums) < MIN_STUDIES:
        margin = jackknife(folder, p, scored)
        low, high = share - margin, share + margin
    counts = {
        "most": most,
        "n_studies": len(sums),
        "n_cells": len(sizes),
        "n_skipped": len(cells) - len(sizes),
        "n_rows": sum(sizes),
        "n_dropped": 0,
    }
    numbers = {f"worth_{name}/{p}": float(x) for name, x in counts.items()}
    # a smaller ratio is worth more people, so the ends of the interval change places
    return numbers | with_ends("worth", str(p), (people(share, most), people(high, most), people(low, most)))


def people(share: float, most: int) -> float:
    """How many people are worth a model with this ratio of its error to a person's."""
    if np.isnan(share):
        return np.nan
    return float(min(max(1 / share, LEAST), most)) if share > 0 else float(most)


def study_errors(scored: list[tuple[Cell, np.ndarray]]) -> np.ndarray:
    """The mean error of a person and of the model [s, 2] over each study's cells, by everybody's rows [n] of each."""
    errors: dict[int, list[tuple[float, float]]] = {}
    for cell, rows in scored:
        gaps = np.diff(cell.values) / np.ptp(cell.values)
        predicted = cell.shares[cell.answered].mean(axis=0)
        answers_below = memberships(cell.everybody[rows], cell.values).cumsum(axis=1)[:, :-1]
        below = answers_below.mean(axis=0)
        # the variance of the mean over people, whose answers go together
        who = cell.people[rows]
        residuals = pd.DataFrame(answers_below - below).groupby(who).sum().to_numpy()
        n = len(residuals)
        noise = float(gaps @ (residuals**2).sum(axis=0)) / (rows.sum() / n) ** 2 / (n - 1) / n
        missed = float(gaps @ (predicted.cumsum()[:-1] / predicted.sum() - below) ** 2)
        errors.setdefault(cell.study, []).append((noise * n, missed - noise))
    return np.array([np.mean(cell_errors, axis=0) for cell_errors in errors.values()]).reshape(-1, 2)


def jackknife(folder: Path, p: int, scored: list[tuple[Cell, np.ndarray]]) -> float:
    """Half the t interval of the ratio from leaving groups of people out in turn."""
    table = read(folder, "people_left_out")
    table = table[table["predictor"] == p]
    ratios = []
    for turn in range(20):
        gone = dict(list(table[table["turn"] == turn].groupby("study")["participant"]))
        rest = [(cell, rows & ~np.isin(cell.people, gone.get(cell.study, []))) for cell, rows in scored]
        ratios.append(
            ratio(
                study_errors(
                    [(cell, rows) for cell, rows in rest if len(np.unique(cell.people[rows])) > 1]
                ).sum(axis=0)
            )
        )
    without = np.array(ratios, dtype=float)
    error = np.sqrt((len(without) - 1) / len(without) * ((without - without.mean()) ** 2).sum())
    return float(error * stats.t.ppf(0.975, len(without) - 1))


def parity(folder: Path, p: int, cells: list[Cell]) -> Numbers:
    """Scores of groups of people and the largest gap between two, on cells in which each has enough people."""
    table = read(folder, "people_groups")
    table["group"] = table["group"].fillna(-1).astype(int)
    group = table.set_index(["study", "participant"])["group"]
    grouped = [usable(cell, group) for cell in cells if cell.is_ordered and not cell.is_open]
    names = sorted({int(g) for _, groups in grouped for g in groups} - {-1})
    sizes = np.array([[(groups == g).sum() for g in names] for _, groups in grouped])
    enough = sizes.reshape(-1, len(names)) >= MIN_PEOPLE
    kept = [g for g, has in zip(names, enough.T, strict=True) if has.mean() >= 0.5]
    columns = [names.index(g) for g in kept]
    compared = [pair for pair, has in zip(grouped, enough, strict=True) if kept and has[columns].all()]
    everyone, counted = n_people(grouped), n_people(compared)
    scores = group_scores(compared, kept)
    numbers = {
        f"parity_n_cells/{p}": float(len(compared)),
        f"parity_n_skipped/{p}": float(len(grouped) - len(compared)),
        f"parity_n_unknown/{p}": float(everyone.get(-1, 0)),
    } | with_ends("parity", str(p), gap(scores[..., 0]))
    for i, g in enumerate(kept):
        numbers |= with_ends("group_score", f"{p}/{g}", basic(scores[:, i, 0]))
        numbers[f"group_n/{p}/{g}"] = float(counted.get(g, 0))
        numbers[f"group_human_mean/{p}/{g}"] = float(scores[0, i, 1])
        numbers[f"group_predicted_mean/{p}/{g}"] = float(scores[0, i, 2])
    return numbers | {f"group_left_out/{p}/{g}": float(everyone[g]) for g in names if g not in kept}


def usable(cell: Cell, group: "pd.Series[int]") -> tuple[Cell, np.ndarray]:
    """The people of a cell with an answer and a prediction, and the group of each, -1 where unknown."""
    rows = np.isfinite(cell.human) & cell.answered
    kept = cell._replace(shares=cell.shares[rows], human=cell.human[rows], participant=cell.participant[rows])
    if not rows.any():
        return kept, np.zeros(0)
    return kept, group.loc[[(cell.study, who) for who in kept.participant]].to_numpy()


def n_people(grouped: list[tuple[Cell, np.ndarray]]) -> Counter[int]:
    """How many different people there are of each group."""
    people = set[tuple[int, int, int]]()
    for cell, groups in grouped:
        people |= {(cell.study, int(who), int(g)) for who, g in zip(cell.participant, groups, strict=True)}
    return Counter(g for _, _, g in people)


def group_scores(compared: list[tuple[Cell, np.ndarray]], kept: list[int]) -> np.ndarray:
    """Squared distance, people's and the predicted mean [1 + DRAWS, g, 3]: as they are, then with people redrawn."""
    by_study: dict[int, list[tuple[Cell, np.ndarray]]] = {}
    for cell, groups in compared:
        by_study.setdefault(cell.study, []).append((cell, groups))
    scores = []
    for number, together in enumerate(by_study.values()):
        who = np.unique(np.concatenate([cell.participant for cell, _ in together]))
        # the same draws as the page's: seed 0 and the position of the study
        drawn = np.random.default_rng([0, number]).integers(len(who), size=(DRAWS, len(who)))
        weights = np.stack([np.ones(len(who)), *(np.bincount(row, minlength=len(who)) for row in drawn)])
        cells = [
            cell_scores(cell, groups, kept, weights[:, np.searchsorted(who, cell.participant)])
            for cell, groups in together
        ]
        scores.append(np.mean(cells, axis=0))
    return np.mean(scores, axis=0) if scores else np.full((1 + DRAWS, len(kept), 3), np.nan)


def cell_scores(cell: Cell, groups: np.ndarray, kept: list[int], weights: np.ndarray) -> np.ndarray:
    """The same of one cell [1 + DRAWS, g, 3]; `weights` [1 + DRAWS, n] say how often each person is drawn."""
    places = (cell.values - cell.values.min()) / np.ptp(cell.values)
    answers = memberships(cell.human, cell.values)
    differences = (answers - cell.shares).cumsum(axis=1)[:, :-1] * np.sqrt(np.diff(places))
    scores = []
    for g in kept:
        rows = groups == g
        with np.errstate(invalid="ignore", divide="ignore"):  # nobody of the group may be drawn
            human, predicted = (
                weights[:, rows] @ (shares[rows] @ places) / weights[:, rows].sum(axis=1)
                for shares in (answers, cell.shares)
            )
            apart = pairs_apart(differences[rows], cell.participant[rows], weights[:, rows])
        scores.append(np.stack([apart, human, predicted], axis=1))
    return np.stack(scores, axis=1)


def pairs_apart(differences: np.ndarray, who: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean product [1 + DRAWS] of differences over pairs of answers of different people."""
    people = pd.DataFrame(differences).groupby(who).sum().to_numpy()
    n_answers = pd.Series(who).groupby(who).size().to_numpy(dtype=float)
    drawn = weights[:, np.unique(who, return_index=True)[1]]
    everybody = ((drawn @ people) ** 2).sum(axis=1) - drawn**2 @ (people**2).sum(axis=1)
    return np.asarray(everybody / ((drawn @ n_answers) ** 2 - drawn**2 @ n_answers**2))


def gap(scores: np.ndarray) -> tuple[float, float, float]:
    """The largest gap of distances, with its simultaneous interval."""
    if scores.shape[1] < 2:
        return np.nan, np.nan, np.nan
    if not np.isfinite(scores).all():
        return float(np.ptp(scores[0])), np.nan, np.nan
    value = float(np.ptp(scores[0]))
    reach = float(np.quantile(np.ptp(scores[1:] - scores[0], axis=1), 0.95))
    return value, max(value - reach, 0.0), value + reach


def basic(scores: np.ndarray) -> tuple[float, float, float]:
    """A distance with its basic bootstrap interval."""
    value = float(scores[0])
    if not np.isfinite(scores).all():
        return value, np.nan, np.nan
    low, high = 2 * value - np.quantile(scores[1:], [0.975, 0.025])
    return value, float(low), float(high)
