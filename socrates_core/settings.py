"""Where everything lives. Roots are read from the environment on every call, never at import."""

import os
from pathlib import Path

from socrates_core.errors import UserError

TOKEN = "SOCRATES_TOKEN"  # the environment variable with the dashboard's access token


def home() -> Path:
    """The folder that holds everything: SOCRATES_HOME, or ~/.socrates.

    Raises UserError if it is there and cannot be read, as another user's.
    """
    path = Path(os.environ.get("SOCRATES_HOME") or Path.home() / ".socrates").expanduser().absolute()
    try:
        readable = not path.exists() or os.access(path, os.R_OK | os.X_OK)
    except PermissionError:  # of a folder above it
        readable = False
    if not readable:
        raise UserError(
            f"The folder {str(path)!r} cannot be read (Permission denied). "
            "Set SOCRATES_HOME to a folder of your own."
        )
    return path


def folder(*parts: str) -> Path:
    """A folder under the home, made if missing, readable by its owner alone.

    Raises UserError where the home cannot be written.
    """
    path = home()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in Path(*parts).parts:
            path = path / part
            path.mkdir(exist_ok=True, mode=0o700)
    except OSError as error:
        raise UserError(
            f"The folder {str(path)!r} cannot be made ({error.strerror}). "
            "Set SOCRATES_HOME to a folder that you can write to."
        ) from error
    return path
