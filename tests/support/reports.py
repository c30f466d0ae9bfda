"""Finished runs to report on: of a starter study, of any draft, and of an open question with missing answers."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from socrates_core.asking.answer import OpenModel
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.store import find_study
from socrates_core.models.stand_ins import Echo
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.projects.run_spec import asked_cells, load_spec, submit_simulation
from socrates_core.projects.run_tables import PersonAnswer, write_run
from socrates_core.records import Answer
from socrates_core.reporting.run_report import write_report
from socrates_core.surveys.draft import OutcomeSpec, ScaleSpec
from socrates_core.surveys.start import draft_from_study
from tests.support.drafts import make_draft
from tests.support.jobs import run_now, start_no_worker
from tests.support.waiting import PATIENCE

RSCRIPT = shutil.which("Rscript")


def recompute(folder: Path, script: str = "analysis.py") -> subprocess.CompletedProcess[str]:
    """Runs a script of a report, without this project on its path."""
    program = [sys.executable, "-s", "-E"] if script.endswith(".py") else [str(RSCRIPT)]
    command = [*program, str(folder / script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")


def run_of(study: str, n: int = 6) -> SimulationRun:
    draft = draft_from_study(find_study(study), study)
    return run_now(draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": n})}))


def open_run() -> SimulationRun:
    """A run of an open question with three drawn answers a person and one person whose draws are no answers."""
    open_scale = ScaleSpec(kind="open_integer")
    draft = make_draft(outcomes=(OutcomeSpec(name="Pay", question="How much?", scale=open_scale),))
    spec = load_spec(submit_simulation(draft, ModelRequest("starter")).id)
    cells = []
    for number, asked in enumerate(asked_cells(spec)):
        values = np.array([number, number + 2.5], dtype=float)
        answer = Answer(np.array([1 / 3, 2 / 3]), 1.0, 5, values, 3)
        nothing = Answer(np.array([]), 0.0, 5, np.array([]), 3)
        cells.append(PersonAnswer(asked, nothing if asked.person == 1 else answer, False))
    write_run(spec, cells, OpenModel(spec.model, Echo(), None, 0.0), seconds=1.0)
    return load_run(spec.run_id)


@contextmanager
def reported(study: str, prepared: Path, folder: Path) -> Iterator[tuple[SimulationRun, Path]]:
    """A run of a starter study in a home of its own, and its report."""
    shutil.copytree(prepared / "corpora", folder / "home" / "corpora")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(folder / "home"))
        start_no_worker(patch)
        run = run_of(study)
        yield run, write_report(run, folder / "out")
