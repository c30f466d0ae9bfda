"""The command that serves the dashboard: once a home, on localhost alone, with sentences for what is in the way."""

import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import PATIENCE, ROOT, app_command


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


def test_a_command_that_is_ended_takes_its_server_with_it(home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = subprocess.Popen(app_command(port), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert command.stdout is not None and str(port) in command.stdout.readline()
    (server,) = psutil.Process(command.pid).children()
    command.terminate()
    assert command.wait(PATIENCE) == 0 and not server.is_running() and not (home / "dashboard.json").exists()


def test_it_listens_on_loopback_alone(served: int) -> None:
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    addresses = {str(c.laddr).split("'")[1] for c in listening if f"port={served}" in str(c.laddr)}
    assert addresses and addresses <= {"127.0.0.1", "::1"}


def test_an_unusable_port_is_a_sentence(home: Path) -> None:
    done = subprocess.run(
        app_command(80), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 2 and "1024 to 65535" in done.stderr
