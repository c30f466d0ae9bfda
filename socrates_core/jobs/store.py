"""A job is a folder: job.json is the task, status.json its state, progress.jsonl and log.txt its history.

Anyone may read the folders; the state changes only under one lock. A job whose process is gone counts as lost.
Processes are compared by id and start time together, since ids are reused and zombies keep theirs. The queue is in
order of priority, then of submission. A job may wait for other jobs to be done.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import psutil
from filelock import FileLock

from socrates_core.errors import UserError
from socrates_core.files import read_json, whole_or_gone, write_json
from socrates_core.record_folder import RecordFolder

State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
ACTIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "lost")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MOST_ATTEMPTS = 2  # if a job kills its process twice, it would do so again


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of this machine, distinguished from a later one with the same id by its start.

    `started` is in seconds since the machine's start, which no change of the clock moves.
    """

    pid: int
    started: float

    def alive(self) -> bool:
        return self._status() not in ("", psutil.STATUS_ZOMBIE)

    def stopped(self) -> bool:
        """True while a signal has paused the process: it lives and does nothing."""
        return self._status() == psutil.STATUS_STOPPED

    def _status(self) -> str:
        """The state of exactly this process; empty if it is gone."""
        try:
            status = str(psutil.Process(self.pid).status())
            return status if abs(identify(self.pid).started - self.started) < 1 else ""
        except psutil.Error:
            return ""


def identify(pid: int) -> ProcessIdentity:
    """The process with this id. Raises psutil.Error if there is none."""
    return ProcessIdentity(pid, psutil.Process(pid).create_time() - psutil.boot_time())


@dataclass(frozen=True)
class Job:
    """One job at this moment. `message` is the cause of a failure, else empty; times are ISO 8601, UTC.

    It starts once all the jobs in `after` are done. Of the jobs that can start, the highest `priority` goes first.
    `attempt` counts how often it was started since a person last submitted or resumed it.
    """

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
    owner: ProcessIdentity | None
    after: tuple[str, ...] = ()
    priority: int = 0
    attempt: int = 0

    @property
    def path(self) -> Path:
        return JOBS.root / self.id

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def can_be_taken_over(self) -> bool:
        """True for a lost job that the next worker continues by itself."""
        return self.state == "lost" and self.attempt < MOST_ATTEMPTS

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def store_lock() -> FileLock:
    """Held while a job changes state."""
    return FileLock(JOBS.root / "store.lock", timeout=30)


def submit(
    kind: str,
    title: str,
    args: Mapping[str, Any],
    *,
    key: str,
    job_id: str | None = None,
    after: Sequence[str] = (),
) -> Job:
    """Queues a job, or returns the active job of the same kind and `key`, which identifies the work.

    It waits for the jobs in `after`. Raises UserError if one of them is unknown.
    """
    with store_lock():
        known = list_jobs()
        for job in known:
            if job.active and (job.kind, job.key) == (kind, key):
                return job
        for other in after:
            read_job(other)
        number = 1 + max((job.number for job in known), default=0)
        identity = job_id or new_id(kind)
        path = JOBS.root / identity
        path.mkdir(mode=0o700)
        task = {"number": number, "kind": kind, "title": title, "args": dict(args), "key": key}
        with whole_or_gone(path):
            # The status comes first: a folder counts as a job once it has job.json.
            _write_status(path, "queued")
            write_json(path / "job.json", {"format": 1, **task, "created": now(), "after": list(after)})
    return read_job(identity)


def new_id(name: str) -> str:
    """A readable id that sorts by time: date, time, name, four random hex digits."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name.lower()).split()
    slug = "-".join(words)[:32].strip("-") or "run"
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug}-{secrets.token_hex(2)}"


def list_jobs() -> list[Job]:
    """Every job in the order of submission, damaged ones left out."""
    return sorted(JOBS.readable(), key=lambda job: job.number)


def read_job(job_id: str) -> Job:
    """The job at this moment. Raises UserError if it is unknown or damaged."""
    return JOBS.load(job_id)


def _read_now(path: Path) -> Job:
    place = path.parent
    files = (path, place / "status.json", place / "priority.json")
    job = _read_files(place, tuple(map(_stamp, files)))
    if job.state == "running" and not (job.owner and job.owner.alive()):
        message = "The process that ran this job is gone. Resume it: finished answers are kept."
        return replace(job, state="lost", message=message)
    if job.state == "running" and job.owner and job.owner.stopped():
        message = f"A signal paused its process. To continue: kill -CONT {job.owner.pid}"
        return replace(job, message=message)
    return job


JOBS = RecordFolder(kind="job", folder="jobs", marker="job.json", read=_read_now)


@lru_cache(maxsize=4096)
def _read_files(path: Path, _stamps: tuple[tuple[int, int], ...]) -> Job:
    """The job in its files. The stamps are part of the cache's key, so a replaced file is read again."""
    task = read_json(path / "job.json")
    status = read_json(path / "status.json")
    owner = None
    if status["owner"]:
        owner = ProcessIdentity(int(status["owner"]["pid"]), float(status["owner"]["started"]))
    priority_path = path / "priority.json"
    job = Job(
        id=path.name,
        number=int(task["number"]),
        kind=task["kind"],
        title=task["title"],
        args=task["args"],
        key=task["key"],
        created=task["created"],
        state=status["state"],
        message=status["message"],
        changed=status["changed"],
        owner=owner,
        after=tuple(task.get("after", ())),
        priority=int(read_json(priority_path)["priority"]) if priority_path.exists() else 0,
        attempt=int(status.get("attempt", 0)),
    )
    if job.state not in get_args(State):
        raise ValueError(f"unknown state {job.state!r}")
    return job


