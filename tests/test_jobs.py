"""Jobs with real processes: queue, cancel, kill -9, resume, take-over."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from socrates_core.corpus.topics import start_map
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter, describe_seconds, read_progress
from socrates_core.jobs.store import ProcessIdentity
from socrates_core.jobs.worker_process import ensure_worker, worker_lives
from socrates_core.models.starter import prepare_starter_model
from socrates_core.worker import Worker
from tests.support.processes import end_worker
from tests.support.waiting import PATIENCE, wait_until


def submit(key: str = "a") -> store.Job:
    return store.submit("simulate", "A run", {"run_id": key}, key=key)


def test_jobs_are_taken_in_the_order_of_submission(home: Path) -> None:
    first, second = submit("a"), submit("b")
    assert [job.id for job in store.list_jobs()] == [first.id, second.id]
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == first.id and claimed.state == "running"


def test_a_duplicate_of_an_active_job_joins_it_and_a_finished_one_does_not_count(home: Path) -> None:
    first = submit()
    assert submit().id == first.id
    store.finish(first, "done")
    assert submit().id != first.id


def test_cancelling_a_queued_job_ends_it_and_cancelling_it_twice_is_a_sentence(home: Path) -> None:
    job = submit()
    assert store.cancel(job.id).state == "cancelled"
    with pytest.raises(UserError, match="only a queued or running"):
        store.cancel(job.id)


def test_a_job_whose_process_was_killed_reads_as_lost_and_can_be_resumed(home: Path) -> None:
    job = submit()
    code = (
        "import time; from socrates_core.jobs import store; "
        "store.claim_next(); print('on', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"on\n"
    assert store.read_job(job.id).state == "running"
    process.send_signal(signal.SIGKILL)
    wait_until(lambda: store.read_job(job.id).state != "running")
    assert store.read_job(job.id).state == "lost"  # not waited for yet, so this process is a zombie
    process.wait()
    assert store.read_job(job.id).state == "lost"
    assert store.resume(job.id).state == "queued"


def test_a_reused_process_id_is_not_the_job(home: Path) -> None:
    own = store.identify(os.getpid())
    assert own.alive() and not ProcessIdentity(own.pid, own.started - 3600).alive()


def test_a_clock_that_is_set_anew_leaves_a_living_process_alive(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, earlier = store.identify(os.getpid()), psutil.boot_time() - 7200
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: earlier)  # the time of day, less the time since
    assert own.alive()


def test_an_unknown_job_lists_the_known_ones_and_paths_are_refused(home: Path) -> None:
    job = submit()
    with pytest.raises(UserError, match=job.id):
        store.read_job("nope")
    with pytest.raises(UserError, match="no job"):
        store.read_job("../jobs")


def test_a_hand_edited_status_is_a_sentence_and_does_not_hide_other_jobs(home: Path) -> None:
    broken, fine = submit("a"), submit("b")
    (broken.path / "status.json").write_text('{"state": "queued"')
    with pytest.raises(UserError, match="damaged"):
        store.read_job(broken.id)
    assert [job.id for job in store.list_jobs()] == [fine.id]


def test_progress_counts_cached_items_apart_and_skips_a_torn_last_line(home: Path) -> None:
    job = submit()
    reporter = Reporter(job)
    reporter.begin("answering", total=100, cached=60)
    time.sleep(0.05)
    reporter.advance(40)
    with (job.path / "progress.jsonl").open("a") as opened:
        opened.write('{"time": 1, "pha')
    progress = read_progress(job)
    assert progress is not None and progress.rate is not None
    assert (progress.done, progress.cached, progress.seconds_left) == (100, 60, 0.0)
    assert progress.rate < 40 / 0.05 + 1


def test_durations_are_words() -> None:
    assert describe_seconds(None) == "not known yet"
    assert describe_seconds(4) == "a few seconds"
    assert describe_seconds(170) == "about 3 minutes"
    assert describe_seconds(9000) == "about 2.5 hours"


def test_a_second_worker_refuses_and_an_idle_one_ends(home: Path) -> None:
    command = [sys.executable, "-m", "socrates_core", "worker", "--idle-seconds"]
    first = subprocess.Popen([*command, "600"], stdout=subprocess.PIPE)
    wait_until(worker_lives)
    second = subprocess.run([*command, "600"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode == 2 and "Another worker" in second.stderr
    first.terminate()
    assert first.wait(PATIENCE) == 0 and not worker_lives()
    assert subprocess.run([*command, "0.5"], timeout=PATIENCE, check=False).returncode == 0


def test_a_job_of_an_unknown_kind_fails_with_a_sentence_and_keeps_a_log(home: Path) -> None:
    job = store.submit("dance", "Dance", {}, key="dance")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert Worker(idle_seconds=0).run() == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    done = store.read_job(job.id)
    assert done.state == "failed" and "dance" in done.message
    assert any("dance" in line for line in store.read_log(done))
    assert json.loads((done.path / "status.json").read_text())["owner"] is None


def killed_worker(job: store.Job) -> None:
    """Lets another process claim the job and die."""
    code = "import os; from socrates_core.jobs import store; store.claim_next(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert store.read_job(job.id).state == "lost"


def test_a_job_whose_process_died_is_taken_over_once_and_then_left_to_a_person(home: Path) -> None:
    job = submit()
    killed_worker(job)
    assert store.read_job(job.id).can_be_taken_over and store.can_start()
    killed_worker(job)
    assert not store.read_job(job.id).can_be_taken_over and not store.can_start()
    assert store.claim_next() is None
    store.resume(job.id)
    claimed = store.claim_next()
    assert claimed is not None and (claimed.id, claimed.attempt) == (job.id, 1)


def test_the_job_that_was_put_first_is_taken_before_older_ones(home: Path) -> None:
    first, second, third = submit("a"), submit("b"), submit("c")
    store.put_first(second.id)
    store.put_first(third.id)
    order = [claimed.id for claimed in iter(store.claim_next, None)]
    assert order == [third.id, second.id, first.id]
    with pytest.raises(UserError, match="only a queued job"):
        store.put_first(first.id)


def test_a_job_waits_for_the_one_that_it_comes_after_and_fails_where_that_is_not_done(home: Path) -> None:
    before = submit("a")
    waiting = store.submit("evaluate", "Then", {}, key="then", after=[before.id])
    store.put_first(waiting.id)
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == before.id
    assert store.claim_next() is None and not store.can_start()
    store.finish(claimed, "cancelled")
    assert store.can_start() and store.claim_next() is None
    ended = store.read_job(waiting.id)
    assert ended.state == "failed" and "A run, which is cancelled" in ended.message
    store.resume(before.id)
    store.resume(waiting.id)
    store.finish(store.claim_next() or before, "done")
    after = store.claim_next()
    assert after is not None and after.id == waiting.id


def test_a_log_is_narrowed_to_a_level_and_a_text_and_a_traceback_stays_whole(home: Path) -> None:
    job = submit()
    (job.path / "log.txt").write_text(
        "2026-11-24 04:20:11,123 INFO model uniform\n"
        "2026-11-24 04:20:12,123 WARNING the batch was too large for the memory\n"
        "2026-11-24 04:20:13,123 ERROR Traceback\n  File x\nKeyError: 'Batch'\n"
    )
    assert len(store.read_log(job)) == 5
    assert len(store.read_log(job, level="WARNING")) == 4
    assert store.read_log(job, level="ERROR", text="batch")[-1] == "KeyError: 'Batch'"
    assert store.read_log(job, text="model") == ["2026-11-24 04:20:11,123 INFO model uniform"]


def test_progress_tells_the_memory_of_the_job_and_of_what_it_started(home: Path) -> None:
    reporter = Reporter(submit())
    hungry = "import time; held = bytearray(600 * 2**20); print('on', flush=True); time.sleep(30)"
    reporter.begin("alone", 1)
    alone = read_progress(reporter.job)
    with subprocess.Popen([sys.executable, "-c", hungry], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        reporter.begin("together", 1)
        together = read_progress(reporter.job)
        child.kill()
    assert alone is not None and together is not None and alone.memory_mb and together.memory_mb
    # The memory of the process that runs the tests may shrink meanwhile, so half of the child's is asked for.
    assert together.memory_mb - alone.memory_mb > 300


def test_a_folder_of_the_person_named_like_ours_is_never_run(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps = [tmp_path / name / "__init__.py" for name in ("socrates_core", "pip")]
    for trap in traps:
        trap.parent.mkdir()
        trap.write_text("from pathlib import Path\n\nPath('sprung').touch()\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    job = submit("nothing")  # fails for want of the run, which only our own worker can say
    ensure_worker()
    wait_until(lambda: store.read_job(job.id).state == "failed")
    drawing = start_map(["nothing"])
    assert b"nothing" in drawing.communicate()[1]
    with pytest.raises(UserError, match="could not be fetched"):
        prepare_starter_model(lambda *_: None)
    end_worker()
    assert not Path("sprung").exists()
