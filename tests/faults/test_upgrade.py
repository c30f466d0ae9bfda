"""Homes that earlier versions wrote open; what a later version wrote says to update."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from socrates_core.asking.cache import open_cache
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import read_speeds
from socrates_core.jobs import store
from socrates_core.projects import drafts
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import fault
from tests.support.commands import process
from tests.support.drafts import make_draft, wide_draft
from tests.support.jobs import finish_jobs

FIRST_CACHE = """
create table responders (fingerprint text primary key, name text not null) without rowid;
create table answers (
    key text primary key, fingerprint text not null, probabilities blob not null,
    valid_mass real not null, n_tokens integer not null, created text not null default (datetime('now'))
) without rowid;
"""  # before answers could be drawn


def rewrite(path: Path, drop: tuple[str, ...], **changes: object) -> None:
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**{key: value for key, value in told.items() if key not in drop}, **changes}))


@fault("a home of the first version", "cache, run, job and speeds open as they are; no answer asked again")
def test_a_home_of_the_first_version_opens(quiet_home: Path) -> None:
    (quiet_home / "cache").mkdir()
    with closing(sqlite3.connect(quiet_home / "cache" / "answers.sqlite")) as first:
        first.executescript(FIRST_CACHE)
    job = submit_simulation(wide_draft(2), ModelRequest("echo"))
    finish_jobs()
    rewrite(job.path / "job.json", ("after",))
    rewrite(job.path / "status.json", ("attempt",))
    (quiet_home / "models").mkdir(exist_ok=True)
    (quiet_home / "models" / "speeds.json").write_text('{"echo auto exact": 812.5}')
    assert store.read_job(job.id).state == "done" and load_run(job.id).manifest["state"] == "complete"
    assert read_speeds(ModelRequest("echo")) == [812.5]
    again = submit_simulation(wide_draft(2), ModelRequest("echo"))
    finish_jobs()
    manifest = load_run(again.id).manifest
    assert manifest["n_cached"] == manifest["n_cells"]
    with open_cache() as opened:
        assert opened.count() > 0


@fault("a home of a later version", "it says to update, in a sentence", 4)
@pytest.mark.parametrize(
    "file", ["runs/*/spec.json", "runs/*/manifest.json", "jobs/*/job.json", "drafts/*/working.json"]
)
def test_what_a_later_version_wrote_says_to_update(quiet_home: Path, file: str) -> None:
    drafts.create(make_draft())
    job = submit_simulation(make_draft(), ModelRequest("echo"))
    finish_jobs()
    path = next(quiet_home.glob(file))
    rewrite(path, (), format=99)
    if path.parts[-3] == "drafts":
        with pytest.raises(Exception, match="update"):
            drafts.open_draft(path.parent.name)
    else:
        assert "update" in process("job" if path.parts[-3] == "jobs" else "run", job.id, code=2)
    assert len(list_runs()) == 1
