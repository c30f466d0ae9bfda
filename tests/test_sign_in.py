"""Sessions: what another person's server on the same machine gets of them, how they end, and what is under a token."""

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from pages.server.sessions import RANDOM_NAME
from tests.support.browser import in_browser
from tests.support.processes import ROOT, end_worker
from tests.support.servers import SECRET, answers, free_port, serving, sign_in, visit, websocket
from tests.support.waiting import PATIENCE


class Listener(http.server.ThreadingHTTPServer):
    """Another person's server on this machine: it keeps the cookies that browsers bring."""

    def __init__(self) -> None:
        self.cookies: list[str] = []
        self.names: list[str] = []
        listener = self

        class Keeping(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                listener.cookies.append(self.headers.get("Cookie", ""))
                listener.names.append(str(self.headers))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<!doctype html><title>a link that looked interesting</title>")

            def log_message(self, *_: object) -> None:
                return

        super().__init__(("127.0.0.1", 0), Keeping)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def refusal(port: int, name: str, cookie: str) -> int:
    """The status with which a websocket is refused; 0 where it opens."""
    try:
        with websocket(port, name, cookie):
            return 0
    except InvalidStatus as refused:
        return refused.response.status_code


def seconds_until_closed(opened: ClientConnection) -> float:
    begun = time.monotonic()
    with pytest.raises(ConnectionClosed) as end:
        while True:
            opened.recv(timeout=PATIENCE)
    assert end.value.rcvd is not None and end.value.rcvd.code == 1008
    return time.monotonic() - begun


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a dashboard with a token that listens on every address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(tmp_path_factory.mktemp("guarded")))
        with serving("--host", "0.0.0.0", SOCRATES_TOKEN=SECRET) as (port, _):
            yield port


