"""A job is a folder: job.json is the task, status.json its state, progress.jsonl and log.txt its course.

Anyone may read the folders; changes of state happen under one lock. A job whose process is gone
reads as lost, by process id and start time together, since ids are reused and zombies keep theirs.
The queue is in order of priority, then of submission; a job may wait for others to be done.
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

from socrates_core.errors import EDITED, UserError, quoted, unknown
from socrates_core.files import read_json, whole_or_gone, write_json
from socrates_core.settings import folder

State = Literal["queued", "running", "done", "failed", "cancelled", "lost"]
ACTIVE: tuple[State, ...] = ("queued", "running")
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "lost")
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MOST_ATTEMPTS = 2  # of a job whose process dies: what kills it twice would kill it again


@dataclass(frozen=True)
class Owner:
    """The process that runs a job; `started` is its start in seconds since the machine's, which no clock moves."""

    pid: int
    started: float

    def alive(self) -> bool:
        return self._status() not in ("", psutil.STATUS_ZOMBIE)

    def stopped(self) -> bool:
        """True while somebody has stopped the process with a signal, so that it lives and does nothing."""
        return self._status() == psutil.STATUS_STOPPED

    def _status(self) -> str:
        """What the system says of this very process; empty where it is gone."""
        try:
            status = str(psutil.Process(self.pid).status())
            return status if abs(owner_of(self.pid).started - self.started) < 1 else ""
        except psutil.Error:
            return ""


def owner_of(pid: int) -> Owner:
    """The process as an owner. Raises psutil.Error where there is none."""
    return Owner(pid, psutil.Process(pid).create_time() - psutil.boot_time())


@dataclass(frozen=True)
class Job:
    """One job as it stands. `message` is the cause of a failure or empty; times are ISO 8601, UTC.

    It starts once all jobs that it comes `after` are done; of those that can start, the highest `priority` goes first.
    `attempt` counts how often it was started since a person last asked for it.
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
    owner: Owner | None
    after: tuple[str, ...] = ()
    priority: int = 0
    attempt: int = 0

    @property
    def path(self) -> Path:
        return jobs_folder() / self.id

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def can_be_taken_over(self) -> bool:
        """True of a lost job that the next worker goes on with by itself."""
        return self.state == "lost" and self.attempt < MOST_ATTEMPTS

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def jobs_folder() -> Path:
    return folder("jobs")


def store_lock() -> FileLock:
    """Held while a job changes state."""
    return FileLock(jobs_folder() / "store.lock", timeout=30)


def submit(
    kind: str,
    title: str,
    args: Mapping[str, Any],
    *,
    key: str,
    job_id: str | None = None,
    after: Sequence[str] = (),
) -> Job:
    """Queues a job, or returns the active one of the same kind and `key` (what the job amounts to).

    It waits for the jobs `after` which it comes. Raises UserError where one of them is unknown.
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
        path = jobs_folder() / identity
        path.mkdir(mode=0o700)
        told = {"number": number, "kind": kind, "title": title, "args": dict(args), "key": key}
        with whole_or_gone(path):
            _write_status(path, "queued")
            write_json(path / "job.json", {"format": 1, **told, "created": now(), "after": list(after)})
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
    if not job_id or "/" in job_id or "\\" in job_id or not os.path.exists(path / "job.json"):
        raise unknown("job", job_id, sorted(p.parent.name for p in jobs_folder().glob("*/job.json")))
    job = _read(path, tuple(map(_stamp, (path / "job.json", path / "status.json", path / "priority.json"))))
    if job.state == "running" and not (job.owner and job.owner.alive()):
        gone = "The process that ran this job is gone. Resume it: finished answers are kept."
        return replace(job, state="lost", message=gone)
    if job.state == "running" and job.owner and job.owner.stopped():
        told = f"Its process was stopped by a signal. Let it go on with: kill -CONT {job.owner.pid}"
        return replace(job, message=told)
    return job


@lru_cache(maxsize=4096)
def _read(path: Path, _stamps: tuple[tuple[int, int], ...]) -> Job:
    """The job as its files say; they are read again once one of them was replaced."""
    told, status = read_json(path / "job.json"), read_json(path / "status.json")
    try:
        owner = (
            Owner(int(status["owner"]["pid"]), float(status["owner"]["started"])) if status["owner"] else None
        )
        job = Job(
            id=path.name,
            number=int(told["number"]),
            kind=told["kind"],
            title=told["title"],
            args=told["args"],
            key=told["key"],
            created=told["created"],
            state=status["state"],
            message=status["message"],
            changed=status["changed"],
            owner=owner,
            after=tuple(told.get("after", ())),
            priority=_priority(path),
            attempt=int(status.get("attempt", 0)),
        )
        if job.state not in get_args(State):
            raise ValueError(f"unknown state {job.state!r}")
    except EDITED as error:
        raise UserError(
            f"The job folder {str(path)!r} was edited or damaged ({quoted(error)} is missing)."
        ) from error
    return job


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when the file is replaced; zeros where there is none."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return 0, 0
    return told.st_mtime_ns, told.st_ino


