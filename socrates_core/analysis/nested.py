"""A slope through the origin that differs from study to study, under errors with known covariances on both sides.

    human effects = (slope + study's own) * true predicted effects + condition discrepancies + errors
    predicted effects = true predicted effects + errors

No library has a likelihood for this: statsmodels' MixedLM takes neither known variances nor errors of x. It is tested
against MixedLM and metafor where they apply and against full covariance matrices where they do not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socrates_core.records import Floats

STARTS = ((0.5, 0.5), (0.01, 1.0), (3.0, 0.1))  # of the two variances, in units of what they are measured in
ROUNDS = 20  # of the fit, each with the slope of the last one in its variances


@dataclass(frozen=True)
class StudyEffects:
    """The effects [e] of one study, people's and predicted, and the covariance of their errors.

    `errors` [2e, 2e] is the covariance of the sampling errors of people's effects, then of the predicted ones.
    `shared` [e, e] is 1 on the diagonal, 1/2 for two effects of one outcome, which share their reference, and else 0:
    each condition of an outcome has one discrepancy of its own, an effect is the difference of two.
    """

    human: Floats
    predicted: Floats
    errors: Floats
    shared: Floats


@dataclass(frozen=True)
class NestedFit:
    """The slope with its standard error, and the standard deviations of what it misses.

    `slope_sd` is that of slopes between studies, `arm_sd` that of an effect's own discrepancy. `signal_sd` is that of
    true predicted effects, NaN where the predicted ones have no error, and `signal_se` the error of its square.
    """

    slope: float
    slope_se: float
    slope_sd: float
    arm_sd: float
    signal_sd: float
    signal_se: float


def fit_nested(studies: Sequence[StudyEffects]) -> NestedFit | None:
    """Restricted maximum likelihood of the slope and the two standard deviations, `arm_sd` kept off 0.

    The predicted effects' own noise is known, so their true values are replaced by what to expect of them (regression
    calibration: Carroll, Ruppert, Stefanski & Crainiceanu 2006, Measurement Error in Nonlinear Models, chapter 4),
    and what stays unknown of them joins the variance. None where the predicted effects are noise alone.
    """
    signal, signal_variance = _signal(studies)
    if signal <= 0:
        return None
    fitted = _fit(studies, signal)
    slope_variance = fitted.slope_se**2
    if math.isfinite(signal) and signal_variance > 0:
        # How the slope moves with the variance of the signal, which is itself an estimate (delta method).
        step = 1e-3 * signal
        ends = [_fit(studies, signal + way * step, like=fitted).slope for way in (-1, 1)]
        slope_variance += signal_variance * ((ends[1] - ends[0]) / (2 * step)) ** 2
    return NestedFit(
        slope=fitted.slope,
        slope_se=math.sqrt(slope_variance),
        slope_sd=fitted.slope_sd,
        arm_sd=fitted.arm_sd,
        signal_sd=math.sqrt(signal) if math.isfinite(signal) else math.nan,
        signal_se=math.sqrt(signal_variance),
    )


@dataclass(frozen=True)
class Denoised:
    """What is to be expected of one study's true predicted effects and of people's errors, given the predicted ones.

    `predicted` [e] with covariance `unknown` [e, e]; people's errors have mean `error` [e] and covariance
    `error_covariance` [e, e]; `both` [e, e] is the covariance of the two.
    """

    predicted: Floats
    unknown: Floats
    error: Floats
    error_covariance: Floats
    both: Floats

    def covariance(self, slope: float, slope_sd: float) -> Floats:
        """Of people's effects around slope * predicted, without discrepancies."""
        cross = slope * (self.both + self.both.T)
        return self.error_covariance + (slope**2 + slope_sd**2) * self.unknown + cross


def denoise(study: StudyEffects, signal: float) -> Denoised:
    """Takes the noise out of predicted effects whose true values have the variance `signal`; infinite: no noise."""
    e = study.human.size
    human, both, noise = study.errors[:e, :e], study.errors[:e, e:], study.errors[e:, e:]
    if math.isinf(signal) or not noise.any():
        nothing = np.zeros((e, e))
        return Denoised(study.predicted, nothing, np.zeros(e), human, nothing)
    true = signal * study.shared
    inverse = np.linalg.inv(true + noise)
    return Denoised(
        predicted=true @ inverse @ study.predicted,
        unknown=true - true @ inverse @ true,
        error=both @ inverse @ study.predicted,
        error_covariance=human - both @ inverse @ both.T,
        both=-true @ inverse @ both.T,
    )


def _signal(studies: Sequence[StudyEffects]) -> tuple[float, float]:
    """The variance of true predicted effects and the variance of this estimate; infinity and 0 without noise."""
    from scipy.optimize import minimize_scalar

    if not any(study.errors[study.human.size :, study.human.size :].any() for study in studies):
        return math.inf, 0.0
    parts = []
    for study in studies:
        e = study.human.size
        whitening = _inverse_root(study.shared)
        noise, axes = np.linalg.eigh(whitening @ study.errors[e:, e:] @ whitening)
        parts.append((np.maximum(noise, 0), (axes.T @ whitening @ study.predicted) ** 2))
    noise, squares = (np.concatenate(column) for column in zip(*parts, strict=True))
    top = 4 * float(squares.mean())

    def deviance(signal: float) -> float:
        return float((np.log(signal + noise) + squares / (signal + noise)).sum())

    found = minimize_scalar(
        lambda log: deviance(math.exp(log)),
        bounds=(math.log(1e-9 * top), math.log(top)),
        method="bounded",
        options={"xatol": 1e-12},
    )
    signal = math.exp(float(found.x))
    if signal < 1e-6 * top:
        return 0.0, 0.0
    variance = 2 / float((1 / (signal + noise) ** 2).sum())
    # The slope divides by this variance: without the second term its mean would be too large (a ratio's bias).
    share = float((noise / (signal + noise)).mean())
    return signal + share * variance / signal, variance


