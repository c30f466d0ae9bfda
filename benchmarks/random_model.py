"""Models with random weights in given shapes, made on the device layer by layer.

So they never take more memory than their precision needs.
"""

import math
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from socrates_core.models.local.load import number_type
from socrates_core.models.sizes import ModelSize
from socrates_core.records import Loaded

SPREAD = 0.02  # standard deviation of the weights, as transformers draws them


def size_of(kind: str, shape: dict[str, Any]) -> ModelSize:
    """How many numbers a model of this shape has; nothing is allocated."""
    model = _empty(kind, shape, torch.bfloat16)
    linear = sum(layer.weight.numel() for _, _, layer in _linear_layers(model))
    return ModelSize(sum(weight.numel() for weight in model.parameters()), linear)


def shapes_of(kind: str, shape: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The shape of every weight by name."""
    return {
        name: tuple(weight.shape) for name, weight in _empty(kind, shape, torch.bfloat16).named_parameters()
    }


def random_model(kind: str, shape: dict[str, Any], precision: Loaded, device: torch.device) -> Any:
    """A model of the architecture `kind`, ready to answer on `device` as `load_model` would open it.

    On one device its weights are the same every time.
    """
    torch.manual_seed(0)
    dtype = number_type(precision, device)
    model = _empty(kind, shape, dtype)
    if precision in ("int8", "nf4"):
        for parent, name, layer in _linear_layers(model):
            setattr(parent, name, _packed(layer, precision, dtype, device))
        # What peft and accelerate look at.
        setattr(model, "is_loaded_in_4bit" if precision == "nf4" else "is_loaded_in_8bit", True)
        model.hf_device_map = {"": device}
    for module in model.modules():
        for name, weight in list(module._parameters.items()):
            if weight is not None and weight.device.type == "meta":
                module._parameters[name] = torch.nn.Parameter(
                    _drawn(weight, dtype, device), requires_grad=False
                )
        for name, child in list(module.named_children()):
            if hasattr(child, "inv_freq"):  # a table that is computed, not a weight
                setattr(module, name, type(child)(config=model.config).to(device))
    return model.eval()


def _empty(kind: str, shape: dict[str, Any], dtype: torch.dtype) -> Any:
    config = AutoConfig.for_model(kind, **shape, max_position_embeddings=8192)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def _linear_layers(model: Any) -> list[tuple[Any, str, Any]]:
    """Every linear layer but the last, with its place: what precision 'int8' and 'nf4' pack."""
    return [
        (parent, name, layer)
        for parent in list(model.modules())
        for name, layer in parent.named_children()
        if isinstance(layer, torch.nn.Linear) and name != "lm_head"
    ]


def _packed(layer: Any, precision: Loaded, dtype: torch.dtype, device: torch.device) -> Any:
    """The same layer in 8 or 4 bits, with random weights of its own; the settings are those of `load_model`."""
    import bitsandbytes as bnb

    sizes = layer.in_features, layer.out_features, layer.bias is not None
    packed: Any
    if precision == "nf4":
        # Not double quantised, which is bitsandbytes' own default, but not transformers'.
        packed = bnb.nn.Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it without types
            *sizes, compute_dtype=dtype, compress_statistics=False, quant_type="nf4", device="meta"
        )
        weight: Any = bnb.nn.Params4bit(
            _drawn(layer.weight, dtype, device),
            requires_grad=False,
            compress_statistics=False,
            quant_type="nf4",
            module=packed,
        )
    else:
        packed = bnb.nn.Linear8bitLt(*sizes, has_fp16_weights=False, device="meta")
        weight = bnb.nn.Int8Params(
            _drawn(layer.weight, dtype, device), requires_grad=False, has_fp16_weights=False
        )
    # The move packs the weights.
    packed._parameters["weight"] = weight.to(device)
    if layer.bias is not None:
        packed._parameters["bias"] = torch.nn.Parameter(
            _drawn(layer.bias, dtype, device), requires_grad=False
        )
    return packed


def _drawn(weight: torch.Tensor, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    if weight.dim() == 1:  # norms and biases
        return torch.ones(weight.shape, dtype=dtype, device=device)
    spread = SPREAD if weight.shape[-1] > 64 else 1 / math.sqrt(weight.shape[-1])
    return torch.empty(weight.shape, dtype=dtype, device=device).normal_(0, spread)
