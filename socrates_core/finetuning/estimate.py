"""How much time and memory a finetune will take here, before it starts; reads headers of files, never weights."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.history import read_history, seconds_taken
from socrates_core.finetuning.insight import Insight
from socrates_core.finetuning.launch import n_processes_for
from socrates_core.finetuning.rows import n_steps_of
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, load_training
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models.graphics_cards import graphics_cards
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.weights import count_numbers, model_shapes
from socrates_core.scoring.plan import MAX_READS

MEBIBYTE = 2.0**20
PROCESS = 670 * MEBIBYTE  # an interpreter with torch, transformers and peft, and the rows; measured
ADAM = 16  # bytes per trained number: itself, its gradient and two moments in fp32 (Kingma & Ba 2015)
NF4 = 0.5 + 4 / 64  # bytes per number: 4 bits, and a scale in fp32 for every 64 (Dettmers et al. 2023)
# What the backward pass adds, as a multiple of what the forward pass keeps; measured between 1.15 and 1.3.
BACKWARD = 1.2
# Activations in fp32, as a multiple of those in bf16: without it eight finetunes were estimated at 4.8 to 5.0 GB and
# took 5.8 to 7.0.
IN_FP32 = 1.4
ESTIMATE = "estimate.json"
REACHED = 0.6  # share of the processor's rate that training reaches; measured between .5 and .9
REMEMBERED = 5  # finetunes whose speed is used
LEAST_STEPS = 3  # of a finetune whose speed is used; the first step warms up


@dataclass(frozen=True)
class TrainingEstimate:
    """At most `n_steps` steps over `n_tokens` tokens; early stopping takes fewer.

    `seconds`, validations included, comes from finetunes of this base model and tuning that ran here. Before the first,
    it comes from how fast the processor multiplies, without validations; it is None if that is not known, as on a GPU.
    `memory_mb` is the peak in MiB, or None if the model's files do not give it. `fits` is false if less memory is free.
    `sentence` says all of it.
    """

    n_steps: int
    n_tokens: int
    seconds: float | None
    memory_mb: float | None
    fits: bool
    sentence: str


def estimate_training(spec: TrainingSpec, insight: Insight) -> TrainingEstimate:
    """The time and memory of a finetune on what `insight` found. Raises UserError if the base model is missing."""
    n_steps = n_steps_of(insight.n_examples, spec)
    n_tokens = round(n_steps * spec.batch_size * insight.lengths.mean)
    memory = _memory_mb(spec, insight)
    times = _times(spec, insight, n_steps, n_tokens)
    seconds = median(times) if times else None
    gpu_free = free_on_gpu()
    if gpu_free is not None:
        free, where = gpu_free, "the GPU's memory"
    else:
        free, where = psutil.virtual_memory().available / MEBIBYTE, "this machine's own memory"
        seconds = seconds if times else _rough_seconds(spec, n_tokens)
    advice = less_memory(spec, longest=insight.lengths.max)
    work = f"At most {n_steps:,} {'step' if n_steps == 1 else 'steps'} over about {n_tokens:,} tokens"
    if n_processes_for(spec) > 1:
        work = f"{work}, shared by {n_processes_for(spec)} {'processes' if gpu_free is None else 'GPUs'}"
    return TrainingEstimate(
        n_steps=n_steps,
        n_tokens=n_tokens,
        seconds=seconds,
        memory_mb=memory,
        fits=memory is None or memory <= free,
        sentence=f"{_about_time(times, seconds, work)} {_about_memory(memory, free, where, advice)}",
    )


def write_estimate(path: Path, estimate: TrainingEstimate) -> None:
    """Keeps the estimate of a finetune in its folder `path`, to be compared with what it took."""
    stored = asdict(estimate)
    stored["told"] = stored.pop("sentence")  # its key on disk since the first version
    write_json(path / ESTIMATE, stored)


def read_estimate(path: Path) -> dict[str, Any] | None:
    """The estimate of the finetune in `path` as it is stored; None without one that can be read."""
    try:
        stored = read_json(path / ESTIMATE)
    except UserError:
        return None
    return stored if isinstance(stored, dict) else None


def count_parameters(base: str) -> int | None:
    """How many numbers the base model's weights have; None if they are not on this machine.

    Raises UserError if there is no such model or its weights are damaged.
    """
    shapes = model_shapes(open_folder(base, weights=False).base)
    return count_numbers(shapes) or None


def _memory_mb(spec: TrainingSpec, insight: Insight) -> float | None:
    """The peak memory in MiB: process, weights, optimizer, activations, logits.

    None without weights on this machine or a known architecture.
    """
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
    """The peak memory in bytes. Raises one of EDITED if `config` is not that of a known architecture."""
    n_tokens = max(min(spec.micro_tokens, spec.batch_size * insight.lengths.mean), insight.lengths.max)
    n_reads = min(MAX_READS, n_tokens * insight.reads / insight.lengths.mean)
    logits = 3 * 4 * n_reads * config["vocab_size"]  # in fp32: the logits, their log-softmax and its gradient
    kept = n_tokens * activation_bytes(config, insight.lengths.mean, checkpointing=spec.checkpointing)
    if spec.precision == "fp32" or (spec.precision == "auto" and not _has_bf16()):
        kept *= IN_FP32
    weights = weight_bytes(shapes, spec)
    if spec.tuning == "full":
        weights /= n_processes_for(spec)  # each holds a part
    return float(PROCESS + weights + BACKWARD * kept + logits)


def weight_bytes(shapes: Mapping[str, tuple[int, ...]], spec: TrainingSpec) -> float:
    """The bytes of a model's weights in training, with gradients and optimizer.

    LoRA of rank r adds r (a + b) numbers to every layer of a x b except the embedding and the output layer (Hu et al.
    2022). With tuning "full", weights are trained in fp32, with a copy in bf16 if the processor computes in bf16.
    """
    sizes = {name: float(np.prod(shape)) for name, shape in shapes.items()}
    total = sum(sizes.values())
    compact = spec.precision == "bf16" or (spec.precision == "auto" and _has_bf16())
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
    """The bytes that the forward pass keeps per token.

    A layer keeps about 40 bytes per hidden unit (norms and the adapters' inputs in fp32), 10 per unit of its MLP, and 6
    per head and column that the token's tile of 128 attends to, in steps of 64. This was counted on a Llama in bf16
    with LoRA; without an adapter it is about an eighth less. With checkpointing each layer keeps its input, 2 bytes per
    hidden unit, and only one layer at a time keeps the rest.
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
    """Free memory of the first NVIDIA card in MiB, or None without one, or if it is hidden."""
    cards = graphics_cards()
    return cards[0].free_mib if cards else None


def _has_bf16() -> bool:
    """Whether the first card, or else the processor, multiplies in bf16: cards from compute capability 8.0 on do."""
    if cards := graphics_cards():
        return cards[0].capability >= (8, 0)
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text(encoding="utf-8", errors="replace") if cpu.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _times(spec: TrainingSpec, insight: Insight, n_steps: int, n_tokens: int) -> list[float]:
    """The time in seconds at the speed of each of the newest similar finetunes that ran here, the newest first."""
    times: list[float] = []
    for training_id in TRAININGS.ids():
        try:
            earlier = load_training(training_id)
        except UserError:
            continue
        steps, validations = read_history(training_id)
        if not _alike(spec, earlier) or len(steps) < LEAST_STEPS:
            continue
        per_token = (steps["n_tokens"] / steps["tokens_per_second"])[1:].sum() / steps["n_tokens"][1:].sum()
        _, validating = seconds_taken(steps, validations)
        per_row = validating / validations["n_rows"].sum() if len(validations) else 0.0
        # 1 for the base model, which is measured before the first step.
        n_validations = 1 + math.ceil(n_steps / spec.evaluate_every)
        # Processes share every step, and every validation.
        faster = n_processes_for(spec) / _n_processes(TRAININGS.root / training_id)
        times.append(float(n_tokens * per_token + n_validations * insight.n_validation * per_row) / faster)
        if len(times) == REMEMBERED:
            break
    return times


def _n_processes(path: Path) -> int:
    """How many processes trained the finetune in `path`."""
    try:
        return int(read_json(path / "plan.json")["n_processes"])
    except (UserError, *EDITED):
        return 1


def _alike(spec: TrainingSpec, other: TrainingSpec) -> bool:
    """Whether two finetunes do the same work per token; DPO reads everything twice."""
    same = ("base", "tuning", "precision", "checkpointing")
    return all(getattr(spec, name) == getattr(other, name) for name in same) and (
        (spec.method == "dpo") == (other.method == "dpo")
    )


def _rough_seconds(spec: TrainingSpec, n_tokens: int) -> float | None:
    """The time in seconds for the multiplications that the tokens take, at REACHED of the processor's rate.

    Operations per token and weight: 2 in the forward pass, 2 in the backward pass, 2 for the weight's own gradient if
    it is trained, and 2 more with checkpointing (Kaplan et al. 2020); DPO reads everything once more. None if the
    weights are not on this machine, or are in 4 bits.
    """
    n_parameters = count_parameters(spec.base)
    if n_parameters is None or spec.tuning == "qlora":
        return None
    per_token = 4 + 2 * (spec.tuning == "full") + 2 * spec.checkpointing + 2 * (spec.method == "dpo")
    return per_token * n_parameters * n_tokens / (REACHED * _products_per_second())


@cache
def _products_per_second() -> float:
    """Operations per second of a matrix product in fp32, the best of three; bf16 is faster if the processor has it."""
    matrix = np.ones((1024, 1024), dtype=np.float32)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - begun)
    return float(2 * 1024**3 / min(seconds))


def _about_time(times: Sequence[float], seconds: float | None, work: str) -> str:
    if seconds is None:
        return f"{work}. How long that takes on this machine is not known before its first steps."
    if not times:
        return (
            f"{work}: roughly {describe_seconds(seconds)}, by how fast this processor multiplies; the first finetune "
            "here will give a better estimate."
        )
    low, high = describe_seconds(min(times)), describe_seconds(max(times))
    if low == high:
        return f"{work}: {describe_seconds(seconds)}, as fast as the last finetune like it here."
    return f"{work}: {describe_seconds(seconds)} ({low} to {high}, as fast as the last {len(times)} like it here)."


def less_memory(spec: TrainingSpec, *, longest: int = 0) -> str:
    """What would take less memory than `spec`, as the end of a sentence.

    Examples are read whole, so fewer 'micro_tokens' than the `longest` example has would change nothing.
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
