"""A first mapping for a table, by rules alone: a person corrects it."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace

from socrates_core.errors import UserError
from socrates_core.importing.guesses import (
    Facts,
    describe_columns,
    doubtful_codes,
    guess_demographic,
    guess_scale,
    is_age_named,
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
from socrates_core.importing.no_answer import is_no_answer, no_answers
from socrates_core.importing.record import Table, shortened
from socrates_core.records import Scale
from socrates_core.scales import check_scale
from socrates_core.surveys.draft import ScaleSpec

EVERYONE = "Everyone"
MOST_OUTCOMES = 100
MOST_VALUES = 101
_FINISHED = ("finished", "completed", "complete")
_YES = (
    *("1", "true", "yes", "y", "t", "finished", "completed", "complete"),
    *("wahr", "ja", "abgeschlossen", "waar", "sant", "tak", "prawda"),
    *("sí", "si", "verdadero", "vrai", "oui", "vero", "sì", "verdadeiro", "sim"),
)
_TRIALS = ("survey preview", "survey test", "spam", "offline preview", "preview", "test")
_CONTROL = re.compile(r"\b(?:control|placebo|baseline|neutral|none|status quo)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Suggestion:
    """A first mapping; `left_out`: column -> why it is not in it; `questions`: what only a person can say."""

    mapping: Mapping
    left_out: dict[str, str]
    questions: tuple[str, ...]


def suggest(table: Table, title: str) -> Mapping:
    """The mapping alone of `suggest_table`."""
    return suggest_table(table, title).mapping


def suggest_table(table: Table, title: str) -> Suggestion:
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
    asked, reasons = _answers(left, table)
    mapping = Mapping(
        study=StudySpec(
            study_id=study_id_of(title), title=title, reference=control if len(names) > 1 else ""
        ),
        layout="long" if repeated else "wide",
        participant=person.name if person else None,
        demographics=demographics,
        conditions=tuple(conditions),
        outcomes=tuple(outcome_of(column, table) for column in asked),
        keep=tuple(_keep(columns, table)),
    )
    used = set(mapping.columns())
    reasons |= {
        column.name: "recorded by the platform, not an answer" for column in columns if is_technical(column)
    }
    reasons |= {column.name: "tells people apart, as another column does" for column in people}
    left_out = {c.name: reasons.get(c.name, "not used") for c in columns if c.name not in used}
    return Suggestion(mapping, left_out, tuple(find_questions(columns, mapping, table)))


def study_id_of(title: str) -> str:
    """A name for files and links: lower-case letters, digits and '-'."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-") or "study"


def outcome_of(column: Facts, table: Table) -> OutcomeSpec:
    """An outcome of that column; its scale is guessed, and open where nothing else fits."""
    labels = table.value_labels.get(column.name, {})
    missing = no_answers(labels) or tuple(
        cell for cell in column.values if column.low is None and is_no_answer(cell)
    )
    scale, values = guess_scale(column, {k: v for k, v in labels.items() if k not in missing}, missing)
    return OutcomeSpec(
        name=column.name,
        question=table.labels.get(column.name, ""),
        scale=ScaleSpec.of(_askable(scale)),
        column=column.name,
        values=values,
        missing=missing,
    )


def _askable(scale: Scale) -> Scale:
    """The scale where a model can be asked on it, else without the labels that prevent it."""
    for tried in (scale, replace(scale, kind="range", labels=())):
        try:
            check_scale(tried)
        except UserError:
            continue
        return tried
    return Scale("open_integer")


def _answers(columns: Sequence[Facts], table: Table) -> tuple[list[Facts], dict[str, str]]:
    """The columns that look like answers, and why the others do not: column -> reason.

    Those with a question if there are some, else no mere indicators.
    """
    reasons = {column.name: reason for column in columns if (reason := _no_answers(column, table))}
    likely = [column for column in columns if column.name not in reasons]
    asked = [column for column in likely if column.name in table.labels]
    if asked:
        reasons |= {c.name: "the file has no question for it" for c in likely if c not in asked}
    else:
        asked = [column for column in likely if set(column.values) != {"0", "1"}] or likely
        reasons |= {c.name: "only 0 and 1, as indicators have" for c in likely if c not in asked}
    reasons |= {c.name: f"the suggestion ends after {MOST_OUTCOMES} outcomes" for c in asked[MOST_OUTCOMES:]}
    return asked[:MOST_OUTCOMES], reasons


