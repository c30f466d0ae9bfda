"""Suggests a first mapping for a table from the names, labels and values of its columns; a person corrects it."""

import math
import re
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.importing.mapping import (
    ConditionSpec,
    DemographicSpec,
    KeepSpec,
    Mapping,
    OutcomeSpec,
    StudySpec,
)
from socrates_core.importing.no_answer import is_no_answer, no_answers
from socrates_core.importing.orders import led_numbers, ordered
from socrates_core.importing.table import Table, shortened
from socrates_core.importing.traits import (
    are_birth_years,
    is_age,
    is_birth_named,
    is_own_trait,
    year_in,
)
from socrates_core.records import Number, Scale, parse_number
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
SHOWN = 101  # values of a column that are looked at, most frequent first
UNKNOWN_ORDER = "texts whose order is not known"
_MOST_OPTIONS = 20  # texts that may be the options of one question
_MOST_ORDERED = 11  # and of one whose order is asked for
_LONGEST_ANSWER = 80
_PERSON = re.compile(
    r"(?:(?:participant|respondent|response|subject|person|case|worker|user|prolific)[ _.-]*(?:id|number|no|nr)?|p?id|"
    r"prolific_pid|uuid|ssid|subj)",
    re.IGNORECASE,
)
_TECHNICAL = re.compile(
    r"(?:start|end|recorded)_?date|.*(?:duration|latitude|longitude|ip_?address|timestamp|browser|captcha|"
    r"finished|progress|consent|canvasser|weight).*|status|.*(?:_id|_do|_ind)|"
    r".*(?:first|last)[ _]?click.*|.*(?:click[ _]?count|page[ _]?submit).*|user_?(?:language|agent)|"
    r"seed|submitdate|datestamp|lastpage|startlanguage|refurl|ipaddr|interviewtime|(?:group)?time\d+|[a-z]{1,4}\d+\w{0,12}time|"
    r"distribution_?channel|recipient\w*|external_?(?:data_?)?reference|.*(?:resolution|operating[ _]?system)",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"(?:start|end|recorded|submit|submitted|interview|survey|response|completed?|created)?[ _.]?"
    r"(?:date|datestamp|time|timestamp|day|year)(?:[ _.]?(?:time|stamp|recorded|submitted|of interview|utc))*(?:_?1)?"
    r"|submitdate|datestamp|int_?date|inwyys|wave_?year|survey_?year|intv?year|year_?of_?(?:survey|interview)",
    re.IGNORECASE,
)
_ASSIGNED = ("treat", "condition", "cond", "arm", "assign", "experiment", "vignette", "manipulation", "group")
_FIELDS = {
    "age": ("age",),
    "gender": ("gender", "sex", "female", "male"),
    "ethnicity": ("ethnic", "race", "racename"),
    "education": ("educ",),
    "employment": ("employ", "occupation"),
    "marital_status": ("marital", "married"),
    "income": ("income",),
    "household_size": ("hhsize", "householdsize"),
    "party_id": ("party", "partyid"),
    "ideology": ("ideol", "ideo"),
    "location": ("state", "region", "country", "location"),
}
_EXACT = ("age", "sex", "male", "female", "race", "state", "ideo", "cond", "arm", "group", "party")
_RANGES = ((0, 1), (1, 4), (1, 5), (1, 6), (1, 7), (1, 9), (0, 10), (1, 10), (-2, 2), (-3, 3), (0, 100))
_CODES = {97, 98, 99, 997, 998, 999, -1, -7, -8, -9, -77, -88, -99, -999}


@dataclass(frozen=True)
class ColumnFacts:
    """What is known of a column: `n` cells are not missing; `values` are the most frequent, at most SHOWN."""

    name: str
    label: str
    n: int
    n_missing: int
    n_distinct: int
    values: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    whole: bool = False

    @property
    def looks_answered(self) -> bool:
        """Whether the values are whole numbers or words of a known order."""
        answers = [cell for cell in self.values if not is_no_answer(cell)]
        return self.whole or bool(ordered(answers) or led_numbers(answers))


@dataclass(frozen=True)
class Guess:
    """A demographic field with words for a column's values; empty if the values are words already."""

    name: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Suggestion:
    """A first mapping; `left_out`: column -> why; `questions` are what only a person can say."""

    mapping: Mapping
    left_out: dict[str, str]
    questions: tuple[str, ...]


