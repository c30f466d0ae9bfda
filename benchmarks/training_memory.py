"""Recounts the memory of a finetune at the true shapes of 8B and 14B models, without a GPU and without weights.

    python -m benchmarks.training_memory [--write]

Fake tensors (torch's FakeTensorMode) have shapes and no content. One micro batch runs forward and backward through the
project's own network, with real bitsandbytes and peft modules, while every storage that is alive is counted. Weights,
gradients and the optimizer's two moments are included; the process and the CUDA context are not.

Layers are alike, so the peak is a straight line in their number: two depths are counted and the line is followed to
the whole model. `--write` writes the table that tests/test_training_memory.py holds the estimates to.
"""

import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.common_utils import get_untyped_storages
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.committed import count_cases
from benchmarks.shapes import SHAPES
from socrates_core.models.local import tree_attention
from socrates_core.models.local.load import LocalModel
from socrates_core.models.local.network import Network
from socrates_core.scoring.plan import Item, lay_out
from socrates_core.scoring.tree import build_tree

Tuning = Literal["qlora", "lora", "full"]
Attention = Literal["fused", "tiles"]

TABLE = Path(__file__).parent / "results" / "training_memory.csv"
RANK = 16
LENGTH = 300  # tokens of a prompt
TILE = 1024  # tokens of a tile of attention: longer than any in use, so that its scores are the most there may be
BLOCK = 512  # bytes: CUDA's allocator rounds up to it
DEPTHS = (3, 6)  # layers that are counted


@dataclass(frozen=True)
class Case:
    """One finetune: `n_tokens` are read at a time in prompts of LENGTH tokens, each with an answer of one token.

    Attention is a fused kernel, which keeps its inputs and its output, or in tiles, which keep their scores.
    """

    model: str
    tuning: Tuning
    checkpointing: bool
    attention: Attention
    n_tokens: int


@dataclass(frozen=True)
class Counted:
    """Bytes of a finetune at its peak, and of what is there all the time (weights, gradients, moments)."""

    peak: int
    constant: int


READ: tuple[tuple[Attention, int], ...] = (("fused", 2048), ("fused", 8192), ("tiles", 2048))
TUNINGS: tuple[Tuning, ...] = ("qlora", "lora", "full")
CASES = tuple(
    Case(model, tuning, checkpointing, attention, n_tokens)
    for model in SHAPES
    for tuning in TUNINGS
    for checkpointing in (True, False)
    for attention, n_tokens in READ
)


class LiveStorages(TorchDispatchMode):
    """The bytes of all storages that operations return and that are alive, now and at most."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types
        self.now = self.peak = 0
        self._known: dict[int, Any] = {}

    def add(self, tensor: object) -> None:
        """Counts the storage of a tensor until it is freed."""
        if not isinstance(tensor, torch.Tensor):
            return
        for storage in get_untyped_storages(tensor):
            key = storage._cdata
            known = self._known.get(key)
            if known is not None and known() is not None:
                continue
            size = -(-storage.size() // BLOCK) * BLOCK

            def freed(_: object, key: int = key, size: int = size) -> None:
                self.now -= size
                self._known.pop(key, None)

            self._known[key] = weakref.ref(storage, freed)
            self.now += size
        self.peak = max(self.peak, self.now)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_flatten(output)[0]:
            self.add(tensor)
        return output


class FusedAttention(torch.autograd.Function):
    """The memory of a fused kernel: it keeps query, key, value, output and one fp32 number a head and token."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:
        output = torch.empty_like(query).transpose(1, 2)
        ctx.save_for_backward(
            query, key, value, output, query.new_empty(query.shape[:3], dtype=torch.float32)
        )
        return output

    @staticmethod
    def backward(ctx: Any, _gradient: Any) -> Any:
        query, key, value, _, _ = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