def _inverse_root(matrix: Floats) -> Floats:
    values, axes = np.linalg.eigh(matrix)
    return np.asarray(axes / np.sqrt(values) @ axes.T)


def _fit(studies: Sequence[StudyEffects], signal: float, like: NestedFit | None = None) -> NestedFit:
    """The fit for one variance of the `signal`; with the standard deviations of another fit where one is given."""
    denoised = [denoise(study, signal) for study in studies]
    slope = like.slope if like else 1.0
    slope_sd = like.slope_sd if like else 0.0
    known = np.array([like.slope_sd**2, like.arm_sd**2]) if like else None
    components: Floats | None = known
    for _ in range(ROUNDS):
        position, y, variance, x = _rotated(studies, denoised, slope=slope, slope_sd=slope_sd)
        components = _components(position, y, variance, x, components) if known is None else known
        _, found, slope_variance = _profile(components, position, y, variance, x)
        settled = abs(found - slope) < 1e-5
        slope = found
        slope_sd, arm_sd = np.sqrt(components).tolist()
        if settled or math.isinf(signal):
            break
    return NestedFit(slope, math.sqrt(slope_variance), slope_sd, arm_sd, math.nan, 0.0)


def _rotated(
    studies: Sequence[StudyEffects], denoised: Sequence[Denoised], *, slope: float, slope_sd: float
) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """The study of each effect, people's effects, their variances and predicted effects in coordinates where errors and
    discrepancies of a study are independent: `shared` becomes the unit matrix and the errors a diagonal.
    """
    parts = []
    for study, part in zip(studies, denoised, strict=True):
        root = _inverse_root(study.shared)
        variance, axes = np.linalg.eigh(root @ part.covariance(slope, slope_sd) @ root)
        turn = axes.T @ root
        parts.append((turn @ (study.human - part.error), np.maximum(variance, 0), turn @ part.predicted))
    y, variance, x = (np.concatenate(column) for column in zip(*parts, strict=True))
    return np.repeat(np.arange(len(studies)), [study.human.size for study in studies]), y, variance, x


def restricted_deviance(studies: Sequence[StudyEffects], *, slope_sd: float, arm_sd: float) -> float:
    """-2 log restricted likelihood, up to a constant, where predicted effects have no errors."""
    rotated = _rotated(studies, [denoise(study, math.inf) for study in studies], slope=0.0, slope_sd=0.0)
    return _profile(np.array([slope_sd**2, arm_sd**2]), *rotated)[0]


def _components(
    position: NDArray[np.int64], y: Floats, variance: Floats, x: Floats, near: Floats | None
) -> Floats:
    """The variances of slopes between studies and of discrepancies with the highest penalized restricted likelihood.

    The search starts `near` a known solution where there is one.
    """
    from scipy.optimize import minimize

    residual = y - x * (x @ y) / (x @ x)
    within = max(float(np.mean(residual**2)), 1e-12)
    units = np.array([within / float(np.mean(x**2)), within])
    starts = STARTS if near is None else [np.maximum(near / units, (0, 1e-8))]

    def deviance(components: Floats) -> float:
        # Keeps `arm_sd` off 0, where intervals from few effects would be too narrow (Chung, Rabe-Hesketh, Dorie, Gelman
        # & Liu 2013, Psychometrika 78: the gamma prior with shape 2 on the standard deviation).
        return _profile(units * components, position, y, variance, x)[0] - math.log(components[1])

    fits = [
        minimize(
            deviance,
            start,
            method="L-BFGS-B",
            bounds=[(0, None), (1e-8, None)],
            options={"ftol": 1e-14, "gtol": 1e-8},
        )
        for start in starts
    ]
    best = units * min(fits, key=lambda fit: float(fit.fun)).x
    return np.asarray(best)


def _profile(
    components: Floats,
    position: NDArray[np.int64],
    y: Floats,
    variance: Floats,
    x: Floats,
) -> tuple[float, float, float]:
    """-2 log restricted likelihood (up to a constant), the slope and its variance, given the two variances.

    In rotated coordinates a study's covariance is a diagonal plus that of its own slope, so its inverse and
    determinant are sums (Sherman & Morrison 1950).
    """
    between, within = components
    weight = 1 / (variance + within)
    mass = np.bincount(position, weight * x**2)
    of_y = np.bincount(position, weight * x * y)
    shrunk = 1 / (1 + between * mass)
    xx = float(mass @ shrunk)
    xy = float(of_y @ shrunk)
    yy = float(weight @ y**2 - between * (of_y**2 @ shrunk))
    determinant = float(np.log1p(between * mass).sum() - np.log(weight).sum())
    return determinant + math.log(xx) + yy - xy**2 / xx, xy / xx, 1 / xx
