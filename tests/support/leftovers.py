"""No process that a test started outlives the session: one that does is named, ended, and fails the session.

A plugin of pytest. All processes of a session inherit its mark in their environment, however they were started.
"""

import os
import sys
import time

import psutil
import pytest

from tests.support.processes import processes_with

MARK = "SOCRATES_TEST_SESSION"
GRACE = 5.0  # seconds; processes that end with those that started them need a moment
LEFT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # xdist's workers have the mark of their controller
        os.environ[MARK] = f"{os.getpid()} {time.time()}"


@pytest.hookimpl(trylast=True)  # once xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    _end_renderer()
    deadline = time.monotonic() + GRACE
    while (left := processes_with(MARK, os.environ[MARK])) and time.monotonic() < deadline:
        time.sleep(0.1)
    session.config.stash[LEFT] = [_described(process) for process in left]
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    if left:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left = terminalreporter.config.stash.get(LEFT, [])
    if left:
        terminalreporter.write_sep("=", "processes left running", red=True)
        for line in left:
            terminalreporter.write_line(line)


def _end_renderer() -> None:
    """Ends the process that renders chat templates for this one; it would end with it, after the look."""
    rendering = sys.modules.get("socrates_core.models.rendering")
    if rendering is not None:
        rendering._renderer._close()


def _described(process: psutil.Process) -> str:
    try:
        home = process.environ().get("SOCRATES_HOME", "")
        return f"{process.pid} {' '.join(process.cmdline())} (SOCRATES_HOME={home})"
    except psutil.Error:
        return f"{process.pid} (ended meanwhile)"
