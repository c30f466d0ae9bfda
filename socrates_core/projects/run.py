"""Runs a frozen spec: cached answers first, then the model for what is missing, then the run's tables."""

import time
from typing import Any

from socrates_core.asking.answers import answer_missing, open_warm, seldom
from socrates_core.asking.cache import answer_key, open_cache
from socrates_core.asking.speed import record_speed
from socrates_core.jobs.progress import Reporter
from socrates_core.models import model_revision
from socrates_core.models.served.responder import keep_account
from socrates_core.projects.run_spec import asked_cells, load_spec
from socrates_core.projects.run_tables import AnsweredCell, write_run


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
