"""Answers listed in reverse order: what a person reads changes, what a value means does not."""

import re
from typing import Literal

from socrates_core.errors import UserError
from socrates_core.records import Scale
from socrates_core.scales import parse_scale
from socrates_core.scales.instructions import instruction_start
from socrates_core.scales.rendering import number_text
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import CellKey, texts_of

Order = Literal["as written", "reversed"]


def reversed_texts(draft: Draft) -> dict[CellKey, str]:
    """What every cell shows with its answers in reverse order, where the text allows it.

    Raises UserError where no outcome's text allows it.
    """
    texts = texts_of(draft)
    turned = {
        cell: reverse_order(text, draft.outcomes[cell[1]].scale.scale()) or text
        for cell, text in texts.items()
    }
    if turned == texts:
        raise UserError("No outcome of this draft lists answers that can be reversed. Leave out that order.")
    return turned


def reverse_order(stimulus: str, scale: Scale) -> str | None:
    """The stimulus with the ends of its range, and its labelled values, named in reverse order.

    "from 1 to 7, where 1 means Never and 7 means Always" becomes "from 7 to 1, where 7 means Always and 1 means
    Never"; "1 for Yes or 2 for No" becomes "2 for No or 1 for Yes". Every other word stays. None where the text has
    no reverse: an open number has no order, "1 if ..., up to 5 if ..." has only one, and a text that would no longer
    be read as `scale` is not shown.
    """
    start = instruction_start(stimulus)
    if start is None or scale.is_open or scale.kind == "if_upto":
        return None
    turned = dict(zip(scale.labels, reversed(scale.labels), strict=True))
    instead = {number_text(value): number_text(other) for (value, _), (other, _) in turned.items()}
    if scale.kind != "enum_labels" and scale.low is not None and scale.high is not None:
        low, high = number_text(scale.low), number_text(scale.high)
        instead |= {low: high, high: low}
    instead |= {label: other for (_, label), (_, other) in turned.items()}
    # A pattern takes its first alternative that fits: "10" has to be tried before "1".
    longest_first = sorted(map(re.escape, instead), key=len, reverse=True)
    pattern = re.compile(rf"(?<![\w.])(?:{'|'.join(longest_first)})(?!\w|\.\d)")
    # In one pass: with one replacement after the other, a swap would undo itself.
    reversed_ = stimulus[:start] + pattern.sub(lambda found: instead[found[0]], stimulus[start:])
    return reversed_ if reversed_ != stimulus and parse_scale(reversed_) == scale else None
