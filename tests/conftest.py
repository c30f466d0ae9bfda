"""Homes for tests: an empty one, and one with the starter corpus and model that `make setup` prepares."""

import functools
import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

pytest.register_assert_rewrite("tests.support")

from tests.support.browser import ARGS, CHROMIUM  # noqa: E402
from tests.support.evidence import evidence  # noqa: E402
from tests.support.jobs import start_no_worker  # noqa: E402
from tests.support.processes import end_worker  # noqa: E402
from tests.support.servers import serving  # noqa: E402
from tests.support.tiers import tier_of  # noqa: E402

pytest_plugins = ["tests.support.leftovers"]
os.environ["CUDA_VISIBLE_DEVICES"] = (
    ""  # numbers and speeds here are a processor's; child processes inherit it
)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # a core each: threads of two workers that wait for each other spin


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses among the tiers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives every test its tier. The browser's tests, which are long and run one after the other, begin first."""
    for item in items:
        tier = tier_of({mark.name for mark in item.iter_markers()})
        if item.get_closest_marker(tier) is None:
            item.add_marker(tier)
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows the page it was at and what its servers and jobs wrote."""
    report = yield
    if report.failed:
        report.sections += evidence(item)
    return report


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
    shutil.copytree(prepared / "corpora", home / "corpora")  # 70 kB in a millisecond; tests write into it
    (home / "models").mkdir()
    (home / "models" / "starter").symlink_to(prepared / "models" / "starter")
    yield home
    end_worker()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued until the test itself runs them."""
    start_no_worker(monkeypatch)


@pytest.fixture
def quiet_home(home: Path, no_worker: None) -> Iterator[Path]:
    """A new home on which only the processes run that a test starts; they end with it."""
    home.mkdir()
    yield home
    end_worker()


@pytest.fixture(scope="session")
def _finetuning_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.support.finetunes import make_finetuning_home

    return make_finetuning_home(tmp_path_factory.mktemp("finetuning"))


@pytest.fixture
def finetuning_home(_finetuning_home: Path, home: Path) -> Path:
    """A new home with the corpus "made", its split "held" and the base model "tiny"."""
    return Path(shutil.copytree(_finetuning_home, home))


@pytest.fixture
def served(home: Path) -> Iterator[int]:
    """The port of a dashboard that the project's own command serves on an empty home."""
    with serving() as (port, server):
        yield port
    assert server.returncode == 0


@pytest.fixture(scope="module")
def shared_home(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the starter corpus on which all tests of a file work, none of them in another's way."""
    path = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(prepared / "corpora", path / "corpora")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(path))
        yield path
        end_worker()


@pytest.fixture(scope="module")
def shared_server(shared_home: Path) -> Iterator[int]:
    """The port of one dashboard for all tests of a file."""
    with serving() as (port, _):
        yield port


@pytest.fixture(scope="module")
def _chromium() -> Iterator[Browser]:
    """One browser for all tests of a file; not of a session, whose other tests could then run no event loop."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield opened
        opened.close()


@pytest.fixture
def browser(_chromium: Browser) -> Iterator[Browser]:
    """A browser without pages, whose pages and cookies go with the test."""
    yield _chromium
    for context in _chromium.contexts:
        context.close()
