"""The conditions of a Qualtrics experiment, and who was in which, from whatever the export says about it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import pandas as pd

from socrates_core.errors import unknown
from socrates_core.importing.mapping import When
from socrates_core.importing.qualtrics.flow import (
    MAX_ARMS,
    ShownQuestion,
    arm_names,
    combinations,
    crossed_with,
    fields_of,
    randomisers,
    shown_in,
    telling_field,
)
from socrates_core.importing.qualtrics.responses import ARM_OF, MOST_CELLS, Responses, places
from socrates_core.importing.qualtrics.survey import Step, Survey
from socrates_core.importing.suggest import EVERYONE
from socrates_core.importing.table import shortened


@dataclass(frozen=True)
class Arm:
    """A condition: its name, its rows, and everything that its people were shown, in order."""

    name: str
    when: When
    shown: list[ShownQuestion]


@dataclass(frozen=True)
class Experiment:
    """The arms of one experiment, or one arm for everyone; `warnings` say what was not used.

    `usable`: key -> arms of every randomizer whose arms the export tells apart. `taken` are the keys of the randomizers
    whose arms these are.
    """

    arms: list[Arm]
    warnings: list[str]
    usable: dict[str, str]
    taken: tuple[str, ...]

    @property
    def start(self) -> int | None:
        """The first position at which arms were shown different things; None if they never were."""
        length = max(len(arm.shown) for arm in self.arms)
        for position in range(length if len(self.arms) > 1 else 0):
            met = {
                (arm.shown[position].place, arm.shown[position].text) if position < len(arm.shown) else None
                for arm in self.arms
            }
            if len(met) > 1:
                return position
        return None


def find_experiment(survey: Survey, responses: Responses, chosen: Sequence[str] = ()) -> Experiment:
    """The conditions: the arms of the chosen randomizers, or of the first whose arms the export tells apart.

    Randomizers at the same level as that one are crossed with it. Raises UserError for an unknown randomizer.
    """
    drawn = {step.key: step for step in randomisers(survey)}
    rows = {key: _rows_of_arms(survey, responses, step) for key, step in drawn.items()}
    if not any(sum(map(bool, arms)) > 1 for arms in rows.values()):
        # No randomizer of the flow tells people apart, so chance may have come from elsewhere.
        survey = _with_assigned_fields(survey, responses)
        drawn = {step.key: step for step in randomisers(survey)}
        rows = {key: _rows_of_arms(survey, responses, step) for key, step in drawn.items()}
    usable = [step for key, step in drawn.items() if sum(map(bool, rows[key])) > 1]
    for key in chosen:
        if key not in drawn:
            raise unknown("randomizer", key, drawn)
    taken = [drawn[key] for key in chosen] or (crossed_with(survey, usable[0], usable) if usable else [])
    warnings = _not_taken(survey, drawn, taken, usable)
    names = {step.key: arm_names(survey, step) for step in taken}
    arms = []
    unseen = []
    for picks in combinations(taken):
        name = " · ".join(names[key][place] for key, place in picks.items()) or EVERYONE
        if all(rows[key][place] for key, place in picks.items()):
            when = {
                column: cells for key, place in picks.items() for column, cells in rows[key][place].items()
            }
            arms.append(Arm(name, when, shown_in(survey, picks)))
        else:
            unseen.append(name)
    if unseen:
        warnings.append(f"According to the export, nobody was in these arms: {shortened(unseen)}.")
    usable_arms = {step.key: " / ".join(arm_names(survey, step))[:120] for step in usable}
    arms = arms or [Arm(EVERYONE, {}, shown_in(survey, {}))]
    return Experiment(arms, warnings, usable_arms, tuple(step.key for step in taken))


def _not_taken(
    survey: Survey, drawn: dict[str, Step], taken: Sequence[Step], usable: Sequence[Step]
) -> list[str]:
    warnings = []
    named = {key: f"{key} ({' / '.join(arm_names(survey, step))[:120]})" for key, step in drawn.items()}
    if others := [named[step.key] for step in usable if step not in taken]:
        warnings.append(
            f"Other randomizers are separate experiments; import them by their id: {shortened(others)}."
        )
    if hidden := [named[key] for key, step in drawn.items() if step not in usable and step not in taken]:
        warnings.append(f"The export does not say who was in which arm of {shortened(hidden)}.")
    several = [
        step.key
        for step in survey.flow.walk()
        if step.kind == "Randomizer" and 1 < step.shown < len(step.steps)
    ]
    if several:
        warnings.append(
            f"Randomizers that show people several of their arms are not read: {shortened(several)}."
        )
    return warnings


def _with_assigned_fields(survey: Survey, responses: Responses) -> Survey:
    """The survey with a randomizer for embedded data that texts or logic use and in which people differ.

    Chance may come from elsewhere than the flow: a random number, a web service, the link that people got.
    """
    used = json.dumps(
        [*(q.payload for q in survey.questions.values()), *(s.logic for s in survey.flow.walk())],
        ensure_ascii=False,
    )
    names = re.findall(r'e://Field/([^{}"]{1,100})\}|"LeftOperand": "([^"/]{1,100})"', used)
    constant = dict[str, set[str]]()
    for name, value in fields_of(survey.flow):
        constant.setdefault(name, set()).add(value)
    assigned = []
    for name in dict.fromkeys(filter(None, chain.from_iterable(names))):
        column = responses.column(name)
        values = _cells(responses.frame[column]) if column else []
        fixed = [value for value in constant.get(name, ()) if "${" not in value]
        if 2 <= len(values) <= MAX_ARMS and len(fixed) != 1:
            arms = [Step(f"{name}={value}", "EmbeddedData", fields=((name, value),)) for value in values]
            assigned.append(Step(name, "Randomizer", shown=1, steps=tuple(arms)))
    taken = {step.key for step in assigned}

    def without(step: Step) -> Step:
        fields = tuple(pair for pair in step.fields if pair[0] not in taken)
        return replace(step, fields=fields, steps=tuple(map(without, step.steps)))

    return replace(survey, flow=Step("", "Root", steps=(*assigned, without(survey.flow))))


def _rows_of_arms(survey: Survey, responses: Responses, step: Step) -> list[When]:
    """For each arm the cells that say who was in it: display order, embedded data, or answers; empty if none do."""
    telling = telling_field(step)
    values = [dict(fields_of(arm)).get(telling, "") for arm in step.steps]
    column = responses.column(telling) if telling else ""
    by_field: list[When] = [
        {column: (value,)} if column and responses.frame[column].eq(value).any() else {} for value in values
    ]
    for rows in (_by_display_order(survey, responses, step), by_field, _by_answers(survey, responses, step)):
        if sum(map(bool, rows)) > 1:
            return rows
    return [{} for _ in step.steps]


def _by_display_order(survey: Survey, responses: Responses, step: Step) -> list[When]:
    columns = [column for column, key in responses.ids.items() if key == f"{step.key}_DO"]
    columns = columns or [str(c) for c in responses.frame if str(c).startswith(f"{step.key}_DO")]
    rows: list[When] = []
    for arm in step.steps:
        names = {_squeezed(name) for name in (arm.key, *_names(survey, arm))} - {""}
        when: When = {}
        for column in columns:
            choice = responses.choices.get(column) or column.removeprefix(f"{step.key}_DO").removeprefix("_")
            cells = [
                cell
                for cell in _cells(responses.frame[column])
                if _squeezed(choice) in names or (not choice and _squeezed(cell) in names)
            ]
            if cells and not when:
                when = {column: tuple(cells)}
        rows.append(when)
    return rows


def _names(survey: Survey, arm: Step) -> list[str]:
    block = survey.blocks.get(arm.block)
    question = survey.questions.get(arm.question)
    return [arm.name, arm.block, block.name if block else "", question.tag if question else ""]


def _by_answers(survey: Survey, responses: Responses, step: Step) -> list[When]:
    """The answers that place people in an arm: to the question that only this arm has and most people answered."""
    column = f"{ARM_OF}{step.key}"
    if column in responses.frame:
        return [
            {column: (name,)} if responses.frame[column].eq(name).any() else {}
            for name in arm_names(survey, step)
        ]
    seen = [{s.question.qid for s in shown_in(survey, {step.key: n})} for n in range(len(step.steps))]
    where = places(survey, responses)
    rows = list[When]()
    for n, qids in enumerate(seen):
        only_here = qids - set().union(*(other for m, other in enumerate(seen) if m != n))
        columns = [c for c, place in where.items() if place.qid in only_here and "_DO" not in place.suffix]
        fitting = [c for c in columns if 0 < responses.frame[c].nunique() <= MOST_CELLS]
        best = max(fitting, key=lambda c: responses.frame[c].count(), default=None)
        rows.append({best: tuple(_cells(responses.frame[best]))} if best else {})
    return rows


def _cells(column: pd.Series) -> list[str]:
    return sorted(map(str, column.dropna().unique()))


def _squeezed(name: str) -> str:
    return re.sub(r"\s+", "", name).casefold()
