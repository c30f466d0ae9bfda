"""The field's ladder of measures for predicted effects, with floors, and for predicted distributions.

The measures are those of the Silicon Sample Benchmark (Pfander et al. 2026, preregistration of its scoring): direction,
rank and linear correlation, the correlation within outcomes, the miss, and the calibration line. The noise-corrected
ones take away the sampling error of people's effects: the variance of the true effects is that of the measured ones
minus their mean squared standard error, and the squared miss falls by the same.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import rankdata

from socrates_core.analysis.agreement import sign_agreement
from socrates_core.records import Floats

MIN_EFFECTS = 3


@dataclass(frozen=True)
class Ladder:
    """How predicted effects agree with people's, over `n_effects` effects of `n_outcomes` outcomes.

    `direction` is the share with the same sign; an effect of zero counts one half. `r_within` is the correlation of
    differences from each outcome's mean: what is left is which condition works, not which outcome moves.
    `r_adjusted` and `rmse_adjusted` are without people's sampling error, over effects with a known one: a
    correlation of 1 at most; a miss of 0 where it is no larger than that error; a correlation of NaN where people's
    effects vary no more than it. `intercept` and `slope` are the line of people's on predicted effects. `rmse` and
    `intercept` are in shares of the scale. NaN where there is no spread to divide by, or fewer than MIN_EFFECTS.
    """

    name: str
    direction: float
    spearman: float
    pearson: float
    r_within: float
    r_adjusted: float
    rmse: float
    rmse_adjusted: float
    intercept: float
    slope: float
    n_effects: int
    n_outcomes: int


@dataclass(frozen=True)
class DistributionFit:
    """How a predicted distribution differs from people's in shape.

    `variance_ratio` is the predicted variance over people's, above 1 where the model's answers vary more. `overlap` is
    the sum of the smaller share of every answer, from 0 to 1. `ks` is the largest difference of cumulative shares.
    """

    variance_ratio: float
    overlap: float
    ks: float


def ladder(
    name: str,
    human: Floats,
    human_se: Floats,
    predicted: Floats,
    outcome: NDArray[np.str_],
) -> Ladder:
    """The ladder of effects [e] of people, with their standard errors, and of predictions, by `outcome` [e].

    An effect without one of the two numbers is left out.
    """
    both = np.isfinite(human) & np.isfinite(predicted)
    h, se, m, names = human[both], human_se[both], predicted[both], outcome[both]
    n_outcomes = np.unique(names).size
    if h.size < MIN_EFFECTS:
        return _unknown(name, h.size, n_outcomes)
    r = _correlation(h, m)
    r_adjusted, rmse_adjusted = _without_noise(h, se, m)
    slope = r * float(h.std() / m.std()) if math.isfinite(r) else math.nan
    return Ladder(
        name=name,
        direction=float(sign_agreement(h, m).mean()),
        spearman=_correlation(rankdata(h), rankdata(m)),
        pearson=r,
        r_within=_correlation(_centered(h, names), _centered(m, names)),
        r_adjusted=r_adjusted,
        rmse=math.sqrt(float(np.mean((h - m) ** 2))),
        rmse_adjusted=rmse_adjusted,
        intercept=float(h.mean() - slope * m.mean()),
        slope=slope,
        n_effects=h.size,
        n_outcomes=n_outcomes,
    )


def floors(human: Floats, human_se: Floats, outcome: NDArray[np.str_]) -> tuple[Ladder, ...]:
    """What knows nothing scores, and what a second sample of as many people would: three rows to compare with.

    *No effect* predicts 0, *all positive* the mean size of people's effects with a plus sign. The second sample is not
    drawn: its expected scores follow from people's standard errors. Its correlation with the first is the reliability,
    1 - noise / variance, and it misses by the noise of both. Its direction is the mean chance of the same sign, with
    true effects normal around 0 (Efron & Morris 1973, JASA 68: their variance is that of effects minus the noise).
    """
    size = float(np.nanmean(np.abs(human))) if np.isfinite(human).any() else math.nan
    none = ladder("No effect", human, human_se, np.zeros_like(human), outcome)
    positive = ladder("All positive", human, human_se, np.full_like(human, size), outcome)
    return none, positive, _second_sample(human, human_se, outcome)


def distribution_fit(values: Floats, predicted: Floats, counts: Floats) -> DistributionFit:
    """The fit of `predicted` shares [k] over `values` [k] to people's `counts` [k]; variances with n - 1 for people."""
    people = counts / counts.sum()
    model = predicted / predicted.sum()
    n = float(counts.sum())
    of_people = _variance(values, people) * n / (n - 1) if n > 1 else math.nan
    return DistributionFit(
        variance_ratio=_variance(values, model) / of_people if of_people > 0 else math.nan,
        overlap=float(np.minimum(people, model).sum()),
        ks=float(np.abs(np.cumsum(people - model)).max()),
    )