class PackedState:
    """What bitsandbytes keeps next to packed NF4 weights."""

    nested, blocksize, quant_type, dtype = False, 64, "nf4", torch.bfloat16
    packing_format_for_cpu = False

    def __init__(self, n_out: int, n_in: int) -> None:
        self.shape = torch.Size((n_out, n_in))
        self.absmax = torch.empty(n_out * n_in // self.blocksize, dtype=torch.float32)
        self.code = torch.empty(16)


def count(case: Case) -> Counted:
    """The bytes of the whole model, from two depths."""
    whole = SHAPES[case.model][1]["num_hidden_layers"]
    low, high = (count_layers(case, depth) for depth in DEPTHS)

    def at_whole(name: str) -> int:
        slope = (getattr(high, name) - getattr(low, name)) / (DEPTHS[1] - DEPTHS[0])
        return round(float(getattr(low, name) + slope * (whole - DEPTHS[0])))

    return Counted(**{field.name: at_whole(field.name) for field in fields(Counted)})


def count_layers(case: Case, n_layers: int) -> Counted:
    """The bytes of the same model with `n_layers` layers."""
    kind, shape = SHAPES[case.model]
    config = AutoConfig.for_model(
        kind, **{**shape, "num_hidden_layers": n_layers}, max_position_embeddings=8192
    )
    with torch.device("meta"):
        dtype = torch.float32 if case.tuning == "full" else torch.bfloat16
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        if case.tuning == "qlora":
            _in_four_bits(model)
    tuned = model if case.tuning == "full" else _with_adapter(model)
    if case.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    tuned.train()
    rng = np.random.default_rng(0)
    tree = build_tree(["1"], [[5, 6]])  # one answer token and the end of the turn
    prompts = rng.integers(20, 1000, (max(1, round(case.n_tokens / (LENGTH + 1))), LENGTH)).astype(np.int32)
    layout = lay_out([Item(prompt, tree, (place,)) for place, prompt in enumerate(prompts)])
    with FakeTensorMode(allow_non_fake_inputs=True), patch.object(torch, "from_numpy", _without_content):
        _materialise(tuned)
        trained = [weight for weight in tuned.parameters() if weight.requires_grad]
        storages = LiveStorages()
        for tensor in (*tuned.parameters(), *tuned.buffers()):
            storages.add(tensor)
        moments = [torch.empty_like(weight) for weight in trained for _ in range(2)]
        for weight in trained:
            weight.grad = torch.empty_like(weight)
            storages.add(weight.grad)
        for moment in moments:
            storages.add(moment)
        constant = storages.now
        with _attention(case.attention):
            network = Network(LocalModel(model, "bf16", torch.device("cpu"), 1))
            network.model = tuned
            with storages, _autocast(tuned, adapter=case.tuning != "full"):
                steps = torch.log_softmax(network.logits(layout), dim=-1)
                (-steps[:, 5].sum()).backward()
    return Counted(storages.peak, constant)


def _in_four_bits(model: Any) -> None:
    import bitsandbytes as bnb

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and name != "lm_head":
                has_bias = child.bias is not None
                packed = bnb.nn.Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it without types
                    child.in_features,
                    child.out_features,
                    has_bias,
                    compute_dtype=torch.bfloat16,
                    compress_statistics=False,
                    quant_type="nf4",
                    device="meta",
                )
                # Its CPU kernel packs weights in another way; a card's does not.
                packed.support_avx512bf16_for_cpu = False
                setattr(parent, name, packed)
    model.is_loaded_in_4bit = True


def _with_adapter(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    model.requires_grad_(False)
    return get_peft_model(
        model, LoraConfig(r=RANK, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    )


def _materialise(model: Any) -> None:
    """Gives every weight a fake storage in place of none."""
    import bitsandbytes as bnb

    for module in model.modules():
        packed = isinstance(module, bnb.nn.Linear4bit)
        for name, weight in list(module._parameters.items()):
            if packed and name == "weight":
                _pack(module)
            elif weight is not None:
                dtype = torch.bfloat16 if packed else weight.dtype
                module._parameters[name] = torch.nn.Parameter(
                    torch.empty(weight.shape, dtype=dtype), requires_grad=weight.requires_grad
                )
        for name, table in list(module._buffers.items()):
            if table is not None and table.device.type == "meta":
                module._buffers[name] = torch.empty(table.shape, dtype=table.dtype)


def _pack(layer: Any) -> None:
    """Gives a 4-bit layer packed weights, two numbers a byte, with their scales."""
    state = PackedState(layer.out_features, layer.in_features)
    packed: Any = torch.nn.Parameter(
        torch.empty(state.shape.numel() // 2, 1, dtype=torch.uint8), requires_grad=False
    )
    packed.quant_state, packed.bnb_quantized = state, True
    layer._parameters["weight"] = packed
    layer.register_buffer("absmax", state.absmax, persistent=False)


def _without_content(values: Any) -> torch.Tensor:
    return torch.empty(values.shape, dtype=torch.tensor(np.zeros(1, values.dtype)).dtype)


@contextmanager
def _attention(attention: Attention) -> Iterator[None]:
    """The project's own attention in tiles, or the memory of a fused kernel."""
    with ExitStack() as stack:
        stack.enter_context(patch.dict(tree_attention.TILE, {"cpu": TILE}))
        if attention == "fused":
            stack.enter_context(
                patch.object(
                    tree_attention.Forest,
                    "attend",
                    lambda _self, query, key, value, **_: FusedAttention.apply(query, key, value),  # type: ignore[no-untyped-call]
                )
            )
        yield


@contextmanager
def _autocast(model: Any, *, adapter: bool) -> Iterator[None]:
    from peft.helpers import disable_input_dtype_casting

    with ExitStack() as stack:
        stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        if adapter:
            stack.enter_context(disable_input_dtype_casting(model))
        yield


if __name__ == "__main__":
    count_cases(__doc__, TABLE, CASES, count)
