"""A model's calibration, read: how wrong its predicted effects were in studies that it has not seen."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri, stdtrit

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.bootstrap import SEED, Measure
from socrates_core.analysis.calibration import (
    LEVELS,
    MIN_EFFECTS,
    MIN_STUDIES_TO_CALIBRATE,
    Calibration,
    NoCalibration,
    calibrate,
)
from socrates_core.analysis.held_out import HeldOut, HeldOutRow, Rivalry, leave_one_study_out
from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import digest, read_json
from socrates_core.imported import was_imported
from socrates_core.records import Floats
from socrates_core.settings import home

VERSION = (
    2  # 2: effects on comparable scales alone, unordered outcomes left out, "no effect" among the rivals
)


UPPER = 0.5 + LEVELS[-1] / 2  # the share below the upper end of a 90% interval


OUTDATED = (
    "This model's effects were calibrated by an earlier version, which also compared effects between scales that "
    "differ and answers that have no order."
)


NEVER = (
    "How wrong this model's effects are is not known: no evaluation of it on studies that it has not seen is complete. "
    f"Evaluate it on at least {MIN_STUDIES_TO_CALIBRATE} of them."
)


@dataclass(frozen=True)
class CalibratedEffect:
    """The true effect to expect of people, on the scale's own units.

    `low` and `high` are the ends of the 50%, 80% and 90% intervals (LEVELS).
    """

    difference: float
    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def sd(self) -> float:
        """The standard deviation of the normal distribution that has the same 90% interval."""
        return (self.high[-1] - self.low[-1]) / (2 * float(ndtri(UPPER)))


@dataclass(frozen=True)
class ModelCalibration:
    """A model's calibration with how it did on left-out studies.

    `sd_ratio` is the spread of its predicted answers over that of people's, the geometric mean over studies, NaN where
    none can be told. `unknown` is true where some of the studies may have been seen.
    """

    calibration: Calibration
    held_out: HeldOut
    sd_ratio: float
    unknown: bool
    evaluations: tuple[str, ...]
    written: str

    def effect(self, share: float, *, span: float) -> CalibratedEffect:
        """The calibrated effect for a predicted one in shares of the scale, whose range is `span`."""
        found = self.calibration.calibrated(np.array([share]))
        low, high = (tuple((span * ends[:, 0]).tolist()) for ends in (found.low, found.high))
        return CalibratedEffect(span * float(found.effect[0]), low, high)

    def covariance(self, shares: Floats) -> Floats:
        """The covariance [e, e] of the true effects of one study's conditions, predicted as `shares` [e] of the scale.

        It is that of the normal distributions with the calibrated effects' own 90% intervals, which are t's.
        """
        wider = stdtrit(self.calibration.n_studies - 2, UPPER) / ndtri(UPPER)
        return self.calibration.covariance(shares) * float(wider) ** 2

    def as_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = _plain(
            {**vars(self), "told": str(self)}
            | {
                "calibration": self.calibration.as_dict(),
                "held_out": asdict(self.held_out),
            }
        )
        return told

    def __str__(self) -> str:
        return " ".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, str]:
        """What it was fitted on and what was found; how that held on studies left out."""
        fit = self.calibration
        seen = "may have seen" if self.unknown else "has not seen"
        dropped = f" ({fit.n_dropped} more could not be used)" if fit.n_dropped else ""
        n_imported = sum(was_imported("evaluation", each) for each in self.evaluations)
        others = (
            f" {n_imported} of its {len(self.evaluations)} evaluations came from an archive."
            if n_imported
            else ""
        )
        fitted = (
            f"Calibrated on {fit.n_effects} effects of {fit.n_studies} studies that the model {seen}{dropped}: people's"
            f" effects are {fit.slope:.2f} (standard error {fit.slope_se:.2f}) times the predicted ones, give or take "
            f"{fit.study_sd:.3f} of the scale from study to study and {fit.arm_sd:.3f} from condition to condition."
            f"{others}"
        )
        width = self.held_out.rows[0].width[-1]
        return fitted, f"{self.held_out.sentence()} They are {width:.3f} of the scale wide on average."


def calibration_for(fingerprint: str, *, excluding: Collection[str] = ()) -> ModelCalibration | str:
    """The calibration of the model with this fingerprint, or a sentence that says why there is none.

    Fitted anew without the studies `excluding` ("corpus/study_id") where they are among its own: nothing is
    calibrated on itself. A record that was edited or damaged counts as none.
    """
    path = _path(fingerprint)
    if not fingerprint or not path.exists():
        return NEVER
    try:
        return _without(path, path.stat().st_mtime_ns, fingerprint, frozenset(excluding))
    except UserError as error:
        return f"{error} Evaluate the model again: answers come from the cache."


def _path(fingerprint: str) -> Path:
    return home() / "calibrations" / f"{fingerprint[:16]}.json"


def _fit(pairs: EffectPairs) -> tuple[Calibration, HeldOut] | NoCalibration:
    fit, held_out = calibrate(pairs), leave_one_study_out(pairs, seed=SEED)
    if isinstance(fit, NoCalibration):
        return fit
    return held_out if isinstance(held_out, NoCalibration) else (fit, held_out)


def _pairs(effects: pd.DataFrame) -> EffectPairs:
    human, error, predicted = (
        effects[name].to_numpy(dtype=float) for name in ("human", "human_se", "predicted")
    )
    return EffectPairs(effects["study"].to_numpy(dtype=str), human, error, predicted)


@lru_cache(maxsize=64)
def _without(path: Path, _stamp: int, fingerprint: str, excluding: frozenset[str]) -> ModelCalibration | str:
    """What the record at `path` says without the studies `excluding`. Raises UserError where it is damaged."""
    stored = read_json(path)
    try:
        told = stored.pop("digest")
        if (told, fingerprint) != (digest(stored), stored["fingerprint"]):
            raise ValueError("other numbers than were written")
        if stored["version"] != VERSION:
            raise UserError(OUTDATED)
        effects = pd.DataFrame(stored["effects"])
        own = effects["study"].isin(excluding)
        ratios = [ratio for study, ratio in stored["sd_ratios"].items() if study not in excluding]
        found = _fit(_pairs(effects[~own])) if own.any() else _stored_fit(stored)
        unknown, evaluations = bool(stored["unknown"]), tuple(map(str, stored["evaluations"]))
        written = str(stored["written"])
    except EDITED as error:
        raise UserError(f"The calibration {str(path)!r} was edited or damaged ({quoted(error)}).") from error
    if isinstance(found, NoCalibration):
        return _reason(found, left_out=bool(own.any()))
    ratio = float(np.exp(np.mean(np.log(ratios)))) if ratios else math.nan
    return ModelCalibration(*found, ratio, unknown, evaluations, written)


def _reason(found: NoCalibration, *, left_out: bool) -> str:
    """Why there is no calibration, with what would earn one."""
    told = found.reason
    if left_out:
        told += " The study that the draft asks about does not count, since nothing is calibrated on itself."
    if found.n_studies >= MIN_STUDIES_TO_CALIBRATE and found.n_effects >= MIN_EFFECTS:
        return told
    more = max(MIN_STUDIES_TO_CALIBRATE - found.n_studies, 1)
    return f"{told} Evaluate the model on {more} more {'study' if more == 1 else 'studies'} that it has not seen."


def _stored_fit(stored: Mapping[str, Any]) -> tuple[Calibration, HeldOut] | NoCalibration:
    if stored["held_out"] is None:
        return NoCalibration(**stored["calibration"])
    return Calibration.from_dict(stored["calibration"]), _held_out(stored["held_out"])


def _held_out(stored: dict[str, Any]) -> HeldOut:
    rows = tuple(
        HeldOutRow(
            row["method"],
            row["rmse"],
            *(np.array(row[name], float) for name in ("coverage", "width", "score")),
        )
        for row in stored["rows"]
    )
    rivals = tuple(
        Rivalry(each["rival"], *(_measure(each[name]) for name in ("squared_error", "score")))
        for each in stored["rivals"]
    )
    return HeldOut(rows, rivals, stored["n_studies"], stored["n_effects"])


def _measure(stored: dict[str, float | None]) -> Measure:
    value, low, high = (
        math.nan if stored[name] is None else stored[name] for name in ("value", "low", "high")
    )
    return Measure(value, low, high)  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    """`value` as JSON holds it: lists for arrays and tuples, null for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
