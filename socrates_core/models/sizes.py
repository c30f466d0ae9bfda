"""How large a model's weights are in each number format, and which format fits on this machine."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from socrates_core.errors import UserError
from socrates_core.models.machine import Machine
from socrates_core.models.weights import Shapes, count_numbers, is_linear
from socrates_core.records import Loaded, Precision

NF4 = 0.5 + 4 / 64  # bytes per number: 4 bits, and a scale in fp32 for every 64 (Dettmers et al. 2023)
INT8 = 1.0  # the scales of LLM.int8, one a row (Dettmers et al. 2022), are less than a thousandth
WHOLE: Mapping[str, int] = {"fp32": 4, "bf16": 2, "fp16": 2}
PACKED: Mapping[str, float] = {"int8": INT8, "nf4": NF4}
# Bytes next to the weights: batches of usual size with their logits, and what the allocator cannot use. A small model
# takes as much again as its weights.
ROOM = 2.5e9
LEAST_ROOM = 1e9  # with small batches
GB = 1e9


@dataclass(frozen=True)
class ModelSize:
    """How many numbers a model's weights have, and how many of these are in linear layers, which can be packed."""

    n_numbers: int
    n_linear: int

    def weight_bytes(self, precision: str, *, compact: str = "bf16") -> float:
        """Bytes of the weights; with packed weights the others are in `compact`."""
        if precision in WHOLE:
            return float(self.n_numbers * WHOLE[precision])
        others = (self.n_numbers - self.n_linear) * WHOLE[compact]
        return float(others + self.n_linear * PACKED[precision])

    def bytes_needed(self, precision: str, *, compact: str = "bf16", room: float = ROOM) -> float:
        """Bytes of memory to answer with it."""
        weights = self.weight_bytes(precision, compact=compact)
        return weights + min(room, weights)


def size_of_shapes(shapes: Shapes) -> ModelSize:
    """The size of a model whose tensors have these shapes."""
    return ModelSize(
        count_numbers(shapes),
        sum(math.prod(shape) for name, shape in shapes.items() if is_linear(name, shape)),
    )


def size_of_config(config: Mapping[str, Any], n_bytes: int) -> ModelSize:
    """The size of a model with this configuration whose files have `n_bytes`, without opening these.

    Raises one of EDITED if the configuration lacks a part.
    """
    stored = str(config.get("torch_dtype") or config.get("dtype") or "bfloat16")
    n_numbers = n_bytes // (4 if stored == "float32" else 2)
    tables = 1 if config.get("tie_word_embeddings") else 2
    return ModelSize(n_numbers, max(n_numbers - tables * config["vocab_size"] * config["hidden_size"], 0))


def stored_precision(config: Mapping[str, Any]) -> Loaded | None:
    """The precision of weights that bitsandbytes packed before they were saved; None for plain weights."""
    packed = config.get("quantization_config")
    if not packed:
        return None
    return "int8" if isinstance(packed, Mapping) and packed.get("load_in_8bit") else "nf4"


def choose_precision(
    name: str, size: ModelSize, wanted: Precision, machine: Machine, *, stored: Loaded | None = None
) -> Loaded:
    """`wanted`, or for "auto" the most exact format that fits: the machine's compact one, then 8 bits, then 4.

    Weights that are `stored` packed stay as they are. Raises UserError if they are wanted otherwise, or if not even 4
    bits fit.
    """
    if stored is not None and wanted not in ("auto", stored):
        raise UserError(
            f"The weights of {name!r} are stored in {stored}, so they cannot answer in {wanted}. Choose precision "
            f"'auto' or {stored!r}, or give the model in its full precision."
        )
    if wanted != "auto":
        return wanted
    order: tuple[Loaded, ...] = (stored,) if stored else (machine.compact, "int8", "nf4")
    for precision in order:
        room = LEAST_ROOM if precision == order[-1] else ROOM
        if size.bytes_needed(precision, compact=machine.compact, room=room) <= machine.free:
            return precision
    needed = size.bytes_needed(order[-1], compact=machine.compact, room=LEAST_ROOM)
    bits = 8 if order[-1] == "int8" else 4
    start = f"The model {name!r} takes about {needed / GB:.1f} GB in {bits} bits"
    if needed > machine.total:
        instead = ' To use the processor, set CUDA_VISIBLE_DEVICES="".' if machine.kind == "cuda" else ""
        raise UserError(
            f"{start}, more than the {machine.total / GB:.1f} GB of {machine.where}. Choose a smaller model.{instead}"
        )
    see = " (nvidia-smi lists them)" if machine.kind == "cuda" else ""
    raise UserError(
        f"{start}, but only {machine.free / GB:.1f} of the {machine.total / GB:.1f} GB of {machine.where} are free: "
        f"other programs use the rest. Close them{see}, or choose a smaller model."
    )
