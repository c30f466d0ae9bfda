"""Homes for tests: an empty one, and one with the starter corpus and model that `make setup` prepares."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from socrates_core.cli.app import DIRECT
from socrates_core.jobs.store import Job, read_job

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # a core each: threads of two workers that wait for each other spin
ROOT = Path(__file__).parents[1]
PATIENCE = 300.0  # seconds; a busy machine takes half a minute to start a process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests, which are long and run one after the other, begin first."""
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.fixture(scope="session", autouse=True)
def _scan_once() -> None:
    """Every AppTest reads what all installed packages say of themselves; once is enough."""
    from streamlit.components.v2 import manifest_scanner as scanner

    scanner.scan_component_manifests = functools.cache(scanner.scan_component_manifests)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new, empty SOCRATES_HOME."""
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def prepared() -> Path:
    """The home that `make setup` prepared; what is missing is prepared now."""
    from socrates_core.corpus.starter import prepare_starter_corpus
    from socrates_core.models.starter import prepare_starter_model
    from socrates_core.settings import home as real_home

    prepare_starter_corpus(lambda text, share: None)
    prepare_starter_model(lambda text, share: None)
    return real_home()


@pytest.fixture
def starter_home(prepared: Path, home: Path) -> Iterator[Path]:
    """A new home with the starter corpus and, by a link, the starter model."""
    shutil.copytree(prepared / "corpora", home / "corpora")
    (home / "models").mkdir()
    (home / "models" / "starter").symlink_to(prepared / "models" / "starter")
    yield home
    end_worker()


def app_command(port: int) -> list[str]:
    return [sys.executable, "-m", "socrates_core", "app", "--port", str(port)]


@pytest.fixture
def served(home: Path) -> Iterator[int]:
    """The port of a dashboard that the project's own command serves on an empty home."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen(app_command(port), cwd=ROOT, stdout=subprocess.PIPE)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            DIRECT.open(f"http://localhost:{port}/_stcore/health", timeout=1).read()
            break
        except OSError:
            time.sleep(0.2)
    yield port
    server.send_signal(signal.SIGINT)
    assert server.wait(PATIENCE) == 0
    end_worker()


def ended(job_id: str) -> Job:
    """The job, once it is neither queued nor running."""
    while (job := read_job(job_id)).active:
        time.sleep(0.2)
    return job


def end_worker() -> None:
    """Ends a worker that a test left behind on its home."""
    import psutil

    target = os.environ.get("SOCRATES_HOME")
    for process in psutil.process_iter(["cmdline"]):
        try:
            if (
                "socrates_core" in (process.info["cmdline"] or [])
                and process.environ().get("SOCRATES_HOME") == target
            ):
                process.kill()
                process.wait(10)
        except psutil.Error:
            continue
