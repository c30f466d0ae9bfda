"""Waiting for jobs with their progress on standard error, for the commands that have --wait."""

from time import sleep

from socrates_core.cli.output import print_result, say
from socrates_core.errors import UserError
from socrates_core.jobs import worker_process
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job, read_job


def follow(job: Job) -> Job:
    """The job after it ended. Prints its progress until then and replaces a worker that dies."""
    last_line = ""
    while (now := read_job(job.id)).active or now.can_be_taken_over:
        worker_process.ensure_worker()
        progress = read_progress(now)
        if progress:
            left = describe_seconds(progress.seconds_left)
            line = f"{progress.phase}: {progress.done} of {progress.total}, time left {left}"
            if line != last_line:
                say(line)
                last_line = line
        sleep(0.5)
    return now


def follow_until_done(job: Job, noun: str) -> Job:
    """The job after it is done. Raises UserError if it ended otherwise; `noun` names it in that sentence."""
    ended = follow(job)
    check_done(ended, noun)
    return ended


def check_done(job: Job, noun: str) -> None:
    """Raises UserError if the job ended without being done."""
    if job.state != "done":
        raise UserError(f"The {noun} {job.id} is {job.state}: {job.message}")


def print_submitted(job: Job, id_key: str, as_json: bool) -> None:
    """Prints the id of what the job makes, in JSON under `id_key` and with the job's state."""
    print_result({id_key: job.id, "state": job.state}, job.id, as_json)
