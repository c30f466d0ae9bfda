"""Whether the values of a scale have an order: the one place that decides it.

Options without an order (car, bus, bike) get no mean, no difference of means and no distance; their shares are
compared option by option. What a person set counts first (`Scale.ordered`). Otherwise ranges, multiples and open
numbers are ordered, and so is a list of two, whose mean is a share. A longer list of labels is ordered only if its
labels say so, since numbering names from 1 does not order them.
"""

import re
from functools import lru_cache

from socrates_core.records import Scale

_WORD = re.compile(r"[^\W\d_]+")
# Words that place an answer on a line from less to more, and the words of agreement, support, quality and frequency
# with which surveys name the steps of one (Vagias 2006, "Likert-type scale response anchors", Clemson University).
_GRADES = frozenset(
    _WORD.findall("""
    above absolutely after agree agreed agrees always approve average bad before below best better certain
    certainly completely confident conservative dangerous decrease decreased definitely difficult disagree
    disapproval disapprove dissatisfied easy entirely equally excellent extremely fair favor favorable favour
    favourable few fewer frequently good great greatly half hardly harmful helpful high higher highest
    important improve improved increase increased interested large larger least less liberal likely little
    lot low lower lowest many maximum medium mild mildly minimum moderate moderately more most mostly much
    negative neither neutral never no none occasionally often once oppose opposed over partly poor positive
    possibly probably quarter quite rarely really regularly safe same satisfied seldom serious several severe
    slight slightly small smaller some sometimes somewhat strong stronger strongly support totally true twice
    under unfair unfavorable unfavourable unimportant unlikely unsatisfied usually very weak weaker well
    worse worst yes
""")
)
_SET_APART = re.compile(
    r"^(?:some )?others?\b|\b(don'?t know|do not know|unsure|not sure|no opinion|prefer not|refused?|rather not"
    r"|not applicable|n/a|none of (?:the|these)|someone else|something else)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\d[\d.,]*")
_NAMED = re.compile(r"[^\d$€£]*[^\W\d_]\s+\d{1,2}")
_MOST = 2 / 3  # of the labels have to be graded


def is_ordered(scale: Scale) -> bool:
    """Whether higher values of the scale mean more of something, so that means and distances make sense."""
    if scale.ordered is not None:
        return scale.ordered
    if scale.kind != "enum_labels" or len(scale.labels) < 3:
        return True
    return _are_graded(tuple(text for _, text in scale.labels))


@lru_cache(maxsize=4096)
def _are_graded(labels: tuple[str, ...]) -> bool:
    """Whether labels in the order of their values read as steps, most of them by numbers or grading words."""
    texts = [text.replace("’", "'") for text in labels if text.strip()]
    if not texts:
        return True  # numbers alone
    if any(_SET_APART.search(text) for text in texts):
        return False
    graded = [_grade(text) for text in texts]
    # Steps differ in their grade: "mostly by people" and "mostly by nature" are not one above the other.
    return sum(map(bool, graded)) >= _MOST * len(texts) and len(set(graded)) == len(graded)


def _grade(text: str) -> frozenset[str]:
    """The grading words and amounts of a label; a number after a name ("Candidate 2") is part of the name."""
    words = {word.lower() for word in _WORD.findall(text)} & _GRADES
    amounts = set() if _NAMED.fullmatch(text.strip()) and not words else set(_AMOUNT.findall(text))
    return frozenset(words | amounts)
