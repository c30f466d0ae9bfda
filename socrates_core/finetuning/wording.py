"""What a model is asked to write a rationale, and what of its text can be used. The request shows the true answer."""

import re
from collections.abc import Mapping

from socrates_core.personas import render_profile
from socrates_core.records import Prompt, Scale, parse_number

WORDING = "rationale-v1"
SYSTEM = (
    'You are a survey respondent who explains an answer. You speak of yourself as "I", in plain sentences, and write '
    "nothing else."
)
_USER = """You are a survey respondent with the following demographic profile:
{profile}

This is what you read and were asked:
{stimulus}

You answered: {answer}

In two or three sentences, tell what went through your mind right before you answered, so that it leads to this \
answer. Begin with "I". Do not say the answer itself: no number and no name of an option."""
MOST_SENTENCES = 3
_FAULTS = (
    ("```", "holds a code fence"),
    ("<|", "holds marks of a chat template"),
    ("Answer:", "holds the word that stands before an answer"),
)
_WHOLE = re.compile(r".*[.!?][\"”'’)]*(?=\s|\Z)")  # what the last token broke off is left out
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_FIRST_PERSON = re.compile(r"\b(I|me|my|mine|myself|we|us|our)\b", re.IGNORECASE)
_OUTSIDE = re.compile(
    r"\b(survey respondent|demographic profile|language model|as an AI|an AI|two or three sentences)\b"
)


def render_request(
    demographics: Mapping[str, str | int], stimulus: str, scale: Scale, value: float
) -> Prompt:
    """What a model is asked, to write why this person gave the answer `value` on `scale` to the stimulus."""
    number = parse_number(value)
    label = scale.label(number)
    answer = f"{number} ({label})" if label else str(number)
    return Prompt(
        SYSTEM, _USER.format(profile=render_profile(demographics), stimulus=stimulus, answer=answer)
    )


def read_rationale(text: str, value: float) -> tuple[str, str]:
    """The first whole sentences of what a model wrote for the answer `value`; or none, with what is wrong with it."""
    for mark, fault in _FAULTS:
        if mark in text:
            return "", fault
    line = " ".join(text.split()).strip('*#"“” ')
    if not line:
        return "", "is empty"
    whole = _WHOLE.match(line)
    if whole is None:
        return "", "has no whole sentence"
    sentences = _SENTENCE_END.split(whole[0])[:MOST_SENTENCES]
    told = " ".join(sentences)
    if len({sentence.casefold() for sentence in sentences}) < len(sentences):
        return "", "repeats itself"
    number = re.escape(str(parse_number(value)))
    if re.search(rf"(?<![\w.,-]){number}(?!\w|[.,]\d)", told):
        return "", "names the answer"
    if _OUTSIDE.search(told):
        return "", "speaks of the request"
    if not _FIRST_PERSON.search(told):
        return "", "is not in the first person"
    return told, ""
