"""How much time and memory a finetune will take here, before it starts; reads headers of files, never weights."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import PROBED, reading_speed
from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.history import read_history, seconds_taken
from socrates_core.finetuning.insight import Insight
from socrates_core.finetuning.launch import n_processes_for
from socrates_core.finetuning.rows import n_steps_of
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, load_training
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models.machine import Machine, this_machine
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.sizes import size_of_shapes
from socrates_core.models.warm import PROCESS
from socrates_core.models.weights import Shapes, count_numbers, is_linear, model_shapes
from socrates_core.records import Precision
from socrates_core.scoring.plan import MAX_READS

MEBIBYTE = 2.0**20
ADAM = 16  # bytes per trained number: itself, its gradient and two moments in fp32 (Kingma & Ba 2015)
# The next seven are counted over fake tensors (benchmarks/training_memory.py).
PER_HIDDEN = 17.5  # bytes that a layer keeps per token and hidden unit if its weights are frozen
PER_HIDDEN_FULL = 37.5  # if they are trained, in fp32
PER_INNER = 8  # per unit of its MLP
PER_SCORE = 6  # per head and column of attention in tiles; a fused kernel keeps no scores
BACKWARD = 12  # per hidden unit, in the backward pass of a layer that is computed again
TILE = 128  # tokens of a tile on the processor
CARD_TILE = 256  # on a card without Triton
# What a processor's allocator takes for each of these bytes; finetunes took 1.47 to 1.66 times the counted activations.
ON_PROCESSOR = 1.5
# Activations in fp32, as a multiple of those in bf16: without it eight finetunes were estimated at 4.8 to 5.0 GB and
# took 5.8 to 7.0.
IN_FP32 = 1.4
ESTIMATE = "estimate.json"
FILLED = 0.9  # of the free memory, by defaults
# Checkpointing, tokens at a time: computing everything twice costs more than small batches do.
FASTEST_FIRST = ((False, 2048), (True, 8192), (True, 4096), (True, 2048), (True, 1024), (True, 512))
DEFAULTS = {
    name: field.default for name, field in TrainingSpec.model_fields.items() if not field.is_required()
}
REMEMBERED = 5  # finetunes whose speed is used
LEAST_STEPS = 3  # of a finetune whose speed is used; the first step warms up


@dataclass(frozen=True)
class TrainingEstimate:
    """At most `n_steps` steps over `n_tokens` tokens; early stopping takes fewer.

    `seconds`, validations included, comes from finetunes of this base model and tuning that ran here. Before the first,
    it comes from how fast the model reads here, without validations; it is None if that is not known.
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
    machine = this_machine()
    memory = _memory_mb(spec, insight, machine)
    times = _times(spec, insight, n_steps, n_tokens)
    seconds, basis = (None, "") if times else _rough_seconds(spec, n_tokens, machine)
    if times:
        seconds = median(times)
    free = machine.free / MEBIBYTE
    advice = less_memory(spec, longest=insight.lengths.max)
    work = f"At most {n_steps:,} {'step' if n_steps == 1 else 'steps'} over about {n_tokens:,} tokens"
    if n_processes_for(spec) > 1:
        shared = "processes" if machine.kind == "cpu" else "GPUs"
        work = f"{work}, shared by {n_processes_for(spec)} {shared}"
    about_time = _about_time(times, seconds, work, basis)
    about_memory = _about_memory(memory, free, machine.where, advice)
    return TrainingEstimate(
        n_steps=n_steps,
        n_tokens=n_tokens,
        seconds=seconds,
        memory_mb=memory,
        fits=memory is None or memory <= free,
        sentence=f"{about_time} {_about_precision(spec, machine)} {about_memory}",
    )


def with_precision(spec: TrainingSpec) -> TrainingSpec:
    """The spec with "auto" replaced by the number format that this machine computes in by itself."""
    if spec.precision != "auto":
        return spec
    return spec.model_copy(update={"precision": "bf16" if this_machine().compact == "bf16" else "fp32"})


