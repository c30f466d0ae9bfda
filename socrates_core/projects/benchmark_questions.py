"""A fixed set of real questions, to measure what a model costs and how far a precision moves its answers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import read_speed, record_speed
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import now
from socrates_core.models import answer_all, open_responder
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run_spec import questions
from socrates_core.records import Answer, Precision, Question
from socrates_core.settings import folder
from socrates_core.surveys.start import draft_from_study


@dataclass(frozen=True)
class Drift:
    """How far a precision moves a model's answers from those in fp32, over `n_questions` questions.

    `mean_tv` and `max_tv` are total variation distances between the two distributions over the options, in
    [0, 1]: the largest difference in probability that any set of options can show. `mean_mass_shift` and
    `max_mass_shift` are absolute differences in valid mass.
    """

    model: str
    precision: str
    n_questions: int
    mean_tv: float
    max_tv: float
    mean_mass_shift: float
    max_mass_shift: float


def standard_questions(per_study: int = 2) -> list[Question]:
    """The first questions of one seeded participant of every starter study.

    Raises UserError if the starter corpus is not there yet.
    """
    corpus = open_corpus("starter")
    standard: list[Question] = []
    for study_id in corpus.study_ids():
        draft = draft_from_study(corpus, study_id)
        panel = draft.panel.model_copy(update={"n": 1})
        first = islice(questions(draft, tuple(draw_panel(panel))), per_study)
        standard += [person_question.question for person_question in first]
    return standard


def measure_speed(model: ModelRequest) -> float:
    """Prompt tokens per second of `model` on this machine, measured once and remembered."""
    known = read_speed(model)
    if known is not None:
        return known
    standard = standard_questions(per_study=1)
    responder = open_responder(model.name, precision=model.precision, decoding=model.decoding)
    answer_all(responder, standard[:1])  # warms up: the first pass is slower
    begun = time.monotonic()
    n_tokens = sum(answer.n_tokens for answer in answer_all(responder, standard[1:]))
    seconds = time.monotonic() - begun
    record_speed(model, n_tokens=n_tokens, seconds=seconds)
    return n_tokens / seconds


def measure_drift(name: str, sample: Sequence[Question], precision: Precision) -> Drift:
    """The drift of the model `name` in `precision`. Loads it twice, one after the other."""
    exact = _answers(name, sample, "fp32")
    moved = _answers(name, sample, precision)
    distances = [
        np.abs(a.probabilities - b.probabilities).sum() / 2 for a, b in zip(exact, moved, strict=True)
    ]
    shifts = [abs(a.valid_mass - b.valid_mass) for a, b in zip(exact, moved, strict=True)]
    return Drift(
        model=name,
        precision=precision,
        n_questions=len(sample),
        mean_tv=float(np.mean(distances)),
        max_tv=float(np.max(distances)),
        mean_mass_shift=float(np.mean(shifts)),
        max_mass_shift=float(np.max(shifts)),
    )


def record_drift(name: str, precision: Precision) -> Drift:
    """Measures the drift of a precision on the standard questions, and remembers it."""
    drift = measure_drift(name, standard_questions(), precision)
    others = [row for row in _drifts() if (row["model"], row["precision"]) != (name, precision)]
    write_json(folder("models") / "drift.json", [*others, {**vars(drift), "measured": now()}])
    return drift


def known_drifts(name: str) -> list[dict[str, Any]]:
    """The drifts that were measured for a model on this machine, one row per precision."""
    return [row for row in _drifts() if row["model"] == name]


def _answers(name: str, sample: Sequence[Question], precision: Precision) -> list[Answer]:
    return answer_all(open_responder(name, precision=precision), sample)


def _drifts() -> list[dict[str, Any]]:
    """Everything that was measured; nothing if the file cannot be read."""
    try:
        stored = read_json(folder("models") / "drift.json")
    except UserError:
        return []
    needed = {"model", "precision", "n_questions", "mean_tv", "max_tv"}
    rows = stored if isinstance(stored, list) else []
    return [row for row in rows if isinstance(row, dict) and needed <= set(row)]
