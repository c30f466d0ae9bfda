"""Tiny random checkpoints of the families that people use, as transformers writes them, without a tokenizer."""

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM

SMALL: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
PLAIN = {key: value for key, value in SMALL.items() if key not in ("num_key_value_heads", "head_dim")}
IDS = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, **IDS},
    "llama": SMALL,
    "mistral": SMALL,
    "qwen2": SMALL,
    "qwen3": SMALL | {"tie_word_embeddings": True},
    "mixtral": SMALL | {"num_local_experts": 4},
    "qwen2_moe": SMALL | EXPERTS | {"shared_expert_intermediate_size": 24},
    "qwen3_moe": SMALL | EXPERTS,
    "gemma": SMALL,
    "gemma2": SMALL,
    "gemma3_text": SMALL,
    "phi3": PLAIN,
    "gpt_neox": PLAIN,
    "gpt_oss": SMALL | {"num_local_experts": 4},
    "opt": PLAIN | {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "falcon": PLAIN,
    "bloom": {"vocab_size": 96, "hidden_size": 32, "n_layer": 2, "n_head": 4, **IDS},
    "stablelm": PLAIN | {"num_key_value_heads": 4},
    "granite": PLAIN | {"num_key_value_heads": 2},
    "granitemoe": PLAIN | {"num_key_value_heads": 2, "num_local_experts": 4},
    "olmo2": PLAIN | {"num_key_value_heads": 2},
    "smollm3": SMALL,
    "cohere": PLAIN | {"num_key_value_heads": 2},
    "gptj": {
        "vocab_size": 96,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 128,
        "rotary_dim": 4,
        **IDS,
    },
    "mpt": {"vocab_size": 96, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 128, **IDS},
    "deepseek_v3": PLAIN
    | {
        "moe_intermediate_size": 24,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 4,
        "v_head_dim": 8,
        "first_k_dense_replace": 1,
        "num_key_value_heads": 4,
    },
    "mamba": {"vocab_size": 96, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4, **IDS},
}


def make_family(path: Path, model_type: str, **config: Any) -> Path:
    """A random model of a family in `path`."""
    torch.manual_seed(20261130)
    settings = transformers.AutoConfig.for_model(model_type, **(FAMILIES[model_type] | config))
    AutoModelForCausalLM.from_config(settings, dtype=torch.float32).save_pretrained(path)
    return path
