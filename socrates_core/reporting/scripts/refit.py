"""Fits the calibration again on the effects of other studies in data/pairs.csv. A part of analysis.py.

    people's effects = (slope + study's own) * true predicted effects + condition discrepancies + errors
    predicted effects = true predicted effects + errors

The line goes through the origin, so its intercept is 0: which condition is called the reference, and in which direction
an outcome is coded, must not matter. The covariances of the errors are in data/pair_errors.csv.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from shared import Numbers, read

LEVELS = (50, 80, 90)
STARTS = ((0.5, 0.5), (0.01, 1.0), (3.0, 0.1))  # of the two variances, in units of what they are measured in
ROUNDS = 20  # of the fit, each with the slope of the last one in its variances
SETTLED = 1e-5  # a change of the slope that ends the rounds


class Study(NamedTuple):
    """Effects [e] of a study in shares of the scale, people's and predicted, and people's standard errors.

    `errors` [2e, 2e] is the covariance of people's errors, then of the predicted effects'. `shared` [e, e] is 1 on the
    diagonal and 1/2 for effects of one outcome, which have a reference in common.
    """

    human: np.ndarray
    predicted: np.ndarray
    se: np.ndarray
    errors: np.ndarray
    shared: np.ndarray


class Fit(NamedTuple):
    """The slope, its standard error, its spread between studies, that of discrepancies, and the predicted signal."""

    slope: float
    slope_se: float
    slope_sd: float
    arm_sd: float
    signal: float


class Known(NamedTuple):
    """What is expected of a study's true predicted effects and of people's errors, with their covariances."""

    predicted: np.ndarray
    unknown: np.ndarray
    error: np.ndarray
    error_covariance: np.ndarray
    both: np.ndarray

    def covariance(self, slope: float, slope_sd: float) -> np.ndarray:
        cross = slope * (self.both + self.both.T)
        return np.asarray(self.error_covariance + (slope**2 + slope_sd**2) * self.unknown + cross)


def refit(folder: Path) -> Numbers:
    """The calibration and how it did on studies left out one at a time; nothing where data/ has no pairs."""
    if not (folder / "data" / "pairs.csv").exists():
        return {}
    studies = read_studies(folder)
    fitted = fit(studies)
    if fitted is None:
        return {}
    numbers = {
        "slope": fitted.slope,
        "slope_se": fitted.slope_se,
        "slope_sd": fitted.slope_sd,
        "arm_sd": fitted.arm_sd,
        "n_studies": float(len(studies)),
        "n_effects": float(sum(len(study.human) for study in studies)),
        **held_out(studies),
    }
    return {f"calibration_{name}": number for name, number in numbers.items()}


def calibrated(numbers: Numbers, spans: dict[int, float]) -> Numbers:
    """People's true effects to expect, with t intervals; nothing without a calibration."""
    if "calibration_slope" not in numbers:
        return {}
    slope, slope_se, slope_sd, arm_sd, n_studies = (
        numbers[f"calibration_{name}"] for name in ("slope", "slope_se", "slope_sd", "arm_sd", "n_studies")
    )
    expected: Numbers = {}
    for key, share in numbers.items():
        name, _, place = key.partition("/")
        if name != "effect_share" or np.isnan(share):
            continue
        span = spans[int(place.split("/")[0])]
        spread = np.sqrt(arm_sd**2 + (slope_sd**2 + slope_se**2) * share**2)
        expected[f"calibrated/{place}"] = span * slope * share
        for level in LEVELS:
            reach = stats.t.ppf(0.5 + level / 200, n_studies - 2) * spread
            expected[f"calibrated_low_{level}/{place}"] = span * (slope * share - reach)
            expected[f"calibrated_high_{level}/{place}"] = span * (slope * share + reach)
    return expected


def read_studies(folder: Path) -> list[Study]:
    """The effects that can be fitted: both are there, and a positive standard error of people's."""
    listed = read(folder, "pair_errors")
    errors_of = dict(list(listed.groupby("study")))
    studies = []
    for name, pairs in read(folder, "pairs").groupby("study"):
        n = len(pairs)
        human, predicted, se = (pairs[x].to_numpy(dtype=float) for x in ("human", "predicted", "human_se"))
        errors = np.zeros((2 * n, 2 * n))
        triangle = errors_of.get(name, listed.iloc[:0])
        first, second = triangle["first"].to_numpy(), triangle["second"].to_numpy()
        errors[first, second] = errors[second, first] = triangle["covariance"]
        outcome = pairs["outcome"].to_numpy()
        shared = np.where(outcome[:, None] == outcome, 0.5, 0.0)
        np.fill_diagonal(shared, 1.0)
        used = np.isfinite(human) & np.isfinite(predicted) & (se > 0)
        both = np.tile(used, 2)
        if used.any():
            parts = human[used], predicted[used], se[used], errors[np.ix_(both, both)]
            studies.append(Study(*parts, shared[np.ix_(used, used)]))
    return studies


