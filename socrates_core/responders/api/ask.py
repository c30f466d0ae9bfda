"""One request to a server and its reply: tried again after growing pauses where that helps, refused where it cannot."""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import Any

from socrates_core.errors import UserError
from socrates_core.responders.api.server import Service

N_TRIES = 7
TIMEOUT = 120.0  # seconds a reply
FIRST_PAUSE, LONGEST_PAUSE, LONGEST_ASKED = (
    0.5,
    30.0,
    120.0,
)  # seconds; the last where the server asks for a pause
RETRIED = (408, 409, 425, 429)  # and every 5xx
EVERYTHING = (401, 402, 403, 404, 429)  # what is refused for one question is refused for all
MOST_TEXT = 2000  # characters of a reply that are kept of what went wrong


class Refused(UserError):
    """The server will not answer, however often it is asked; `for_all` says that no question will fare better."""

    def __init__(self, sentence: str, *, for_all: bool) -> None:
        super().__init__(sentence)
        self.for_all = for_all


class Lost(Exception):
    """No usable reply after every try; the message is the last cause, `raw` what came back, if anything."""

    def __init__(self, cause: str, raw: str = "") -> None:
        super().__init__(cause)
        self.raw = raw[:MOST_TEXT]


@dataclass(frozen=True)
class Reply:
    """A reply as JSON and as the text it was."""

    body: Mapping[str, Any]
    text: str


class Connection:
    """Sends requests to one server from several threads. `stop` makes those that wait between tries give up.

    Loopback servers are asked without the environment's proxies, and no redirect is followed: nothing goes to another
    host than the one that was named.
    """

    def __init__(self, service: Service, *, n_tries: int, timeout: float) -> None:
        """Raises UserError where the key is not set or the client is not installed."""
        try:
            from openai import DefaultHttpxClient, OpenAI
        except ModuleNotFoundError as error:
            raise UserError(
                f"A served model needs {error.name!r}. Run: pip install -r requirements.txt"
            ) from error
        self._service, self._n_tries, self._key = service, n_tries, service.read_key()
        self.stop = Event()
        direct = DefaultHttpxClient(trust_env=not service.is_loopback, follow_redirects=False)
        self._client: Any = OpenAI(
            api_key=self._key or "none", base_url=service.url, timeout=timeout, max_retries=0,
            http_client=direct,
        )  # fmt: skip

    def close(self) -> None:
        self._client.close()

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """The reply to one chat completion. Raises Refused, and Lost after the last try."""
        from openai import APIConnectionError, APIStatusError

        lost = Lost("The request was stopped before it was sent.")
        for attempt in range(self._n_tries):
            if self.stop.is_set():
                break
            asked_for: float | None = None
            try:
                text = self._hide(self._client.chat.completions.with_raw_response.create(**request).text)
                return Reply(_parse(text), text)
            except Lost as malformed:
                lost = malformed
            except APIStatusError as error:
                text = self._hide(error.response.text)
                transient = error.status_code in RETRIED or error.status_code >= 500
                if not transient or error.code == "insufficient_quota":
                    raise self._refusal(error.status_code, text, str(request.get("model"))) from None
                lost = Lost(f"The server answered with status {error.status_code}.", text)
                asked_for = _pause_asked_for(error.response.headers)
            except APIConnectionError as error:
                lost = Lost(f"{error.message.rstrip('.')}: {type(error.__cause__).__name__}.")
            if attempt + 1 < self._n_tries:
                self.stop.wait(_pause(attempt) if asked_for is None else asked_for)
        raise lost

    def _refusal(self, status: int, text: str, model: str) -> Refused:
        """One sentence; what a server says of a key is not repeated, since some repeat a part of the key."""
        service = self._service
        if status in (401, 403):
            how = (
                f"the key in {service.key_variable!r}" if service.key_variable else "a request without a key"
            )
            told = f"{service.host} refuses {how} (status {status}). Check the key, or name its variable."
        elif status == 404:
            told = (
                f"{service.host} has no model {model!r}, or nothing answers at {service.url!r}. Check both."
            )
        else:
            said = " ".join(text.split())[:300]
            told = f"{service.host} refuses the request (status {status}): {said}"
        return Refused(told, for_all=status in EVERYTHING or 300 <= status < 400)

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def _parse(text: str) -> Mapping[str, Any]:
    with suppress(ValueError, RecursionError):
        body = json.loads(text)
        if isinstance(body, dict):
            return body
    raise Lost("The reply is no JSON object.", text)


def _pause(attempt: int) -> float:
    """Seconds before the next try: twice as long each time, with chance in it so that requests do not come in step."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1.0)


def _pause_asked_for(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server's Retry-After asks for, as a number or a date; None without one."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told) if told.lower() != "nan" else 0.0
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), LONGEST_ASKED)
