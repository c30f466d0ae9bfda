"""What analysis.py and comparison.py share: how data/ is read, how numbers are checked, and measures of distance."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

TOLERANCE = 1e-8
UNSEEN = 0.2  # how often an end of a scale is taken to hold somebody, before any answer
Numbers = dict[str, float]  # numbers by key


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / f"{name}.csv")


def verdict(folder: Path, computed: Numbers, problems: list[str]) -> int:
    """Prints how numbers.csv differs from what was computed, after other `problems`. Returns the exit status."""
    stated = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    lines = list(problems)
    lines += [f"{key}: in numbers.csv, but not computed" for key in stated.index if key not in computed]
    lines += [f"{key}: computed, but not in numbers.csv" for key in computed if key not in stated.index]
    for key in stated.index.intersection(list(computed)):
        theirs, ours = float(stated[key]), float(computed[key])
        same = abs(theirs - ours) <= TOLERANCE * max(1.0, abs(theirs))
        if not (same or (np.isnan(theirs) and np.isnan(ours))):
            lines.append(f"{key}: {theirs!r} in numbers.csv, {ours!r} computed")
    for line in lines[:20]:
        print(line)
    print(f"{len(stated)} numbers, {len(lines)} differences, tolerance {TOLERANCE:g}")
    return 1 if lines else 0


def moments(weights: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """The mean and the standard deviation of `places` with these weights; NaN without weight."""
    if not weights.sum() > 0:
        return np.nan, np.nan
    middle = float(np.average(places, weights=weights))
    return middle, float(np.sqrt(np.average((places - middle) ** 2, weights=weights)))


def repeated(counted: pd.DataFrame, column: str) -> np.ndarray:
    """The answers of people_differences.csv in a column, one for each person."""
    given = counted[counted[column].notna()]
    return np.repeat(given[column].to_numpy(dtype=float), given["n"])


def is_paired(counted: pd.DataFrame) -> bool:
    """Whether both answers of every row are one person's."""
    return bool(counted[["value", "value_reference"]].notna().all(axis=None))


def ends(places: np.ndarray, n: np.ndarray, range_name: str) -> tuple[float, float]:
    """The lowest and the highest value: of people's answers for "observed", otherwise of the scale."""
    used = places[n > 0] if range_name == "observed" else places
    return (float(used.min()), float(used.max())) if len(used) else (np.nan, np.nan)


def distance(places: np.ndarray, guess: np.ndarray, n: np.ndarray, range_name: str) -> float:
    """W of a distribution to people, in shares of the range, the distribution clipped into it."""
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
        # with an odd number one person is in neither half, and is below with the chance below / total
        return float(below / total * apart(below - 1) + (1 - below / total) * apart(below))

    area = 0.0
    for below, gap in zip(np.cumsum(n)[:-1], np.diff(places), strict=True):
        # an answer between two values counts for both, so the people below may be no whole number
        whole = int(np.floor(below + 1e-9))
        part = max(below - whole, 0.0)
        area += gap * ((1 - part) * halved(whole) + part * halved(whole + 1))
    return float(area / (high - low))


def oracle(places: np.ndarray, n: np.ndarray, range_name: str) -> float:
    """The expected W of the true distribution to these people: half of the half-sample, and what nobody showed."""
    half = half_sample(places, n, range_name)
    if range_name == "observed":
        return half / 2
    total = round(n.sum())
    below = np.cumsum(n)[:-1]
    beyond = np.diff(places)[(below < 1e-9) | (below > total - 1e-9)].sum()
    log_missed = special.betaln(UNSEEN + 1, 2 * total + UNSEEN) - special.betaln(UNSEEN, total + UNSEEN)
    return float(half / 2 + 2 * np.exp(log_missed) * beyond / np.ptp(places))
