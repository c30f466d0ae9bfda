"""Computes every number of report.html again from data/ and compares it with numbers.csv.

    python analysis.py            needs pandas, numpy and scipy, nothing of the project that wrote this folder

Ends with 0 where every number agrees within TOLERANCE (relative to numbers above 1), else with 1 and the first
differences. Keys are quantity/outcome/condition/value, as codebook.csv tells.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

TOLERANCE = 1e-8
Found = dict[str, float]


def main(folder: Path) -> int:
    return verdict(folder, compute(folder), unlike_wide(folder))


def verdict(folder: Path, found: Found, wrong: list[str]) -> int:
    """Prints how numbers.csv differs from what was `found`, after what is `wrong` already; the exit status."""
    told = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    wrong += [f"{key}: in numbers.csv, but not computed" for key in told.index if key not in found]
    wrong += [f"{key}: computed, but not in numbers.csv" for key in found if key not in told.index]
    for key in told.index.intersection(list(found)):
        stated, computed = float(told[key]), float(found[key])
        same = abs(stated - computed) <= TOLERANCE * max(1.0, abs(stated))
        if not (same or (np.isnan(stated) and np.isnan(computed))):
            wrong.append(f"{key}: {stated!r} in numbers.csv, {computed!r} computed")
    for line in wrong[:20]:
        print(line)
    print(f"{len(told)} numbers, {len(wrong)} differences, tolerance {TOLERANCE:g}")
    return 1 if wrong else 0


def compute(folder: Path) -> Found:
    wide, values, counts, pairs = (
        read(folder, name) for name in ("predicted_wide", "values", "people_counts", "people_differences")
    )
    answered = wide[wide["valid_mass"].notna()]
    found: Found = {
        "n_people": float(len(read(folder, "panel"))),
        "n_answers": float(len(answered)),
        "valid_mass": mean(answered["valid_mass"]),
    }
    cells, people = by_cell(answered), by_cell(counts)
    outcomes = read(folder, "outcomes")
    ordered = dict(zip(outcomes["outcome"], outcomes["ordered"] == 1, strict=True))
    for (o, c), rows in cells.items():
        scale = values[values["outcome"] == o]
        found |= cell(f"{o}/{c}", rows, scale, people.get((o, c)), ordered[o])
    seen = counts.loc[counts["seen_in_training"] == 1, ["outcome", "condition"]].drop_duplicates()
    spans = {
        o: np.nan if is_open else np.ptp(values.loc[values["outcome"] == o, "value"])
        for o, is_open in zip(outcomes["outcome"], outcomes["open"], strict=True)
    }
    found |= overall(found, {f"{o}/{c}" for o, c in seen.itertuples(index=False)})
    for (o, c), rows in by_cell(pairs).items():
        found |= people_effect(f"{o}/{c}", rows, spans[o])
    found |= effects(
        {key: rows for key, rows in cells.items() if ordered[key[0]]}, values, spans, reference(folder)
    )
    return found | calibrated(found, folder, spans)


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / f"{name}.csv")


def reference(folder: Path) -> int:
    """The position of the reference condition."""
    return int(read(folder, "conditions").query("reference == 1")["condition"].iloc[0])


def by_cell(table: pd.DataFrame) -> dict[tuple[int, int], pd.DataFrame]:
    """The rows of each (outcome, condition)."""
    keys = table[["outcome", "condition"]].drop_duplicates().itertuples(index=False)
    return {(o, c): table[(table["outcome"] == o) & (table["condition"] == c)] for o, c in keys}


def mean(numbers: pd.Series) -> float:
    return float(numbers.mean()) if len(numbers) else np.nan


def distributions(rows: pd.DataFrame, scale: pd.DataFrame) -> np.ndarray:
    """A row of probabilities for every person with a valid answer, over all values of the outcome."""
    drawn = scale["column"].notna().to_numpy()
    told = rows.loc[rows["valid_mass"] > 0, list(scale["column"][drawn])].to_numpy(dtype=float)
    spread = np.zeros((len(told), len(scale)))
    spread[:, drawn] = told
    return spread


def moments(weights: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    if not weights.sum() > 0:
        return np.nan, np.nan
    middle = float(np.average(places, weights=weights))
    return middle, float(np.sqrt(np.average((places - middle) ** 2, weights=weights)))


def n_profiles(rows: pd.DataFrame) -> float:
    """How many different profiles have a valid answer: personas with the same one are one simulated person."""
    return float(rows.loc[rows["valid_mass"] > 0, "profile"].nunique())


def cell(
    place: str, rows: pd.DataFrame, scale: pd.DataFrame, people: pd.DataFrame | None, is_ordered: bool
) -> Found:
    places, told = scale["value"].to_numpy(dtype=float), distributions(rows, scale)
    shares = told.mean(axis=0) if len(told) else np.full(len(places), np.nan)
    middle, spread = moments(shares, places) if is_ordered else (np.nan, np.nan)
    found = {
        f"n/{place}": n_profiles(rows),
        f"mean/{place}": middle,
        f"sd/{place}": spread,
        f"valid_mass/{place}": mean(rows["valid_mass"]),
    }
    found |= {f"share/{place}/{value:.15g}": share for value, share in zip(places, shares, strict=True)}
    if people is None:
        return found
    on_scale = people[people["value"].notna()].set_index("value").loc[places]
    n = on_scale["n"].to_numpy(dtype=float)
    middle, spread = moments(n, places) if is_ordered else (np.nan, np.nan)
    off = people.loc[people["value"].isna(), "n"].sum()
    found |= {
        f"people_n/{place}": n.sum(),
        f"people_n_off_scale/{place}": float(off),
        f"people_mean/{place}": middle,
        f"people_sd/{place}": spread,
    }
    for value, (share, low, high) in zip(places, wilson(n), strict=True):
        end = f"{place}/{value:.15g}"
        found |= {
            f"people_share/{end}": share,
            f"people_share_low/{end}": low,
            f"people_share_high/{end}": high,
        }
    if not is_ordered:
        return found
    guesses = {"": shares, "_uniform": np.full(len(places), 1 / len(places))}
    if on_scale["pooled_share"].notna().all():
        guesses["_condition_blind"] = on_scale["pooled_share"].to_numpy(dtype=float)
    for range_name in ["observed"] if is_drawn(rows) else ["observed", "stated"]:
        for row, guess in guesses.items():
            found[f"w_{range_name}{row}/{place}"] = distance(places, guess, n, range_name)
        half = half_sample(places, n, range_name)
        found |= {f"w_{range_name}_half_sample/{place}": half, f"w_{range_name}_oracle/{place}": half / 2}
    return found


def is_drawn(rows: pd.DataFrame) -> bool:
    """Whether answers are draws and no exact probabilities; then the stated range is not used."""
    return bool(rows["n_samples"].max() > 0)


def wilson(n: np.ndarray) -> list[tuple[float, float, float]]:
    total, z = n.sum(), stats.norm.ppf(0.975)
    if total == 0:
        return [(np.nan, np.nan, np.nan)] * len(n)
    found = []
    for k in n:
        share = k / total
        middle = (k + z**2 / 2) / (total + z**2)
        margin = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
        found.append((share, 0.0 if k == 0 else middle - margin, 1.0 if k == total else middle + margin))
    return found


def ends(places: np.ndarray, n: np.ndarray, range_name: str) -> tuple[float, float]:
    """The lowest and the highest value: of people's answers, or of the scale."""
    used = places[n > 0] if range_name == "observed" else places
    return (float(used.min()), float(used.max())) if len(used) else (np.nan, np.nan)


