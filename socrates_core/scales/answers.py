"""Reads a raw text answer as a value of its scale. An unreadable answer is missing, with the reason, never a guess.

A number counts only if it is the answer: alone on its line or in its sentence, opening a line before an
explanation, or named ("my answer is 5"). Numbers anywhere else are ages, dates, names or echoes of the question.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from socrates_core.records import Number, Scale
from socrates_core.scales.labels import NUMBER, number
from socrates_core.scales.rendering import number_text


@dataclass(frozen=True)
class Reading:
    """What an answer means: a value of the scale, or None; `reason` says in a sentence why."""

    value: Number | None
    reason: str


@dataclass(frozen=True)
class _LabelledScale:
    scale: Scale
    labels: dict[str, Number]  # the value of every label, by `_key`
    listed: frozenset[Number]  # the values of the labels


_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_DECORATION = re.compile(r"[*`\"“”«»{}]")
# Models that do not stop write the next turns as well; only the first one is the answer.
_NEXT_TURN = re.compile(
    r"<\|[^<>|]{1,40}\|>|\n[^\S\n]{0,20}(?:user|human|system|assistant)\s{0,3}:?\s{0,3}(?:\n|\Z)",
    re.IGNORECASE,
)
_THOUGHTS = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_MARKED = re.compile(r"\\boxed\s?\{([^{}]{0,80})\}|<answer>([^<>]{0,80})</answer>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]{0,40}>", re.IGNORECASE)
_FINAL = re.compile(r"\bfinal\s(?:answer|response|rating|score|choice)\b", re.IGNORECASE)
_SEVERAL = re.compile(
    rf"(?:\b(?:from|between)\s)?{NUMBER}(?:\s?(?:to|through|and|[-–—/]|,?\s?(?:or|maybe|perhaps)(?:\s(?:maybe|perhaps|even))?|,)\s?{NUMBER})+",
    re.IGNORECASE,
)
_EDGES = " \t.!,;:'()[]>#•…"
_LONGEST = 700  # characters of a sentence that may be a label as a whole
_LONGEST_SENTENCE = 2_000  # characters within which an answer can be named, or open a sentence

_NOUN = r"\b(?:answer|response|rating|score|choice|reply|estimate|guess|option|selection)\b"
_VERB = r"\b(?:rated?|answer|respond|say|choose|select|pick|give|assign|put|go|score|estimate|guess)\b"
_WORD = r"\s{1,3}(?!(?:age|aged|who|whose|household|not|never)\b|\w+n't\b)[^\s\d.?!]{1,30}"
_FILL = (
    r"(?:\s{1,3}(?:an?|the|about|around|approximately|roughly|solid|likely|probably|definitely|number|option|value"
    r"|score|rating|of|therefore|thus|simply|just|exactly|it|them)\b){0,4}"
)
_AFTER = (
    r"(?![\w%]|[-–]\w|[.,:]\d)(?=\s{0,3}(?:\Z|[.,](?!\s?\d)|[;!)\]'—–]|-\s|\(|(?:because|since|as|on|which|meaning"
    r"|indicating|given|due|reflecting|representing|suggesting|considering|based|and|but|in|to|here|percent|dollars|points)\b))"
)
_NAMED = re.compile(
    rf"(?<!not )(?<!never )(?<!n't )(?:{_NOUN}(?:{_WORD}){{0,8}}?\s{{1,3}}(?:is|be|was|as){_FILL}"
    rf"|{_NOUN}(?:\sof|\s?\([^()]{{0,30}}\))?|{_VERB}(?:{_WORD}){{0,6}}?\s{{1,3}}(?:as|at|an?|with){_FILL}"
    rf"|{_VERB}{_FILL})\s{{0,3}}[:=]?[\s'(\[]{{0,3}}(?P<number>{NUMBER})(?:\s?%)?{_AFTER}",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"\A(?:(?:so|thus|therefore|overall),?\s)?(?:i\s(?:think|believe|guess)\s(?:that\s)?)?"
    r"(?:(?:i|we)(?:'d|'m|\swould|\sam|\swill)?(?:\slikely|\sprobably)?"
    r"(?:\s(?:say|choose|select|pick|answer|respond|go))?(?:\swith|\sthat)?(?:\si)?"
    r"|(?:(?:my|the|their|his|her)\s)?(?:(?:most\slikely|final|best)\s)?"
    r"(?:answer|response|choice|rating|reply)(?:\s(?:is|would\sbe|would\slikely\sbe))?)(?::\s?|\s)",
    re.IGNORECASE,
)
_FIGURE = re.compile(
    rf"\+?({NUMBER})(?:\s?%|\s(?:percent|points?|dollars?|usd|hours?|years?|days?))?", re.IGNORECASE
)
_WITH_LABEL = re.compile(
    rf"\A(?:(?P<before>{NUMBER})(?:\s?[-–—:=.,)(]{{1,2}}\s?|\s(?:means\s|is\s)?)(?P<label>\S.{{0,700}})"
    rf"|(?P<named>\S.{{0,700}}?)\s?[-–—:=(,]\s?\(?(?P<after>{NUMBER}))\Z",
    re.IGNORECASE | re.DOTALL,
)
_BREAK = re.compile(r"\s?[,;:(—–]|\s-\s|\s(?:because|since)\b", re.IGNORECASE)
_OPENING = re.compile(
    rf"\A['(\[\s]{{0,3}}(?P<number>{NUMBER})(?![\w%]|[-–]\w|[.,:]\d)[')\]]{{0,2}}"
    r"(?:\s?[(;:—–]|,(?!\s?\d)|\s-\s|\s(?:because|since)\b)",
    re.IGNORECASE,
)


def read_answer(text: str, scale: Scale) -> Reading:
    """The value of `scale` in the raw answer `text`.

    Pure, and raises nothing for any text. Steps in order: the whole text; what is marked as final; a number or a label
    alone in a line or sentence; one that opens a line; one that is named as the answer. If a step finds several values,
    the answer is unreadable.
    """
    answer = _plain(text)
    if not answer:
        return Reading(None, "The answer is empty.")
    labelled = _with_labels(scale)
    if whole := next(_alone(answer, labelled), None):
        return whole
    pieces = tuple(dict.fromkeys(_pieces(answer)))
    final = [reading for piece in pieces if _FINAL.search(piece) for reading in _named(piece, labelled)]
    if final:
        return final[-1]
    for step in (_alone, _opening, _named):
        readings = {reading.value: reading for piece in pieces for reading in step(piece, labelled)}
        if len(readings) > 1:
            return Reading(None, "The text names several values.")
        if readings:
            return readings.popitem()[1]
    return Reading(None, "The text names no value of the scale as its answer.")


def _plain(text: str) -> str:
    """The answer without thoughts, later turns, markup, quotation marks and invisible characters."""
    # Digits of other scripts, such as ３, are digits to \d and int(), but not to NUMBER.
    text = _OTHER_DIGIT.sub(lambda digit: str(int(digit[0])), _INVISIBLE.sub("", text))
    text = _THOUGHTS.sub("", text).replace("’", "'").replace("‘", "'").replace("−", "-")
    turns = [turn for turn in _NEXT_TURN.split(f"\n{text}\n") if turn.strip()]
    marked = _MARKED.sub(r"\nfinal answer: \1\2\n", turns[0] if turns else "")
    return _DECORATION.sub("", _TAG.sub("\n", marked)).replace("e.g.", "for example").strip()


def _pieces(answer: str) -> Iterator[str]:
    """Lines, cut into sentences; the number of a list item stays with the item, even if the item is cut off."""
    for line in filter(str.strip, dict.fromkeys(answer.splitlines())):
        begun = ""
        for sentence in re.split(r"(?<=[.!?])\s+", line.strip()):
            begun = f"{begun} {sentence}".strip()
            if not re.fullmatch(r"\W{0,3}1[.)]|\W{0,3}\d{1,3}[.)](?=.)", begun):
                yield begun
                begun = ""


def _alone(piece: str, labelled: _LabelledScale) -> Iterator[Reading]:
    """A piece that is a number, a label, or a number next to its label, and nothing else."""
    bare = piece.strip(_EDGES) if len(piece) <= _LONGEST else ""
    # Where no value is negative, the dash of "- 5" marks an item of a list.
    if labelled.scale.low is None or labelled.scale.low >= 0:
        bare = re.sub(r"\A-\s+", "", bare)
    bare = re.sub(r"\Aoption\s", "", bare, flags=re.IGNORECASE)
    by_label = labelled.labels.get(_key(bare)) if bare else None
    figure = _FIGURE.fullmatch(_out_of_highest(bare, labelled.scale))
    if figure and (by_label is None or (bare.isdigit() and _is_on(number(figure[1]), labelled))):
        yield _reading(number(figure[1]), labelled)
    elif by_label is not None:
        yield Reading(by_label, f"The answer is the label of {number_text(by_label)}.")
    elif bare.casefold() in _WORDS:
        yield _reading(_WORDS.index(bare.casefold()), labelled)
    elif both := _WITH_LABEL.match(bare):
        yield from _with_label(both["before"] or both["after"], both["label"] or both["named"], labelled)


def _with_label(figure: str, label: str, labelled: _LabelledScale) -> Iterator[Reading]:
    value = labelled.labels.get(_key(label))
    if value == number(figure):
        yield _reading(value, labelled)
    elif value is not None:
        yield Reading(None, f"The number {figure} and the label {label!r} disagree.")


def _opening(piece: str, labelled: _LabelledScale) -> Iterator[Reading]:
    """A number or a label that opens a piece, before a comma, a bracket, a dash or a reason."""
    rest = _single(piece[:_LONGEST_SENTENCE], labelled.scale)
    if opened := _OPENING.match(rest):
        label = _opening_label(rest[opened.end() :], labelled)
        yield from (
            _with_label(opened["number"], label, labelled)
            if label
            else [_reading(number(opened["number"]), labelled)]
        )
    elif label := _opening_label(piece, labelled):
        yield Reading(labelled.labels[_key(label)], f"The answer opens with the label {label!r}.")


def _opening_label(piece: str, labelled: _LabelledScale) -> str:
    """The longest label that `piece` is or opens with before a break, or an empty text."""
    breaks = [match.start() for match in islice(_BREAK.finditer(piece), 5)]
    heads = [piece[:end] for end in (*breaks, len(piece)) if end <= _LONGEST]
    return next((head for head in reversed(heads) if _key(head) in labelled.labels), "")


def _named(piece: str, labelled: _LabelledScale) -> Iterator[Reading]:
    """Numbers and labels that a piece calls its answer; an example names none."""
    if len(piece) > _LONGEST_SENTENCE or re.search(r"\bexample\b", piece, re.IGNORECASE):
        return
    single = _single(piece, labelled.scale)
    for named in _NAMED.finditer(single):
        label = _opening_label(single[named.end() :].lstrip(_EDGES), labelled)
        yield from (
            _with_label(named["number"], label, labelled)
            if label
            else [_reading(number(named["number"]), labelled)]
        )
    lead_in = _LEAD_IN.match(piece)
    if lead_in and (label := _opening_label(piece[lead_in.end() :], labelled)):
        yield Reading(labelled.labels[_key(label)], f"The label {label!r} is named as the answer.")


def _single(piece: str, scale: Scale) -> str:
    """The piece without ranges, lists and alternatives, which name no single value."""
    return _SEVERAL.sub("…", _out_of_highest(piece, scale))


def _out_of_highest(piece: str, scale: Scale) -> str:
    """The piece with "3 out of 7" and "3/7" as "3", on a scale up to 7."""
    if scale.high is None:
        return piece
    return re.sub(rf"\s?(?:/|\bout\sof\b)\s?{re.escape(number_text(scale.high))}(?!\w|[./]\d)", "", piece)


def _reading(value: Number, labelled: _LabelledScale) -> Reading:
    if _is_on(value, labelled):
        return Reading(value, f"The answer is the number {number_text(value)}.")
    return Reading(None, f"{number_text(value)} is not on the scale.")


def _is_on(value: Number, labelled: _LabelledScale) -> bool:
    scale = labelled.scale
    if scale.kind == "enum_labels":
        return value in labelled.listed
    if scale.low is not None and scale.high is not None and not scale.low <= value <= scale.high:
        return False
    start = 0 if scale.kind == "multiple" or scale.low is None else scale.low
    steps = (value - start) / scale.step
    return abs(steps - round(steps)) < 1e-6


def _key(label: str) -> str:
    return " ".join(
        _DECORATION.sub("", label).replace("’", "'").replace("‘", "'").casefold().strip(_EDGES).split()
    )


@lru_cache(maxsize=64)
def _with_labels(scale: Scale) -> _LabelledScale:
    """The scale with its labels by `_key`; labels that differ only in case, quotes or spacing are left out."""
    keys = Counter(_key(label) for _, label in scale.labels)
    labels = {key: value for value, label in scale.labels if keys[key := _key(label)] == 1 and key}
    return _LabelledScale(scale, labels, frozenset(value for value, _ in scale.labels))