def _no_answers(column: Facts, table: Table) -> str:
    """Why the column does not look like answers on a scale; empty where it does."""
    if column.n_distinct < 2:
        return "empty" if column.n_distinct == 0 else "the same in every row"
    if column.n_distinct > MOST_VALUES:
        return f"more than {MOST_VALUES} different values"
    if is_age_named(column):
        return "an age, but no number of years: a persona has none"
    if column.looks_answered or table.value_labels.get(column.name):
        return ""
    return "numbers with decimals" if column.low is not None else "texts whose order is not known"


def find_questions(columns: Sequence[Facts], mapping: Mapping, table: Table) -> Iterator[str]:
    """What nothing in the file nor in the mapping says, and a person has to."""
    known_columns = {column.name: column for column in columns}
    by_codes = dict[tuple[str, str], list[str]]()
    for outcome in mapping.outcomes:
        if outcome.column not in known_columns or outcome.values:
            continue
        labels = table.value_labels.get(outcome.column, {})
        if codes := doubtful_codes(known_columns[outcome.column], labels, outcome.missing):
            pair = _named(codes, labels), _named([cell for cell in outcome.missing if cell in labels], labels)
            by_codes.setdefault(pair, []).append(outcome.column)
    for (doubtful, already), names in by_codes.items():
        more = f" Their labels already say so of {already}." if already else ""
        yield (
            f"Do {doubtful} in {shortened(names)} mean that there is no answer? Nothing in the file says so, and "
            f"they count as answers. If they do, add them to the missing codes of these outcomes.{more}"
        )
    kept = {keep.column for keep in mapping.keep}
    for column in columns:
        if column.name.lower() in _FINISHED and column.n_distinct > 1 and column.name not in kept:
            labels = table.value_labels.get(column.name, {})
            cells = " or ".join(repr(labels.get(cell, cell)) for cell in column.values)
            yield f"Which rows are finished? The cells of {column.name!r} are {cells}; all rows are kept."


def _named(cells: Sequence[str], labels: MappingOf[str, str]) -> str:
    return ", ".join(f"{cell} ({labels[cell]!r})" if cell in labels else cell for cell in cells)


def _demographics(columns: Sequence[Facts], table: Table) -> dict[str, DemographicSpec]:
    fields = dict[str, DemographicSpec]()
    for column in columns:
        labels = table.value_labels.get(column.name, {})
        guess = guess_demographic(column, labels)
        if guess and guess.name not in fields:
            fields[guess.name] = DemographicSpec(column=column.name, values=guess.values or labels)
    return fields


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


def _keep(columns: Sequence[Facts], table: Table) -> list[KeepSpec]:
    """Real and finished rows only, where columns tell."""
    keep = []
    for column in columns:
        labels = table.value_labels.get(column.name, {})
        if column.name.lower() == "status":
            real = tuple(cell for cell in column.values if labels.get(cell, cell).casefold() not in _TRIALS)
            if 0 < len(real) < len(column.values):
                keep.append(KeepSpec(column=column.name, values=real, reason="a preview, test or spam"))
        if column.name.lower() in _FINISHED and (cells := finished_cells(column.values, labels)):
            keep.append(KeepSpec(column=column.name, values=cells, reason="not finished"))
    return keep


def finished_cells(cells: Sequence[str], labels: MappingOf[str, str]) -> tuple[str, ...]:
    """The cells that say that a row is finished, by their labels where they have some: 2 may be 'True'."""
    if not labels and not set(cells) <= {"0", "1"} and all(cell.isdigit() for cell in cells):
        return ()  # of 1 and 2, either may be yes
    return tuple(cell for cell in cells if labels.get(cell, cell).strip().casefold() in _YES)