def distance(places: np.ndarray, guess: np.ndarray, n: np.ndarray, range_name: str) -> float:
    """W of a distribution to people, both in shares of the range, the guess clipped into it."""
    low, high = ends(places, n, range_name)
    if n.sum() < 2 or not high > low or not guess.sum() > 0:
        return np.nan
    at = (places - low) / (high - low)
    return float(
        stats.wasserstein_distance(np.clip(at, 0, 1)[guess > 0], at[n > 0], guess[guess > 0], n[n > 0])
    )


def half_sample(places: np.ndarray, n: np.ndarray, range_name: str) -> float:
    """The mean W between two halves of the people: below each gap of the scale their number is hypergeometric."""
    low, high = ends(places, n, range_name)
    total, half = round(n.sum()), round(n.sum()) // 2
    if total < 4 or not high > low:
        return np.nan

    def apart(below: int) -> float:
        x = np.arange(half + 1)
        return float(stats.hypergeom.pmf(x, 2 * half, below, half) @ np.abs(2 * x - below) / half)

    def halved(below: int) -> float:
        if total % 2 == 0 or not 0 < below < total:
            return apart(below) if 0 < below < total else 0.0
        # the one who sits out is below with the chance below / total
        return float(below / total * apart(below - 1) + (1 - below / total) * apart(below))

    found = 0.0
    for below, gap in zip(np.cumsum(n)[:-1], np.diff(places), strict=True):
        whole = int(
            np.floor(below + 1e-9)
        )  # answers between two values count for both: people may be no whole number
        part = max(below - whole, 0.0)
        found += gap * ((1 - part) * halved(whole) + part * halved(whole + 1))
    return float(found / (high - low))


