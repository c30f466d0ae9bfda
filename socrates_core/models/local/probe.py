"""How fast this machine reads with a model of a given shape: two seconds with random weights, no files needed.

    echo '{"config": {...}, "precision": "bf16"}' | python -m socrates_core.models.local.probe

One layer of the true shape is timed, through the same network that answers. Prints
{"tokens_per_second": ...}. It runs in a process of its own: what it loads must not stay in the dashboard.
"""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from socrates_core.errors import EDITED, UserError
from socrates_core.models.local.load import LocalModel, choose_device, first_line, number_type, tune_processor
from socrates_core.models.local.network import Network
from socrates_core.records import Loaded
from socrates_core.scoring.plan import Item, Layout, lay_out
from socrates_core.scoring.tree import build_tree

SECONDS = 2.0
LENGTH = 300  # tokens of a prompt
N_PROMPTS = {"cpu": 2, "cuda": 13}  # read at a time
VOCABULARY = 1024  # the tables of a real one take memory and, at a few places a prompt, hardly any time


def tokens_per_second(config: Mapping[str, Any], precision: Loaded) -> float:
    """Prompt tokens a second of a model with this configuration. Raises UserError if it cannot be built here."""
    device = choose_device()
    if device.type == "cpu":
        tune_processor()
    n_layers = int(config["num_hidden_layers"])
    try:
        layer = AutoConfig.for_model(
            **{**config, "num_hidden_layers": 1, "vocab_size": VOCABULARY, "layer_types": None}
        )
        model = (
            AutoModelForCausalLM.from_config(layer, dtype=number_type(precision, device)).to(device).eval()
        )
        n_layer = sum(weight.numel() for weight in model.model.layers.parameters())
        _pack(model, precision, device)
        network = Network(LocalModel(model, precision, device, n_layer * n_layers))
    except (*EDITED, RuntimeError, ValueError) as error:
        raise UserError(f"A layer of the model cannot be built here ({first_line(error)}).") from error
    prompts = (
        np.random.default_rng(0).integers(1, VOCABULARY, (N_PROMPTS[device.type], LENGTH)).astype(np.int32)
    )
    layout = lay_out([Item(prompt, build_tree(["1"], [[5]]), (n,)) for n, prompt in enumerate(prompts)])
    _time(network, layout)  # the first time, kernels are loaded and prepared
    seconds: list[float] = []
    while not seconds or (sum(seconds) < SECONDS and len(seconds) < 50):
        seconds.append(_time(network, layout))
    return float(layout.tokens.size / (float(np.median(seconds)) * n_layers))


def _time(network: Network, layout: Layout) -> float:
    begun = time.perf_counter()
    with torch.inference_mode():
        network.logits(layout).cpu()  # waits for the card
    return time.perf_counter() - begun


def _pack(model: Any, precision: Loaded, device: torch.device) -> None:
    """Replaces the linear layers by bitsandbytes' own, as loading in 8 or 4 bits does."""
    if precision not in ("int8", "nf4"):
        return
    import bitsandbytes as bnb

    for parent in list(model.model.layers.modules()):
        for name, layer in list(parent.named_children()):
            if not isinstance(layer, torch.nn.Linear):
                continue
            sizes = layer.in_features, layer.out_features, layer.bias is not None
            packed: Any
            if precision == "nf4":
                packed = bnb.nn.Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it without types
                    *sizes, compute_dtype=layer.weight.dtype, compress_statistics=False, quant_type="nf4"
                )
            else:
                packed = bnb.nn.Linear8bitLt(*sizes, has_fp16_weights=False)
            packed.load_state_dict(layer.state_dict())
            setattr(parent, name, packed.to(device))


def main() -> None:
    try:
        asked = json.load(sys.stdin)
        print(json.dumps({"tokens_per_second": tokens_per_second(asked["config"], asked["precision"])}))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
