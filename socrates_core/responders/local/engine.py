"""The one forward pass: rows of tokens in, next-token probabilities at the inner nodes out."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from socrates_core.records import Decoding
from socrates_core.responders.local.forest import FOREST, Forest
from socrates_core.responders.local.load import LocalModel
from socrates_core.scoring.plan import Item, Layout, lay_out, lay_out_chains
from socrates_core.scoring.tree import Distribution, NodeReadings, Vocabulary, read_distribution

# Architectures proved to take a forest's attention and positions; any other gets plain causal rows.
PACKED = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3"}
PAPER_TEMPERATURE, PAPER_TOP_P = 0.6, 0.9


class Engine:
    """A model that reads the answer trees of many prompts at a time.

    `packed` says whether it takes a forest of prompts in one row; `shared`, whether prompts that begin alike then
    share that beginning.
    """

    def __init__(
        self, loaded: LocalModel, vocabulary: Vocabulary, decoding: Decoding, *, shared: bool
    ) -> None:
        self._model, self._device = loaded.model, loaded.device
        self._vocabulary, self._decoding = vocabulary, decoding
        self.packed = loaded.model.config.model_type in PACKED
        self.shared = shared and self.packed
        self._attention = loaded.model.config._attn_implementation
        if self.packed:
            loaded.model.set_attn_implementation(FOREST)
        self._wanted: tuple[torch.Tensor, torch.Tensor] | None = None
        loaded.model.get_output_embeddings().register_forward_pre_hook(self._keep_wanted)

    def lay_out(self, items: Sequence[Item]) -> Layout:
        """How `items` lie in one batch."""
        return lay_out(items, shared=self.shared) if self.packed else lay_out_chains(items)

    def distributions(self, items: Sequence[Item]) -> list[Distribution]:
        """The distribution of each item, from one pass over all of them."""
        layout = self.lay_out(items)
        with torch.inference_mode():
            readings = self._read(items, self._log_probabilities(layout))
        return [
            read_distribution(item.tree, reading, self._vocabulary)
            for item, reading in zip(items, readings, strict=True)
        ]

    def _keep_wanted(self, _module: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        """Hands the output layer the hidden states [1, N, H] of the wanted positions alone.

        So the logits of a whole batch never exist, while whatever an architecture does to logits stays its own.
        """
        assert self._wanted is not None
        row, column = self._wanted
        return (inputs[0][row, column][None],)

    def _log_probabilities(self, layout: Layout) -> torch.Tensor:
        """Next-token log-probabilities [N, V] at the layout's reads, in fp32, after the decoding's filters."""
        self._wanted = self._tensor(layout.read_row), self._tensor(layout.read_column)
        tokens = self._tensor(layout.tokens)
        logits = self._model(input_ids=tokens, use_cache=False, **self._forest(layout)).logits[0].float()
        if self._decoding == "paper":
            logits = TemperatureLogitsWarper(PAPER_TEMPERATURE)(None, logits)
            logits = TopPLogitsWarper(PAPER_TOP_P)(None, logits)
        return torch.log_softmax(logits, dim=-1)

    def _forest(self, layout: Layout) -> dict[str, Any]:
        """Positions and attention of a forest; chains padded on the right need neither."""
        if not self.packed:
            return {}
        forest = Forest(layout, attention=self._attention, device=self._device, dtype=self._model.dtype)
        return {"position_ids": forest.depth, "forest": forest}

    def _read(self, items: Sequence[Item], log_probabilities: torch.Tensor) -> Iterator[NodeReadings]:
        """Each item's readings, gathered from [N, V] in a few operations for the whole batch."""
        trees = [item.tree for item in items]
        starts = np.cumsum([0] + [len(tree.inner) for tree in trees])
        source = np.concatenate(
            [tree.step_source + start for tree, start in zip(trees, starts, strict=False)]
        )
        token = np.concatenate([tree.token[1:] for tree in trees])
        steps = log_probabilities[self._tensor(source), self._tensor(token)].double().cpu().numpy()
        stopping = np.concatenate([np.full(len(tree.inner), tree.stops.any()) for tree in trees])
        digits = self._mass(log_probabilities, stopping, self._vocabulary.digits)
        ends = self._mass(log_probabilities, stopping, self._vocabulary.ends)
        done = 0
        for tree, start in zip(trees, starts, strict=False):
            n_steps, nodes = len(tree.token) - 1, slice(start, start + len(tree.inner))
            yield NodeReadings(steps[done : done + n_steps], digits[nodes], ends[nodes])
            done += n_steps

    def _mass(self, log_probabilities: torch.Tensor, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Probability [N] of the next token being one of `tokens`; 0 where `rows` is false."""
        mass = np.zeros(len(rows))
        if rows.any() and len(tokens):
            picked = log_probabilities[self._tensor(np.flatnonzero(rows))][:, self._tensor(tokens)]
            mass[rows] = picked.double().exp().sum(dim=-1).cpu().numpy()
        return mass

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device)
