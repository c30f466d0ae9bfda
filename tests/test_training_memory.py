"""The memory that a finetune is said to take, against a recount over fake tensors at the true shapes."""

from typing import Any

import pytest

from benchmarks import training_memory
from benchmarks.committed import read_table
from benchmarks.shapes import SHAPES
from benchmarks.training_memory import CASES, LENGTH, Case, Counted, count
from socrates_core.finetuning.estimate import training_bytes
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.models.local.tree_attention import TILE
from tests.support.alone import alone
from tests.support.shapes import shapes_of

TABLE = read_table(training_memory.TABLE, CASES, Counted)


def spec_of(case: Case) -> TrainingSpec:
    settings: dict[str, Any] = {
        "tuning": case.tuning,
        "checkpointing": case.checkpointing,
        "precision": "bf16",
    }
    return spec_from_dict({"name": "new", "split": "mine", **settings}, "the test")


def test_every_case_has_a_committed_figure() -> None:
    assert set(TABLE) == set(CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, vars(case).values())))
def test_estimates_are_within_a_tenth_of_the_recount(case: Case) -> None:
    _, shape = SHAPES[case.model]
    n_prompts = round(case.n_tokens / (LENGTH + 1))
    estimated = training_bytes(
        shapes_of(shape, biased=case.model.startswith("Qwen")),
        shape,
        spec_of(case),
        compact="bf16",
        n_tokens=n_prompts * (LENGTH + 1),
        n_reads=n_prompts * 2,
        # Tiles of 256 tokens and half of a prompt before them.
        columns=TILE["cuda"] + LENGTH / 2 if case.attention == "tiles" else 0,
    )
    counted = TABLE[case]
    assert estimated.weights + estimated.activations == pytest.approx(counted.peak, rel=0.1)
    if case.tuning != "full":  # whose copy in bf16 is there only while it reads
        assert estimated.weights == pytest.approx(counted.constant, rel=0.02)
        # Weights are most of it, so what comes and goes is held to a bound of its own.
        assert estimated.activations == pytest.approx(counted.peak - counted.constant, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        Case("Llama-3-8B", "qlora", True, "fused", 2048),
        Case("Llama-3-8B", "lora", False, "fused", 2048),
        Case("Qwen2.5-14B", "full", True, "fused", 2048),
    ],
    ids=lambda case: "-".join(map(str, vars(case).values())),
)
def test_a_recount_finds_the_committed_figure(case: Case) -> None:
    """Two depths of the model are counted, and the line through them is followed to the whole."""
    recounted, committed = alone(count, case), TABLE[case]
    assert recounted == Counted(
        pytest.approx(committed.peak, rel=0.02),  # type: ignore[arg-type]
        pytest.approx(committed.constant, rel=0.001),  # type: ignore[arg-type]
    )
