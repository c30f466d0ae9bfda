"""No room, no right to write, no memory, a clock that jumps, a process id that is another's: nothing is lost."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects import drafts
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import render_draft
from tests.faults.trials import fault
from tests.support.commands import process
from tests.support.disks import small_disk
from tests.support.drafts import make_draft, wide_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import start_worker
from tests.support.waiting import PATIENCE, wait_until
from tests.support.watched_runs import cache, n_stored, watch

LATER = "2099-01-01T00:00:00+00:00"


def remount(path: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(path)], check=True)


def ended_whole(home: Path, job_id: str) -> None:
    """Resumes the job where a person has to; it ends, and nothing was worked out twice."""
    job = store.read_job(job_id)
    if job.state != "queued" and not job.can_be_taken_over:
        store.resume(job_id)
    finish_jobs()
    done = store.read_job(job_id)
    assert done.state == "done", done.message
    assert load_run(job_id).manifest["state"] == "complete"
    with cache(home) as opened:
        assert opened.execute("select count(*) from asked_again").fetchone() == (0,)


@fault("disk full while answers are written", "a sentence or a lost job; nothing asked again after")
def test_a_run_on_a_full_disk_goes_on_once_there_is_room(quiet_home: Path) -> None:
    with small_disk(quiet_home, "1500k"):
        watch(quiet_home)
        job = submit_simulation(wide_draft(150), ModelRequest("echo"))
        told, _ = start_worker().communicate(timeout=PATIENCE)
        assert "Traceback" not in told
        full, stored = store.read_job(job.id), n_stored(quiet_home)
        assert full.state in ("failed", "lost") and 0 < stored < 7000, (full, stored)
        assert full.state == "lost" or "Free some" in full.message, full.message
        remount(quiet_home, "size=100m")
        assert n_stored(quiet_home) == stored
        ended_whole(quiet_home, job.id)


@fault("disk full while a draft is saved", "a sentence; the draft as it was")
def test_a_draft_on_a_full_disk_stays_as_it_was(quiet_home: Path, tmp_path: Path) -> None:
    with small_disk(quiet_home, "200k"):
        draft_id = drafts.create(make_draft())
        room = os.statvfs(quiet_home).f_bavail * os.statvfs(quiet_home).f_frsize
        (quiet_home / "filling").write_bytes(bytes(room))
        source = tmp_path / "draft.yaml"
        source.write_text(render_draft(make_draft()))
        assert "Free some" in process("simulate", str(source), "--model", "echo", code=2)
        with pytest.raises(Exception, match="Free some space"):
            drafts.save(draft_id, make_draft(title="x" * 9000), based_on=make_draft().digest())
        assert drafts.open_draft(draft_id) == make_draft() and not list(quiet_home.rglob("*.part"))


@fault("no file may grow (RLIMIT_FSIZE)", "a sentence; nothing asked again after")
def test_a_run_whose_files_may_not_grow_fails_with_a_sentence_and_goes_on(quiet_home: Path) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(60), ModelRequest("echo"))
    most = 300_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    told, _ = start_worker(preexec_fn=limit).communicate(timeout=PATIENCE)
    failed = store.read_job(job.id)
    assert failed.state == "failed" and "Free some disk space" in failed.message, (failed, told)
    assert n_stored(quiet_home) > 0
    ended_whole(quiet_home, job.id)


@fault("read-only home", "lists still list, writing is a sentence")
def test_a_read_only_home_is_read_and_refuses_with_a_sentence(quiet_home: Path, tmp_path: Path) -> None:
    source = tmp_path / "draft.yaml"
    source.write_text(render_draft(make_draft()))
    with small_disk(quiet_home, "50m"):
        run = submit_simulation(make_draft(), ModelRequest("echo"))
        finish_jobs()
        remount(quiet_home, "ro")
        assert run.id in process("runs") and "done" in process("jobs")
        assert "Support" in process("run", run.id)
        assert "SOCRATES_HOME" in process("simulate", str(source), "--model", "echo", code=2)
        assert list_runs()[0]["state"] == "complete"


@pytest.mark.proof
@fault("the right to write is taken away during a run", "the job is lost or failed, then goes on")
def test_a_run_that_may_no_longer_write_goes_on_once_it_may(
    quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can give a process another owner")
    own = Path(tempfile.mkdtemp(prefix="faults-")) / "home"
    own.parent.chmod(0o755)
    monkeypatch.setenv("SOCRATES_HOME", str(own))
    own.mkdir()
    watch(own)
    job = submit_simulation(wide_draft(80), ModelRequest("echo"))
    subprocess.run(["chown", "-R", "nobody", str(own)], check=True)
    as_nobody = [
        "setpriv",
        "--reuid=nobody",
        "--clear-groups",
        sys.executable,
        "-m",
        "socrates_core",
        "worker",
    ]
    worker = subprocess.Popen(
        [*as_nobody, "--idle-seconds", "0"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "HOME": str(own), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    wait_until(lambda: n_stored(own) > 100 or worker.poll() is not None)
    subprocess.run(["chmod", "-R", "a-w", str(own)], check=True)
    told, _ = worker.communicate(timeout=PATIENCE)
    stopped, stored = store.read_job(job.id), n_stored(own)
    assert stopped.state in ("failed", "lost") and stored > 100, told
    subprocess.run(["chmod", "-R", "u+w", str(own)], check=True)
    subprocess.run(["chown", "-R", "root", str(own)], check=True)
    ended_whole(own, job.id)
    shutil.rmtree(own.parent)


@fault("memory limit hit (RLIMIT_AS)", "failed with its cause; answers kept; goes on after")
def test_a_run_without_memory_fails_and_goes_on_with_some(quiet_home: Path) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(120), ModelRequest("echo"))
    worker = start_worker()
    wait_until(lambda: n_stored(quiet_home) > 100 or worker.poll() is not None)
    held = psutil.Process(worker.pid).memory_info().vms
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (held, held))
    told, _ = worker.communicate(timeout=PATIENCE)
    short, stored = store.read_job(job.id), n_stored(quiet_home)
    assert short.state in ("failed", "lost") and stored > 100, told
    assert short.state == "lost" or "emory" in short.message, short.message
    ended_whole(quiet_home, job.id)


@pytest.mark.proof
@fault("killed for want of memory (SIGKILL)", "taken over once by itself, then left to a person")
def test_a_run_that_is_killed_twice_is_left_to_a_person(quiet_home: Path) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(120), ModelRequest("echo"))
    for attempt in (1, 2):
        worker = start_worker()
        before = n_stored(quiet_home)
        wait_until(lambda before=before: n_stored(quiet_home) > before)  # type: ignore[misc]
        os.kill(worker.pid, signal.SIGKILL)
        worker.communicate()
        lost = store.read_job(job.id)
        assert lost.state == "lost" and lost.can_be_taken_over == (attempt == 1)
    ended_whole(quiet_home, job.id)


@fault("the clock jumps back", "order, states and new work as before")
def test_what_was_made_before_the_clock_jumped_back_stays_usable(quiet_home: Path) -> None:
    watch(quiet_home)
    first = submit_simulation(wide_draft(2, title="Before"), ModelRequest("echo"))
    finish_jobs()
    for path in quiet_home.rglob("*.json"):
        told = json.loads(path.read_text())
        if isinstance(told, dict):
            stamps = {"created", "changed", "written", "time"} & set(told)
            path.write_text(json.dumps({**told, **dict.fromkeys(stamps, LATER)}))
    for path in quiet_home.rglob("*"):
        os.utime(path, (4_070_908_800, 4_070_908_800))
    second = submit_simulation(wide_draft(3, title="After"), ModelRequest("echo"))
    assert [job.id for job in store.list_jobs()] == [first.id, second.id] and second.number == 2
    finish_jobs()
    assert store.read_job(first.id).state == store.read_job(second.id).state == "done"
    assert {row["run_id"]: row["state"] for row in list_runs()} == {
        first.id: "complete",
        second.id: "complete",
    }
    ended = process("jobs")
    assert first.id in ended and second.id in ended


@fault("a reused process id", "the job is lost, not running; it goes on")
def test_a_job_whose_process_id_is_another_process_goes_on(quiet_home: Path) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(5), ModelRequest("echo"))
    with subprocess.Popen(["sleep", "300"]) as other:
        told = json.loads((job.path / "status.json").read_text())
        owner = {"pid": other.pid, "started": store.owner_of(other.pid).started - 3600}
        (job.path / "status.json").write_text(
            json.dumps({**told, "state": "running", "attempt": 1, "owner": owner})
        )
        assert store.read_job(job.id).state == "lost"
        ended_whole(quiet_home, job.id)
        other.kill()


@pytest.mark.proof
@fault("a zombie worker", "the job is lost, not running; it goes on")
def test_a_job_whose_worker_is_a_zombie_goes_on(quiet_home: Path) -> None:
    watch(quiet_home)
    job = submit_simulation(wide_draft(120), ModelRequest("echo"))
    worker = start_worker()
    wait_until(lambda: n_stored(quiet_home) > 0)
    worker.kill()
    wait_until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_ZOMBIE)
    assert store.read_job(job.id).state == "lost"
    ended_whole(quiet_home, job.id)
    worker.communicate()
