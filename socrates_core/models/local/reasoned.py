"""Rationales drawn from a model, and its answers behind them put together."""

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
ROOM = N_TOKENS + 32  # tokens behind a prompt: rationale, marker, answer

Ask = Callable[[Sequence[Question]], Iterator[Mapping[int, Answer]]]


def draw_rationales(
    network: Network,
    chat: Chat,
    asked: Sequence[Question],
    prompts: Sequence[Tokens],
    decoding: Decoding,
    *,
    n_draws: int = N_RATIONALES,
) -> list[list[str]]:
    """What the model says before it answers, `n_draws` seeded texts of at most N_TOKENS tokens for each question.

    They depend on the question's prompt alone, but for rounding: in half precision one may turn out otherwise
    beside other neighbours.
    """
    uniform = [_generator(question.prompt).random((n_draws, N_TOKENS)) for question in asked]
    return sample_texts(network, chat, prompts, decoding, uniform)


def answer_behind(
    ask: Ask, asked: Sequence[Question], rationales: Sequence[Sequence[str]]
) -> list[list[Answer]]:
    """The answers to each question, one behind each of its `rationales`."""
    questions = [
        replace(question, prompt=Reasoned(**vars(question.prompt), rationale=each))
        for question, own in zip(asked, rationales, strict=True)
        for each in own
    ]
    found = {place: answer for batch in ask(questions) for place, answer in batch.items()}
    places = iter(range(len(questions)))
    return [[found[next(places)] for _ in own] for own in rationales]


def mixture(answers: Sequence[Answer], n_tokens: int) -> Answer:
    """The predictive distribution, given the rationales that were drawn, to a prompt of `n_tokens` tokens.

    An option's probability is the mean, over `answers`, of its probability before it was normalised, which is its
    share times the valid mass; NaN where no answer gives any option.
    """
    told = [
        np.arange(len(each.probabilities), dtype=float) if each.values is None else each.values
        for each in answers
    ]
    values: Floats = np.unique(np.concatenate(told))
    mass = np.zeros(len(values))
    for each, own in zip(answers, told, strict=True):
        if each.valid_mass > 0:
            mass[np.searchsorted(values, own)] += each.probabilities * each.valid_mass
    return Answer(
        mass / mass.sum() if mass.any() else np.full(len(mass), np.nan),
        float(np.mean([each.valid_mass for each in answers])),
        n_tokens,
        values=None if answers[0].values is None else values,
        n_samples=sum(each.n_samples for each in answers),
    )


def _generator(prompt: Prompt) -> np.random.Generator:
    return np.random.default_rng(int(digest(prompt.messages())[:16], 16))
