"""What one column of a Qualtrics export means: its statement, its scale, what its cells say."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.importing.no_answer import no_answers
from socrates_core.importing.qualtrics.survey import Choice, Question, as_dict, entries, whole
from socrates_core.importing.qualtrics.text import fill_pipes, plain_text
from socrates_core.records import Number, Scale
from socrates_core.scales import check_scale

MULTIPLE = ("MAVR", "MAHR", "MACOL", "MSB")
TIMES = ("_FIRST_CLICK", "_LAST_CLICK", "_PAGE_SUBMIT", "_CLICK_COUNT")
YES_NO = Scale("enum_labels", 0, 1, labels=((0, "No"), (1, "Yes")))
BEST_WORST = "MaxDiff"  # a matrix with two ends; people put one statement to each
UNSURE = "?"  # instead of a row's id, if a column's number does not say which row it is
UNSEEN = "-99"  # Qualtrics' code for a question that was seen but not answered
_NO_SCALE = {
    "HeatMap": "clicks on a picture",
    "HotSpot": "clicks on a picture",
    "HL": "words marked in a text",
    "FileUpload": "a file that people sent",
    "Draw": "a signature",
    "Meta": "the browser that people used",
    "Captcha": "a test for robots",
}
_WORST = re.compile(r"\b(least|worst|lowest|dis\w+)\b", re.IGNORECASE)
_LED = re.compile(r"(-?\d{1,4})(?:\s*[=:.)(–—-]\s*(?!\d)(.*))?", re.DOTALL)
_DEGREE = re.compile(
    r"\b(not at all|strongly|somewhat|slightly|moderately|very|extremely|completely|totally|neither|neutral"
    r"|always|never|often|rarely|sometimes|a (little|lot)|a great (deal|extent)|much|more|less|(dis)?agree)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ColumnMeaning:
    """What a column asks: the words after its question's text, its scale, what its cells mean."""

    statement: str
    scale: Scale
    values: dict[str, Number] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


class NotAnOutcome(Exception):
    """Why a column is no outcome, in a few words: "open text", "timing"."""


def column_meaning(
    question: Question, suffix: str, words: Mapping[str, str], cells: pd.Series, *, as_texts: bool
) -> ColumnMeaning:
    """What a column means whose import id is the question's with this suffix; `as_texts` if cells are choice texts.

    `words` fill the pipes of choices. Raises NotAnOutcome if the column holds no answers on a scale.
    """
    if "_DO" in suffix:
        raise NotAnOutcome("display order")
    if suffix.endswith(TIMES) or question.kind == "Timing":
        raise NotAnOutcome("timing")
    if question.kind in _NO_SCALE:
        raise NotAnOutcome(f"{_NO_SCALE[question.kind]}, no answer on a scale")
    try:
        meaning = _meaning(question, suffix, words, cells, as_texts)
        check_scale(meaning.scale)
    except UserError as error:
        raise NotAnOutcome(f"its scale cannot be asked: {error}") from error
    # Unless the survey has a choice with that code.
    if UNSEEN not in meaning.values and cells.eq(UNSEEN).any():
        return replace(meaning, missing=(*meaning.missing, UNSEEN))
    return meaning


def _meaning(
    question: Question, suffix: str, words: Mapping[str, str], cells: pd.Series, as_texts: bool
) -> ColumnMeaning:
    first, second = [*suffix.split("_"), "", ""][1:3]
    row = next((c for c in question.choices if c.key == first), None)
    item = fill_pipes(row.text, words).text if row else ""  # a single slider's text is usually blank
    answer = next((fill_pipes(c.text, words).text for c in question.answers if c.key == second), "")
    if question.kind == "TE" or (question.kind, question.selector) == ("Matrix", "TE"):
        return replace(_number(question, cells), statement=": ".join(filter(None, (item, answer))))
    if suffix.endswith("TEXT"):
        raise NotAnOutcome("open text")
    match question.kind, question.selector:
        case "MC", selector if selector in MULTIPLE and item:
            return _ticked("", item)
        case "MC", selector if selector not in MULTIPLE and not suffix:
            return _options("", question.choices, words, ordered=selector == "NPS", as_texts=as_texts)
        case "Matrix", "Likert" if item and question.sub == "MultipleAnswer":
            return _ticked(item, answer)
        case "Matrix", "Likert" | "Profile" if row and not second:
            return _options(item, _answers_of(question, first), words, ordered=True, as_texts=as_texts)
        case "DD", _ if item:
            statement = item if len(question.choices) > 1 else ""
            return _options(
                statement, _level(question, first, cells), words, ordered=False, as_texts=as_texts
            )
        case (("Matrix" | "Slider" | "RO" | "CS"), _) if row:
            return _numbered(question, item)
        case (("Matrix" | "Slider" | "RO" | "CS"), _) if first == UNSURE:
            raise NotAnOutcome(
                "its number may be the place or the id of a row; export the responses with the row of import ids"
            )
        case (("Matrix" | "Slider" | "RO" | "CS"), _) if first:
            raise NotAnOutcome("a row that the survey does not have")
    raise _unread(question)