def suggest(table: Table, title: str) -> Mapping:
    """The mapping alone of `suggest_table`."""
    return suggest_table(table, title).mapping


def suggest_table(table: Table, title: str) -> Suggestion:
    """What the columns seem to mean. Texts that the file does not hold stay empty."""
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
    answers, reasons = _answers(left, table)
    mapping = Mapping(
        study=StudySpec(
            study_id=study_id_of(title), title=title, reference=control if len(names) > 1 else ""
        ),
        layout="long" if repeated else "wide",
        participant=person.name if person else None,
        demographics=demographics,
        conditions=tuple(conditions),
        outcomes=tuple(outcome_of(column, table) for column in answers),
        keep=tuple(_keep(columns, table)),
    )
    used = set(mapping.columns())
    reasons |= {
        column.name: "recorded by the platform, not an answer" for column in columns if is_technical(column)
    }
    reasons |= {column.name: "tells people apart, like another column" for column in people}
    left_out = {c.name: reasons.get(c.name, "not used") for c in columns if c.name not in used}
    return Suggestion(mapping, left_out, tuple(find_questions(columns, mapping, table)))


def study_id_of(title: str) -> str:
    """A study id from a title: lower-case letters, digits and '-'."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].strip("-") or "study"


def outcome_of(column: ColumnFacts, table: Table) -> OutcomeSpec:
    """The column as an outcome; its scale is guessed, and open if nothing else fits."""
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
    """The scale if a model can be asked on it, or else without the labels that prevent that."""
    for tried in (scale, replace(scale, kind="range", labels=())):
        try:
            check_scale(tried)
        except UserError:
            continue
        return tried
    return Scale("open_integer")


def _answers(columns: Sequence[ColumnFacts], table: Table) -> tuple[list[ColumnFacts], dict[str, str]]:
    """The columns that look like answers, and why the others do not: column -> reason.

    Columns with a question if there are any, or else all but mere indicators.
    """
    reasons = {column.name: reason for column in columns if (reason := _no_answers(column, table))}
    likely = [column for column in columns if column.name not in reasons]
    answers = [column for column in likely if column.name in table.labels]
    if answers:
        reasons |= {c.name: "the file has no question for it" for c in likely if c not in answers}
    else:
        answers = [column for column in likely if set(column.values) != {"0", "1"}] or likely
        reasons |= {c.name: "only 0 and 1, like an indicator" for c in likely if c not in answers}
    reasons |= {
        c.name: f"the suggestion ends after {MOST_OUTCOMES} outcomes" for c in answers[MOST_OUTCOMES:]
    }
    return answers[:MOST_OUTCOMES], reasons


def _no_answers(column: ColumnFacts, table: Table) -> str:
    """Why the column does not look like answers on a scale; empty if it does."""
    if column.n_distinct < 2:
        return "empty" if column.n_distinct == 0 else "the same in every row"
    if column.n_distinct > MOST_VALUES:
        return f"more than {MOST_VALUES} different values"
    if holds_birth_years(column, table):
        return "years of birth"
    if is_age_named(column):
        return "an age, but not in years, as a persona needs it"
    if column.looks_answered or table.value_labels.get(column.name):
        return ""
    return "numbers with decimals" if column.low is not None else UNKNOWN_ORDER


def find_questions(columns: Sequence[ColumnFacts], mapping: Mapping, table: Table) -> Iterator[str]:
    """What neither the file nor the mapping says, so a person has to."""
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
        more = f" By their labels, {already} already mean no answer." if already else ""
        yield (
            f"Do {doubtful} in {shortened(names)} mean that there is no answer? The file does not say, so they count "
            f"as answers. If they do, add them to the missing codes of these outcomes.{more}"
        )
    if orders := unknown_orders(columns, mapping):
        listed = [f"{shortened(names, 3)} ({' / '.join(answers)})" for answers, names in orders.items()]
        yield (
            f"Which order do these answers have? They are not used before you say it: {shortened(listed, 5)}. Say each "
            "order once; it is kept for later files."
        )
    born = [column.name for column in columns if holds_birth_years(column, table)]
    if born and "age" not in mapping.demographics:
        yield (
            f"In which year were people asked? {born[0]!r} holds years of birth, and no column holds a date. To use "
            "ages, add the field Age with this column and that year."
        )
    kept = {keep.column for keep in mapping.keep}
    for column in columns:
        if column.name.lower() in _FINISHED and column.n_distinct > 1 and column.name not in kept:
            labels = table.value_labels.get(column.name, {})
            cells = " or ".join(repr(labels.get(cell, cell)) for cell in column.values)
            yield f"Which rows are finished? The cells of {column.name!r} are {cells}, so all rows are kept."
        if column.name.lower() == "submitdate" and column.n_missing:  # LimeSurvey
            yield (
                f"Which rows are finished? {column.n_missing:,} rows have no 'submitdate', like those of people who "
                "did not reach the last page. All rows are kept."
            )


def unknown_orders(columns: Sequence[ColumnFacts], mapping: Mapping) -> dict[tuple[str, ...], list[str]]:
    """Answers in words that may be a scale if somebody says their order -> the columns that hold them.

    Columns whose texts are no answers of people, such as names and comments, have more different ones or repeat few.
    """
    used = set(mapping.columns())
    orders = dict[tuple[str, ...], list[str]]()
    for column in columns:
        answers = tuple(sorted(cell for cell in column.values if not is_no_answer(cell)))
        few = 2 <= len(answers) <= _MOST_ORDERED and column.n >= 2 * column.n_distinct
        words = column.low is None and all(len(answer) <= _LONGEST_ANSWER for answer in answers)
        recorded = column.name in used or is_technical(column) or is_person(column)
        if few and words and not recorded and not column.looks_answered:
            orders.setdefault(answers, []).append(column.name)
    return orders


def _named(cells: Sequence[str], labels: MappingOf[str, str]) -> str:
    return ", ".join(f"{cell} ({labels[cell]!r})" if cell in labels else cell for cell in cells)


def _demographics(columns: Sequence[ColumnFacts], table: Table) -> dict[str, DemographicSpec]:
    fields = dict[str, DemographicSpec]()
    year = year_column(columns, table)
    for column in columns:
        if year and "age" not in fields and year != column.name and holds_birth_years(column, table):
            values = table.value_labels.get(column.name, {})
            fields["age"] = DemographicSpec(column=column.name, values=values, year=year)
            continue
        labels = table.value_labels.get(column.name, {})
        guess = guess_demographic(column, labels)
        if guess and guess.name not in fields:
            fields[guess.name] = DemographicSpec(column=column.name, values=guess.values or labels)
    return fields


def year_column(columns: Sequence[ColumnFacts], table: Table) -> str:
    """The column that says when each person answered: a date, or the year of a wave; empty if there is none."""
    for column in columns:
        if _WHEN.fullmatch(column.name) and not is_birth_named(column.name, column.label):
            cells = table.frame[column.name].dropna()
            years = cells.map(year_in)
            if len(cells) and 2 * len(cells) > len(table.frame) and years.notna().mean() > 0.9:
                return column.name
    return ""


def holds_birth_years(column: ColumnFacts, table: Table) -> bool:
    """Whether the column holds the years in which people were born, as numbers or as labels of codes."""
    named = is_birth_named(column.name, column.label) or is_age_named(column)
    labels = table.value_labels.get(column.name, {})
    answers = [text for cell in column.values if not is_no_answer(text := labels.get(cell, cell))]
    return named and are_birth_years(answers)


def conditions_of(column: ColumnFacts, table: Table) -> list[ConditionSpec]:
    """A condition for each value of the column, named by the value's label; what people read is not known."""
    labels = table.value_labels.get(column.name, {})
    names = dict[str, str]()
    # Of two texts of digits, the shorter one is the smaller number: 9 comes before 10.
    for cell in sorted(column.values, key=lambda cell: (len(cell), cell) if cell.isdigit() else (99, cell)):
        name = labels.get(cell) or (f"{column.name} {cell}" if re.fullmatch(r"-?[\d.]+", cell) else cell)
        names[cell] = name if name not in names.values() else f"{name} ({cell})"
    return [ConditionSpec(name=name, when={column.name: (cell,)}) for cell, name in names.items()]


