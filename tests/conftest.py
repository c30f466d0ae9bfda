"""Homes for tests: an empty one, and one with the starter corpus and model that `make setup` prepares."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new, empty SOCRATES_HOME."""
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def prepared() -> Path:
    """The home that `make setup` prepared; what is missing is prepared now."""
    from socrates_core.corpus.starter import prepare_starter_corpus
    from socrates_core.responders.starter import prepare_starter_model
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
