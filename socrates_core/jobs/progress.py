"""How far a job is: counts, rate and time left, written by the worker and read by everyone."""

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
    """Raised inside a job when a person asked to stop it."""


class ShutDown(Exception):
    """Raised inside a job when its worker was asked to end; the job goes back to the queue."""


@dataclass(frozen=True)
class Progress:
    """A job's progress at `time` (seconds since 1970).

    `done` of `total` counts everything; `rate` is items per second of the work of this attempt alone,
    so that what came from the cache does not flatter the time left. Rates and seconds are None until known.
    `memory_mb` is what the job's processes hold, `accelerator_mb` what its own holds of a GPU, in 2^20 bytes.
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
        self._phase, self._total, self._cached, self._written = "starting", 0, 0, 0.0
        self._before, self._computed = 0, 0
        self._begun = time.monotonic()

    def begin(self, phase: str, total: int, cached: int = 0) -> None:
        """Starts the clock of a phase in which `cached` of `total` items are there already."""
        self._phase, self._total, self._cached = phase, total, cached
        self._before, self._computed = 0, 0
        self._begun = time.monotonic()
        self.log.info("%s: %d, of which %d are there already", phase, total, cached)
        self._write(0)

    def advance(self, computed: int) -> None:
        """Says that `computed` items of this part of the phase were worked out in this attempt."""
        self._computed = self._before + computed
        if time.monotonic() - self._written >= 0.5 or self._cached + self._computed >= self._total:
            self._write(self._computed)
        self.check()

    def next_part(self) -> None:
        """What was worked out so far stays counted; the next part of the phase counts from 0."""
        self._before = self._computed

    def check(self) -> None:
        """Raises Cancelled or ShutDown where the job should stop."""
        if cancel_requested(self.job):
            raise Cancelled
        if self._shutting_down():
            raise ShutDown

    def _write(self, computed: int) -> None:
        self._written = time.monotonic()
        elapsed = self._written - self._begun
        rate = computed / elapsed if computed and elapsed > 0 else None
        left = self._total - self._cached - computed
        append_line(
            self.job.path / "progress.jsonl",
            asdict(
                Progress(
                    time.time(),
                    self._phase,
                    self._cached + computed,
                    self._total,
                    self._cached,
                    rate,
                    left / rate if rate else None,
                    _memory_mb(),
                    _accelerator_mb(),
                )
            ),
        )


def _memory_mb() -> float:
    """What this process and those that it started hold, in 2^20 bytes."""
    own = psutil.Process()
    held = 0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):  # ended in between
            held += process.memory_info().rss
    return round(held / 2**20, 1)


def _accelerator_mb() -> float | None:
    """What this process holds of a GPU, in 2^20 bytes; None where it uses none."""
    torch = sys.modules.get("torch")
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
        opened.seek(max(0, opened.tell() - 4096))
        lines = opened.read().decode("utf-8", errors="replace").splitlines()
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
