"""Jobs that are run here, in this process, or waited for."""

import signal
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.jobs.store import Job, read_job
from socrates_core.projects import drafts
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import Draft
from socrates_core.worker import Worker
from tests.support.drafts import ECHO, make_draft
from tests.support.waiting import wait_until


def start_no_worker(patch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued until the test itself runs them: no worker process is started."""
    nothing = SimpleNamespace(Popen=lambda *_, **__: None, DEVNULL=subprocess.DEVNULL)
    # Not ensure_worker: a module that is imported meanwhile would keep the replacement for ever.
    patch.setattr("socrates_core.jobs.worker_process.subprocess", nothing)


def ended(job_id: str) -> Job:
    """The job, once it is neither queued nor running."""
    wait_until(lambda: not read_job(job_id).active, step=0.1)
    return read_job(job_id)


def finish_jobs() -> None:
    """Does what is queued, to its end, by a worker in this process; signal handlers are given back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    Worker(idle_seconds=0).run()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def run_now(draft: Draft, model: ModelRequest = ECHO, *, limit_usd: float | None = None) -> SimulationRun:
    """A run from submission to its end here, whether it ended well or not."""
    job = submit_simulation(draft, model, limit_usd=limit_usd)
    finish_jobs()
    return load_run(job.id)


def evaluate_now(model: ModelRequest | str = ECHO, **choices: Any) -> Evaluation:
    """An evaluation of a model from submission to its end here."""
    request = ModelRequest(model) if isinstance(model, str) else model
    job = submit_evaluation(request, **choices)
    finish_jobs()
    return load_evaluation(job.id)


def a_run(title: str = "Try") -> str:
    """The id of a finished run of a kept draft."""
    draft = make_draft(title=title)
    run = submit_simulation(draft, ModelRequest("echo"), draft_id=drafts.create(draft))
    finish_jobs()
    return run.id
