"""A line through the origin under two nested normal discrepancies and error variances that are known.

statsmodels' MixedLM estimates one residual variance and cannot be given one an observation, so the
restricted likelihood is written out here. It is tested against MixedLM where all known variances are equal, and
against the likelihood of full covariance matrices and a published fit where they are not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socrates_core.records import Floats

STARTS = ((1.0, 0.1), (0.1, 1.0))  # of the two variances, in units of the residual variance


@dataclass(frozen=True)
class NestedFit:
    """The slope with its standard error, and the standard deviations of the discrepancies."""

    slope: float
    slope_se: float
    study_sd: float
    arm_sd: float


def fit_nested(study: NDArray[np.int64], *, y: Floats, variance: Floats, x: Floats) -> NestedFit:
    """Restricted maximum likelihood of y = slope * x + study + arm + error, all [e]; errors have `variance` > 0.

    `study` [e] numbers the studies from 0. The covariance of a study's effects is study_sd**2 everywhere plus
    arm_sd**2 + variance on the diagonal. With one effect a study only the sum of the two discrepancies is
    known, and so only the sum means something. Some x must differ from 0.
    """
    from scipy.optimize import minimize

    residual = y - x * (x @ y) / (x @ x)
    unit = max(float(np.mean(residual**2)), float(np.min(variance)))

    def deviance(components: Floats) -> float:
        return _profile(unit * components, study, y, variance, x)[0]

    fits = [minimize(deviance, start, method="L-BFGS-B", bounds=[(0, None)] * 2) for start in STARTS]
    components = unit * min(fits, key=lambda fit: float(fit.fun)).x
    _, slope, slope_variance = _profile(components, study, y, variance, x)
    study_sd, arm_sd = np.sqrt(components)
    return NestedFit(slope, float(np.sqrt(slope_variance)), float(study_sd), float(arm_sd))


def _profile(
    components: Floats, study: NDArray[np.int64], y: Floats, variance: Floats, x: Floats
) -> tuple[float, float, float]:
    """-2 log restricted likelihood (up to a constant), the slope and its variance, given the two variances.

    A study's covariance is a diagonal plus a constant, so that its inverse and determinant are sums
    (Sherman & Morrison 1950).
    """
    between, within = components
    weight = 1 / (variance + within)
    mass = np.bincount(study, weight)
    shrunk = between / (1 + between * mass)
    of_x, of_y = np.bincount(study, weight * x), np.bincount(study, weight * y)
    xx = float(weight @ x**2 - shrunk @ of_x**2)
    xy = float(weight @ (x * y) - shrunk @ (of_x * of_y))
    yy = float(weight @ y**2 - shrunk @ of_y**2)
    determinant = float(np.log1p(between * mass).sum() - np.log(weight).sum())
    return determinant + float(np.log(xx)) + yy - xy**2 / xx, xy / xx, 1 / xx
