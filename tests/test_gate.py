"""Who gets in: names, origins and the access token, asked of the real server; and a hostile page in a real browser."""

import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Response, expect

from pages.server.sessions import RANDOM_NAME
from socrates_core.cli.app import DIRECT
from socrates_core.settings import TOKEN
from tests.support.browser import in_browser
from tests.support.commands import command
from tests.support.processes import ROOT
from tests.support.servers import (
    SECRET,
    ask,
    free_port,
    server_log,
    serving,
    stream,
    visit,
)
from tests.support.waiting import PATIENCE


def test_only_names_of_this_machine_and_own_pages_are_answered(shared_server: int) -> None:
    home = f"http://127.0.0.1:{shared_server}"
    assert ask(f"{home}/")[0] == 200
    assert ask(f"{home}/", Host=f"localhost:{shared_server}")[0] == 200
    assert ask(f"{home}/", Host="localhost:9000")[0] == 200  # through a tunnel
    for name in (
        "evil.example",
        f"evil.example:{shared_server}",
        "localhost.evil.example",
        "10.0.0.7",
        "[",
        "",
    ):
        status, told = ask(f"{home}/", Host=name)
        assert status == 421 and "does not answer" in told, name
    for origin in (
        "http://evil.example",
        "null",
        f"https://localhost:{shared_server}.evil.example",
        "http://localhost:1",
    ):
        assert ask(f"{home}/", Host=f"localhost:{shared_server}", Origin=origin)[0] == 403, origin
        assert stream(shared_server, Origin=origin) == 403, origin
    assert stream(shared_server, Origin=f"http://127.0.0.1:{shared_server}") == 101
    assert ask(f"{home}/_stcore/host-config", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    upload = f"{home}/_stcore/upload_file/x/y"
    assert ask(upload, method="PUT", data=b"x", Origin="http://evil.example")[0] == 403
    assert (
        ask(upload, method="PUT", data=b"x")[0] == 403
    )  # without Streamlit's own mark against forged requests


def test_a_page_elsewhere_opens_a_link_but_no_frame(shared_server: int) -> None:
    with DIRECT.open(
        urllib.request.Request(
            f"http://localhost:{shared_server}/",
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        )
    ) as answer:
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_without_the_token_nothing_is_answered(home: Path) -> None:
    with serving("--host", "0.0.0.0", SOCRATES_TOKEN=SECRET) as (port, _):
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
    written = server_log().read_text()
    assert f"http://localhost:{port}" in written and SECRET not in written


@pytest.mark.parametrize(
    ("arguments", "token", "told"),
    [
        (("--host", "0.0.0.0"), "", "an access token is needed"),
        (("--host", "0.0.0.0"), "short", "at least 16"),
        (("--host", "203.0.113.9"), SECRET, "is not an address of this machine"),
        (("--host", "a b"), SECRET, "is not an address of this machine"),
    ],
)
def test_an_address_that_lets_others_in_needs_a_token(
    home: Path, arguments: tuple[str, ...], token: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCRATES_TOKEN", token)
    assert told in command("app", "--port", str(free_port()), *arguments, code=2)


@in_browser
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


@in_browser
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


def test_the_server_itself_refuses_an_open_address_without_a_token(home: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != TOKEN}
    done = subprocess.run(
        [sys.executable, "-m", "pages.server.serve", "0.0.0.0", "8799"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1 and "an access token is needed" in done.stderr
