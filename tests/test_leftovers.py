"""A test session names and ends what its tests left running, and fails by it; waiting in vain says for what."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support import waiting
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE, wait_until

LEAVING = """
import subprocess, sys

def test_that_leaves_a_process() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code, "left-behind"], start_new_session=SESSION)
    print("pid", child.pid)

def test_that_ends_its_process() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)
"""


def run_session(folder: Path, *choice: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text("from tests.support import leftovers\n\nleftovers.GRACE = 0.2\n")
    plugins = ["-p", "tests.support.leftovers", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", *plugins, "--rootdir", str(folder), *choice],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_a_process_that_outlives_the_session_fails_it_by_name_and_is_ended(tmp_path: Path) -> None:
    (tmp_path / "test_leaving.py").write_text(LEAVING.replace("SESSION", "True"))
    done = run_session(tmp_path, "-k", "leaves")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED and "1 passed" in done.stdout
    assert "processes left running" in done.stdout and "left-behind" in done.stdout
    pid = int(done.stdout.split("pid ")[1].split()[0])
    wait_until(lambda: not psutil.pid_exists(pid))


def test_a_session_whose_processes_ended_passes(tmp_path: Path) -> None:
    (tmp_path / "test_leaving.py").write_text(LEAVING)
    done = run_session(tmp_path, "-k", "ends")
    assert done.returncode == 0 and "left running" not in done.stdout, done.stdout + done.stderr


def test_waiting_in_vain_says_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    with pytest.raises(AssertionError, match=r"had not happened: .*Path\(\"no such file\"\)\.exists"):
        wait_until(lambda: Path("no such file").exists())
    assert PATIENCE <= 120
