"""Two processes over gloo take the steps of one, for every method and tuning, sharded weights included."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from socrates_core.files import read_json
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.spec import TrainingSpec, training_path
from tests.support.finetunes import freeze, losses, spec_of, train
from tests.support.processes import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not torch.distributed.is_gloo_available(),
        reason="this build of torch has no gloo, so one process a machine",
    ),
]
KINDS: dict[str, dict[str, Any]] = {
    **{
        f"{method}-{tuning}": {"method": method, "tuning": tuning, "checkpointing": False}
        for method in ("sft", "dpo", "distribution", "reasoning")
        for tuning in ("lora", "qlora")
    },
    "full": {"tuning": "full", "learning_rate": 2e-3, "micro_tokens": 300},
    "full-checkpointed": {"tuning": "full", "learning_rate": 2e-3, "checkpointing": True},
}


def spec_for(kind: str, name: str) -> TrainingSpec:
    validation = {} if kind.startswith("reasoning") else {"validation_share": 0.4, "validation_cap": 6}
    return spec_of(**KINDS[kind] | validation, name=name, max_steps=3, patience=9, per_study=11)


@pytest.fixture(scope="module")
def trained(_finetuning_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which every kind of finetune was trained by two processes."""
    with pytest.MonkeyPatch.context() as patch:
        home = Path(shutil.copytree(_finetuning_home, tmp_path_factory.mktemp("two") / "home"))
        patch.setenv("SOCRATES_HOME", str(home))
        patch.setenv("ACCELERATE_USE_CPU", "true")
        made = [freeze(spec_for(kind, f"two-{kind}")) for kind in KINDS]
        command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
        command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
        command += ["-m", "tests.support.two_processes", *made]
        launched = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert launched.returncode == 0, launched.stderr[-3000:]
        yield home


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_take_the_steps_of_one(
    kind: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCRATES_HOME", str(trained))
    two = f"two-{kind}"
    assert read_json(training_path(two) / "plan.json")["n_processes"] == 2
    one = train(spec_for(kind, f"one-{kind}"))
    # 4 bits are multiplied in bf16 where the processor has it, so another order of sums shows.
    rounding = 2e-3 if kind.endswith("qlora") else 1e-4
    assert losses(two) == pytest.approx(losses(one), rel=rounding)
    assert read_history(two)[0]["gradient_norm"].tolist() == pytest.approx(
        read_history(one)[0]["gradient_norm"].tolist(), rel=10 * rounding
    )
    ours, theirs = (read_history(each)[1]["w_stated"].tolist() for each in (two, one))
    assert ours == pytest.approx(theirs, abs=2e-3)
    folder, file = ("models", "model") if kind.startswith("full") else ("adapters", "adapter_model")
    weights, expected = (load_file(trained / folder / each / f"{file}.safetensors") for each in (two, one))
    assert set(weights) == set(expected)
    assert all(
        torch.allclose(weights[name], expected[name], atol=2e-3 if rounding < 1e-3 else 0.02)
        for name in expected
    )
    if kind == "full":
        assert read_json(trained / folder / two / "config.json") == read_json(
            trained / folder / one / "config.json"
        )
    for place, name in ((two, "weights"), (two, "optimizer")):
        stored, other = (
            load_file(training_path(each) / "checkpoint-3" / f"{name}.safetensors") for each in (place, one)
        )
        assert {key: value.shape for key, value in stored.items()} == {
            key: value.shape for key, value in other.items()
        }
