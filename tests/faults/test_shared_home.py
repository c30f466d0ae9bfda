"""Two dashboards, two workers and another program on one home at the same time."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects import drafts
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import FULL, fault
from tests.support.drafts import make_draft, wide_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import ROOT, start, start_worker
from tests.support.waiting import PATIENCE, wait_until
from tests.support.watched_runs import cache, n_stored, watch

SAVING = """
import sys
from socrates_core.projects import drafts as store
from socrates_core.surveys.draft import ConditionSpec
draft_id, who = sys.argv[1:]
shown = store.open_draft(draft_id)
print("ready", flush=True)
input()
for n in range(30):
    mine = shown.model_copy(update={"title": f"{who} {n}"})
    print(bool(store.save(draft_id, mine, based_on=shown.digest()).notice))
    shown = mine
"""
SUBMITTING = """
import sys
from socrates_core.jobs import store
print("ready", flush=True)
input()
for n in range(20):
    print(store.submit("simulate", "A run", {"run_id": "x"}, key=f"{sys.argv[1]} {n}").number)
"""


def both(code: str, *arguments: str) -> list[list[str]]:
    """The lines that two processes print which run the same code at once."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments, who],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for who in ("one", "two")
    ]
    for each in running:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in running:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    told = [each.communicate(timeout=PATIENCE)[0].splitlines() for each in running]
    assert [each.returncode for each in running] == [0, 0]
    return told


@fault("two workers on one home", "one works, the other says so; every answer once", 2)
def test_of_two_workers_one_works_and_every_answer_is_worked_out_once(quiet_home: Path) -> None:
    watch(quiet_home)
    jobs = [submit_simulation(wide_draft(n, title=f"Draft {n}"), ModelRequest("echo")) for n in (20, 21)]
    workers = [start_worker(), start_worker()]
    told = [each.communicate(timeout=PATIENCE)[0] for each in workers]
    assert sorted(each.returncode for each in workers) in ([0, 0], [0, 2]), told
    assert all("Another worker" in text for each, text in zip(workers, told, strict=True) if each.returncode)
    for job in jobs:
        done = store.read_job(job.id)
        assert done.state == "done", done.message
        assert sum(line.endswith(" done") for line in store.read_log(done)) == 1
    with cache(quiet_home) as opened:
        assert opened.execute("select count(*) from asked_again").fetchone() == (0,)


@fault("two dashboards that submit at once", "no number twice, no job lost", 40)
def test_jobs_of_two_processes_get_numbers_of_their_own(quiet_home: Path) -> None:
    told = [int(line) for lines in both(SUBMITTING) for line in lines]
    assert sorted(told) == list(range(1, 41)) == [job.number for job in store.list_jobs()]


@fault("two windows on one draft", "what the other window wrote is kept as a version", 60)
def test_two_windows_that_edit_one_draft_lose_nothing(quiet_home: Path) -> None:
    draft_id = drafts.create(make_draft())
    notices = [line for lines in both(SAVING, draft_id) for line in lines]
    kept = [version.draft.title for version in drafts.versions(draft_id)]
    assert len(notices) == 60 and notices.count("True") == len(kept) == len(set(kept)) > 0
    assert {"one 29", "two 29"} <= {*kept, drafts.open_draft(draft_id).title}


@fault("two dashboards on one home", "the second is refused another port; it says where the first is")
def test_a_second_dashboard_on_a_home_is_told_where_the_first_is(served: int, tmp_path: Path) -> None:
    second = start("app", "--port", str(served + 1))
    told, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2 and f"http://localhost:{served}," in told


@fault(
    "the cache is locked by another program",
    "waits, then a sentence; answers kept; goes on after",
    2 if FULL else 1,
)
def test_a_run_waits_for_a_locked_cache_and_fails_with_a_sentence_where_it_stays_locked(
    quiet_home: Path,
) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(60), ModelRequest("echo"))
    with locked(quiet_home, seconds=4):
        finish_jobs()
    assert store.read_job(job.id).state == "done", store.read_job(job.id).message
    if FULL:
        job = submit_simulation(wide_draft(61), ModelRequest("echo"))
        with locked(quiet_home, seconds=45):
            finish_jobs()
        failed = store.read_job(job.id)
        assert failed.state == "failed" and "locked" in failed.message and "try again" in failed.message
        store.resume(job.id)
        finish_jobs()
        assert store.read_job(job.id).state == "done"
    with cache(quiet_home) as opened:
        assert opened.execute("select count(*) from asked_again").fetchone() == (0,)
    assert load_run(job.id).manifest["state"] == "complete"


@contextlib.contextmanager
def locked(home: Path, *, seconds: float):  # type: ignore[no-untyped-def]
    """Another process writes to the cache for some seconds, from the moment at which answers are being stored."""
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None); "
        "c.execute('begin immediate'); time.sleep(float(sys.argv[2])); c.execute('rollback')"
    )
    before = n_stored(home)

    def hold() -> None:
        wait_until(lambda: n_stored(home) > before + 50)
        subprocess.run(
            [sys.executable, "-c", code, str(home / "cache" / "answers.sqlite"), str(seconds)], check=True
        )

    holding = threading.Thread(target=hold)
    holding.start()
    yield
    holding.join()
