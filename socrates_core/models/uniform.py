"""Responders that know nothing, to be beaten."""

from collections.abc import Iterator, Sequence

import numpy as np

from socrates_core.files import digest
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Answer, Decoding, Question, ResponderCard
from socrates_core.scoring.tree import check_options


class Uniform:
    """Gives every option the same probability."""

    def __init__(self, decoding: Decoding = "exact") -> None:
        self.card = ResponderCard("uniform", "uniform", "1", "none", decoding, TEMPLATE)
        self.fingerprint = digest(self.card.as_dict())

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        for position, question in enumerate(questions):
            check_options(question.options)
            n_options = len(question.options)
            yield {position: Answer(np.full(n_options, 1 / n_options), 1.0)}
