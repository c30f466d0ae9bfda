"""The command that serves the dashboard: once a home, on localhost alone, with sentences for what is in the way."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from socrates_core.jobs.worker_process import worker_lives
from tests.support.processes import ROOT, app_command, start
from tests.support.servers import answers, free_port
from tests.support.waiting import PATIENCE, wait_until


def test_a_second_call_says_where_it_runs_and_another_home_is_told_that_the_port_is_busy(
    served: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = subprocess.run(
        app_command(served), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert second.stdout.strip() == f"http://localhost:{served}" and "already runs" in second.stderr
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "other"))
    third = subprocess.run(
        app_command(served), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert third.returncode == 2 and f"Port {served} is busy" in third.stderr


def test_a_port_that_is_asked_for_is_used_or_refused(served: int) -> None:
    """Without a port the command points to the dashboard that runs; another port would be ignored silently."""
    asked = subprocess.run(
        app_command(free_port()), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert asked.returncode == 2 and f"already runs at http://localhost:{served}" in asked.stderr
    without = [part for part in app_command(served) if part not in ("--port", str(served))]
    pointed = subprocess.run(without, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert pointed.stdout.strip() == f"http://localhost:{served}"


def ignore_interrupts() -> None:
    """As a shell does for what it starts in the background, and as a child of that inherits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def to_the_command(command: subprocess.Popen[str], number: signal.Signals) -> None:
    command.send_signal(number)


def to_the_group(command: subprocess.Popen[str], number: signal.Signals) -> None:
    os.killpg(command.pid, number)


@pytest.mark.parametrize(
    ("before", "send", "number"),
    [
        (ignore_interrupts, to_the_command, signal.SIGTERM),
        (ignore_interrupts, to_the_command, signal.SIGINT),
        (None, to_the_group, signal.SIGINT),  # Ctrl-C in a terminal
    ],
)
def test_a_command_that_is_ended_takes_its_server_with_it(
    home: Path,
    before: Callable[[], None] | None,
    send: Callable[[subprocess.Popen[str], signal.Signals], None],
    number: signal.Signals,
) -> None:
    command = start("app", "--port", str(port := free_port()), preexec_fn=before)
    answers(port, command)
    (server,) = psutil.Process(command.pid).children()
    send(command, number)
    assert command.wait(PATIENCE) == 0 and not server.is_running() and not (home / "dashboard.json").exists()


def test_a_worker_in_the_background_ends_when_it_is_asked_to(home: Path) -> None:
    worker = start("worker", preexec_fn=ignore_interrupts)
    wait_until(worker_lives)
    worker.terminate()
    assert worker.wait(PATIENCE) == 0 and not worker_lives()


def test_it_listens_on_loopback_alone(served: int) -> None:
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    addresses = {str(c.laddr).split("'")[1] for c in listening if f"port={served}" in str(c.laddr)}
    assert addresses and addresses <= {"127.0.0.1", "::1"}


def test_an_unusable_port_is_a_sentence(home: Path) -> None:
    done = subprocess.run(
        app_command(80), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 2 and "1024 to 65535" in done.stderr
