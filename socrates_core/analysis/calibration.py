"""Calibrates predicted effects on people's effects in studies that the model has not seen.

    human effect = slope * predicted effect + study discrepancy + arm discrepancy + sampling error

Effects are in shares of the scale's range. The two discrepancies are normal with mean zero, one a study and one an
effect; the variances of the sampling errors are known (squared standard errors). The line goes through the origin:
which of two conditions is called the reference is a convention, the other choice turns the sign of both effects, and
only such a line stays the same. It is a meta-regression with effects nested in studies (Konstantopoulos 2011,
Research Synthesis Methods 2), fitted by restricted maximum likelihood (Harville 1977, JASA 72).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.special import stdtrit

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.effects import ZERO
from socrates_core.analysis.nested import fit_nested
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

    `study_sd` and `arm_sd` are the standard deviations of the discrepancies, in shares of the scale.
    `n_dropped` effects could not be used: an effect, or a positive standard error, was missing.
    """

    slope: float
    slope_se: float
    study_sd: float
    arm_sd: float
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
        """
        given = np.asarray(predicted, dtype=float)
        variance = np.diagonal(self.covariance(given)) + np.asarray(human_se, dtype=float) ** 2
        effect = self.slope * given
        sd = np.sqrt(variance)
        reach = stdtrit(self.freedom, 0.5 + np.array(LEVELS) / 2)[:, None] * sd
        return CalibratedEffects(effect, sd, effect - reach, effect + reach)

    def covariance(self, predicted: Floats) -> Floats:
        """The covariance [e, e] of the true effects of one new study's arms around their calibrated effects."""
        given = np.asarray(predicted, dtype=float)
        shared = self.study_sd**2 + self.slope_se**2 * np.outer(given, given)
        return shared + self.arm_sd**2 * np.eye(given.size)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Calibration":
        return Calibration(**stored)


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
    return replace(fit_calibration(used), n_dropped=pairs.human.size - n_effects)


def usable(pairs: EffectPairs) -> EffectPairs:
    """The pairs that can be fitted: both effects are there, and a positive standard error."""
    present = np.isfinite(pairs.human) & np.isfinite(pairs.predicted) & np.isfinite(pairs.human_se)
    return pairs.where(present & (pairs.human_se > 0))


def fit_calibration(pairs: EffectPairs) -> Calibration:
    """The calibration fitted on usable `pairs`, however few; some effect must be predicted."""
    names, position = np.unique(pairs.study, return_inverse=True)
    fitted = fit_nested(position, y=pairs.human, variance=pairs.human_se**2, x=pairs.predicted)
    return Calibration(**vars(fitted), n_studies=names.size, n_effects=pairs.human.size, n_dropped=0)
