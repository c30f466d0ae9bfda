"""Servers that hold, flood or lie: every reply ends in an answer or in a sentence, soon and in little memory."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.errors import UserError
from socrates_core.models.served import ask
from socrates_core.models.served.account import Account
from socrates_core.models.served.ask import Connection, Lost, Refused
from socrates_core.models.served.prices import Price, most_tokens
from socrates_core.models.served.responder import ApiResponder
from socrates_core.models.served.server import Elicitation, Service
from socrates_core.records import Prompt, Question
from tests.support import hostile_server as bad
from tests.support.hostile_server import Behave, Caller, HostileServer, always, body, hostile, once, reply
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

REQUEST = {"model": "fixed", "messages": [{"role": "user", "content": "How warm?"}]}
SLACK = (
    30.0  # seconds that a busy machine may take on top; before there was a deadline, all of these waited on
)
DIGITS = tuple("1234567")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Short pauses between tries."""
    monkeypatch.setattr(ask, "FIRST_PAUSE", 0.01)


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    """A connection's thread ends with it."""
    yield
    assert not [each for each in threading.enumerate() if "_serve" in each.name and "Connection" in each.name]


def asked(url: str, *, n_tries: int = 2, timeout: float = 60.0, stop_after: float | None = None) -> object:
    """The reply's JSON, or what was raised instead."""
    connection = Connection(Service(url), n_tries=n_tries, timeout=timeout)
    timer = threading.Timer(stop_after or 0, connection.stop.set)
    if stop_after is not None:
        timer.start()
    try:
        return connection.ask(REQUEST).body
    except (Lost, Refused) as error:
        return error
    finally:
        connection.close()
        timer.cancel()


def about(text: str = "How warm?", options: tuple[str, ...] = DIGITS) -> Question:
    return Question(Prompt("You answer surveys.", text), options)


def served(url: str, elicitation: Elicitation = "logprobs", **more: Any) -> ApiResponder:
    service = Service(url, elicitation=elicitation, n_samples=more.pop("n_samples", 4))
    return ApiResponder("api:fixed", service, **{"n_tries": 2, "timeout": 60.0, **more})


def answers(responder: ApiResponder, questions: list[Question]) -> tuple[dict[int, Any], str]:
    """The answers by position, and the sentence at the end."""
    found: dict[int, Any] = {}
    try:
        for batch in responder.answer(questions):
            found |= batch
    except UserError as error:
        return found, str(error)
    return found, ""


SLOW = [
    bad.one_byte_a_second,
    bad.headers_byte_by_byte,
    bad.says_nothing,
    bad.tiny_chunks,
    bad.endless_interim,
]


@pytest.mark.parametrize("behave", SLOW)
def test_a_reply_that_does_not_end_is_given_up_at_its_deadline_and_asked_for_again(behave: Behave) -> None:
    with hostile(behave) as server:
        begun = time.monotonic()
        lost = asked(server.url, timeout=1.0)
        assert 1.9 < time.monotonic() - begun < 2 + SLACK
        assert "the reply was not complete after 1 seconds" in str(lost) and len(server.requests) == 2
        wait_for_no_connection(server)


@pytest.mark.parametrize("behave", [*SLOW, bad.takes_no_request])
def test_a_request_is_stopped_within_two_seconds_whatever_the_server_does(behave: Behave) -> None:
    with hostile(behave) as server:
        begun = time.monotonic()
        lost = asked(server.url, stop_after=0.5)
        assert time.monotonic() - begun < 2.5
        assert "stopped" in str(lost)
        wait_for_no_connection(server)


