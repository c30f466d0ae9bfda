"""What analysis.py and comparison.py share: how data/ is read, how numbers are checked, and measures of distance."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special, stats

TOLERANCE = 1e-8
# Of numbers that rest on a calibration that is fitted again: two searches for one maximum end this close.
REFIT_TOLERANCE = 1e-5
REFITTED = re.compile(r"calibrated|calibration_(slope|arm_sd|rmse$)")
UNSEEN = 0.2  # how often an end of a scale is taken to hold somebody, before any answer
Numbers = dict[str, float]  # numbers by key


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / f"{name}.csv")


def verdict(folder: Path, computed: Numbers, problems: list[str]) -> int:
    """Prints how numbers.csv differs from what was computed, after other `problems`. Returns the exit status."""
    stated = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    lines = [*problems, *unlike_page(folder, stated)]
    lines += [f"{key}: in numbers.csv, but not computed" for key in stated.index if key not in computed]
    lines += [f"{key}: computed, but not in numbers.csv" for key in computed if key not in stated.index]
    for key in stated.index.intersection(list(computed)):
        theirs, ours = float(stated[key]), float(computed[key])
        tolerance = REFIT_TOLERANCE if REFITTED.match(key) else TOLERANCE
        same = abs(theirs - ours) <= tolerance * max(1.0, abs(theirs))
        if not (same or (np.isnan(theirs) and np.isnan(ours))):
            lines.append(f"{key}: {theirs!r} in numbers.csv, {ours!r} computed")
    for line in lines[:20]:
        print(line)
    refitted = (
        f" ({REFIT_TOLERANCE:g} where a calibration is fitted again)"
        if any(map(REFITTED.match, computed))
        else ""
    )
    print(f"{len(stated)} numbers, {len(lines)} differences, tolerance {TOLERANCE:g}{refitted}")
    return 1 if lines else 0


def unlike_page(folder: Path, stated: pd.Series) -> list[str]:
    """Says which numbers of report.html are not those of numbers.csv, in their attribute or as they are shown."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    lines = []
    for key, value, label in re.findall(r'<data data-key="([^"]*)" value="([^"]*)">([^<]*)</data>', page):
        number = float(stated.get(key, np.nan))
        text = label.replace("\u2212", "-").replace(",", "")
        percent = 100 if text.endswith("%") else 1
        shown = text.rstrip("%").lstrip("+")
        rounding = 0.5000001 * 10.0 ** -len(shown.partition(".")[2])
        try:
            same = abs(float(value) - number) <= TOLERANCE * max(1.0, abs(number))
            same = same and abs(float(shown) - percent * number) <= rounding
        except ValueError:
            same = False
        if not same:
            lines.append(f"{key}: {label} in report.html, {number!r} in numbers.csv")
    return lines


