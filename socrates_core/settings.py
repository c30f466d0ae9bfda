"""Where files are stored and what is installed. The environment is read on every call, never at import."""

import os
import shlex
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from socrates_core.errors import UserError

TOKEN = "SOCRATES_TOKEN"  # the environment variable that holds the dashboard's access token
SHORTEST_TOKEN = 16  # characters
LOOPBACK = ("127.0.0.1", "localhost", "::1")  # addresses that only this machine can reach
# The folder that holds app.py, pages, socrates_core and training: a checkout, or site-packages once installed. Our own
# processes start in it: `python -m` looks in the working folder first, and a person may have a folder named `pages`.
# A process that must start in the person's folder, since paths are relative to it, is started by `ours_only`.
CODE = Path(__file__).parents[1]


def home() -> Path:
    """The folder that holds everything: SOCRATES_HOME, or ~/.socrates."""
    return Path(os.environ.get("SOCRATES_HOME") or Path.home() / ".socrates").expanduser().absolute()


def check_home() -> None:
    """Raises UserError if the home is not safe to use: we cannot read it, or other users can write into it."""
    path = home()
    try:
        mode = path.stat().st_mode
        folders = [path, *path.glob("*/")]
    except PermissionError:  # a folder above the home is closed to us
        mode = 0
        folders = [path]
    except OSError:  # it does not exist yet, or `folder` will raise the reason
        return
    if os.name == "posix" and mode & stat.S_IWOTH:
        raise UserError(
            f"Every user of this machine can write into {str(path)!r}, and could make it run programs as you. "
            f"Remove that permission: chmod o-w {shlex.quote(str(path))}"
        )
    for place in folders:
        if not os.access(place, os.R_OK | os.X_OK):
            raise UserError(
                f"The folder {str(place)!r} cannot be read. Each person needs a separate home: set SOCRATES_HOME to a "
                "folder of yours."
            )


def check_token(host: str) -> None:
    """Raises UserError if the dashboard would let others in at this address without a token, or with a short one."""
    token = os.environ.get(TOKEN, "")
    if not token and host not in LOOPBACK:
        raise UserError(
            f"Listening on {host!r} lets other machines connect, so an access token is needed. Set one and try again: "
            f"export {TOKEN}=$(python3 -c 'import secrets; print(secrets.token_urlsafe())')"
        )
    if token and len(token) < SHORTEST_TOKEN:
        raise UserError(
            f"The access token in {TOKEN} has {len(token)} characters; use at least {SHORTEST_TOKEN}."
        )


def folder(*parts: str) -> Path:
    """A folder under the home, created if missing, that only its owner can read.

    Raises UserError if the home cannot be written.
    """
    path = home()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # One by one, since mkdir gives the mode to the last folder only.
        for part in Path(*parts).parts:
            path = path / part
            path.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(
            f"The folder {str(path)!r} cannot be created ({error.strerror}). "
            "Set SOCRATES_HOME to a folder that you can write to."
        ) from error
    return path


def ours_only(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command and environment that run a module of ours, whatever the working folder holds.

    -P takes the working folder off the module path: a download with a folder `socrates_core` in it must not run.
    """
    path = os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))
    return [sys.executable, "-P", "-m", module, *arguments], {**os.environ, "PYTHONPATH": path}


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those of these packages that are installed, by name: bitsandbytes may be missing."""
    versions = {}
    for name in names:
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
