"""Finetunes as real processes: kill -9, resume, cancel, a worker that ends or is killed, and two processes at once."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import load_file

from socrates_core.corpus.splits import load_split, split_rows
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.files import read_json
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.spec import TrainingSpec, training_path
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs import store, worker_process
from tests.support.commands import command
from tests.support.finetunes import losses, spec_of, train, write_spec
from tests.support.jobs import ended
from tests.support.processes import end_worker
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _own(finetuning_home: Path) -> Iterator[None]:
    """Every test here has a home of its own, on which nothing runs on."""
    yield
    end_worker()


def n_steps(training_id: str) -> int:
    return len(read_history(training_id)[0])


def trainers(training_id: str) -> list[psutil.Process]:
    """The processes that train it."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if training_id in (process.info["cmdline"] or []) and process.status() != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def long(**changes: object) -> TrainingSpec:
    """A finetune that does not end by itself while a test looks."""
    return spec_of(max_steps=5000, epochs=5000.0, evaluate_every=3, **changes)


def start(spec: TrainingSpec) -> store.Job:
    """Submits a finetune; returns its running job once it took some steps."""
    job = submit_training(spec)
    wait_until(lambda: n_steps(job.id) > 3 or not store.read_job(job.id).active)
    assert store.read_job(job.id).state == "running", store.read_log(job)
    return job


def test_a_job_whose_trainer_was_killed_fails_with_a_sentence_and_ends_as_if_it_had_not_been(
    finetuning_home: Path,
) -> None:
    spec = spec_of(max_steps=40, epochs=40.0, dropout=0.2, micro_tokens=512)
    job = start(spec)
    trainers(job.id)[0].kill()
    failed = ended(job.id)
    assert failed.state == "failed" and "Resume goes on from its last checkpoint" in failed.message
    n_before = n_steps(job.id)
    store.resume(job.id)
    worker_process.ensure_worker()
    done = ended(job.id)
    assert done.state == "done", done.message
    assert read_history(job.id)[0]["step"].tolist() == list(range(1, 41)) and n_before < 40
    assert store.read_result(done)["model"] == "tuned"
    train(spec.model_copy(update={"name": "whole"}), "whole")
    whole, parts = (read_history(each)[0] for each in ("whole", job.id))
    told = ["step", "loss", "learning_rate", "gradient_norm", "n_tokens"]
    assert parts[told].equals(whole[told])
    first, second = (
        load_file(finetuning_home / "adapters" / each / "adapter_model.safetensors")
        for each in ("whole", "tuned")
    )
    assert all(torch.equal(each, second[name]) for name, each in first.items())


def test_a_command_trains_then_asks_the_base_and_the_new_model_the_held_out_side() -> None:
    told = command("train", str(write_spec(spec_of(max_steps=2))), "--evaluate", "--wait")
    assert "Its model is tuned" in told
    evaluations = [job for job in store.list_jobs() if job.kind == "evaluate"]
    assert [ended(job.id).state for job in evaluations] == ["done", "done"]
    base, tuned = sorted(
        map(load_evaluation, EVALUATIONS.ids()), key=lambda each: each.spec.model.name == "tuned"
    )
    assert (base.spec.model.name, tuned.spec.model.name) == ("tiny", "tuned")
    held = split_rows(open_corpus("made"), load_split("held"), "eval")
    for each in (base, tuned):
        assert not each.partial and set(each.rows["participant"]) == set(held["participant"])
    before, after = (
        each.rows.sort_values(["study_id", "sample_id"])["mean"].to_numpy(dtype=float)
        for each in (base, tuned)
    )
    assert len(before) == len(after) and not np.allclose(before, after)


def test_a_cancelled_finetune_stops_and_publishes_what_it_kept(finetuning_home: Path) -> None:
    job = start(long())
    store.cancel(job.id)
    assert ended(job.id).state == "cancelled"
    assert (finetuning_home / "adapters" / "tuned" / "card.json").exists()
    assert not trainers(job.id) and len(list(training_path(job.id).glob("checkpoint-*"))) == 1


def test_a_finetune_outlives_a_worker_that_ends_but_not_one_that_is_killed() -> None:
    job = start(long())
    owner = store.read_job(job.id).owner
    assert owner is not None
    os.kill(owner.pid, signal.SIGTERM)
    wait_until(lambda: store.read_job(job.id).state == "queued")
    n_before = n_steps(job.id)
    assert not trainers(job.id)
    wait_until(lambda: not worker_process.worker_lives())
    worker_process.ensure_worker()
    wait_until(lambda: n_steps(job.id) > n_before)
    second = store.read_job(job.id).owner
    assert second is not None and second != owner
    psutil.Process(second.pid).kill()
    wait_until(lambda: not trainers(job.id))
    assert store.read_job(job.id).state == "lost"
    steps = read_history(job.id)[0]["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))
    assert (training_path(job.id) / f"checkpoint-{steps[-1]}").exists()


def test_a_job_trains_in_several_processes_and_logs_each(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(validation_share=0.4, validation_cap=6, max_steps=4, patience=1, learning_rate=0.05)
    train(spec.model_copy(update={"name": "one"}), "one")
    in_two_processes(monkeypatch)
    job = submit_training(spec)
    done = ended(job.id)
    assert done.state == "done", done.message
    assert read_json(training_path(job.id) / "plan.json")["n_processes"] == 2
    assert losses(job.id) == pytest.approx(losses("one"), rel=1e-4)
    ours, theirs = (read_history(each)[1]["w_stated"].tolist() for each in (job.id, "one"))
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert {"stdout.log", "stderr.log"} <= {
        file.name for file in (training_path(job.id) / "logs").rglob("1/*")
    }


def test_a_killed_process_of_several_ends_with_a_sentence_and_resume_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    in_two_processes(monkeypatch)
    job = start(long())
    trained = [each for each in trainers(job.id) if each.environ().get("RANK") == "1"]
    trained[0].kill()
    failed = ended(job.id)
    assert failed.state == "failed" and "Resume goes on from its last checkpoint" in failed.message
    assert not trainers(job.id)
    n_before = n_steps(job.id)
    store.resume(job.id)
    worker_process.ensure_worker()
    wait_until(lambda: n_steps(job.id) > n_before)
    store.cancel(job.id)
    assert ended(job.id).state == "cancelled"
    steps = read_history(job.id)[0]["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))


def in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs train in two processes, as they would on two GPUs."""
    if not torch.distributed.is_gloo_available():
        pytest.skip("this build of torch has no gloo, so one process a machine")
    monkeypatch.setenv("SOCRATES_PROCESSES", "2")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")  # accelerate would look for GPUs
