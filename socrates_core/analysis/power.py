"""How many people an experiment needs for an effect that is not known: power, assurance, errors of sign and size.

A condition with `n` people is compared with a reference, by default by the two-sided t test of two groups of equal
size; a `Layout` says what else. `mean`, `sd`, and `freedom` describe the true effect: for certain (sd 0),
normal, or Student's t with that scale. They and `spread`, the standard deviation of answers inside a condition, are in
one unit: shares of the scale, points of it, or Cohen's d with a spread of 1. For shares of yes they are on the arcsine
scale, with a spread of 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import chdtri, nctdtr, ndtr, ndtri, stdtrit

from socrates_core.analysis.layout import PLAIN, Layout
from socrates_core.records import Floats

TARGET = 0.8
MAX_N = 1_000_000
POINTS = 501  # of the effect's distribution, over which errors of sign and size are averaged
MIXED = (
    101  # normal distributions that make up one of Student's t, and standard deviations that samples may have
)


def power(
    n: Floats | float,
    *,
    mean: Floats | float,
    sd: float = 0.0,
    freedom: float = math.inf,
    spread: float = 1.0,
    layout: Layout = PLAIN,
) -> Floats:
    """The chance [n] of a significant result, on either side, with `n` people in the condition.

    For a fixed effect the power of the t test (Cohen 1988, chapter 2); for a normal effect the mean of that power,
    the expected power. Both are exact: with a normal effect the t statistic over sqrt(1 + (sd / error)**2) is
    noncentral t. A t distribution of effects is a mixture of normal ones. 0 where the test has no degree of freedom.
    """
    return np.asarray(sum(_beyond(n, mean=mean, sd=sd, freedom=freedom, spread=spread, layout=layout)))


def assurance(
    n: Floats | float,
    *,
    mean: Floats | float,
    sd: float = 0.0,
    freedom: float = math.inf,
    spread: float = 1.0,
    layout: Layout = PLAIN,
) -> Floats:
    """The chance [n] of a significant result in the direction of `mean`, upward where that is 0.

    As `power`, without the results that are significant on the other side: a prediction that a wide range of effects
    is possible must not count as success whatever comes out (O'Hagan, Stevens & Campbell 2005, Pharmaceutical
    Statistics 4; Kunzmann, Grayling, Lee, Robertson, Rufibach & Wason 2021, The American Statistician 75).
    """
    return _beyond(n, mean=mean, sd=sd, freedom=freedom, spread=spread, layout=layout)[0]


def _beyond(
    n: Floats | float,
    *,
    mean: Floats | float,
    sd: float,
    freedom: float,
    spread: float,
    layout: Layout,
) -> tuple[Floats, Floats]:
    """The chances [n] of a significant result on the side of `mean` and on the other side."""
    if math.isfinite(freedom) and sd > 0:
        parts = [
            _beyond(n, mean=mean, sd=scale, freedom=math.inf, spread=spread, layout=layout)
            for scale in sd / _relative_sds(freedom)
        ]
        return np.mean([part[0] for part in parts], axis=0), np.mean([part[1] for part in parts], axis=0)
    testable = layout.freedom(n) > 0
    of_test = np.where(testable, layout.freedom(n), 1.0)
    error = layout.error(n, spread)
    widened = np.hypot(error, sd)
    limit = _limit(of_test, layout.alpha) * error / widened
    shift = np.abs(mean) / widened
    expected = _below(of_test, -shift, -limit)
    # scipy's noncentral t is NaN below 1e-30
    opposite = np.where(shift < 6, _below(of_test, np.minimum(shift, 6), -limit), 0.0)
    return np.where(testable, expected, 0.0), np.where(testable, opposite, 0.0)


def _below(freedom: Floats, shift: Floats, limit: Floats) -> Floats:
    """The chance of a noncentral t below `limit`; normal where the degrees of freedom are infinite."""
    finite = np.where(np.isfinite(freedom), freedom, 1e9)
    return np.asarray(np.where(np.isfinite(freedom), nctdtr(finite, shift, limit), ndtr(limit - shift)))


def _limit(freedom: Floats, alpha: float) -> Floats:
    """What a t statistic has to exceed to be significant."""
    finite = np.where(np.isfinite(freedom), freedom, 1e9)
    return np.asarray(np.where(np.isfinite(freedom), stdtrit(finite, 1 - alpha / 2), -ndtri(alpha / 2)))


def _relative_sds(freedom: float) -> Floats:
    """Standard deviations [MIXED] that a sample with these degrees of freedom may show, over the true one.

    They are the quantiles of sqrt(chi-squared / freedom) in the middle of as many equal shares.
    """
    if not math.isfinite(freedom):
        return np.ones(1)
    return np.asarray(np.sqrt(chdtri(freedom, 1 - (np.arange(MIXED) + 0.5) / MIXED) / freedom))


def sample_size(
    *,
    mean: float,
    sd: float = 0.0,
    freedom: float = math.inf,
    spread: float = 1.0,
    target: float = TARGET,
    layout: Layout = PLAIN,
) -> int | None:
    """The fewest people in the condition whose `assurance` reaches `target`, in whole clusters; None beyond MAX_N.

    More doubt never needs fewer people: where the target is below one half, at which a wider range of effects makes a
    significant result likelier, the number is that of the effect for certain.
    """
    size = layout.cluster_size

    def reaches(n_clusters: int) -> bool:
        doubts = (sd, 0.0) if target < 0.5 else (sd,)
        chances = (
            assurance(n_clusters * size, mean=mean, sd=doubt, freedom=freedom, spread=spread, layout=layout)
            for doubt in doubts
        )
        return all(float(chance) >= target for chance in chances)

    high = MAX_N // size
    if high < 1 or not reaches(high):
        return None
    low = 0 if layout.clustered or layout.base_share is not None else 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high * size


def minimum_detectable(
    n: Floats | float,
    *,
    spread: float = 1.0,
    target: float = TARGET,
    layout: Layout = PLAIN,
) -> Floats:
    """The smallest effect [n], in the unit of `spread`, that `n` people in the condition find with power `target`.

    NaN where the test has no degree of freedom.
    """
    people = np.asarray(n, dtype=float)
    error = layout.error(people, spread)
    testable = layout.freedom(people) > 0
    # The end of the search: even with one degree of freedom, whose limit is 12.7, the power there is 1.
    largest = error * (10 + 4 * _limit(np.where(testable, layout.freedom(people), 1.0), layout.alpha))

    def missing(effect: Floats, people: Floats) -> Floats:
        return power(people, mean=effect, spread=spread, layout=layout) - target

    found = elementwise.find_root(missing, (np.zeros_like(error), largest), args=(people,)).x
    return np.where(testable, found, np.nan)


@dataclass(frozen=True)
class DesignErrors:
    """What significant results of a design would be like.

    `sign` is the share with the wrong sign (type S). `size` is how many times larger the estimates are than
    the true effect (type M, the exaggeration ratio); NaN where there is no effect.
    """

    sign: float
    size: float


def design_errors(
    n: float,
    *,
    mean: float,
    sd: float = 0.0,
    freedom: float = math.inf,
    spread: float = 1.0,
    layout: Layout = PLAIN,
) -> DesignErrors:
    """The errors of sign and size (Gelman & Carlin 2014, Perspectives on Psychological Science 9) with `n` people.

    For one true effect, type M is the mean size of the significant estimates over that of the effect, as in the paper.
    Both are exact for normal answers: the test's own standard error varies as it does in samples, so that they hold for
    small ones (the closed form of Lu, Qiu & Deng 2019, British Journal of Mathematical and Statistical Psychology 72,
    for each standard error, averaged over what it may be). Over a distribution of effects, type S is over all
    significant results and type M is the median of the paper's ratio over the effects behind them. A mean of these
    ratios is infinite if effects near 0 are possible, because 1 / effect has no mean there.
    """
    of_test = float(layout.freedom(n))
    if of_test <= 0:
        return DesignErrors(math.nan, math.nan)
    error = float(layout.error(n, spread))
    shares = (np.arange(POINTS) + 0.5) / POINTS
    standard = stdtrit(freedom, shares) if math.isfinite(freedom) else ndtri(shares)
    true = mean + sd * standard[:, None] if sd > 0 else np.full((1, 1), mean)
    limit = error * float(_limit(np.array(of_test), layout.alpha)) * _relative_sds(of_test)
    above, below = ndtr((true - limit) / error), ndtr((-true - limit) / error)
    tails = _density((limit - true) / error) + _density((limit + true) / error)
    significant = (above + below).mean(axis=1)
    estimated = (true * (above - below) + error * tails).mean(axis=1)
    wrong = np.where(true > 0, below, np.where(true < 0, above, (above + below) / 2)).mean(axis=1)
    size = np.abs(true[:, 0]) * significant
    ratio = np.divide(estimated, size, out=np.full_like(size, np.nan), where=size > 0)
    return DesignErrors(float(wrong.mean() / significant.mean()), _weighted_median(ratio, significant))


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)  # NaN, of an effect of exactly 0, comes last: it is as large as can be
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _density(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