def _numbered(question: Question, item: str) -> ColumnMeaning:
    """A bipolar row, a slider, a rank, a share of points, or best and worst: cells are numbers."""
    n = len(question.answers)
    match question.kind, question.selector:
        case "Matrix", "Bipolar" if ":" in item and n > 1:
            left, right = (side.strip() for side in item.split(":", 1))
            return ColumnMeaning(
                f"“{left}” or “{right}”?", Scale("range", 1, n, labels=((1, left), (n, right)))
            )
        case "Matrix", selector if selector == BEST_WORST and n == 2 and item:
            return _best_worst(question, item)
        case "Slider", _:
            return ColumnMeaning(item, _slider(question))
        case "RO", _ if item:
            ranks = Scale("range", 1, max(2, len(question.choices)), labels=((1, "first"),))
            return ColumnMeaning(f"Which rank do you give to “{item}”?", ranks)
        case "CS", _:
            statement = f"How many do you give to “{item}”?" if item else ""
            return ColumnMeaning(statement, Scale("open_integer"))
    if not item:
        raise NotAnOutcome("an item without a text")
    raise _unread(question)


def _answers_of(question: Question, row: str) -> Sequence[Choice]:
    """The answers of a matrix' row; in a profile each row has other answers."""
    answers = as_dict(as_dict(question.payload.get("Answers")).get(row))
    if question.selector != "Profile" or "Display" in answers:
        return question.answers
    return [Choice(key, plain_text(as_dict(answer).get("Display")), key) for key, answer in answers.items()]


def _best_worst(question: Question, item: str) -> ColumnMeaning:
    """A statement at the better end (1), the worse end (-1; the second one if no word says so), or neither (0)."""
    worst = next((end for end in question.answers if _WORST.search(end.text)), question.answers[1])
    best = next(end for end in question.answers if end is not worst)
    labels = ((-1, worst.text), (0, "neither"), (1, best.text))
    values: dict[str, Number] = {worst.text: -1, best.text: 1, worst.code: -1, best.code: 1}
    return ColumnMeaning(f"Where do you put “{item}”?", Scale("range", -1, 1, labels=labels), values)


def _level(question: Question, level: str, cells: pd.Series) -> Sequence[Choice]:
    """The answers at a drill-down's level, found by the answers above them.

    Raises NotAnOutcome if the cells hold others.
    """
    above = {key: _text(under) for key, under in as_dict(question.payload.get("AnswerMap")).items()}

    def depth(key: str) -> int:
        n = 0
        while (key := above.get(key, "")) and n < len(question.choices):
            n += 1
        return n

    place = [choice.key for choice in question.choices].index(level)
    here = [answer for answer in question.answers if depth(answer.key) == place]
    if not cells.dropna().isin([cell for answer in here for cell in (answer.code, answer.text)]).all():
        raise NotAnOutcome("a drill-down whose cells are not the survey's answers")
    return here


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) else ""


def _unread(question: Question) -> NotAnOutcome:
    return NotAnOutcome(f"question type {question.kind} {question.selector}".rstrip() + ", which is not read")


def is_ticked(question: Question) -> bool:
    """Whether people tick any number of the question's answers, or a statement for each end."""
    several = question.selector == BEST_WORST or question.sub == "MultipleAnswer"
    return question.selector in MULTIPLE or (question.kind == "Matrix" and several)


def _ticked(statement: str, answer: str) -> ColumnMeaning:
    if not answer:
        raise NotAnOutcome("an answer that the survey does not have")
    start = f"{statement}\n" if statement else ""
    # A cell "0" is no tick, even if the choice reads "0".
    values: dict[str, Number] = {} if answer == "0" else {answer: 1}
    return ColumnMeaning(f"{start}Is this among your answers: “{answer}”?", YES_NO, values)


