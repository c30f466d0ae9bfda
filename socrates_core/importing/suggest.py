"""A first mapping for a table, by rules alone: a person corrects it."""

import re
from collections.abc import Sequence

from socrates_core.drafts.spec import ScaleSpec
from socrates_core.importing.guesses import (
    Facts,
    describe_columns,
    guess_demographic,
    guess_scale,
    is_assignment,
    is_person,
    is_technical,
)
from socrates_core.importing.mapping import (
    ConditionSpec,
    DemographicSpec,
    KeepSpec,
    Mapping,
    OutcomeSpec,
    StudySpec,
)
from socrates_core.importing.record import Table

EVERYONE = "Everyone"
MOST_OUTCOMES = 30
_CONTROL = re.compile(r"\b(?:control|placebo|baseline|neutral|none|status quo)\b", re.IGNORECASE)
_MISSING = re.compile(
    r"\b(?:refus\w*|don.?t know|dk|missing|not applicable|no answer|not asked|skipped|prefer not|inap\w*)\b",
    re.IGNORECASE,
)


def suggest(table: Table, title: str) -> Mapping:
    """What the columns seem to mean, by names, labels and values. Texts that the file does not hold stay empty."""
    columns = describe_columns(table)
    people = [column for column in columns if is_person(column)]
    person = max(people, key=lambda column: column.n_distinct, default=None)
    demographics = _demographics(columns, table)
    taken = {demographic.column for demographic in demographics.values()} | {c.name for c in people}
    assigned = next(
        (c for c in sorted(columns, key=lambda c: c.n_missing) if c.name not in taken and is_assignment(c)),
        None,
    )
    conditions = _conditions(assigned, table)
    taken |= {assigned.name} if assigned else set()
    left = [column for column in columns if column.name not in taken and not is_technical(column)]
    names = [condition.name for condition in conditions]
    control = next((name for name in names if _CONTROL.search(name)), names[0])
    repeated = person is not None and person.n_distinct < person.n
    return Mapping(
        study=StudySpec(
            study_id=study_id_of(title), title=title, reference=control if len(names) > 1 else ""
        ),
        layout="long" if repeated else "wide",
        participant=person.name if person else None,
        demographics=demographics,
        conditions=tuple(conditions),
        outcomes=tuple(_outcomes(left, table)),
        keep=tuple(_keep(columns)),
    )


def study_id_of(title: str) -> str:
    """A name for files and links: lower-case letters, digits and '-'."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-") or "study"


def outcome_of(column: Facts, table: Table) -> OutcomeSpec:
    """An outcome of that column; its scale is guessed, and open where nothing else fits."""
    labels = table.value_labels.get(column.name, {})
    missing = tuple(cell for cell, label in labels.items() if _MISSING.search(label))
    scale, values, codes = guess_scale(column, {k: v for k, v in labels.items() if k not in missing}, missing)
    return OutcomeSpec(
        name=column.name, question=table.labels.get(column.name, ""), scale=ScaleSpec.of(scale),
        column=column.name, values=values, missing=(*missing, *codes),
    )  # fmt: skip


def _outcomes(columns: Sequence[Facts], table: Table) -> list[OutcomeSpec]:
    """The columns that look like answers: those with a question if there are some, else no mere indicators."""
    likely = [column for column in columns if column.looks_answered or table.value_labels.get(column.name)]
    likely = [column for column in likely if 2 <= column.n_distinct <= 101]
    asked = [column for column in likely if column.name in table.labels]
    asked = asked or [column for column in likely if set(column.values) != {"0", "1"}] or likely
    return [outcome_of(column, table) for column in asked[:MOST_OUTCOMES]]


def _demographics(columns: Sequence[Facts], table: Table) -> dict[str, DemographicSpec]:
    found = dict[str, DemographicSpec]()
    for column in columns:
        guess = guess_demographic(column)
        if guess and guess.name not in found:
            values = guess.values or table.value_labels.get(column.name, {})
            found[guess.name] = DemographicSpec(column=column.name, values=values)
    return found


def conditions_of(column: Facts, table: Table) -> list[ConditionSpec]:
    """One condition a value of the column, named by the value's label; what people read is not known."""
    labels = table.value_labels.get(column.name, {})
    names = dict[str, str]()
    for cell in sorted(column.values, key=lambda cell: (len(cell), cell) if cell.isdigit() else (99, cell)):
        name = labels.get(cell) or (f"{column.name} {cell}" if re.fullmatch(r"-?[\d.]+", cell) else cell)
        names[cell] = name if name not in names.values() else f"{name} ({cell})"
    return [ConditionSpec(name=name, when={column.name: (cell,)}) for cell, name in names.items()]


def _conditions(column: Facts | None, table: Table) -> list[ConditionSpec]:
    return conditions_of(column, table) if column else [ConditionSpec(name=EVERYONE)]


def _keep(columns: Sequence[Facts]) -> list[KeepSpec]:
    """Finished rows only, where a column tells."""
    yes = ("1", "True", "TRUE", "true", "Yes", "yes")
    return [
        KeepSpec(column=column.name, values=tuple(cell for cell in column.values if cell in yes), reason="not finished")
        for column in columns
        if column.name.lower() in ("finished", "completed", "complete") and set(yes) & set(column.values)
    ]  # fmt: skip
