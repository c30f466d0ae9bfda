"""Replies read as distributions. Pure, and strict: what is not there is not guessed."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from socrates_core.records import Answer, Prompt, Question, Scale, parse_number
from socrates_core.scales import Reading, parse_scale, read_answer

SPACES = " \t\r\n\u2581\u0120\u010a"  # the last three: how some vocabularies spell a space and a line break
TOLERANCE = 0.02  # of the sum of probabilities that were told in words
MOST_SAID = 20_000  # characters of a drawn answer; at most 16 tokens were asked for
MOST_TOKENS = 10**9  # that a usage can say: no model reads or writes as many for one request
MOST_CHARACTERS_A_TOKEN = 8  # on average; English has 4 to 5, other languages fewer
MOST_LISTED = 1000  # first tokens of a reply; 20 were asked for
THOUGHTS = ("reasoning_content", "reasoning")  # where servers put what a model thought before its answer
UNKNOWN_SHARE = 0.01  # of the valid mass: the most that options without a listed token may have together
SPELLINGS = 2  # first tokens of one option that may be missing from a list: with and without a space
_OBJECT = re.compile(r"\A\s*(?:```(?:json)?\s*)?(\{.*\})\s*(?:```\s*)?\Z", re.DOTALL)


class Unreadable(Exception):
    """A reply without what was asked for; the message says what is missing."""


class Unlisted(Unreadable):
    """The listed first tokens leave open what some options have; draws can tell."""


@dataclass(frozen=True)
class Receipt:
    """What is kept of a reply for the account.

    Tokens (read, written), None where the server does not say them or says what cannot be true; and the model that,
    by its own word, answered.
    """

    used: tuple[int, int] | None
    served: str


UNKNOWN = Receipt(None, "")


def read_receipt(body: Mapping[str, Any], prompt: Prompt) -> Receipt:
    """The receipt of a reply to `prompt`. Reads any body and raises nothing.

    A usage with fewer tokens than the texts can have counts as none: a server that says 0 must not make room below
    a spending limit.
    """
    served = body.get("model")
    named = _clean(served[:100]) if isinstance(served, str) else ""
    used = read_usage(body)
    if used is None:
        return Receipt(None, named)
    try:
        said = [text for text in read_texts(body) if text]
    except Unreadable:
        said = []
    read = sum(len(message["content"]) // MOST_CHARACTERS_A_TOKEN for message in prompt.messages())
    written = sum(max(1, len(text) // MOST_CHARACTERS_A_TOKEN) for text in said)
    return Receipt(used if used[0] >= read and used[1] >= written else None, named)


def read_texts(body: Mapping[str, Any]) -> list[str]:
    """What each choice of a reply says, empty where it says nothing.

    Raises Unreadable without any choice, and where the model thought until its limit and said nothing at all.
    """
    try:
        messages = [choice["message"] for choice in body["choices"]]
        said = [_text_of(message.get("content")) for message in messages]
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable("The reply has no choices with messages.") from error
    if not said:
        raise Unreadable("The reply has no choices.")
    if not any(said) and any(message.get(name) for message in messages for name in THOUGHTS):
        raise Unreadable(
            "The model spent its limit of tokens on thinking and gave no answer. Switch its thinking off at the "
            "server, or ask a model that answers at once."
        )
    return said


def _text_of(content: object) -> str:
    """A message's content as text, which some servers send as a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _clean(content) if isinstance(content, str) else ""


def read_usage(body: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens read and written for a reply; None where the server does not say, or says no number of tokens."""
    try:
        read, written = body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]
    except (KeyError, TypeError):
        return None
    counted = all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MOST_TOKENS for n in (read, written)
    )
    return (read, written) if counted else None


def read_first_token(body: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The most likely first tokens of a reply with their probabilities. Raises Unreadable without them."""
    try:
        listed = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][:MOST_LISTED]
        found = [(entry["token"], math.exp(entry["logprob"])) for entry in listed]
        sound = bool(found) and all(isinstance(token, str) for token, _ in found)
    except (KeyError, TypeError, IndexError, OverflowError) as error:
        raise Unreadable(
            "The reply has no log-probabilities; ask this server for samples instead."
        ) from error
    total = sum(probability for _, probability in found)
    if not sound or not total <= 1.01:
        raise Unreadable("The log-probabilities of the reply are no probabilities.")
    return found


