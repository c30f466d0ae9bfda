"""Checks whether a worker runs on this home, and starts one."""

import subprocess

from filelock import FileLock, Timeout

from socrates_core.jobs import store
from socrates_core.settings import ours_only


def worker_lock(timeout: float) -> FileLock:
    """The lock that a worker holds while it runs."""
    return FileLock(store.JOBS.root / "worker.lock", timeout=timeout)


def worker_lives() -> bool:
    """True if a worker runs on this home."""
    try:
        # A lock, not a process id: ids are reused, and the kernel frees a lock however its worker ends.
        with worker_lock(timeout=0):
            return False
    except Timeout:
        return True


def ensure_worker() -> None:
    """Starts a worker if a job can start and none lives. Of two that start at the same time, the second ends itself."""
    if not store.can_start() or worker_lives():
        return
    command, environment = ours_only("socrates_core", "worker")
    with (store.JOBS.root / "worker.log").open("ab") as log:
        subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # it outlives the terminal and the dashboard
        )
