"""The command that serves the dashboard on localhost, once per home."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Annotated

import typer

from socrates_core.commands.output import say
from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import Owner, owner_of
from socrates_core.settings import TOKEN, folder

ROOT = Path(__file__).parents[2]
LOCAL = "localhost"
LOOPBACK = (LOCAL, "127.0.0.1", "::1")
SHORTEST_TOKEN = 16


def app(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8501,
    host: Annotated[
        str, typer.Option(help=f"Address to listen on; any but {LOCAL} needs an access token in {TOKEN}.")
    ] = LOCAL,
) -> None:
    """Serve the dashboard on localhost; where it already runs on this home, say where."""
    note = folder() / "dashboard.json"
    running = _running_address(note)
    if running is not None:
        say("The dashboard already runs.")
        print(running)
        return
    if not 1024 <= port <= 65535:
        raise UserError(f"The port {port!r} is not usable; choose one from 1024 to 65535.")
    _check_token(host)
    _check_host(host)
    if _busy(port):
        raise UserError(
            f"Port {port} is busy with another program. Choose another, for example: make app PORT={port + 1}"
        )
    command = [sys.executable, "-m", "pages.view.serve", host, str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    write_json(note, {"host": host, "port": port, **vars(owner_of(server.pid))})
    asks = ", which asks for the access token" if os.environ.get(TOKEN) else ""
    print(f"Socrates is at {_address(host, port)}{asks} (Ctrl-C ends it; running jobs go on)", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        code = 0
    note.unlink(missing_ok=True)
    if code:
        raise UserError(f"The dashboard ended with code {code}; the lines above say why.")


def _check_token(host: str) -> None:
    token = os.environ.get(TOKEN, "")
    if not token and host not in LOOPBACK:
        raise UserError(
            f"Listening on {host!r} lets other machines in, so an access token is needed. Set one and try again: "
            f"export {TOKEN}=$(python3 -c 'import secrets; print(secrets.token_urlsafe())')"
        )
    if token and len(token) < SHORTEST_TOKEN:
        raise UserError(
            f"The access token in {TOKEN} has {len(token)} characters; use at least {SHORTEST_TOKEN}."
        )


def _check_host(host: str) -> None:
    try:
        family, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{host!r} is no address of this machine. Use {LOCAL}, one of its addresses, or 0.0.0.0 for all of them."
        ) from error


def _address(host: str, port: int) -> str:
    """The dashboard's link, for a browser on this machine where it listens on every address."""
    name = LOCAL if host in ("0.0.0.0", "::") else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def _running_address(note: Path) -> str | None:
    if not note.exists():
        return None
    try:
        told = read_json(note)
        if not Owner(int(told["pid"]), float(told["started"])).alive():
            return None
        address = _address(str(told.get("host", LOCAL)), int(told["port"]))
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=3):
            return address
    except (UserError, *EDITED, OSError):  # a damaged note counts as none
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