def fit(studies: list[Study]) -> Fit | None:
    """Restricted maximum likelihood; None where the predicted effects are noise alone."""
    signal, signal_variance = signal_of(studies)
    if signal <= 0:
        return None
    fitted = fit_with(studies, signal)
    slope_variance = fitted.slope_se**2
    if np.isfinite(signal) and signal_variance > 0:
        # how the slope moves with the variance of the signal, which is itself an estimate (delta method)
        step = 1e-3 * signal
        low, high = (fit_with(studies, signal + way * step, like=fitted).slope for way in (-1, 1))
        slope_variance += signal_variance * ((high - low) / (2 * step)) ** 2
    return fitted._replace(slope_se=float(np.sqrt(slope_variance)))


def signal_of(studies: list[Study]) -> tuple[float, float]:
    """The variance of true predicted effects, and the variance of this estimate; infinite and 0 without noise."""
    if not any(study.errors[len(study.human) :, len(study.human) :].any() for study in studies):
        return np.inf, 0.0
    noises, squares = [], []
    for study in studies:
        n = len(study.human)
        half = inverse_root(study.shared)
        noise, axes = np.linalg.eigh(half @ study.errors[n:, n:] @ half)
        noises.append(np.maximum(noise, 0))
        squares.append((axes.T @ half @ study.predicted) ** 2)
    noise, square = np.concatenate(noises), np.concatenate(squares)
    top = 4 * float(square.mean())

    def deviance(log: float) -> float:
        return float((np.log(np.exp(log) + noise) + square / (np.exp(log) + noise)).sum())

    bounds = np.log(1e-9 * top), np.log(top)
    best = optimize.minimize_scalar(deviance, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    signal = float(np.exp(best.x))
    if signal < 1e-6 * top:
        return 0.0, 0.0
    variance = 2 / float((1 / (signal + noise) ** 2).sum())
    # the slope divides by this variance: without the second term its mean would be too large
    return signal + float((noise / (signal + noise)).mean()) * variance / signal, variance


def inverse_root(matrix: np.ndarray) -> np.ndarray:
    values, axes = np.linalg.eigh(matrix)
    return np.asarray(axes / np.sqrt(values) @ axes.T)


def known_of(study: Study, signal: float) -> Known:
    """Takes the noise out of predicted effects whose true values have the variance `signal`; infinite: no noise."""
    n = len(study.human)
    human, both, noise = study.errors[:n, :n], study.errors[:n, n:], study.errors[n:, n:]
    if np.isinf(signal) or not noise.any():
        none = np.zeros((n, n))
        return Known(study.predicted, none, np.zeros(n), human, none)
    true = signal * study.shared
    inverse = np.linalg.inv(true + noise)
    return Known(
        true @ inverse @ study.predicted,
        true - true @ inverse @ true,
        both @ inverse @ study.predicted,
        human - both @ inverse @ both.T,
        -true @ inverse @ both.T,
    )


def fit_with(studies: list[Study], signal: float, like: Fit | None = None) -> Fit:
    """The fit for one variance of the signal; with the two spreads of another fit where one is given."""
    known = [known_of(study, signal) for study in studies]
    slope, slope_sd = (like.slope, like.slope_sd) if like else (1.0, 0.0)
    variances = None
    for _ in range(ROUNDS):
        effects = Effects.of(studies, known, slope, slope_sd)
        if like is None:
            variances = effects.variances(near=variances)
        else:
            variances = np.array([like.slope_sd**2, like.arm_sd**2])
        last, (slope, slope_variance) = slope, effects.line(variances)
        slope_sd, arm_sd = np.sqrt(variances).tolist()
        if abs(slope - last) < SETTLED or np.isinf(signal):
            break
    return Fit(slope, float(np.sqrt(slope_variance)), slope_sd, arm_sd, signal)


class Effects(NamedTuple):
    """Effects [n] turned so that the errors of a study are independent: its discrepancies have one variance each.

    `start` [s] is where each study begins; y are people's effects with error variances v, x the predicted ones.
    """

    start: np.ndarray
    y: np.ndarray
    v: np.ndarray
    x: np.ndarray

    @classmethod
    def of(cls, studies: list[Study], known: list[Known], slope: float, slope_sd: float) -> "Effects":
        parts = []
        for study, part in zip(studies, known, strict=True):
            half = inverse_root(study.shared)
            v, axes = np.linalg.eigh(half @ part.covariance(slope, slope_sd) @ half)
            turn = axes.T @ half
            parts.append((turn @ (study.human - part.error), np.maximum(v, 0), turn @ part.predicted))
        y, v, x = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(np.cumsum([0, *(len(study.human) for study in studies[:-1])]), y, v, x)

    def variances(self, near: np.ndarray | None) -> np.ndarray:
        """The variances of slopes between studies and of discrepancies, the second kept off 0 by a penalty."""
        residual = self.y - self.x * (self.x @ self.y) / (self.x @ self.x)
        within = max(float(np.mean(residual**2)), 1e-12)
        units = np.array([within / float(np.mean(self.x**2)), within])
        starts = STARTS if near is None else [np.maximum(near / units, (0, 1e-8))]

        def penalized(components: np.ndarray) -> tuple[float, np.ndarray]:
            value, gradient = self.deviance(units * components)
            return value - np.log(components[1]), units * gradient - np.array([0, 1 / components[1]])

        bounds = [(0, None), (1e-8, None)]
        options = {"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000}
        fits = [
            optimize.minimize(penalized, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
            for start in starts
        ]
        return np.asarray(units * min(fits, key=lambda found: float(found.fun)).x)

    def deviance(self, variances: np.ndarray) -> tuple[float, np.ndarray]:
        """-2 log restricted likelihood up to a constant, and its slopes along the two variances."""
        between, within = variances
        w = 1 / (self.v + within)
        xx, xy, yy = (np.add.reduceat(w * z, self.start) for z in (self.x**2, self.x * self.y, self.y**2))
        dxx, dxy, dyy = (
            -np.add.reduceat(w**2 * z, self.start) for z in (self.x**2, self.x * self.y, self.y**2)
        )
        h = 1 / (1 + between * xx)
        sxx, sxy = float(xx @ h), float(xy @ h)
        slope = sxy / sxx
        value = (
            -np.log(h).sum() - np.log(w).sum() + np.log(sxx) + yy.sum() - between * (xy**2 @ h) - slope * sxy
        )
        # d(h) = -h^2 d(between * xx); the slope is the best one, so it adds nothing of its own
        by_between = (xx @ h) - (xx**2 @ h**2) / sxx - (xy - slope * xx) ** 2 @ h**2
        miss = dyy.sum() - 2 * between * (xy * dxy @ h) + between**2 * (xy**2 * dxx @ h**2)
        gain = dxy @ h - between * (xy * dxx @ h**2)
        by_within = between * (dxx @ h) + w.sum() + (dxx @ h**2) / sxx + miss - 2 * slope * gain
        by_within += slope**2 * (dxx @ h**2)
        return float(value), np.array([by_between, by_within])

    def line(self, variances: np.ndarray) -> tuple[float, float]:
        """The slope given the two variances, and its variance."""
        between, within = variances
        w = 1 / (self.v + within)
        xx, xy = (np.add.reduceat(w * z, self.start) for z in (self.x**2, self.x * self.y))
        h = 1 / (1 + between * xx)
        return float(xy @ h / (xx @ h)), float(1 / (xx @ h))


def held_out(studies: list[Study]) -> Numbers:
    """The errors of calibrated, raw and no effects, and how many of people's lie in the 90% intervals.

    Every study is predicted by a calibration that is fitted on all others.
    """
    missed, inside = [], []
    for place, study in enumerate(studies):
        fitted = fit(studies[:place] + studies[place + 1 :])
        if fitted is None:  # without this study nothing but noise is predicted
            effect, reach = np.zeros(len(study.human)), stats.norm.ppf(0.95) * study.se
        else:
            known = known_of(study, fitted.signal)
            effect = fitted.slope * known.predicted + known.error
            doubt = (fitted.slope_sd**2 + fitted.slope_se**2) * known.predicted**2 + fitted.arm_sd**2
            variance = doubt + np.diag(known.covariance(fitted.slope, fitted.slope_sd))
            reach = stats.t.ppf(0.95, len(studies) - 3) * np.sqrt(variance)
        missed.append(effect - study.human)
        inside.append(np.abs(effect - study.human) <= reach)
    human, predicted = (
        np.concatenate([getattr(study, x) for study in studies]) for x in ("human", "predicted")
    )
    return {
        "rmse": root_mean_square(np.concatenate(missed)),
        "rmse_raw": root_mean_square(predicted - human),
        "rmse_zero": root_mean_square(human),
        "coverage_90": float(np.concatenate(inside).mean()),
    }


def root_mean_square(differences: np.ndarray) -> float:
    return float(np.sqrt(np.mean(differences**2)))