def test_a_request_is_stopped_while_it_connects_or_shakes_hands() -> None:
    """One server never takes a connection from its full queue, the other never answers the TLS handshake."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, socket.socket() as first:
        port = silent.getsockname()[1]
        for url in (f"https://127.0.0.1:{port}/v1", f"http://127.0.0.1:{port}/v1"):
            begun = time.monotonic()
            assert "stopped" in str(asked(url, stop_after=0.5))
            assert time.monotonic() - begun < 2.5
            first.setblocking(False)
            first.connect_ex(("127.0.0.1", port))


def wait_for_no_connection(server: HostileServer) -> None:
    deadline = time.monotonic() + SLACK
    while server.n_open and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.n_open == 0


FLOODS = [bad.endless_body, bad.endless_error, bad.huge_length]


@pytest.mark.parametrize("behave", FLOODS)
def test_a_reply_without_end_is_given_up_at_ten_megabytes_and_not_asked_for_again(behave: Behave) -> None:
    with hostile(behave) as server:
        lost = asked(server.url)
        assert "larger than 10 MB" in str(lost)
        wait_for_no_connection(server)
        assert len(server.requests) == 1 and server.n_sent < 40_000_000  # what was on its way comes on top


def test_endless_headers_are_given_up() -> None:
    with hostile(bad.endless_headers) as server:
        assert "failed: RemoteProtocolError" in str(asked(server.url))
        wait_for_no_connection(server)
        assert server.n_sent < 80_000_000


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, gzip", "identity, gzip", "x-unknown"])
@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error", "401 Unauthorized"])
def test_a_compressed_reply_is_never_opened_nor_asked_for_again(encoding: str, status: str) -> None:
    content = bad.packed(50)
    with hostile(always(reply(content, f"Content-Encoding: {encoding}", status=status))) as server:
        lost = asked(server.url)
        assert isinstance(lost, Lost) and "compressed its reply" in str(lost) and len(server.requests) == 1
        assert b"accept-encoding: identity" in server.requests[0].lower()
    with hostile(always(reply(body(), "Content-Encoding: identity"))) as server:
        assert isinstance(asked(server.url), dict)


def cut(content: bytes, n_said: int) -> bytes:
    return bad.HEAD + f"Content-Length: {n_said}\r\n\r\n".encode() + content


BROKEN = {
    "closed in the middle of a chunk": bad.CHUNKED + b"1000\r\n{",
    "closed before the last chunk": bad.CHUNKED + b"2\r\n{}\r\n",
    "content-length too long": cut(body(), len(body()) + 10),
    "content-length of 5000 digits": bad.HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
    "two content-lengths": bad.HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "negative content-length": cut(b"{}", -1),
    "chunk of a negative size": bad.CHUNKED + b"-1\r\n{}",
    "chunk size of 40 digits": bad.CHUNKED + b"f" * 40 + b"\r\n{}",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n" * 3,
    "zeros": bytes(1000),
    "closed at once": b"",
    "status of four digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "half characters": reply(b"\xff\xfe\xfa"),
    "an empty body": reply(b""),
    "a list": reply(b"[]"),
    "nested 100,000 deep": reply(b'{"a":' * 100_000),
    "nested lists": reply(b"[" * 4_000_000),
    "a number of a million digits": reply(b'{"a": ' + b"9" * 1_000_000 + b"}"),
    "a million choices": reply(b'{"choices": [' + b"{}," * 1_000_000 + b"{}]}"),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_reply_is_a_sentence(content: bytes) -> None:
    with hostile(once(content)) as server:
        found = asked(server.url)
        assert isinstance(found, Lost | Refused), found
        assert str(found).endswith(".") and len(str(found)) < 500 and len(getattr(found, "raw", "")) <= 2000


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("200 OK", "answered with a web page ('Sign in') instead of JSON. Check that the address"),
        ("400 Bad Request", "refuses the request (status 400): Sign in"),
        ("502 Bad Gateway", "answered with status 502 ('Sign in')."),
        ("404 Not Found", "nothing answers at"),
        ("405 Method Not Allowed", "nothing answers at"),
    ],
)
def test_a_web_page_in_the_place_of_a_reply_is_named_by_its_title(status: str, sentence: str) -> None:
    page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Hello</h1></body></html>"
    with hostile(always(reply(page, status=status))) as server:
        assert sentence in str(asked(server.url))


def test_a_refusal_is_quoted_by_its_message_alone() -> None:
    for content in (b'{"error": {"message": "Too long", "code": 3}}', b'{"error": "Too long"}', b"Too long"):
        with hostile(always(reply(content, status="400 Bad Request"))) as server:
            assert str(asked(server.url)).endswith("(status 400): Too long")


def test_a_reply_is_read_as_utf_8_whatever_its_server_calls_it() -> None:
    """Decoding 10 MB as punycode, which Python offers, takes hours."""
    content = json.dumps({"a": "é" * 1_000_000}, ensure_ascii=False).encode()
    for charset in ("punycode", "utf-16", "idna", "base64", "no-such"):
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset={charset}\r\n"
        sent = f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
        with hostile(once(sent)) as server:
            found = asked(server.url, timeout=20.0)
            assert isinstance(found, dict) and found["a"][:2] == "éé"


def test_interim_replies_and_what_follows_a_reply_do_no_harm() -> None:
    """Bytes after a reply, or a second reply that nobody asked for, end that connection."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    with hostile(once(interim + reply(body()))) as server:
        assert isinstance(asked(server.url), dict)

    def twice(caller: Caller) -> None:
        caller.read_request()
        caller.send(reply(body("5")))
        time.sleep(0.2)
        caller.send(reply(body("1")))
        caller.read_request()
        caller.send(reply(body("5")))

    for behave in (twice, always(reply(body()) + b"garbage")):
        with hostile(behave) as server:
            connection = Connection(Service(server.url), n_tries=3, timeout=20.0)
            for _ in range(3):
                said = connection.ask(REQUEST).body["choices"][0]["message"]["content"]
                assert said == "5"
                time.sleep(0.5)
            connection.close()


