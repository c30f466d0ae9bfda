"""Runs a frozen spec: cached answers first, then the model for what is missing, then the run's tables."""

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from socrates_core.jobs.progress import Reporter
from socrates_core.records import Answer, Question
from socrates_core.responders import Responder, model_revision, open_responder
from socrates_core.responders.api.responder import keep_account
from socrates_core.simulation.cache import AnswerCache, answer_key, open_cache
from socrates_core.simulation.estimate import record_speed
from socrates_core.simulation.spec import ModelRequest, asked_cells, load_spec
from socrates_core.simulation.tables import AnsweredCell, write_run

EVERY = 30.0  # seconds between two looks at a run that still goes on


def run_simulation(run_id: str, reporter: Reporter) -> dict[str, Any]:
    """Answers every cell of a run and writes its folder; what was finished stays finished if it stops."""
    spec = load_spec(run_id)
    asked = list(asked_cells(spec))
    reporter.begin("opening the model", 1)
    limit_usd = spec.allowed_usd()
    responder = open_warm(spec.model, model_revision(spec.model.name), allowed=True)
    account = keep_account(responder, spec.path, limit_usd)
    reporter.log.info("model %s", ", ".join(f"{k} {v}" for k, v in responder.card.as_dict().items()))
    keys = [answer_key(responder.fingerprint, each.question) for each in asked]
    distinct = dict(zip(keys, (each.question for each in asked), strict=True))
    begun = time.monotonic()
    with open_cache() as cache:
        cache.introduce(responder)
        cached = cache.read(distinct)
        reporter.begin("answering", len(distinct), len(cached))

        def write() -> dict[str, Any]:
            """Writes what is answered by now."""
            known = cache.read(distinct)
            cells = [
                AnsweredCell(each, known.get(key), key in cached)
                for each, key in zip(asked, keys, strict=True)
            ]
            return write_run(spec, cells, responder, seconds=time.monotonic() - begun, account=account)

        try:
            n_tokens = answer_missing(responder, distinct, cached, cache, reporter, meanwhile=seldom(write))
            record_speed(spec.model, n_tokens=n_tokens, seconds=time.monotonic() - begun)
        finally:
            manifest = write()
    return {name: manifest[name] for name in ("run_id", "n_cells", "n_answered", "n_cached", "seconds")}


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
