"""How long a finetune takes here and how much memory, before it starts; reads headers of files, never weights."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.history import read_history, seconds_taken
from socrates_core.finetuning.insight import Insight
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, load_training
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.weights import count_numbers, model_shapes
from socrates_core.scoring.plan import MAX_READS

MEBIBYTE = 2.0**20
PROCESS = 670 * MEBIBYTE  # an interpreter with torch, transformers and peft, and the rows; measured
ADAM = 16  # bytes a trained number: itself, its gradient and two moments in fp32 (Kingma & Ba 2015)
NF4 = 0.5 + 4 / 64  # bytes a number: 4 bits, and a scale in fp32 for every 64 (Dettmers et al. 2023)
BACKWARD = (
    1.2  # of what the forward pass keeps: with what the backward pass makes, measured between 1.15 and 1.3
)
IN_FP32 = (
    1.4  # of what is kept in bf16: eight finetunes took 5.8 to 7.0 GB where 4.8 to 5.0 were told without it
)
ESTIMATE = "estimate.json"
REACHED = 0.6  # of the processor's rate, by training; measured between .5 and .9
REMEMBERED = 5  # finetunes
LEAST_STEPS = 3  # of a finetune that tells a speed; the first step warms up


@dataclass(frozen=True)
class TrainingEstimate:
    """At most `n_steps` steps over `n_tokens` tokens; early stopping takes fewer.

    `seconds`, validations included, comes from finetunes of this base model and tuning that ran here; before the first
    from how fast the processor multiplies, without validations, and is None where that does not tell, as on a GPU.
    `memory_mb`, in 2^20 bytes at the peak, is None where the model's files do not tell it. `fits` is false where more
    is wanted than is free. `told` says it in sentences.
    """

    n_steps: int
    n_tokens: int
    seconds: float | None
    memory_mb: float | None
    fits: bool
    told: str


def estimate_training(spec: TrainingSpec, insight: Insight) -> TrainingEstimate:
    """What a finetune on what was looked at takes. Raises UserError where the base model is not there."""
    n_steps = n_steps_of(insight.n_examples, spec)
    n_tokens = round(n_steps * spec.batch_size * insight.lengths.mean)
    graphics = free_on_gpu()
    times, memory = _times(spec, insight, n_steps, n_tokens), _memory_mb(spec, insight)
    rough = _rough_seconds(spec, n_tokens) if graphics is None else None
    seconds = median(times) if times else rough
    free = psutil.virtual_memory().available / MEBIBYTE if graphics is None else graphics
    fits = memory is None or memory <= free
    where = "this machine's own memory" if graphics is None else "the GPU's memory"
    advice = less_memory(spec, longest=insight.lengths.max)
    told = f"{_about_time(times, seconds, n_steps, n_tokens)} {_about_memory(memory, free, where, advice)}"
    return TrainingEstimate(n_steps, n_tokens, seconds, memory, fits, told)


def write_estimate(path: Path, estimate: TrainingEstimate) -> None:
    """Keeps what was estimated before a finetune in its folder `path`, to be held against what it took."""
    write_json(path / ESTIMATE, asdict(estimate))


def read_estimate(path: Path) -> dict[str, Any] | None:
    """What was estimated before the finetune in `path`, by the fields of TrainingEstimate; None where nothing was."""
    try:
        stored = read_json(path / ESTIMATE)
    except UserError:
        return None
    return stored if isinstance(stored, dict) else None


def told_against(path: Path, *, seconds: float, memory_mb: float, n_steps: int) -> str:
    """What was estimated for the finetune in `path` beside what it took: a sentence for its log."""
    took = f"took {describe_seconds(seconds)} for {n_steps:,} steps and {memory_mb / 1024:.1f} GB"
    told = read_estimate(path)
    if told is None:
        return f"It {took}; nothing was estimated before."
    before, room = told.get("seconds"), told.get("memory_mb")
    span = "an unknown time" if before is None else describe_seconds(before)
    memory = "unknown memory" if room is None else f"{room / 1024:.1f} GB"
    return (
        f"It {took}; estimated before were {span} for at most {told.get('n_steps', 0):,} steps and {memory}."
    )


def n_steps_of(n_examples: int, spec: TrainingSpec) -> int:
    """How many steps a finetune has at most."""
    planned = max(1, round(n_examples * spec.epochs / spec.batch_size))
    return planned if spec.max_steps is None else min(planned, spec.max_steps)


def count_parameters(base: str) -> int | None:
    """How many numbers the base model's weights have; None where they are not on this machine.

    Raises UserError where there is no such model or its weights are damaged.
    """
    shapes = model_shapes(open_folder(base, weights=False).base)
    return count_numbers(shapes) or None


def _memory_mb(spec: TrainingSpec, insight: Insight) -> float | None:
    """The peak of process, weights, optimizer, activations and logits; None without weights or a known architecture."""
    path = open_folder(spec.base, weights=False).base
    shapes, config = model_shapes(path), read_config(path)
    config = config.get("text_config") or config
    if not shapes or not isinstance(config, dict) or not isinstance(config.get("hidden_size"), int):
        return None
    try:
        return _peak(spec, insight, shapes, config) / MEBIBYTE
    except EDITED:  # a configuration without whole numbers where they belong
        return None


def _peak(
    spec: TrainingSpec, insight: Insight, shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]
) -> float:
    """The same in bytes. Raises one of EDITED where the configuration is not that of a known architecture."""
    n_tokens = max(min(spec.micro_tokens, spec.batch_size * insight.lengths.mean), insight.lengths.max)
    n_reads = min(MAX_READS, n_tokens * insight.reads / insight.lengths.mean)
    logits = 3 * 4 * n_reads * config["vocab_size"]  # in fp32: themselves, their log-softmax, the gradient
    kept = n_tokens * activation_bytes(config, insight.lengths.mean, checkpointing=spec.checkpointing)
    if spec.precision == "fp32" or (spec.precision == "auto" and not _has_bf16()):
        kept *= IN_FP32
    return float(PROCESS + weight_bytes(shapes, spec) + BACKWARD * kept + logits)


def weight_bytes(shapes: Mapping[str, tuple[int, ...]], spec: TrainingSpec) -> float:
    """The bytes of a model's weights as they are trained, with gradients and optimizer.

    LoRA of rank r adds r (a + b) numbers to every layer of a x b but the embedding and the output layer (Hu et al.
    2022). All weights are trained in fp32, with a copy in bf16 where the processor computes in it.
    """
    sizes = {name: float(np.prod(shape)) for name, shape in shapes.items()}
    total, compact = (
        sum(sizes.values()),
        spec.precision == "bf16" or (spec.precision == "auto" and _has_bf16()),
    )
    if spec.tuning == "full":
        copy = 2 if spec.precision != "fp32" and _has_bf16() else 0
        return total * (ADAM + copy)
    linear = {
        name: shape
        for name, shape in shapes.items()
        if len(shape) == 2 and not any(part in name for part in ("embed", "lm_head", "wte", "wpe"))
    }
    adapter = spec.rank * sum(map(sum, linear.values()))
    if spec.tuning == "lora":
        return total * (2 if compact else 4) + adapter * ADAM
    in_four_bits = sum(sizes[name] for name in linear)
    return (total - in_four_bits) * (2 if _has_bf16() else 4) + in_four_bits * NF4 + adapter * ADAM


def activation_bytes(config: Mapping[str, Any], mean_length: float, *, checkpointing: bool) -> float:
    """The bytes that the forward pass keeps for a token.

    A layer keeps about 40 bytes a hidden unit (norms and the adapters' inputs in fp32), 10 a unit of its MLP, and 6 a
    head and column that the token's tile of 128 looks at, in steps of 64; counted on a Llama in bf16 with LoRA,
    without an adapter about an eighth less. With checkpointing a layer keeps its input, 2
    bytes a hidden unit, and one layer at a time the rest.
    """
    hidden, n_layers = config["hidden_size"], config["num_hidden_layers"]
    columns = mean_length / 2 + 128
    layer = (
        40 * hidden
        + 10 * config.get("intermediate_size", 4 * hidden)
        + 6 * config["num_attention_heads"] * columns
    )
    return float(n_layers * 2 * hidden + layer if checkpointing else n_layers * layer)


def free_on_gpu() -> float | None:
    """The free memory of the first NVIDIA GPU in 2^20 bytes, by its driver; None without a GPU or with it hidden."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return None
    return _ask_driver(int(time.monotonic() // 15))


@lru_cache(maxsize=1)
def _ask_driver(_moment: int) -> float | None:
    try:
        told = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout
        return float(told.split()[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _has_bf16() -> bool:
    """Whether the processor multiplies in bf16, as Linux tells; of a GPU it is taken for granted."""
    if free_on_gpu() is not None:
        return True
    cpu = Path("/proc/cpuinfo")
    told = cpu.read_text(encoding="utf-8", errors="replace") if cpu.exists() else ""
    return "avx512_bf16" in told or "amx_bf16" in told


def _times(spec: TrainingSpec, insight: Insight, n_steps: int, n_tokens: int) -> list[float]:
    """The time in seconds by each of the newest finetunes that ran here alike, the newest first."""
    found: list[float] = []
    for training_id in TRAININGS.ids():
        try:
            before = load_training(training_id)
        except UserError:
            continue
        steps, validations = read_history(training_id)
        if not _alike(spec, before) or len(steps) < LEAST_STEPS:
            continue
        per_token = (steps["n_tokens"] / steps["tokens_per_second"])[1:].sum() / steps["n_tokens"][1:].sum()
        _, took = seconds_taken(steps, validations)
        per_row = took / validations["n_rows"].sum() if len(validations) else 0.0
        n_validations = 1 + -(-n_steps // spec.evaluate_every)
        found.append(float(n_tokens * per_token + n_validations * insight.n_validation * per_row))
        if len(found) == REMEMBERED:
            break
    return found


def _alike(spec: TrainingSpec, other: TrainingSpec) -> bool:
    """Whether two finetunes compute the same for a token; DPO reads everything twice."""
    same = ("base", "tuning", "precision", "checkpointing")
    return all(getattr(spec, name) == getattr(other, name) for name in same) and (
        (spec.method == "dpo") == (other.method == "dpo")
    )


def _rough_seconds(spec: TrainingSpec, n_tokens: int) -> float | None:
    """The time in seconds by the multiplications that the tokens take, at a share of the processor's rate.

    Per token and number of the weights: 2 forwards, 2 backwards through it, 2 for its own gradient where it is
    trained, and 2 again with checkpointing (Kaplan et al. 2020); DPO reads everything once more. None where the weights
    are not here, or they are in 4 bits.
    """
    n_parameters = count_parameters(spec.base)
    if n_parameters is None or spec.tuning == "qlora":
        return None
    per_token = 4 + 2 * (spec.tuning == "full") + 2 * spec.checkpointing + 2 * (spec.method == "dpo")
    return per_token * n_parameters * n_tokens / (REACHED * _products_per_second())


@cache
def _products_per_second() -> float:
    """Operations a second of a matrix product of fp32 numbers, the best of three; bf16 is faster where it is there."""
    one = np.ones((1024, 1024), dtype=np.float32)
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        one @ one
        took.append(time.perf_counter() - begun)
    return float(2 * 1024**3 / min(took))


def _about_time(times: Sequence[float], rough: float | None, n_steps: int, n_tokens: int) -> str:
    much = f"At most {n_steps:,} {'step' if n_steps == 1 else 'steps'} over about {n_tokens:,} tokens"
    if not times and rough is None:
        return f"{much}. How long that takes on this machine is not known before its first steps."
    if not times:
        return (
            f"{much}: roughly {describe_seconds(rough)}, by how fast this processor multiplies; the first finetune "
            "here will tell it better."
        )
    told, low, high = (describe_seconds(each) for each in (median(times), min(times), max(times)))
    if low == high:
        return f"{much}: {told}, as fast as the last finetune like it here."
    return f"{much}: {told} ({low} to {high}, as fast as the last {len(times)} like it here)."


def less_memory(spec: TrainingSpec, *, longest: int = 0) -> str:
    """What takes less memory than `spec` and is not chosen in it yet, as the end of a sentence.

    Examples are read whole, so fewer tokens than the `longest` has at a time would change nothing.
    """
    advice = {
        "QLoRA": spec.tuning != "qlora",
        "gradient checkpointing": not spec.checkpointing,
        "fewer 'micro_tokens' at a time": spec.micro_tokens > longest,
    }
    return " or ".join(
        filter(None, [", ".join(name for name, helps in advice.items() if helps), "a smaller model"])
    )


def _about_memory(memory: float | None, free: float, where: str, advice: str) -> str:
    if memory is None:
        return "How much memory it takes is known once the base model's weights are on this machine."
    need = f"It takes about {memory / 1024:.1f} GB of memory"
    if memory <= free:
        return f"{need}; {free / 1024:.1f} GB are free."
    return f"{need}, but only {free / 1024:.1f} GB are free: it will not fit in {where}. Choose {advice}."
