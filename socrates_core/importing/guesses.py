"""What one column of a data file may be, judged by its name, its label and its values."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from socrates_core.importing.record import Table
from socrates_core.importing.traits import is_age, is_own_trait
from socrates_core.records import Number, Scale, parse_number

SHOWN = 101  # values of a column that are looked at, the most frequent first
_MOST_OPTIONS = 20  # texts that are taken for the options of one question
_PERSON = re.compile(
    r"(?:(?:participant|respondent|response|subject|person|case|worker|user|prolific)[ _.-]*(?:id|number|no|nr)?|p?id|"
    r"prolific_pid|uuid|ssid|subj)",
    re.IGNORECASE,
)
_TECHNICAL = re.compile(
    r"(?:start|end|recorded)_?date|.*(?:duration|latitude|longitude|ip_?address|timestamp|browser|captcha|"
    r"finished|progress|consent|canvasser|weight).*|status|.*(?:_id|_do|_ind)|"
    r".*(?:first|last)[ _]?click.*|.*(?:click[ _]?count|page[ _]?submit).*|user_?(?:language|agent)|"
    r"distribution_?channel|recipient\w*|external_?(?:data_?)?reference|.*(?:resolution|operating[ _]?system)",
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
_ORDERS = (
    "strongly disagree|disagree|moderately disagree|somewhat disagree|slightly disagree|"
    "neither agree nor disagree|neutral|slightly agree|somewhat agree|moderately agree|agree|strongly agree",
    "strongly oppose|oppose|somewhat oppose|neither support nor oppose|neither|somewhat support|support|"
    "strongly support",
    "extremely unlikely|very unlikely|unlikely|somewhat unlikely|neither likely nor unlikely|somewhat likely|likely|"
    "very likely|extremely likely",
    "not at all|a little|slightly|somewhat|a moderate amount|moderately|very|a lot|very much|a great deal|extremely",
    "never|rarely|sometimes|often|most of the time|always",
    "very dissatisfied|dissatisfied|somewhat dissatisfied|neither satisfied nor dissatisfied|somewhat satisfied|"
    "satisfied|very satisfied",
    "no|yes",
    "false|true",
)
_RANGES = ((0, 1), (1, 4), (1, 5), (1, 6), (1, 7), (1, 9), (0, 10), (1, 10), (-2, 2), (-3, 3), (0, 100))
_CODES = {97, 98, 99, 997, 998, 999, -1, -7, -8, -9, -77, -88, -99, -999}


@dataclass(frozen=True)
class Facts:
    """A column at a glance: `n` cells that are not missing; `values` are the most frequent, at most SHOWN."""

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
        return self.whole or bool(_ordered(self.values))


@dataclass(frozen=True)
class Guess:
    """A demographic field with the words for a column's values; none where they are words already."""

    name: str
    values: dict[str, str] = field(default_factory=dict)


def describe_columns(table: Table) -> list[Facts]:
    """Every column of the table at a glance, in order."""
    return [_describe(table, str(name)) for name in table.frame.columns]


def _describe(table: Table, name: str) -> Facts:
    column = table.frame[name]
    counts = column.value_counts()
    numbers = pd.to_numeric(counts.index.to_series(), errors="coerce").astype(float)
    numeric = len(counts) > 0 and bool((numbers.abs() < math.inf).all())
    return Facts(
        name,
        table.labels.get(name, ""),
        int(column.notna().sum()),
        int(column.isna().sum()),
        len(counts),
        tuple(map(str, counts.index[:SHOWN])),
        float(numbers.min()) if numeric else None,
        float(numbers.max()) if numeric else None,
        numeric and bool((numbers == numbers.round()).all()),
    )


