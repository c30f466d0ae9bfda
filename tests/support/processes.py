"""The project's own commands as processes of their own, and how they end."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
PACKAGES = {"socrates_core", "pages", "training"}


def app_command(port: int) -> list[str]:
    return [sys.executable, "-m", "socrates_core", "app", "--port", str(port)]


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The project's own command as a process of its own, in a group of its own."""
    command = [sys.executable, "-m", "socrates_core", *arguments]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **piped)


def start_worker(**options: Any) -> subprocess.Popen[str]:
    """A worker that ends once there is nothing to do."""
    return start("worker", "--idle-seconds", "0", **options)


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """The other processes of this user that live and have this variable in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(variable) == value and process.pid != os.getpid():
                found += [process] if process.status() != psutil.STATUS_ZOMBIE else []
        except psutil.Error:  # ended in between, or not ours
            continue
    return found


def processes_of(home: Path | str) -> list[psutil.Process]:
    """The project's own processes on a home: its dashboard, its worker, and what they started."""
    found = []
    for process in processes_with("SOCRATES_HOME", str(home)):
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if any(word.split(".")[0] in PACKAGES for word in words):
            found.append(process)
    return found


def end_worker() -> None:
    """Ends the worker that a test started on its home, if any, and what that worker started."""
    home = Path(os.environ["SOCRATES_HOME"])
    if not (home / "jobs" / "worker.log").exists():
        return
    found = processes_of(home)
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=10)
