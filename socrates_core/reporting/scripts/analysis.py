"""Computes every number of report.html again from data/ and compares it with numbers.csv.

    python analysis.py            needs pandas, numpy and scipy, and the scripts next to it

Ends with 0 if every number agrees within TOLERANCE (relative to numbers above 1), otherwise with 1 and the first
differences. A calibration is fitted again by refit.py: its numbers agree within REFIT_TOLERANCE. Keys are
quantity/outcome/condition/value, as codebook.csv says.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from refit import calibrated, refit
from shared import (
    TOLERANCE,
    Numbers,
    above_midpoint,
    clustered,
    distance,
    effective_size,
    half_sample,
    memberships,
    method_of,
    moments,
    oracle,
    read,
    repeated,
    sample_factor,
    verdict,
)


def main(folder: Path) -> int:
    return verdict(folder, compute(folder), unlike_wide(folder))


def compute(folder: Path) -> Numbers:
    wide, values, counts, pairs, single = (
        read(folder, name)
        for name in ("predicted_wide", "values", "people_counts", "people_differences", "people_answers")
    )
    single_by_cell = by_cell(single)
    answered = wide[wide["valid_mass"].notna()]
    panel = read(folder, "panel")
    numbers: Numbers = {
        "n_people": float(len(panel)),
        "n_profiles": float(panel["profile"].nunique()),
        "n_answers": float(len(answered)),
        "valid_mass": weighted_mean(answered, "valid_mass"),
    }
    cells, people = by_cell(answered), by_cell(counts)
    outcomes = read(folder, "outcomes")
    ordered = dict(zip(outcomes["outcome"], outcomes["ordered"] == 1, strict=True))
    for (o, c), rows in cells.items():
        scale = values[values["outcome"] == o]
        numbers |= cell(
            f"{o}/{c}", rows, scale, people.get((o, c)), ordered[o], single=single_by_cell.get((o, c))
        )
    for (o, c), people_rows in by_cell(read(folder, "people_units")).items():
        scale = values[values["outcome"] == o]
        numbers |= squared(f"{o}/{c}", cells[o, c], scale, people_rows, is_ordered=ordered[o])
    seen = counts.loc[counts["seen_in_training"] == 1, ["outcome", "condition"]].drop_duplicates()
    spans = {
        o: np.nan if is_open else np.ptp(values.loc[values["outcome"] == o, "value"])
        for o, is_open in zip(outcomes["outcome"], outcomes["open"], strict=True)
    }
    numbers |= means_over_cells(numbers, {f"{o}/{c}" for o, c in seen.itertuples(index=False)})
    for (o, c), rows in by_cell(pairs).items():
        numbers |= people_effect(f"{o}/{c}", rows, spans[o])
    unordered = {key: rows for key, rows in cells.items() if not ordered[key[0]]}
    numbers |= option_effects(unordered, values, reference(folder))
    for (o, c), rows in by_cell(read(folder, "people_options")).items():
        numbers |= people_options(f"{o}/{c}", rows)
    ordered_cells = {key: rows for key, rows in cells.items() if ordered[key[0]]}
    numbers |= effects(ordered_cells, values, spans, reference(folder))
    numbers |= refit(folder)
    return numbers | calibrated(numbers, spans)


def reference(folder: Path) -> int:
    """The position of the reference condition."""
    return int(read(folder, "conditions").query("reference == 1")["condition"].iloc[0])


def by_cell(table: pd.DataFrame) -> dict[tuple[int, int], pd.DataFrame]:
    """The rows of each (outcome, condition)."""
    keys = table[["outcome", "condition"]].drop_duplicates().itertuples(index=False)
    return {(o, c): table[(table["outcome"] == o) & (table["condition"] == c)] for o, c in keys}


def weighted_mean(rows: pd.DataFrame, column: str) -> float:
    return float(np.average(rows[column], weights=rows["weight"])) if len(rows) else np.nan


def distributions(rows: pd.DataFrame, scale: pd.DataFrame) -> np.ndarray:
    """A row of probabilities for every person with a valid answer, over all values of the outcome."""
    drawn = scale["column"].notna().to_numpy()
    listed = rows.loc[rows["valid_mass"] > 0, list(scale["column"][drawn])].to_numpy(dtype=float)
    shares = np.zeros((len(listed), len(scale)))
    shares[:, drawn] = listed
    return shares


def mean_shares(rows: pd.DataFrame, scale: pd.DataFrame) -> np.ndarray:
    """The weighted mean of the people's probabilities; NaN without a valid answer."""
    shares = distributions(rows, scale)
    weights = rows.loc[rows["valid_mass"] > 0, "weight"].to_numpy(dtype=float)
    return np.average(shares, axis=0, weights=weights) if len(shares) else np.full(len(scale), np.nan)


