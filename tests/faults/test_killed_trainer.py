"""kill -9 of the trainer at random moments: the loss curve and the weights are those of a finetune left alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.spec import training_ids
from tests.faults.trials import FULL, TRIALS, fault
from tests.support.finetunes import spec_of, train, write_spec
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

KILLS = TRIALS if FULL else 1


def n_steps() -> int:
    return len(read_history(training_ids()[0])[0]) if training_ids() else 0


def kill_trainer(arguments: list[str], *, after: int, pause: float) -> None:
    """Starts a trainer and kills it a moment after it took the step number `after`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "training.sft", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    wait_until(lambda: n_steps() >= after or process.poll() is not None)
    try:
        process.wait(timeout=pause)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()


@pytest.mark.proof
@fault("kill -9 of the trainer", "the same losses, steps and weights, to the last bit", KILLS)
def test_a_finetune_killed_again_and_again_ends_as_if_it_had_not_been(finetuning_home: Path) -> None:
    spec, rng = spec_of(max_steps=6 + 4 * KILLS, epochs=100.0, dropout=0.2), np.random.default_rng(5)
    arguments = [str(write_spec(spec))]
    for trial in range(KILLS):
        kill_trainer(arguments, after=2 + 4 * trial, pause=float(rng.uniform(0, 0.4)))
        made = training_ids()
        assert len(made) == 1
        arguments = ["--training", made[0]]
        steps = read_history(made[0])[0]["step"].tolist()
        assert steps == list(range(1, len(steps) + 1))
    done = subprocess.run(
        [sys.executable, "-m", "training.sft", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    train(spec.model_copy(update={"name": "whole"}), "whole")
    whole, parts = read_history("whole"), read_history(made[0])
    told = ["step", "loss", "learning_rate", "gradient_norm", "n_tokens"]
    assert parts[0][told].equals(whole[0][told]) and len(parts[0]) == spec.max_steps
    judged = ["step", "w_stated", "accuracy", "log_score"]
    assert parts[1][judged].equals(whole[1][judged])
    adapters = finetuning_home / "adapters"
    first, second = (load_file(adapters / name / "adapter_model.safetensors") for name in ("whole", "tuned"))
    assert all(torch.equal(each, second[name]) for name, each in first.items())
