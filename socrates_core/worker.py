"""The one process that uses the accelerator: runs queued jobs in order and records how they ended.

python -m socrates_core worker
"""

import logging
import signal
import time
import traceback
from types import FrameType

from filelock import FileLock, Timeout

from socrates_core.errors import UserError, clipped
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import Cancelled, Reporter, ShutDown
from socrates_core.jobs.store import Job
from socrates_core.jobs.worker_process import worker_lock
from socrates_core.models.broken_card import is_card_broken

IDLE_SECONDS = 900.0


class Worker:
    """Runs jobs until it has been idle for `idle_seconds` or receives a signal to end."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self.idle_seconds = idle_seconds
        self.is_ending = False
        self.is_broken = False  # the card no longer works for this process

    def run(self) -> int:
        """Works until idle; returns the number of jobs run. Raises UserError if another worker runs."""
        lock = worker_lock(timeout=2)  # worker_lives holds the lock for a moment
        try:
            lock.acquire()
        except Timeout as error:
            raise UserError("Another worker already runs on this home. One is enough.") from error
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        n_run = 0
        idle_since = time.monotonic()
        while not self.is_ending and not self.is_broken:
            job = store.claim_next()
            if job is not None:
                self._run_job(job)
                n_run += 1
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since < self.idle_seconds:
                time.sleep(0.2)
            elif self._retire(lock):
                break
        if self.is_broken:
            lock.release()
            worker_process.ensure_worker()
        return n_run

    def _retire(self, lock: FileLock) -> bool:
        """Releases the worker lock unless a job was queued in the meantime."""
        with store.store_lock():
            if store.can_start():
                return False
            # Still under the store's lock: a job that is submitted next finds no worker, so a new one is started.
            lock.release()
            return True

    def _end(self, _signal: int, _frame: FrameType | None) -> None:
        # Only a flag: the job stops after its batch, when Reporter.check raises ShutDown.
        self.is_ending = True

    def _run_job(self, job: Job) -> None:
        reporter = Reporter(job, lambda: self.is_ending)
        handler = logging.FileHandler(job.path / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        reporter.log.setLevel(logging.INFO)
        reporter.log.addHandler(handler)
        if job.attempt > 1:
            reporter.log.warning("the process that ran this job died; this one continues it")
        try:
            result = _execute(job, reporter)
            store.finish(job, "done", result=result)
            reporter.log.info("done")
        except Cancelled:
            reporter.log.info("cancelled")
            kept = "The best model so far is" if job.kind == "train" else "Finished answers are"
            store.finish(job, "cancelled", f"Cancelled. {kept} kept. Resume the job to continue.")
        except ShutDown:
            reporter.log.info("the worker ends; the job goes back to the queue")
            store.finish(job, "queued")
        except Exception as error:  # noqa: BLE001 - the job runner: a bug in one job must not stop the queue
            if is_card_broken(error):
                self._leave(job, error, reporter)
            elif isinstance(error, UserError):
                reporter.log.error("%s", error)
                store.finish(job, "failed", str(error))
            else:
                reporter.log.error("%s", traceback.format_exc())
                store.finish(job, "failed", f"{type(error).__name__}: {error}. The log has the details.")
        finally:
            reporter.log.removeHandler(handler)
            handler.close()

    def _leave(self, job: Job, error: Exception, reporter: Reporter) -> None:
        """Leaves the job to the next worker: every later call to the card from this process would fail too."""
        self.is_broken = True
        reporter.log.error("%s", traceback.format_exc())
        cause = f"The graphics card stopped working ({clipped(str(error), 200)})."
        if store.hand_over(job, cause):
            reporter.log.warning("%s A new process goes on with the job.", cause)


def _execute(job: Job, reporter: Reporter) -> object:
    # Each kind imports what it needs: together these modules take seconds, which every worker would wait for.
    if job.kind == "simulate":
        from socrates_core.projects.run import run_simulation

        return run_simulation(job.args["run_id"], reporter)
    if job.kind == "evaluate":
        from socrates_core.evaluations.run import run_evaluation
        from socrates_core.evaluations.submission import freeze_planned

        # An evaluation that follows a finetune was queued before its model existed, so it is frozen only now.
        if "plan" in job.args:
            freeze_planned(job.args["evaluation_id"], job.args["plan"])
        return run_evaluation(job.args["evaluation_id"], reporter)
    if job.kind == "train":
        from socrates_core.finetuning.run import run_training

        return run_training(job.args["training_id"], reporter)
    if job.kind == "rationales":
        from socrates_core.finetuning.rationales import run_rationales

        return run_rationales(job.args, reporter)
    if job.kind in ("merge", "fetch"):
        from socrates_core.finetuning import model_jobs

        return {"merge": model_jobs.run_merge, "fetch": model_jobs.run_fetch}[job.kind](job.args, reporter)
    if job.kind == "propose":
        from socrates_core.importing.jobs import run_proposals

        return run_proposals(job.args, reporter)
    if job.kind == "import" and "upload_id" in job.args:
        from socrates_core.importing.jobs import run_own_import

        return run_own_import(job.args, reporter)
    if job.kind == "import":
        from socrates_core.corpus.socsci210 import Request, run_import

        return run_import(Request.from_dict(job.args), reporter)
    raise UserError(
        f"This version cannot run a job of kind {job.kind!r}. Known kinds: simulate, evaluate, train, import, "
        "rationales, propose, merge, fetch."
    )
