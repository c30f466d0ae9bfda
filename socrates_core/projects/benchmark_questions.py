"""A fixed set of real questions, to measure what a model costs and how far a precision moves its answers."""

import time
from itertools import islice
from typing import Any

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import read_speed, record_speed
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import now
from socrates_core.models import answer_all, open_responder
from socrates_core.models.drift import Drift, measure_drift
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run_spec import questions
from socrates_core.records import Precision, Question
from socrates_core.settings import folder
from socrates_core.surveys.start import draft_from_study


def standard_questions(per_study: int = 2) -> list[Question]:
    """The first questions of one seeded participant of every starter study.

    Raises UserError before the starter corpus is there.
    """
    corpus = open_corpus("starter")
    standard: list[Question] = []
    for study_id in corpus.study_ids():
        draft = draft_from_study(corpus, study_id)
        panel = draft.panel.model_copy(update={"n": 1})
        of_study = questions(draft, tuple(draw_panel(panel)))
        standard += [cell.question for cell in islice(of_study, per_study)]
    return standard


def measure_speed(model: ModelRequest) -> float:
    """Prompt tokens a second of `model` on this machine, measured once and remembered."""
    remembered = read_speed(model)
    if remembered is not None:
        return remembered
    standard = standard_questions(per_study=1)
    responder = open_responder(model.name, precision=model.precision, decoding=model.decoding)
    answer_all(responder, standard[:1])  # the first pass pays for warming up
    begun = time.monotonic()
    n_tokens = sum(answer.n_tokens for answer in answer_all(responder, standard[1:]))
    seconds = time.monotonic() - begun
    record_speed(model, n_tokens=n_tokens, seconds=seconds)
    return n_tokens / seconds


def record_drift(name: str, precision: Precision) -> Drift:
    """Measures the drift of a precision against fp32 on the standard questions, and remembers it."""
    drift = measure_drift(name, standard_questions(), precision)
    measured = {**vars(drift), "measured": now()}
    others = [row for row in _drifts() if (row["model"], row["precision"]) != (name, precision)]
    write_json(folder("models") / "drift.json", [*others, measured])
    return drift


def known_drifts(name: str) -> list[dict[str, Any]]:
    """What was measured for a model on this machine, a row a precision."""
    return [row for row in _drifts() if row["model"] == name]


def _drifts() -> list[dict[str, Any]]:
    """What was measured; a file that cannot be read counts as nothing measured."""
    try:
        stored = read_json(folder("models") / "drift.json")
    except UserError:
        return []
    columns = {"model", "precision", "n_questions", "mean_tv", "max_tv"}
    return (
        [row for row in stored if isinstance(row, dict) and columns <= set(row)]
        if isinstance(stored, list)
        else []
    )
