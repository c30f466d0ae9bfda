"""The table that people quote from a run: for each condition the mean, the spread, and the difference from a reference.

Predicted answers and, where people were asked exactly this, people's. Unordered options have shares instead of means.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import LEVELS
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.summary import above_midpoint, moments, sample_factor
from socrates_core.populations.bands import group, in_order
from socrates_core.projects.run_results import RunCell, RunEffect, SimulationRun
from socrates_core.records import Scale
from socrates_core.scales.order import is_ordered
from socrates_core.studies.answers import scale_range
from socrates_core.surveys.human_answers import people_by_group

Unit = Literal["points", "percent"]
LEAST_PROFILES = 5  # a group with fewer different profiles, or people, has no mean worth showing
TWO = 2  # options: their differences are percentage points, whatever numbers the options have
POINTS, PERCENT, PERCENTAGE_POINTS = "scale points", "% of the scale", "percentage points"
PREDICTED, PEOPLE = "predicted", "people"


@dataclass(frozen=True)
class MeanRow:
    """One condition's answers to one outcome, of people or as predicted.

    `mean`, `sd`, `difference` and the ends of its interval are in `unit`. `above` is the share of answers above the
    scale's midpoint, with half of those on it. `difference` is from the reference, NaN in the reference itself. `low`
    and `high` are the ends of its interval, NaN without one, and `why` says then why. `level` is the interval's. A
    prediction's interval is around `expected`, the calibrated difference; NaN for people. `study` is the study that
    people's answers are from; empty for a prediction.
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
    unit: str = POINTS
    study: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def sentence(self, reference: "MeanRow") -> str:
        """The difference as an article words it, in the unit of the rows."""
        digits = 2 if self.unit == POINTS else 1
        difference = f"{round(self.difference, digits) + 0.0:.{digits}f}"  # adding 0 makes -0 a 0
        direction = "higher" if self.difference > 0 else "lower"
        comparison = f"{direction} in {self.condition} {self._spread(digits)} than in"
        if float(difference) == 0:
            comparison = f"the same in {self.condition} {self._spread(digits)} as in"
        who = "predicted" if self.who == PREDICTED else "people's answers"
        return (
            f"{self.outcome} was {comparison} {reference.condition} {reference._spread(digits)}, difference "
            f"{difference}{_in_words(self.unit)}; {who}, {self.interval}."
        )

    @property
    def interval(self) -> str:
        """The interval of the difference, or why there is none; empty where there is no difference."""
        if not math.isfinite(self.difference):
            return ""
        if not math.isfinite(self.low):
            return f"no interval, because {self.why}"
        digits = 2 if self.unit == POINTS else 1
        interval = f"{self.level:.0%} interval [{self.low:.{digits}f}, {self.high:.{digits}f}]"
        if not math.isfinite(self.expected):
            return interval
        return f"to expect of people {self.expected:.{digits}f}, {interval}"

    def _spread(self, digits: int) -> str:
        return f"(M = {self.mean:.{digits}f}, SD = {self.sd:.{digits}f})"


def means(run: SimulationRun) -> list[MeanRow]:
    """A row for each outcome, condition, and who answered; people first. Outcomes without an order are left out."""
    effects = {(effect.outcome, effect.condition): effect for effect in run.effects}
    rows = []
    for cell in sorted(run.cells, key=lambda cell: (cell.outcome, cell.condition)):
        if not cell.is_ordered:
            continue
        effect = effects.get((cell.outcome_name, cell.condition_name))
        if cell.counts is not None and cell.n_people:
            rows.append(_of_people(run, cell, effect))
        rows.append(_of_model(run, cell, effect))
    return rows


def option_shares(run: SimulationRun) -> pd.DataFrame:
    """The shares of every option of the outcomes without an order: outcome, condition, who, n, option, share."""
    rows = []
    for cell in sorted(run.cells, key=lambda cell: (cell.outcome, cell.condition)):
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


def means_by_group(
    run: SimulationRun, outcome: int, field: str, unit: Unit = "points"
) -> list[dict[str, Any]]:
    """Means of an outcome by group of a demographic field: group, condition, who, n, n_profiles, mean, difference.

    `difference` is from the reference, in `unit_of`. A group with fewer than LEAST_PROFILES different profiles, or
    people, is left out. `n_profiles` is None for people.
    """
    if not is_ordered(run.scales[outcome]):
        return []
    values = pd.Series([person.demographics.get(field) for person in run.spec.people], dtype=object)
    groups = group(values, field)
    answers = run.people[(run.people["outcome"] == outcome) & (run.people["valid_mass"] > 0)]
    predicted = answers.assign(
        group=groups.loc[answers["person"]].to_numpy(), profile=np.array(run.profiles)[answers["person"]]
    )
    given = people_by_group(run.spec.draft, run.spec.shown, outcome, field)
    given = given.rename(columns={"answer": "mean"}).assign(
        group=group(given["group"], field), profile=given["person"]
    )
    predicted_means = _means_of_groups(predicted, run, outcome, unit)
    of_people = [
        {**row, "who": PEOPLE, "n_profiles": None} for row in _means_of_groups(given, run, outcome, unit)
    ]
    rows = of_people + [{**row, "who": PREDICTED} for row in predicted_means]
    order = in_order(sorted({row["group"] for row in rows}), field)
    return sorted(rows, key=lambda row: (order.index(row["group"]), row["place"], row["who"] == PREDICTED))


