"""Evaluations that are made here, and the page that compares them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.results import Evaluation, load_evaluation
from tests.support.jobs import evaluate_now, start_no_worker
from tests.support.pages import open_page

PAGE = "pages/evidence/evidence.py"
STUDIES = ("framing", "kakadu", "talor")


def evaluate(
    model: str = "echo",
    *,
    studies: Sequence[str] = STUDIES,
    cap: int | None = 6,
    corpus: str = "starter",
    split: str | None = None,
) -> Evaluation:
    return evaluate_now(model, corpus=corpus, studies=studies, cap=cap, split=split)


def open_compare(*evaluations: Evaluation | str, **parameters: str) -> AppTest:
    ids = [each if isinstance(each, str) else each.id for each in evaluations]
    return open_page(PAGE, evaluations=",".join(ids), **parameters)


def make_evaluated_home(prepared: Path, home: Path) -> Path:
    """Fills `home` with the starter corpus and one evaluation: the stand-in on every study, four people a cell."""
    shutil.copytree(prepared / "corpora", home / "corpora")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(home))
        start_no_worker(patch)
        evaluate_now(studies=open_corpus("starter").study_ids(), cap=4)
    return home


def copy_evaluation(source: Path, home: Path) -> Evaluation:
    """That evaluation in another home that has the starter corpus."""
    for name in ("evaluations", "calibrations", "cache", "jobs"):
        shutil.copytree(source / name, home / name)
    (folder,) = (home / "evaluations").iterdir()
    return load_evaluation(folder.name)
