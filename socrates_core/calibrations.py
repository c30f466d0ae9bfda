"""Reads a model's calibration: how wrong its predicted effects were in studies that it has not seen."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.bootstrap import Measure
from socrates_core.analysis.calibration import (
    LEVELS,
    MIN_EFFECTS,
    MIN_STUDIES_TO_CALIBRATE,
    Calibration,
    NoCalibration,
    calibrate,
)
from socrates_core.analysis.held_out import HeldOut, HeldOutRow, Rivalry, leave_one_study_out
from socrates_core.analysis.student_t import StudentT
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.store import corpora
from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import digest, read_json
from socrates_core.imported import was_imported
from socrates_core.records import Floats
from socrates_core.settings import home

# 2: only effects on comparable scales, no unordered outcomes, and "no effect" among the rivals
# 3: the covariance of the errors, noise of predicted effects taken out, slopes that differ between studies
VERSION = 3


OUTDATED = (
    "This model's effects were calibrated by an earlier version, which took the errors of a study's effects for "
    "independent and the predicted effects for free of noise."
)


NEVER = (
    "How wrong this model's effects are is not known: no evaluation of it on studies that it has not seen is complete. "
    f"Evaluate it on at least {MIN_STUDIES_TO_CALIBRATE} of them."
)


@dataclass(frozen=True)
class CalibratedEffect:
    """The true effect to expect of people, in the scale's own units: a t distribution around `difference`.

    (true effect - difference) / scale follows Student's t with `freedom` degrees of freedom. It is not normal: from
    six studies it has four degrees, so ask it for chances and draws and do not take `scale` for a standard deviation.
    """

    difference: float
    scale: float
    freedom: float

    @property
    def distribution(self) -> StudentT:
        """The same as a distribution of one effect."""
        return StudentT(np.array([self.difference]), np.array([[self.scale**2]]), self.freedom)

    @property
    def low(self) -> tuple[float, ...]:
        """The lower ends of the 50%, 80% and 90% intervals (LEVELS)."""
        return tuple(float(self.distribution.quantile(0.5 - level / 2)[0]) for level in LEVELS)

    @property
    def high(self) -> tuple[float, ...]:
        """The upper ends of the 50%, 80% and 90% intervals (LEVELS)."""
        return tuple(float(self.distribution.quantile(0.5 + level / 2)[0]) for level in LEVELS)

    def probability_above(self, limit: float) -> float:
        """The chance that the true effect is above `limit`."""
        return float(self.distribution.probability_above(limit)[0])

    def draws(self, n: int, generator: np.random.Generator) -> Floats:
        """`n` draws [n] of the true effect."""
        return self.distribution.draws(n, generator)[:, 0]


@dataclass(frozen=True)
class ModelCalibration:
    """A model's calibration, how well it did on left-out studies, and the effects that both rest on.

    `sd_ratio` is the spread of predicted answers over that of people's, the geometric mean over studies; NaN if no
    study has one. `unknown` is true where the model may have seen some of the studies.
    """

    calibration: Calibration
    held_out: HeldOut
    sd_ratio: float
    unknown: bool
    evaluations: tuple[str, ...]
    written: str
    pairs: EffectPairs = field(repr=False)

    def effect(self, share: float, *, span: float) -> CalibratedEffect:
        """The calibrated effect for a predicted one in shares of the scale, whose range is `span`."""
        arms = self.arms(np.array([share]), span=span)
        return CalibratedEffect(float(arms.mean[0]), float(arms.spread[0]), arms.freedom)

    def arms(self, shares: Floats, *, span: float) -> StudentT:
        """The true effects of several conditions of one study on one outcome, against their common reference.

        `shares` [e] are the predicted effects in shares of the scale, whose range is `span`; the distribution is in
        the scale's own units.
        """
        fit = self.calibration
        return StudentT(span * fit.slope * shares, span**2 * fit.covariance(shares), fit.freedom)

    def as_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = as_json(
            {
                "calibration": self.calibration.as_dict(),
                "held_out": asdict(self.held_out),
                "sd_ratio": self.sd_ratio,
                "unknown": self.unknown,
                "evaluations": self.evaluations,
                "written": self.written,
                "told": str(self),
            }
        )
        return plain

    def __str__(self) -> str:
        return " ".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, str]:
        """What the calibration was fitted on and says, and how well that held on left-out studies."""
        fit = self.calibration
        has_seen = "may have seen" if self.unknown else "has not seen"
        dropped = f" ({fit.n_dropped} more could not be used)" if fit.n_dropped else ""
        n_imported = sum(was_imported("evaluation", evaluation) for evaluation in self.evaluations)
        from_archives = (
            f" {n_imported} of its {len(self.evaluations)} evaluations came from an archive."
            if n_imported
            else ""
        )
        fitted = (
            f"Calibrated on {fit.n_effects} effects of {fit.n_studies} studies that the model {has_seen}{dropped}: "
            f"people's effects are {fit.slope:.2f} (standard error {fit.slope_se:.2f}) times the predicted ones, "
            f"give or take {fit.slope_sd:.2f} from study to study, and {fit.arm_sd:.3f} of the scale from effect to "
            "effect."
            f"{from_archives}"
        )
        width = self.held_out.rows[0].width[-1]
        return fitted, f"{self.held_out.sentence()} They are {width:.3f} of the scale wide on average."


def calibration_for(fingerprint: str, *, excluding: Collection[str] = ()) -> ModelCalibration | str:
    """The calibration of the model with this fingerprint, or a sentence that says why there is none.

    It is fitted again without the studies `excluding` ("corpus/study_id") and those whose answers are hidden now, if it
    rests on them: nothing is calibrated on itself. A record that was edited or damaged counts as none.
    """
    path = calibration_path(fingerprint)
    if not fingerprint or not path.exists():
        return NEVER
    hidden = {f"{name}/{study}" for name in corpora() for study in frozen_studies(home() / "corpora" / name)}
    try:
        # The time of the last change is part of the key, so a calibration that was fitted again is read again.
        return _without(path, path.stat().st_mtime_ns, fingerprint, frozenset(excluding) | hidden)
    except UserError as error:
        return f"{error} Evaluate the model again: answers come from the cache."


def calibration_path(fingerprint: str) -> Path:
    """Where the calibration of the model with this fingerprint is kept."""
    return home() / "calibrations" / f"{fingerprint[:16]}.json"


def read_measured(path: Path) -> dict[str, Any]:
    """What evaluations measured of one model, as it was written.

    Raises UserError if the file was edited or damaged, or is of an earlier version.
    """
    stored = read_json(path)
    try:
        if stored.pop("digest") != digest(stored):
            raise ValueError("other numbers than were written")
        if stored["version"] != VERSION:
            raise UserError(OUTDATED)
    except EDITED as error:
        raise UserError(f"The calibration {str(path)!r} was edited or damaged ({quoted(error)}).") from error
    return dict(stored)


def fit_and_test(pairs: EffectPairs) -> tuple[Calibration, HeldOut] | NoCalibration:
    """The calibration on `pairs` and how it does on studies left out; or why there is none."""
    calibration = calibrate(pairs)
    held_out = leave_one_study_out(pairs)
    if isinstance(calibration, NoCalibration):
        return calibration
    return held_out if isinstance(held_out, NoCalibration) else (calibration, held_out)


def effect_pairs(
    effects: pd.DataFrame, study: str = "study", *, errors: Mapping[str, Any] | None = None
) -> EffectPairs:
    """A table of effects as arrays, from the columns human, human_se, predicted and the one that names the `study`.

    With the `errors` of studies, as `EffectPairs` has them, also from task_num and part. Studies without rows leave.
    """
    human, error, predicted = (
        effects[name].to_numpy(dtype=float) for name in ("human", "human_se", "predicted")
    )
    studies = effects[study].to_numpy(dtype=str)
    if errors is None:
        return EffectPairs(studies, human, error, predicted)
    item = (effects["task_num"].astype(str) + "/" + effects["part"].fillna("")).to_numpy(dtype=str)
    present = set(studies.tolist())
    # A standard error that is missing is missing in its row and column; `usable` takes such effects out.
    of_studies = {name: np.array(matrix, dtype=float) for name, matrix in errors.items() if name in present}
    return EffectPairs(studies, human, error, predicted, item, of_studies)


# `_stamp` is only there for the cache's key: a record that was written again is read again.
@lru_cache(maxsize=64)
def _without(path: Path, _stamp: int, fingerprint: str, excluding: frozenset[str]) -> ModelCalibration | str:
    """The calibration at `path` without the studies `excluding`. Raises UserError if the record is damaged."""
    stored = read_measured(path)
    try:
        # The file's name has only the start of the fingerprint, so the whole is compared.
        if fingerprint != stored["fingerprint"]:
            raise ValueError("numbers of another model")
        effects = pd.DataFrame(stored["effects"])
        is_excluded = effects["study"].isin(excluding)
        ratios = [ratio for study, ratio in stored["sd_ratios"].items() if study not in excluding]
        rest = effect_pairs(effects[~is_excluded], errors=stored["errors"])
        fit = fit_and_test(rest) if is_excluded.any() else _stored_fit(stored)
        unknown = bool(stored["unknown"])
        evaluations = tuple(map(str, stored["evaluations"]))
        written = str(stored["written"])
    except EDITED as error:
        raise UserError(f"The calibration {str(path)!r} was edited or damaged ({quoted(error)}).") from error
    if isinstance(fit, NoCalibration):
        return _reason(fit, left_out=bool(is_excluded.any()))
    ratio = float(np.exp(np.mean(np.log(ratios)))) if ratios else math.nan
    return ModelCalibration(*fit, ratio, unknown, evaluations, written, rest)


def _reason(no_calibration: NoCalibration, *, left_out: bool) -> str:
    """Why there is no calibration, and what it takes to get one."""
    reason = no_calibration.reason
    if left_out:
        reason += (
            " The study that the draft asks about does not count, since nothing is calibrated on itself; nor do "
            "studies whose answers are hidden."
        )
    if no_calibration.n_studies >= MIN_STUDIES_TO_CALIBRATE and no_calibration.n_effects >= MIN_EFFECTS:
        return reason
    more = max(MIN_STUDIES_TO_CALIBRATE - no_calibration.n_studies, 1)
    return f"{reason} Evaluate the model on {more} more {'study' if more == 1 else 'studies'} that it has not seen."


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
        Rivalry(rival["rival"], *(_measure(rival[name]) for name in ("squared_error", "score")))
        for rival in stored["rivals"]
    )
    return HeldOut(rows, rivals, stored["n_studies"], stored["n_effects"])


def _measure(stored: dict[str, float | None]) -> Measure:
    value, low, high = (
        math.nan if stored[name] is None else stored[name] for name in ("value", "low", "high")
    )
    return Measure(value, low, high)  # type: ignore[arg-type]


def as_json(value: Any) -> Any:
    """`value` as JSON holds it: lists for arrays and tuples, null for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
