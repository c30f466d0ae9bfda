"""Whether answers on several scales can be compared: as they are, by their place on the scale, or not at all."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Literal

from socrates_core.records import Scale
from socrates_core.scales.order import is_ordered
from socrates_core.scales.rendering import number_text

Basis = Literal["answers", "positions", "options", "nothing"]
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Alike:
    """How answers on some scales can be compared, with a sentence that says why if not as they are.

    "answers": same values, same labels. "positions": (answer - lowest) / (highest - lowest), since values or labels
    differ. "options": option by option, since options have no order. "nothing": not at all.
    """

    basis: Basis
    reason: str = ""


def compare_scales(scales: Collection[Scale]) -> Alike:
    """How answers on `scales` (one or more) can be compared."""
    different = tuple(dict.fromkeys(scales))
    # The orders are an argument, since scales that differ only in `ordered` are equal: the cache would mix them up.
    return _compared(different, tuple(map(is_ordered, different)))


@lru_cache(maxsize=4096)
def _compared(scales: tuple[Scale, ...], ordered: tuple[bool, ...]) -> Alike:
    labels = [_labels(scale) for scale in scales]
    if not all(ordered):
        if not any(ordered) and all(other == labels[0] for other in labels):
            return Alike("options", "The options have no order, so shares are compared option by option.")
        return Alike("nothing", "The options have no order and differ between the conditions.")
    values = {(scale.values, scale.low, scale.high) for scale in scales}
    if len(values) == 1 and all(other == labels[0] for other in labels):
        return Alike("answers")
    if any(scale.is_open for scale in scales):
        return Alike("nothing", "One condition asks for any number and the other does not.")
    for first, second in combinations(scales, 2):
        if _is_turned(first, second):
            low = first.values[0]
            other_low = second.values[0]
            return Alike(
                "nothing",
                f"The scales run in opposite directions: {number_text(low)} is {first.label(low)!r} in one condition "
                f"and {number_text(other_low)} is {second.label(other_low)!r} in the other.",
            )
    if len({scale.values for scale in scales}) == 1:
        return Alike(
            "positions",
            "The labels of the scale differ, so answers are compared by their place on it (0 to 1).",
        )
    ends = " and ".join(
        f"{number_text(low)} to {number_text(high)}"
        for low, high in dict.fromkeys((scale.values[0], scale.values[-1]) for scale in scales)
    )
    return Alike(
        "positions", f"The scales differ ({ends}), so answers are compared by their place on them (0 to 1)."
    )


def _labels(scale: Scale) -> dict[float, tuple[str, ...]]:
    """The words of each label, case and punctuation aside."""
    return {float(value): _words(text) for value, text in scale.labels if text.strip()}


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text.casefold()))


def _is_turned(first: Scale, second: Scale) -> bool:
    """Whether labels say that one scale runs the other way: the labels that both have are in another order.

    If the scales share fewer than two labels, their ends are compared by words: "strongly disagree" to "strongly agree"
    has more in common with "completely agree" to "completely disagree" crosswise than straight.
    """
    ours, theirs = _places(first), _places(second)
    shared = [(ours[text], theirs[text]) for text in ours if text in theirs]
    if len(shared) > 1:
        return any((a - b) * (c - d) < 0 for (a, c), (b, d) in combinations(shared, 2))
    low, high = (_words(first.label(first.values[at])) for at in (0, -1))
    their_low, their_high = (_words(second.label(second.values[at])) for at in (0, -1))
    return _in_common(low, their_high) + _in_common(high, their_low) > (
        _in_common(low, their_low) + _in_common(high, their_high)
    )


def _places(scale: Scale) -> dict[tuple[str, ...], float]:
    """The place of each label, from 0 to 1."""
    low, high = float(scale.values[0]), float(scale.values[-1])
    return {words: (value - low) / ((high - low) or 1.0) for value, words in _labels(scale).items()}


def _in_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    return len(set(first) & set(second))
