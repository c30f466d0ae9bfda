"""Commands about jobs: jobs, job, cancel, first, resume, worker."""

from typing import Annotated, Any

import typer

from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_result, print_rows
from socrates_core.errors import UserError
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job
from socrates_core.worker import IDLE_SECONDS, Worker


def jobs(as_json: AsJson = False) -> None:
    """List the jobs in the order of submission."""
    print_rows(
        [_row(job) for job in store.list_jobs()],
        ["id", "kind", "state", "done", "total", "title", "message"],
        "There are no jobs yet.",
        as_json,
    )


def job(
    job_id: str,
    level: Annotated[str, typer.Option(help="Show only log entries of this level or above.")] = "DEBUG",
    search: Annotated[str, typer.Option(help="Show only log entries that contain this text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show one job: its state, progress, result and the end of its log."""
    if level.upper() not in store.LEVELS:
        raise UserError(f"The level is {level!r}; allowed are {', '.join(store.LEVELS)}.")
    current = store.read_job(job_id)
    log = store.read_log(current, last=40, level=level.upper(), text=search)
    row = {**_row(current), "result": store.read_result(current), "log": log}
    if as_json:
        return print_json(row)
    print(f"{current.title}: {current.state}. {current.message}".rstrip())
    if current.active and row["total"]:
        print(f"{row['done']} of {row['total']}, time left {describe_seconds(row['seconds_left'])}")
    print("\n".join(log))


def cancel(job_id: str, as_json: AsJson = False) -> None:
    """Cancel a queued job, or stop a running one within a batch."""
    _print_change(store.cancel(job_id), "was asked to stop", as_json)


def first(job_id: str, as_json: AsJson = False) -> None:
    """Move a queued job to the front of the queue."""
    _print_change(store.put_first(job_id), "goes first", as_json)


def resume(job_id: str, as_json: AsJson = False) -> None:
    """Queue a failed, cancelled or lost job again. Finished answers are kept."""
    resumed = store.resume(job_id)
    worker_process.ensure_worker()
    _print_change(resumed, "is queued again", as_json)


def worker(
    idle_seconds: Annotated[
        float, typer.Option(help="End after this many seconds without work.")
    ] = IDLE_SECONDS,
) -> None:
    """Run queued jobs in order, and end after a while without work."""
    print(f"{Worker(idle_seconds).run()} jobs run")


def _row(job: Job) -> dict[str, Any]:
    progress = read_progress(job)
    no_progress = {"done": None, "total": None, "seconds_left": None, "rate": None}
    return {**job.as_dict(), **(vars(progress) if progress else no_progress)}


def _print_change(job: Job, change: str, as_json: bool) -> None:
    print_result(_row(job), f"{job.id} {change}; it is {job.state}.", as_json)