def _conditions(column: ColumnFacts | None, table: Table) -> list[ConditionSpec]:
    return conditions_of(column, table) if column else [ConditionSpec(name=EVERYONE)]


def _keep(columns: Sequence[ColumnFacts], table: Table) -> list[KeepSpec]:
    """Keeps only real and finished rows, if columns say which these are."""
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
    """The cells that mean a finished row, by their labels if they have any: 2 may be 'True'."""
    if not labels and not set(cells) <= {"0", "1"} and all(cell.isdigit() for cell in cells):
        return ()  # 1 or 2 may mean yes
    return tuple(cell for cell in cells if labels.get(cell, cell).strip().casefold() in _YES)


def describe_columns(table: Table) -> list[ColumnFacts]:
    """What is known of every column of the table, in order."""
    return [_describe(table, str(name)) for name in table.frame.columns]


def _describe(table: Table, name: str) -> ColumnFacts:
    column = table.frame[name]
    counts = column.value_counts()
    numbers = pd.to_numeric(counts.index.to_series(), errors="coerce").astype(float)
    numeric = len(counts) > 0 and bool((numbers.abs() < math.inf).all())
    return ColumnFacts(
        name=name,
        label=table.labels.get(name, ""),
        n=int(column.notna().sum()),
        n_missing=int(column.isna().sum()),
        n_distinct=len(counts),
        values=tuple(map(str, counts.index[:SHOWN])),
        low=float(numbers.min()) if numeric else None,
        high=float(numbers.max()) if numeric else None,
        whole=numeric and bool((numbers == numbers.round()).all()),
    )


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+", spaced.lower())


