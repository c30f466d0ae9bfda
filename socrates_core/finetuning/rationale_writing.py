"""How a model writes rationales: what it is asked, how it is asked, and what of its text can be used.

The request shows the true answer. The model is on this machine or behind an OpenAI-compatible server.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import Responder
from socrates_core.models.reasoning import N_TOKENS
from socrates_core.models.served.ask import N_TRIES, TIMEOUT, Connection, Reply
from socrates_core.models.served.asking import Round, Sent
from socrates_core.models.served.elicit import Ask, Elicited, Elicitor
from socrates_core.models.served.prices import most_tokens
from socrates_core.models.served.read import read_texts
from socrates_core.models.served.responder import AT_ONCE, ApiResponder
from socrates_core.personas import render_profile
from socrates_core.records import (
    PAPER_TEMPERATURE,
    PAPER_TOP_P,
    Answer,
    Prompt,
    Question,
    Scale,
    parse_number,
)

# The version of the request's wording, which the manifest of the rationales keeps: change both together.
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
_WHOLE = re.compile(r".*[.!?][\"”'’)]*(?=\s|\Z)")  # leaves out a sentence that the token limit cut off
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_FIRST_PERSON = re.compile(r"\b(I|me|my|mine|myself|we|us|our)\b", re.IGNORECASE)
_OUTSIDE = re.compile(
    r"\b(survey respondent|demographic profile|language model|as an AI|an AI|two or three sentences)\b"
)
_NO_ANSWER = Answer(np.empty(0), 0.0)


def render_request(
    demographics: Mapping[str, str | int], stimulus: str, scale: Scale, value: float
) -> Prompt:
    """Asks a model to write why this person answered the stimulus with `value` on `scale`."""
    number = parse_number(value)
    label = scale.label(number)
    answer = f"{number} ({label})" if label else str(number)
    return Prompt(
        SYSTEM, _USER.format(profile=render_profile(demographics), stimulus=stimulus, answer=answer)
    )


def read_rationale(text: str, value: float) -> tuple[str, str]:
    """The first whole sentences that a model wrote for the answer `value`, and ""; or "" and what is wrong."""
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
    rationale = " ".join(sentences)
    if len({sentence.casefold() for sentence in sentences}) < len(sentences):
        return "", "repeats itself"
    number = re.escape(str(parse_number(value)))
    # Only the number as a whole: with answer 3, neither 13 nor -3 nor 3.5 gives it away.
    if re.search(rf"(?<![\w.,-]){number}(?!\w|[.,]\d)", rationale):
        return "", "names the answer"
    if _OUTSIDE.search(rationale):
        return "", "speaks of the request"
    if not _FIRST_PERSON.search(rationale):
        return "", "is not in the first person"
    return rationale, ""


def write_texts(responder: Responder, prompts: Sequence[Prompt]) -> Iterator[dict[int, str]]:
    """One seeded text of at most N_TOKENS tokens per prompt, by position, as they arrive; batches may be empty.

    Raises UserError for a responder that cannot write. If a served model leaves prompts unanswered, raises Unanswered
    after the last text.
    """
    if isinstance(responder, ApiResponder):
        yield from _write_served(responder, prompts)
        return
    from socrates_core.models.local.responder import LocalResponder

    if not isinstance(responder, LocalResponder):
        raise UserError(f"{responder.card.name!r} cannot write texts. Choose a language model.")
    yield from responder.write(prompts)


class _TextElicitor(Elicitor):
    """Asks for a text instead of an answer; `texts` holds what was written."""

    def __init__(self, responder: ApiResponder) -> None:
        super().__init__(responder.model, responder.service, "paper")
        self.texts: dict[Question, str] = {}

    def elicit(self, question: Question, ask: Ask) -> Elicited:
        seed = int(digest(question.prompt.messages())[:7], 16)
        sampling = {"temperature": PAPER_TEMPERATURE, "top_p": PAPER_TOP_P}
        reply = self._ask(ask, question.prompt, N_TOKENS, seed=seed, n=1, **sampling)
        self.texts[question] = read_texts(reply.body)[0]
        return Elicited(_NO_ANSWER)


def _write_served(responder: ApiResponder, prompts: Sequence[Prompt]) -> Iterator[dict[int, str]]:
    places: dict[Question, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(Question(prompt, ()), []).append(place)
    connection = Connection(responder.service, n_tries=N_TRIES, timeout=TIMEOUT)
    elicitor = _TextElicitor(responder)

    def elicit(sent: Sent) -> Elicited:
        def ask(request: Mapping[str, Any]) -> Reply:
            reply = connection.ask(request)
            sent.keep(reply)
            return reply

        return elicitor.elicit(sent.question, ask)

    waiting = [Sent(question, (most_tokens(question.prompt), N_TOKENS)) for question in places]
    asking = Round(waiting, elicit=elicit, account=responder.account, at_once=AT_ONCE)
    try:
        for batch in asking.results():
            yield {place: elicitor.texts[question] for question, _ in batch for place in places[question]}
    finally:
        connection.close()
