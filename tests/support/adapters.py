"""Adapters of tiny models."""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
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


LAYERS = ["q_proj", "v_proj", "down_proj"]
