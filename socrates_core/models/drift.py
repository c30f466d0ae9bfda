"""How far a model's answers move when it is loaded in a smaller precision, measured against fp32."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from socrates_core.models import answer_all, open_responder
from socrates_core.records import Answer, Precision, Question


@dataclass(frozen=True)
class Drift:
    """The distance of a precision's answers from fp32's, over `n_questions` questions.

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


def measure_drift(name: str, questions: Sequence[Question], precision: Precision) -> Drift:
    """The drift of the model `name` in `precision`. Loads it twice, one after the other."""
    exact = _answers(name, questions, "fp32")
    moved = _answers(name, questions, precision)
    distances = [
        np.abs(a.probabilities - b.probabilities).sum() / 2 for a, b in zip(exact, moved, strict=True)
    ]
    shifts = [abs(a.valid_mass - b.valid_mass) for a, b in zip(exact, moved, strict=True)]
    return Drift(
        name,
        precision,
        len(questions),
        float(np.mean(distances)),
        float(np.max(distances)),
        float(np.mean(shifts)),
        float(np.max(shifts)),
    )


def _answers(name: str, questions: Sequence[Question], precision: Precision) -> list[Answer]:
    return answer_all(open_responder(name, precision=precision), questions)
