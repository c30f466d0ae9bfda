"""One request to a server and its reply, tried again after growing pauses when that can help.

The server is not trusted: the whole reply has a deadline and a size limit, it is never decompressed, and the caller can
stop while waiting for it or reading it.
"""

import asyncio
import json
import os
import random
import re
import socket
from collections.abc import Coroutine, Mapping
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Event, Thread
from typing import Any

from socrates_core.errors import UserError
from socrates_core.models.served.server import Service

N_TRIES = 7
TIMEOUT = 120.0  # seconds from sending a request to the last byte of its reply
MOST_BYTES = 10_000_000  # of a reply's body; a thousand draws in one reply take about 400,000
MOST_VALUES = 200_000  # values in a reply; parsed, "[[],[],..." takes about 24 times its size in memory
GLANCE = 0.1  # seconds between checks whether to stop
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between tries
LONGEST_REQUESTED = 120.0  # seconds; the longest pause that a server can ask for
RETRIED = (408, 409, 425, 429)  # and every 5xx
EVERYTHING = (401, 402, 403, 404, 405, 429)  # a server that refuses one question with these refuses all
MOST_TEXT = 2000  # characters of a failed reply that are kept


class Refused(UserError):
    """The server will not answer, however often it is asked; `for_all` if that holds for all questions.

    `reply` is what the server said.
    """

    def __init__(self, sentence: str, *, for_all: bool, reply: str = "") -> None:
        super().__init__(sentence)
        self.for_all = for_all
        self.reply = reply[:MOST_TEXT]


class Lost(Exception):
    """No usable reply; the message is the last cause, and `raw` is what came back, if anything.

    With `final` another try would end the same way. `n_unusable` counts the unusable replies that the server may bill,
    since it called them a success.
    """

    def __init__(self, cause: str, raw: str = "", *, final: bool = False, n_unusable: int = 0) -> None:
        super().__init__(cause)
        self.raw = raw[:MOST_TEXT]
        self.final = final
        self.n_unusable = n_unusable


@dataclass(frozen=True)
class Reply:
    """A reply as JSON and as text; `n_unusable` counts earlier replies that may be billed, as in Lost."""

    body: Mapping[str, Any]
    text: str
    n_unusable: int = 0


@dataclass(frozen=True)
class _Received:
    """A reply as it arrived: its status, the pause in seconds that it asks for, and its body as text."""

    status: int
    pause: float | None
    text: str

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300


