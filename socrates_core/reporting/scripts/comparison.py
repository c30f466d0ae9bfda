"""Computes every number of report.html again from data/ and compares it with numbers.csv.

    python comparison.py          needs pandas, numpy and scipy, and the scripts next to it

Ends with 0 if every number agrees within TOLERANCE (relative to numbers above 1), otherwise with 1 and the first
differences. Keys are quantity/predictor/place, as codebook.csv says. What is drawn here,
by numpy's generator, is people within studies, for the intervals of groups, and
answers, to see how much a single draw decides.
"""

import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from comparison_cells import PAPER, Cell, by_predictor, measured, published, score, variance_of_mean
from comparison_groups import parity, worth
from comparison_ladder import ladders
from comparison_studies import (
    MIN_STUDIES,
    ZERO,
    effects,
    human_effects,
    mean_interval,
    with_ends,
)
from shared import Numbers, ends, half_sample, oracle, read, verdict

DRAWS = 50  # answers drawn for each person
JUDGED = (
    "corrected_distance",
    "wasserstein_exact_stated",
    "wasserstein_exact_observed",
    "log_score",
    "ranked_probability",
)
LOWER = (
    "corrected_distance",
    "wasserstein",
    "ranked_probability",
    "brier",
)  # better if lower, by how they begin


def main(folder: Path) -> int:
    return verdict(folder, compute(folder), [])


def compute(folder: Path) -> Numbers:
    predictors = read(folder, "predictors")
    models = [int(p) for p in predictors.index[predictors["kind"] == "model"]]
    cells = by_predictor(folder, predictors)
    left_out = read(folder, "studies")[["n_left_out", "n_unanswered"]].sum()
    numbers: Numbers = {
        "rows": sum(len(cell.human) for cell in cells[0]) + left_out["n_left_out"] + left_out["n_unanswered"],
        "rows_left_out": left_out["n_left_out"],
        "rows_unanswered": left_out["n_unanswered"],
    }
    by_study = {}
    for p, seen_by in cells.items():
        by_study[p], of_cells = summarise(p, seen_by)
        numbers |= of_cells | measures_over_studies(p, by_study[p])
    for place, scores_of in enumerate((half_against_half, of_the_truth)):
        people_scores, of_cells = people_against_people(len(cells) + place, cells[0], scores_of)
        numbers |= of_cells | measures_over_studies(len(cells) + place, people_scores)
    uniform = int(predictors.index[(predictors["name"] == "uniform") & (predictors["kind"] == "baseline")][0])
    pairs = Numbers()
    for first, second in [*combinations(models, 2), *((p, uniform) for p in models)]:
        pairs |= paired(f"{first}/{second}", by_study[first], by_study[second])
    numbers |= pairs | corrected(pairs)
    people = human_effects(folder)
    for column in people:
        numbers |= {f"{column}//{effect}": float(x) for effect, x in people[column].items()}
    for p in models:
        numbers |= {f"{name}/{p}": float(predictors[name].to_numpy()[p]) for name in ("seconds", "cost_usd")}
        numbers |= effects(folder, p, cells[p], people) | worth(folder, p, cells[p])
        if (folder / "data" / "groups.csv").exists():
            numbers |= parity(folder, p, cells[p])
    return numbers | ladders(folder, cells, models, numbers)


def summarise(p: int, cells: list[Cell]) -> tuple[pd.DataFrame, Numbers]:
    """A predictor's measures by study, and its numbers by cell. Measures in PAPER pool the questions of a battery."""
    scores = pd.DataFrame([score(cell) for cell in cells])
    whole = whole_outcomes(cells)
    paper = pd.DataFrame(
        [
            published(
                np.concatenate([cells[place].response for place in places]),
                np.concatenate([cells[place].drawn for place in places]),
            )
            for places in whole.values()
        ]
    )
    exact = scores.drop(columns=[*PAPER, "human_mean", "predicted_mean", "n_people", "n_rows", "n_dropped"])
    by_study = paper[PAPER].groupby([key[0] for key in whole]).mean()
    by_study = by_study.join(exact.groupby([cell.study for cell in cells]).mean())
    by_cell = {f"cell_{name}/{p}/{c}": float(x) for name in scores for c, x in scores[name].items()}
    outcomes = paper.assign(study=[key[0] for key in whole], scored=paper[PAPER[0]].notna())
    return by_study, by_cell | counts(p, cells, outcomes) | draws(p, list(whole.values()), cells)