def _options(
    statement: str, choices: Sequence[Choice], words: Mapping[str, str], *, ordered: bool, as_texts: bool
) -> ColumnMeaning:
    """A scale of listed answers: a range if they are degrees of one thing, or else options."""
    texts = {choice.key: fill_pipes(choice.text, words).text for choice in choices}
    no_answer = no_answers({choice.key: texts[choice.key] for choice in choices if not choice.excluded})
    real = [choice for choice in choices if not choice.excluded and choice.key not in no_answer]
    if len(real) < 2:
        raise NotAnOutcome("fewer than two answers to choose from")
    led = _led_numbers([texts[choice.key] for choice in real])
    numbers = [number for number, _ in led] if led else _codes(real)
    labels = [label for _, label in led] if led else [texts[choice.key] for choice in real]
    pairs = tuple(sorted((n, label) for n, label in zip(numbers, labels, strict=True) if label))
    ordered = ordered or bool(led) or sum(bool(_DEGREE.search(label)) for label in labels) >= 2
    low, high = min(numbers), max(numbers)
    consecutive = len(set(numbers)) == high - low + 1
    scale = Scale("range" if ordered and consecutive else "enum_labels", low, high, labels=pairs)
    by_code: dict[str, Number] = {choice.code: number for choice, number in zip(real, numbers, strict=True)}
    by_text: dict[str, Number] = {
        texts[choice.key]: number for choice, number in zip(real, numbers, strict=True)
    }
    values = {**by_code, **by_text} if as_texts else {**by_text, **by_code}
    # A number is read before a label, so a text that is a number ("10", the second choice) has to be among the values.
    needed = {
        cell: n
        for cell, n in values.items()
        if cell and cell != str(n) and (cell != scale.label(n) or _is_number(cell))
    }
    left = [choice for choice in choices if choice not in real]
    return ColumnMeaning(
        statement, scale, needed, tuple(dict.fromkeys(t for c in left for t in (c.code, texts[c.key])))
    )


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _led_numbers(labels: Sequence[str]) -> list[tuple[int, str]]:
    """The numbers that labels begin with ("1 = Never", "2", ..) and the rest; labels without one by their place.

    Empty if no label has a number or the numbers do not rise or fall by one.
    """
    matches = [_LED.fullmatch(label) for label in labels]
    given = {place: int(match[1]) for place, match in enumerate(matches) if match}
    for sign in (1, -1):
        offsets = {number - sign * place for place, number in given.items()}
        if len(offsets) == 1:
            start = offsets.pop()
            rest = [match[2] or "" if match else labels[i] for i, match in enumerate(matches)]
            return [(start + sign * place, _unbracketed(label)) for place, label in enumerate(rest)]
    return []


def _unbracketed(label: str) -> str:
    """ "Never)", as "1 (Never)" leaves it, without the bracket."""
    return label.strip().removesuffix(")" if label.count(")") > label.count("(") else "")


def _codes(choices: Sequence[Choice]) -> list[int]:
    """The author's codes, or the places 1 to n if the codes are only ids that do not count from 0 or 1."""
    codes = [
        whole(choice.code, -(10**9)) if re.fullmatch(r"-?\d{1,6}", choice.code) else None
        for choice in choices
    ]
    places = list(range(1, len(choices) + 1))
    recoded = any(choice.code != choice.key for choice in choices)
    known = [code for code in codes if code is not None]
    usable = len(set(known)) == len(choices)
    return known if usable and (recoded or known in (places, [place - 1 for place in places])) else places


def _number(question: Question, cells: pd.Series) -> ColumnMeaning:
    """A number that people typed: the question asks for one, or nearly every cell is one."""
    settings = as_dict(as_dict(question.payload.get("Validation")).get("Settings"))
    if re.search(r"\b(id|code|zip|phone)\b", f"{question.tag} {question.text}", re.IGNORECASE):
        raise NotAnOutcome("open text")
    given = cells.dropna()
    numeric = pd.to_numeric(given, errors="coerce").notna()
    if settings.get("ContentType") != "ValidNumber" and not (len(given) and numeric.mean() >= 0.9):
        raise NotAnOutcome("open text")
    limits = as_dict(settings.get("ValidNumber"))
    low, high = (_limit(limits.get(name)) for name in ("Min", "Max"))
    if low is not None and high is not None and 0 < high - low <= 1000:
        return ColumnMeaning("", Scale("range", low, high))
    return ColumnMeaning("", Scale("open_integer"))


def _limit(value: Any) -> int | None:
    return int(value) if re.fullmatch(r"-?\d{1,9}", str(value).strip()) else None


def _slider(question: Question) -> Scale:
    """The slider's ends and labels; whole steps on a range of ten or more."""
    settings = as_dict(question.payload.get("Configuration"))
    if question.selector == "STAR":
        return Scale("range", 0, max(1, whole(settings.get("StarCount"), 5)))
    low, high = whole(settings.get("CSSliderMin"), 0), whole(settings.get("CSSliderMax"), 100)
    if low >= high:
        raise NotAnOutcome("a slider without a range")
    decimals = min(2, whole(settings.get("NumDecimals"), 0)) if high - low < 10 else 0
    step: Number = 10**-decimals if decimals > 0 else 1
    labels = [plain_text(as_dict(label).get("Display")) for label in entries(question.payload.get("Labels"))]
    ends = {low: labels[0], high: labels[-1]} if len(labels) >= 2 else {}
    if len(labels) % 2 and len(labels) > 2 and (high - low) % 2 == 0:
        ends[(low + high) // 2] = labels[len(labels) // 2]
    return Scale("range", low, high, step, tuple(sorted((n, label) for n, label in ends.items() if label)))
