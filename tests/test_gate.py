"""Who gets in: names, origins and the access token, asked of the real server; and a hostile page in a real browser."""

import http.client
import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Response, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from pages.server.sessions import RANDOM_NAME
from socrates_core.cli.app import DIRECT
from tests.conftest import PATIENCE, ROOT, app_command, end_worker
from tests.test_walk import CHROMIUM, browser

__all__ = ["browser"]
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


def answers(port: int, server: subprocess.Popen[bytes]) -> None:
    """Waits until the dashboard answers, or its process has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            DIRECT.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).read()
            return
        except OSError:
            time.sleep(0.2)


@contextmanager
def serving(
    *arguments: str, prefix: Sequence[str] = (), **environment: str
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A dashboard that the project's own command serves; `prefix` is what runs the command."""
    port = free_port()
    server = subprocess.Popen(
        [*prefix, *app_command(port), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | environment,
    )
    answers(port, server)
    try:
        yield port, server
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
        end_worker()


def test_only_names_of_this_machine_and_own_pages_are_answered(served: int) -> None:
    home = f"http://127.0.0.1:{served}"
    assert ask(f"{home}/")[0] == 200
    assert ask(f"{home}/", Host=f"localhost:{served}")[0] == 200
    assert ask(f"{home}/", Host="localhost:9000")[0] == 200  # through a tunnel
    for name in ("evil.example", f"evil.example:{served}", "localhost.evil.example", "10.0.0.7", "[", ""):
        status, told = ask(f"{home}/", Host=name)
        assert status == 421 and "does not answer" in told, name
    for origin in (
        "http://evil.example",
        "null",
        f"https://localhost:{served}.evil.example",
        "http://localhost:1",
    ):
        assert ask(f"{home}/", Host=f"localhost:{served}", Origin=origin)[0] == 403, origin
        assert stream(served, Origin=origin) == 403, origin
    assert stream(served, Origin=f"http://127.0.0.1:{served}") == 101
    assert ask(f"{home}/_stcore/host-config", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    upload = f"{home}/_stcore/upload_file/x/y"
    assert ask(upload, method="PUT", data=b"x", Origin="http://evil.example")[0] == 403
    assert (
        ask(upload, method="PUT", data=b"x")[0] == 403
    )  # without Streamlit's own mark against forged requests


def test_a_page_elsewhere_opens_a_link_but_no_frame(served: int) -> None:
    with DIRECT.open(
        urllib.request.Request(
            f"http://localhost:{served}/",
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        )
    ) as answer:
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_the_token_nothing_is_answered(home: Path) -> None:
    with serving("--host", "0.0.0.0", SOCRATES_TOKEN=SECRET) as (port, server):
        address = f"http://127.0.0.1:{port}"
        for path in ("/", "/jobs?job=1", "/_stcore/host-config", "/static/js", "/media/x.csv"):
            status, told = ask(address + path)
            assert status == 401 and "access token" in told, path
        assert ask(f"{address}/_stcore/health") == (200, "ok")
        assert stream(port) == 403 and stream(port, Cookie=f"socrates_{port}={SECRET}") == 403
        assert ask(f"{address}/?token={SECRET}")[0] == 401  # never in a link
        assert ask(f"{address}/", Authorization=f"Bearer {SECRET}")[0] == 200
        assert ask(f"{address}/", Authorization="Bearer wrong")[0] == 401
        assert ask(f"{address}/", Host="evil.example", Authorization=f"Bearer {SECRET}")[0] == 421
        assert (
            ask(
                f"{address}/access",
                method="POST",
                data=f"token={SECRET}".encode(),
                Origin="http://evil.example",
            )[0]
            == 403
        )
        assert ask(f"{address}/access", method="POST", data=b"x" * 100_000)[0] == 401
        for page, lands in (("//evil.example/", "/"), ("/jobs?job=1", "/jobs?job=1"), ("/access", "/")):
            entered = visit(port, "/access", data=f"token={SECRET}&next={quote(page)}")
            assert parse_qs(urlsplit(entered.headers["location"]).query)["next"] == [lands]
        assert stream(port, Authorization=f"Bearer {SECRET}") == 101
        assert SECRET not in (home / "dashboard.json").read_text()
        server.send_signal(signal.SIGINT)
        assert server.stdout is not None and SECRET not in server.stdout.read().decode()


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (("--host", "0.0.0.0"), "", "an access token is needed"),
        (("--host", "0.0.0.0"), "short", "at least 16"),
        (("--host", "203.0.113.9"), SECRET, "no address of this machine"),
        (("--host", "a b"), SECRET, "no address of this machine"),
    ],
)
def test_an_address_that_lets_others_in_needs_a_token(
    home: Path, arguments: tuple[str, ...], token: str, told: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "socrates_core", "app", "--port", str(free_port()), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"SOCRATES_TOKEN": token},
    )
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr


