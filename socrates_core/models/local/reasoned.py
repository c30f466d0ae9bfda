"""Draws rationales from a model and combines the answers that it gives after them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from socrates_core.files import digest
from socrates_core.models.chat import Chat
from socrates_core.models.local.network import Network
from socrates_core.models.local.sampler import Tokens, sample_texts
from socrates_core.models.reasoning import N_RATIONALES, N_TOKENS, Reasoned
from socrates_core.records import Answer, Decoding, Floats, Prompt, Question

PROMPTS_AT_ONCE = 32
ROOM = N_TOKENS + 32  # tokens after a prompt: rationale, marker, answer

Ask = Callable[[Sequence[Question]], Iterator[Mapping[int, Answer]]]


def draw_rationales(
    network: Network,
    chat: Chat,
    questions: Sequence[Question],
    prompts: Sequence[Tokens],
    decoding: Decoding,
    *,
    n_draws: int = N_RATIONALES,
) -> list[list[str]]:
    """What the model says before it answers: for each question `n_draws` seeded texts of at most N_TOKENS tokens.

    They depend only on the question's prompt, apart from rounding: in half precision a text may differ with other
    neighbours in the batch.
    """
    uniform = [_generator(question.prompt).random((n_draws, N_TOKENS)) for question in questions]
    return sample_texts(network, chat, prompts, decoding, uniform)


def answer_behind(
    ask: Ask, questions: Sequence[Question], rationales: Sequence[Sequence[str]]
) -> list[list[Answer]]:
    """The answers to each question, one after each of its `rationales`."""
    reasoned = [
        replace(question, prompt=Reasoned(**vars(question.prompt), rationale=rationale))
        for question, its_rationales in zip(questions, rationales, strict=True)
        for rationale in its_rationales
    ]
    answers = {place: answer for batch in ask(reasoned) for place, answer in batch.items()}
    places = iter(range(len(reasoned)))
    return [[answers[next(places)] for _ in its_rationales] for its_rationales in rationales]


def mixture(answers: Sequence[Answer], n_tokens: int) -> Answer:
    """The predictive distribution over the drawn rationales, for a prompt of `n_tokens` tokens.

    An option's probability is the mean over `answers` of its probability before normalisation, which is its share times
    the valid mass; NaN if no answer gives any option.
    """
    values_of = [
        np.arange(len(answer.probabilities), dtype=float) if answer.values is None else answer.values
        for answer in answers
    ]
    values: Floats = np.unique(np.concatenate(values_of))
    mass = np.zeros(len(values))
    for answer, its_values in zip(answers, values_of, strict=True):
        if answer.valid_mass > 0:
            mass[np.searchsorted(values, its_values)] += answer.probabilities * answer.valid_mass
    return Answer(
        mass / mass.sum() if mass.any() else np.full(len(mass), np.nan),
        float(np.mean([answer.valid_mass for answer in answers])),
        n_tokens,
        values=None if answers[0].values is None else values,
        n_samples=sum(answer.n_samples for answer in answers),
    )


def _generator(prompt: Prompt) -> np.random.Generator:
    return np.random.default_rng(int(digest(prompt.messages())[:16], 16))
