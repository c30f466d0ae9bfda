"""Computes every number of report.html again from data/ and compares it with numbers.csv.

    python comparison.py          needs pandas, numpy and scipy, and the scripts beside it

Ends with 0 where every number agrees within TOLERANCE (relative to numbers above 1), else with 1 and the first
differences. Keys are quantity/predictor/place, as codebook.csv tells. Studies are redrawn as data/ says; the one thing
drawn here, by numpy's own generator, are people within studies, for the intervals of groups.
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from socrates_core.reporting.scripts.analysis import Found, half_sample, read, verdict
from socrates_core.reporting.scripts.comparison_cells import PAPER, Cell, by_predictor, published, score
from socrates_core.reporting.scripts.comparison_groups import parity, worth
from socrates_core.reporting.scripts.comparison_studies import (
    ZERO,
    effects,
    ends,
    human_effects,
    mean_interval,
)

LOWER = ("wasserstein", "ranked_probability", "brier")  # what begins so is better where it is lower


def main(folder: Path) -> int:
    wrong = []
    for path in sorted((folder / "data").glob("resamples_*.csv")):
        drawn = pd.read_csv(path).filter(like="s_")
        if not (drawn.sum(axis=1) == drawn.shape[1]).all():
            wrong.append(f"{path.name}: not every draw has as many studies as there are")
    return verdict(folder, compute(folder), wrong)


def compute(folder: Path) -> Found:
    predictors = read(folder, "predictors")
    models = [int(p) for p in predictors.index[predictors["kind"] == "model"]]
    cells = by_predictor(folder, predictors)
    left_out = float(read(folder, "studies")["n_left_out"].sum())
    found: Found = {"rows": sum(len(cell.human) for cell in cells[0]) + left_out, "rows_left_out": left_out}
    by_study = {}
    for p, own in cells.items():
        by_study[p], told = summarise(p, own)
        found |= told | over_studies(folder, p, by_study[p])
    for place, share in enumerate((1.0, 0.5)):  # half against half; the oracle scores half of that
        people_scores, told = halves(len(cells) + place, cells[0], share)
        found |= told | over_studies(folder, len(cells) + place, people_scores)
    uniform = int(predictors.index[(predictors["name"] == "uniform") & (predictors["kind"] == "baseline")][0])
    for first, second in [*combinations(models, 2), *((p, uniform) for p in models)]:
        found |= paired(folder, f"{first}/{second}", by_study[first], by_study[second])
    people = human_effects(folder)
    for column in people:
        found |= {f"{column}//{effect}": float(x) for effect, x in people[column].items()}
    for p in models:
        found |= {f"{name}/{p}": float(predictors[name].to_numpy()[p]) for name in ("seconds", "cost_usd")}
        found |= effects(folder, p, cells[p], people) | worth(folder, p, cells[p])
        found |= parity(folder, p, cells[p]) if (folder / "data" / "groups.csv").exists() else {}
    return found


def summarise(p: int, cells: list[Cell]) -> tuple[pd.DataFrame, Found]:
    """A predictor's measures by study, and its numbers by cell: cells within studies, batteries pooled in PAPER."""
    scores = pd.DataFrame([score(cell) for cell in cells])
    whole: dict[tuple[int, int, int], list[Cell]] = {}
    for cell in cells:
        whole.setdefault(cell[:3], []).append(cell)
    paper = pd.DataFrame(
        [
            published(
                np.concatenate([each.response for each in own]), np.concatenate([each.drawn for each in own])
            )
            for own in whole.values()
        ]
    )
    exact = scores.drop(columns=[*PAPER, "human_mean", "predicted_mean", "n_rows", "n_dropped"])
    by_study = paper[PAPER].groupby([key[0] for key in whole]).mean()
    by_study = by_study.join(exact.groupby([cell.study for cell in cells]).mean())
    found = {f"cell_{name}/{p}/{c}": float(x) for name in scores for c, x in scores[name].items()}
    return by_study, found | counts(p, cells, by_study, paper)


def halves(p: int, cells: list[Cell], share: float) -> tuple[pd.DataFrame, Found]:
    """People against people: the mean W over all halvings of every cell, times `share`."""
    table = pd.DataFrame(
        [
            {
                "wasserstein_exact_observed": share * half_sample(cell.values, cell.counts, "observed")
                if cell.is_ordered
                else np.nan,
                "wasserstein_exact_stated": share * half_sample(cell.values, cell.counts, "stated")
                if cell.is_ordered and not cell.is_open
                else np.nan,
                "n_rows": round(cell.counts.sum()),
                "n_dropped": 0,
            }
            for cell in cells
        ]
    )
    by_study = table.iloc[:, :2].groupby([cell.study for cell in cells]).mean()
    scored = table.rename(columns={"wasserstein_exact_observed": PAPER[0]})
    return by_study, counts(p, cells, by_study, scored)


def counts(p: int, cells: list[Cell], by_study: pd.DataFrame, scores: pd.DataFrame) -> Found:
    scored = scores[PAPER[0]].notna()
    return {
        f"n_studies/{p}": float(by_study.iloc[:, 0].notna().sum()),
        f"n_cells/{p}": float(scored.sum()),
        f"n_skipped/{p}": float((~scored).sum()),
        f"n_rows/{p}": float(scores["n_rows"][scored].sum()),
        f"n_dropped/{p}": float(scores["n_dropped"].sum()),
        f"n_off_scale/{p}": float(sum(np.isnan(cell.human).sum() for cell in cells)),
    }


def over_studies(folder: Path, p: int, by_study: pd.DataFrame) -> Found:
    found = {f"study_{name}/{p}/{s}": float(x) for name in by_study for s, x in by_study[name].items()}
    for name in by_study:
        found |= ends(str(name), str(p), mean_interval(folder, by_study[name].to_numpy()))
    return found


def paired(folder: Path, place: str, first: pd.DataFrame, second: pd.DataFrame) -> Found:
    """Two predictors on the same studies: the mean difference of each measure, and who is better on how many."""
    found: Found = {}
    for name in first.columns.drop("sd_ratio"):
        difference = (first[name] - second[name]).to_numpy()
        given = difference[np.isfinite(difference)]
        lower, higher = float((given < -ZERO).sum()), float((given > ZERO).sum())
        better = (lower, higher) if name.startswith(LOWER) else (higher, lower)
        told = *better, float(len(given)), float(len(difference) - len(given))
        names = ("n_first_better", "n_second_better", "n_studies", "n_dropped")
        found |= {f"paired_{name}_{n}/{place}": x for n, x in zip(names, told, strict=True)}
        found |= ends(f"paired_{name}", place, mean_interval(folder, given))
    return found


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
