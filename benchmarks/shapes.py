"""The shapes of the released models, and random prompts as long as real ones."""

from typing import Any, Literal

import numpy as np

from socrates_core.scoring.plan import Item
from socrates_core.scoring.tree import AnswerTree, build_tree

Scale = Literal["1-7", "0-100"]

SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama-3-8B": (
        "llama",
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
            "rope_theta": 500000.0,
        },
    ),
    "Qwen2.5-14B": (
        "qwen2",
        {
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "vocab_size": 152064,
            "rope_theta": 1000000.0,
        },
    ),
}
TINY: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny Llama": (
        "llama",
        {
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 2000,
        },
    )
}
N_SYSTEM, N_PROFILE, N_STIMULUS = 40, 140, 120  # tokens of a prompt: about 300


def make_items(n_people: int, n_outcomes: int, shape: dict[str, Any], scale: Scale = "1-7") -> list[Item]:
    """Random prompts of a real build: the system text of all, a person's profile, an outcome's stimulus."""
    drawn = np.random.default_rng(0)
    vocabulary = int(shape["vocab_size"])
    system, *stimuli = (drawn.integers(20, vocabulary, n) for n in (N_SYSTEM, *[N_STIMULUS] * n_outcomes))
    tree = tree_of(scale)
    profiles = [drawn.integers(20, vocabulary, N_PROFILE) for _ in range(n_people)]
    return [
        Item(np.concatenate([system, profile, stimulus]).astype(np.int32), tree, (0,))
        for profile in profiles
        for stimulus in stimuli
    ]


def tree_of(scale: Scale) -> AnswerTree:
    """The tree of a scale for a tokenizer with one token a digit, which are the tokens 0 to 9."""
    options = [str(value) for value in (range(1, 8) if scale == "1-7" else range(101))]
    return build_tree(options, [[int(digit) for digit in option] for option in options])
