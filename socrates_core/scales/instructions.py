"""Reads the scale from a response instruction, as SocSci210 and survey authors word them.

The last "Only return" of a text begins its instruction. Only the last LONGEST characters of a text are read, and every
pattern has bounded repeats, so any text takes a few milliseconds at most.
"""

import re
from functools import lru_cache
from itertools import pairwise

from socrates_core.records import Number, Scale, parse_number
from socrates_core.scales.labels import NUMBER, find_labels, number, starts_with_label

LONGEST = 4_000  # characters of an instruction; the longest known one of SocSci210 has 260
_AFTER = 50  # characters that may follow an instruction: closing quotation marks and spaces
_BEGIN = re.compile(r"\bOnly\s{1,2}return(?!\w)")
_BEGIN_INSIDE = re.compile(r"\bonly\s{1,2}return(?!\w)", re.IGNORECASE)
_HEAD = 300  # characters within which an instruction names its bounds
_SHORT_LABEL = r"(?:\s?[(\[]([^()\[\]]{1,300}(?:[(\[][^()\[\]]{1,100}[)\]][^()\[\]]{0,300}){0,3})[)\]])?"
_UNIT = r"(?:\s?[%€£$]|\s(?!(?:to|and|or|through|up|where)\b)[a-z]{2,12})?"
_UPPER = rf"({NUMBER})(?:\s?[%€£$])?{_SHORT_LABEL}"
_FROM_TO = re.compile(
    rf"\b(?:from|between)\s{{1,2}}({NUMBER}){_UNIT}{_SHORT_LABEL}\s?(?:to|and|through|up\sto|[-–—])\s?{_UPPER}",
    re.IGNORECASE,
)
_TO = re.compile(rf"({NUMBER})%?{_SHORT_LABEL}\s?(?:to|through|[-–—])\s?{_UPPER}", re.IGNORECASE)
_MULTIPLE = re.compile(rf"\bmultiples?\sof\s({NUMBER})", re.IGNORECASE)
_COUNTS = {"a": 1, "one": 1, "1": 1, "two": 2, "2": 2, "three": 3, "3": 3}
_DECIMALS = re.compile(
    r"\b(one|two|three|[123]|a(?=\ssingle))\s(?:single\s)?(?:decimals?|digits?\safter\sthe\s(?:decimal\s)?point)\b",
    re.IGNORECASE,
)
_NEAREST = re.compile(r"\bnearest\s(?:one\s)?(tenth|hundredth|half|quarter)\b", re.IGNORECASE)
_NEAR = {"tenth": 0.1, "hundredth": 0.01, "half": 0.5, "quarter": 0.25}
_NO_DECIMALS = re.compile(
    r"\b(?:no|without|not\suse)\s(?:any\s)?decimals?\b|\binteger\b|\bwhole\snumber", re.IGNORECASE
)
_FRACTIONS = re.compile(r"\bdecimals?\b|\bfractions?\b", re.IGNORECASE)
_LABELS = re.compile(r"\bwhere\b|\bmeans\b|\bnothing\selse\b", re.IGNORECASE)
_STEPS = re.compile(rf"\bin\s(?:steps|increments)\sof\s({NUMBER})", re.IGNORECASE)
_NUMBER = re.compile(NUMBER, re.IGNORECASE)
_LIST = re.compile(rf"{NUMBER}(?:,?\s{{0,2}}(?:and|or)\s{NUMBER}|,\s?{NUMBER}){{1,1000}}", re.IGNORECASE)
_LARGE = re.compile(r"\s?(?:thousand|million|billion)\b", re.IGNORECASE)
_BOUNDED = re.compile(rf"\bscale\b|{NUMBER}.{{1,80}}?{NUMBER}", re.IGNORECASE)
_OPEN = re.compile(
    r"\b(?:integer|number|amount|percentage|percent|value|count|figure|dollars|age|year)\b", re.IGNORECASE
)


def instruction_start(text: str) -> int | None:
    """Where the response instruction of `text` begins; None if it has none.

    At the last "Only return", or else at the last "only return" inside a sentence. It has to begin within the last
    LONGEST characters.
    """
    window = max(0, len(text) - LONGEST - _AFTER)
    starts = [match.start() for match in _BEGIN.finditer(text, window)]
    starts = starts or [match.start() for match in _BEGIN_INSIDE.finditer(text, window)]
    return starts[-1] if starts else None


def parse_scale(text: str) -> Scale | None:
    """The scale of a response instruction or of a whole stimulus; None if there is none to read.

    Pure, and raises nothing for any text. Bounds are in rising order even if the text names the higher one first.
    Labels lose the quotes around them and closing punctuation.
    """
    start = instruction_start(text)
    return None if start is None else _read(text[start + len("only return") :])


