"""The progress of a job: counts, rate and time left, written by the worker and read by everyone."""

import json
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import psutil

from socrates_core.errors import UserError
from socrates_core.jobs.store import Job, append_line, cancel_requested


class Cancelled(Exception):
    """Raised inside a job when a person cancels it."""


class ShutDown(Exception):
    """Raised inside a job when its worker has to end. The job goes back to the queue."""


@dataclass(frozen=True)
class Progress:
    """A job's progress at `time` (seconds since 1970).

    `done` of `total` counts everything. `rate` is items per second that this attempt computed, so that cached answers
    do not make the time left look short. Rates and seconds are None until known. `memory_mb` is the memory of the
    job's processes, `accelerator_mb` the GPU memory of its main process, both in MiB.
    """

    time: float
    phase: str
    done: int
    total: int
    cached: int
    rate: float | None
    seconds_left: float | None
    memory_mb: float | None = None
    accelerator_mb: float | None = None


class Reporter:
    """Writes a job's progress at most twice a second and raises when the job should stop."""

    def __init__(self, job: Job, shutting_down: Callable[[], bool] = lambda: False) -> None:
        self.job = job
        self.log = logging.getLogger(f"socrates.job.{job.id}")
        self._shutting_down = shutting_down
        self._phase = "starting"
        self._total = 0
        self._cached = 0
        self._before = 0  # computed in earlier parts of this phase
        self._computed = 0
        self._written_at = 0.0
        self._started_at = time.monotonic()

    def begin(self, phase: str, total: int, cached: int = 0) -> None:
        """Starts the clock of a phase in which `cached` of `total` items exist already."""
        self._phase = phase
        self._total = total
        self._cached = cached
        self._before = 0
        self._computed = 0
        self._started_at = time.monotonic()
        self.log.info("%s: %d, of which %d are there already", phase, total, cached)
        self._write(0)

    def advance(self, computed: int) -> None:
        """Reports that this attempt has computed `computed` items of this part of the phase."""
        self._computed = self._before + computed
        if time.monotonic() - self._written_at >= 0.5 or self._cached + self._computed >= self._total:
            self._write(self._computed)
        self.check()

    def next_part(self) -> None:
        """Keeps the count so far. The next part of the phase counts from 0 again."""
        self._before = self._computed

    def check(self) -> None:
        """Raises Cancelled or ShutDown if the job should stop."""
        if cancel_requested(self.job):
            raise Cancelled
        if self._shutting_down():
            raise ShutDown

    def _write(self, computed: int) -> None:
        self._written_at = time.monotonic()
        elapsed = self._written_at - self._started_at
        rate = computed / elapsed if computed and elapsed > 0 else None
        n_left = self._total - self._cached - computed
        progress = Progress(
            time=time.time(),
            phase=self._phase,
            done=self._cached + computed,
            total=self._total,
            cached=self._cached,
            rate=rate,
            seconds_left=n_left / rate if rate else None,
            memory_mb=_memory_mb(),
            accelerator_mb=_accelerator_mb(),
        )
        append_line(self.job.path / "progress.jsonl", asdict(progress))


def _memory_mb() -> float:
    """Memory of this process and of those that it started, in MiB."""
    this_process = psutil.Process()
    n_bytes = 0
    for process in (this_process, *this_process.children(recursive=True)):
        with suppress(psutil.Error):  # it ended in the meantime
            n_bytes += process.memory_info().rss
    return round(n_bytes / 2**20, 1)


def _accelerator_mb() -> float | None:
    """GPU memory of this process in MiB, or None if it uses no GPU."""
    torch = sys.modules.get("torch")  # importing it here would take seconds for a job that does not need it
    if torch is None or not torch.cuda.is_available():
        return None
    return round(float(torch.cuda.memory_reserved()) / 2**20, 1)


def read_progress(job: Job) -> Progress | None:
    """The job's latest progress, or None before its first."""
    path = job.path / "progress.jsonl"
    if not path.exists():
        return None
    with path.open("rb") as opened:
        opened.seek(0, 2)
        opened.seek(max(0, opened.tell() - 4096))  # the last lines are enough
        lines = opened.read().decode("utf-8", errors="replace").splitlines()
    # The first of these lines is cut off by the seek, and the last may be by a power cut.
    for line in reversed(lines):
        try:
            return Progress(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue
    return None


def describe_seconds(seconds: float | None) -> str:
    """A duration in words: "a few seconds", "about 3 minutes"."""
    if seconds is None:
        return "not known yet"
    if seconds < 0:
        raise UserError(f"A duration cannot be negative: {seconds!r}.")
    if seconds < 10:
        return "a few seconds"
    if seconds < 90:
        return f"about {round(seconds / 5) * 5} seconds"
    if seconds < 5400:
        return f"about {round(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
