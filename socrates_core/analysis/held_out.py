"""Does a calibration hold on studies that it was not fitted on: each study left out once, predicted from the others."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.bootstrap import Measure, over_studies, ratio, sums_by_study
from socrates_core.analysis.calibration import (
    LEVELS,
    NoCalibration,
    calibrate,
    fit_calibration,
    studies_of,
    usable,
)
from socrates_core.records import Floats

Method = Literal["calibrated", "raw", "constant", "zero"]


@dataclass(frozen=True)
class Predicted:
    """Guesses [e] of the effects of left-out studies, with the ends [3, e] of their intervals (LEVELS)."""

    effect: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class HeldOutRow:
    """How one way of predicting did on left-out studies, in shares of the scale.

    `rmse` is against the observed effects, so their sampling error is in it. For the 50%, 80% and 90% intervals
    (LEVELS), all [3]: `coverage` is the share of observed effects inside, `width` the mean width, `score` the mean
    interval score, lower is better (Gneiting & Raftery 2007, JASA 102, equation 43).
    """

    method: Method
    rmse: float
    coverage: Floats
    width: Floats
    score: Floats


@dataclass(frozen=True)
class Rivalry:
    """Calibrated effects minus those of a rival, below 0 where calibrated ones are better.

    The mean difference of squared errors and of 90% interval scores, with intervals over studies.
    """

    rival: Method
    squared_error: Measure
    score: Measure


@dataclass(frozen=True)
class HeldOut:
    """The four ways of predicting `n_effects` effects of `n_studies` left-out studies, and the rivals met.

    `raw` takes predicted effects as they are, `constant` times the one factor that fits the other
    studies best (least squares), `zero` predicts no effect. Their intervals hold the sampling error alone.
    """

    rows: tuple[HeldOutRow, ...]
    rivals: tuple[Rivalry, ...]
    n_studies: int
    n_effects: int

    def verdicts(self) -> str:
        """Which rivals it beats, a sentence each."""
        return " ".join(
            f"Calibration {_verdict(rivalry.squared_error)} {_NAMES[rivalry.rival]} in size, and "
            f"its 90% intervals {_verdict(rivalry.score, plural=True)} those of sampling error alone around them."
            for rivalry in self.rivals
        )

    def sentence(self) -> str:
        """Says whether calibration beats raw effects and constant shrinkage, by more than chance over studies."""
        miss = {row.method: f"{row.rmse:.3f}" for row in self.rows}
        covered = round(self.rows[0].coverage[-1] * self.n_effects)
        return (
            f"On {self.n_effects} effects of {self.n_studies} studies, each study predicted from the others, "
            f"calibrated effects miss by {miss['calibrated']} of the scale (RMSE), raw effects by {miss['raw']}, "
            f"raw effects times one constant by {miss['constant']}, no effect at all by {miss['zero']}. "
            f"{self.verdicts()} The 90% intervals hold {covered} of the {self.n_effects} observed effects."
        )


_NAMES: Mapping[Method, str] = {
    "raw": "raw effects",
    "constant": "constant shrinkage",
    "zero": "no effect at all",
}


def leave_one_study_out(pairs: EffectPairs) -> HeldOut | NoCalibration:
    """Predicts each study's observed effects from a calibration that was fitted on all the others.

    The same minimum as for `calibrate`; all effects weigh alike. The calibrated effect is itself a shrinkage by one
    factor, so it can beat constant shrinkage in size only by weighing effects better; what it adds is
    the interval.
    """
    whole = calibrate(pairs)
    if isinstance(whole, NoCalibration):
        return whole
    used = usable(pairs)
    guesses: dict[Method, Predicted] = {
        "calibrated": _calibrated(used),
        "raw": _without_discrepancy(used.predicted, used.human_se),
        "constant": _without_discrepancy(_shrunk(used), used.human_se),
        "zero": _without_discrepancy(np.zeros_like(used.human), used.human_se),
    }
    missed: dict[Method, Floats] = {
        method: (guess.effect - used.human) ** 2 for method, guess in guesses.items()
    }
    scored: dict[Method, Floats] = {
        method: interval_score(used.human, guess) for method, guess in guesses.items()
    }

    def against(values: Mapping[Method, Floats], rival: Method) -> Measure:
        difference = values["calibrated"] - values[rival]
        sums = sums_by_study(used.study, np.stack([np.ones_like(difference), difference], axis=1))
        return over_studies(sums, ratio)

    last = {method: score[-1] for method, score in scored.items()}
    return HeldOut(
        rows=tuple(
            HeldOutRow(
                method=method,
                rmse=float(np.sqrt(missed[method].mean())),
                coverage=((guess.low <= used.human) & (used.human <= guess.high)).mean(axis=1),
                width=(guess.high - guess.low).mean(axis=1),
                score=scored[method].mean(axis=1),
            )
            for method, guess in guesses.items()
        ),
        rivals=tuple(Rivalry(rival, against(missed, rival), against(last, rival)) for rival in _NAMES),
        n_studies=whole.n_studies,
        n_effects=whole.n_effects,
    )


def interval_score(observed: Floats, guess: Predicted) -> Floats:
    """The interval score [3, e] of `observed` effects [e]: width, plus 2 / (1 - level) times what lies outside."""
    penalty = 2 / (1 - np.array(LEVELS)[:, None])
    outside = np.maximum(guess.low - observed, 0) + np.maximum(observed - guess.high, 0)
    return np.asarray(guess.high - guess.low + penalty * outside)


def _calibrated(pairs: EffectPairs) -> Predicted:
    effect = np.empty_like(pairs.human)
    low, high = np.empty((2, len(LEVELS), pairs.human.size))
    for study in np.unique(pairs.study):
        out = pairs.study == study
        fitted = fit_calibration(pairs.where(~out))
        if isinstance(fitted, NoCalibration):  # without this study nothing but noise is predicted
            nothing = _without_discrepancy(np.zeros(int(out.sum())), pairs.human_se[out])
            effect[out], low[:, out], high[:, out] = nothing.effect, nothing.low, nothing.high
            continue
        (of_study,) = studies_of(pairs.where(out)).values()
        calibrated = fitted.calibrated_observed(of_study)
        effect[out], low[:, out], high[:, out] = calibrated.effect, calibrated.low, calibrated.high
    return Predicted(effect, low, high)


def _without_discrepancy(effect: Floats, human_se: Floats) -> Predicted:
    reach = ndtri(0.5 + np.array(LEVELS) / 2)[:, None] * human_se
    return Predicted(effect, effect - reach, effect + reach)


def _shrunk(pairs: EffectPairs) -> Floats:
    """Predicted effects [e] times the least-squares factor of all other studies."""
    _, position = np.unique(pairs.study, return_inverse=True)
    products, squares = pairs.human * pairs.predicted, pairs.predicted**2
    others = [values.sum() - np.bincount(position, values)[position] for values in (products, squares)]
    return np.asarray(pairs.predicted * others[0] / others[1])


def _verdict(difference: Measure, *, plural: bool = False) -> str:
    if difference.high < 0:
        return "beat" if plural else "beats"
    if difference.low > 0:
        return "are worse than" if plural else "is worse than"
    return "do not clearly beat" if plural else "does not clearly beat"


def errors_by_study(pairs: EffectPairs) -> dict[str, tuple[float, float]]:
    """By study, the mean squared error of its calibrated effects and of expecting none, each study left out once.

    Empty where there are too few effects to calibrate, by the rule of `calibrate`. The calibration that predicts a
    study is fitted on all the others.
    """
    if isinstance(calibrate(pairs), NoCalibration):
        return {}
    used = usable(pairs)
    errors = np.stack([(_calibrated(used).effect - used.human) ** 2, used.human**2], axis=1)
    sums = sums_by_study(used.study, np.column_stack([np.ones(len(errors)), errors]))
    means = (sums[:, 1:] / sums[:, :1]).tolist()
    return {str(name): (ours, none) for name, (ours, none) in zip(np.unique(used.study), means, strict=True)}
