"""Reads replies as distributions. Pure and strict: nothing that is missing is guessed."""

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

TEXTS = (None, "text", "output_text")  # types of parts that are said, not thought
SPACES = " \t\r\n\u2581\u0120\u010a"  # the last three: how some vocabularies spell a space and a line break
TOLERANCE = 0.02  # of the sum of verbalised probabilities
LONGEST_DRAW = 20_000  # characters of a drawn answer; at most 16 tokens were requested
MOST_TOKENS = 10**9  # in a usage: no model reads or writes as many for one request
MOST_CHARACTERS_A_TOKEN = 8  # on average; English has 4 to 5, other languages fewer
MOST_LISTED = 1000  # first tokens of a reply; 20 were requested
THOUGHTS = ("reasoning_content", "reasoning")  # where servers put what a model thought before its answer
UNKNOWN_SHARE = 0.01  # of the valid mass: the most that all options without a listed token may have
SPELLINGS = 2  # first tokens of one option that may be missing from a list: with and without a space
_THOUGHT = r"(?:think|thinking|thought|reasoning)"
_OPEN_THOUGHT = re.compile(rf"\s*(?:<{_THOUGHT}>|\[{_THOUGHT}\])", re.IGNORECASE)
_END_OF_THOUGHT = re.compile(rf"</{_THOUGHT}>|\[/{_THOUGHT}\]", re.IGNORECASE)
_OBJECT = re.compile(r"\A\s*(?:```(?:json)?\s*)?(\{.*\})\s*(?:```\s*)?\Z", re.DOTALL)


class Unreadable(Exception):
    """A reply without the answer; the message says what is missing."""


class Unlisted(Unreadable):
    """The first tokens that were listed, if any, leave the probability of options open; draws can find it."""

    def __init__(self, sentence: str, *, n_listed: int) -> None:
        super().__init__(sentence)
        self.n_listed = n_listed


@dataclass(frozen=True)
class Receipt:
    """What the account keeps of a reply: tokens (read, written), and the name of the model that answered.

    `used` is None if the server gives no usage, or an impossible one.
    """

    used: tuple[int, int] | None
    served: str


UNKNOWN = Receipt(None, "")


