"""A run of 200,000 person-cells opened, filtered and exported in bounded memory (20,000 in the short part)."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import FULL, fault
from tests.support.drafts import wide_draft
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

N_CONDITIONS = 200 if FULL else 20
N_PEOPLE = 1000
MOST_MB = 1500 if FULL else 700
LOOKING = """
import json, re, sys, time
from pathlib import Path
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_export import cells_table
begun = time.monotonic()
run = load_run(sys.argv[1])
n_kept = int((run.people["condition"] == 1).sum())
n_cells, n_effects = len(run.cells), len(run.effects)
table = cells_table(run)
run.people.drop(columns="probabilities").to_csv(Path(sys.argv[2]) / "people.csv", index=False)
print(json.dumps({"kept": n_kept, "cells": n_cells, "effects": n_effects, "rows": len(run.people),
  "exported": len(table), "seconds": time.monotonic() - begun,
  "mb": int(re.search("VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024}))
"""


@fault("a very large run", "opened, filtered, exported within bounds")
def test_a_large_run_is_looked_at_in_bounded_memory(
    quiet_home: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    job = submit_simulation(wide_draft(N_CONDITIONS, N_PEOPLE), ModelRequest("echo"))
    code = "from socrates_core.worker import Worker; Worker(idle_seconds=0).run()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=540 if FULL else PATIENCE)
    assert store.read_job(job.id).state == "done"
    done = subprocess.run(
        [sys.executable, "-c", LOOKING, job.id, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    told = json.loads(done.stdout)
    assert (told["rows"], told["kept"]) == (N_CONDITIONS * N_PEOPLE, N_PEOPLE)
    assert told["cells"] == N_CONDITIONS and told["effects"] == N_CONDITIONS - 1
    seen = f"{told['rows']:,} cells in {told['seconds']:.1f} s, at most {told['mb']:,.0f} MB"
    record_property("checked", seen)
    assert told["mb"] < MOST_MB, seen
