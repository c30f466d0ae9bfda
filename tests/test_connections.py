"""Connections that never finish a request: they end, and however many there are, the dashboard answers others."""

import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.support.servers import HALF, SECRET, seconds_to_health, serving, sign_in, visit, websocket
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

FEW_FILES = ("bash", "-c", 'ulimit -n 1024; exec "$@"', "bash")

# Opens connections to a port, sends half a request on each, says so, and holds them until its input ends.
HOLDER = """
import resource, socket, sys
port, n, source = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
for _ in range(n):
    try:
        one = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
        one.sendall(sys.argv[4].encode())
        held.append(one)
    except OSError:
        continue
print(len(held), flush=True)
sys.stdin.read()
"""


@contextmanager
def half_open(port: int, n: int, source: str = "127.0.0.1") -> Iterator[int]:
    """Holds `n` connections with half a request each, in a process of its own; how many could be opened."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < n + 50:
        pytest.skip("this machine does not allow a process that many files")
    command = [sys.executable, "-c", HOLDER, str(port), str(n), source, HALF.decode()]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        yield int(holder.stdout.readline())
    finally:
        holder.communicate(timeout=PATIENCE)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a dashboard with a token and no more than 1,024 files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(tmp_path_factory.mktemp("guarded")))
        with serving(prefix=FEW_FILES, SOCRATES_TOKEN=SECRET) as (port, _):
            yield port


def first_bytes(line: socket.socket) -> bytes:
    """The beginning of an answer; empty where the connection was closed without one."""
    with suppress(ConnectionError):
        return line.recv(100)[:12]
    return b""


def is_open(line: socket.socket) -> bool:
    line.settimeout(0.05)
    try:
        return line.recv(65536) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_a_request_that_does_not_arrive_within_seconds_is_given_up(guarded: int) -> None:
    port = guarded
    name, cookie = sign_in(port)
    form = f"POST /access HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: 4000\r\n\r\ntoken="
    answered = f"GET /jobs HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n"
    begun = time.monotonic()
    lines = {
        start: socket.create_connection(("127.0.0.1", port))
        for start in (b"", HALF, form.encode(), answered.encode() + HALF)
    }
    for start, line in lines.items():
        line.sendall(start)
    ended: dict[bytes, float] = {}
    with websocket(port, name, cookie) as opened:
        while len(ended) < len(lines) and time.monotonic() - begun < 60:
            time.sleep(0.5)
            for start, line in lines.items():
                try:
                    line.sendall(b"x" if start else b"")  # slowly, never to the end
                    alive = is_open(line)
                except OSError:
                    alive = False
                if not alive:
                    ended.setdefault(start, time.monotonic() - begun)
        opened.ping().wait(PATIENCE)  # what was let in stays
    assert len(ended) == len(lines) and all(8 < seconds < 30 for seconds in ended.values()), ended


def test_half_open_connections_do_not_stop_the_dashboard(guarded: int) -> None:
    port = guarded
    name, cookie = sign_in(port)
    with websocket(port, name, cookie) as opened, half_open(port, 1100) as n_opened:
        assert n_opened > 1000
        assert seconds_to_health(port) < 5
        assert visit(port, "/jobs").status == 401
        assert visit(port, "/", name, Cookie=cookie).status == 200
        opened.ping().wait(PATIENCE)
    assert seconds_to_health(port) < 5


def test_one_peer_cannot_push_out_the_connections_of_another(guarded: int) -> None:
    port = guarded
    mine = socket.create_connection(("127.0.0.1", port))
    mine.sendall(HALF)
    with half_open(port, 700, source="127.0.0.2"):
        assert is_open(mine)  # the oldest of all, and not of the peer that has the most
        mine.sendall(b"x\r\n\r\n")
        mine.settimeout(PATIENCE)
        assert mine.recv(100).startswith(b"HTTP/1.1 401")


def test_many_websockets_without_the_token_are_refused_and_with_it_end_with_their_session(
    guarded: int,
) -> None:
    port = guarded
    name, cookie = sign_in(port)
    ask = "GET /_stcore/stream HTTP/1.1\r\nHost: {}:{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    ask += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    ask += "Sec-WebSocket-Protocol: streamlit\r\n"
    strangers = []
    for _ in range(600):
        line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        line.sendall(ask.format("localhost", port).encode() + b"\r\n")
        strangers.append(line)
    answers = [first_bytes(line) for line in strangers]
    assert (
        set(answers) <= {b"HTTP/1.1 403", b""} and answers.count(b"HTTP/1.1 403") > 100
    )  # others are closed at once
    for line in strangers:
        line.close()
    assert seconds_to_health(port) < 5
    friends = []
    for _ in range(400):
        line = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        with suppress(ConnectionError):  # of those that are too many
            line.sendall(ask.format(name, port).encode() + f"Cookie: {cookie}\r\n\r\n".encode())
        if first_bytes(line) == b"HTTP/1.1 101":
            friends.append(line)
    assert 90 <= len(friends) <= 100  # three quarters of what 1,024 files allow
    assert seconds_to_health(port) < 5
    assert visit(port, "/access/leave", name, Cookie=cookie).status == 200
    for line in friends:
        while line.recv(65536):
            continue
        line.close()
    assert seconds_to_health(port) < 5