def _is_named(name: str, stems: Sequence[str]) -> bool:
    return any(
        word == stem or (stem not in _EXACT and word.startswith(stem))
        for word in _words(name)
        for stem in stems
    )


def is_person(column: ColumnFacts) -> bool:
    return bool(_PERSON.fullmatch(column.name)) and column.n_missing == 0 and column.n_distinct > 1


def is_technical(column: ColumnFacts) -> bool:
    return bool(_TECHNICAL.fullmatch(column.name))


def is_assignment(column: ColumnFacts) -> bool:
    """Whether the column may say which condition a row was in."""
    return 2 <= column.n_distinct <= 24 and _is_named(column.name, _ASSIGNED)


def is_age_named(column: ColumnFacts) -> bool:
    """Whether the column's name says age, whatever it holds."""
    return len(_words(column.name)) <= 2 and _is_named(column.name, _FIELDS["age"])


def guess_demographic(column: ColumnFacts, labels: MappingOf[str, str] | None = None) -> Guess | None:
    """The demographic field that the column seems to hold, given the `labels` of its cells; None if it holds none."""
    labels = labels or {}
    if is_technical(column) or len(_words(column.name)) > 3 or not 2 <= column.n_distinct <= 200:
        return None
    name = next((name for name, stems in _FIELDS.items() if _is_named(column.name, stems)), None)
    if name is None:
        return None
    words = [labels.get(cell, cell) for cell in column.values]
    if name in ("age", "household_size"):
        if labels:  # "18 to 24" gives a persona no number, and 2002 is a year of birth
            fits = sum(map(is_age, words)) > len(words) / 2
        else:
            fits = column.whole and 0 < (column.high or 0) <= 120 and column.n_distinct > 2
        return Guess(name) if fits else None
    one, zero = ("Male", "Female") if "male" in _words(column.name) else ("Female", "Male")
    coded = set(column.values) == {"0", "1"} and not labels
    if name == "gender" and coded and {"male", "female"} & set(_words(column.name)):
        return Guess(name, {"1": one, "0": zero})
    # "Location: 40" says nothing to a model, but an income may be an amount of money.
    worded = name == "income" or column.low is None or any(cell in labels for cell in column.values)
    return Guess(name) if worded and not coded and is_own_trait(name, column.label, words) else None


