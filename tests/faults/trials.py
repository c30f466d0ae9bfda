"""How often a fault is tried, and what its tests share: real processes, waiting, a run that takes a while."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from socrates_core.populations.panel import PanelSpec
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec
from socrates_core.worker import Worker
from tests.conftest import PATIENCE, ROOT

TRIALS = int(os.environ.get("SOCRATES_FAULT_TRIALS", "2"))
FULL = TRIALS >= 20  # of `make faults`
full_only = pytest.mark.skipif(not FULL, reason="a part of `make faults` alone")


def fault(name: str, checked: str, trials: int | str = 1) -> pytest.MarkDecorator:
    """Marks a test with what a row of the table at the end says: the fault, what is checked and how many trials."""
    return pytest.mark.fault(name=name, checked=checked, trials=trials)


def wait_until(happened: Callable[[], object], *, step: float = 0.005) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(step)


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The project's own command as a process of its own, in a group of its own."""
    command = [sys.executable, "-m", "socrates_core", *arguments]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **piped)


def start_worker(**options: Any) -> subprocess.Popen[str]:
    """A worker that ends once there is nothing to do."""
    return start("worker", "--idle-seconds", "0", **options)


def finish_jobs() -> None:
    """Does what is queued, to its end, by a worker in this process; signal handlers are given back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    Worker(idle_seconds=0).run()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def command(*arguments: str, code: int = 0, **options: Any) -> str:
    """What the command says on standard output, or the sentence on standard error where it ends with 2."""
    done = subprocess.run(
        [sys.executable, "-m", "socrates_core", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        **options,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return str(done.stderr if code else done.stdout)


def wide_draft(n_conditions: int, n_people: int = 50, title: str = "Wide") -> Draft:
    """A draft whose cells are all different questions: conditions x people of different ages x one outcome."""
    ages = {str(age): 1 / 1000 for age in range(1000)}
    return Draft(
        title=title,
        conditions=tuple(ConditionSpec(name=f"C{n}", text=f"Text {n}.") for n in range(n_conditions)),
        outcomes=(OutcomeSpec(name="Support", question="How much?"),),
        panel=PanelSpec(kind="describe", describe={"age": ages}, n=n_people),
    )
