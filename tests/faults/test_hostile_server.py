"""Model servers that hold or flood a real worker: it is cancelled in time, and stays small."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.finetuning import model_jobs
from socrates_core.jobs import store
from socrates_core.jobs.progress import Cancelled, Reporter
from socrates_core.models.served.server import Service
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import fault
from tests.support import hostile_server as bad
from tests.support.drafts import make_draft
from tests.support.hostile_server import Behave, hostile
from tests.support.processes import start, start_worker
from tests.support.waiting import PATIENCE, wait_until

SOON = 2.0  # seconds from the cancel to the job's new state
MOST_MEMORY = 600 * 2**20  # of a worker; before there was a limit, it took 4 GB and more


def peak_memory(pid: int) -> Callable[[], int]:
    """Watches the memory of a process; the call gives the most that was seen, in bytes."""
    most, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.02):
            try:
                most = max(most, psutil.Process(pid).memory_info().rss)
            except psutil.Error:
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()

    def peak() -> int:
        ended.set()
        watching.join()
        return most

    return peak


@fault("a server sends a byte a second, or nothing", "cancelled within 2 seconds; the worker goes on")
@pytest.mark.parametrize("behave", [bad.one_byte_a_second, bad.says_nothing, bad.endless_interim])
def test_a_run_is_cancelled_soon_whatever_its_server_does(behave: Behave, quiet_home: Path) -> None:
    with hostile(behave) as server:
        job = submit_simulation(make_draft(), ModelRequest("api:fixed", service=Service(server.url)))
        after = submit_simulation(make_draft(title="After"), ModelRequest("echo"))
        worker = start("worker", "--idle-seconds", "60")
        wait_until(lambda: server.n_open > 0)
        time.sleep(1.0)  # in the middle of the reply
        cancelling = start("cancel", job.id)
        wait_until(lambda: store.cancel_requested(job) or not store.read_job(job.id).active)
        begun = time.monotonic()
        wait_until(lambda: not store.read_job(job.id).active)
        cancelled = time.monotonic() - begun
        wait_until(lambda: server.n_open == 0)
        closed = time.monotonic() - begun
        print(f"cancelled after {cancelled:.2f} s, the connection closed after {closed:.2f} s")
        assert store.read_job(job.id).state == "cancelled" and cancelled < SOON
        assert worker.poll() is None, "the connection was closed because the worker ended"
        assert closed < 10, "the worker goes on reading a reply that nobody waits for"
        cancelling.communicate(timeout=PATIENCE)
        wait_until(lambda: store.read_job(after.id).state == "done")
        worker.terminate()
        said, _ = worker.communicate(timeout=PATIENCE)
        assert "Traceback" not in said


@fault("a server sends without end, or 2 GB in 2 MB", "a sentence; the worker stays small and goes on")
@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (bad.endless_body, "larger than 10 MB"),
        (bad.endless_error, "larger than 10 MB"),
        (bad.huge_length, "larger than 10 MB"),
        (bad.endless_headers, "Receive buffer too long"),
        (bad.compressed(), "compressed its reply"),
        (bad.compressed(status="500 Internal Server Error"), "compressed its reply"),
    ],
    ids=["body", "error", "length", "headers", "compressed", "compressed error"],
)
def test_a_run_is_not_filled_by_its_server(behave: Behave, cause: str, quiet_home: Path) -> None:
    with hostile(behave) as server:
        job = submit_simulation(make_draft(), ModelRequest("api:fixed", service=Service(server.url)))
        after = submit_simulation(make_draft(title="After"), ModelRequest("echo"))
        worker = start_worker()
        peak = peak_memory(worker.pid)
        said, _ = worker.communicate(timeout=PATIENCE)
        most = peak()
    print(f"the worker held {most // 2**20} MB at most")
    assert "Traceback" not in said
    failed = store.read_job(job.id)
    assert failed.state == "failed" and cause in failed.message, failed.message
    assert load_run(job.id).manifest["n_answered"] == 0
    assert store.read_job(after.id).state == "done"
    assert most < MOST_MEMORY


@fault("a download that ignores the request to end", "cancelled; killed after 5 seconds")
def test_a_process_that_does_not_end_when_it_is_asked_to_is_killed(quiet_home: Path) -> None:
    submitted = store.submit("fetch", "A download", {}, key="a download")
    job = store.claim_next()
    assert job is not None and job.id == submitted.id
    store.cancel(job.id)
    begun = time.monotonic()
    with pytest.raises(Cancelled):
        model_jobs._run_apart(["tests.support.hostile_server", "deaf"], Reporter(job), lambda: 0)
    assert 5 <= time.monotonic() - begun < 30
    assert not [each for each in psutil.Process().children() if "deaf" in each.cmdline()]
