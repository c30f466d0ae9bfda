"""Every number that a report shows, under one key each: the page shows no other, and the scripts recompute all."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import LEVELS
from socrates_core.analysis.cells import CONVENTIONS
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.analysis.summary import moments
from socrates_core.errors import UserError
from socrates_core.exposure.status import HEADLINE
from socrates_core.exposure.texts import cells_seen, draft_status
from socrates_core.models.seen import seen_of
from socrates_core.projects.run_results import Run, RunCell, RunEffect
from socrates_core.studies.answers import scale_range
from socrates_core.surveys.originals import CellKey

W_ROWS = {
    "": "the prediction",
    "_uniform": "every answer alike",
    "_condition_blind": "people whom the other conditions asked the same question",
    "_half_sample": "one half of the people against the other half, mean over all halvings",
    "_oracle": "what the true distribution would score to as many people",
}
QUANTITIES = (
    {  # quantity: what it is, its unit
        "n_people": ("personas that were asked", "personas"),
        "n_answers": ("answers of personas to cells", "answers"),
        "valid_mass": ("mean probability that the model put on any valid answer", "share"),
        "n": ("different profiles of personas with a valid answer; equal ones count once", "profiles"),
        "mean": ("mean of the predicted answers", "scale"),
        "sd": ("standard deviation of the predicted answers", "scale"),
        "people_n": ("people with an answer on the scale", "people"),
        "people_n_off_scale": ("people's answers off the scale, left out", "answers"),
        "people_mean": ("mean of people's answers", "scale"),
        "people_sd": ("standard deviation of people's answers, divided by n", "scale"),
        "share": ("predicted share of this answer", "share"),
        "people_share": ("share of people who gave this answer", "share"),
        "people_share_low": ("lower end of its 95% interval (Wilson)", "share"),
        "people_share_high": ("upper end of its 95% interval (Wilson)", "share"),
        "effect": ("predicted mean minus that of the reference condition", "scale"),
        "effect_share": ("the same in shares of the scale's range", "share"),
        "effect_n": ("different profiles of personas behind the predicted effect", "profiles"),
        "people_effect": ("people's mean minus that of the reference condition", "scale"),
        "people_effect_low": ("lower end of its 95% interval (Welch, or paired t within people)", "scale"),
        "people_effect_high": ("upper end of its 95% interval", "scale"),
        "people_effect_share": ("people's effect in shares of the scale's range", "share"),
        "people_effect_share_low": ("lower end of its 95% interval", "share"),
        "people_effect_share_high": ("upper end of its 95% interval", "share"),
        "people_effect_n": ("people in the condition", "people"),
        "people_effect_n_reference": ("people in the reference condition", "people"),
        "calibrated": ("people's true effect to expect, given the predicted one", "scale"),
        "calibration_slope": ("how many times a predicted effect is to be expected of people", "ratio"),
        "calibration_slope_se": ("its standard error", "ratio"),
        "calibration_study_sd": ("standard deviation of what differs between studies", "share"),
        "calibration_arm_sd": ("standard deviation of what differs between conditions of a study", "share"),
        "calibration_n_studies": ("studies behind the calibration, none of them the draft's own", "studies"),
        "calibration_n_effects": ("effects behind the calibration", "effects"),
        "calibration_rmse": ("error of calibrated effects, each study predicted from the others", "share"),
        "calibration_rmse_raw": ("error of raw predicted effects on the same studies", "share"),
        "calibration_rmse_zero": ("error of expecting no effect on the same studies", "share"),
        "calibration_coverage_90": ("share of those observed effects inside their 90% intervals", "share"),
    }
    | {
        f"calibrated_{end}_{100 * level:.0f}": (f"{told} end of its {100 * level:.0f}% interval", "scale")
        for level in LEVELS
        for end, told in (("low", "lower"), ("high", "upper"))
    }
    | {
        f"{n}w_{convention}{row}": (
            f"{'cells behind ' if n else ''}W, Wasserstein distance to people in shares of the "
            f"{convention} range: {told}; without a cell, the mean over cells not seen in training",
            "cells" if n else "share",
        )
        for convention in CONVENTIONS
        for row, told in W_ROWS.items()
        for n in ("", "n_")
    }
)


class Key(NamedTuple):
    """What a number is, and the positions of outcome and condition and the answer that it belongs to."""

    quantity: str
    outcome: int | None = None
    condition: int | None = None
    value: float | None = None

    def __str__(self) -> str:
        places = ("" if place is None else f"{place:.15g}" for place in self[1:])
        return "/".join([self.quantity, *places]).rstrip("/")


@dataclass(frozen=True)
class SeenInTraining:
    """Whether the model was trained on what it was asked: a sentence, and the cells that it saw.

    `cells` are positions of condition and outcome; they are shown, but enter no mean over cells.
    """

    sentence: str = (
        "not known. This run does not record whether the model was trained on these studies, so agreement with "
        "people may be memory."
    )
    cells: frozenset[CellKey] = frozenset()


def seen_in_training(run: Run) -> SeenInTraining:
    """What the model's card says of the run's texts; a card that cannot be read says that it is not known."""
    try:
        seen = seen_of(run.spec.model.name)
        told = draft_status(run.spec.draft, seen)
        status = cells_seen(run.spec.draft, run.spec.shown, seen)
    except UserError:
        return NOT_KNOWN
    cells = frozenset(key for key, each in status.items() if each not in HEADLINE)
    return SeenInTraining(f"{told.status}. {told.reason}", cells)


NOT_KNOWN = SeenInTraining()


@dataclass(frozen=True)
class Numbers:
    """The numbers of a report by key; NaN where a number is asked for that the data do not give."""

    found: Mapping[Key, float]

    def get(self, quantity: str, *places: float | None) -> float:
        """A number; NaN where there is none. Raises KeyError for an unknown quantity."""
        if quantity not in QUANTITIES:
            raise KeyError(quantity)
        return self.found.get(Key(quantity, *places), math.nan)  # type: ignore[arg-type]

    def table(self) -> pd.DataFrame:
        """A row a number: key, quantity, outcome, condition, value, number."""
        rows = [{"key": str(key), **key._asdict(), "number": number} for key, number in self.found.items()]
        return pd.DataFrame(rows).astype({"outcome": "Int64", "condition": "Int64", "value": "Float64"})


def run_numbers(run: Run, seen: SeenInTraining) -> Numbers:
    """All that a report of a run shows."""
    masses = run.people["valid_mass"].dropna()
    found = {
        Key("n_people"): float(len(run.spec.people)),
        Key("n_answers"): float(len(masses)),
        Key("valid_mass"): float(masses.mean()) if len(masses) else math.nan,
    }
    for cell in run.cells:
        found |= {Key(name, cell.outcome, cell.condition): float(number) for name, number in _cell(cell)}
        found |= _shares(cell)
    found |= _overall(found, seen)
    found |= {Key(f"calibration_{name}"): number for name, number in calibration_row(run).items()}
    draft = run.spec.draft
    outcomes = {outcome.name: o for o, outcome in enumerate(draft.outcomes)}
    conditions = {condition.name: c for c, condition in enumerate(draft.conditions)}
    for effect in run.effects:
        place = conditions[effect.condition], outcomes[effect.outcome]
        scale = draft.outcomes[place[1]].scale.scale()
        for name, number in _effect(effect, None if scale.is_drawn else scale_range(scale)):
            found[Key(name, place[1], place[0])] = float(number)
    return Numbers(found)


def calibration_row(run: Run) -> dict[str, float]:
    """What the calibration of the run's model is and how it held on studies left out; empty without one."""
    if isinstance(run.calibration, str):
        return {}
    fitted, rows = run.calibration.calibration, {row.method: row for row in run.calibration.held_out.rows}
    parameters = ("slope", "slope_se", "study_sd", "arm_sd", "n_studies", "n_effects")
    return {name: float(getattr(fitted, name)) for name in parameters} | {
        "rmse": rows["calibrated"].rmse,
        "rmse_raw": rows["raw"].rmse,
        "rmse_zero": rows["zero"].rmse,
        "coverage_90": float(rows["calibrated"].coverage[-1]),
    }