def n_valid(rows: pd.DataFrame) -> float:
    """How many simulated people have a valid answer."""
    return float((rows["valid_mass"] > 0).sum())


def n_profiles(rows: pd.DataFrame) -> float:
    """How many distinct profiles have a valid answer: people with the same one get the same answer and count once."""
    return float(rows.loc[rows["valid_mass"] > 0, "profile"].nunique())


def cell(
    place: str,
    rows: pd.DataFrame,
    scale: pd.DataFrame,
    people: pd.DataFrame | None,
    is_ordered: bool,
    *,
    single: pd.DataFrame | None,
) -> Numbers:
    """The numbers of a cell; those of people too, if they were asked the same."""
    places, shares = scale["value"].to_numpy(dtype=float), mean_shares(rows, scale)
    middle, spread = moments(shares, places) if is_ordered else (np.nan, np.nan)
    numbers = {
        f"n_simulated/{place}": n_valid(rows),
        f"n/{place}": n_profiles(rows),
        f"mean/{place}": middle,
        f"sd/{place}": spread,
        f"valid_mass/{place}": weighted_mean(rows, "valid_mass"),
    }
    if is_ordered:
        numbers[f"above/{place}"] = above_midpoint(shares, places)
    numbers |= {f"share/{place}/{value:.15g}": share for value, share in zip(places, shares, strict=True)}
    if people is None:
        return numbers
    on_scale = people[people["value"].notna()].set_index("value").loc[places]
    n = on_scale["n"].to_numpy(dtype=float)
    middle, spread = moments(n, places) if is_ordered else (np.nan, np.nan)
    n_people, effective = (n.sum(), n.sum()) if single is None else effective_size(single)
    if single is not None:
        numbers[f"people_n_effective/{place}"] = effective
    numbers |= {
        f"people_n/{place}": n_people,
        f"people_n_off_scale/{place}": float(people.loc[people["value"].isna(), "n"].sum()),
        f"people_mean/{place}": middle,
        f"people_sd/{place}": spread * sample_factor(n_people),
    }
    if is_ordered:
        numbers[f"people_above/{place}"] = above_midpoint(n, places)
    for value, (share, low, high) in zip(places, wilson(n, effective), strict=True):
        numbers[f"people_share/{place}/{value:.15g}"] = share
        numbers[f"people_share_low/{place}/{value:.15g}"] = low
        numbers[f"people_share_high/{place}/{value:.15g}"] = high
    if not is_ordered:
        return numbers
    guesses = {"": shares, "_uniform": np.full(len(places), 1 / len(places))}
    if on_scale["pooled_share"].notna().all():
        guesses["_condition_blind"] = on_scale["pooled_share"].to_numpy(dtype=float)
    for range_name in ["observed"] if is_drawn(rows) else ["observed", "stated"]:
        for name, guess in guesses.items():
            numbers[f"w_{range_name}{name}/{place}"] = distance(places, guess, n, range_name)
        half = half_sample(places, n, range_name)
        numbers[f"w_{range_name}_half_sample/{place}"] = half
        numbers[f"w_{range_name}_oracle/{place}"] = oracle(places, n, range_name)
    return numbers


