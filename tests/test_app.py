"""The command that serves the dashboard: once a home, on localhost alone, with sentences for what is in the way."""

import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT, app_command


def test_a_second_call_says_where_it_runs_and_another_home_is_told_that_the_port_is_busy(
    served: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = subprocess.run(
        app_command(served), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert second.stdout.strip() == f"http://localhost:{served}" and "already runs" in second.stderr
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "other"))
    third = subprocess.run(
        app_command(served), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert third.returncode == 2 and f"Port {served} is busy" in third.stderr


def test_it_listens_on_loopback_alone(served: int) -> None:
    listening = [c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    addresses = {str(c.laddr).split("'")[1] for c in listening if f"port={served}" in str(c.laddr)}
    assert addresses and addresses <= {"127.0.0.1", "::1"}


def test_an_unusable_port_is_a_sentence(home: Path) -> None:
    done = subprocess.run(app_command(80), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "1024 to 65535" in done.stderr
