"""The command that serves the dashboard on localhost, once per home: app."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer

from socrates_core.cli.output import say
from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import ProcessIdentity, identify
from socrates_core.settings import CODE, TOKEN, check_token, folder

LOCAL = "localhost"
START_SECONDS = 10.0  # a second command waits this long for the first one to write its note
ANSWER_SECONDS = 3.0
END_SECONDS = 15.0  # a server has this long to end by itself
PORT = 8501
# Never through a proxy from the environment: it would see our requests, or answer them instead of this machine.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Dashboard:
    """A running server and the address at which a browser on this machine reaches it."""

    process: ProcessIdentity
    address: str
    port: int


def app(
    port: Annotated[int | None, typer.Option(help=f"Port to listen on; {PORT} by default.")] = None,
    host: Annotated[
        str,
        typer.Option(help=f"Address to listen on. Any other than {LOCAL} needs an access token in {TOKEN}."),
    ] = LOCAL,
) -> None:
    """Serve the dashboard on localhost, or print its address if it already runs on this home."""
    note = folder() / "dashboard.json"
    deadline = time.monotonic() + START_SECONDS
    while True:
        with _dashboard_lock(note.with_name("dashboard.lock")) as lock:
            if lock is not None:
                return _serve(note, host, PORT if port is None else port, lock)
        dashboard = read_note(note)
        if dashboard is not None and dashboard.process.alive():
            return _point_to(dashboard, port)
        if time.monotonic() > deadline:
            raise UserError(
                "Another command is starting or ending the dashboard on this home. Try again in a moment."
            )
        time.sleep(0.1)


def _serve(note: Path, host: str, port: int, lock: int) -> None:
    """Runs the server until it ends. The server inherits the lock, which is held while either process lives."""
    if not 1024 <= port <= 65535:
        raise UserError(f"The port {port!r} is not usable; choose one from 1024 to 65535.")
    check_token(host)
    _check_host(host)
    if _busy(port):
        raise UserError(
            f"Port {port} is busy with another program. Choose another, for example: make app PORT={port + 1}"
        )
    for number in (signal.SIGTERM, signal.SIGINT):  # a command in the background inherits an ignored SIGINT
        signal.signal(number, signal.default_int_handler)
    command = [sys.executable, "-m", "pages.server.serve", host, str(port)]
    server = subprocess.Popen(command, cwd=CODE, stdout=subprocess.DEVNULL, pass_fds=[lock])
    process = identify(server.pid)
    try:
        write_json(note, {"host": host, "port": port, **vars(process)})
        token_note = ", which asks for the access token" if os.environ.get(TOKEN) else ""
        print(
            f"Socrates is at {_address(host, port)}{token_note} (Ctrl-C ends it; running jobs go on)",
            flush=True,
        )
        code = server.wait()
    except KeyboardInterrupt:  # SIGTERM raises it too, by the loop above
        code = 0
    finally:
        _end(server)
        _remove_note(note, process)
    if code:
        raise UserError(f"The dashboard ended with code {code}; the lines above say why.")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(END_SECONDS)
    except subprocess.TimeoutExpired:  # for example, nothing else ends a paused process
        server.kill()
        server.wait()


@contextmanager
def _dashboard_lock(path: Path) -> Iterator[int | None]:
    """The open lock file of this home's dashboard, locked; None while another dashboard holds it.

    The kernel frees the lock when the last process that inherited it ends, however that ends.
    """
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_usable(path.parent, error) from error
    try:
        try:
            # Not lockf, whose lock belongs to one process: the server inherits the open file and this lock with it.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        except OSError as error:
            raise _not_usable(path.parent, error) from error
        else:
            yield lock
    finally:
        os.close(lock)


def _not_usable(home: Path, error: OSError) -> UserError:
    return UserError(
        f"The folder {str(home)!r} cannot hold the dashboard's lock ({error.strerror}). "
        "Set SOCRATES_HOME to a folder that you can write to."
    )


def _point_to(dashboard: Dashboard, port: int | None) -> None:
    """Prints where the dashboard runs. Raises UserError if its process is stopped, or uses another port than `port`."""
    address = dashboard.address
    pid = dashboard.process.pid
    answers = _answers(address)
    if not answers and _is_stopped(pid):
        raise UserError(
            f"The dashboard of this home, at {address}, is paused. To resume it: kill -CONT {pid}. "
            f"To end it: kill -KILL {pid}"
        )
    if port is not None and port != dashboard.port:
        raise UserError(
            f"The dashboard of this home already runs at {address}, so port {port} is not used. Open that address, or "
            "end the dashboard first (Ctrl-C where it was started)."
        )
    if answers:
        say("The dashboard already runs.")
    else:
        say(
            f"The dashboard already runs as process {pid}, but has not answered for {ANSWER_SECONDS:.0f} seconds. "
            f"If this lasts, end it with: kill -KILL {pid}"
        )
    print(address)


def _answers(address: str) -> bool:
    try:
        with DIRECT.open(f"{address}/_stcore/health", timeout=ANSWER_SECONDS):
            return True
    except OSError:
        return False


def _is_stopped(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False


def _check_host(host: str) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{host!r} is not an address of this machine. Use {LOCAL}, one of its addresses, or 0.0.0.0 for all."
        ) from error


def _address(host: str, port: int) -> str:
    """The dashboard's link. If it listens on every address, the link for a browser on this machine."""
    name = LOCAL if host in ("0.0.0.0", "::") else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def read_note(note: Path) -> Dashboard | None:
    """The dashboard in the note; None if there is no note or it is damaged."""
    try:
        stored = read_json(note)
        process = ProcessIdentity(int(stored["pid"]), float(stored["started"]))
        port = int(stored["port"])
        return Dashboard(process, _address(str(stored.get("host", LOCAL)), port), port)
    except (UserError, *EDITED):
        return None


def _remove_note(note: Path, process: ProcessIdentity) -> None:
    """Removes the note if it is about this dashboard and not about another."""
    dashboard = read_note(note)
    if dashboard is not None and dashboard.process == process:
        note.unlink(missing_ok=True)


def _busy(port: int) -> bool:
    """True if any program listens on the port, on IPv4 or IPv6."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                if probe.connect_ex((host, port)) == 0:
                    return True
            except OSError:
                continue
    return False
