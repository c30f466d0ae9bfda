"""One dashboard per home: two starts at once, a proxy, a paused one, another person, a read-only home, old notes."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from socrates_core.jobs.store import identify
from tests.support.processes import ROOT, app_command
from tests.support.servers import answers, end, free_port, servers_of, serving
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


def start_app(port: int, prefix: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself."""
    return subprocess.run(
        [*prefix, *app_command(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | environment,
    )


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """The address of a proxy that answers nothing, and what it was sent."""
    sent: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def keep() -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            line.settimeout(1)
            try:
                sent.append(line.recv(200))
            except OSError:
                sent.append(b"")
            line.close()

    threading.Thread(target=keep, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", sent
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.fixture
def other_program() -> Iterator[http.server.HTTPServer]:
    """A server on this machine that answers everything with 200."""

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_proxy_of_the_environment_sees_nothing_and_hides_nothing(
    home: Path, proxy: tuple[str, list[bytes]]
) -> None:
    address, sent = proxy
    names = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    with serving(**dict.fromkeys(names, address)) as (port, _):
        again = start_app(port, **dict.fromkeys(names, address))
        assert (again.returncode, again.stdout) == (0, f"http://localhost:{port}\n"), again.stderr
        assert len(servers_of(home)) == 1 and (home / "dashboard.json").exists()
    assert sent == []


ASKING = """
import sys, urllib.request
import requests
import socrates_core
from huggingface_hub import get_session
address = sys.argv[1]
with urllib.request.urlopen(address) as answer:
    statuses = [answer.status]
print(statuses + [requests.get(address).status_code, get_session().get(address).status_code])
"""


@pytest.mark.parametrize("excepted", ["", "example.org"])
def test_a_proxy_of_the_environment_sees_nothing_of_a_hub_on_this_machine(
    proxy: tuple[str, list[bytes]], other_program: http.server.HTTPServer, excepted: str
) -> None:
    address, sent = proxy
    names = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    for host in ("127.0.0.1", "localhost"):
        done = subprocess.run(
            [sys.executable, "-c", ASKING, f"http://{host}:{other_program.server_port}/"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env=os.environ | dict.fromkeys(names, address) | {"NO_PROXY": excepted, "no_proxy": ""},
        )
        assert done.stdout == "[200, 200, 200]\n", done.stderr
    assert sent == []


def test_of_two_starts_at_the_same_moment_one_serves_and_one_points_to_it(home: Path) -> None:
    ports = free_port(), free_port()
    nowhere, piped = subprocess.DEVNULL, subprocess.PIPE
    both = [subprocess.Popen(app_command(port), cwd=ROOT, stdout=nowhere, stderr=piped) for port in ports]
    wait_until(lambda: any(each.poll() is not None for each in both))
    ended = [each for each in both if each.poll() is not None]
    (stays,) = [each for each in both if each not in ended]
    answers(ports[both.index(stays)], stays)
    n_servers = len(servers_of(home))
    end(stays)
    assert [each.returncode for each in ended] == [2] and n_servers == 1
    assert (
        f"already runs at http://localhost:{ports[both.index(stays)]}," in ended[0].communicate()[1].decode()
    )


def test_a_paused_dashboard_is_named_within_seconds(home: Path) -> None:
    with serving() as (port, command):
        (server,) = psutil.Process(command.pid).children()
        server.suspend()
        begun = time.monotonic()
        second = start_app(free_port())
        assert time.monotonic() - begun < 30
        assert second.returncode == 2 and f"kill -CONT {server.pid}" in second.stderr and not second.stdout
        assert len(servers_of(home)) == 1
        server.resume()
        assert start_app(port).stdout == f"http://localhost:{port}\n"
        server.suspend()  # and one that is paused ends with its command
        command.send_signal(signal.SIGTERM)
        assert command.wait(PATIENCE) == 0 and not server.is_running()


def test_a_note_that_names_another_process_is_not_believed(
    home: Path, other_program: http.server.HTTPServer
) -> None:
    """As after a restart of the machine: the process id in the note belongs to another program, which answers."""
    home.mkdir()
    note = {"host": "localhost", "port": other_program.server_port, **vars(identify(os.getpid()))}
    (home / "dashboard.json").write_text(json.dumps(note))
    with serving() as (port, _):
        assert len(servers_of(home)) == 1
        assert json.loads((home / "dashboard.json").read_text())["port"] == port


def test_a_note_is_removed_by_its_own_dashboard_alone(home: Path) -> None:
    with serving():
        note = {"host": "localhost", "port": 1, **vars(identify(os.getpid()))}
        (home / "dashboard.json").write_text(json.dumps(note))
    assert json.loads((home / "dashboard.json").read_text()) == note


@pytest.mark.parametrize("umask", ["000", "077"])
def test_what_the_command_writes_is_readable_by_its_owner_alone(home: Path, umask: str) -> None:
    with serving(prefix=("bash", "-c", f'umask {umask}; exec "$@"', "bash")):
        modes = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()}
        assert home.stat().st_mode & 0o777 == 0o700
        assert modes["dashboard.json"] == modes["dashboard.lock"] == 0o600, modes
        assert all(mode & 0o077 == 0 for mode in modes.values()), modes


@pytest.mark.parametrize("killed", ["both", "server"])
def test_after_a_kill_a_start_works_at_once(home: Path, killed: str) -> None:
    with serving() as (port, command):
        (server,) = psutil.Process(command.pid).children()
        if killed == "both":
            command.kill()
        server.kill()
        command.wait(PATIENCE)
        server.wait(PATIENCE)
        again = subprocess.Popen(app_command(port), cwd=ROOT, stdout=subprocess.PIPE)
        assert again.stdout is not None
        line = again.stdout.readline().decode()
        assert line.startswith(f"Socrates is at http://localhost:{port} ")
        answers(port, again)
        end(again)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine can reach, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def refusal(port: int, prefix: Sequence[str], home: Path, *arguments: str) -> str:
    """The sentence with which a command ends on a home that it cannot use."""
    command = [*prefix, *(app_command(port) if not arguments else [*app_command(port)[:3], *arguments])]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"SOCRATES_HOME": str(home), "HOME": "/nonexistent"},
    )
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    return done.stderr


@as_root
@pytest.mark.parametrize("arguments", [(), ("jobs",), ("studies",), ("storage",)])
def test_the_home_of_another_user_is_refused_with_a_sentence(
    open_folder: Path, arguments: tuple[str, ...]
) -> None:
    (open_folder / "home").mkdir(mode=0o700)
    (open_folder / "home" / "jobs").mkdir(mode=0o700)
    assert "cannot be read" in refusal(free_port(), NOBODY, open_folder / "home", *arguments)


@as_root
def test_a_dashboard_of_another_user_is_refused_with_a_sentence(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCRATES_HOME", str(open_folder / "home"))
    with serving():
        assert "cannot be read" in refusal(free_port(), NOBODY, open_folder / "home")
        (open_folder / "home").chmod(0o755)
        assert "Permission denied" in refusal(free_port(), NOBODY, open_folder / "home")


@as_root
def test_a_home_that_cannot_be_written_is_refused_with_a_sentence(home: Path) -> None:
    home.mkdir()
    read_only = f'mount --bind {home} {home} && mount -o remount,ro,bind {home} && exec "$@"'
    prefix = ("unshare", "--mount", "bash", "-c", read_only, "bash")
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount")
    assert "Read-only file system" in refusal(free_port(), prefix, home)
