"""Checks a drafted scale, and says in a sentence what is wrong with it."""

import math
from itertools import pairwise

from socrates_core.errors import UserError, quoted
from socrates_core.records import MAX_LISTED, MAX_SCORED, Number, Scale
from socrates_core.scales.instructions import LONGEST, parse_scale
from socrates_core.scales.rendering import number_text, render_instruction

MAX_LABEL = 500
_LARGEST = 10**12


def check_scale(scale: Scale) -> None:
    """Raises UserError with the first reason why a scale cannot be asked, answered or read back."""
    for value in (scale.low, scale.high, scale.step, *(value for value, _ in scale.labels)):
        _check_number(value)
    _check_label_texts(scale)
    if scale.kind == "enum_labels":
        _check_options(scale)
    elif scale.kind == "open_integer":
        _check_open(scale)
    else:
        _check_bounds(scale)
    instruction = render_instruction(scale)
    if len(instruction) > LONGEST:
        raise UserError(
            f"The instruction has {len(instruction):,} characters with these labels; at most {LONGEST:,} can be "
            "read. Shorten the labels."
        )
    if parse_scale(instruction) != scale:
        raise UserError(_unreadable(scale))


def _check_number(value: Number | None) -> None:
    if value is None:
        return
    if not abs(value) < _LARGEST:  # also refuses nan
        raise UserError(
            f"{quoted(value)} cannot be a value of a scale. Use numbers between -1 and 1 million million."
        )
    if round(value, 9) != value:
        raise UserError(f"{value!r} has more than nine decimals. Round it.")


def _check_label_texts(scale: Scale) -> None:
    seen: dict[str, Number] = {}
    for value, label in scale.labels:
        number = number_text(value)
        if not label.strip():
            raise UserError(f"The label of {number} is empty. Write what {number} means or remove the label.")
        if label != label.strip():
            raise UserError(f"The label {quoted(label)} begins or ends with a space. Remove it.")
        if len(label) > MAX_LABEL:
            raise UserError(f"The label of {number} has {len(label):,} characters. Use at most {MAX_LABEL}.")
        words = " ".join(label.casefold().split())
        if words in seen:
            raise UserError(
                f"The label {quoted(label)} is used for both {number_text(seen[words])} and {number}. "
                "Labels must differ."
            )
        seen[words] = value
    values = [value for value, _ in scale.labels]
    for before, after in pairwise(values):
        if before == after:
            raise UserError(f"The value {number_text(after)} is listed twice. Values must differ.")


def _check_options(scale: Scale) -> None:
    if len(scale.labels) < 2:
        raise UserError(f"A list needs at least two options; this one has {len(scale.labels)}.")
    _check_count(len(scale.labels), MAX_SCORED)
    ends = scale.labels[0][0], scale.labels[-1][0]
    if (scale.low, scale.high) != ends:
        raise UserError(
            f"The options run from {ends[0]} to {ends[1]}, the scale from {scale.low} to {scale.high}. "
            "They must be the same."
        )


def _check_open(scale: Scale) -> None:
    if scale.low is not None or scale.high is not None:
        raise UserError("An open number has no lowest and highest value. Leave both empty or choose a range.")
    if scale.labels:
        raise UserError("An open number has no labels. Remove them or choose a range.")
    _check_step(scale)


def _check_step(scale: Scale) -> None:
    if scale.step <= 0:
        raise UserError(f"The step is {scale.step!r}; it must be greater than 0.")


def _check_bounds(scale: Scale) -> None:
    low, high = scale.low, scale.high
    if low is None or high is None:
        raise UserError(f"Fill in the {'lowest' if low is None else 'highest'} value.")
    if low >= high:
        raise UserError(
            f"The lowest value ({number_text(low)}) must be less than the highest ({number_text(high)})."
        )
    _check_step(scale)
    _check_count(math.floor((high - low) / scale.step + 1e-9) + 1, MAX_LISTED)
    values = scale.values
    if scale.kind == "multiple":
        if len(values) < 2:
            raise UserError(
                f"From {number_text(low)} to {number_text(high)} there are fewer than two multiples of "
                f"{number_text(scale.step)}. Widen the range or choose a smaller step."
            )
    elif values[-1] != high:
        raise UserError(
            f"Steps of {number_text(scale.step)} from {number_text(low)} miss the highest value "
            f"{number_text(high)}; they end at {number_text(values[-1])}."
        )
    _check_labelled(scale)


def _check_labelled(scale: Scale) -> None:
    allowed = set(scale.values)
    for value, label in scale.labels:
        if value not in allowed:
            raise UserError(
                f"The label {quoted(label)} is for {number_text(value)}, which is not a value of the scale."
            )
    if scale.kind == "if_upto" and not {scale.low, scale.high} <= {value for value, _ in scale.labels}:
        raise UserError("Say when to choose the lowest value and when the highest: both need a label.")


def _check_count(count: int, most: int) -> None:
    if count > most:
        raise UserError(f"The scale has {count:,} values. Use at most {most:,}, or an open number.")


def _unreadable(scale: Scale) -> str:
    for value, label in scale.labels:
        alone = Scale("enum_labels", value, value + 1, labels=((value, label), (value + 1, "x")))
        if parse_scale(render_instruction(alone)) != alone:
            return (
                f"The label {quoted(label)} cannot be told apart from the instruction around it. "
                "Leave out its quotation marks, and words such as 'Only return' or 'nothing else'."
            )
    return (
        "The labels cannot be told apart from the instruction around them. Leave out their quotation marks."
    )
