"""Whether answers given on several scales can be compared, and as what: as they are, by their place, or not at all."""

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
    """What answers on some scales can be compared as, with a sentence that says why where it is not the answers.

    "answers": same values, same labels. "positions": (answer - lowest) / (highest - lowest), since values or labels
    differ. "options": option by option, since the options have no order. "nothing": not at all.
    """

    basis: Basis
    reason: str = ""


def compare_scales(scales: Collection[Scale]) -> Alike:
    """What answers given on `scales` (one or more) can be compared as."""
    return _compared(tuple(dict.fromkeys(scales)), tuple(map(is_ordered, dict.fromkeys(scales))))


@lru_cache(maxsize=4096)
def _compared(scales: tuple[Scale, ...], ordered: tuple[bool, ...]) -> Alike:
    labels = [_labels(scale) for scale in scales]
    if not all(ordered):
        if not any(ordered) and all(told == labels[0] for told in labels):
            return Alike("options", "The options have no order, so shares are compared option by option.")
        return Alike("nothing", "The options have no order and differ between the conditions.")
    values = {(scale.values, scale.low, scale.high) for scale in scales}
    if len(values) == 1 and all(told == labels[0] for told in labels):
        return Alike("answers")
    if any(scale.is_open for scale in scales):
        return Alike("nothing", "One condition asks for any number and the other does not.")
    for first, second in combinations(scales, 2):
        if _is_turned(first, second):
            low, label, turned = first.values[0], first.label(first.values[0]), second.label(second.values[0])
            return Alike(
                "nothing",
                f"The scales run in opposite directions: {number_text(low)} is {label!r} in one condition and "
                f"{number_text(second.values[0])} is {turned!r} in the other.",
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
    """True where labels say that one scale runs the other way: the labels that both have lie in another order.

    Where the scales share fewer than two, their ends are compared by words: "strongly disagree" to "strongly agree"
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
    """Where each label lies, from 0 to 1."""
    low, high = float(scale.values[0]), float(scale.values[-1])
    return {words: (value - low) / ((high - low) or 1.0) for value, words in _labels(scale).items()}


def _in_common(first: tuple[str, ...], second: tuple[str, ...]) -> int:
    return len(set(first) & set(second))
