"""A truncated or edited file of every kind that is written: a sentence for it, and nothing else is hidden."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.errors import UserError
from tests.faults.kinds import SPOILT, Kind, Trust, all_kinds, spoilt
from tests.faults.trials import FULL, TRIALS, fault
from tests.fuzz.trying import fault_of
from tests.support.full_home import fill_home
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

UNTOLD = ("one byte",)  # what only a file that is proven can show


@pytest.fixture(scope="module")
def filled(
    prepared: Path, _finetuning_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("filled") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(home))
        for module in ("socrates_core.jobs.worker_process", "pages.view.fields.live"):
            patch.setattr(f"{module}.ensure_worker", lambda: None)
        shutil.copytree(_finetuning_home, home)
        shutil.copytree(prepared / "corpora" / "starter", home / "corpora" / "starter")
        fill_home(home)
        yield home


@dataclass(frozen=True)
class Case:
    kind: Kind
    path: Path
    trust: Trust
    how: str

    def __str__(self) -> str:
        return f"{self.kind.name}: {self.path.name}, {self.how}"


def cases(home: Path, each: int | None) -> list[Case]:
    """Every file of every kind in every way; `each` of the ways a file, drawn with a seed."""
    rng, found = np.random.default_rng(3), []
    for kind in all_kinds(home):
        paths = kind.paths(home)
        assert len(paths) >= len(kind.files), f"{kind.name}: nothing was written"
        for path, trust in paths:
            ways = list(SPOILT) if each is None else list(rng.choice(list(SPOILT), each, replace=False))
            found += [Case(kind, path, trust, how) for how in ways]
    return found


def judged(case: Case, kinds: list[Kind], listed: dict[str, list[str]]) -> list[str]:
    """What is wrong with how the spoilt file is met; empty where nothing is."""
    wrong = []
    for kind in kinds:
        try:
            now = set(kind.listed())
            lost = {name for name in listed[kind.name] if name not in now and name != case.kind.own}
            wrong += [f"{case}: the list of {kind.name} lost {sorted(lost)}"] * bool(lost)
        except UserError as error:
            wrong.append(f"{case}: no list of {kind.name}: {error}")
        except Exception as error:  # noqa: BLE001  # whatever comes out is what is looked for
            wrong.append(f"{case}: the list of {kind.name} ends in {error!r}")
    try:
        case.kind.opened()
        believed = case.trust == "proven" or (case.trust == "needed" and case.how not in UNTOLD)
        wrong += [f"{case}: believed"] * believed
    except UserError as error:
        fault = fault_of(str(error))
        wrong += [f"{case}: {fault}{error}"] * bool(fault)
        wrong += [f"{case}: refused, though nothing needs it: {error}"] * (case.trust == "optional")
    except Exception as error:  # noqa: BLE001
        wrong.append(f"{case}: opening it ends in {type(error).__name__}: {str(error)[:200]}")
    return wrong


@fault(
    "damaged or edited files",
    "the others are listed, opening is a sentence, nothing is believed",
    "all" if FULL else 2,
)
def test_a_damaged_file_is_a_sentence_and_hides_no_other(filled: Path) -> None:
    kinds = all_kinds(filled)
    listed = {kind.name: list(kind.listed()) for kind in kinds}
    for kind in kinds:
        kind.opened()
    wrong: list[str] = []
    for case in cases(filled, None if FULL else 2):
        with spoilt(case.path, case.how):
            every = FULL and case.how == "noise"
            wrong += judged(case, kinds if every else [case.kind], listed)
    assert not wrong, "\n".join(wrong)


@fault("damaged files on their pages", "the page shows a sentence, never a traceback", "all" if FULL else 6)
def test_the_page_of_a_damaged_file_shows_a_sentence(filled: Path) -> None:
    chosen = [case for case in cases(filled, None) if case.how != "one byte"]
    if not FULL:
        chosen = list(np.random.default_rng(TRIALS).choice(np.array(chosen, dtype=object), 6, replace=False))
    wrong = []
    for case in chosen:
        with spoilt(case.path, case.how):
            page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
            page.query_params.update(case.kind.link)
            page.switch_page(case.kind.page).run()
            wrong += [f"{case}: {each.message} {each.stack_trace[-3:]}" for each in page.exception]
    assert not wrong, "\n".join(wrong)