def guess_scale(
    column: ColumnFacts, labels: MappingOf[str, str], missing: Sequence[str]
) -> tuple[Scale, dict[str, Number]]:
    """The scale that fits a column's values and labels, and what its cells mean as numbers.

    A code without a label (99 in 1 to 7) stays a value: it is off the scale if the others fill a usual scale.
    """
    cells = [cell for cell in column.values if cell not in missing]
    if in_order := ordered(cells):
        values: dict[str, Number] = {cell: n for n, cell in enumerate(in_order, start=1)}
        return _options({n: cell for cell, n in values.items()}), values
    if column.low is None and (led := led_numbers(cells)):
        numbered: dict[Number, str] = dict(led.values())
        values = {cell: number for cell, (number, _) in led.items()}
        if all(numbered.values()):
            return _options(numbered), values
        ends = {number: words for number, words in numbered.items() if words}
        return Scale("range", min(numbered), max(numbered), labels=tuple(sorted(ends.items()))), values
    if column.low is None and 2 <= len(cells) <= _MOST_OPTIONS:
        # Only if a person says that these texts are answers: their order is not known.
        values = {cell: n for n, cell in enumerate(sorted(cells), start=1)}
        return _options({n: cell for cell, n in values.items()}), values
    if not column.whole:
        return Scale("open_integer"), {}
    numbers = sorted(parse_number(cell) for cell in cells)
    codes = set(_far(numbers))
    labelled = _apart(
        {parse_number(cell): text for cell, text in labels.items() if re.fullmatch(r"-?\d+", cell)}
    )
    rest = [n for n in numbers if n not in codes or n in labelled]
    if len(labelled) > 1 and set(rest) <= set(labelled):
        return _options(labelled), {}
    if not labelled and _fill_a_scale(rest):
        numbers = rest
    elif labelled:
        numbers = [*rest, *labelled]
    low, high = min(numbers, default=0), max(numbers, default=0)
    low, high = next(((a, b) for a, b in _RANGES if a <= low and high <= b and not labelled), (low, high))
    if low == high or high - low > 1000:
        return Scale("open_integer"), {}
    return Scale("range", low, high, labels=tuple(sorted(labelled.items()))), {}


def doubtful_codes(column: ColumnFacts, labels: MappingOf[str, str], missing: Sequence[str]) -> list[str]:
    """Cells that may mean no answer, though nothing says so: 99 next to 1 to 7, or -8 with an unknown label.

    A person has to say what they mean.
    """
    if not column.whole:
        return []
    numbers = sorted({parse_number(cell) for cell in column.values if cell not in missing})
    far = _far(numbers)
    odd = {n for n in far if str(n) not in labels or n > 0}
    labelled = sorted(
        parse_number(cell) for cell in labels if re.fullmatch(r"-?\d+", cell) and cell not in missing
    )
    usual = [n for n in labelled if n >= 0]
    negative = [n for n in labelled if n < 0]
    # -8 to -10 are apart from 1 to 5; -2 and -1 next to 0 to 2 are one scale
    if usual and negative and (max(negative) < min(usual) - 1 or min(negative) < -max(usual) - 1):
        odd |= set(negative)
    return [str(n) for n in sorted(odd)]


def _far(numbers: Sequence[Number]) -> list[Number]:
    """The usual missing codes that are far from the other values: 99 next to 1 to 7, but not next to 0 to 100."""
    others = [number for number in numbers if number not in _CODES]
    apart = {n for n in _CODES if others and (n > max(others) + 10 or (n < 0 <= min(others)))}
    return [n for n in numbers if n in apart]


def _fill_a_scale(numbers: Sequence[Number]) -> bool:
    """Whether these numbers are all or nearly all points of one usual scale of at most eleven."""
    if not numbers or len(set(numbers)) < 2:
        return False
    low, high = min(numbers), max(numbers)
    return high - low <= 10 and low >= -5 and high <= 11 and len(set(numbers)) >= 0.7 * (high - low + 1)


def _apart(labels: MappingOf[Number, str]) -> dict[Number, str]:
    """The labels; those of several numbers get the number appended, since two options need two names."""
    texts = [text.casefold() for text in labels.values()]
    return {n: f"{text} ({n})" if texts.count(text.casefold()) > 1 else text for n, text in labels.items()}


def _options(labels: MappingOf[Number, str]) -> Scale:
    return Scale("enum_labels", min(labels), max(labels), labels=tuple(sorted(labels.items())))
