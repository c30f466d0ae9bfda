"""Effects of a comparison, and intervals over studies, left out one by one. A part of comparison.py."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from comparison_cells import Cell
from shared import Numbers, clustered, method_of, read, repeated

ZERO = 1e-9  # an effect or a difference below it is rounding
MIN_STUDIES = 5  # fewer earn no interval over studies
NO_INTERVAL = (np.nan, np.nan)
Estimate = tuple[float, float, float]  # a number and the ends of its interval


def with_ends(quantity: str, place: str, estimate: Estimate) -> Numbers:
    suffixes = ("", "_low", "_high")
    return {f"{quantity}{end}/{place}": float(x) for end, x in zip(suffixes, estimate, strict=True)}


def over_studies(
    sums: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], within: str = "any"
) -> Estimate:
    """A statistic of the sums [s, m] over studies with the t interval of the jackknife that leaves out studies."""
    value, n = float(statistic(sums.sum(axis=0))), len(sums)
    if n < MIN_STUDIES:
        return value, *NO_INTERVAL
    left_out = np.array(
        [statistic(np.delete(sums, study, axis=0).sum(axis=0)) for study in range(n)], dtype=float
    )
    t = stats.t.ppf(0.975, n - 1)
    if within == "share":
        return value, *wilson(value, jackknife_error(value, left_out), t, n)
    forth, back = {
        "any": (np.positive, np.positive),
        "positive": (np.log, np.exp),
        "correlation": (np.arctanh, np.tanh),
    }[within]
    with np.errstate(divide="ignore", invalid="ignore"):
        center = float(forth(value))
        reach = t * jackknife_error(center, forth(left_out))
    return (
        (value, float(back(center - reach)), float(back(center + reach)))
        if np.isfinite(reach)
        else (value, *NO_INTERVAL)
    )


def jackknife_error(value: float, left_out: np.ndarray) -> float:
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - value) ** 2).sum()))


def wilson(share: float, error: float, t: float, n_studies: int) -> tuple[float, float]:
    """Wilson's interval for as many answers as give this error; one a study where all studies agree."""
    spread = share * (1 - share)
    n = n_studies if error < 1e-12 or spread < 1e-12 else spread / error**2
    middle = (share + t**2 / (2 * n)) / (1 + t**2 / n)
    reach = t * np.sqrt(spread / n + t**2 / (4 * n**2)) / (1 + t**2 / n)
    return float(np.clip(middle - reach, 0, share)), float(np.clip(middle + reach, share, 1))


def ratio(totals: np.ndarray) -> np.ndarray:
    weight = totals[..., 0]
    return np.where(weight > 0, totals[..., 1] / np.where(weight > 0, weight, 1), np.nan)


def mean_interval(scores: np.ndarray) -> Estimate:
    given = scores[np.isfinite(scores)]
    return over_studies(np.stack([np.ones(len(given)), given], axis=1), ratio)


def human_effects(folder: Path) -> pd.DataFrame:
    """People's effects in shares of the scale, with the standard error of the method of each."""
    table = read(folder, "people_differences")
    differences, none = dict(list(table.groupby("effect"))), table.iloc[:0]
    rows = {}
    for effect in read(folder, "effects").to_dict("records"):
        counted = differences.get(effect["effect"], none)
        ours, theirs = repeated(counted, "value"), repeated(counted, "value_reference")
        difference = ours.mean() - theirs.mean() if len(ours) and len(theirs) else np.nan
        method = method_of(counted)
        if method == "clustered":
            difference, error, _ = clustered(counted)
        elif method == "paired":
            error = error_of(ours - theirs)
        else:
            error = np.hypot(error_of(ours), error_of(theirs))
        span = effect["span"]
        rows[effect["effect"]] = (difference / span, error / span, len(ours) + len(theirs))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["human", "human_se", "n_human"])


def error_of(answers: np.ndarray) -> float:
    return float(answers.std(ddof=1) / np.sqrt(len(answers))) if len(answers) > 1 else np.nan


