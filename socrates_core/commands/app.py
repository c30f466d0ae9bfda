"""The command that serves the dashboard on localhost, once per home."""

import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from socrates_core.commands.output import say
from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import Owner, owner_of
from socrates_core.settings import folder

APP = Path(__file__).parents[2] / "app.py"


def app(port: Annotated[int, typer.Option(help="Port on localhost.")] = 8501) -> None:
    """Serve the dashboard on localhost; where it already runs on this home, say where."""
    note = folder() / "dashboard.json"
    running = _running_port(note)
    if running is not None:
        say("The dashboard already runs.")
        print(_address(running))
        return
    if not 1024 <= port <= 65535:
        raise UserError(f"The port {port!r} is not usable; choose one from 1024 to 65535.")
    if _busy(port):
        raise UserError(
            f"Port {port} is busy with another program. Choose another, for example: make app PORT={port + 1}"
        )
    command = [sys.executable, "-m", "pages.view.serve", str(APP), "--server.port", str(port)]
    server = subprocess.Popen(command, cwd=APP.parent, stdout=subprocess.DEVNULL)
    write_json(note, {"port": port, **vars(owner_of(server.pid))})
    print(f"Socrates is at {_address(port)} (Ctrl-C ends it; running jobs go on)", flush=True)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        code = 0
    note.unlink(missing_ok=True)
    if code:
        raise UserError(f"The dashboard ended with code {code}; the lines above say why.")


def _address(port: int) -> str:
    return f"http://localhost:{port}"


def _running_port(note: Path) -> int | None:
    if not note.exists():
        return None
    try:
        told = read_json(note)
        if not Owner(int(told["pid"]), float(told["started"])).alive():
            return None
        with urllib.request.urlopen(f"{_address(told['port'])}/_stcore/health", timeout=3):
            return int(told["port"])
    except (UserError, KeyError, TypeError, ValueError, OSError):  # a damaged note counts as none
        return None


def _busy(port: int) -> bool:
    """True where anything listens on the port, on IPv4 or IPv6."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            try:
                if probe.connect_ex((host, port)) == 0:
                    return True
            except OSError:
                continue
    return False
