"""Every number that the report of a run shows. Its key is quantity/outcome/condition/value."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from socrates_core.analysis.calibration import LEVELS
from socrates_core.analysis.cells import CONVENTIONS
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.analysis.summary import above_midpoint, moments, sample_factor
from socrates_core.errors import UserError
from socrates_core.exposure.status import HEADLINE
from socrates_core.exposure.texts import cells_seen, draft_status
from socrates_core.models.seen import seen_of
from socrates_core.projects.run_results import RunCell, RunEffect, SimulationRun
from socrates_core.records import Floats
from socrates_core.reporting.numbers import Key, Numbers
from socrates_core.reporting.tables import Column
from socrates_core.studies.answers import scale_range
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import CellKey

W_ROWS = {
    "": "the prediction",
    "_uniform": "the same probability for every answer",
    "_condition_blind": "people's answers to the same question in the other conditions",
    "_half_sample": "half of the people against the other half, mean over all halvings",
    "_oracle": "expected score of the true distribution at this sample size",
}
SQUARED = {"squared": "the prediction", "squared_uniform": "the same probability for every answer"}
QUANTITIES = (
    {
        "n_people": Column("simulated people that were asked", "people"),
        "n_profiles": Column("distinct profiles of the simulated people", "profiles"),
        "n_answers": Column("answers of simulated people to cells", "answers"),
        "valid_mass": Column("weighted mean probability that the model put on any valid answer", "share"),
        "n_simulated": Column("simulated people with a valid answer", "people"),
        "n": Column("distinct profiles among them; equal profiles count once", "profiles"),
        "mean": Column("mean of the predicted answers", "scale"),
        "sd": Column("standard deviation of the predicted answers", "scale"),
        "above": Column(
            "share of predicted answers above the middle of the scale, half of those on it", "share"
        ),
        "people_n": Column("people with an answer on the scale", "people"),
        "people_n_effective": Column(
            "how many people asked one by one would be as certain, where people answered repeatedly, are clustered or "
            "weighted",
            "people",
        ),
        "people_n_off_scale": Column("people's answers off the scale, left out", "answers"),
        "people_mean": Column("mean of people's answers", "scale"),
        "people_sd": Column("standard deviation of people's answers, divided by n - 1", "scale"),
        "people_above": Column("share of people's answers above the middle, half of those on it", "share"),
        "share": Column("predicted share of this answer", "share"),
        "people_share": Column("share of people who gave this answer", "share"),
        "people_share_low": Column("lower end of its 95% interval (Wilson, for people_n_effective)", "share"),
        "people_share_high": Column(
            "upper end of its 95% interval (Wilson, for people_n_effective)", "share"
        ),
        "effect": Column("predicted mean minus that of the reference condition", "scale"),
        "effect_share": Column("the same in shares of the scale's range", "share"),
        "effect_n_simulated": Column("simulated people behind the predicted effect", "people"),
        "effect_n": Column("distinct profiles behind the predicted effect", "profiles"),
        "people_effect": Column("people's mean minus that of the reference condition", "scale"),
        "people_effect_low": Column(
            "lower end of its 95% interval (Welch, or paired t within people)", "scale"
        ),
        "people_effect_high": Column("upper end of its 95% interval", "scale"),
        "people_effect_share": Column("people's effect in shares of the scale's range", "share"),
        "people_effect_share_low": Column("lower end of its 95% interval", "share"),
        "people_effect_share_high": Column("upper end of its 95% interval", "share"),
        "people_effect_n": Column("people in the condition", "people"),
        "people_effect_n_reference": Column("people in the reference condition", "people"),
        "option_effect": Column(
            "predicted share of an option minus that in the reference condition, of options without an order",
            "percentage points",
        ),
        "people_option_effect": Column(
            "people's share of the option minus that in the reference", "percentage points"
        ),
        "people_option_effect_low": Column(
            "lower end of its 95% interval (Newcombe; Welch, paired t, or clustered as the effects of people)",
            "percentage points",
        ),
        "people_option_effect_high": Column("upper end of its 95% interval", "percentage points"),
        "calibrated": Column("true effect of people to expect, given the predicted one", "scale"),
        "calibration_slope": Column("people's effect to expect per unit of predicted effect", "ratio"),
        "calibration_slope_se": Column("its standard error", "ratio"),
        "calibration_slope_sd": Column("standard deviation of slopes between studies", "ratio"),
        "calibration_arm_sd": Column("standard deviation of what the slope misses of an effect", "share"),
        "calibration_n_studies": Column(
            "studies behind the calibration; the draft's study is not one of them", "studies"
        ),
        "calibration_n_effects": Column("effects behind the calibration", "effects"),
        "calibration_rmse": Column(
            "error of calibrated effects, each study predicted from the others", "share"
        ),
        "calibration_rmse_raw": Column("error of raw predicted effects on the same studies", "share"),
        "calibration_rmse_zero": Column("error of expecting no effect on the same studies", "share"),
        "calibration_coverage_90": Column(
            "share of those observed effects inside their 90% intervals", "share"
        ),
    }
    | {
        f"calibrated_{end}_{100 * level:.0f}": Column(
            f"{side} end of its {100 * level:.0f}% interval", "scale"
        )
        for level in LEVELS
        for end, side in (("low", "lower"), ("high", "upper"))
    }
    | {
        f"{n}w_{convention}{row}": Column(
            f"{'cells behind ' if n else ''}W, Wasserstein distance to people in shares of the "
            f"{convention} range: {guess}; without a cell, the mean over cells not seen in training",
            "cells" if n else "share",
        )
        for convention in CONVENTIONS
        for row, guess in W_ROWS.items()
        for n in ("", "n_")
    }
    | {
        f"{n}{name}": Column(
            f"{'cells behind ' if n else ''}squared distance to all such people, without the luck of who answered: "
            f"{guess}; without a cell, the mean over cells not seen in training",
            "cells" if n else "squared share",
        )
        for name, guess in SQUARED.items()
        for n in ("", "n_")
    }
)

OPTION_COLUMNS = {
    "people_option_effect": "people",
    "people_option_effect_low": "low",
    "people_option_effect_high": "high",
}


@dataclass(frozen=True)
class SeenInTraining:
    """Whether the model was trained on the texts of the run: a sentence, and the cells that it saw.

    `cells` are positions of condition and outcome. They are shown, but left out of means over cells.
    """

    sentence: str = (
        "not known. This run does not record whether the model was trained on these studies, so agreement with "
        "people may be memory."
    )
    cells: frozenset[CellKey] = frozenset()


NOT_KNOWN = SeenInTraining()


def places(draft: Draft) -> dict[str, Column]:
    """What the parts of a key after its quantity are."""
    return {
        "outcome": Column(
            "position of the outcome", "", _codes([outcome.name for outcome in draft.outcomes])
        ),
        "condition": Column(
            "position of the condition", "", _codes([condition.name for condition in draft.conditions])
        ),
        "value": Column("an answer on the outcome's scale", "scale", "see values"),
    }


def _codes(names: list[str]) -> str:
    return "; ".join(f"{position} = {name}" for position, name in enumerate(names))


def seen_in_training(run: SimulationRun) -> SeenInTraining:
    """What the model's card says about the run's texts; `NOT_KNOWN` if the card cannot be read."""
    try:
        seen = seen_of(run.spec.model.name)
        verdict = draft_status(run.spec.draft, seen)
        statuses = cells_seen(run.spec.draft, run.spec.shown, seen)
    except UserError:
        return NOT_KNOWN
    cells = frozenset(key for key, status in statuses.items() if status not in HEADLINE)
    return SeenInTraining(f"{verdict.status}. {verdict.reason}", cells)


def run_numbers(run: SimulationRun, seen: SeenInTraining) -> Numbers:
    """All numbers that the report of a run shows."""
    answered = run.people.dropna(subset=["valid_mass"])
    masses = answered["valid_mass"]
    numbers = {
        Key.at("n_people"): float(len(run.spec.people)),
        Key.at("n_profiles"): float(len(set(run.profiles))),
        Key.at("n_answers"): float(len(masses)),
        Key.at("valid_mass"): float(np.average(masses, weights=answered["weight"]))
        if len(masses)
        else math.nan,
    }
    for cell in run.cells:
        for quantity, number in _of_cell(cell):
            numbers[Key.at(quantity, cell.outcome, cell.condition)] = float(number)
        numbers |= _shares(cell)
    numbers |= _means_over_cells(numbers, seen)
    for name, number in calibration_row(run).items():
        numbers[Key.at(f"calibration_{name}")] = number
    draft = run.spec.draft
    outcomes = [outcome.name for outcome in draft.outcomes]
    conditions = [condition.name for condition in draft.conditions]
    for effect in run.effects:
        o = outcomes.index(effect.outcome)
        scale = draft.outcomes[o].scale.scale()
        for quantity, number in _of_effect(effect, None if scale.is_drawn else scale_range(scale)):
            numbers[Key.at(quantity, o, conditions.index(effect.condition))] = float(number)
    for options in run.option_effects:
        place = outcomes.index(options.outcome), conditions.index(options.condition)
        for value, row in zip(options.values, options.rows(), strict=True):
            numbers[Key.at("option_effect", *place, value)] = row["predicted"]
            if options.people is not None:
                for quantity, name in OPTION_COLUMNS.items():
                    numbers[Key.at(quantity, *place, value)] = row[name]
    meanings = {name: f"{column.meaning} ({column.unit})" for name, column in QUANTITIES.items()}
    return Numbers(numbers, meanings, places(draft))


def calibration_row(run: SimulationRun) -> dict[str, float]:
    """The calibration of the run's model, and its errors in studies left out of the fit; empty without one."""
    if isinstance(run.calibration, str):
        return {}
    fitted = run.calibration.calibration
    held_out = {row.method: row for row in run.calibration.held_out.rows}
    parameters = ("slope", "slope_se", "slope_sd", "arm_sd", "n_studies", "n_effects")
    return {name: float(getattr(fitted, name)) for name in parameters} | {
        "rmse": held_out["calibrated"].rmse,
        "rmse_raw": held_out["raw"].rmse,
        "rmse_zero": held_out["zero"].rmse,
        "coverage_90": float(held_out["calibrated"].coverage[-1]),
    }