def _stamp(path: Path) -> tuple[int, int]:
    """Two numbers that change when the file is replaced; zeros if it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    # Two writes can carry the same time, but a replaced file is another inode.
    return status.st_mtime_ns, status.st_ino


def claim_next() -> Job | None:
    """Marks the next job that can start as running in this process and returns it.

    A job whose process died continues once without being asked. A job fails if it waits for one that ended without
    being done.
    """
    with store_lock():
        known = {job.id: job for job in list_jobs()}
        waiting = [job for job in known.values() if job.state == "queued" or job.can_be_taken_over]
        for job in sorted(waiting, key=lambda job: (-job.priority, job.number)):
            # A job that was deleted holds up no other.
            required = [known[other] for other in job.after if other in known]
            not_done = [
                other for other in required if other.state in RESUMABLE and not other.can_be_taken_over
            ]
            if not_done:
                other = not_done[0]
                message = (
                    f"It should run after job {other.number}, {other.title}, which is {other.state}. "
                    "Resume that one first, then this one."
                )
                _write_status(job.path, "failed", message)
            elif all(other.state == "done" for other in required):
                _write_status(job.path, "running", owner=identify(os.getpid()), attempt=job.attempt + 1)
                return read_job(job.id)
    return None


def can_start() -> bool:
    """True if a worker would have something to do."""
    known = {job.id: job for job in list_jobs()}
    return any(
        (job.state == "queued" or job.can_be_taken_over)
        and not any(known[other].active for other in job.after if other in known)
        for job in known.values()
    )


def waits_for(job: Job) -> list[Job]:
    """The jobs that this one waits for and that are not done."""
    known = {other.id: other for other in list_jobs()}
    return [known[other] for other in job.after if other in known and known[other].state != "done"]


def jobs_ahead_of(job: Job) -> list[Job]:
    """The active jobs that run before this queued one."""
    place = (-job.priority, job.number)
    return [
        other
        for other in list_jobs()
        if other.state == "running" or (other.state == "queued" and (-other.priority, other.number) < place)
    ]


def put_first(job_id: str) -> Job:
    """Moves a queued job to the front of the queue. Raises UserError if it is not queued."""
    with store_lock():
        job = read_job(job_id)
        if job.state != "queued":
            raise UserError(f"The job {job_id!r} is {job.state}; only a queued job can be put first.")
        highest = max(other.priority for other in list_jobs() if other.state == "queued")
        write_json(job.path / "priority.json", {"format": 1, "priority": highest + 1})
    return read_job(job_id)


def finish(job: Job, state: State, message: str = "", result: object = None) -> None:
    """Records how a job ended. A result is written before the state that announces it."""
    if result is not None:
        write_json(job.path / "result.json", result)
    with store_lock():
        (job.path / "cancel").unlink(missing_ok=True)
        # An orderly end of the worker is not the job's fault: only a death counts as an attempt.
        _write_status(job.path, state, message, attempt=0 if state == "queued" else job.attempt)


def hand_over(job: Job, cause: str) -> bool:
    """Returns the job to the queue for the next worker, since this process can no longer do it.

    Fails it instead, with `cause`, a sentence, if that happened before. Returns whether it goes on.
    """
    again = job.attempt < MOST_ATTEMPTS
    message = "" if again else f"{cause} It happened {job.attempt} times. Resume the job to try again."
    with store_lock():
        _write_status(job.path, "queued" if again else "failed", message, attempt=job.attempt)
    return again


def cancel(job_id: str) -> Job:
    """Cancels a queued job at once, or asks a running one to stop within a batch."""
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
    """Queues a failed, cancelled or lost job again. Its finished work is kept."""
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


def read_log(job: Job, *, last: int = 400, level: str = "DEBUG", text: str = "") -> list[str]:
    """The last lines of the job's log: entries of `level` or above that contain `text`, ignoring case."""
    path = job.path / "log.txt"
    if not path.exists():
        return []
    entries: list[list[str]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if _level(line) is not None or not entries:
            entries.append([line])
        else:
            entries[-1].append(line)  # a line of a traceback
    lowest = LEVELS.index(level)
    searched = text.casefold()
    kept = [
        line
        for entry in entries
        if (_level(entry[0]) or 0) >= lowest and searched in "\n".join(entry).casefold()
        for line in entry
    ]
    return kept[-last:]


def _level(line: str) -> int | None:
    """The position among LEVELS of the entry that starts in this line; None if no entry starts here."""
    parts = line.split(" ", 3)
    return LEVELS.index(parts[2]) if len(parts) > 2 and parts[2] in LEVELS else None


def read_result(job: Job) -> Any:
    path = job.path / "result.json"
    return read_json(path) if path.exists() else None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_status(
    path: Path, state: State, message: str = "", owner: ProcessIdentity | None = None, attempt: int = 0
) -> None:
    status = {"state": state, "message": message, "changed": now(), "attempt": attempt}
    write_json(path / "status.json", {**status, "owner": asdict(owner) if owner else None})


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one JSON line. Readers skip a last line that a power cut left half written."""
    with path.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(record) + "\n")
