"""Opens a model, answers what the cache does not have yet, and keeps every batch as it finishes.

Runs and evaluations both answer here; each says what it asks and writes its own tables.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from socrates_core.asking.cache import AnswerCache, open_cache
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import record_speed
from socrates_core.jobs.progress import Reporter
from socrates_core.models import Responder, model_revision, open_responder
from socrates_core.models.served.account import Account
from socrates_core.models.served.asking import Unanswered
from socrates_core.models.served.responder import keep_account
from socrates_core.models.warm import note_warm
from socrates_core.records import Answer, Question

EVERY = 30.0  # seconds between two looks at work that still goes on


@dataclass(frozen=True)
class OpenModel:
    """A model that is ready to answer one piece of work, since `opened` (of the monotonic clock).

    `account` counts what a served model bills for this work; None for the others.
    """

    request: ModelRequest
    responder: Responder
    account: Account | None
    opened: float


@dataclass(frozen=True)
class AnswersSoFar:
    """The `answers` there are by now, by cache key; `cached` keys had one before this work began.

    The model read `n_tokens` tokens of prompts. `seconds` have passed since it was open.
    """

    answers: Mapping[str, Answer]
    cached: Collection[str]
    n_tokens: int
    seconds: float


def open_model(
    request: ModelRequest, reporter: Reporter, *, folder: Path, limit_usd: float | None
) -> OpenModel:
    """Opens the model for work whose permission was checked; what a server bills is kept in `folder`.

    Raises UserError where the model cannot be used, or `limit_usd` dollars are no limit without a known price.
    """
    reporter.begin("opening the model", 1)
    # The revision is part of the key, so that a model folder that changed is opened again.
    responder = open_warm(request, model_revision(request.name), allowed=True)
    note_warm()
    account = keep_account(responder, folder, limit_usd)
    reporter.log.info("model %s", ", ".join(f"{k} {v}" for k, v in responder.card.as_dict().items()))
    return OpenModel(request, responder, account, time.monotonic())


def answer_missing(
    model: OpenModel,
    keys: Collection[str],
    parts: Iterable[Mapping[str, Question]],
    write: Callable[[AnswersSoFar], dict[str, Any]],
    reporter: Reporter,
    *,
    write_meanwhile: bool = False,
) -> dict[str, Any]:
    """Answers the questions that the cache does not have, and returns what `write` made of all answers.

    `keys` are the cache keys of everything that is asked; `parts` give the questions behind them, one part in memory
    at a time. `write` is called when the work ends, however it ends, and with `write_meanwhile` now and then before.
    Raises Unanswered after the last part where a server left questions of any part without an answer.
    """
    with open_cache() as cache:
        cache.introduce(model.responder)
        # Known before the work begins: what it answers itself must not count as cached.
        cached = cache.known(keys)
        reporter.begin("answering", len(keys), len(cached))
        n_tokens = 0
        unanswered: Unanswered | None = None

        def write_answers() -> dict[str, Any]:
            seconds = time.monotonic() - model.opened
            return write(AnswersSoFar(cache.read(keys), cached, n_tokens, seconds))

        after_batch = _seldom(write_answers) if write_meanwhile else lambda: None
        try:
            for part in parts:
                missing = {key: question for key, question in part.items() if key not in cached}
                try:
                    n_tokens += _answer_part(model.responder, missing, cache, reporter, after_batch)
                except Unanswered as error:  # what one part lacks must not keep the others from being asked
                    unanswered = error
                reporter.next_part()
            record_speed(model.request, n_tokens=n_tokens, seconds=time.monotonic() - model.opened)
        finally:  # also when the work is cancelled or fails: what is answered is written
            written = write_answers()
            note_warm()  # batches may have taken more memory than its opening did
    if unanswered is not None:
        raise unanswered
    return written


@lru_cache(maxsize=1)
def open_warm(request: ModelRequest, _revision: str, *, allowed: bool) -> Responder:
    """The last model stays open in the worker, since the next work mostly asks the same one.

    `allowed` says that the permission to ask it was checked.
    """
    return open_responder(
        request.name,
        precision=request.precision,
        decoding=request.decoding,
        deterministic=request.deterministic,
        service=request.service,
        consent=allowed,
    )


def _answer_part(
    responder: Responder,
    missing: Mapping[str, Question],
    cache: AnswerCache,
    reporter: Reporter,
    after_batch: Callable[[], None],
) -> int:
    """Answers and stores `missing` batch by batch; returns how many tokens of prompts that took."""
    keys = list(missing)
    n_answered = n_tokens = 0
    for batch in responder.answer(list(missing.values())):
        cache.write({keys[position]: given for position, given in batch.items()}, responder.fingerprint)
        n_answered += len(batch)
        n_tokens += sum(given.n_tokens for given in batch.values())
        reporter.advance(n_answered)
        after_batch()
    return n_tokens


def _seldom(work: Callable[[], object]) -> Callable[[], None]:
    """Does `work` when called, but not before EVERY seconds, nor for more than a twentieth of the time."""
    due = time.monotonic() + EVERY

    def call() -> None:
        nonlocal due
        begun = time.monotonic()
        if begun >= due:
            work()
            due = time.monotonic() + max(EVERY, 20 * (time.monotonic() - begun))

    return call