def squared(
    place: str, rows: pd.DataFrame, scale: pd.DataFrame, people: pd.DataFrame, *, is_ordered: bool
) -> Numbers:
    """Squared distances to all such people: without the variance of the shares of those who answered."""
    places = scale["value"].to_numpy(dtype=float)
    people = people.loc[people.index.repeat(people["n"])].reset_index(drop=True)
    unit = people["unit"].fillna(pd.Series(-1.0 - people.index, index=people.index))
    given = memberships(people["answer"].to_numpy(dtype=float), places)
    gaps = np.full(len(places), 0.5)
    if is_ordered:
        given, gaps = given.cumsum(axis=1)[:, :-1], np.diff(places) / np.ptp(places)
    weight = (people["weight"] / people["weight"].sum()).to_numpy(dtype=float)
    shares = weight @ given
    # what one person, or cluster, misses by is added up first
    missed = pd.DataFrame(weight[:, None] * (given - shares)).groupby(unit).sum().to_numpy()
    n = len(missed)
    noise = (missed**2).sum(axis=0) * n / (n - 1) if n > 1 else np.full(len(gaps), np.nan)
    numbers = {}
    guesses = {"": mean_shares(rows, scale), "_uniform": np.full(len(places), 1 / len(places))}
    for name, guess in guesses.items():
        expected = guess.cumsum()[:-1] / guess.sum() if is_ordered else guess / guess.sum()
        numbers[f"squared{name}/{place}"] = float(gaps @ ((expected - shares) ** 2 - noise))
    return numbers


def is_drawn(rows: pd.DataFrame) -> bool:
    """Whether answers are draws and not exact probabilities. Draws have no stated range."""
    return bool(rows["n_samples"].max() > 0)


def wilson(n: np.ndarray, size: float) -> list[tuple[float, float, float]]:
    """The share of each answer with the 95% interval of `size` people."""
    total, z = n.sum(), stats.norm.ppf(0.975)
    if total == 0:
        return [(np.nan, np.nan, np.nan)] * len(n)
    shares = []
    for k in n:
        share = k / total
        if np.isnan(size):
            shares.append((share, np.nan, np.nan))
            continue
        middle = (share * size + z**2 / 2) / (size + z**2)
        margin = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
        shares.append((share, 0.0 if k == 0 else middle - margin, 1.0 if k == total else middle + margin))
    return shares


def means_over_cells(numbers: Numbers, seen: set[str]) -> Numbers:
    """The mean of each distance over the cells that were not seen in training, and their number."""
    scores: dict[str, list[float]] = {}
    for key, number in numbers.items():
        name, _, place = key.partition("/")
        if name.startswith(("w_", "squared")) and place not in seen and not np.isnan(number):
            scores.setdefault(name, []).append(number)
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    return means | {f"n_{name}": float(len(values)) for name, values in scores.items()}


def effects(
    cells: dict[tuple[int, int], pd.DataFrame], values: pd.DataFrame, spans: dict[int, float], base: int
) -> Numbers:
    """Predicted differences in means from the reference, over the simulated people who answered both."""
    numbers: Numbers = {}
    for (o, c), rows in cells.items():
        if c == base or (o, base) not in cells:
            continue
        scale = values[(values["outcome"] == o) & values["column"].notna()]
        both = set(rows["person"]) & set(cells[o, base]["person"])
        if not both or scale.empty:
            continue
        places = scale["value"].to_numpy(dtype=float)
        means = []
        for side in (rows, cells[o, base]):
            means.append(moments(mean_shares(side[side["person"].isin(both)], scale), places)[0])
        numbers[f"effect/{o}/{c}"] = means[0] - means[1]
        numbers[f"effect_n_simulated/{o}/{c}"] = n_valid(rows[rows["person"].isin(both)])
        numbers[f"effect_n/{o}/{c}"] = n_profiles(rows[rows["person"].isin(both)])
        if spans[o] > 0:
            numbers[f"effect_share/{o}/{c}"] = (means[0] - means[1]) / spans[o]
    return numbers


def option_effects(cells: dict[tuple[int, int], pd.DataFrame], values: pd.DataFrame, base: int) -> Numbers:
    """Predicted differences of each option's share from the reference in percentage points, over people in both."""
    numbers: Numbers = {}
    for (o, c), rows in cells.items():
        if c == base or (o, base) not in cells:
            continue
        scale = values[values["outcome"] == o]
        both = set(rows["person"]) & set(cells[o, base]["person"])
        if not both:
            continue
        ours, theirs = (
            mean_shares(side[side["person"].isin(both)], scale) for side in (rows, cells[o, base])
        )
        for value, difference in zip(scale["value"], ours - theirs, strict=True):
            numbers[f"option_effect/{o}/{c}/{value:.15g}"] = 100 * difference
    return numbers


