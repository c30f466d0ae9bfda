"""How certain a number over studies is: studies are the units, with everything inside them kept together.

Intervals over studies leave out one study at a time and use Student's t, which holds 95% from 5 studies on, where
the percentiles of resampled studies hold 84% to 91% (`benchmarks/numbers/studies.py`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Floats

DRAWS = 2000
SEED = 0  # of every analysis that draws, so that the same data give the same numbers
MIN_STUDIES_FOR_INTERVAL = 5  # the fewest for which intervals of ratios and slopes were simulated to hold
Statistic = Callable[[Floats], Floats]
Range = Literal["any", "positive", "correlation", "share"]


@dataclass(frozen=True)
class Measure:
    """A number with its 95% interval; `low` and `high` are NaN where no interval is earned."""

    value: float
    low: float
    high: float


def resamples(n: int, *, seed: int | Sequence[int], draws: int = DRAWS) -> Floats:
    """How often each of `n` units is drawn in each of `draws` samples of n with replacement [draws, n]."""
    # Every sample has numbers of its own, so that one bincount counts all samples.
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(float)


def sums_by_study(study: NDArray[np.str_], columns: Floats) -> Floats:
    """The sums [s, m] of `columns` [e, m] over the entries of each study, studies in order of their names."""
    names, position = np.unique(study, return_inverse=True)
    sums = np.zeros((names.size, columns.shape[1]))
    np.add.at(sums, position, columns)
    return sums


def over_studies(
    sums: Floats, statistic: Statistic, *, within: Range = "any", confidence: float = CONFIDENCE
) -> Measure:
    """A `statistic` of the sums [s, m] over studies, with an interval from leaving out one study at a time.

    `statistic` turns totals [..., m] into numbers [...], NaN without one. The interval is the estimate plus
    and minus t with s - 1 degrees of freedom times the jackknife's standard error, around the estimate (Efron &
    Tibshirani 1993, An Introduction to the Bootstrap, ch. 11; for slopes it is CR3 of Bell & McCaffrey 2002, Survey
    Methodology 28). For a mean of studies it is the t interval. A number `within` a range keeps to it: "positive"
    ones are taken on the log scale, a "correlation" on Fisher's, and a "share" gets Wilson's interval for as many
    answers as give its standard error (Korn & Graubard 1998, Survey Methodology 24), one a study where all agree.
    No interval with fewer than MIN_STUDIES_FOR_INTERVAL studies, or where some study cannot be left out.
    """
    value = float(statistic(sums.sum(axis=0)))
    n = len(sums)
    if n < MIN_STUDIES_FOR_INTERVAL:
        return Measure(value, math.nan, math.nan)
    left_out = statistic(sums.sum(axis=0) - sums)
    t = float(stdtrit(n - 1, (1 + confidence) / 2))
    if within == "share":
        return _wilson(value, _jackknife_error(value, left_out), t, n)
    # The ends of the ranges, a correlation of 1 or an error of 0, lie at infinity and have no interval.
    with np.errstate(divide="ignore", invalid="ignore"):
        on_line, back = _LINES[within]
        center = float(on_line(np.array(value)))
        reach = t * _jackknife_error(center, on_line(left_out))
    if not math.isfinite(reach):
        return Measure(value, math.nan, math.nan)
    return Measure(value, float(back(np.array(center - reach))), float(back(np.array(center + reach))))


def _same(numbers: Floats) -> Floats:
    return numbers


# Where numbers within a range have no end: the way there and back.
_LINES: dict[Range, tuple[Statistic, Statistic]] = {
    "any": (_same, _same),
    "positive": (np.log, np.exp),
    "correlation": (np.arctanh, np.tanh),
}


def _jackknife_error(value: float, left_out: Floats) -> float:
    """The standard error of `value` from the same number without each of s studies [s]; NaN where one is missing."""
    n = left_out.size
    return math.sqrt((n - 1) / n * float(((left_out - value) ** 2).sum()))


def _wilson(share: float, error: float, t: float, n_studies: int) -> Measure:
    """Wilson's interval of a share for as many answers as give this standard error, t in place of the normal's z."""
    spread = share * (1 - share)
    n = n_studies if error < 1e-12 or spread < 1e-12 else spread / error**2
    middle = (share + t**2 / (2 * n)) / (1 + t**2 / n)
    reach = t * math.sqrt(max(spread, 0.0) / n + t**2 / (4 * n**2)) / (1 + t**2 / n)
    # Exactly 0 and 1 at the ends: the formula misses them by rounding.
    return Measure(share, min(max(middle - reach, 0.0), share), max(min(middle + reach, 1.0), share))


def mean_over_studies(scores: Floats, *, confidence: float = CONFIDENCE) -> Measure:
    """The unweighted mean of one score a study [s], without studies that have none (NaN), with its t interval."""
    given = np.asarray(scores, dtype=float)
    given = given[np.isfinite(given)]
    return over_studies(np.stack([np.ones_like(given), given], axis=1), ratio, confidence=confidence)


def ratio(totals: Floats) -> Floats:
    """The second of the totals [..., 2] over the first; NaN over nothing."""
    weight, total = totals[..., 0], totals[..., 1]
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan)
