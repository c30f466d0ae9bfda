"""How many people an experiment needs for an effect that is not known: power, assurance, errors of sign and size.

Two conditions compared by the two-sided t test with equal variances, in the layouts that `Layout` describes. `mean` and
`sd` describe the true effect: a fixed guess (sd 0) or a calibrated effect with its spread. They and `spread`, the
standard deviation of answers inside a condition, are in one unit: shares of the scale, points of it, or Cohen's d with
a spread of 1.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import chdtri, nctdtr, ndtr, ndtri, stdtrit

from socrates_core.records import Floats

ALPHA = 0.05
TARGET = 0.8
MAX_N = 1_000_000
POINTS = 2001  # of the effect's distribution, over which errors of sign are averaged
SPREADS = 200  # of the distribution of the sample's own standard deviation


@dataclass(frozen=True)
class Layout:
    """How two conditions are compared, with `n` people in the treated one.

    `ratio` people are in the reference condition for each treated one. With a `correlation` of the answers, the same n
    people are in both, and the test is paired. `cluster_size` people are assigned together, with the intraclass
    correlation `icc`: answers are as certain as those of n / (1 + (m - 1) icc) people, and the test has as many degrees
    of freedom as clusters allow (Donner & Klar 2000, Design and Analysis of Cluster Randomization Trials, ch. 5).
    A covariate explains the share `r2` of the variance inside conditions (Borm, Fransen & Lemmens 2007, J Clin
    Epidemiol 60). `n_comparisons` are tested at once at their share of the level: Bonferroni's, which Holm never
    exceeds in the people needed for the first.
    """

    ratio: float = 1.0
    correlation: float | None = None
    cluster_size: float = 1.0
    icc: float = 0.0
    r2: float = 0.0
    n_comparisons: int = 1

    def alpha(self) -> float:
        return ALPHA / self.n_comparisons

    def error(self, people: Floats) -> Floats:
        """The standard error [n] of the difference, for a spread of 1."""
        if self.correlation is not None:
            variance = 2 * (1 - self.correlation) / people
        else:
            variance = (1 + 1 / self.ratio) / people
        inflation = 1 + (self.cluster_size - 1) * self.icc
        return np.asarray(np.sqrt(variance * inflation * (1 - self.r2)))

    def freedom(self, people: Floats) -> Floats:
        """The degrees of freedom [n] of the test; below 1 where no test can be made."""
        units = people / self.cluster_size
        covariate = 1 if self.r2 else 0
        if self.correlation is not None:
            return np.asarray(units - 1 - covariate, dtype=float)
        return np.asarray(units * (1 + self.ratio) - 2 - covariate, dtype=float)


PLAIN = Layout()


def binary_spread(share: float, effect: float) -> float:
    """The standard deviation of yes or no where the reference has `share` yes and the other condition `effect` more.

    The root of the mean variance of both sides, p (1 - p): the t test of 0 and 1 has this spread.
    """
    other = share + effect
    return math.sqrt((share * (1 - share) + other * (1 - other)) / 2)


def power(
    n: Floats | float,
    *,
    mean: Floats | float,
    sd: float = 0.0,
    spread: float = 1.0,
    layout: Layout = PLAIN,
) -> Floats:
    """The chance [n] of a significant result with `n` people in the treated condition; 0 where no test can be made.

    For a fixed effect the power of the t test (Cohen 1988, chapter 2); for a normal effect the mean of that power,
    the assurance (O'Hagan, Stevens & Campbell 2005, Pharmaceutical Statistics 4). Both are exact: with a normal
    effect the t statistic over sqrt(1 + (sd / error)**2) is noncentral t.
    """
    freedom, limit, shift = _on_t(n, mean, sd, spread, layout)
    wrong_side = np.where(shift < 6, nctdtr(freedom, np.minimum(shift, 6), -limit), 0.0)  # NaN below 1e-30
    return np.where(freedom >= 1, nctdtr(freedom, -shift, -limit) + wrong_side, 0.0)


def _on_t(
    n: Floats | float, mean: Floats | float, sd: float, spread: float, layout: Layout
) -> tuple[Floats, Floats, Floats]:
    """The degrees of freedom, the limit of significance and the noncentrality of t over sqrt(1 + (sd / error)**2)."""
    people = np.asarray(n, dtype=float)
    freedom = layout.freedom(people)
    error = spread * layout.error(people)
    widened = np.hypot(error, sd)
    limit = stdtrit(np.maximum(freedom, 1), 1 - layout.alpha() / 2) * error / widened
    return freedom, np.asarray(limit), np.asarray(np.abs(mean) / widened)


def assurance(
    n: Floats | float,
    *,
    mean: Floats | float,
    sd: float = 0.0,
    spread: float = 1.0,
    layout: Layout = PLAIN,
) -> Floats:
    """The chance [n] of a significant result in the direction of `mean`, upward where that is 0.

    As `power`, without the results that are significant on the other side: a prediction that a wide range of effects
    is possible must not count as success whatever comes out (Kunzmann, Grayling, Lee, Robertson, Rufibach & Wason
    2021, The American Statistician 75).
    """
    freedom, limit, shift = _on_t(n, mean, sd, spread, layout)
    return np.where(freedom >= 1, nctdtr(freedom, -shift, -limit), 0.0)


def sample_size(
    *,
    mean: float,
    sd: float = 0.0,
    spread: float = 1.0,
    target: float = TARGET,
    layout: Layout = PLAIN,
) -> int | None:
    """The fewest people in the treated condition whose `assurance` reaches `target`; None where MAX_N do not.

    More doubt never needs fewer people: where the target is below one half, at which a wider range of effects makes a
    significant result likelier, the number is that of the effect for certain.
    """

    def reaches(n: int) -> bool:
        doubts = (sd, 0.0) if target < 0.5 else (sd,)
        chances = (assurance(n, mean=mean, sd=doubt, spread=spread, layout=layout) for doubt in doubts)
        return all(float(chance) >= target for chance in chances)

    if not reaches(MAX_N):
        return None
    low, high = 1, MAX_N
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def minimum_detectable(
    n: Floats | float, *, spread: float = 1.0, target: float = TARGET, layout: Layout = PLAIN
) -> Floats:
    """The smallest effect [n], in the unit of `spread`, that `n` people find with power `target`.

    `n` are in the treated condition. NaN where no test can be made.
    """
    people = np.asarray(n, dtype=float)
    freedom = layout.freedom(people)
    error = spread * layout.error(people)
    # The end of the search: even with one degree of freedom, whose t limit is 12.7, the power is 1 here.
    largest = error * (10 + 4 * stdtrit(np.maximum(freedom, 1), 1 - layout.alpha() / 2))

    def missing(effect: Floats, people: Floats) -> Floats:
        return power(people, mean=effect, spread=spread, layout=layout) - target

    found = elementwise.find_root(missing, (np.zeros_like(error), largest), args=(people,)).x
    return np.where(freedom >= 1, found, np.nan)


@dataclass(frozen=True)
class DesignErrors:
    """What significant results of a design would be like, both [n].

    `sign` is the share with the wrong sign (type S). `size` is how many times larger the estimates are than the true
    effect (type M, the exaggeration ratio); NaN where there is no effect.
    """

    sign: Floats
    size: Floats


def design_errors(
    n: Floats, *, mean: float, sd: float = 0.0, spread: float = 1.0, layout: Layout = PLAIN
) -> DesignErrors:
    """The errors of sign and size (Gelman & Carlin 2014, Perspectives on Psychological Science 9) of designs [n].

    Exact for the t test: given the sample's own standard deviation the estimate is normal, for which the closed form
    is in Lu, Qiu & Deng (2019, British Journal of Mathematical and Statistical Psychology 72); both are then averaged
    over that deviation. Over a distribution of effects the sign is taken over all significant results. The size is
    always that of the effect `mean`, as in the paper: over a distribution that reaches 0 its mean would be infinite.
    """
    people = np.asarray(n, dtype=float)[:, None, None]
    freedom = np.maximum(layout.freedom(people), 1)
    error = spread * layout.error(people)
    # The sample's standard deviation over the true one: the root of chi-square over its degrees of freedom.
    below = (np.arange(SPREADS) + 0.5) / SPREADS
    deviation = np.sqrt(chdtri(freedom, 1 - below) / freedom)  # [n, 1, SPREADS]
    limit = error * deviation * stdtrit(freedom, 1 - layout.alpha() / 2)
    quantiles = ndtri((np.arange(POINTS if sd else 1) + 0.5) / (POINTS if sd else 1))
    true = (mean + sd * quantiles)[None, :, None]
    above, under = (ndtr((sign * true - limit) / error).mean(axis=2) for sign in (1, -1))
    effects = true[:, :, 0]
    wrong = np.where(effects > 0, under, np.where(effects < 0, above, (above + under) / 2))
    significant = above + under
    right_side, other_side = (ndtr((sign * mean - limit) / error) for sign in (1, -1))
    tails = _density((limit - mean) / error) + _density((limit + mean) / error)
    estimated = (mean * (right_side - other_side) + error * tails).mean(axis=2)[:, 0]
    real = math.fabs(mean) * (right_side + other_side).mean(axis=2)[:, 0]
    size = np.divide(estimated, real, out=np.full_like(real, np.nan), where=real > 0)
    return DesignErrors(wrong.mean(axis=1) / significant.mean(axis=1), size)


def _density(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