@pytest.mark.browser
@pytest.mark.xdist_group("walk")
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_person_enters_with_the_token_and_lands_where_the_link_pointed(
    home: Path, browser: Browser
) -> None:
    with serving(SOCRATES_TOKEN=SECRET) as (port, _):
        page = browser.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto(f"http://localhost:{port}/jobs")
        page.get_by_label("Access token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_text("That is not the access token")).to_be_visible()
        page.get_by_label("Access token").fill(SECRET)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
        address = urlsplit(page.url)
        assert address.path == "/jobs" and RANDOM_NAME.fullmatch(address.hostname or "") and not address.query
        page.close()


HOSTILE_PAGE = """<!doctype html><title>begun</title><script>
const told = {}, home = "http://localhost:PORT";
const tries = {
  read: () => fetch(home + "/_stcore/host-config").then(a => a.text()).then(() => "read"),
  write: () => fetch(home + "/_stcore/upload_file/a/b", {method: "PUT", body: "x"}).then(a => a.ok ? "written" : "no"),
  blind: () => fetch(home + "/_stcore/host-config", {mode: "no-cors"}).then(() => "sent"),
  socket: () => new Promise(done => { const s = new WebSocket("ws://localhost:PORT/_stcore/stream", ["streamlit"]);
    s.onopen = () => done("open"); s.onerror = () => done("no"); }),
  script: () => new Promise(done => { const s = document.createElement("script"); s.src = home + "/_stcore/host-config";
    s.onload = () => done("loaded"); s.onerror = () => done("no"); document.head.append(s); }),
  frame: () => new Promise(done => { const f = document.createElement("iframe"); f.src = home + "/";
    f.onload = () => done("loaded");
    document.documentElement.append(f); }),
};
(async () => { for (const name in tries) { try { told[name] = await tries[name](); } catch (e) { told[name] = "no"; } }
  window.told = told; document.title = "done"; })();
</script>"""


@pytest.mark.browser
@pytest.mark.xdist_group("walk")
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_hostile_page_in_the_same_browser_reads_and_writes_nothing(
    served: int, tmp_path: Path, browser: Browser
) -> None:
    (tmp_path / "index.html").write_text(HOSTILE_PAGE.replace("PORT", str(served)))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    elsewhere = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=elsewhere.serve_forever, daemon=True).start()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    context.add_cookies([{"name": f"socrates_{served}", "value": "x", "url": f"http://localhost:{served}"}])
    page = context.new_page()
    statuses: dict[str, int] = {}

    def note(answer: Response) -> None:
        statuses[answer.url] = answer.status

    page.on("response", note)
    page.goto(f"http://localhost:{elsewhere.server_port}/")
    page.wait_for_function("document.title === 'done'")
    told = page.evaluate("window.told")
    framed = [frame.url for frame in page.frames if frame is not page.main_frame]
    page.close()
    elsewhere.shutdown()
    assert {name: told[name] for name in ("read", "write", "socket", "script")} == dict.fromkeys(
        ("read", "write", "socket", "script"), "no"
    ), told
    assert all(url.startswith("chrome-error") for url in framed), framed
    statuses = {url: status for url, status in statuses.items() if f":{served}/_stcore" in url}
    assert set(statuses.values()) <= {403}, json.dumps(statuses)