def first_token_answer(
    tokens: Sequence[tuple[str, float]], options: Sequence[str], n_tokens: int
) -> tuple[Answer, int]:
    """The distribution over `options` [k], no two of which begin alike, and how many of them were not listed.

    Tokens that begin an option, spaces and capitals apart, count for it: " 5" and "5" are one answer. A server lists
    the likeliest tokens, so an option that none of them begins is not known to be 0: it has at most what the least
    likely of them has, in each spelling, and all such options together at most what the list leaves. They share half
    of that, which is wrong by at most the other half. The valid mass is what was seen of all options. Raises Unlisted
    where that could be more than UNKNOWN_SHARE of the valid mass.
    """
    mass = np.zeros(len(options))
    begins = [option.casefold() for option in options]
    for token, probability in tokens:
        said = token.strip(SPACES).casefold()
        for k, option in enumerate(begins):
            if said and option.startswith(said):
                mass[k] += probability
    seen, unlisted = float(mass.sum()), mass == 0
    listed = [probability for _, probability in tokens]
    most = min(max(1 - sum(listed), 0.0), SPELLINGS * min(listed) * int(unlisted.sum()))
    if seen > 0 and most > UNKNOWN_SHARE * seen:
        raise Unlisted(
            f"The server listed {len(tokens)} first tokens, and none of them begins {int(unlisted.sum())} of the "
            f"{len(options)} answers, which could have up to {most:.2f} of the probability. Ask this server for "
            "samples instead."
        )
    if seen > 0 and unlisted.any():
        mass[unlisted] = most / (2 * unlisted.sum())
    shares = mass / mass.sum() if seen > 0 else np.full(len(options), np.nan)
    return Answer(shares, min(seen, 1.0), n_tokens), int(unlisted.sum()) if seen > 0 else 0


def sampled_answer(
    texts: Sequence[str], question: Question, n_tokens: int
) -> tuple[Answer, list[tuple[str, str]]]:
    """Shares of the drawn `texts`, and (reason, text) of those that are no answer, which lower the valid mass."""
    scale = _scale(question)
    readings = [(_read_draw(text, scale), text) for text in texts]
    counts = Counter(float(reading.value) for reading, _ in readings if reading.value is not None)
    values = np.array(list(scale.values) if question.options else sorted(counts), dtype=float)
    drawn = np.array([counts[value] for value in values], dtype=float)
    n_valid = int(drawn.sum())
    shares = drawn / n_valid if n_valid else np.full(len(values), np.nan)
    answer = Answer(shares, n_valid / len(texts), n_tokens, None if question.options else values, len(texts))
    return answer, [(reading.reason, text) for reading, text in readings if reading.value is None]


def verbalised_answer(text: str, options: Sequence[str], n_tokens: int) -> Answer:
    """The distribution that a JSON object {"option": probability} tells, every option named once.

    Its valid mass is 1, since the model was asked for nothing else. Raises Unreadable for anything but that.
    """
    told = _pairs(text)
    keys = [key for key, _ in told]
    if sorted(keys) != sorted(options):
        raise Unreadable("The object does not name every option once and nothing else.")
    numbers = dict(told)
    shares = np.array([numbers[option] for option in options], dtype=float)
    if not (np.isfinite(shares).all() and (shares >= 0).all() and abs(shares.sum() - 1) <= TOLERANCE):
        raise Unreadable("The probabilities are not from 0 to 1 with a sum of 1.")
    return Answer(shares / shares.sum(), 1.0, n_tokens)


def nothing_told(n_options: int, n_tokens: int) -> Answer:
    """The answer of a model that was understood but gave no distribution: missing, with a valid mass of 0."""
    return Answer(np.full(n_options, np.nan), 0.0, n_tokens)


def _pairs(text: str) -> list[tuple[str, float]]:
    found = _OBJECT.match(text)
    try:
        pairs = json.loads(found[1] if found else "", object_pairs_hook=list)
        return [(key, float(value)) for key, value in pairs if _is_number(value)]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unreadable("The text is no JSON object.") from error


def _read_draw(text: str, scale: Scale) -> Reading:
    if len(text) > MOST_SAID:
        return Reading(None, f"The text is longer than {MOST_SAID:,} characters.")
    return read_answer(text, scale)


def _clean(text: str) -> str:
    """The text as it can be stored: JSON can hold half characters, which no file can."""
    return text.encode("utf-8", "replace").decode()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scale(question: Question) -> Scale:
    """The scale that raw answers are read on: the one that the prompt states, else the bare options."""
    if question.scale is not None:
        return question.scale
    if not question.options:
        return Scale("open_integer")
    stated = parse_scale(question.prompt.user)
    if stated is not None and stated.options == question.options:
        return stated
    try:
        return Scale("enum_labels", labels=tuple((parse_number(option), "") for option in question.options))
    except (ValueError, OverflowError):
        return Scale("enum_labels", labels=tuple(enumerate(question.options)))