def _means_of_groups(
    answers: pd.DataFrame, run: SimulationRun, outcome: int, unit: Unit
) -> list[dict[str, Any]]:
    """The weighted mean of each group and condition, and its difference from the reference.

    `answers` has columns condition, group, person, profile, mean, weight. A cell with too few profiles is left out.
    """
    conditions = run.spec.draft.conditions
    reference = run.spec.draft.reference_index
    low, factor = _origin_and_factor(run.spec.draft.outcomes[outcome].scale.scale(), unit)
    rows = []
    for name, members in answers.dropna(subset=["group"]).groupby("group"):
        cells = {int(str(c)): part for c, part in members.groupby("condition")}
        cells = {c: part for c, part in cells.items() if part["profile"].nunique() >= LEAST_PROFILES}
        averages = {c: float(np.average(part["mean"], weights=part["weight"])) for c, part in cells.items()}
        for c, part in cells.items():
            is_compared = c != reference and reference in averages
            rows.append(
                {
                    "group": str(name),
                    "place": c,
                    "condition": conditions[c].name,
                    "n": part["person"].nunique(),
                    "n_profiles": part["profile"].nunique(),
                    "mean": factor * (averages[c] - low),
                    "difference": factor * (averages[c] - averages[reference]) if is_compared else math.nan,
                }
            )
    return rows


def sentences(rows: Sequence[MeanRow], run: SimulationRun) -> list[str]:
    """Each difference among the rows, as an article words it."""
    reference = run.spec.draft.conditions[run.spec.draft.reference_index].name
    bases = {(row.outcome, row.who): row for row in rows if row.condition == reference}
    return [
        row.sentence(bases[row.outcome, row.who])
        for row in rows
        if math.isfinite(row.difference) and (row.outcome, row.who) in bases
    ]


def in_unit(rows: Sequence[MeanRow], run: SimulationRun, unit: Unit) -> list[MeanRow]:
    """The rows in the chosen unit, as `unit_of` says; means count from the lower end of a scale in percent."""
    scales = {outcome.name: outcome.scale.scale() for outcome in run.spec.draft.outcomes}
    scaled = []
    for row in rows:
        scale = scales[row.outcome]
        low, factor = _origin_and_factor(scale, unit)
        widths = {
            name: factor * getattr(row, name) for name in ("sd", "difference", "expected", "low", "high")
        }
        scaled.append(replace(row, mean=factor * (row.mean - low), unit=unit_of(scale, unit), **widths))
    return scaled


def unit_of(scale: Scale, unit: Unit) -> str:
    """The unit of differences on a scale: two options always have percentage points, open numbers scale points."""
    if scale_range(scale) is None:
        return POINTS
    if len(scale.values) == TWO:
        return PERCENTAGE_POINTS
    return PERCENT if unit == "percent" else POINTS


def _origin_and_factor(scale: Scale, unit: Unit) -> tuple[float, float]:
    """What to subtract from a mean, and what to multiply it by, to have it in the unit of its scale."""
    span = scale_range(scale)
    if not span or unit_of(scale, unit) == POINTS:
        return 0.0, 1.0
    return float(min(scale.values)), 100 / span


def _in_words(unit: str) -> str:
    """The unit after a number; scale points go without saying."""
    return {POINTS: "", PERCENT: "% of the scale", PERCENTAGE_POINTS: " percentage points"}[unit]


def _of_people(run: SimulationRun, cell: RunCell, effect: RunEffect | None) -> MeanRow:
    assert cell.counts is not None
    spread = moments(cell.counts, cell.values)
    n = cell.n_people
    sd = spread.sd * sample_factor(n)
    row = MeanRow(
        cell.outcome_name,
        cell.condition_name,
        PEOPLE,
        n,
        spread.mean,
        sd,
        above_midpoint(cell.counts, cell.values),
        study=run.people_study or "",
    )
    if effect is None or effect.people is None:
        return row
    people = effect.people
    why = "" if math.isfinite(people.low) else "a condition has too few people or answers without any spread"
    return replace(
        row, difference=people.difference, low=people.low, high=people.high, level=CONFIDENCE, why=why
    )


def _of_model(run: SimulationRun, cell: RunCell, effect: RunEffect | None) -> MeanRow:
    above = above_midpoint(cell.predicted, cell.values)
    row = (cell.outcome_name, cell.condition_name, PREDICTED, cell.n_simulated, cell.mean, cell.sd, above)
    if effect is None or not math.isfinite(effect.predicted.difference):
        return MeanRow(*row)
    calibrated = effect.shown
    difference = effect.predicted.difference
    if calibrated is None:
        return MeanRow(*row, difference=difference, why=run.why_no_interval or "the scale has no ends")
    return MeanRow(
        *row,
        difference=difference,
        low=calibrated.low[-1],
        high=calibrated.high[-1],
        level=LEVELS[-1],
        expected=calibrated.difference,
    )