@lru_cache(maxsize=4096)  # thousands of stimuli end in the same few instructions
def _read(body: str) -> Scale | None:
    first = _NUMBER.search(body, 0, _HEAD)
    if first is None:
        return _open(body)
    return (
        # First, because "a multiple of 5 from 0 to 100" is also a range, with another step.
        _multiple(body)
        or _from_to(body, first)
        or _listed(body, first)
        or _equal_steps(body, first)
        or _open(body)
    )


def _multiple(body: str) -> Scale | None:
    """ "a multiple of 100 between A and B", "from A to B in multiples of 100", or one without bounds."""
    named = _MULTIPLE.search(body, 0, _HEAD)
    if named is None or (step := number(named[1])) <= 0:
        return None
    window = named.end(), named.end() + _HEAD
    bounds = (
        _FROM_TO.search(body, *window) or _TO.search(body, *window) or _FROM_TO.search(body, 0, named.start())
    )
    if bounds is None:
        return Scale("open_integer", step=step)
    scale = _range(body, bounds)
    return Scale("multiple", scale.low, scale.high, step, scale.labels) if scale else None


def _from_to(body: str, first: re.Match[str]) -> Scale | None:
    """ "from A to B", "between A and B" or "A-B", unless a labelled number comes before."""
    bounds = _FROM_TO.search(body, 0, _HEAD + 900)
    if bounds is None or bounds.start(1) > first.start():
        if starts_with_label(body, first.start()):
            return None
        bounds = _TO.match(body, first.start()) or bounds
    return _range(body, bounds) if bounds else None


def _range(body: str, bounds: re.Match[str]) -> Scale | None:
    low, high = sorted((number(bounds[1]), number(bounds[3])))
    if low == high or _LARGE.match(body, bounds.end(3)):
        return None
    labels: dict[Number, str] = {}
    end = bounds.end(3)
    # "from 1 (A) to 5 (B)"; brackets after the upper bound alone mean something else: "(inclusive)".
    if bounds[2]:
        ends = (number(bounds[1]), bounds[2]), (number(bounds[3]), bounds[4] or "")
        labels = {value: text for value, label in ends if (text := label.strip(" '\"‘’“”"))}
        end = bounds.end()
    for item in find_labels(body, end, low, high):
        labels.setdefault(item.value, item.label)
    named = _STEPS.search(body, end, end + 60)
    step = number(named[1]) if named else _decimal_step(body[: bounds.start()], body[end : end + 60])
    if step is None:
        return None
    return Scale("range", low, high, step or 1, tuple(sorted(labels.items())))


def _decimal_step(before: str, after: str) -> Number | None:
    """The step in the words around the bounds: 0.1 for "with one decimal"; 1 if they say nothing.

    None if they allow decimals but do not say how many.
    """
    words = f"{before} | {_LABELS.split(after)[0]}"
    if _NO_DECIMALS.search(words):
        return 1
    if decimals := _DECIMALS.search(words):
        return round(0.1 ** _COUNTS[decimals[1].lower()], 3)
    if nearest := _NEAREST.search(words):
        return _NEAR[nearest[1].lower()]
    return None if _FRACTIONS.search(words) else 1


def _listed(body: str, first: re.Match[str]) -> Scale | None:
    """ "1 for A or 2 for B", "1 if A, up to 5 if B", "from 1 = A to 5 = B"."""
    items = find_labels(body, first.start()) if starts_with_label(body, first.start()) else []
    if len(items) < 2:
        return None
    labels = tuple(sorted((item.value, item.label) for item in items))
    low, high = labels[0][0], labels[-1][0]
    if any(item.up_to for item in items):
        return Scale("if_upto", low, high, labels=labels)
    ranged = body[: first.start()].rstrip().lower().endswith(("from", "between"))
    return Scale("range" if ranged else "enum_labels", low, high, labels=labels)


def _equal_steps(body: str, first: re.Match[str]) -> Scale | None:
    """ "1, 2 or 3", if the numbers rise in equal steps."""
    listed = _LIST.match(body, first.start())
    if listed is None:
        return None
    values = [number(match[0]) for match in _NUMBER.finditer(listed[0])]
    steps: set[Number] = {round(after - before, 9) for before, after in pairwise(values)}
    # There is no step if the list is one number with its thousands apart.
    if len(steps) != 1 or (step := steps.pop()) <= 0:
        return None
    labels = find_labels(body, listed.end(), values[0], values[-1])
    pairs = tuple(sorted((item.value, item.label) for item in labels))
    return Scale("range", values[0], values[-1], parse_number(str(step)), pairs)


def _open(body: str) -> Scale | None:
    """A number without bounds; None if two numbers or the word "scale" point to bounds that were not read."""
    named = _OPEN.search(body, 0, 80) and not _BOUNDED.search(body.partition("nothing else")[0], 0, _HEAD)
    return Scale("open_integer") if named else None
