"""How much an evaluation asks and how long that takes here, before it starts."""

import pandas as pd

from socrates_core.corpus.store import open_corpus
from socrates_core.evaluation.rows import questions_of
from socrates_core.evaluation.spec import EvaluationSpec
from socrates_core.responders import count_tokens
from socrates_core.simulation.estimate import SAMPLED, read_speed


def estimate_seconds(spec: EvaluationSpec, rows: pd.DataFrame) -> float | None:
    """At most how long the `rows` of `rows.asked_rows` take, by the length of some of them; None before a first run.

    Equal questions are asked once, and answers that are known already are not asked again: these take less.
    Raises UserError where the model is unknown.
    """
    speed = read_speed(spec.model)
    if not speed:
        return None
    corpus, sample = open_corpus(spec.corpus), rows.iloc[:: max(1, len(rows) // SAMPLED)]
    lengths = [
        count_tokens(spec.model.name, question.prompt)
        for study, own in sample.groupby("study_id")
        for question in questions_of(corpus, str(study), own, spec)
    ]
    return len(rows) * sum(lengths) / len(lengths) / speed
