"""A job is a folder: job.json is the task, status.json its state, progress.jsonl and log.txt its course.

Anyone may read the folders; changes of state happen under one lock. A job whose process is gone
reads as lost, by process id and start time together, since ids are reused and zombies keep theirs.
"""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import psutil
from filelock import FileLock

from socrates_core.errors import UserError, unknown
from socrates_core.files import read_json, write_json
from socrates_core.settings import folder

State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
ACTIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "lost")


@dataclass(frozen=True)
class Owner:
    """The process that runs a job; `started` is its start time in seconds since 1970."""

    pid: int
    started: float

    def alive(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.started) < 2 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


def this_process() -> Owner:
    process = psutil.Process()
    return Owner(process.pid, process.create_time())


@dataclass(frozen=True)
class Job:
    """One job as it stands. `message` is the cause of a failure or empty; times are ISO 8601, UTC."""

    id: str
    number: int
    kind: str
    title: str
    args: Mapping[str, Any]
    key: str
    created: str
    state: State
    message: str
    changed: str
    owner: Owner | None

    @property
    def path(self) -> Path:
        return jobs_folder() / self.id

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def jobs_folder() -> Path:
    return folder("jobs")


def store_lock() -> FileLock:
    """Held while a job changes state."""
    return FileLock(jobs_folder() / "store.lock", timeout=30)


def submit(kind: str, title: str, args: Mapping[str, Any], *, key: str, job_id: str | None = None) -> Job:
    """Queues a job, or returns the active one of the same kind and `key` (what the job amounts to)."""
    with store_lock():
        known = list_jobs()
        for job in known:
            if job.active and (job.kind, job.key) == (kind, key):
                return job
        number = 1 + max((job.number for job in known), default=0)
        identity = job_id or new_id(kind)
        path = jobs_folder() / identity
        path.mkdir(mode=0o700)
        _write_status(path, "queued")
        told = {"number": number, "kind": kind, "title": title, "args": dict(args), "key": key}
        write_json(path / "job.json", {"format": 1, **told, "created": now()})
    return read_job(identity)


def new_id(name: str) -> str:
    """A readable id that sorts by time: date, time, name, four random digits."""
    slug = "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split())[
        :32
    ].strip("-")
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug or 'run'}-{secrets.token_hex(2)}"


def list_jobs() -> list[Job]:
    """Every job in the order of submission. Folders that are damaged are left out here; see read_job."""
    found = []
    for path in jobs_folder().iterdir():
        if (path / "job.json").exists():
            try:
                found.append(read_job(path.name))
            except UserError:
                continue
    return sorted(found, key=lambda job: job.number)


def read_job(job_id: str) -> Job:
    """The job as it stands now. Raises UserError where it is unknown or damaged."""
    path = jobs_folder() / job_id
    if not job_id or "/" in job_id or "\\" in job_id or not (path / "job.json").exists():
        raise unknown("job", job_id, sorted(p.parent.name for p in jobs_folder().glob("*/job.json")))
    told, status = read_json(path / "job.json"), read_json(path / "status.json")
    try:
        owner = (
            Owner(int(status["owner"]["pid"]), float(status["owner"]["started"])) if status["owner"] else None
        )
        job = Job(
            id=job_id, number=int(told["number"]), kind=told["kind"], title=told["title"], args=told["args"],
            key=told["key"], created=told["created"], state=status["state"], message=status["message"],
            changed=status["changed"], owner=owner,
        )  # fmt: skip
        if job.state not in get_args(State):
            raise ValueError(f"unknown state {job.state!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"The job folder {str(path)!r} was edited or damaged ({error!r} is missing)."
        ) from error
    if job.state == "running" and not (owner and owner.alive()):
        gone = "The process that ran this job is gone. Resume it: finished answers are kept."
        return replace(job, state="lost", message=gone)
    return job


def claim_next() -> Job | None:
    """Marks the oldest queued job as running in this process and returns it."""
    with store_lock():
        for job in list_jobs():
            if job.state == "queued":
                _write_status(job.path, "running", owner=this_process())
                return read_job(job.id)
    return None


def finish(job: Job, state: State, message: str = "", result: object = None) -> None:
    """Writes a job's ending; its result, if any, is there before its state says so."""
    if result is not None:
        write_json(job.path / "result.json", result)
    with store_lock():
        (job.path / "cancel").unlink(missing_ok=True)
        _write_status(job.path, state, message)


def cancel(job_id: str) -> Job:
    """Cancels a queued job at once and asks a running one to stop within a batch."""
    with store_lock():
        job = read_job(job_id)
        if job.state == "queued":
            _write_status(job.path, "cancelled", "Cancelled before it started.")
        elif job.state == "running":
            (job.path / "cancel").touch()
        else:
            raise UserError(
                f"The job {job_id!r} is {job.state}; only a queued or running job can be cancelled."
            )
    return read_job(job_id)


def resume(job_id: str) -> Job:
    """Queues a failed, cancelled or lost job again; what it had finished is kept."""
    with store_lock():
        job = read_job(job_id)
        if job.state not in RESUMABLE:
            raise UserError(
                f"The job {job_id!r} is {job.state}; only a failed, cancelled or lost job can be resumed."
            )
        (job.path / "cancel").unlink(missing_ok=True)
        _write_status(job.path, "queued")
    return read_job(job_id)


def cancel_requested(job: Job) -> bool:
    return (job.path / "cancel").exists()


def wait_for(job_id: str, *, poll_seconds: float = 0.2) -> Job:
    """Blocks until the job is neither queued nor running."""
    while (job := read_job(job_id)).active:
        time.sleep(poll_seconds)
    return job


def read_log(job: Job, *, last: int = 400) -> list[str]:
    """The last lines of the job's log."""
    path = job.path / "log.txt"
    if not path.exists():
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()[-last:]


def read_result(job: Job) -> Any:
    path = job.path / "result.json"
    return read_json(path) if path.exists() else None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_status(path: Path, state: State, message: str = "", owner: Owner | None = None) -> None:
    write_json(
        path / "status.json",
        {"state": state, "message": message, "changed": now(), "owner": asdict(owner) if owner else None},
    )


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one JSON line; a reader skips a last line that a power cut left half written."""
    with path.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(record) + "\n")