def draws(p: int, outcomes: list[list[int]], cells: list[Cell]) -> Numbers:
    """The published measures for DRAWS draws of every answer instead of one: their mean, and how far one is from it."""
    answers = []
    for place, cell in enumerate(cells):
        # the same draws as the page's: seed 0 and the position of the cell
        level = np.random.default_rng([0, place]).random((len(cell.human), DRAWS))
        reached = cell.shares.cumsum(axis=1)
        passed = (reached[:, None, :] <= (level * reached[:, -1:])[:, :, None]).sum(axis=2)
        drawn = cell.values[np.minimum(passed, len(cell.values) - 1)]
        answers.append(np.where(cell.answered[:, None], drawn, np.nan))
    rows = [
        {"study": cells[places[0]].study, "draw": draw}
        | published(
            np.concatenate([cells[place].response for place in places]),
            np.concatenate([answers[place][:, draw] for place in places]),
        )
        for places in outcomes
        for draw in range(DRAWS)
    ]
    over_studies = pd.DataFrame(rows).groupby(["draw", "study"])[PAPER].mean().groupby("draw").mean()
    return {f"{name}_of_draws/{p}": float(over_studies[name].mean()) for name in PAPER} | {
        f"{name}_of_draws_sd/{p}": float(over_studies[name].std()) for name in PAPER
    }


def people_against_people(
    p: int, cells: list[Cell], scores_of: Callable[[Cell, str], float]
) -> tuple[pd.DataFrame, Numbers]:
    """What people's own answers score: W in both ranges, and the corrected distance."""
    rows = []
    for cell in cells:
        ranges = ("observed", *(() if cell.is_open else ("stated",))) if cell.is_ordered else ()
        row = dict.fromkeys(("wasserstein_exact_observed", "wasserstein_exact_stated"), np.nan)
        row |= {f"wasserstein_exact_{name}": scores_of(cell, name) for name in ranges}
        listed = not cell.is_open and len(cell.values) > 1 and cell.n_people >= 4
        row["corrected_distance"] = scores_of(cell, "corrected") if listed else np.nan
        rows.append({**row, "n_rows": cell.n_people, "n_dropped": 0})
    table = pd.DataFrame(rows)
    by_study = table.iloc[:, :3].groupby([cell.study for cell in cells]).mean()
    outcomes = []
    for places in whole_outcomes(cells).values():
        response = np.concatenate([cells[place].response for place in places])
        has_score = table.iloc[places, :3].notna().any(axis=None)
        given = response[np.isfinite(response)]
        outcomes.append(
            {
                "study": cells[places[0]].study,
                "scored": has_score and len(given) >= 2 and given.min() < given.max(),
                "n_rows": table["n_rows"].iloc[places].sum(),
                "n_dropped": 0,
            }
        )
    return by_study, counts(p, cells, pd.DataFrame(outcomes))


def whole_outcomes(cells: list[Cell]) -> dict[tuple[int, int, int], list[int]]:
    """The positions of the cells of each study, condition and outcome: the questions of a battery together."""
    whole: dict[tuple[int, int, int], list[int]] = {}
    for place, cell in enumerate(cells):
        whole.setdefault(cell[:3], []).append(place)
    return whole


