"""Computes every number of report.html again from data/ and compares it with numbers.csv.

    python comparison.py          needs pandas, numpy and scipy, and the scripts next to it

Ends with 0 if every number agrees within TOLERANCE (relative to numbers above 1), otherwise with 1 and the first
differences. Keys are quantity/predictor/place, as codebook.csv says. The one thing drawn here,
by numpy's generator, is people within studies, for the intervals of groups.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from comparison_cells import PAPER, Cell, by_predictor, published, score
from comparison_groups import parity, worth
from comparison_studies import (
    MIN_STUDIES,
    ZERO,
    effects,
    human_effects,
    mean_interval,
    with_ends,
)
from shared import Numbers, half_sample, read, verdict

JUDGED = ("wasserstein_exact_stated", "wasserstein_exact_observed", "log_score", "ranked_probability")
LOWER = ("wasserstein", "ranked_probability", "brier")  # measures that begin so are better if lower


def main(folder: Path) -> int:
    return verdict(folder, compute(folder), [])


def compute(folder: Path) -> Numbers:
    predictors = read(folder, "predictors")
    models = [int(p) for p in predictors.index[predictors["kind"] == "model"]]
    cells = by_predictor(folder, predictors)
    left_out = float(read(folder, "studies")["n_left_out"].sum())
    numbers: Numbers = {
        "rows": sum(len(cell.human) for cell in cells[0]) + left_out,
        "rows_left_out": left_out,
    }
    by_study = {}
    for p, seen_by in cells.items():
        by_study[p], of_cells = summarise(p, seen_by)
        numbers |= of_cells | measures_over_studies(p, by_study[p])
    for place, share in enumerate((1.0, 0.5)):  # half against half; the oracle scores half of that
        people_scores, of_cells = halves(len(cells) + place, cells[0], share)
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
    return numbers


def summarise(p: int, cells: list[Cell]) -> tuple[pd.DataFrame, Numbers]:
    """A predictor's measures by study, and its numbers by cell. Measures in PAPER pool the questions of a battery."""
    scores = pd.DataFrame([score(cell) for cell in cells])
    whole: dict[tuple[int, int, int], list[Cell]] = {}
    for cell in cells:
        whole.setdefault(cell[:3], []).append(cell)
    paper = pd.DataFrame(
        [
            published(
                np.concatenate([cell.response for cell in items]),
                np.concatenate([cell.drawn for cell in items]),
            )
            for items in whole.values()
        ]
    )
    exact = scores.drop(columns=[*PAPER, "human_mean", "predicted_mean", "n_rows", "n_dropped"])
    by_study = paper[PAPER].groupby([key[0] for key in whole]).mean()
    by_study = by_study.join(exact.groupby([cell.study for cell in cells]).mean())
    by_cell = {f"cell_{name}/{p}/{c}": float(x) for name in scores for c, x in scores[name].items()}
    return by_study, by_cell | counts(p, cells, by_study, paper)


def halves(p: int, cells: list[Cell], share: float) -> tuple[pd.DataFrame, Numbers]:
    """People against people: the mean W over all halvings of every cell, times `share`."""
    rows = []
    for cell in cells:
        row = {"wasserstein_exact_observed": np.nan, "wasserstein_exact_stated": np.nan}
        if cell.is_ordered:
            row["wasserstein_exact_observed"] = share * half_sample(cell.values, cell.counts, "observed")
            if not cell.is_open:
                row["wasserstein_exact_stated"] = share * half_sample(cell.values, cell.counts, "stated")
        rows.append({**row, "n_rows": round(cell.counts.sum()), "n_dropped": 0})
    table = pd.DataFrame(rows)
    by_study = table.iloc[:, :2].groupby([cell.study for cell in cells]).mean()
    scored = table.rename(columns={"wasserstein_exact_observed": PAPER[0]})
    return by_study, counts(p, cells, by_study, scored)


def counts(p: int, cells: list[Cell], by_study: pd.DataFrame, scores: pd.DataFrame) -> Numbers:
    scored = scores[PAPER[0]].notna()
    return {
        f"n_studies/{p}": float(by_study.iloc[:, 0].notna().sum()),
        f"n_cells/{p}": float(scored.sum()),
        f"n_skipped/{p}": float((~scored).sum()),
        f"n_rows/{p}": float(scores["n_rows"][scored].sum()),
        f"n_dropped/{p}": float(scores["n_dropped"].sum()),
        f"n_off_scale/{p}": float(sum(np.isnan(cell.human).sum() for cell in cells)),
    }


def measures_over_studies(p: int, by_study: pd.DataFrame) -> Numbers:
    numbers = {f"study_{name}/{p}/{s}": float(x) for name in by_study for s, x in by_study[name].items()}
    for name in by_study:
        numbers |= with_ends(str(name), str(p), mean_interval(by_study[name].to_numpy()))
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
    """The p of the t test of differences by study; 1 where there is none."""
    if len(difference) < MIN_STUDIES:
        return np.nan
    return 1.0 if (np.abs(difference) < ZERO).all() else float(stats.ttest_1samp(difference, 0).pvalue)


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
