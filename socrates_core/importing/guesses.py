"""What one column of a data file may be, judged by its name, its label and its values."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from socrates_core.importing.record import Table
from socrates_core.records import Number, Scale, parse_number

SHOWN = 101  # values of a column that are looked at, the most frequent first
_PERSON = re.compile(
    r"(?:(?:participant|respondent|response|subject|person|case|worker|user|prolific)[ _.-]*(?:id|number|no|nr)?|p?id|"
    r"prolific_pid|uuid|ssid|subj)",
    re.IGNORECASE,
)
_TECHNICAL = re.compile(
    r"(?:start|end|recorded)_?date|.*(?:duration|latitude|longitude|ip_?address|timestamp|browser|captcha|"
    r"finished|progress|consent|canvasser|weight).*|status|.*(?:_id|_do|_ind)",
    re.IGNORECASE,
)
_ASSIGNED = ("treat", "condition", "cond", "arm", "assign", "experiment", "vignette", "manipulation", "group")
_FIELDS = {
    "age": ("age",), "gender": ("gender", "sex", "female", "male"), "ethnicity": ("ethnic", "race", "racename"),
    "education": ("educ",), "employment": ("employ", "occupation"), "marital_status": ("marital", "married"),
    "income": ("income",), "household_size": ("hhsize", "householdsize"), "party_id": ("party", "partyid"),
    "ideology": ("ideol", "ideo"), "location": ("state", "region", "country", "location"),
}  # fmt: skip
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
        name, table.labels.get(name, ""), int(column.notna().sum()), int(column.isna().sum()), len(counts),
        tuple(map(str, counts.index[:SHOWN])),
        float(numbers.min()) if numeric else None, float(numbers.max()) if numeric else None,
        numeric and bool((numbers == numbers.round()).all()),
    )  # fmt: skip


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


def guess_demographic(column: Facts) -> Guess | None:
    """The demographic field that the column seems to hold; None for none."""
    for name, stems in _FIELDS.items():
        if (
            len(_words(column.name)) > 3
            or not _named(column.name, stems)
            or not 2 <= column.n_distinct <= 200
        ):
            continue
        if name in ("age", "household_size"):
            fits = column.whole and 0 < (column.high or 0) <= 120 and column.n_distinct > 2
            return Guess(name) if fits else None
        one, zero = ("Male", "Female") if "male" in _words(column.name) else ("Female", "Male")
        coded = set(column.values) == {"0", "1"}
        if name == "gender" and coded and {"male", "female"} & set(_words(column.name)):
            return Guess(name, {"1": one, "0": zero})
        return None if coded else Guess(name)
    return None


def guess_scale(
    column: Facts, labels: Mapping[str, str], missing: Sequence[str]
) -> tuple[Scale, dict[str, Number], tuple[str, ...]]:
    """The scale that fits a column's values and labels, what its cells mean as numbers, and further missing codes."""
    cells = [cell for cell in column.values if cell not in missing]
    if ordered := _ordered(cells):
        values: dict[str, Number] = {cell: n for n, cell in enumerate(ordered, start=1)}
        return _options({n: cell for cell, n in values.items()}), values, ()
    if not column.whole:
        return Scale("open_integer"), {}, ()
    numbers = sorted(parse_number(cell) for cell in cells)
    codes = {n for n in numbers if n in _CODES and str(n) not in labels and _far(n, numbers)}
    numbers = [n for n in numbers if n not in codes]
    told = {parse_number(cell): text for cell, text in labels.items() if re.fullmatch(r"-?\d+", cell)}
    left = tuple(map(str, sorted(codes)))
    if (
        len(told) > 1
        and set(numbers) <= set(told)
        and len(set(map(str.casefold, told.values()))) == len(told)
    ):
        return _options(told), {}, left
    low, high = min([*numbers, *told], default=0), max([*numbers, *told], default=0)
    low, high = next(((a, b) for a, b in _RANGES if a <= low and high <= b and not told), (low, high))
    if low == high or high - low > 1000:
        return Scale("open_integer"), {}, left
    return Scale("range", low, high, labels=tuple(sorted(told.items()))), {}, left


def _far(code: Number, numbers: Sequence[Number]) -> bool:
    """Whether a code lies apart from the other values: 99 beside 1 to 7 does, 99 beside 0 to 100 does not."""
    others = [number for number in numbers if number not in _CODES]
    return bool(others) and (code > max(others) + 10 or (code < 0 <= min(others)))


def _options(labels: Mapping[Number, str]) -> Scale:
    return Scale("enum_labels", min(labels), max(labels), labels=tuple(sorted(labels.items())))


def _ordered(cells: Sequence[str]) -> list[str]:
    """The cells in the order of a known list of answers; empty where one is in no such list."""
    for order in _ORDERS:
        places = {word: place for place, word in enumerate(order.split("|"))}
        if len(cells) > 1 and all(cell.casefold() in places for cell in cells):
            return sorted(cells, key=lambda cell: places[cell.casefold()])
    return []
