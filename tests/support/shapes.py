"""The shapes of the weights of Llama's and Qwen's architectures, and folders that hold nothing but those."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def shapes_of(shape: Mapping[str, Any], *, biased: bool = False) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor by name."""
    hidden, inner, vocab = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocab, hidden),
        "lm_head.weight": (vocab, hidden),
        "model.norm.weight": (hidden,),
    }
    for layer in range(shape["num_hidden_layers"]):
        parts: dict[str, tuple[int, ...]] = {
            "self_attn.q_proj": (hidden, hidden),
            "self_attn.k_proj": (keys, hidden),
            "self_attn.v_proj": (keys, hidden),
            "self_attn.o_proj": (hidden, hidden),
            "mlp.gate_proj": (inner, hidden),
            "mlp.up_proj": (inner, hidden),
            "mlp.down_proj": (hidden, inner),
            "input_layernorm": (hidden,),
            "post_attention_layernorm": (hidden,),
        }
        shapes |= {f"model.layers.{layer}.{name}.weight": size for name, size in parts.items()}
        if biased:
            shapes |= {
                f"model.layers.{layer}.self_attn.{name}.bias": parts[f"self_attn.{name}"][:1]
                for name in ("q_proj", "k_proj", "v_proj")
            }
    return shapes


def make_hollow_model(path: Path, shape: Mapping[str, Any], *, biased: bool = False) -> str:
    """A folder with the configuration and the headers of weights in bf16, without the numbers; returns its name."""
    header: dict[str, Any] = {}
    end = 0
    for name, size in shapes_of(shape, biased=biased).items():
        start, end = end, end + 2 * math.prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    path.mkdir(parents=True)
    config = {"model_type": "qwen2" if biased else "llama", **shape}
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with (path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # a hole, which takes no room
    return path.name
