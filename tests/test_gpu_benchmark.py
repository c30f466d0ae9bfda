"""The benchmark for cards, run whole with tiny networks on the processor; what it says of a card has *not run*."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import WORKLOADS, Bench, Result, fits, keep, read_results, table
from benchmarks.random_model import random_model, shapes_of, size_of
from benchmarks.shapes import SHAPES, TINY

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")


def run(out: Path, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out), *options]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.slow
def test_every_part_runs_and_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    said = run(out, "--tiny", "--only", "forest")
    assert "blocks and plain rows differ by" in said
    assert set(read_results(out)) == {"card", "forest"}
    said = run(out, "--tiny")
    assert "\nforest\n" not in f"\n{said}"  # it is not measured again
    results = read_results(out)
    rows = {
        "read tiny Llama bf16 tiles",
        "read tiny Llama bf16 adapter tiles",
        "read tiny Llama bf16 unshared",
    }
    assert set(results) == {"card", "forest", *rows, "train tiny Llama ours", "train tiny Llama trl"}
    for row in rows:
        assert all(results[row].prompts[workload] > 0 for workload in WORKLOADS)
        assert 0 < results[row].share_of_peak < 1
    for trainer in ("ours", "trl"):
        result = results[f"train tiny Llama {trainer}"]
        assert result.tokens > 0 and not result.skipped
        first, last = (float(part.split()[-1]) for part in result.note.split(","))
        assert last < first
    for difference in results["forest"].note.split("; ")[:2]:
        assert "differ by" in difference and float(difference.split()[-1]) < 1e-4


def test_a_row_that_needs_more_memory_than_is_free_is_named() -> None:
    bench = Bench(CPU, SHAPES, n_people=1, n_steps=1, ends=0.0)
    result = Result("read huge", estimated_bytes=1e15)
    assert not fits(result, bench)
    assert result.skipped.startswith("needs 1000000.0 GB, and ")
    assert fits(Result("read small", estimated_bytes=1.0), bench)


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    keep(out, Result("card", tokens=6e14, note="NVIDIA H100"))
    keep(out, Result("read Llama-3-8B bf16 blocks", tokens=30_000.0, peak_bytes=17e9, estimated_bytes=18.6e9))
    keep(out, Result("read Qwen2.5-14B bf16 blocks", "needs 32.0 GB, and 23.5 are free"))
    with out.open("a") as file:
        file.write(json.dumps({"row": "forest"})[:-3])
    results = read_results(out)
    assert "forest" not in results
    lines = table(results).splitlines()
    assert lines[-2] == "| read Llama-3-8B bf16 blocks | 30,000 | 33,000 |  |  |  |  | 17.0 | 18.6 |  |"
    assert (
        lines[-1].startswith("| read Qwen2.5-14B bf16 blocks |  | 17,500 |") and "needs 32.0 GB" in lines[-1]
    )


def test_random_models_have_the_sizes_of_the_released_ones() -> None:
    sizes = {name: size_of(*model) for name, model in SHAPES.items()}
    assert sizes["Llama-3-8B"].n_numbers == 8_030_261_248
    assert sizes["Qwen2.5-14B"].n_numbers == 14_770_033_664
    assert sizes["Llama-3-8B"].n_linear == sum(
        shape[0] * shape[1]
        for name, shape in shapes_of(*SHAPES["Llama-3-8B"]).items()
        if len(shape) == 2 and "proj" in name
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16", "nf4"])
def test_random_models_answer_in_their_precision(precision: str) -> None:
    kind, shape = TINY["tiny Llama"]
    model = random_model(kind, shape, precision, CPU)  # type: ignore[arg-type]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([[1, 2, 3]])).logits
    assert bool(torch.isfinite(logits).all()) and float(logits.float().std()) > 0
    packed = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    assert len(packed) == (14 if precision == "nf4" else 0)