class Connection:
    """Takes requests to one server from several threads, and sends and receives in its own thread.

    Set `stop` to make everything that waits for a reply, or between tries, give up within a moment. Close it
    afterwards. Loopback servers are asked without the environment's proxies, no redirect is followed, and no cookie is
    kept: nothing goes to any host but the named one.
    """

    def __init__(self, service: Service, *, n_tries: int, timeout: float) -> None:
        """`timeout` is in seconds per try. Raises UserError if the key is not set."""
        self._service = service
        self._n_tries = n_tries
        self._timeout = timeout
        self._key = service.read_key()
        self.stop = Event()
        self._client = self._open_client()
        self._loop = _Loop()
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops everything under way, closes every socket and ends the thread."""
        self.stop.set()
        with suppress(RuntimeError):  # already closed
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """The reply to one chat completion. Raises Refused, and Lost after the last try."""
        content = json.dumps(request).encode()
        lost = Lost("The request was stopped before it was sent.")
        n_unusable = 0
        for attempt in range(self._n_tries):
            if self.stop.is_set():
                break
            pause: float | None = None
            try:
                received = self._wait_for(self._fetch(content))
                if received.is_success:
                    return Reply(_parse(received.text), received.text, n_unusable)
                self._check_status(received, str(request.get("model")))
                reason = f" ({page!r})" if (page := _page_title(received.text)) else ""
                lost = Lost(f"The server answered with status {received.status}{reason}.", received.text)
                pause = received.pause
            except Lost as unusable:
                lost = unusable
            n_unusable += lost.n_unusable
            if lost.final:
                break
            if attempt + 1 < self._n_tries:
                self.stop.wait(_pause_before_next(attempt) if pause is None else pause)
        lost.n_unusable = n_unusable
        raise lost

    def _open_client(self) -> Any:
        from httpx2 import AsyncClient, Limits

        headers = {
            "Authorization": f"Bearer {self._key or 'none'}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            # One connection for each request: on a shared one, bytes that follow a reply in the same packet would be
            # taken for the reply to the next request, and so for somebody else's answer.
            "Connection": "close",
        }
        if self._service.is_official:
            variables = {"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"}
            headers |= {name: os.environ[key] for name, key in variables.items() if os.environ.get(key)}
        return AsyncClient(
            headers=headers,
            trust_env=not self._service.is_loopback,
            follow_redirects=False,
            timeout=None,  # `_fetch` has a deadline for the whole reply
            limits=Limits(max_connections=None),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        )

    def _serve(self) -> None:
        """Runs the loop in the thread until `close`, then ends what is left on it."""
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.run_until_complete(self._client.aclose())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _wait_for(self, work: Coroutine[Any, Any, _Received]) -> _Received:
        """The result of `work`. Raises Lost once `stop` is set; the work is then cancelled and its socket closed."""
        try:
            future: Future[_Received] = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop has just been closed
            work.close()
            raise Lost("The request was stopped before it was sent.") from None
        while not wait([future], timeout=GLANCE).done:
            if self.stop.is_set():
                future.cancel()
        try:
            return future.result()
        except CancelledError:
            raise Lost("The request was stopped before its reply was complete.") from None

    async def _fetch(self, content: bytes) -> _Received:
        """One try. Raises Lost if no complete reply came."""
        from httpx2 import HTTPError, InvalidURL

        url = f"{self._service.url}/chat/completions"
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", url, content=content) as response,
            ):
                text = await self._read(response)
                return _Received(response.status_code, _requested_pause(response.headers), text)
        except TimeoutError:
            raise Lost(
                f"The request timed out: the reply was not complete after {self._timeout:g} seconds. Check that the "
                "server is not overloaded."
            ) from None
        except (HTTPError, InvalidURL, OSError) as error:
            why = " ".join(str(error).split())[:200].rstrip(".")
            raise Lost(
                f"The connection to {self._service.host} failed: {type(error).__name__}"
                + (f" ({self._hide(why)})." if why else ".")
            ) from None

    async def _read(self, response: Any) -> str:
        """The body as text, read as UTF-8 whatever the server says. Raises Lost for a compressed or too long reply.

        Neither is tried again: a server that compresses one reply compresses the next one too, and after 10 MB that are
        no answer another try would only cost another 10 MB.
        """
        n_unusable = int(response.is_success)
        encoding = ", ".join(response.headers.get_list("content-encoding", split_commas=True))
        if encoding.lower() not in ("", "identity"):
            raise Lost(
                f"The server compressed its reply ({encoding[:50]!r}) although it was asked not to. Compressed replies "
                "are not opened, because a small one can fill the memory. Turn off compression at the server, or at "
                "the proxy in front of it.",
                final=True,
                n_unusable=n_unusable,
            )
        content = bytearray()
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > MOST_BYTES:
                raise Lost(
                    f"The reply is larger than {MOST_BYTES / 1e6:g} MB, the most that is read. Check that the address "
                    "is that of an OpenAI-compatible server.",
                    self._hide(content[: 4 * MOST_TEXT].decode("utf-8", "replace")),
                    final=True,
                    n_unusable=n_unusable,
                )
        return self._hide(content.decode("utf-8", "replace"))

    def _check_status(self, received: _Received, model: str) -> None:
        """Raises Refused for a status that another try would not change."""
        transient = received.status in RETRIED or received.status >= 500
        # OpenAI answers 429 when the credit is used up too, and then no pause helps.
        if not transient or _error_code(received.text) == "insufficient_quota":
            raise self._refusal(received.status, received.text, model)

    def _refusal(self, status: int, text: str, model: str) -> Refused:
        """The refusal as a sentence. What a server says about a key is left out: some servers repeat a part of it."""
        service = self._service
        if status in (401, 403):
            key = (
                f"the key in {service.key_variable!r}" if service.key_variable else "a request without a key"
            )
            sentence = f"{service.host} refuses {key} (status {status}). Check the key, or name its variable."
        elif status in (404, 405):
            sentence = (
                f"{service.host} has no model {model!r}, or nothing answers at {service.url!r}. Check both."
            )
        else:
            sentence = f"{service.host} refuses the request (status {status}): {_reason(text)}"
        return Refused(sentence, for_all=status in EVERYTHING or 300 <= status < 400, reply=text)

    def _hide(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that resolves host names in daemon threads, which do not keep the process from ending.

    asyncio's own threads do: a name server that does not answer would delay the worker's end by half a minute.
    """

    async def getaddrinfo(self, host: Any, port: Any, **hints: Any) -> Any:
        address: Future[Any] = Future()

        def look_up() -> None:
            address.set_running_or_notify_cancel()
            try:
                address.set_result(socket.getaddrinfo(host, port, **hints))
            except Exception as error:  # noqa: BLE001 - a thread's edge: it is raised where the address is awaited
                address.set_exception(error)

        Thread(target=look_up, daemon=True).start()
        return await asyncio.wrap_future(address)