def _of_cell(cell: RunCell) -> Iterator[tuple[str, float]]:
    yield "n_simulated", cell.n_simulated
    yield "n", cell.n
    yield "mean", cell.mean
    yield "sd", cell.sd
    if cell.is_ordered:
        yield "above", above_midpoint(_predicted(cell), cell.values)
    yield "valid_mass", cell.valid_mass
    if cell.counts is None:
        return
    human = moments(cell.counts if cell.is_ordered else np.zeros(len(cell.values)), cell.values)
    yield "people_n", cell.n_people
    if cell.size is not None:
        yield "people_n_effective", cell.size.effective
    yield "people_n_off_scale", cell.n_off_scale
    yield "people_mean", human.mean
    yield "people_sd", human.sd * sample_factor(cell.n_people)
    if cell.is_ordered:
        yield "people_above", above_midpoint(cell.counts, cell.values)
    distances = replace(cell, predicted=_predicted(cell)).scores()
    for quantity, distance in distances.items() if cell.is_ordered else ():
        blind_is_missing = quantity.endswith("_condition_blind") and cell.condition_blind is None
        # Drawn answers have no stated scale.
        has_range = quantity.startswith("w_observed") or not cell.n_samples
        if has_range and not blind_is_missing:
            yield quantity, math.nan if distance is None else distance
    guesses = _predicted(cell), cell.guess
    for quantity, shares in zip(SQUARED, guesses, strict=True):
        squared = cell.corrected(shares)
        if squared is not None:
            yield quantity, squared


