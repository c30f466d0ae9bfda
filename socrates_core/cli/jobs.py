"""Commands around jobs: jobs, job, cancel, resume, worker."""

from typing import Annotated, Any

import typer

from socrates_core.cli.output import AsJson, print_json, print_table
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job
from socrates_core.jobs.worker_process import ensure_worker
from socrates_core.worker import IDLE_SECONDS, Worker


def jobs(as_json: AsJson = False) -> None:
    """List the jobs in the order of submission."""
    rows = [_row(job) for job in store.list_jobs()]
    if as_json:
        return print_json(rows)
    columns = ["id", "kind", "state", "done", "total", "title", "message"]
    print_table(rows, columns, "There are no jobs yet.")


def job(
    job_id: str,
    level: Annotated[str, typer.Option(help="Show log entries of this level or above.")] = "DEBUG",
    search: Annotated[str, typer.Option(help="Show log entries that hold this text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show one job: state, progress, result and the end of its log."""
    if level.upper() not in store.LEVELS:
        raise UserError(f"The level is {level!r}; allowed are {', '.join(store.LEVELS)}.")
    found = store.read_job(job_id)
    log = store.read_log(found, last=40, level=level.upper(), text=search)
    row = {**_row(found), "result": store.read_result(found), "log": log}
    if as_json:
        return print_json(row)
    print(f"{found.title}: {found.state}. {found.message}".rstrip())
    if found.active and row["total"]:
        print(f"{row['done']} of {row['total']}, time left {describe_seconds(row['seconds_left'])}")
    print("\n".join(row["log"]))


def cancel(job_id: str, as_json: AsJson = False) -> None:
    """Cancel a queued job, or stop a running one within a batch."""
    _tell(store.cancel(job_id), "was asked to stop", as_json)


def first(job_id: str, as_json: AsJson = False) -> None:
    """Put a queued job before all others that are queued."""
    _tell(store.put_first(job_id), "goes first", as_json)


def resume(job_id: str, as_json: AsJson = False) -> None:
    """Queue a failed, cancelled or lost job again; finished answers are kept."""
    found = store.resume(job_id)
    ensure_worker()
    _tell(found, "is queued again", as_json)


def worker(
    idle_seconds: Annotated[float, typer.Option(help="End after this long without work.")] = IDLE_SECONDS,
) -> None:
    """Take queued jobs in order until there has been nothing to do for a while."""
    print(f"{Worker(idle_seconds).run()} jobs run")


def _row(job: Job) -> dict[str, Any]:
    progress = read_progress(job)
    told = vars(progress) if progress else {"done": None, "total": None, "seconds_left": None, "rate": None}
    return {**job.as_dict(), **told}


def _tell(job: Job, what: str, as_json: bool) -> None:
    print_json(_row(job)) if as_json else print(f"{job.id} {what}; it is {job.state}.")
