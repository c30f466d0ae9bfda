"""What a study's conditions vary, worked out from their names and texts: factors with levels, and short labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import reduce
from itertools import combinations, pairwise
from math import prod

from socrates_core.corpus.text_vectors import SILENT, fold
from socrates_core.records import Factor

# The names of conditions that the data only number.
NUMBERED = re.compile(r"(?:condition|arm|group|treatment|version) \d+", re.IGNORECASE)
LEAST_COMMON = (
    0.4  # of a text's words, that all texts must have in common for their differences to be factors
)
MOST_FACTORS = 4
MOST_WORDS = 7  # in a label
MOST_TEXTS = 30  # of one condition, that are compared
BRIDGE = 2  # words in common that do not end a difference
COUNTS = {"four", "five", "six", "seven", "eight", "nine", "ten"}
GAP = "\x00"  # what differs between the texts of one condition
NO_TEXT = "no text"
NOTHING_ADDED = "nothing added"
_TOKEN = re.compile(r"\S+")
_MARKS = " .,;:?!'\"“”’()"


@dataclass(frozen=True)
class Arms:
    """The conditions of a study in order: a label each, and the factors that they cross, if they do.

    A factor's name lists its levels, as in "Benefits or Costs". `labels_worked_out` says whether the labels are ours.
    """

    labels: dict[int, str]
    factors: tuple[Factor, ...]
    labels_worked_out: bool


def read_arms(names: Mapping[int, str], texts: Mapping[int, Sequence[str]]) -> Arms:
    """The arms of a study from the names of its conditions and every text that each was shown."""
    numbers = list(names)
    if len(numbers) == 1 or not all(NUMBERED.fullmatch(name) for name in names.values()):
        return Arms(dict(names), factors_of_names(list(names.values())), False)
    tokens = [_in_common(texts[number]) for number in numbers]
    factors = factors_of_texts(tokens) if len(numbers) > 3 else ()
    if factors:
        levels = zip(*(factor.level_of_condition for factor in factors), strict=True)
        labels = [", ".join(level) for level in levels]
    else:
        labels = _labels(tokens)
    if any(not label for label in labels) or len(set(labels)) < len(labels):
        return Arms(dict(names), factors, False)
    return Arms(dict(zip(numbers, labels, strict=True)), factors, True)


def factors_of_names(names: Sequence[str]) -> tuple[Factor, ...]:
    """The factors that names such as "Costs, Latino" cross; () if they do not cross any in full."""
    parts = [tuple(part.strip() for part in name.split(", ")) for name in names]
    n_parts = {len(part) for part in parts}
    if len(n_parts) != 1 or n_parts == {1}:
        return ()
    columns = list(zip(*parts, strict=True))
    return _crossed(columns, len(names))


def factors_of_texts(texts: Sequence[Sequence[str]]) -> tuple[Factor, ...]:
    """The factors that texts cross, by what differs between them; () if they do not cross any in full."""
    by_partition: dict[tuple[int, ...], tuple[str, ...]] = {}
    for slot in _slots(texts):
        if _says_something(slot):
            values = [fold(value) for value in slot]
            by_partition.setdefault(tuple(values.index(value) for value in values), slot)
    candidates = [slot for slot in by_partition.values() if 1 < len(set(slot)) < len(texts)]
    for n in range(2, MOST_FACTORS + 1):
        for chosen in combinations(candidates[:12], n):
            crossed = _crossed(
                [tuple(_shortened(value) or "none" for value in slot) for slot in chosen], len(texts)
            )
            if crossed:
                return crossed
    return ()


def _crossed(columns: Sequence[tuple[str, ...]], n: int) -> tuple[Factor, ...]:
    """The columns as factors if they have two levels or more and each combination is one of `n` conditions."""
    n_levels = [len(set(column)) for column in columns]
    if min(n_levels) < 2 or prod(n_levels) != n or len(set(zip(*columns, strict=True))) != n:
        return ()
    return tuple(Factor(" or ".join(dict.fromkeys(column)), column) for column in columns)


def _says_something(slot: Sequence[str]) -> bool:
    words = {word for value in slot for word in re.findall(r"\w+", fold(value))}
    return bool({word for word in words if not word.isdigit()} - SILENT - COUNTS)


def _in_common(texts: Sequence[str]) -> list[str]:
    """The words that all texts of a condition have, in order."""
    distinct = list(dict.fromkeys(texts))[:MOST_TEXTS]
    return reduce(_common, (_TOKEN.findall(text) for text in distinct))


def _common(first: list[str], second: list[str]) -> list[str]:
    """The words in common, with a gap where the texts differ."""
    words = list[str]()
    end = 0
    for block in alike(first, second).get_matching_blocks():
        if block.a > end and words[-1:] != [GAP]:
            words.append(GAP)
        words += first[block.a : block.a + block.size]
        end = block.a + block.size
    return words


def alike(first: Sequence[str], second: Sequence[str]) -> "SequenceMatcher[str]":
    """Matches the words of two texts, whatever the case and the marks around them."""
    bare, other = ([word.casefold().strip(_MARKS) or word for word in text] for text in (first, second))
    return SequenceMatcher(None, bare, other, autojunk=False)


def _slots(texts: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """The places where texts differ, each with what the texts have there; [] if they have too little in common."""
    first = texts[0]
    places: list[dict[int, int]] = []
    for text in texts:
        blocks = alike(first, text).get_matching_blocks()
        places.append({block.a + at: block.b + at for block in blocks for at in range(block.size)})
    anchors = [at for at in range(len(first)) if all(at in place for place in places)]
    if len(anchors) < LEAST_COMMON * min(map(len, texts)):
        return []
    edges = [
        [-1, *(place[at] for at in anchors), len(text)] for place, text in zip(places, texts, strict=True)
    ]
    slots = list[tuple[str, ...]]()
    start = 0
    while start <= len(anchors):
        stop = start + 1
        values = _between(texts, edges, start, stop)
        while len(set(values)) > 1:
            # A word or two in common does not end a difference.
            nearby = range(stop + 1, min(stop + BRIDGE, len(anchors) + 1) + 1)
            further = [end for end in nearby if len(set(_between(texts, edges, end - 1, end))) > 1]
            if not further:
                break
            stop = further[0]
            values = _between(texts, edges, start, stop)
        if len(set(values)) > 1:
            slots.append(values)
        start = stop
    return slots


def _between(
    texts: Sequence[Sequence[str]], edges: Sequence[Sequence[int]], start: int, stop: int
) -> tuple[str, ...]:
    """What each text has between two of the words in common."""
    return tuple(
        " ".join(text[edge[start] + 1 : edge[stop]]) for text, edge in zip(texts, edges, strict=True)
    )


def _labels(texts: Sequence[Sequence[str]]) -> list[str]:
    """For each text the first words that tell it from the text most like it."""
    labels = []
    for at, text in enumerate(texts):
        matchers = [alike(text, other) for place, other in enumerate(texts) if place != at]
        if not text:
            labels.append(NO_TEXT)
        elif matchers:
            labels.append(_first_difference(text, max(matchers, key=lambda matcher: matcher.ratio())))
    return labels


def _first_difference(text: Sequence[str], matcher: "SequenceMatcher[str]") -> str:
    blocks = matcher.get_matching_blocks()
    kept = [block for block in blocks[:-1] if block.size > BRIDGE]
    ends = [0, *(end for block in kept for end in (block.a, block.a + block.size)), len(text)]
    pieces = [text[start:end] for start, end in list(pairwise(ends))[::2]]
    runs = [run.strip() for piece in pieces for run in " ".join(piece).split(GAP)]
    telling = next((run for run in runs if _says_something([run])), "")
    if not telling and len(text) > MOST_WORDS and sum(block.size for block in blocks) > 0.9 * len(text):
        return NOTHING_ADDED
    return _shortened(telling or " ".join(text))


def _shortened(text: str) -> str:
    """The first words, up to the first mark that follows two of them or more."""
    # Without a conjunction or the number of an item in front.
    text = re.sub(r"^(?:(?:and|but|or) |\d+\)\W+)", "", text.replace(GAP, "…").strip(_MARKS))
    first = re.split(r"[,;:.]\s|\s\(", text, maxsplit=1)[0]
    words = (first if len(first.split()) > 1 else text).strip(_MARKS).split()
    cut = " ".join(words[:MOST_WORDS])
    return cut + " …" if len(words) > MOST_WORDS else cut