def settings_that_fit(base: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Checkpointing and tokens at a time for an adapter with these `settings`, so that it fits in the free memory.

    The fastest that fits, with examples as long as those of SocSci210; the smallest if none does. Empty for other
    tunings, and without weights on this machine. Raises UserError if there is no such model.
    """
    if settings.get("tuning") not in ("lora", "qlora"):
        return {}
    machine = this_machine()
    files = _files_of(base)
    if files is None:
        return {}
    for checkpointing, micro_tokens in FASTEST_FIRST:
        spec = TrainingSpec.model_construct(
            **{**DEFAULTS, **settings, "checkpointing": checkpointing, "micro_tokens": micro_tokens}
        )
        try:
            needed = _peak(spec, USUAL_LENGTHS, *files, machine)
        except EDITED:
            return {}
        if needed <= FILLED * machine.free:
            break
    return {"checkpointing": checkpointing, "micro_tokens": micro_tokens}


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


def _memory_mb(spec: TrainingSpec, insight: Insight, machine: Machine) -> float | None:
    """The peak memory in MiB: process, weights, optimizer, activations, logits.

    None without weights on this machine or a known architecture.
    """
    files = _files_of(spec.base)
    if files is None:
        return None
    try:
        return _peak(spec, Reading.of(insight), *files, machine) / MEBIBYTE
    except EDITED:  # a configuration without whole numbers where they belong
        return None


def _files_of(base: str) -> tuple[Shapes, Mapping[str, Any]] | None:
    """The shapes of the weights, and the configuration; None without weights or a known architecture."""
    path = open_folder(base, weights=False).base
    shapes, config = model_shapes(path), read_config(path)
    config = config.get("text_config") or config
    if not shapes or not isinstance(config, dict) or not isinstance(config.get("hidden_size"), int):
        return None
    return shapes, config


@dataclass(frozen=True)
class Reading:
    """What is read: the mean and the longest example in tokens, and the mean number of places read for next tokens."""

    mean: float
    longest: int
    reads: float

    @classmethod
    def of(cls, insight: Insight) -> "Reading":
        return cls(insight.lengths.mean, insight.lengths.max, insight.reads)


USUAL_LENGTHS = Reading(mean=302.0, longest=1000, reads=2.0)  # of SocSci210, with Llama's tokens


def _peak(
    spec: TrainingSpec, reading: Reading, shapes: Shapes, config: Mapping[str, Any], machine: Machine
) -> float:
    """The peak memory in bytes. Raises one of EDITED if `config` is not that of a known architecture."""
    n_tokens = max(min(spec.micro_tokens, spec.batch_size * reading.mean), reading.longest)
    n_reads = min(MAX_READS, n_tokens * reading.reads / reading.mean)
    counted = training_bytes(
        shapes,
        config,
        spec,
        compact=machine.compact,
        n_tokens=n_tokens,
        n_reads=n_reads,
        columns=_columns(machine, reading.mean),
    )
    kept = counted.activations
    if spec.precision == "fp32" or (spec.precision == "auto" and machine.compact == "fp32"):
        kept *= IN_FP32
    if machine.kind == "cpu":
        kept *= ON_PROCESSOR
    # A full finetune is sharded: each process holds a part of the weights, gradients and optimizer.
    weights = counted.weights / (n_processes_for(spec) if spec.tuning == "full" else 1)
    return PROCESS + weights + kept


@dataclass(frozen=True)
class TrainingBytes:
    """Bytes of `weights` with gradients and optimizer, and at most of the `activations` next to them."""

    weights: float
    activations: float


def training_bytes(
    shapes: Shapes,
    config: Mapping[str, Any],
    spec: TrainingSpec,
    *,
    compact: str,
    n_tokens: float,
    n_reads: float,
    columns: float,
) -> TrainingBytes:
    """The memory in which `n_tokens` tokens are read at a time and `n_reads` next tokens are predicted.

    `compact` is the number format that the machine computes in by itself; `columns` are those of which a token's
    attention keeps the scores. Raises one of EDITED if `config` is not that of a known architecture.
    """
    full = spec.tuning == "full"
    hidden = config["hidden_size"]
    logits = 3 * 4 * n_reads * config["vocab_size"]  # in fp32: the logits, their log-softmax and its gradient
    if full:  # the output layer's new gradient, before it is added to that of earlier tokens
        logits += 4 * config["vocab_size"] * hidden
    elif spec.tuning == "qlora":  # the largest layer, unpacked
        logits += 2 * max(
            (math.prod(shape) for name, shape in shapes.items() if is_linear(name, shape)), default=0
        )
    per_token = activation_bytes(config, columns, checkpointing=spec.checkpointing, full=full)
    return TrainingBytes(weight_bytes(shapes, spec, compact=compact), logits + n_tokens * per_token)


def weight_bytes(shapes: Shapes, spec: TrainingSpec, *, compact: str) -> float:
    """The bytes of a model's weights in training, with gradients and optimizer.

    LoRA of rank r adds r (a + b) numbers to every layer of a x b except the embedding and the output layer (Hu et al.
    2022). With tuning "full", weights are trained in fp32, with a copy in bf16 if the machine computes in bf16.
    """
    size = size_of_shapes(shapes)
    if spec.tuning == "full":
        copy = 2 if spec.precision != "fp32" and compact == "bf16" else 0
        return float(size.n_numbers * (ADAM + copy))
    adapter = spec.rank * sum(sum(shape) for name, shape in shapes.items() if is_linear(name, shape))
    precision = "nf4" if spec.tuning == "qlora" else spec.precision
    return size.weight_bytes(compact if precision == "auto" else precision, compact=compact) + adapter * ADAM


def activation_bytes(config: Mapping[str, Any], columns: float, *, checkpointing: bool, full: bool) -> float:
    """The bytes per token that the forward pass keeps and the backward pass adds, at most.

    With checkpointing each layer keeps its input, and only one layer at a time keeps the rest.
    """
    hidden, n_layers = config["hidden_size"], config["num_hidden_layers"]
    layer = (
        (PER_HIDDEN_FULL if full else PER_HIDDEN) * hidden
        + PER_INNER * config.get("intermediate_size", 4 * hidden)
        + PER_SCORE * config["num_attention_heads"] * columns
    )
    inputs = (4 if full else 2) * hidden
    return float(n_layers * inputs + layer + BACKWARD * hidden if checkpointing else n_layers * layer)


def _columns(machine: Machine, mean_length: float) -> float:
    """The columns of which a token's attention keeps the scores: those of its tile, and half a prompt before it."""
    if machine.kind == "cuda":
        return 0.0 if find_spec("triton") else CARD_TILE + mean_length / 2
    return TILE + mean_length / 2


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


def _rough_seconds(spec: TrainingSpec, n_tokens: int, machine: Machine) -> tuple[float | None, str]:
    """The time in seconds, from how fast the model reads on this machine, and where that is known from.

    Operations per token and weight: 2 in the forward pass, 2 in the backward pass, 2 for the weight's own gradient if
    it is trained, and 2 more with checkpointing (Kaplan et al. 2020); DPO reads everything once more. None if the
    weights are not on this machine, or it cannot be measured.
    """
    if count_parameters(spec.base) is None or (spec.tuning == "qlora" and not _is_probed(spec.base, machine)):
        return None, ""
    per_token = 4 + 2 * (spec.tuning == "full") + 2 * spec.checkpointing + 2 * (spec.method == "dpo")
    precision: Precision = "nf4" if spec.tuning == "qlora" else with_precision(spec).precision
    speed, basis = reading_speed(ModelRequest(spec.base, precision))
    return (n_tokens * per_token / 2 / speed / n_processes_for(spec) if speed else None), basis


def _is_probed(base: str, machine: Machine) -> bool:
    """Whether the speed comes from a probe, which knows what 4 bits cost; products in fp32 do not."""
    return machine.kind == "cuda" or (count_parameters(base) or 0) >= PROBED


def _about_time(times: Sequence[float], seconds: float | None, work: str, basis: str) -> str:
    if seconds is None:
        return f"{work}. How long that takes on this machine is not known before its first steps."
    if not times:
        return (
            f"{work}: roughly {describe_seconds(seconds)}, {basis}; the first finetune here will give a better "
            "estimate."
        )
    low, high = describe_seconds(min(times)), describe_seconds(max(times))
    if low == high:
        return f"{work}: {describe_seconds(seconds)}, as fast as the last finetune like it here."
    return f"{work}: {describe_seconds(seconds)} ({low} to {high}, as fast as the last {len(times)} like it here)."


def _about_precision(spec: TrainingSpec, machine: Machine) -> str:
    compact = with_precision(spec).precision
    if spec.tuning == "qlora":
        return "The base stays in 4 bits (nf4)."
    if spec.tuning == "full":
        products = " with products in bf16" if compact == machine.compact == "bf16" else ""
        return f"All weights are trained in fp32{products}."
    return f"The base stays in {compact}."


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