def read_receipt(body: Mapping[str, Any], prompt: Prompt) -> Receipt:
    """The receipt of a reply to `prompt`. Accepts any body and raises nothing.

    A usage with fewer tokens than the texts can have counts as missing: a server that reports 0 must not make room
    below a spending limit.
    """
    model = body.get("model")
    served = _clean(model[:100]) if isinstance(model, str) else ""
    used = read_usage(body)
    if used is None:
        return Receipt(None, served)
    try:
        texts = [text for text in read_texts(body) if text]
    except Unreadable:
        texts = []
    least_read = sum(len(message["content"]) // MOST_CHARACTERS_A_TOKEN for message in prompt.messages())
    least_written = sum(max(1, len(text) // MOST_CHARACTERS_A_TOKEN) for text in texts)
    is_possible = used[0] >= least_read and used[1] >= least_written
    return Receipt(used if is_possible else None, served)


def read_texts(body: Mapping[str, Any]) -> list[str]:
    """The text of each choice of a reply; may be empty.

    Raises Unreadable without any choice, or if the model spent all of its tokens on thinking.
    """
    try:
        messages = [choice["message"] for choice in body["choices"]]
        written = [_text_of(message.get("content")) for message in messages]
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable("The reply has no choices with messages.") from error
    if not written:
        raise Unreadable("The reply has no choices.")
    texts = [_without_thought(text) for text in written]
    thought = texts != written or any(message.get(name) for message in messages for name in THOUGHTS)
    if not any(texts) and (
        thought or any(choice.get("finish_reason") == "length" for choice in body["choices"])
    ):
        raise Unreadable(
            "The model spent its limit of tokens on thinking and gave no answer. Switch its thinking off at the "
            "server, or ask a model that answers at once."
        )
    return texts


def _text_of(content: object) -> str:
    """A message's content as text, which some servers send as a list of parts, thoughts among them."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict) and part.get("type") in TEXTS]
        content = "".join(part for part in parts if isinstance(part, str))
    return _clean(content) if isinstance(content, str) else ""


def _without_thought(text: str) -> str:
    """What a text says after a thought in it; nothing if the thought has no end."""
    *_, last = _END_OF_THOUGHT.split(text)
    return "" if _OPEN_THOUGHT.match(last) else last


def read_usage(body: Mapping[str, Any]) -> tuple[int, int] | None:
    """Tokens read and written for a reply; None if the server does not give possible numbers."""
    try:
        read, written = body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]
    except (KeyError, TypeError):
        return None
    for n in (read, written):
        if not isinstance(n, int) or isinstance(n, bool) or not 0 <= n <= MOST_TOKENS:
            return None
    return read, written


def read_first_token(body: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The most likely first tokens of a reply with their probabilities. Raises Unreadable without them."""
    try:
        listed = body["choices"][0]["logprobs"]["content"][0]["top_logprobs"][:MOST_LISTED]
        tokens = [(entry["token"], math.exp(entry["logprob"])) for entry in listed]
        is_sound = bool(tokens) and all(isinstance(token, str) for token, _ in tokens)
    except (KeyError, TypeError, IndexError, OverflowError) as error:
        raise Unlisted(
            "The reply has no log-probabilities. Ask this server for samples instead.", n_listed=0
        ) from error
    total = sum(probability for _, probability in tokens)
    # `not <=` rather than `>`, so that NaN is refused too.
    if not is_sound or not total <= 1.01:
        raise Unreadable("The log-probabilities of the reply are not those of a distribution.")
    return tokens


def first_token_answer(
    tokens: Sequence[tuple[str, float]], options: Sequence[str], n_tokens: int
) -> tuple[Answer, int]:
    """The distribution over `options` [k], which all begin differently, and how many of them were not listed.

    A token counts for the option that it begins, ignoring spaces and capitals: " 5" and "5" are one answer. A server
    lists only the likeliest tokens, so an option that none of them begins need not have probability 0. In each spelling
    it has at most the probability of the least likely listed token, and all such options together have at most what the
    list leaves. They are given half of that bound, which is off by at most the other half. The valid mass is that of
    the listed tokens. Raises Unlisted if the bound exceeds UNKNOWN_SHARE of the valid mass.
    """
    mass = np.zeros(len(options))
    folded = [option.casefold() for option in options]
    for token, probability in tokens:
        start = token.strip(SPACES).casefold()
        for k, option in enumerate(folded):
            if start and option.startswith(start):
                mass[k] += probability
    seen = float(mass.sum())
    unlisted = mass == 0
    listed = [probability for _, probability in tokens]
    most = min(max(1 - sum(listed), 0.0), SPELLINGS * min(listed) * int(unlisted.sum()))
    # With no option listed at all, whatever the list leaves may be theirs.
    if most > UNKNOWN_SHARE * (seen or 1.0):
        raise Unlisted(
            f"The server listed {len(tokens)} first tokens, and none of them begins {int(unlisted.sum())} of the "
            f"{len(options)} answers, which could have up to {most:.2f} of the probability. Ask this server for "
            "samples instead.",
            n_listed=len(tokens),
        )
    if seen > 0 and unlisted.any():
        mass[unlisted] = most / (2 * unlisted.sum())
    shares = mass / mass.sum() if seen > 0 else np.full(len(options), np.nan)
    return Answer(shares, min(seen, 1.0), n_tokens), int(unlisted.sum()) if seen > 0 else 0


def sampled_answer(
    texts: Sequence[str], question: Question, n_tokens: int
) -> tuple[Answer, list[tuple[str, str]]]:
    """The shares of the drawn `texts`, and (reason, text) of those that are not answers and lower the valid mass."""
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
    """The distribution in a JSON object {"option": probability} that names every option once.

    Its valid mass is 1, since the model was asked for nothing else. Raises Unreadable for any other text.
    """
    pairs = _pairs(text)
    keys = [key for key, _ in pairs]
    if sorted(keys) != sorted(options):
        raise Unreadable("The object does not name every option once and nothing else.")
    numbers = dict(pairs)
    shares = np.array([numbers[option] for option in options], dtype=float)
    if not (np.isfinite(shares).all() and (shares >= 0).all() and abs(shares.sum() - 1) <= TOLERANCE):
        raise Unreadable("The probabilities are not from 0 to 1 with a sum of 1.")
    return Answer(shares / shares.sum(), 1.0, n_tokens)


def missing_answer(n_options: int, n_tokens: int) -> Answer:
    """The answer of a model that replied without a distribution: missing, with a valid mass of 0."""
    return Answer(np.full(n_options, np.nan), 0.0, n_tokens)


def _pairs(text: str) -> list[tuple[str, float]]:
    match = _OBJECT.match(text)
    try:
        # As pairs, since a dict would hide an option that is named twice.
        pairs = json.loads(match[1] if match else "", object_pairs_hook=list)
        return [(key, float(value)) for key, value in pairs if _is_number(value)]
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise Unreadable("The text is not a JSON object.") from error


def _read_draw(text: str, scale: Scale) -> Reading:
    if len(text) > LONGEST_DRAW:
        return Reading(None, f"The text is longer than {LONGEST_DRAW:,} characters.")
    return read_answer(text, scale)


def _clean(text: str) -> str:
    """The text in a form that files can hold: JSON can contain half of a surrogate pair, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scale(question: Question) -> Scale:
    """The scale on which texts are read: the one that the prompt states, else the bare options."""
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
