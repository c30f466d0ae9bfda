"""Stand-ins for a model: made-up answers to try things out, and equal probabilities for a model to beat."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from socrates_core.files import digest
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Answer, Decoding, Question, ResponderCard
from socrates_core.scoring.tree import check_options


class Echo:
    """Gives every question a distribution that depends only on its text; it predicts nobody."""

    def __init__(self, decoding: Decoding = "exact") -> None:
        self.card = ResponderCard("echo", "echo", "1", "none", decoding, TEMPLATE)
        self.fingerprint = digest(self.card.as_dict())

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        for position, question in enumerate(questions):
            yield {position: _echo(question)}


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


def _echo(question: Question) -> Answer:
    """Weights from the SHA-256 of the prompt and each option; valid mass between 0.5 and 1."""
    check_options(question.options)
    text = f"{question.prompt.system}\x00{question.prompt.user}"
    weights = np.array([0.05 + _share(f"{text}\x00{option}") for option in question.options])
    return Answer(weights / weights.sum(), 0.5 + _share(text) / 2)


def _share(text: str) -> float:
    """A number in [0, 1) that depends only on the text."""
    first = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8]
    return int.from_bytes(first) / 2**64
