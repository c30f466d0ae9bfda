"""A model whose file goes away during a run: the answers stay, and the run goes on once it is back."""

from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import fault
from tests.support.drafts import wide_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import start_worker
from tests.support.tiny_models import make_tiny_model
from tests.support.waiting import PATIENCE, wait_until
from tests.support.watched_runs import cache, n_stored, watch


@fault("a model file removed during a run", "a sentence, answers kept, resumed once it is back", 2)
def test_a_run_whose_model_is_gone_fails_with_a_sentence_and_goes_on_once_it_is_back(
    quiet_home: Path, tmp_path: Path
) -> None:
    watch(quiet_home)
    make_tiny_model(quiet_home / "models" / "tiny", "single-digit")
    weights, away = quiet_home / "models" / "tiny" / "model.safetensors", tmp_path / "away"
    job = submit_simulation(wide_draft(24), ModelRequest("tiny"))
    worker = start_worker()
    wait_until(lambda: n_stored(quiet_home) > 0 or worker.poll() is not None)
    weights.rename(away)  # the worker holds it open: it goes on, or ends with a sentence
    told = store.read_job(job.id)
    worker.kill()
    worker.communicate(timeout=PATIENCE)
    stored = n_stored(quiet_home)
    assert told.state == "running" and 0 < stored < 1200
    finish_jobs()
    failed = store.read_job(job.id)
    assert failed.state == "failed" and "has no weights" in failed.message, failed.message
    assert "Traceback" not in "\n".join(store.read_log(failed)) and n_stored(quiet_home) == stored
    away.rename(weights)
    store.resume(job.id)
    finish_jobs()
    done = store.read_job(job.id)
    assert done.state == "done", done.message
    run = load_run(job.id)
    assert run.manifest["state"] == "complete"
    with cache(quiet_home) as opened:
        assert opened.execute("select count(*) from asked_again").fetchone() == (0,)