@pytest.fixture
def address() -> str:
    """An address of this machine that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("entry", ["localhost", "127.0.0.1"])
@in_browser
def test_another_server_on_this_machine_gets_nothing_from_a_browser_that_signed_in(
    guarded: int, browser: Browser, entry: str
) -> None:
    listener = Listener()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    page.goto(f"http://{entry}:{guarded}/jobs")
    page.get_by_label("Access token").fill(SECRET)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    name = urlsplit(page.url).hostname or ""
    kept = [each for each in context.cookies() if each["name"].startswith("socrates_")]
    for host in ("localhost", "127.0.0.1"):
        page.goto(f"http://{host}:{listener.server_port}/")
        expect(page).to_have_title("a link that looked interesting")
    context.close()
    listener.shutdown()
    for cookie in listener.cookies:  # what it got opens nothing, under any name that it can know
        for host in ("localhost", "127.0.0.1"):
            assert visit(guarded, "/", host, Cookie=cookie).status == 401
    assert not any("socrates_" in each or name in each for each in listener.names), listener.names
    assert len(listener.cookies) >= 2 and RANDOM_NAME.fullmatch(name)
    assert [(each["domain"], each["httpOnly"], each["sameSite"]) for each in kept] == [(name, True, "Strict")]
    assert kept[0]["expires"] <= time.time() + 12 * 3600


def test_a_cookie_is_accepted_under_the_name_of_its_own_session_alone(guarded: int) -> None:
    (name, cookie), (other, other_cookie) = sign_in(guarded), sign_in(guarded)
    assert cookie != other_cookie and name != other
    assert visit(guarded, "/", name, Cookie=cookie).status == 200
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert visit(guarded, "/", host, Cookie=cookie).status == 401, host
    assert visit(guarded, "/", other, Cookie=cookie).status == 303
    assert visit(guarded, "/_stcore/host-config", other, Cookie=cookie, method="POST").status == 401
    assert refusal(guarded, "localhost", cookie) == refusal(guarded, other, cookie) == 403
    assert refusal(guarded, name, cookie) == 0


def test_a_random_name_is_a_name_of_this_machine_only_while_its_session_lives(guarded: int) -> None:
    name, cookie = sign_in(guarded)
    unknown = f"socrates-{'0' * 32}.localhost"
    for host in (unknown, "socrates-0.localhost", f"x.{name}", f"{name}.evil.example", "other.localhost"):
        assert visit(guarded, "/jobs", host, Sec_Fetch_Mode="cors").status == 421, host
        assert refusal(guarded, host, cookie) == 403
    assert visit(guarded, "/access/leave", name, Cookie=cookie).status == 200
    for host in (name, unknown):
        old = visit(guarded, "/jobs?job=1", host, Sec_Fetch_Mode="navigate")
        assert old.status == 303 and old.headers["location"] == f"http://localhost:{guarded}/jobs?job=1"
        assert visit(guarded, "/jobs", host, method="POST").status == 421
    strange = visit(guarded, "//evil.example/%0d%0aSet-Cookie:x=1", unknown)
    assert strange.headers["location"] == f"http://localhost:{guarded}/" and not strange.headers["set-cookie"]


def test_a_ticket_is_good_once_and_under_its_name_alone(guarded: int) -> None:
    entered = visit(guarded, "/access", data=f"token={SECRET}")
    moved = urlsplit(entered.headers["location"])
    path, name = f"{moved.path}?{moved.query}", moved.hostname or ""
    first = visit(guarded, path, name)
    assert first.status == 200 and first.cookie and "no-store" in first.headers["cache-control"]
    again = visit(guarded, path, name)
    assert again.status == 303 and not again.cookie
    other = urlsplit(visit(guarded, "/access", data=f"token={SECRET}").headers["location"])
    elsewhere = visit(guarded, f"{other.path}?{other.query}", name)
    assert elsewhere.status == 303 and not elsewhere.cookie
    assert visit(guarded, "/access?ticket=guess", name).status == 303
    wrong = visit(guarded, "/access", data="token=wrong")
    assert wrong.status == 401 and ".localhost" not in str(wrong.headers)


def test_a_browser_on_this_machine_gets_a_random_name_from_any_address(guarded: int, address: str) -> None:
    """faults/test_attacked_dashboard.py plays another machine; here a browser on this one uses its address."""
    entered = visit(guarded, "/access", address, data=f"token={SECRET}", address=address)
    assert entered.status == 303 and not entered.cookie
    assert RANDOM_NAME.fullmatch(urlsplit(entered.headers["location"]).hostname or "")
    forged = visit(
        guarded, "/access", address, data=f"token={SECRET}", address=address, X_Forwarded_For="203.0.113.9"
    )
    assert forged.status == 303 and not forged.cookie  # a claim of another address is not believed


def test_no_link_leads_elsewhere_after_signing_in(guarded: int) -> None:
    """A browser drops tabs and line breaks from a link, so `/<tab>/evil.example` would become another server's."""
    for page in (
        "/\t/evil.example",
        "/\n/evil.example",
        "//evil.example",
        "/\\evil.example",
        "\t//evil.example",
        "x:y",
    ):
        entered = visit(guarded, "/access", data=f"token={SECRET}&next={quote(page)}")
        moved = urlsplit(entered.headers["location"])
        arrived = visit(guarded, f"{moved.path}?{moved.query}", moved.hostname or "")
        target = arrived.text.split("url=")[1].split('"')[0]
        assert target == "/" or target.startswith(("/%09/", "/%0A/")), (page, target)


def test_signing_out_ends_the_session_and_closes_its_websockets(guarded: int) -> None:
    name, cookie = sign_in(guarded)
    other, other_cookie = sign_in(guarded)
    with websocket(guarded, name, cookie) as opened, websocket(guarded, other, other_cookie) as stays:
        left = visit(guarded, "/access/leave", name, Cookie=cookie)
        assert left.status == 200 and "You are signed out." in left.text
        assert (
            f'href="http://localhost:{guarded}/"' in left.text and "Max-Age=0" in left.headers["set-cookie"]
        )
        assert seconds_until_closed(opened) < 5
        assert visit(guarded, "/_stcore/host-config", name, Cookie=cookie).status == 303
        assert visit(guarded, "/", other, Cookie=other_cookie).status == 200
        stays.ping().wait(PATIENCE)
    assert "You are signed out." in visit(guarded, "/access/leave").text  # of nobody: the same page


