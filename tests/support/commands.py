"""The command line, run in this process or in one of its own."""

import contextlib
import io
import json
import subprocess
import sys
from typing import Any

import pytest

from socrates_core.__main__ import main
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE


def command(*args: str, code: int = 0) -> str:
    """What a command says on standard output, or on standard error where it ends with 2; run in this process."""
    return judged(*said(*args), code)


def said(*args: str) -> tuple[str, str, object]:
    """What a command that is run in this process says on standard output and error, and its exit code."""
    told, complaint = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(told),
        contextlib.redirect_stderr(complaint),
    ):
        patch.setattr(sys, "argv", ["socrates_core", *args])
        with pytest.raises(SystemExit) as ended:
            main()
    return told.getvalue(), complaint.getvalue(), ended.value.code or 0


def process(*args: str, code: int = 0, **options: Any) -> str:
    """The same by a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "socrates_core", *args],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=ROOT,
        **options,
    )
    return judged(done.stdout, done.stderr, done.returncode, code)


def judged(told: str, complaint: str, ended: object, code: int) -> str:
    assert ended == code, told + complaint
    if code == 2:
        assert "Traceback" not in complaint and len(complaint.strip().splitlines()) == 1
    return complaint if code else told


def as_json(*args: str) -> Any:
    return json.loads(command(*args, "--json"))
