"""How long an evaluation takes here and what a served model bills for it, before it starts."""

import pandas as pd

from socrates_core.asking.speed import SAMPLED, read_speed
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.rows import questions_of
from socrates_core.evaluations.spec import EvaluationSpec
from socrates_core.models import count_tokens
from socrates_core.models.served.elicit import estimate_usd
from socrates_core.records import Question


def estimate_seconds(spec: EvaluationSpec, rows: pd.DataFrame) -> float | None:
    """At most how long the `rows` of `rows.asked_rows` take, by the length of some of them; None before a first run.

    Equal questions are asked once, and answers that are known already are not asked again: these take less.
    Raises UserError where the model is unknown.
    """
    speed = read_speed(spec.model)
    if not speed:
        return None
    lengths = [count_tokens(spec.model.name, question.prompt) for question in _sample(spec, rows)]
    return len(rows) * sum(lengths) / len(lengths) / speed


def estimate_cost(spec: EvaluationSpec, rows: pd.DataFrame) -> float | None:
    """At most about how many US dollars the `rows` of `rows.asked_rows` cost, by the length of some of them.

    None where the price is not known, or the model is not a served one. Raises UserError where a question cannot be
    asked in the way that the service is asked.
    """
    if spec.model.service is None:
        return None
    sample = _sample(spec, rows)
    usd = estimate_usd(spec.model.name, spec.model.service, spec.model.decoding, sample)
    return None if usd is None else len(rows) * usd / len(sample)


def _sample(spec: EvaluationSpec, rows: pd.DataFrame) -> list[Question]:
    """About SAMPLED of the questions that `rows` ask, spread evenly over them."""
    corpus, sample = open_corpus(spec.corpus), rows.iloc[:: max(1, len(rows) // SAMPLED)]
    return [
        question
        for study, own in sample.groupby("study_id")
        for question in questions_of(corpus, str(study), own, spec)
    ]
