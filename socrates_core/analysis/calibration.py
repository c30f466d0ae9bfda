"""Calibrates predicted effects on people's effects in studies that the model has not seen.

    human effect = (slope + study's own) * predicted effect + condition discrepancies + sampling error

Effects are in shares of the scale's range. A study's own part of the slope and the discrepancies are normal with mean
zero; the covariances of the sampling errors are known. An effect is the difference of two conditions, each with its own
discrepancy. So neither the choice of the reference nor the direction in which an outcome is coded changes anything:
both turn signs of human and predicted effects alike, and the line goes through the origin. It is a meta-regression with
effects nested in studies (Konstantopoulos 2011, Research Synthesis Methods 2), fitted by restricted maximum likelihood
(Harville 1977, JASA 72). Predicted effects of an evaluation have noise where different people were asked in each
condition: it is known too, and taken out. See `nested`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.effects import ZERO
from socrates_core.analysis.nested import StudyEffects, denoise, fit_nested
from socrates_core.records import Floats

LEVELS = (0.5, 0.8, 0.9)
# Fewer than six studies say next to nothing about how studies differ (the 95% interval of a standard
# deviation from five is wider than fourfold), and leaving one out has to leave five. Twelve effects are two a study:
# with one a study the two discrepancies cannot be told apart.
MIN_STUDIES_TO_CALIBRATE = 6
MIN_EFFECTS = 12


@dataclass(frozen=True)
class CalibratedEffects:
    """Calibrated effects [e] with the spread [e] of what is not known about them.

    `low` and `high` [3, e] are the ends of the 50%, 80% and 90% prediction intervals (LEVELS).
    """

    effect: Floats
    sd: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration: how far to shrink a predicted effect and how wrong it then still is.

    `slope_sd` is the standard deviation of slopes between studies and `arm_sd` that of an effect's own discrepancy, in
    shares of the scale. `signal_sd` is that of true predicted effects, NaN where predicted ones have no noise.
    `n_dropped` effects could not be used: an effect, or a positive standard error, was missing.
    """

    slope: float
    slope_se: float
    slope_sd: float
    arm_sd: float
    signal_sd: float
    n_studies: int
    n_effects: int
    n_dropped: int

    @property
    def freedom(self) -> float:
        """The degrees of freedom of the t distribution of a new study's true effects."""
        return self.n_studies - 2

    def calibrated(self, predicted: Floats, *, human_se: Floats | float = 0.0) -> CalibratedEffects:
        """The effects to expect in a new study, given the `predicted` ones [e].

        Intervals are for the true effect or, with a `human_se` (one or [e]), for what a sample with that
        standard error will show. They are slope * predicted +- t * sd with `n_studies` - 2 degrees of
        freedom: the discrepancies, the slope's error and the few studies are in them (Higgins, Thompson &
        Spiegelhalter 2009, JRSS A 172, section 4; with REML: Partlett & Riley 2017, Statistics in Medicine 36).
        The predicted effects are without noise: the same simulated people answered in every condition.
        """
        given = np.asarray(predicted, dtype=float)
        variance = np.diagonal(self.covariance(given)) + np.asarray(human_se, dtype=float) ** 2
        effect = self.slope * given
        sd = np.sqrt(variance)
        reach = stdtrit(self.freedom, 0.5 + np.array(LEVELS) / 2)[:, None] * sd
        return CalibratedEffects(effect, sd, effect - reach, effect + reach)

    def covariance(self, predicted: Floats) -> Floats:
        """The scale matrix [e, e] of the true effects of a new study's arms on one outcome, against one reference."""
        given = np.asarray(predicted, dtype=float)
        shared = (np.ones((given.size, given.size)) + np.eye(given.size)) / 2
        return (self.slope_sd**2 + self.slope_se**2) * np.outer(given, given) + self.arm_sd**2 * shared

    def calibrated_observed(self, study: StudyEffects) -> CalibratedEffects:
        """What people's observed effects in a left-out `study` will be, whose predicted effects may have noise."""
        signal = math.inf if math.isnan(self.signal_sd) else self.signal_sd**2
        known = denoise(study, signal)
        effect = self.slope * known.predicted + known.error
        doubt = (self.slope_sd**2 + self.slope_se**2) * known.predicted**2 + self.arm_sd**2
        sd = np.sqrt(doubt + np.diagonal(known.covariance(self.slope, self.slope_sd)))
        reach = stdtrit(self.freedom, 0.5 + np.array(LEVELS) / 2)[:, None] * sd
        return CalibratedEffects(effect, sd, effect - reach, effect + reach)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Calibration":
        signal = stored["signal_sd"]
        return Calibration(**{**stored, "signal_sd": math.nan if signal is None else signal})