def half_against_half(cell: Cell, what: str) -> float:
    """The mean W between two halves of the people, or the squared distance of one half from all such people."""
    weights, seen = measured(cell)
    n = cell.n_people
    if what == "corrected":
        return float(weights @ variance_of_mean(seen, cell.people) * n / (n // 2))
    if n == len(cell.people):
        return half_sample(cell.values, cell.counts, what)
    low, high = ends(cell.values, cell.counts, what)
    if n < 4 or not high > low:
        return np.nan
    # one person gave several answers, which stay in one half: the halves' difference is taken as normal
    error = np.sqrt(variance_of_mean(seen, cell.people))
    return float(np.diff(cell.values) @ error * 2 * np.sqrt(2 / np.pi) / (high - low))


def of_the_truth(cell: Cell, what: str) -> float:
    """What the true distribution is expected to score."""
    if what == "corrected":
        return 0.0
    if cell.n_people < len(cell.people):
        return half_against_half(cell, what) / 2
    return oracle(cell.values, cell.counts, what)


def counts(p: int, cells: list[Cell], outcomes: pd.DataFrame) -> Numbers:
    """What is behind a row of the table; `outcomes` has its study, whether it is scored, n and n dropped."""
    scored = outcomes["scored"].astype(bool)
    return {
        f"n_studies/{p}": float(outcomes["study"][scored].nunique()),
        f"n_cells/{p}": float(scored.sum()),
        f"n_skipped/{p}": float((~scored).sum()),
        f"n_rows/{p}": float(outcomes["n_rows"][scored].sum()),
        f"n_dropped/{p}": float(outcomes["n_dropped"].sum()),
        f"n_off_scale/{p}": float(sum(np.isnan(cell.human).sum() for cell in cells)),
        f"n_people/{p}": float(sum(len(cell.everybody) for cell in cells)),
    }


def measures_over_studies(p: int, by_study: pd.DataFrame) -> Numbers:
    numbers = {f"study_{name}/{p}/{s}": float(x) for name in by_study for s, x in by_study[name].items()}
    for name in by_study:
        numbers |= with_ends(str(name), str(p), mean_interval(by_study[name].to_numpy()))
        numbers[f"{name}_n_studies/{p}"] = float(by_study[name].notna().sum())
    return numbers


def paired(place: str, first: pd.DataFrame, second: pd.DataFrame) -> Numbers:
    """Two predictors on the same studies: the mean difference of each measure, and who is better on how many."""
    numbers: Numbers = {}
    for name in first.columns.drop("sd_ratio"):
        difference = (first[name] - second[name]).to_numpy()
        given = difference[np.isfinite(difference)]
        lower, higher = float((given < -ZERO).sum()), float((given > ZERO).sum())
        better = (lower, higher) if name.startswith(LOWER) else (higher, lower)
        numbers[f"paired_{name}_n_first_better/{place}"] = better[0]
        numbers[f"paired_{name}_n_second_better/{place}"] = better[1]
        numbers[f"paired_{name}_n_studies/{place}"] = float(len(given))
        numbers[f"paired_{name}_n_dropped/{place}"] = float(len(difference) - len(given))
        numbers |= with_ends(f"paired_{name}", place, mean_interval(given))
        numbers[f"paired_{name}_p/{place}"] = p_of(given)
    return numbers


def corrected(pairs: Numbers) -> Numbers:
    """The p-values of the measures in JUDGED, corrected together by Holm's method."""
    names = [f"paired_{measure}_p/" for measure in JUDGED]
    given = {key: p for key, p in pairs.items() if key.startswith(tuple(names))}
    known = sorted((p, key) for key, p in given.items() if np.isfinite(p))
    numbers = {key.replace("_p/", "_p_holm/"): np.nan for key in given}
    least = 0.0
    for place, (p, key) in enumerate(known):
        least = max(least, min(1.0, p * (len(known) - place)))
        numbers[key.replace("_p/", "_p_holm/")] = least
    return numbers


def p_of(difference: np.ndarray) -> float:
    """The p of the t test of differences by study; 1 without any difference."""
    if len(difference) < MIN_STUDIES:
        return np.nan
    return 1.0 if (np.abs(difference) < ZERO).all() else float(stats.ttest_1samp(difference, 0).pvalue)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
