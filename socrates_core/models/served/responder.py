"""A served model as a responder: several questions at a time over HTTP, with answers as they arrive."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models.served.account import Account
from socrates_core.models.served.ask import N_TRIES, TIMEOUT, Connection, Reply
from socrates_core.models.served.asking import Round, Sent
from socrates_core.models.served.elicit import (
    VERBALISED_TEMPLATE,
    Elicited,
    Elicitor,
    choose_elicitation,
    most_used,
)
from socrates_core.models.served.prices import find_price
from socrates_core.models.served.server import PREFIX, Service, served_model
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Answer, Decoding, Question, ResponderCard

AT_ONCE = 8  # questions under way


def keep_account(responder: object, folder: Path, limit_usd: float | None) -> Account | None:
    """Opens the account of a served model's work in `folder`; None for a responder that costs nothing.

    Raises UserError if there is a limit but no known price.
    """
    if not isinstance(responder, ApiResponder):
        return None
    price = find_price(responder.service, responder.model)
    responder.account = Account(price, limit_usd=limit_usd, folder=folder)
    return responder.account


class ApiResponder:
    """Answers by asking a model behind an OpenAI-compatible server.

    Questions without an answer after all tries are left out, so that they stay missing. Set `account` to record
    spending and failures in a folder, or to set a spending limit.
    """

    def __init__(
        self,
        name: str,
        service: Service,
        decoding: Decoding = "exact",
        *,
        consent: bool = False,
        at_once: int = AT_ONCE,
        n_tries: int = N_TRIES,
        timeout: float = TIMEOUT,
    ) -> None:
        """`timeout` is in seconds per try. Raises UserError if questions would leave this machine without consent."""
        if not (service.is_loopback or consent):
            raise UserError(
                f"Asking {name!r} sends every question, with the profile of the person who is asked, to "
                f"{service.host}. Nothing was sent. If that is allowed, say so for this run: --consent"
            )
        self.model = served_model(name)
        self.service = service
        self._decoding = decoding
        choose_elicitation(service.elicitation, ("1", "2"), decoding)  # raises if they never go together
        service.read_key()  # raises now, not at the first request
        self._at_once, self._n_tries, self._timeout = at_once, n_tries, timeout
        verbalised = f" {VERBALISED_TEMPLATE}" if service.elicitation == "verbalised" else ""
        self.card = ResponderCard(
            name=PREFIX + self.model,
            model=self.model,
            revision="as served",
            precision="as served",
            decoding=decoding,
            template=TEMPLATE + verbalised,
            server=service.url,
            elicitation=service.elicitation_details,
        )
        self.fingerprint = digest(self.card.as_dict())
        self.account = Account(find_price(service, self.model))

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        """The answers as they arrive; every half second at least an empty batch, so that a caller can stop.

        Raises UserError before anything is sent if a question cannot be asked in this elicitation. Raises Unanswered or
        Refused after the last answer if questions are left without one.
        """
        places: dict[Question, list[int]] = {}
        for place, question in enumerate(questions):
            places.setdefault(question, []).append(place)
        waiting = [Sent(question, self._most(question)) for question in places]
        if not waiting:
            return
        connection = Connection(self.service, n_tries=self._n_tries, timeout=self._timeout)
        elicitor = Elicitor(self.model, self.service, self._decoding)

        def elicit(sent: Sent) -> Elicited:
            def ask(request: Mapping[str, Any]) -> Reply:
                reply = connection.ask(request)
                sent.keep(reply)
                return reply

            return elicitor.elicit(sent.question, ask)

        asking = Round(waiting, elicit=elicit, account=self.account, at_once=self._at_once)
        try:
            for batch in asking.results():
                yield {place: answer for question, answer in batch for place in places[question]}
        finally:
            connection.close()

    def _most(self, question: Question) -> tuple[int, int]:
        way = choose_elicitation(self.service.elicitation, question.options, self._decoding)
        return most_used(way, question, self.service)
