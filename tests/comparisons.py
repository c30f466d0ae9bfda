"""Finished comparisons to report on: stand-ins on starter studies, in a home of its own or in the test's."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.reporting.comparison_report import write_comparison_report


def evaluated(model: str, studies: Sequence[str], *, cap: int) -> Evaluation:
    job = submit_evaluation(ModelRequest(model), studies=studies, cap=cap)
    claimed = store.claim_next()
    assert claimed is not None
    store.finish(claimed, "done", result=run_evaluation(job.id, Reporter(claimed)))
    return load_evaluation(job.id)


@contextmanager
def compared(studies: Sequence[str], prepared: Path, folder: Path) -> Iterator[tuple[Comparison, Path]]:
    """Uniform and echo, at most six people a cell, beside each other in a home of their own, and their report."""
    shutil.copytree(prepared / "corpora", folder / "home" / "corpora")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(folder / "home"))
        patch.setattr("socrates_core.jobs.worker_process.ensure_worker", lambda: None)
        comparison = Comparison([evaluated(model, studies, cap=6) for model in ("echo", "uniform")])
        yield comparison, write_comparison_report(comparison, folder / "out")