def _predicted(cell: RunCell) -> Floats:
    """The predicted shares [k]; NaN if no persona gave a valid answer."""
    return cell.predicted if cell.n else np.full(len(cell.values), np.nan)


def _shares(cell: RunCell) -> dict[Key, float]:
    columns = {"share": _predicted(cell)}
    if cell.counts is not None:
        people = shares_with_intervals(cell.counts, cell.size)
        columns["people_share"] = people.share
        columns["people_share_low"] = people.low
        columns["people_share_high"] = people.high
    return {
        Key.at(quantity, cell.outcome, cell.condition, value): float(share)
        for quantity, shares in columns.items()
        for value, share in zip(cell.values.tolist(), shares, strict=True)
    }


def _means_over_cells(numbers: Mapping[Key, float], seen: SeenInTraining) -> dict[Key, float]:
    """The mean of each distance over the cells that were not seen in training, and how many there are."""
    scores: dict[str, list[float]] = {}
    for key, number in numbers.items():
        if key.quantity.startswith(("w_", "squared")) and not math.isnan(number):
            outcome, condition = key.places
            if (condition, outcome) not in seen.cells:
                scores.setdefault(key.quantity, []).append(number)
    means: dict[Key, float] = {}
    for quantity in QUANTITIES:
        if quantity in scores:
            means[Key.at(quantity)] = float(np.mean(scores[quantity]))
            means[Key.at(f"n_{quantity}")] = float(len(scores[quantity]))
    return means


def _of_effect(effect: RunEffect, span: float | None) -> Iterator[tuple[str, float]]:
    """An effect's numbers, also as shares of the scale's range, `span`, if it has one."""
    yield "effect", effect.predicted.difference
    yield "effect_n_simulated", effect.n_simulated
    yield "effect_n", effect.predicted.n
    if span:
        yield "effect_share", effect.predicted.difference / span
    if effect.calibrated is not None:
        yield "calibrated", effect.calibrated.difference
        for level, low, high in zip(LEVELS, effect.calibrated.low, effect.calibrated.high, strict=True):
            yield f"calibrated_low_{100 * level:.0f}", low
            yield f"calibrated_high_{100 * level:.0f}", high
    people = effect.people
    if people is None or not people.n + people.n_reference:
        return
    for end, number in {"": people.difference, "_low": people.low, "_high": people.high}.items():
        yield f"people_effect{end}", number
        if span:
            yield f"people_effect_share{end}", number / span
    yield "people_effect_n", people.n
    yield "people_effect_n_reference", people.n_reference