def test_a_session_ends_by_itself(home: Path) -> None:
    port = free_port()
    code = f"from pages.server import serve, sessions; sessions.SECONDS = 6; serve.serve('localhost', {port})"
    server = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"SOCRATES_TOKEN": SECRET}
    )
    try:
        answers(port, server)
        name, cookie = sign_in(port)
        with websocket(port, name, cookie) as opened:
            assert visit(port, "/", name, Cookie=cookie).status == 200
            assert seconds_until_closed(opened) < 20
        assert visit(port, "/", name, Cookie=cookie).status == 303
    finally:
        server.terminate()
        server.wait(PATIENCE)
        end_worker()


@in_browser
def test_a_person_signs_out_by_the_link_in_the_sidebar(guarded: int, browser: Browser) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)
    page = context.new_page()
    page.goto(f"http://localhost:{guarded}/jobs")
    page.get_by_label("Access token").fill(SECRET)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    address = page.url
    with context.expect_page() as opened:
        page.get_by_role("link", name="Sign out").click()
    expect(opened.value.get_by_text("You are signed out.")).to_be_visible()
    assert not [each for each in context.cookies() if each["name"].startswith("socrates_")]
    page.goto(address)  # an old link leads to the form, and from there to its page
    assert urlsplit(page.url).hostname == "localhost" and urlsplit(page.url).path == "/jobs"
    page.get_by_label("Access token").fill(SECRET)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()
    context.close()


def test_no_other_program_can_listen_where_a_browser_looks_for_localhost(guarded: int) -> None:
    for family, here in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((here, guarded))


def test_odd_paths_answer_nothing_without_the_token(guarded: int) -> None:
    odd = [
        "/media/",
        "/media/..%2f..%2fetc%2fpasswd",
        "/media/x.csv?file=/etc/passwd",
        "/_stcore/",
        "/_stcore/metrics",
        "/_stcore/health/",
        "/_stcore/health/../host-config",
        "/_stcore/health%2f..%2fhost-config",
        "/_stcore//health",
        "/%5fstcore/host-config",
        "/_stcore/script-health-check",
        "/_stcore/upload_file/a/b",
        "/_stcore/agent",
        "/_stcore/bidi-components/x/y.js",
        "/component/",
        "/component/x/../../../etc/passwd",
        "/static/",
        "/static/../../app.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/app/static/x",
        "/%00",
        "/.git/config",
        "/access/../media/x",
        "//media/x",
        "/\\media",
        "/media/;/x",
        "/oauth2callback",
        "/auth/login",
        "/access/leave/../../media/x",
        "/access/x",
    ]
    for path in odd:
        for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS"):
            answer = visit(guarded, path, method=method)
            assert answer.status in (401, 400), (method, path, answer.status)
            assert "access token" in answer.text or not answer.text, (method, path)


def test_nothing_is_listed_or_read_through_odd_paths_with_the_token(guarded: int) -> None:
    name, cookie = sign_in(guarded)
    shell = visit(guarded, "/", name, Cookie=cookie).text
    for path in (
        "/media/",
        "/media/..%2f..%2fetc%2fpasswd",
        "/static/../../app.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/component/x/../../../etc/passwd",
        "/component/x/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/app/static/app.py",
        "/.streamlit/config.toml",
        "/%00",
        "/static/%5c..%5capp.py",
    ):
        answer = visit(guarded, path, name, Cookie=cookie)
        assert answer.status in (400, 403, 404) or answer.text == shell, (
            path,
            answer.status,
            answer.text[:80],
        )
        assert "root:" not in answer.text and "set_page_config" not in answer.text, path