@dataclass(frozen=True)
class NoCalibration:
    """Why there is no calibration, as a sentence, and what there was to fit it on."""

    reason: str
    n_studies: int
    n_effects: int
    n_dropped: int


def calibrate(pairs: EffectPairs) -> Calibration | NoCalibration:
    """The calibration of predicted on human effects.

    The model must not have seen these studies: nothing here can know. No calibration with fewer than
    MIN_STUDIES_TO_CALIBRATE studies or MIN_EFFECTS effects, or where effects are predicted in fewer than two studies.
    """
    used = usable(pairs)
    n_studies, n_effects = np.unique(used.study).size, used.human.size
    reason = ""
    if n_studies < MIN_STUDIES_TO_CALIBRATE or n_effects < MIN_EFFECTS:
        reason = (
            f"A calibrated effect needs at least {MIN_STUDIES_TO_CALIBRATE} studies that the model has not seen, with "
            f"{MIN_EFFECTS} effects between them; here are {n_studies} with {n_effects}."
        )
    elif np.unique(used.study[np.abs(used.predicted) >= ZERO]).size < 2:
        reason = "The model predicts an effect in fewer than two studies, so there is nothing to calibrate."
    if reason:
        return NoCalibration(reason, n_studies, n_effects, pairs.human.size - n_effects)
    fitted = fit_calibration(used)
    if isinstance(fitted, NoCalibration):
        return replace(fitted, n_dropped=pairs.human.size - n_effects)
    return replace(fitted, n_dropped=pairs.human.size - n_effects)


def usable(pairs: EffectPairs) -> EffectPairs:
    """The pairs that can be fitted: both effects are there, and a positive standard error."""
    present = np.isfinite(pairs.human) & np.isfinite(pairs.predicted) & np.isfinite(pairs.human_se)
    return pairs.where(present & (pairs.human_se > 0))


def fit_calibration(pairs: EffectPairs) -> Calibration | NoCalibration:
    """The calibration fitted on usable `pairs`, however few; none where predicted effects are noise alone."""
    studies = studies_of(pairs)
    fitted = fit_nested(list(studies.values()))
    if fitted is None:
        reason = (
            "The predicted effects cannot be told from the noise of asking different people in each condition. Ask "
            "about more people in each."
        )
        return NoCalibration(reason, len(studies), pairs.human.size, 0)
    numbers = {
        name: getattr(fitted, name) for name in ("slope", "slope_se", "slope_sd", "arm_sd", "signal_sd")
    }
    return Calibration(**numbers, n_studies=len(studies), n_effects=pairs.human.size, n_dropped=0)


def studies_of(pairs: EffectPairs) -> dict[str, StudyEffects]:
    """The effects of each study, by its name, in order of the names."""
    studies = {}
    for name in np.unique(pairs.study):
        of_study = pairs.where(pairs.study == name)
        e = of_study.human.size
        if of_study.errors is None:
            errors = np.zeros((2 * e, 2 * e))
            errors[:e, :e] = np.diag(of_study.human_se**2)
        else:
            errors = of_study.errors[str(name)]
        shared = np.eye(e)
        if of_study.item is not None:
            named = of_study.item != ""
            same = (of_study.item[:, None] == of_study.item) & named[:, None]
            shared = np.where(same & ~np.eye(e, dtype=bool), 0.5, shared)
        studies[str(name)] = StudyEffects(of_study.human, of_study.predicted, errors, shared)
    return studies