def test_a_second_reply_in_the_same_packet_is_never_taken_for_the_next_answer() -> None:
    n_asked = 0

    def numbered(caller: Caller) -> None:
        nonlocal n_asked
        while True:
            caller.read_request()
            n_asked += 1
            caller.send(reply(body(str(n_asked))) + reply(body("stale")))

    with hostile(numbered) as server:
        connection = Connection(Service(server.url), n_tries=3, timeout=20.0)
        said = [connection.ask(REQUEST).body["choices"][0]["message"]["content"] for _ in range(4)]
        connection.close()
    assert "stale" not in said


def test_a_reply_that_comes_before_the_request_was_read_is_taken() -> None:
    def hasty(caller: Caller) -> None:
        caller.send(reply(b'{"error": {"message": "too long"}}', "Connection: close", status="413 Too Large"))

    with hostile(hasty) as server:
        connection = Connection(Service(server.url), n_tries=2, timeout=20.0)
        with pytest.raises((Refused, Lost)):
            connection.ask({**REQUEST, "messages": [{"role": "user", "content": "x" * 20_000_000}]})
        connection.close()


def test_no_cookie_is_kept_and_no_redirect_is_followed() -> None:
    with hostile(always(reply(body(), "Set-Cookie: who=person; Path=/"))) as server:
        connection = Connection(Service(server.url), n_tries=1, timeout=20.0)
        for _ in range(2):
            connection.ask(REQUEST)
        connection.close()
        assert b"cookie" not in server.requests[-1].lower()
    with hostile(always(reply(body()))) as elsewhere:
        moved = reply(b"", f"Location: {elsewhere.url}/chat/completions", status="307 Temporary Redirect")
        with hostile(always(moved)) as server:
            assert "status 307" in str(asked(server.url)) and not elsewhere.requests


@pytest.mark.parametrize(
    "asked_for",
    [
        "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "-inf",
        "nan",
        "1e999",
        "x" * 1000,
        "Mon, 1 Jan 1 1:1:1",
    ],
)
def test_no_wish_for_a_pause_breaks_the_wait(asked_for: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "LONGEST_REQUESTED", 0.01)
    with hostile(always(reply(b"{}", f"Retry-After: {asked_for}", status="429 Too Many"))) as server:
        assert "status 429" in str(asked(server.url)) and len(server.requests) == 2


def listed(*entries: object) -> dict[str, Any]:
    return {"message": {"content": "5"}, "logprobs": {"content": [{"top_logprobs": list(entries)}]}}


def entry(logprob: object, token: object = "5") -> dict[str, object]:
    return {"token": token, "logprob": logprob}


LIES: dict[str, dict[str, Any]] = {
    "choices of nothing": {"choices": None},
    "choices as text": {"choices": "5" * 1000},
    "content as parts": {"choices": [{"message": {"content": [{"type": "text", "text": "5"}]}}]},
    "content as a number": {"choices": [{"message": {"content": 5}}]},
    "half a character": {"choices": [{"message": {"content": "\ud800"}}], "model": "\ud800"},
    "a text of 9 MB": {"choices": [{"message": {"content": "<think>" * 1_300_000}}]},
    "an object and spaces": {"choices": [{"message": {"content": "{}" + " " * 1_000_000 + "x"}}]},
    "a model of 1 MB": {"model": "m" * 1_000_000},
    "a model as a deep list": {"model": json.loads("[" * 500 + "]" * 500)},
    "a model as a number": {"model": 5},
    "NaN": {"choices": [listed(entry(float("nan")))]},
    "infinity": {"choices": [listed(entry(float("inf")))]},
    "a huge integer": {"choices": [listed(entry(10**400), entry(-(10**400)))]},
    "a logprob as text": {"choices": [listed(entry("-0.1"))]},
    "a token as a list": {"choices": [listed(entry(-0.1, ["5"]))]},
    "30,000 first tokens": {"choices": [listed(*[entry(-30.0, "5" * 40)] * 30_000)]},
    "first tokens as an object": {"choices": [{"message": {"content": "5"}, "logprobs": {"content": {}}}]},
    "a usage as a list": {"usage": [1, 2]},
}