def effects(folder: Path, p: int, cells: list[Cell], people: pd.DataFrame) -> Numbers:
    """A model's effects where it answered in both conditions, and how they agree with people's."""
    means: dict[tuple[str, int, int], list[np.ndarray]] = {}
    for cell in cells:
        places = {"answers": cell.values}
        if not cell.is_open:  # where each value lies on its scale, from 0 to 1
            # 1e-300 instead of 0 for a scale of one value: its place is then 0, not NaN
            places["positions"] = (cell.values - cell.values.min()) / max(np.ptp(cell.values), 1e-300)
        for basis, at in places.items():
            predicted = cell.shares[cell.answered] @ at
            if len(predicted):
                means.setdefault((basis, cell.item, cell.condition_num), []).append(predicted)
    numbers: Numbers = {}
    rows = []
    for effect in read(folder, "effects").to_dict("records"):
        item = effect["basis"], effect["item"]
        sides = [means.get((*item, effect[name]), []) for name in ("condition_num", "reference_num")]
        if all(sides):
            ours, theirs = (np.concatenate(side) for side in sides)
            difference = (ours.mean() - theirs.mean()) / effect["span"]
            rows.append((effect["effect"], effect["study"], difference))
            numbers[f"predicted/{p}/{effect['effect']}"] = float(difference)
            numbers[f"n_predicted/{p}/{effect['effect']}"] = float(len(ours) + len(theirs))
    table = pd.DataFrame(rows, columns=["effect", "study", "predicted"])
    return numbers | agreement(p, table.join(people, on="effect"))


def agreement(p: int, table: pd.DataFrame) -> Numbers:
    """How a model's effects agree with people's: every effect counts the same, and studies are left out."""
    study, human, error, predicted = (
        table[name].to_numpy(dtype=float) for name in ("study", "human", "human_se", "predicted")
    )
    both = np.isfinite(human) & np.isfinite(predicted)
    s, h, m = study[both], human[both], predicted[both]
    a, b = (h - h.mean(), m - m.mean()) if len(h) else (h, m)
    clear = np.abs(h) > stats.norm.ppf(0.975) * error[both]
    signs = [np.where(np.abs(x) < ZERO, 0, np.sign(x)) for x in (h, m)]
    same = (1 + signs[0] * signs[1]) / 2

    def of(
        statistic: Callable[[np.ndarray], np.ndarray], within: str, used: np.ndarray, *columns: np.ndarray
    ) -> Estimate:
        table = pd.DataFrame([np.ones(used.sum()), *(x[used] for x in columns)]).T
        return over_studies(table.groupby(s[used]).sum().to_numpy(), statistic, within)

    everything = np.ones(len(h), dtype=bool)
    moments = (a, b, a * a, a * b, b * b)
    estimates = {
        "sign": of(ratio, "share", everything, same),
        "sign_clear": of(ratio, "share", clear, same),
        "r": of(correlation, "correlation", everything, *moments),
        "slope": of(slope, "any", everything, *moments),
        "rmse": of(lambda totals: np.sqrt(ratio(totals)), "positive", everything, (h - m) ** 2),
    }
    n = {"n_effects": len(h), "n_studies": len(set(s)), "n_clear": clear.sum(), "n_dropped": (~both).sum()}
    numbers = {f"effects_{name}/{p}": float(x) for name, x in n.items()}
    for name, estimate in estimates.items():
        numbers |= with_ends(f"effects_{name}", str(p), estimate)
    return numbers


def spreads(totals: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance of people's effects, covariance, variance of predicted ones; NaN for fewer than three."""
    n = np.where(totals[..., 0] >= 3, totals[..., 0], np.nan)
    a, b, aa, ab, bb = (totals[..., column] / n for column in range(1, 6))
    return aa - a * a, ab - a * b, bb - b * b


def correlation(totals: np.ndarray) -> np.ndarray:
    human, both, predicted = spreads(totals)
    usable = (human > ZERO**2) & (predicted > ZERO**2)
    return np.where(usable, both / np.sqrt(np.where(usable, human * predicted, 1)), np.nan)


def slope(totals: np.ndarray) -> np.ndarray:
    _, both, predicted = spreads(totals)
    usable = predicted > ZERO**2
    return np.where(usable, both / np.where(usable, predicted, 1), np.nan)
