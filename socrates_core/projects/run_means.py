"""The table that people quote from a run: for each condition the mean, the spread, and the difference from a reference.

Predicted answers and, where people were asked exactly this, people's. Unordered options have shares instead of means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import LEVELS
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.summary import above_midpoint, moments
from socrates_core.populations.bands import group, in_order
from socrates_core.projects.run_results import RunCell, RunEffect, SimulationRun
from socrates_core.scales.order import is_ordered

Unit = Literal["points", "percent"]
LEAST_PROFILES = 5  # a group with fewer different profiles has no mean worth showing
PREDICTED, PEOPLE = "predicted", "people"


@dataclass(frozen=True)
class MeanRow:
    """One condition's answers to one outcome, of people or as predicted.

    `mean` and `sd` are in scale points, NaN for options without an order. `above` is the share of answers above the
    scale's midpoint, with half of those on it. `difference` is from the reference, NaN in the reference itself. `low`
    and `high` are the ends of its interval, NaN without one, and `why` says then why. `level` is the interval's. A
    prediction's interval is around `expected`, the calibrated difference; NaN for people.
    """

    outcome: str
    condition: str
    who: str
    n: int
    mean: float
    sd: float
    above: float
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    level: float = math.nan
    expected: float = math.nan
    why: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def sentence(self, reference: "MeanRow") -> str:
        """The difference as a report words it, in scale points."""
        verb = "Predicted answers" if self.who == PREDICTED else "People's answers"
        direction = "higher" if self.difference > 0 else "lower"
        interval = f"no interval, because {self.why}"
        if math.isfinite(self.low):
            interval = f"{self.level:.0%} interval [{self.low:.2f}, {self.high:.2f}]"
        if math.isfinite(self.expected):
            interval = f"to expect of people: {self.expected:.2f}, {interval}"
        return (
            f"{verb} to {self.outcome} were {direction} in {self.condition} (M = {self.mean:.2f}, SD = {self.sd:.2f}) "
            f"than in {reference.condition} (M = {reference.mean:.2f}, SD = {reference.sd:.2f}): difference "
            f"{self.difference:.2f}, {interval}."
        )


def means(run: SimulationRun) -> list[MeanRow]:
    """A row for each outcome, condition, and who answered; people first. Outcomes without an order are left out."""
    effects = {(effect.outcome, effect.condition): effect for effect in run.effects}
    rows = []
    for cell in run.cells:
        if not cell.is_ordered:
            continue
        effect = effects.get((cell.outcome_name, cell.condition_name))
        if cell.counts is not None and cell.n_people:
            rows.append(_of_people(cell, effect))
        rows.append(_of_model(run, cell, effect))
    return rows


def option_shares(run: SimulationRun) -> pd.DataFrame:
    """The shares of every option of the outcomes without an order: outcome, condition, who, n, option, share."""
    rows = []
    for cell in run.cells:
        if cell.is_ordered or not len(cell.values):
            continue
        sides = [(PREDICTED, cell.predicted, cell.n_simulated)]
        if cell.counts is not None and cell.counts.sum() > 0:
            sides.insert(0, (PEOPLE, cell.counts / cell.counts.sum(), cell.n_people))
        rows += [
            (cell.outcome_name, cell.condition_name, who, n, cell.scale.label(value) or f"{value:g}", share)
            for who, shares, n in sides
            for value, share in zip(cell.scale.values, shares.tolist(), strict=True)
        ]
    return pd.DataFrame(rows, columns=["outcome", "condition", "who", "n", "option", "share"])


def means_by_group(run: SimulationRun, outcome: int, field: str) -> pd.DataFrame:
    """Predicted means of an outcome by group of a demographic field: group, condition, n, n_profiles, mean, difference.

    `difference` is from the reference. A group with fewer than LEAST_PROFILES different profiles is left out.
    """
    columns = ["group", "condition", "n", "n_profiles", "mean", "difference"]
    if not is_ordered(run.scales[outcome]):
        return pd.DataFrame(columns=columns)
    answered = run.people[(run.people["outcome"] == outcome) & (run.people["valid_mass"] > 0)]
    values = pd.Series([person.demographics.get(field) for person in run.spec.people], dtype=object)
    groups = group(values, field)
    profile = np.array(run.profiles)
    conditions = [condition.name for condition in run.spec.draft.conditions]
    rows = []
    for name in in_order(sorted(set(groups.dropna())), field):
        members = answered[groups.loc[answered["person"]].to_numpy() == name]
        if len(set(profile[members["person"].unique()])) < LEAST_PROFILES:
            continue
        means_of = {
            int(str(condition)): float(np.average(part["mean"], weights=part["weight"]))
            for condition, part in members.groupby("condition")
        }
        base = means_of.get(run.spec.draft.reference_index, math.nan)
        for condition, mean in means_of.items():
            people = members.loc[members["condition"] == condition, "person"]
            n_profiles = len(set(profile[people]))
            difference = math.nan if condition == run.spec.draft.reference_index else mean - base
            rows.append((name, conditions[condition], len(people), n_profiles, mean, difference))
    return pd.DataFrame(rows, columns=columns)


def sentences(run: SimulationRun) -> list[str]:
    """Each difference as a report words it."""
    rows = means(run)
    reference = run.spec.draft.conditions[run.spec.draft.reference_index].name
    bases = {(row.outcome, row.who): row for row in rows if row.condition == reference}
    return [
        row.sentence(bases[row.outcome, row.who])
        for row in rows
        if math.isfinite(row.difference) and (row.outcome, row.who) in bases
    ]


def in_unit(rows: Sequence[MeanRow], run: SimulationRun, unit: Unit) -> pd.DataFrame:
    """The rows as a table in scale points, or in percent of each scale's range (means from its lower end)."""
    table = pd.DataFrame([row.as_dict() for row in rows])
    if unit == "points" or table.empty:
        return table
    ends = {
        outcome.name: (float(scale.values[0]), float(scale.values[-1] - scale.values[0]))
        for outcome, scale in zip(run.spec.draft.outcomes, run.scales, strict=True)
        if len(scale.values) > 1
    }
    low = table["outcome"].map({name: start for name, (start, _) in ends.items()})
    span = table["outcome"].map({name: width for name, (_, width) in ends.items()})
    scaled = {name: 100 * table[name] / span for name in ("sd", "difference", "expected", "low", "high")}
    return table.assign(mean=100 * (table["mean"] - low) / span, **scaled)