@pytest.mark.parametrize("elicitation", ["logprobs", "samples", "verbalised"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_reply_that_lies_is_an_answer_or_missing_and_never_more(
    lie: dict[str, Any], elicitation: Elicitation, tmp_path: Path
) -> None:
    with hostile(always(reply(body(**lie)))) as server:
        responder = served(server.url, elicitation)
        responder.account = Account(Price(1.0, 1.0, "a test"), folder=tmp_path)
        begun = time.monotonic()
        found, sentence = answers(responder, [about()])
        assert time.monotonic() - begun < SLACK
        assert bool(found) != bool(sentence)
        for answer in found.values():
            assert np.nansum(answer.probabilities) == pytest.approx(1) or np.isnan(answer.probabilities).all()
    manifest = json.dumps(responder.account.as_dict(), ensure_ascii=False).encode()
    assert len(manifest) < 2000
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 50_000


MOST = most_tokens(about().prompt) + 1


@pytest.mark.parametrize(
    ("said", "n_tokens"),
    [
        ((60, 1), 61),
        ((60, 5000), 5060),  # a server that thinks before it answers is believed
        ((0, 0), MOST),
        ((60, 0), MOST),
        ((1, 1), MOST),
        ((-5, 1), MOST),
        ((True, True), MOST),
        ((10**30, 1), MOST),
        ((10**400, 1), MOST),
        ((60, 10**30), MOST),
        ((60.0, 1.0), MOST),
        (("60", "1"), MOST),
    ],
)
def test_a_usage_that_cannot_be_true_counts_as_the_most(
    said: tuple[object, object], n_tokens: int, tmp_path: Path
) -> None:
    usage = {"prompt_tokens": said[0], "completion_tokens": said[1]}
    with hostile(always(reply(body(usage=usage)))) as server:
        responder = served(server.url)
        responder.account = Account(Price(1.0, 1.0, "a test"), folder=tmp_path)
        found, _ = answers(responder, [about()])
    assert len(found) == 1
    total = responder.account.as_dict()
    assert total["n_read"] + total["n_written"] == n_tokens and total["usd"] == pytest.approx(n_tokens / 1e6)


def test_a_server_that_says_it_used_nothing_does_not_pass_the_spending_limit(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 0, "completion_tokens": 0}
    with hostile(always(reply(body(usage=usage)))) as server:
        responder = served(server.url, at_once=2)
        responder.account = Account(Price(10.0, 10.0, "a test"), limit_usd=0.01, folder=tmp_path)
        found, sentence = answers(responder, [about(f"How warm, {n}?") for n in range(30)])
    assert "spending limit of $0.01" in sentence and 1 <= len(found) < 30
    assert 0 < (responder.account.usd or 0) <= 0.01


@pytest.mark.parametrize("content", [b"{", b'{"choices": [' + b"{}," * 300_000 + b"{}]}"])
def test_replies_that_could_not_be_used_are_booked(content: bytes, tmp_path: Path) -> None:
    """The server called them a success, so it may bill them."""
    with hostile(always(reply(content))) as server:
        responder = served(server.url)
        responder.account = Account(Price(1.0, 1.0, "a test"), folder=tmp_path)
        answers(responder, [about()])
        total = responder.account.as_dict()
        assert total["n_requests"] == len(server.requests) > 0
        assert total["n_read"] + total["n_written"] == MOST * len(server.requests)


def test_a_server_that_is_frozen_in_the_middle_of_its_reply_is_given_up() -> None:
    command = [sys.executable, "-m", "tests.support.hostile_server", "one_byte_a_second"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        freeze = threading.Timer(1.5, process.send_signal, [signal.SIGSTOP])
        freeze.start()
        begun = time.monotonic()
        assert "timed out" in str(asked(url, n_tries=1, timeout=3.0))
        assert 2.9 < time.monotonic() - begun < 3 + SLACK
        process.kill()


_NAMELESS = """
import sys, threading, time
from socrates_core.models.served.ask import Connection, Lost
from socrates_core.models.served.server import Service
connection = Connection(Service("http://nowhere.example.test/v1"), n_tries=1, timeout=60)
threading.Timer(0.5, connection.stop.set).start()
begun = time.monotonic()
try:
    connection.ask({"model": "m", "messages": []})
except Lost as lost:
    print(lost)
connection.close()
print(time.monotonic() - begun)
"""


def test_a_request_is_stopped_while_no_name_server_answers(tmp_path: Path) -> None:
    """In a namespace of its own, whose only name server takes every question and answers none."""
    if os.getuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("only root can give a process another name server")
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\noptions timeout:10 attempts:3\n")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    bind = " && ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("resolv.conf", "hosts"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind(("127.0.0.53", 53))
        except OSError:
            pytest.skip("the port of name servers is taken")
        begun = time.monotonic()
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", f"{bind} && exec {sys.executable} -c '{_NAMELESS}'"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        ended = time.monotonic() - begun
        silent.settimeout(5)
        if "mount" in done.stderr or "unshare" in done.stderr:
            pytest.skip("nothing can be mounted here")
        assert silent.recv(1000)  # it was asked
    sentence, seconds = done.stdout.splitlines()
    assert "stopped" in sentence and float(seconds) < 2.5
    assert ended < 25, "a look-up kept the process from ending"
