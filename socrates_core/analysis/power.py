"""How many people an experiment needs for an effect that is not known: power, assurance, errors of sign and size.

Two conditions with `n` people each, compared by the two-sided t test with equal variances. `mean` and `sd`
describe the true effect: a fixed guess (sd 0) or a calibrated effect with its spread. They and `spread`,
the standard deviation of answers inside a condition, are in one unit: shares of the scale, points of it, or
Cohen's d with a spread of 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import elementwise
from scipy.special import nctdtr, ndtr, ndtri, stdtrit

from socrates_core.records import Floats

ALPHA = 0.05
TARGET = 0.8
MAX_N = 1_000_000
POINTS = 2001  # of the effect's distribution, over which errors of sign and size are averaged


def power(
    n: Floats | float, *, mean: Floats | float, sd: float = 0.0, spread: float = 1.0, alpha: float = ALPHA
) -> Floats:
    """The chance [n] of a significant result with `n` people (at least 2) in each condition.

    For a fixed effect the power of the t test (Cohen 1988, chapter 2); for a normal effect the mean of that power,
    the assurance (O'Hagan, Stevens & Campbell 2005, Pharmaceutical Statistics 4). Both are exact: with a normal
    effect the t statistic over sqrt(1 + (sd / error)**2) is noncentral t.
    """
    people = np.asarray(n, dtype=float)
    freedom = 2 * people - 2
    error = spread * np.sqrt(2 / people)
    widened = np.hypot(error, sd)
    limit = stdtrit(freedom, 1 - alpha / 2) * error / widened
    shift = np.abs(mean) / widened
    wrong_side = np.where(shift < 6, nctdtr(freedom, np.minimum(shift, 6), -limit), 0.0)  # NaN below 1e-30
    return np.asarray(nctdtr(freedom, -shift, -limit) + wrong_side)


def assurance(
    n: Floats | float, *, mean: Floats | float, sd: float = 0.0, spread: float = 1.0, alpha: float = ALPHA
) -> Floats:
    """The chance [n] of a significant result in the direction of `mean`, upward where that is 0.

    As `power`, without the results that are significant on the other side: a prediction that a wide range of effects
    is possible must not count as success whatever comes out (Kunzmann, Grayling, Lee, Robertson, Rufibach & Wason
    2021, The American Statistician 75).
    """
    people = np.asarray(n, dtype=float)
    freedom = 2 * people - 2
    error = spread * np.sqrt(2 / people)
    widened = np.hypot(error, sd)
    limit = stdtrit(freedom, 1 - alpha / 2) * error / widened
    shift = np.abs(mean) / widened
    return np.asarray(nctdtr(freedom, -shift, -limit))


def sample_size(
    *, mean: float, sd: float = 0.0, spread: float = 1.0, target: float = TARGET, alpha: float = ALPHA
) -> int | None:
    """The fewest people in each condition whose `assurance` reaches `target`; None where MAX_N do not.

    More doubt never needs fewer people: where the target is below one half, at which a wider range of effects makes a
    significant result likelier, the number is that of the effect for certain.
    """

    def reaches(n: int) -> bool:
        doubts = (sd, 0.0) if target < 0.5 else (sd,)
        chances = (assurance(n, mean=mean, sd=doubt, spread=spread, alpha=alpha) for doubt in doubts)
        return all(float(chance) >= target for chance in chances)

    if not reaches(MAX_N):
        return None
    low, high = 1, MAX_N
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def minimum_detectable(
    n: Floats | float, *, spread: float = 1.0, target: float = TARGET, alpha: float = ALPHA
) -> Floats:
    """The smallest effect [n], in the unit of `spread`, that `n` people in each condition find with power `target`."""
    people = np.asarray(n, dtype=float)
    error = spread * np.sqrt(2 / people)
    # The end of the search: even two people in each condition, whose t limit is 4.3, have a power of 1 here.
    largest = error * (10 + 4 * stdtrit(2 * people - 2, 1 - alpha / 2))

    def missing(effect: Floats, people: Floats) -> Floats:
        return power(people, mean=effect, spread=spread, alpha=alpha) - target

    return np.asarray(elementwise.find_root(missing, (np.zeros_like(error), largest), args=(people,)).x)


@dataclass(frozen=True)
class DesignErrors:
    """What significant results of a design would be like, both [n].

    `sign` is the share with the wrong sign (type S). `size` is how many times larger the estimates are than
    the true effects behind them (type M, the exaggeration ratio); NaN where there is no effect.
    """

    sign: Floats
    size: Floats


def design_errors(
    n: Floats, *, mean: float, sd: float = 0.0, spread: float = 1.0, alpha: float = ALPHA
) -> DesignErrors:
    """The errors of sign and size (Gelman & Carlin 2014, Perspectives on Psychological Science 9) of designs [n].

    Estimates are normal around the true effect and significant beyond the t test's limit, for which the
    closed form is in Lu, Qiu & Deng (2019, British Journal of Mathematical and Statistical Psychology 72). Over a
    distribution of effects both are taken over all significant results: size is the mean size of estimates over
    that of the effects behind them. Meant for ten people in a condition or more.
    """
    people = np.asarray(n, dtype=float)[:, None]
    true = mean + sd * ndtri((np.arange(POINTS) + 0.5) / POINTS)
    error = spread * np.sqrt(2 / people)
    limit = error * stdtrit(2 * people - 2, 1 - alpha / 2)
    above, below = ndtr((true - limit) / error), ndtr((-true - limit) / error)
    wrong = np.where(true > 0, below, np.where(true < 0, above, (above + below) / 2))
    tails = _density((limit - true) / error) + _density((limit + true) / error)
    estimated = (true * (above - below) + error * tails).mean(axis=1)
    real = (np.abs(true) * (above + below)).mean(axis=1)
    size = np.divide(estimated, real, out=np.full_like(real, np.nan), where=real > 0)
    return DesignErrors(wrong.mean(axis=1) / (above + below).mean(axis=1), size)


def _density(z: Floats) -> Floats:
    return np.asarray(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