def _of_people(cell: RunCell, effect: RunEffect | None) -> MeanRow:
    assert cell.counts is not None
    spread = moments(cell.counts, cell.values)
    n = cell.n_people
    # Of a sample: the spread of counts divides by n.
    sd = spread.sd * math.sqrt(n / (n - 1)) if n > 1 else math.nan
    row = MeanRow(
        cell.outcome_name,
        cell.condition_name,
        PEOPLE,
        n,
        spread.mean,
        sd,
        above_midpoint(cell.counts, cell.values),
    )
    if effect is None or effect.people is None:
        return row
    people = effect.people
    why = "" if math.isfinite(people.low) else "a condition has too few people or answers without any spread"
    return MeanRow(
        *(row.outcome, row.condition, row.who, row.n, row.mean, row.sd, row.above),
        difference=people.difference,
        low=people.low,
        high=people.high,
        level=CONFIDENCE,
        why=why,
    )


def _of_model(run: SimulationRun, cell: RunCell, effect: RunEffect | None) -> MeanRow:
    above = above_midpoint(cell.predicted, cell.values)
    row = (cell.outcome_name, cell.condition_name, PREDICTED, cell.n_simulated, cell.mean, cell.sd, above)
    if effect is None or not math.isfinite(effect.predicted.difference):
        return MeanRow(*row)
    calibrated = effect.calibrated
    difference = effect.predicted.difference
    if calibrated is None or not run.verdict.tells_conditions_apart:
        return MeanRow(*row, difference=difference, why=_why_no_interval(run))
    return MeanRow(
        *row,
        difference=difference,
        low=calibrated.low[-1],
        high=calibrated.high[-1],
        level=LEVELS[-1],
        expected=calibrated.difference,
    )


def _why_no_interval(run: SimulationRun) -> str:
    """Why a predicted difference has no interval, as the end of a sentence."""
    if isinstance(run.calibration, str):
        return "how wrong this model's effects are has not been measured on enough studies"
    if not run.verdict.tells_conditions_apart:
        return "this model has not been shown to tell conditions apart"
    return "the scale has no ends"