def _without_noise(human: Floats, human_se: Floats, predicted: Floats) -> tuple[float, float]:
    """The correlation and the root mean squared error with people's true effects, where their noise is known."""
    known = np.isfinite(human_se)
    h, se, m = human[known], human_se[known], predicted[known]
    if h.size < MIN_EFFECTS:
        return math.nan, math.nan
    noise = float(np.mean(se**2))
    variance = float(h.var(ddof=1))
    miss = math.sqrt(max(float(np.mean((h - m) ** 2)) - noise, 0.0))
    if variance <= noise:
        return math.nan, miss
    # The noise is an estimate: where it is most of the variance, the ratio can leave what a correlation can be.
    return float(np.clip(_correlation(h, m) * math.sqrt(variance / (variance - noise)), -1, 1)), miss


def _second_sample(human: Floats, human_se: Floats, outcome: NDArray[np.str_]) -> Ladder:
    usable = np.isfinite(human) & np.isfinite(human_se) & (human_se > 0)
    h, se, names = human[usable], human_se[usable], outcome[usable]
    n_outcomes = np.unique(names).size
    name = "A second human sample"
    if h.size < MIN_EFFECTS:
        return _unknown(name, h.size, n_outcomes)
    noise = float(np.mean(se**2))
    variance = float(h.var(ddof=1))
    reliability = max(variance - noise, 0.0) / variance if variance > 0 else math.nan
    within = _centered(h, names)
    # Centering takes one mean an outcome from the effects and from their noise alike.
    inside = float((within**2).sum()) / max(h.size - n_outcomes, 1)
    true_size = max(float(np.mean(h**2)) - noise, 0.0)
    shrink = true_size / (true_size + se**2)
    expected = shrink * h
    spread = np.sqrt(shrink * se**2 + se**2)
    return Ladder(
        name=name,
        direction=float(ndtr(np.sign(h) * expected / spread).mean()),
        spearman=math.nan,
        pearson=reliability,
        r_within=max(inside - noise, 0.0) / inside if inside > 0 and h.size > n_outcomes else math.nan,
        r_adjusted=math.sqrt(reliability),
        rmse=math.sqrt(2 * noise),
        rmse_adjusted=math.sqrt(noise),
        intercept=float(h.mean() * (1 - reliability)),
        slope=reliability,
        n_effects=h.size,
        n_outcomes=n_outcomes,
    )


def _unknown(name: str, n_effects: int, n_outcomes: int) -> Ladder:
    nan = math.nan
    return Ladder(name, nan, nan, nan, nan, nan, nan, nan, nan, nan, n_effects, n_outcomes)


def _correlation(first: Floats, second: Floats) -> float:
    """Pearson's correlation; NaN where one side does not vary beyond rounding."""
    a, b = first - first.mean(), second - second.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    largest = max(float(np.abs(first).max()) * float(np.abs(second).max()), 1e-30) * first.size
    return float(a @ b) / spread if spread > 1e-12 * largest else math.nan


def _centered(effects: Floats, outcome: NDArray[np.str_]) -> Floats:
    _, place = np.unique(outcome, return_inverse=True)
    means = np.bincount(place, effects) / np.bincount(place)
    centered = effects - means[place]
    # What is left of equal effects is rounding, and would have a correlation.
    return np.where(np.abs(centered) > 1e-12 * np.abs(effects).max(), centered, 0.0)


def _variance(values: Floats, shares: Floats) -> float:
    mean = float(shares @ values)
    return float(shares @ (values - mean) ** 2)
