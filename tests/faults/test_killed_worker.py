"""kill -9 of the worker at random moments of a real run: nothing is asked again, missing or double."""

import contextlib
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.files import read_parquet
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import Draft
from tests.faults.trials import TRIALS, fault
from tests.support.drafts import wide_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import start_worker
from tests.support.waiting import wait_until
from tests.support.watched_runs import cache, n_stored, watch


def answers_of(run_id: str) -> pd.DataFrame:
    table: pd.DataFrame = read_parquet(load_run(run_id).spec.path / "people.parquet").to_pandas()
    return table.drop(columns="cached")


def kill_worker(home: Path, rng: np.random.Generator, *, beyond: int, n_all: int) -> None:
    """Starts a worker and kills it: while it starts, once it stored some of the next answers, or while it writes."""
    moment = rng.choice(["starting", "answering", "writing"], p=[0.2, 0.7, 0.1])
    pause = float(rng.uniform(0, {"starting": 2.0, "answering": 0.05, "writing": 0.4}[moment]))
    until = {"starting": 0, "answering": beyond, "writing": n_all}[moment]
    worker = start_worker()
    wait_until(lambda: n_stored(home) >= until or worker.poll() is not None)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(timeout=pause)
    worker.kill()
    worker.communicate()


@fault("kill -9 of the worker", "no answer asked again, missing or double; states true", TRIALS)
def test_a_run_whose_worker_is_killed_again_and_again_ends_as_if_it_had_not_been(
    quiet_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, rng = wide_draft(n_conditions=20 + 20 * TRIALS), np.random.default_rng(7)
    whole, n_all = answered_at_once(draft, tmp_path / "whole", monkeypatch)
    watch(quiet_home)
    job = submit_simulation(draft, ModelRequest("echo"))
    stored = [0]
    for trial in range(TRIALS):
        share = n_all * (trial + rng.uniform(0.1, 0.9)) / (TRIALS + 1)
        kill_worker(quiet_home, rng, beyond=max(int(share), stored[-1] + 1), n_all=n_all)
        stored.append(n_stored(quiet_home))
        now = store.read_job(job.id)
        assert stored[-1] >= stored[-2] and now.state in ("queued", "lost", "done")
        assert list_runs()[0]["state"] in (now.state, "partial", "complete")
        if now.state == "lost" and not now.can_be_taken_over:
            store.resume(job.id)
    finish_jobs()
    done = store.read_job(job.id)
    assert done.state == "done", done.message
    log = "\n".join(store.read_log(done))
    there = [int(n) for n in re.findall(rf"answering: {n_all}, of which (\d+) are there already", log)]
    assert len(there) > 1 and there == sorted(there) and set(there) <= set(stored)
    with cache(quiet_home) as opened:
        assert opened.execute("pragma integrity_check").fetchone() == ("ok",)
        assert opened.execute("select count(*), count(distinct key) from answers").fetchone() == (
            n_all,
            n_all,
        )
        assert opened.execute("select count(*) from asked_again").fetchone() == (0,)
    pd.testing.assert_frame_equal(answers_of(job.id), whole)


def answered_at_once(draft: Draft, home: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[pd.DataFrame, int]:
    """What a run gives on which nothing befalls, and how many questions of it differ."""
    with monkeypatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(home))
        submit_simulation(draft, ModelRequest("echo"))
        claimed = store.claim_next()
        assert claimed is not None
        run_simulation(claimed.id, Reporter(claimed))
        return answers_of(claimed.id), n_stored(home)