def _parse(text: str) -> Mapping[str, Any]:
    """The reply as JSON. Raises Lost if it is not a JSON object, or has too many values."""
    # Counted before parsing, because parsing is what would fill the memory.
    if sum(map(text.count, "[{,")) > MOST_VALUES:
        raise Lost(
            f"The reply has more than {MOST_VALUES:,} values, the most that is read. Check that the address is that of "
            "an OpenAI-compatible server.",
            text,
            final=True,
            n_unusable=1,
        )
    with suppress(ValueError, RecursionError):
        body = json.loads(text)
        if isinstance(body, dict):
            return body
    if page := _page_title(text):
        raise Lost(
            f"The server answered with a web page ({page!r}) instead of JSON. Check that the address is that of an "
            "OpenAI-compatible server; most end in '/v1'.",
            text,
            n_unusable=1,
        )
    raise Lost("The reply is not a JSON object.", text, n_unusable=1)


def _reason(text: str) -> str:
    """What a refusal says: the message in its JSON, the title of a web page, else how it begins."""
    with suppress(Lost, KeyError, TypeError):
        body = _parse(text)
        error = body.get("error", body)
        if isinstance(message := error if isinstance(error, str) else error["message"], str):
            return " ".join(message.split())[:300]
    return _page_title(text) or " ".join(text.split())[:300]


def _page_title(text: str) -> str:
    """The title of a web page, or "a page without a title"; "" for a text that is no web page."""
    if not re.match(r"\s*<(?:!doctype html|html|head|body)\b", text, re.IGNORECASE):
        return ""
    title = re.search(r"<title[^>]*>([^<]*)</title>", text[:MOST_TEXT], re.IGNORECASE)
    return " ".join(title[1].split())[:100] if title and title[1].strip() else "a page without a title"


def _error_code(text: str) -> object:
    """The error code in the body of a refusal; None without one."""
    with suppress(Lost, KeyError, TypeError):
        body = _parse(text)
        return body.get("error", body)["code"]
    return None


def _pause_before_next(attempt: int) -> float:
    """Seconds before the next try: twice as long each time, times a random factor so that requests spread out."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**attempt) * random.uniform(0.5, 1.0)


def _requested_pause(headers: Mapping[str, str]) -> float | None:
    """The seconds in the server's Retry-After, which is a number or a date; None without one."""
    value = headers.get("retry-after", "")
    try:
        # NaN would pass through `min` and `max` below, since every comparison with it is false.
        seconds = float(value) if value.lower() != "nan" else 0.0
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_REQUESTED)
