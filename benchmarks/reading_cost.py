"""What a card would have to do to read one batch at the true shapes of 8B and 14B models, without a card or weights.

    python -m benchmarks.reading_cost [--write]

The project's own network runs on fake tensors (torch's FakeTensorMode), which have shapes and no content, on a made-up
device: an operation that mixes it with the processor fails, as it would on a card. Counted are kernels and matrix
products in fp32 a layer, and the most bytes that are alive next to the weights. Layers are alike, so two depths are
counted. `--write` writes the table to which tests/test_reading_cost.py holds the code. What a kernel costs in time is
not known here: nothing of this has run on a card.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_flatten
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks.committed import count_cases
from benchmarks.shapes import SHAPES, make_items
from benchmarks.training_memory import RANK, FusedAttention, LiveStorages, _without_content
from socrates_core.models.local import tree_attention
from socrates_core.models.local.adapters import convert_adapter
from socrates_core.models.local.load import LocalModel
from socrates_core.models.local.network import Network
from socrates_core.scoring.plan import Layout, lay_out, plan_batches

TABLE = Path(__file__).parent / "results" / "reading_cost.csv"
DEVICE = "card"  # torch's place for devices that it does not know
DEPTHS = (1, 3)  # layers that are counted
# Operations that start no kernel: they make views, or memory without content.
NO_KERNEL = re.compile(
    "view|_unsafe_view|_reshape_alias|select|slice|transpose|t|unsqueeze|squeeze|expand|alias|detach|lift_fresh|permute"
    "|as_strided|split|split_with_sizes|unbind|empty|empty_like|empty_strided|new_empty"
)
PRODUCTS = frozenset(("mm", "bmm", "addmm", "baddbmm"))


@dataclass(frozen=True)
class Case:
    """One reading of about `n_tokens` tokens in bf16, by the model alone or through an adapter."""

    model: str
    adapter: bool
    attention: Literal["blocks", "tiles"]
    n_tokens: int


@dataclass(frozen=True)
class Cost:
    """Kernels and fp32 matrix products of one layer, and the most bytes alive next to the whole model's weights."""

    kernels: int
    fp32_products: int
    peak: int


CASES = tuple(
    Case(model, adapter, attention, 4096)
    for model in SHAPES
    for adapter in (False, True)
    for attention in ("blocks", "tiles")
)


class Work(LiveStorages):
    """Counts what a device is asked to do, next to the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.fp32_products = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = super().__torch_dispatch__(func, types, args, kwargs)
        name = func.overloadpacket.__name__
        there = [
            part
            for part in tree_flatten(output)[0]
            if isinstance(part, torch.Tensor) and part.device.type == DEVICE
        ]
        if there and not NO_KERNEL.fullmatch(name):
            self.kernels += 1
            self.fp32_products += name in PRODUCTS and there[0].dtype == torch.float32
        return output


def count(case: Case) -> Cost:
    """The cost of the whole model, from two depths. Raises RuntimeError where tensors of two devices meet."""
    low, high = (_count_layers(case, depth) for depth in DEPTHS)
    n_layers = SHAPES[case.model][1]["num_hidden_layers"]

    def of_layer(name: str) -> int:
        return int((getattr(high, name) - getattr(low, name)) // (DEPTHS[1] - DEPTHS[0]))

    return Cost(
        of_layer("kernels"),
        of_layer("fp32_products"),
        low.peak + of_layer("peak") * (int(n_layers) - DEPTHS[0]),
    )


def batch_of(case: Case) -> Layout:
    """The layout of the largest batch of prompts that fits."""
    items = make_items(64, 1, SHAPES[case.model][1])
    return lay_out(max(plan_batches(items, token_budget=case.n_tokens), key=len))


def _count_layers(case: Case, n_layers: int) -> Cost:
    kind, shape = SHAPES[case.model]
    config = AutoConfig.for_model(
        kind, **{**shape, "num_hidden_layers": n_layers}, max_position_embeddings=8192
    )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    if case.adapter:
        _add_adapter(model)
    layout = batch_of(case)
    with (
        FakeTensorMode(allow_non_fake_inputs=True),
        patch.object(torch, "from_numpy", _without_content),
        _fused(),
        torch.no_grad(),
    ):
        network = Network(LocalModel(model, "bf16", torch.device(DEVICE, 0), 1), case.attention)
        network._tried.add(False)  # the trial of blocks compares numbers, and there are none
        _move(model)
        work = Work()
        for tensor in (*model.parameters(), *model.buffers()):
            work.add(tensor)
        weights = work.now
        with work:
            network.logits(layout)
    return Cost(work.kernels, work.fp32_products, work.peak - weights)


def _add_adapter(model: Any) -> None:
    """An adapter in the base's number format, as `Adapters` keeps it."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    dtype = model.dtype
    convert_adapter(get_peft_model(model, config).eval(), "default", dtype)


def _move(model: Any) -> None:
    """Gives every weight and table a fake storage on the device."""
    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None:
                there = torch.empty(weight.shape, dtype=weight.dtype, device=DEVICE)
                module._parameters[name] = torch.nn.Parameter(there, requires_grad=False)
        for name, table in list(module._buffers.items()):
            if table is not None:
                module._buffers[name] = torch.empty(table.shape, dtype=table.dtype, device=DEVICE)


@contextmanager
def _fused() -> Iterator[None]:
    """Blocks as an operation that keeps what the kernel keeps, and tiles as long as on a card."""
    if not hasattr(torch, DEVICE):
        _setup_privateuseone_for_python_backend(DEVICE)

    def forward(_module: Any, query: Any, key: Any, value: Any, _mask: Any, **_: Any) -> tuple[Any, None]:
        # Cloned once, which counts as the one kernel.
        kernel: Any = FusedAttention
        return kernel.apply(query, key, value).clone(), None

    with (
        patch.object(tree_attention, "flex_attention_forward", forward),
        patch.dict(tree_attention.TILE, {DEVICE: tree_attention.TILE["cuda"]}),
    ):
        yield


if __name__ == "__main__":
    count_cases(__doc__, TABLE, CASES, count)