def overall(found: Found, seen: set[str]) -> Found:
    """The mean of each W over the cells that were not seen in training, and their number."""
    scores: dict[str, list[float]] = {}
    for key, number in found.items():
        name, _, place = key.partition("/")
        if name.startswith("w_") and place not in seen and not np.isnan(number):
            scores.setdefault(name, []).append(number)
    means = {name: float(np.mean(each)) for name, each in scores.items()}
    return means | {f"n_{name}": float(len(each)) for name, each in scores.items()}


def effects(
    cells: dict[tuple[int, int], pd.DataFrame], values: pd.DataFrame, spans: dict[int, float], base: int
) -> Found:
    """Predicted differences in means against the reference, over the personas who answered both."""
    found: Found = {}
    for (o, c), rows in cells.items():
        if c == base or (o, base) not in cells:
            continue
        scale = values[(values["outcome"] == o) & values["column"].notna()]
        theirs = cells[o, base]
        both = set(rows["person"]) & set(theirs["person"])
        if not both or scale.empty:
            continue
        places = scale["value"].to_numpy(dtype=float)
        told = [distributions(each[each["person"].isin(both)], scale) for each in (rows, theirs)]
        means = [moments(each.mean(axis=0), places)[0] if len(each) else np.nan for each in told]
        found[f"effect/{o}/{c}"] = means[0] - means[1]
        found[f"effect_n/{o}/{c}"] = n_profiles(rows[rows["person"].isin(both)])
        if spans[o] > 0:
            found[f"effect_share/{o}/{c}"] = (means[0] - means[1]) / spans[o]
    return found


def calibrated(found: Found, folder: Path, spans: dict[int, float]) -> Found:
    """People's true effects to expect, with t intervals; nothing without a calibration of the model."""
    if not (folder / "data" / "calibration.csv").exists():
        return {}
    fitted = read(folder, "calibration").iloc[0]
    told = {f"calibration_{name}": float(number) for name, number in fitted.items()}
    for key, share in found.items():
        name, _, place = key.partition("/")
        if name != "effect_share" or np.isnan(share):
            continue
        span = spans[int(place.split("/")[0])]
        spread = np.sqrt(fitted["study_sd"] ** 2 + fitted["arm_sd"] ** 2 + (fitted["slope_se"] * share) ** 2)
        middle = fitted["slope"] * share
        told[f"calibrated/{place}"] = span * middle
        for level in (50, 80, 90):
            reach = stats.t.ppf(0.5 + level / 200, fitted["n_studies"] - 2) * spread
            told[f"calibrated_low_{level}/{place}"] = span * (middle - reach)
            told[f"calibrated_high_{level}/{place}"] = span * (middle + reach)
    return told


def people_effect(place: str, rows: pd.DataFrame, span: float) -> Found:
    """People's difference with its 95% interval: paired where both answers are one person's, else Welch's."""
    paired = rows["value"].notna() & rows["value_reference"].notna()
    ours, theirs = (
        np.repeat(side[name].to_numpy(dtype=float), side["n"])
        for name in ("value", "value_reference")
        for side in [rows[rows[name].notna()]]
    )
    difference = ours.mean() - theirs.mean() if len(ours) and len(theirs) else np.nan
    if paired.all():
        test = stats.ttest_rel(ours, theirs) if len(ours) > 1 and np.ptp(ours - theirs) > 0 else None
    else:
        some = min(len(ours), len(theirs)) > 1 and max(np.ptp(ours), np.ptp(theirs)) > 0
        test = stats.ttest_ind(ours, theirs, equal_var=False) if some else None
    low, high = test.confidence_interval(0.95) if test else (np.nan, np.nan)
    told = {"": difference, "_low": low, "_high": high}
    found = {f"people_effect{end}/{place}": number for end, number in told.items()}
    if span > 0:
        found |= {f"people_effect_share{end}/{place}": number / span for end, number in told.items()}
    n = {"n": float(len(ours)), "n_reference": float(len(theirs))}
    return found | {f"people_effect_{name}/{place}": number for name, number in n.items()}


def unlike_wide(folder: Path) -> list[str]:
    """Where predicted_long.csv has other probabilities than predicted_wide.csv."""
    wide, long = read(folder, "predicted_wide"), read(folder, "predicted_long")
    keys = ["person", "condition", "outcome"]
    columns = "p_" + long["value"].map(lambda value: f"{value:.15g}")
    spread = long.assign(column=columns).pivot(index=keys, columns="column", values="probability")
    told = wide.set_index(keys)[list(spread.columns)].dropna(how="all")
    apart = (told - spread.reindex(told.index)).abs().max().max() if len(told) else 0.0
    same_cells = told.notna().equals(spread.reindex(told.index).notna()) and len(told) == len(
        spread.dropna(how="all")
    )
    return [] if same_cells and apart <= TOLERANCE else ["predicted_long.csv and predicted_wide.csv disagree"]


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent))
