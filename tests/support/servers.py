"""Dashboards that the project's own command serves, and what they answer."""

import http.client
import http.server
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from socrates_core.cli.app import DIRECT
from tests.support.processes import ROOT, app_command, end_worker, processes_of, start
from tests.support.waiting import PATIENCE, wait_until

SECRET = "a-planted-token-of-some-length"
STREAM = "/_stcore/stream"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def ask(url: str, *, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, str]:
    """The status and the text of an answer; redirections are followed."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, named, method=method)
    try:
        with DIRECT.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


@dataclass(frozen=True)
class Answer:
    """An answer as it came, no redirect followed."""

    status: int
    headers: Message
    text: str

    @property
    def cookie(self) -> str:
        """What a browser would send back of the cookie of the gate; empty where none is set."""
        named = [each for each in self.headers.get_all("set-cookie", []) if each.startswith("socrates_")]
        return named[0].split(";")[0] if named else ""


def visit(
    port: int,
    path: str,
    host: str = "",
    *,
    data: str = "",
    method: str = "",
    address: str = "127.0.0.1",
    source: str | None = None,
    **headers: str,
) -> Answer:
    """Asks the server at `address` under the name `host`, from the address `source`, and follows nothing."""
    line = http.client.HTTPConnection(
        address, port, timeout=PATIENCE, source_address=(source, 0) if source else None
    )
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    line.request(
        method or ("POST" if data else "GET"),
        path,
        data.encode() or None,
        {"Host": f"{host or 'localhost'}:{port}"} | named,
    )
    answer = line.getresponse()
    read = Answer(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))
    line.close()
    return read


def sign_in(port: int, host: str = "localhost", **options: str) -> tuple[str, str]:
    """The name and the cookie of a session that was started at the form and, for a random name, its ticket."""
    entered = visit(port, "/access", host, data=f"token={SECRET}", **options)
    assert entered.status == 303, entered
    if entered.cookie:
        return host, entered.cookie
    moved = urlsplit(entered.headers["location"])
    assert moved.hostname and moved.port == port
    arrived = visit(port, f"{moved.path}?{moved.query}", moved.hostname, **options)
    assert arrived.status == 200 and arrived.cookie, arrived
    return moved.hostname, arrived.cookie


def stream(port: int, **headers: str) -> int:
    """The status with which a websocket is refused; 101 where it opens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with connect(
            f"ws://127.0.0.1:{port}{STREAM}",
            additional_headers=named,
            subprotocols=[Subprotocol("streamlit")],
            open_timeout=PATIENCE,
            proxy=None,
        ):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def answers(port: int, server: subprocess.Popen[Any]) -> None:
    """Waits until the dashboard answers, or its process has ended."""

    def healthy() -> bool:
        try:
            return bool(DIRECT.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).read())
        except OSError:
            return False

    wait_until(lambda: server.poll() is not None or healthy(), step=0.1)


@contextmanager
def serving(
    *arguments: str, prefix: Sequence[str] = (), **environment: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A dashboard that the project's own command serves; `prefix` is what runs the command."""
    port = free_port()
    with server_log().open("ab") as log:
        server = subprocess.Popen(
            [*prefix, *app_command(port), *arguments],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
        )
    try:
        answers(port, server)
        yield port, server
    finally:
        server.terminate()  # not SIGINT, which a run in the background leaves to be ignored
        server.wait(PATIENCE)
        end_worker()


def server_log() -> Path:
    """What the servers of the test's home write, beside the home."""
    home = Path(os.environ["SOCRATES_HOME"])
    home.parent.mkdir(parents=True, exist_ok=True)
    return home.with_name("server.log")


def end(*commands: subprocess.Popen[bytes]) -> None:
    """Ends dashboards, all at once, and the worker that they started."""
    for command in commands:
        command.terminate()
    for command in commands:
        command.wait(PATIENCE)
    end_worker()


def servers_of(home: Path) -> list[psutil.Process]:
    return [process for process in processes_of(home) if "pages.server.serve" in process.cmdline()]


@contextmanager
def websocket(port: int, name: str, cookie: str) -> Iterator[ClientConnection]:
    with connect(
        f"ws://{name}:{port}{STREAM}",
        sock=socket.create_connection(("127.0.0.1", port)),
        additional_headers={"Cookie": cookie},
        subprotocols=[Subprotocol("streamlit")],
        open_timeout=PATIENCE,
        proxy=None,
    ) as opened:
        yield opened


HALF = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Half: "


def seconds_to_health(port: int) -> float:
    begun = time.monotonic()
    assert visit(port, "/_stcore/health").text == "ok"
    return time.monotonic() - begun


def serve(port: int) -> subprocess.Popen[str]:
    """The project's own command, once its dashboard answers."""
    served = start("app", "--port", str(port))
    answers(port, served)
    return served
