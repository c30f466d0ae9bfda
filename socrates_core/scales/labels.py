"""Finds "7 means Strongly agree" and the like in a response instruction, whatever quotes a label has.

A label ends where the next labelled number begins, at "nothing else", or at the end of the text. A label in quotes or
brackets ends there only if its closing mark comes right before, so it may contain commas, numbers and quotation marks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from socrates_core.records import Number, parse_number

NUMBER = (
    r"(?<![\w.$€£¥])(?<![^\W\d][-−–])(?:negative\s|minus\s|positive\s|plus\s|[-−–+])?[$€£¥]?"
    r"(?:(?:[0-9]{1,3}(?:,[0-9]{3}){1,4}(?!\d)|[0-9]{1,15}(?!\d))(?:\.[0-9]{1,9}(?!\d))?|\.[0-9]{1,9}(?!\d))"
)
_NO_DIGIT = re.compile(r"[^0-9.]+")
CLOSING = {"'": "'", '"': '"', "‘": "’", "“": "”", "«": "»"}
EXACT = "»"  # text in these marks is kept exactly; labels in other marks lose a closing full stop or comma
_VERB = (
    r"\s{0,2}+(?:(?:means|meaning|mean|indicates|indicating|represents|representing|corresponds\sto|stands\sfor"
    r"|equals|being|is\sequal\sto|is|for|if|to\s(?:choose|select|pick|indicate)|to(?=\s[^\W\d]))(?!\w)"
    r"|=|:(?!\d)|(?P<bracket>\()(?=\D)|[-–—](?=\s\D))\s{0,2}"
)
_LABELLED = rf"(?P<value>{NUMBER})(?:%|\spercent)?{_VERB}"
# Possessive repeats (`}+`, `?+`) never give characters back, so a long run of spaces takes linear time.
_JOINED = (
    r"(?P<joint>(?:[,;]\s{0,3}+|\s{1,3}+)?+(?:\b(?:and|or|to|(?P<up_to>up\sto))\s{1,2}+){0,2}+"
    r"(?:(?<=\s)(?:an?|the\s(?:number|integer))\s)?)"
)
_END = r"(?P<end>(?:[,;.]\s{0,3}+|\s{1,3}+)?+\(?(?:and\s)?\bnothing\selse\b|\Z)"
_MARK = re.compile(f"{_JOINED}{_LABELLED}|{_END}", re.IGNORECASE)
_START = re.compile(_LABELLED, re.IGNORECASE)
_SHED = " \t\r\n.,;"
_SHED_AT_END = _SHED + "'\"’”»)"


@dataclass(frozen=True)
class Labelled:
    """A value with its label; `up_to` if the text says "up to" before it."""

    value: Number
    label: str
    up_to: bool


def number(text: str) -> Number:
    """The value of a text that matches NUMBER."""
    sign = "-" if text[0] in "-−–nNmM" else ""
    return parse_number(sign + _NO_DIGIT.sub("", text))


def starts_with_label(text: str, position: int) -> bool:
    """Whether a number with its label begins at `position`."""
    return _START.match(text, position) is not None


def find_labels(
    text: str, start: int, low: Number = float("-inf"), high: Number = float("inf")
) -> list[Labelled]:
    """Values from `low` to `high` with their labels, as the text lists them after `start`; each value once.

    The list may be announced ("where ..."), but not in a separate sentence.
    """
    marks = list(_MARK.finditer(text, start))
    values = [number(mark["value"]) if mark["value"] else None for mark in marks]
    labels: dict[Number, Labelled] = {}
    never_closed = {""}  # closing marks that end no later label, so that the search stays linear

    def following(index: int) -> Iterator[int]:
        usable = range(index, len(marks))
        return (i for i in usable if (v := values[i]) is None or (low <= v <= high and v not in labels))

    here = next(i for i in following(0) if values[i] is not None or _is_last(marks[i]))
    if re.search(r"[.?!](?!\d)", text[start : marks[here].start()]):
        return []
    while (value := values[here]) is not None:
        mark = marks[here]
        closing = _closing(text, marks[here])
        labels[value] = Labelled(value, "", bool(mark["up_to"]))
        closed = joined = None
        if closing not in never_closed:
            closed = next((i for i in following(here + 1) if _closes(text, mark, marks[i], closing)), None)
        if closed is None:
            never_closed.add(closing)
            joined = next(i for i in following(here + 1) if values[i] is None or marks[i]["joint"].strip())
        after = closed or joined or 0
        label = _label(text, mark, marks[after], closing if closed else "")
        labels[value] = Labelled(value, label, bool(mark["up_to"]))
        here = after
    return [item for item in labels.values() if item.label]


def _is_last(mark: re.Match[str]) -> bool:
    return mark.start() == len(mark.string)


def _closing(text: str, mark: re.Match[str]) -> str:
    return ")" if mark["bracket"] else CLOSING.get(text[mark.end() : mark.end() + 1], "")


def _closes(text: str, mark: re.Match[str], after: re.Match[str], closing: str) -> bool:
    """Whether the label that begins at `mark` is closed right before `after`."""
    inside = mark.end() + (0 if mark["bracket"] else 1)
    if _is_last(after):
        return closing in text[max(inside, len(text.rstrip(_SHED_AT_END))) :]
    return text[inside : after.start()].rstrip(_SHED)[-1:] == closing


def _label(text: str, mark: re.Match[str], after: re.Match[str], closing: str) -> str:
    """The label between two marks without its quotes or brackets, closing punctuation or spaces."""
    inside = mark.end() + (1 if closing and not mark["bracket"] else 0)
    if closing and _is_last(after):
        end = text.index(closing, max(inside, len(text.rstrip(_SHED_AT_END))))
    else:
        end = inside + len(text[inside : after.start()].rstrip(_SHED)) - len(closing)
    label = text[inside:end].strip()
    if closing == EXACT:
        return label
    if not closing:
        label = label.rstrip(_SHED + ("'\"’”»" if _is_last(after) else "")).lstrip("'\"‘“«")
        label = label[:-1] if label.endswith(")") and label.count(")") > label.count("(") else label
    return label.rstrip(_SHED)
