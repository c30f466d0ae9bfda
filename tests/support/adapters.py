"""Adapters of tiny models."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType
from transformers import AutoModelForCausalLM


def make_adapter(base: Path, path: Path, seed: int) -> Path:
    """A LoRA adapter with random weights in both of its matrices, so that it changes every answer."""
    torch.manual_seed(seed)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=LAYERS, init_lora_weights=False, task_type="CAUSAL_LM"
    )
    tuned = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    tuned.save_pretrained(str(path))
    return path


def spoil(adapter: Path, **settings: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


def with_adapter_of(kind: str, base: Path) -> Any:
    """The model in `base` with a new adapter of one of peft's kinds, as peft makes it."""
    torch.manual_seed(1)
    config: Any = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(kind)]
    usual = {
        "task_type": "CAUSAL_LM",
        "target_modules": ["q_proj", "v_proj"],
        "num_virtual_tokens": 2,
        "r": 2,
    }
    settings = usual | SMALL.get(kind, {})
    known = {field.name for field in dataclasses.fields(config)}
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return get_peft_model(model, config(**{key: value for key, value in settings.items() if key in known}))


def cannot_merge(tuned: Any) -> bool:
    try:
        tuned.merge_and_unload()
    except (AttributeError, NotImplementedError, ValueError):
        return True
    return False


LAYERS = ["q_proj", "v_proj", "down_proj"]
# What peft needs to make some kinds for a network this small.
SMALL: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "ADAPTION_PROMPT": {"adapter_len": 2, "adapter_layers": 1, "target_modules": None},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 8},
    "CPT": {"cpt_token_ids": [1, 2], "cpt_mask": [1, 1], "cpt_tokens_type_mask": [1, 1]},
    "FOURIERFT": {"n_frequency": 8},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "OFT": {"r": 0, "oft_block_size": 4},
    "ROAD": {"group_size": 8},
    "TRAINABLE_TOKENS": {"target_modules": None, "token_indices": [1, 2]},
    "VBLORA": {"vector_length": 8, "num_vectors": 300},
    "WAVEFT": {"n_frequency": 8},
}
