"""Finished comparisons to report on: stand-ins on starter studies, in a home of its own or in the test's."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from socrates_core.evaluations.comparison import Comparison
from socrates_core.reporting.comparison_report import write_comparison_report
from tests.support.jobs import evaluate_now, start_no_worker


@contextmanager
def compared(studies: Sequence[str], prepared: Path, folder: Path) -> Iterator[tuple[Comparison, Path]]:
    """Uniform and echo, at most six people a cell, beside each other in a home of their own, and their report."""
    shutil.copytree(prepared / "corpora", folder / "home" / "corpora")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(folder / "home"))
        start_no_worker(patch)
        comparison = Comparison(
            [evaluate_now(model, studies=studies, cap=6) for model in ("echo", "uniform")]
        )
        yield comparison, write_comparison_report(comparison, folder / "out")