def moments(weights: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """The mean and the standard deviation of `places` with these weights; NaN without weight."""
    if not weights.sum() > 0:
        return np.nan, np.nan
    middle = float(np.average(places, weights=weights))
    return middle, float(np.sqrt(np.average((places - middle) ** 2, weights=weights)))


def sample_factor(n: float) -> float:
    """Turns a standard deviation that divides by n into that of a sample, which divides by n - 1."""
    return float(np.sqrt(n / (n - 1))) if n > 1 else float("nan")


def above_midpoint(weights: np.ndarray, places: np.ndarray) -> float:
    """The share above the middle of the scale, with half of what is on it."""
    if len(places) < 2 or not weights.sum() > 0:
        return float("nan")
    middle = (places[0] + places[-1]) / 2
    return float(weights[places > middle].sum() + weights[places == middle].sum() / 2) / float(weights.sum())


def repeated(counted: pd.DataFrame, column: str) -> np.ndarray:
    """The answers of people_differences.csv in a column, one for each person."""
    given = counted[counted[column].notna()]
    return np.repeat(given[column].to_numpy(dtype=float), given["n"])


def memberships(human: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How much of each answer [n] counts for each value [k]: one between two values for both, so that means stay."""
    if len(values) < 2:
        return np.asarray(human[:, None] == values, dtype=float)
    inside = (human >= values[0]) & (human <= values[-1])
    upper = np.clip(np.searchsorted(values, human), 1, len(values) - 1)
    share = (human - values[upper - 1]) / (values[upper] - values[upper - 1])
    rows = np.arange(len(human))
    weights = np.zeros((len(human), len(values)))
    weights[rows, upper - 1] = 1 - share
    weights[rows, upper] = share
    return np.where(inside[:, None], weights, 0.0)


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


def method_of(counted: pd.DataFrame) -> str:
    """How the two sides of an effect in people_differences.csv are compared; "welch" without anybody."""
    return str(counted["method"].iloc[0]) if len(counted) else "welch"


def clustered(counted: pd.DataFrame) -> tuple[float, float, float]:
    """The difference of a clustered effect, its CR2 standard error, and Satterthwaite's degrees of freedom.

    NaN without an interval: fewer than two clusters on a side, nobody in a block who could be compared, or answers
    that do not differ (Pustejovsky & Tipton 2018, Journal of Business & Economic Statistics 36).
    """
    people = counted.loc[counted.index.repeat(counted["n"])].reset_index(drop=True)
    group = people["cluster"].fillna(pd.Series(-1.0 - people.index, index=people.index))
    people = people.assign(group=group, block=people["block"].fillna(0), weight=people["weight"].fillna(1))
    sides = [
        people[people[column].notna()].assign(y=people[column], treated=float(column == "value"))
        for column in ("value", "value_reference")
    ]
    answers = pd.concat(sides, ignore_index=True)
    if not 0 < answers["treated"].sum() < len(answers):
        return np.nan, np.nan, np.nan
    x = np.column_stack([answers["treated"], pd.get_dummies(answers["block"]).to_numpy(dtype=float)])
    y = answers["y"].to_numpy(dtype=float)
    w = (answers["weight"] / answers["weight"].mean()).to_numpy(dtype=float)
    weighted = x * w[:, None]
    cross = x.T @ weighted
    inside = cross[0, 0] - (cross[0, 1:] ** 2 / np.diag(cross)[1:]).sum()
    if len(cross) > 1_001 or inside <= 1e-9 * cross[0, 0]:
        return np.nan, np.nan, np.nan
    inverse = np.linalg.inv(cross)
    beta = inverse @ (weighted.T @ y)
    left = y - x @ beta
    if answers.groupby("treated")["group"].nunique().min() < 2:
        return float(beta[0]), np.nan, np.nan
    square = inverse @ (weighted.T @ weighted) @ inverse
    kernel = np.block([[square, -inverse], [-inverse, np.zeros_like(inverse)]])
    variance = 0.0
    own, parts = [], []
    for at in answers.groupby("group").indices.values():
        # (I - H)(I - H)' among the answers of the cluster, for residuals (I - H) y
        z = np.column_stack([x[at], weighted[at]])
        values, vectors = np.linalg.eigh(np.eye(len(at)) + z @ kernel @ z.T)
        roots = np.where(values > 1e-9, 1 / np.sqrt(np.maximum(values, 1e-9)), 0.0)
        pull = vectors @ (roots * (vectors.T @ (weighted[at] @ inverse[:, 0])))
        variance += float(pull @ left[at]) ** 2
        own.append(pull @ pull)
        parts.append(z.T @ pull)
    z = np.array(parts)
    diagonal = np.array(own)
    through = ((z @ kernel) * z).sum(axis=1)
    turned = kernel @ (z.T @ z)
    squares = ((diagonal + through) ** 2 - through**2).sum() + np.trace(turned @ turned)
    if not (variance > 0 and squares > 0):
        return float(beta[0]), np.nan, np.nan
    return float(beta[0]), float(np.sqrt(variance)), float((diagonal + through).sum() ** 2 / squares)


def effective_size(answers: pd.DataFrame) -> tuple[int, float]:
    """The people of a cell of people_answers.csv, and as how many asked one by one they count for its shares.

    The people over the design effect of all options together (Rao & Scott 1981, JASA 76), for an interval with z
    although clusters are few (Korn & Graubard 1998, Survey Methodology 24).
    """
    counts = answers.pivot_table(index="person", columns="value", values="n", aggfunc="sum", fill_value=0)
    first = answers.groupby("person").first()
    n = counts.sum(axis=1).to_numpy(dtype=float)
    weight = n * first["weight"].fillna(1).to_numpy(dtype=float)
    shares = counts.to_numpy(dtype=float) / n[:, None]
    overall = weight @ shares / weight.sum()
    group = first["cluster"].fillna(pd.Series(-1.0 - first.index, index=first.index)).to_numpy()
    apart = pd.DataFrame(weight[:, None] * (shares - overall) / weight.sum()).groupby(group).sum().to_numpy()
    n_clusters = len(apart)
    if n_clusters < 2:
        return len(n), np.nan
    variance = (apart**2).sum() * n_clusters / (n_clusters - 1)
    one = (overall * (1 - overall)).sum()
    size = float(n_clusters)
    if variance > 0 and one > 0:
        size = float((stats.norm.ppf(0.975) / stats.t.ppf(0.975, n_clusters - 1)) ** 2 * one / variance)
    return len(n), min(size, float(n.sum()))


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
