"""Answers what is not in the cache yet, and keeps every batch as it finishes."""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache

from socrates_core.asking.cache import AnswerCache
from socrates_core.asking.request import ModelRequest
from socrates_core.jobs.progress import Reporter
from socrates_core.models import Responder, open_responder
from socrates_core.records import Answer, Question

EVERY = 30.0  # seconds between two looks at a run that still goes on


def answer_missing(
    responder: Responder,
    distinct: Mapping[str, Question],
    cached: Mapping[str, Answer],
    cache: AnswerCache,
    reporter: Reporter,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> int:
    """Answers what is not cached, keeping every batch as it finishes; returns the prompt tokens it took.

    `meanwhile` is called after every batch.
    """
    missing = [key for key in distinct if key not in cached]
    computed = n_tokens = 0
    for batch in responder.answer([distinct[key] for key in missing]):
        cache.write({missing[position]: answer for position, answer in batch.items()}, responder.fingerprint)
        computed += len(batch)
        n_tokens += sum(answer.n_tokens for answer in batch.values())
        reporter.advance(computed)
        meanwhile()
    return n_tokens


def seldom(work: Callable[[], object]) -> Callable[[], None]:
    """Does `work` when called, but not before EVERY seconds, nor for more than a twentieth of the time."""
    due = time.monotonic() + EVERY

    def call() -> None:
        nonlocal due
        begun = time.monotonic()
        if begun >= due:
            work()
            due = time.monotonic() + max(EVERY, 20 * (time.monotonic() - begun))

    return call


@lru_cache(maxsize=1)
def open_warm(model: ModelRequest, _revision: str, *, allowed: bool) -> Responder:
    """The last model stays open in the worker, since a second run mostly asks the same one.

    `allowed` says that the permission to ask it was checked.
    """
    return open_responder(
        model.name,
        precision=model.precision,
        decoding=model.decoding,
        deterministic=model.deterministic,
        service=model.service,
        consent=allowed,
    )
