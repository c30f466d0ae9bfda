"""Whether predicted effects agree with people's, effect by effect over studies, and whether one model agrees better.

An effect is the difference of a condition from its reference on one outcome, in shares of the scale's
range. All effects weigh alike; intervals are over studies, since effects of one study share their people and their
reference.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from socrates_core.analysis.bootstrap import (
    Measure,
    Range,
    Statistic,
    mean_over_studies,
    over_studies,
    ratio,
    sums_by_study,
)
from socrates_core.analysis.effects import CONFIDENCE, ZERO
from socrates_core.records import Floats


@dataclass(frozen=True)
class EffectPairs:
    """People's effects and the predicted ones, all [e] in shares of the scale, and the study of each.

    An entry is one outcome's difference between a condition and its reference; `human_se` is the standard
    error of the human one. NaN is missing. `item` [e] names the outcome, "" where it is the only effect on it.
    `errors` has, for each study, the covariance [2k, 2k] of the errors of its k human effects, then of its predicted
    ones, in the order of their rows; without it human errors are independent and predicted effects have none.
    """

    study: NDArray[np.str_]
    human: Floats
    human_se: Floats
    predicted: Floats
    item: NDArray[np.str_] | None = None
    errors: Mapping[str, Floats] | None = None

    def where(self, rows: NDArray[np.bool_]) -> "EffectPairs":
        errors = None
        if self.errors is not None:
            kept = {study: np.tile(rows[self.study == study], 2) for study in self.errors}
            errors = {study: self.errors[study][np.ix_(at, at)] for study, at in kept.items() if at.any()}
        return EffectPairs(
            self.study[rows],
            self.human[rows],
            self.human_se[rows],
            self.predicted[rows],
            None if self.item is None else self.item[rows],
            errors,
        )


@dataclass(frozen=True)
class Agreement:
    """How the predicted effects of `n_effects` comparisons in `n_studies` studies agree with people's.

    `sign` is the share with the same sign, as `sign_agreement` counts it; `sign_clear` is the same among the
    `n_clear` human effects whose 95% interval leaves out zero, NaN without any. `r` is Pearson's, `slope` the
    least-squares slope of human on predicted effects with an intercept (below 1: predictions are too
    large). Both change with which condition is called the reference; the slope through the origin, which
    does not, is the one of `calibration`. `rmse` is in shares of the scale and holds the people's sampling error too.
    `n_dropped` effects lack one of the two numbers.
    """

    sign: Measure
    sign_clear: Measure
    r: Measure
    slope: Measure
    rmse: Measure
    n_effects: int
    n_studies: int
    n_clear: int
    n_dropped: int


def agreement(pairs: EffectPairs) -> Agreement:
    """The agreement of predicted with human effects.

    An effect is clear where it is more than 1.96 of its standard errors from zero. A correlation or a slope
    needs three effects and a spread in what it divides by, else it is NaN. Intervals follow the rules of
    `over_studies`.
    """
    both = np.isfinite(pairs.human) & np.isfinite(pairs.predicted)
    used = pairs.where(both)
    h, m = used.human, used.predicted
    # Centered, since `_spreads` subtracts squares of sums: far from zero that loses the digits that matter.
    a, b = (h - h.mean(), m - m.mean()) if h.size else (h, m)
    joint = sums_by_study(used.study, np.stack([np.ones(h.size), a, b, a * a, a * b, b * b], axis=1))
    same = sign_agreement(h, m)
    clear = np.abs(h) > float(ndtri(0.5 + CONFIDENCE / 2)) * used.human_se
    return Agreement(
        sign=_mean(used.study, same, ratio, "share"),
        sign_clear=_mean(used.study[clear], same[clear], ratio, "share"),
        r=over_studies(joint, _correlation, within="correlation"),
        slope=over_studies(joint, _slope),
        rmse=_mean(used.study, (h - m) ** 2, lambda totals: np.sqrt(ratio(totals)), "positive"),
        n_effects=int(h.size),
        n_studies=len(joint),
        n_clear=int(clear.sum()),
        n_dropped=int((~both).sum()),
    )


def sign_agreement(human: Floats, predicted: Floats) -> Floats:
    """1 for each pair of effects [e] with the same sign, 0 for opposite ones, NaN where one is missing.

    A zero effect, human or predicted, has no sign and counts one half, like a coin toss: a predictor that is blind to
    conditions scores 0.5. Zero is anything under ZERO of the scale.
    """
    return (1 + _sign(human) * _sign(predicted)) / 2


@dataclass(frozen=True)
class PairedByStudy:
    """The mean difference of two models' scores, first minus second, over the studies that both have.

    `p` is that of the paired t test over studies, NaN where there is no interval and 1 where no study differs.
    `n_dropped` studies have a score of one model alone. Studies on which the two score the same count for neither.
    """

    difference: Measure
    p: float
    n_first_better: int
    n_second_better: int
    n_studies: int
    n_dropped: int


def compare_by_study(
    first: Mapping[str, float], second: Mapping[str, float], *, lower_is_better: bool
) -> PairedByStudy:
    """Two models compared on the same studies, by any one score a study, with a paired t test and its interval."""
    shared = [name for name in sorted(first) if math.isfinite(first[name] - second.get(name, math.nan))]
    difference = np.array([first[name] - second[name] for name in shared], dtype=float)
    lower, higher = int((difference < -ZERO).sum()), int((difference > ZERO).sum())
    mean = mean_over_studies(difference)
    return PairedByStudy(
        difference=mean,
        p=_p_of(difference) if math.isfinite(mean.low) else math.nan,
        n_first_better=lower if lower_is_better else higher,
        n_second_better=higher if lower_is_better else lower,
        n_studies=len(shared),
        n_dropped=len(first.keys() | second.keys()) - len(shared),
    )


def _sign(effects: Floats) -> Floats:
    given = np.asarray(effects, dtype=float)
    return np.where(np.abs(given) < ZERO, 0.0, np.sign(given))


def _p_of(difference: Floats) -> float:
    """The p of the t test that the mean of differences [s] is 0."""
    if (np.abs(difference) < ZERO).all():
        return 1.0
    error = float(difference.std(ddof=1)) / math.sqrt(difference.size)
    t = abs(float(difference.mean())) / error if error > 0 else math.inf
    return 2 * float(stdtr(difference.size - 1, -t))


def _mean(study: NDArray[np.str_], values: Floats, statistic: Statistic, within: Range) -> Measure:
    sums = sums_by_study(study, np.stack([np.ones(values.size), values], axis=1))
    return over_studies(sums, statistic, within=within)


def _correlation(totals: Floats) -> Floats:
    human, both, predicted = _spreads(totals)
    # Spreads are squares of effects, so what counts as zero is squared too.
    usable = (human > ZERO**2) & (predicted > ZERO**2)
    return np.where(usable, both / np.sqrt(np.where(usable, human * predicted, 1)), np.nan)


def _slope(totals: Floats) -> Floats:
    _, both, predicted = _spreads(totals)
    usable = predicted > ZERO**2
    return np.where(usable, both / np.where(usable, predicted, 1), np.nan)


def _spreads(totals: Floats) -> tuple[Floats, Floats, Floats]:
    """Variance of human effects, covariance, variance of predicted ones; NaN for fewer than three effects."""
    n = np.where(totals[..., 0] >= 3, totals[..., 0], np.nan)
    a, b, aa, ab, bb = (totals[..., column] / n for column in range(1, 6))
    return aa - a * a, ab - a * b, bb - b * b