def _words(name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+", spaced.lower())


def _named(name: str, stems: Sequence[str]) -> bool:
    return any(
        word == stem or (stem not in _EXACT and word.startswith(stem))
        for word in _words(name)
        for stem in stems
    )


def is_person(column: Facts) -> bool:
    return bool(_PERSON.fullmatch(column.name)) and column.n_missing == 0 and column.n_distinct > 1


def is_technical(column: Facts) -> bool:
    return bool(_TECHNICAL.fullmatch(column.name))


def is_assignment(column: Facts) -> bool:
    """Whether the column may say which condition a row was in."""
    return 2 <= column.n_distinct <= 24 and _named(column.name, _ASSIGNED)


def is_age_named(column: Facts) -> bool:
    """Whether the column is called an age, whatever it holds."""
    return len(_words(column.name)) <= 2 and _named(column.name, _FIELDS["age"])


def guess_demographic(column: Facts, labels: Mapping[str, str] | None = None) -> Guess | None:
    """The demographic field that the column seems to hold, with the `labels` of its cells; None for none."""
    labels = labels or {}
    if is_technical(column) or len(_words(column.name)) > 3 or not 2 <= column.n_distinct <= 200:
        return None
    name = next((name for name, stems in _FIELDS.items() if _named(column.name, stems)), None)
    if name is None:
        return None
    told = [labels.get(cell, cell) for cell in column.values]
    if name in ("age", "household_size"):
        if labels:  # of an age in words, "18 to 24", no persona's number is known; 2002 is a year of birth
            fits = sum(map(is_age, told)) > len(told) / 2
        else:
            fits = column.whole and 0 < (column.high or 0) <= 120 and column.n_distinct > 2
        return Guess(name) if fits else None
    one, zero = ("Male", "Female") if "male" in _words(column.name) else ("Female", "Male")
    coded = set(column.values) == {"0", "1"} and not labels
    if name == "gender" and coded and {"male", "female"} & set(_words(column.name)):
        return Guess(name, {"1": one, "0": zero})
    # "Location: 40" says nothing to a model; an income may be an amount of money
    worded = name == "income" or column.low is None or any(cell in labels for cell in column.values)
    return Guess(name) if worded and not coded and is_own_trait(name, column.label, told) else None


def guess_scale(
    column: Facts, labels: Mapping[str, str], missing: Sequence[str]
) -> tuple[Scale, dict[str, Number]]:
    """The scale that fits a column's values and labels, and what its cells mean as numbers.

    A code without a label (99 in 1 to 7) is a value: where the others fill a usual scale it lies off that scale.
    """
    cells = [cell for cell in column.values if cell not in missing]
    if ordered := _ordered(cells):
        values: dict[str, Number] = {cell: n for n, cell in enumerate(ordered, start=1)}
        return _options({n: cell for cell, n in values.items()}), values
    if column.low is None and 2 <= len(cells) <= _MOST_OPTIONS:
        # only where a person says that these texts are answers: their order is not known
        values = {cell: n for n, cell in enumerate(sorted(cells), start=1)}
        return _options({n: cell for cell, n in values.items()}), values
    if not column.whole:
        return Scale("open_integer"), {}
    numbers = sorted(parse_number(cell) for cell in cells)
    codes = set(_far(numbers))
    told = _apart({parse_number(cell): text for cell, text in labels.items() if re.fullmatch(r"-?\d+", cell)})
    rest = [n for n in numbers if n not in codes or n in told]
    if len(told) > 1 and set(rest) <= set(told):
        return _options(told), {}
    if not told and _fill_a_scale(rest):
        numbers = rest
    elif told:
        numbers = [*rest, *told]
    low, high = min(numbers, default=0), max(numbers, default=0)
    low, high = next(((a, b) for a, b in _RANGES if a <= low and high <= b and not told), (low, high))
    if low == high or high - low > 1000:
        return Scale("open_integer"), {}
    return Scale("range", low, high, labels=tuple(sorted(told.items()))), {}


def doubtful_codes(column: Facts, labels: Mapping[str, str], missing: Sequence[str]) -> list[str]:
    """Cells that may say that there is no answer though nothing says so: 99 next to 1 to 7, -8 with an unknown label.

    A person has to say what they are.
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
    # -8 to -10 next to 1 to 5 lie apart; -2 and -1 next to 0 to 2 are a scale
    if usual and negative and (max(negative) < min(usual) - 1 or min(negative) < -max(usual) - 1):
        odd |= set(negative)
    return [str(n) for n in sorted(odd)]


def _far(numbers: Sequence[Number]) -> list[Number]:
    """The usual missing codes that lie apart from the other values: 99 next to 1 to 7, not 99 next to 0 to 100."""
    others = [number for number in numbers if number not in _CODES]
    apart = {n for n in _CODES if others and (n > max(others) + 10 or (n < 0 <= min(others)))}
    return [n for n in numbers if n in apart]


def _fill_a_scale(numbers: Sequence[Number]) -> bool:
    """Whether these numbers are the points of one usual scale of at most eleven, all or nearly all of them."""
    if not numbers or len(set(numbers)) < 2:
        return False
    low, high = min(numbers), max(numbers)
    return high - low <= 10 and low >= -5 and high <= 11 and len(set(numbers)) >= 0.7 * (high - low + 1)


def _apart(labels: Mapping[Number, str]) -> dict[Number, str]:
    """The labels, with the number behind those that more than one number has: two options need two names."""
    texts = [text.casefold() for text in labels.values()]
    return {n: f"{text} ({n})" if texts.count(text.casefold()) > 1 else text for n, text in labels.items()}


def _options(labels: Mapping[Number, str]) -> Scale:
    return Scale("enum_labels", min(labels), max(labels), labels=tuple(sorted(labels.items())))


def _ordered(cells: Sequence[str]) -> list[str]:
    """The cells in the order of a known list of answers; empty where one is in no such list."""
    for order in _ORDERS:
        places = {word: place for place, word in enumerate(order.split("|"))}
        if len(cells) > 1 and all(cell.casefold() in places for cell in cells):
            return sorted(cells, key=lambda cell: places[cell.casefold()])
    return []
