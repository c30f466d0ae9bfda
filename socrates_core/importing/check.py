"""What keeps a mapping from being used on a table, each problem in a sentence."""

import re
from collections.abc import Iterator

from socrates_core.errors import UserError, unknown
from socrates_core.importing.mapping import Mapping, OutcomeSpec
from socrates_core.importing.table import Table
from socrates_core.scales import check_scale

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def find_problems(table: Table, mapping: Mapping) -> list[str]:
    """Every fault that keeps the study from being imported; empty if there are none."""
    problems = find_faults(table, mapping)
    if not NAME.fullmatch(mapping.study.study_id):
        problems.append(
            f"The study id {mapping.study.study_id!r} cannot be used. "
            "Use up to 64 lower-case letters, digits, '-' and '_'."
        )
    if not mapping.study.title.strip():
        problems.append("The study has no title. Give it one.")
    return [*problems, *_unasked(mapping), *_unaccepted(mapping)]


def find_faults(table: Table, mapping: Mapping) -> list[str]:
    """The faults that keep the answers from being read, unlike a text or a title that is still missing."""
    problems = []
    known = list(table.frame.columns)
    problems += [str(unknown("column", name, known)) for name in mapping.columns() if name not in known]
    if not mapping.conditions:
        problems.append(
            "There is no condition. Add one; a survey without an experiment has a single one, for everyone."
        )
    if not mapping.outcomes:
        problems.append("There is no outcome. Add one: which column holds the answers, and to what question.")
    for outcome in mapping.outcomes:
        problems += _outcome_problems(outcome)
    return problems


def _outcome_problems(outcome: OutcomeSpec) -> Iterator[str]:
    if not outcome.column and not outcome.column_by_condition:
        yield f"The outcome {outcome.name!r} names no column with its answers. Choose one."
    for scale in (outcome.scale, *outcome.scale_by_condition.values()):
        try:
            check_scale(scale.scale())
        except UserError as error:
            yield f"The scale of {outcome.name!r}: {error}"


def _unasked(mapping: Mapping) -> list[str]:
    """One sentence about all outcomes without a question."""
    names = [
        outcome.name
        for outcome in mapping.outcomes
        if any(
            not (outcome.question_in(condition.name) + condition.text).strip()
            for condition in mapping.conditions
        )
    ]
    if not names:
        return []
    return [
        f"No question is known for {_listed(names)}. Write what people were asked, or leave these outcomes out."
    ]


def _unaccepted(mapping: Mapping) -> list[str]:
    """One sentence about all texts of a model that nobody has accepted."""
    names = [condition.name for condition in mapping.conditions if condition.proposed]
    names += [outcome.name for outcome in mapping.outcomes if outcome.proposed]
    if not names:
        return []
    return [
        f"The texts of {_listed(names)} are a model's proposals. Compare each with your instrument. Then rewrite it "
        "or accept it: clear its tick in the table, or remove 'proposed' from the file."
    ]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(repr(name) for name in names[:8]) + more
