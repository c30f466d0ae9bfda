"""Lets a model write texts: one on this machine, or one behind an OpenAI-compatible server."""

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
from socrates_core.records import PAPER_TEMPERATURE, PAPER_TOP_P, Answer, Prompt, Question

_NO_ANSWER = Answer(np.empty(0), 0.0)


def write_texts(responder: Responder, prompts: Sequence[Prompt]) -> Iterator[dict[int, str]]:
    """One seeded text of at most N_TOKENS tokens for each prompt, by position, as they come; batches may be empty.

    Raises UserError for a responder that cannot write; of a served model, after the last text, for what has none.
    """
    if isinstance(responder, ApiResponder):
        yield from _write_served(responder, prompts)
        return
    from socrates_core.models.local.responder import LocalResponder

    if not isinstance(responder, LocalResponder):
        raise UserError(f"{responder.card.name!r} cannot write texts. Choose a language model.")
    yield from responder.write(prompts)


class _Writer(Elicitor):
    """Asks for a text, not for an answer; `texts` are what was written."""

    def __init__(self, responder: ApiResponder) -> None:
        super().__init__(responder.model, responder.service, "paper")
        self.texts: dict[Question, str] = {}

    def elicit(self, question: Question, ask: Ask) -> Elicited:
        seed = int(digest(question.prompt.messages())[:7], 16)
        drawn = {"temperature": PAPER_TEMPERATURE, "top_p": PAPER_TOP_P}
        reply = ask(self._request(question.prompt, N_TOKENS, seed=seed, n=1, **drawn))
        self.texts[question] = read_texts(reply.body)[0]
        return Elicited(_NO_ANSWER)


def _write_served(responder: ApiResponder, prompts: Sequence[Prompt]) -> Iterator[dict[int, str]]:
    places: dict[Question, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(Question(prompt, ()), []).append(place)
    connection = Connection(responder.service, n_tries=N_TRIES, timeout=TIMEOUT)
    writer = _Writer(responder)

    def elicit(sent: Sent) -> Elicited:
        def ask(request: Mapping[str, Any]) -> Reply:
            reply = connection.ask(request)
            sent.keep(reply)
            return reply

        return writer.elicit(sent.question, ask)

    waiting = [Sent(question, (most_tokens(question.prompt), N_TOKENS)) for question in places]
    asked = Round(waiting, elicit=elicit, account=responder.account, at_once=AT_ONCE)
    try:
        for found in asked.results():
            yield {place: writer.texts[question] for question, _ in found for place in places[question]}
    finally:
        connection.close()
