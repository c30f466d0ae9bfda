"""Tiny models asked, and how far two ways of asking lie apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from socrates_core.models import open_responder
from socrates_core.models.local.responder import LocalResponder
from socrates_core.records import Answer, Prompt, Question
from tests.support.tiny_models import Kind

AGREEMENT = ("Agree", "Agree strongly", "Neither", "Disagree", "Disagree strongly")
TOLERANCE = 1e-5  # fp32 rounding through three layers; a wrong token or mask shows at 1e-2


def numbers(low: int, high: int) -> tuple[str, ...]:
    return tuple(str(value) for value in range(low, high + 1))


SCALES: dict[str, tuple[str, ...]] = {
    "1-7": numbers(1, 7),
    "yes or no": ("Yes", "No"),
    "0-10": numbers(0, 10),
    "0-100": numbers(0, 100),
    "negatives": numbers(-12, 12),
    "prefixed words": AGREEMENT,
}
PROMPTS = [
    Prompt("You answer surveys.", "How much do you agree? Only return an integer."),
    Prompt("You answer surveys.", "Read the question below. Agree, or not at all? " * 4),
    Prompt("", "Agree?"),
]
MODELS: list[tuple[str, Kind, dict[str, Any]]] = [
    ("llama", "single-digit", {}),
    ("llama", "three-digit", {}),
    ("llama", "sentencepiece", {}),
    ("mistral", "three-digit", {"sliding_window": 16}),
    ("qwen2", "single-digit", {}),
    ("qwen2", "single-digit", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1}),
    ("qwen3", "single-digit", {}),
    ("gemma", "sentencepiece", {}),
    ("gemma2", "sentencepiece", {"sliding_window": 16, "query_pre_attn_scalar": 8}),
    ("gemma3_text", "sentencepiece", {"sliding_window": 16}),
    ("smollm3", "three-digit", {}),
    ("gpt_neox", "single-digit", {}),  # an architecture whose trees are scored as plain chains
]


def questions(prompts: Sequence[Prompt] = PROMPTS) -> list[Question]:
    """Every scale after every prompt; the longest scale, which the plain loop reads 101 times, after the last."""
    return [
        Question(prompt, options)
        for prompt in prompts
        for options in SCALES.values()
        if len(options) < 100 or prompt is prompts[-1]
    ]


def open_local(path: Path, **choices: Any) -> LocalResponder:
    opened = open_responder(str(path), **choices)
    assert isinstance(opened, LocalResponder)
    return opened


def set_budget(model: LocalResponder, n_tokens: int) -> None:
    """Batches of at most so many tokens from now on."""
    model._network().budget.ran_out(2 * n_tokens)


def largest_difference(found: Sequence[Answer], expected: Sequence[Any]) -> float:
    return float(
        max(
            max(np.abs(a.probabilities - b.probabilities).max(), abs(a.valid_mass - b.valid_mass))
            for a, b in zip(found, expected, strict=True)
        )
    )