def people_options(place: str, rows: pd.DataFrame) -> Numbers:
    """People's differences of each option's share in percentage points, by the method of the effect.

    Between people who gave one answer each, intervals are Newcombe's (1998, Statistics in Medicine 17, method 10).
    """
    given = rows[["value", "value_reference"]].to_numpy(dtype=float)
    whole = np.isin(given[np.isfinite(given)], (0, 1)).all()
    numbers: Numbers = {}
    for option, counted in rows.groupby("option"):
        if method_of(counted) == "welch" and whole:
            ours, theirs = repeated(counted, "value"), repeated(counted, "value_reference")
            (first, low, high), (second, below, above) = (
                wilson(np.array([side.sum(), len(side) - side.sum()]), len(side))[0]
                for side in (ours, theirs)
            )
            difference = first - second
            estimate = [
                difference,
                difference - np.hypot(first - low, above - second),
                difference + np.hypot(high - first, second - below),
            ]
        else:
            found = people_effect("", counted, np.nan)
            estimate = [found[f"people_effect{end}/"] for end in ("", "_low", "_high")]
        for name, x in zip(("", "_low", "_high"), estimate, strict=True):
            numbers[f"people_option_effect{name}/{place}/{option:.15g}"] = 100 * float(x)
    return numbers


def people_effect(place: str, rows: pd.DataFrame, span: float) -> Numbers:
    """People's difference with its 95% interval, by the method of the effect."""
    ours, theirs = repeated(rows, "value"), repeated(rows, "value_reference")
    difference = ours.mean() - theirs.mean() if len(ours) and len(theirs) else np.nan
    test = None  # without any spread there is no interval
    method = method_of(rows)
    low = high = np.nan
    if method == "clustered":
        difference, error, freedom = clustered(rows)
        low, high = (difference + side * stats.t.ppf(0.975, freedom) * error for side in (-1, 1))
    elif method == "paired":
        if len(ours) > 1 and np.ptp(ours - theirs) > 0:
            test = stats.ttest_rel(ours, theirs)
    elif min(len(ours), len(theirs)) > 1 and max(np.ptp(ours), np.ptp(theirs)) > 0:
        test = stats.ttest_ind(ours, theirs, equal_var=False)
    if test:
        low, high = test.confidence_interval(0.95)
    numbers: Numbers = {}
    for end, number in {"": difference, "_low": low, "_high": high}.items():
        numbers[f"people_effect{end}/{place}"] = number
        if span > 0:
            numbers[f"people_effect_share{end}/{place}"] = number / span
    numbers[f"people_effect_n/{place}"] = float(len(ours))
    numbers[f"people_effect_n_reference/{place}"] = float(len(theirs))
    return numbers


def unlike_wide(folder: Path) -> list[str]:
    """Says whether predicted_long.csv has other probabilities than predicted_wide.csv."""
    wide, long = read(folder, "predicted_wide"), read(folder, "predicted_long")
    keys = ["person", "condition", "outcome"]
    columns = "p_" + long["value"].map(lambda value: f"{value:.15g}")
    pivoted = long.assign(column=columns).pivot(index=keys, columns="column", values="probability")
    listed = wide.set_index(keys)[list(pivoted.columns)].dropna(how="all")
    apart = (listed - pivoted.reindex(listed.index)).abs().max().max() if len(listed) else 0.0
    same_values = listed.notna().equals(pivoted.reindex(listed.index).notna())
    same_rows = len(listed) == len(pivoted.dropna(how="all"))
    if not (same_values and same_rows and apart <= TOLERANCE):
        return ["predicted_long.csv and predicted_wide.csv disagree"]
    outcomes = read(folder, "outcomes")
    ordered = long[long["outcome"].isin(outcomes.loc[outcomes["ordered"] == 1, "outcome"])]
    means = (ordered["probability"] * ordered["value"]).groupby([ordered[key] for key in keys]).sum()
    stated = wide.set_index(keys)["mean"].dropna()
    stated = stated[stated.index.isin(means.index)]
    apart = (stated - means.reindex(stated.index)).abs()
    if (apart > TOLERANCE * means.abs().reindex(stated.index).clip(lower=1)).any():
        return ["predicted_wide.csv: mean is not that of its probabilities"]
    return []


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
