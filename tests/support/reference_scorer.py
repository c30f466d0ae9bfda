"""The slow, plain way to score options, to compare the fast one with: every option alone, in full, in fp32.

Shares no code with the product: transformers' own tokenizer and template, one forward pass over prompt and
option for each option, no cache, no tree, no batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from socrates_core.records import Floats


@dataclass(frozen=True)
class Scored:
    """Probabilities [k] over the options and the probability of any of them."""

    probabilities: Floats
    valid_mass: float


class ReferenceScorer:
    """The model in `path`, loaded in fp32. `ends` are the texts of the tokens that end a turn.

    `paper` puts every next-token distribution through temperature 0.6, then top-p 0.9.
    """

    def __init__(self, path: Path, ends: Sequence[str], *, paper: bool = False) -> None:
        self._paper = paper
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path)
        self.model: Any = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
        self._ends = [self.tokenizer.convert_tokens_to_ids(text) for text in ends]
        self._kept: dict[tuple[tuple[int, ...], tuple[int, ...]], Floats] = {}
        self._digits = self._tokens_that_continue_a_number()

    def score(self, text: str, options: Sequence[str]) -> Scored:
        """The distribution over `options` after the rendered prompt `text`."""
        raw = self.masses(text, options, options)
        return Scored(raw / raw.sum(), float(raw.sum()))

    def masses(self, text: str, options: Sequence[str], chosen: Sequence[str]) -> Floats:
        """The probability that the model answers each of the `chosen` options, where all `options` may be answered."""
        prompt = self._ids(text)
        paths = {option: self._ids(text + option)[len(prompt) :] for option in options}
        every = list(paths.values())
        return np.array([self._probability(prompt, paths[option], every, option) for option in chosen])

    def render(self, messages: list[dict[str, str]]) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
            )
        )

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _probability(self, prompt: list[int], path: list[int], paths: list[list[int]], option: str) -> float:
        following = self._following(tuple(prompt), tuple(path))
        probability = float(np.prod([following[place, token] for place, token in enumerate(path)]))
        longer = {
            other[len(path)] for other in paths if len(other) > len(path) and other[: len(path)] == path
        }
        if not longer:
            return probability
        if option[-1].isdigit():
            going_on = sorted(longer | set(self._digits))
            return probability * (1 - float(following[len(path), going_on].sum()))
        return probability * float(following[len(path), self._ends].sum())

    def _following(self, prompt: tuple[int, ...], path: tuple[int, ...]) -> Floats:
        """What may follow the prompt and each token of the path; kept, since scales share their options."""
        if (prompt, path) not in self._kept:
            with torch.inference_mode():
                logits = self.model(torch.tensor([prompt + path])).logits[0, len(prompt) - 1 :].double()
            following = torch.softmax(logits / (0.6 if self._paper else 1), dim=-1).numpy()
            self._kept[prompt, path] = (
                np.array([_nucleus(row) for row in following]) if self._paper else following
            )
        return self._kept[prompt, path]

    def _tokens_that_continue_a_number(self) -> list[int]:
        """The tokens that, written after a letter, begin with a digit."""
        before = self.tokenizer("a", add_special_tokens=False).input_ids
        skip = len(self.tokenizer.decode(before))
        texts = self.tokenizer.batch_decode([[*before, token] for token in range(len(self.tokenizer))])
        return [token for token, text in enumerate(texts) if text[skip : skip + 1] in set("0123456789")]


def _nucleus(probabilities: Floats) -> Floats:
    """The fewest most probable tokens that reach 0.9 together, made to sum to 1."""
    order = np.argsort(-probabilities)
    n_kept = int(np.searchsorted(np.cumsum(probabilities[order]), 0.9)) + 1
    kept = np.zeros_like(probabilities)
    kept[order[:n_kept]] = probabilities[order[:n_kept]]
    return np.asarray(kept / kept.sum())
