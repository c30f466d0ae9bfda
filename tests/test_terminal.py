"""What commands print: shown and never obeyed, in any encoding, and a sentence where there is no room or memory."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.terminal import escape_controls
from socrates_core.projects import drafts
from socrates_core.projects.run_spec import submit_simulation
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs, start_no_worker
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

# Each command has a process of its own.
pytestmark = pytest.mark.slow

HOSTILE = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\rover\u202eetirw\u200b\U000e0041 title"
STUDY = ("study", "kakadu")  # its notes are not ASCII


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [sys.executable, "-m", "socrates_core", *arguments]
    return subprocess.run(  # type: ignore[return-value]
        command, cwd=ROOT, timeout=PATIENCE, check=False, **(streams | options)
    )


def sentence(done: subprocess.CompletedProcess[bytes]) -> str:
    """The one sentence of a command that ended with 2."""
    told = done.stderr.decode()
    assert done.returncode == 2 and "Traceback" not in told and len(told.strip().splitlines()) == 1, told
    return told


def test_nothing_that_a_terminal_obeys_is_printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_no_worker(monkeypatch)
    draft = make_draft(title=HOSTILE)
    job = submit_simulation(draft, ModelRequest("echo"), draft_id=drafts.create(draft))
    finish_jobs()
    for command in (
        ("jobs",),
        ("runs",),
        ("job", job.id),
        ("run", job.id),
        ("run", job.id, "--json"),
        ("drafts", HOSTILE),
    ):
        done = process(*command)
        for said in (done.stdout.decode(), done.stderr.decode()):
            assert said == escape_controls(said), command
    (row,) = json.loads(process("jobs", "--json").stdout)
    assert HOSTILE in row["title"]  # JSON loses nothing
    assert "\\u001b" in process("jobs").stdout.decode()


def test_text_of_any_language_and_emoji_stay_as_they_are() -> None:
    text = "Größe, 日本語, \u0645\u06cc\u200c\u062e\u0648\u0627\u0647, \U0001f468\u200d\U0001f469, a\tb\n"
    assert escape_controls(text) == text


@pytest.mark.parametrize(
    "settings",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}],
)
def test_a_terminal_that_knows_ascii_alone_gets_the_rest_spelled(
    starter_home: Path, settings: dict[str, str]
) -> None:
    for options in ((), ("--json",)):
        done = process(*STUDY, *options, env={**os.environ, **settings})
        assert done.returncode == 0 and not done.stderr, done.stderr
        assert done.stdout.isascii() and b"Kakadu" in done.stdout
    assert json.loads(process(*STUDY, "--json").stdout)["title"]


def test_output_that_finds_no_room_is_a_sentence(starter_home: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert "could not be written (No space left on device)" in sentence(process(*STUDY, stdout=full))
        assert process("study", "nobody", stderr=full).returncode == 2
        assert process(*STUDY, stdout=full, stderr=full).returncode == 2


def test_a_reader_that_leaves_early_and_a_closed_output_are_no_faults(starter_home: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = process("studies", "--json", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")
    command = f"exec {sys.executable} -m socrates_core studies >&-"
    closed = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert closed.returncode == 0 and b"Traceback" not in closed.stderr


@pytest.mark.parametrize("megabytes", [300, 600, 999])
def test_too_little_memory_is_a_sentence(starter_home: Path, megabytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (megabytes * 10**6,) * 2)

    assert "not enough memory" in sentence(process(*STUDY, preexec_fn=limit))