def _cell(cell: RunCell) -> Iterator[tuple[str, float]]:
    yield from {"n": cell.n, "mean": cell.mean, "sd": cell.sd, "valid_mass": cell.valid_mass}.items()
    if cell.counts is None:
        return
    human = moments(cell.counts if cell.is_ordered else np.zeros(len(cell.values)), cell.values)
    yield from {
        "people_n": cell.n_people,
        "people_n_off_scale": cell.n_off_scale,
        "people_mean": human.mean,
        "people_sd": human.sd,
    }.items()
    distances = replace(cell, predicted=_predicted(cell)).scores()
    for name, distance in distances.items() if cell.is_ordered else ():
        blind_is_missing = name.endswith("_condition_blind") and cell.condition_blind is None
        if not blind_is_missing and (name.startswith("w_observed") or not cell.n_samples):
            yield name, math.nan if distance is None else distance


def _predicted(cell: RunCell) -> np.ndarray:
    """The predicted shares [k]; NaN where nobody of the panel gave a valid answer."""
    return cell.predicted if cell.n else np.full(len(cell.values), np.nan)


def _shares(cell: RunCell) -> dict[Key, float]:
    columns = {"share": _predicted(cell)}
    if cell.counts is not None:
        told = shares_with_intervals(cell.counts)
        columns |= {"people_share": told.share, "people_share_low": told.low, "people_share_high": told.high}
    return {
        Key(name, cell.outcome, cell.condition, value): float(share)
        for name, shares in columns.items()
        for value, share in zip(cell.values.tolist(), shares, strict=True)
    }


def _overall(found: Mapping[Key, float], seen: SeenInTraining) -> dict[Key, float]:
    """The mean of every W over the cells that were not seen in training, and how many there are."""
    overall: dict[Key, float] = {}
    for name in QUANTITIES:
        scored = [
            x
            for key, x in found.items()
            if key.quantity == name and not math.isnan(x) and (key.condition, key.outcome) not in seen.cells
        ]
        if name.startswith("w_") and scored:
            overall |= {Key(name): float(np.mean(scored)), Key(f"n_{name}"): float(len(scored))}
    return overall


def _effect(effect: RunEffect, span: float | None) -> Iterator[tuple[str, float]]:
    """An effect's numbers; shares only of a scale with a range, `span` in its units."""
    predicted, people = effect.predicted, effect.people
    yield from {"effect": predicted.difference, "effect_n": predicted.n}.items()
    if span:
        yield "effect_share", predicted.difference / span
    if (earned := effect.calibrated) is not None:
        yield "calibrated", earned.difference
        for level, low, high in zip(LEVELS, earned.low, earned.high, strict=True):
            yield from {
                f"calibrated_low_{100 * level:.0f}": low,
                f"calibrated_high_{100 * level:.0f}": high,
            }.items()
    if people is None or not people.n + people.n_reference:
        return
    told = {"": people.difference, "_low": people.low, "_high": people.high}
    for end, number in told.items():
        yield f"people_effect{end}", number
        if span:
            yield f"people_effect_share{end}", number / span
    yield from {"people_effect_n": people.n, "people_effect_n_reference": people.n_reference}.items()