def _priority(path: Path) -> int:
    file = path / "priority.json"
    return int(read_json(file)["priority"]) if file.exists() else 0


def claim_next() -> Job | None:
    """Marks the next job that can start as running in this process and returns it.

    One whose process died goes on where it was, once by itself. One fails that waits for a job which ended without
    being done.
    """
    with store_lock():
        known = {job.id: job for job in list_jobs()}
        waiting = [job for job in known.values() if job.state == "queued" or job.can_be_taken_over]
        for job in sorted(waiting, key=lambda each: (-each.priority, each.number)):
            before = [known[other] for other in job.after if other in known]
            ended = next(
                (each for each in before if each.state in RESUMABLE and not each.can_be_taken_over), None
            )
            if ended:
                told = f"It was to run after job {ended.number}, {ended.title}, which is {ended.state}. "
                _write_status(job.path, "failed", f"{told}Resume that one first, then this one.")
            elif all(each.state == "done" for each in before):
                _write_status(job.path, "running", owner=owner_of(os.getpid()), attempt=job.attempt + 1)
                return read_job(job.id)
    return None


def can_start() -> bool:
    """True where a worker would find something to do."""
    known = {job.id: job for job in list_jobs()}
    return any(
        (job.state == "queued" or job.can_be_taken_over)
        and not any(known[other].active for other in job.after if other in known)
        for job in known.values()
    )


def comes_after(job: Job) -> list[Job]:
    """The jobs that have to be done before this one and are not."""
    known = {other.id: other for other in list_jobs()}
    return [known[other] for other in job.after if other in known and known[other].state != "done"]


def others_before(job: Job) -> list[Job]:
    """The active jobs that are taken before this queued one."""
    place = (-job.priority, job.number)
    return [
        other
        for other in list_jobs()
        if other.state == "running" or (other.state == "queued" and (-other.priority, other.number) < place)
    ]


def put_first(job_id: str) -> Job:
    """Puts a queued job before all others that are queued. Raises UserError where it is not queued."""
    with store_lock():
        job = read_job(job_id)
        if job.state != "queued":
            raise UserError(f"The job {job_id!r} is {job.state}; only a queued job can be put first.")
        highest = max(other.priority for other in list_jobs() if other.state == "queued")
        write_json(job.path / "priority.json", {"format": 1, "priority": highest + 1})
    return read_job(job_id)


def finish(job: Job, state: State, message: str = "", result: object = None) -> None:
    """Writes a job's ending; its result, if any, is there before its state says so."""
    if result is not None:
        write_json(job.path / "result.json", result)
    with store_lock():
        (job.path / "cancel").unlink(missing_ok=True)
        _write_status(job.path, state, message, attempt=0 if state == "queued" else job.attempt)


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


def read_log(job: Job, *, last: int = 400, level: str = "DEBUG", text: str = "") -> list[str]:
    """The last lines of the job's log: entries of `level` or above that hold `text`, in whatever case."""
    path = job.path / "log.txt"
    if not path.exists():
        return []
    entries: list[list[str]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if _level(line) is not None or not entries:
            entries.append([line])
        else:
            entries[-1].append(line)  # of a traceback
    least, wanted = LEVELS.index(level), text.casefold()
    kept = [
        line
        for entry in entries
        if (_level(entry[0]) or 0) >= least and wanted in "\n".join(entry).casefold()
        for line in entry
    ]
    return kept[-last:]


def _level(line: str) -> int | None:
    """The place among LEVELS of the entry that a line begins; None where it begins none."""
    parts = line.split(" ", 3)
    return LEVELS.index(parts[2]) if len(parts) > 2 and parts[2] in LEVELS else None


def read_result(job: Job) -> Any:
    path = job.path / "result.json"
    return read_json(path) if path.exists() else None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write_status(
    path: Path, state: State, message: str = "", owner: Owner | None = None, attempt: int = 0
) -> None:
    told = {"state": state, "message": message, "changed": now(), "attempt": attempt}
    write_json(path / "status.json", {**told, "owner": asdict(owner) if owner else None})


def append_line(path: Path, record: Mapping[str, Any]) -> None:
    """Appends one JSON line; a reader skips a last line that a power cut left half written."""
    with path.open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(record) + "\n")
