"""Evaluations that are made here, and the page that compares them."""

from collections.abc import Sequence

from streamlit.testing.v1 import AppTest

from socrates_core.evaluations.results import Evaluation
from tests.support.jobs import evaluate_now
from tests.support.pages import open_page

PAGE = "pages/evidence/compare.py"
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
