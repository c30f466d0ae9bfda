"""From prompts with their answer trees to distributions, by one forward pass over many of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from socrates_core.models.local.network import Network
from socrates_core.records import PAPER_TEMPERATURE, PAPER_TOP_P, Decoding
from socrates_core.scoring.plan import Item, Layout, lay_out, lay_out_chains
from socrates_core.scoring.tree import Distribution, NodeReadings, Vocabulary, read_distribution


def filtered(logits: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Logits [N, V] after the decoding's own filters: the paper's temperature, then its nucleus."""
    if decoding == "exact":
        return logits
    warmed: torch.Tensor = TemperatureLogitsWarper(PAPER_TEMPERATURE)(None, logits)
    kept: torch.Tensor = TopPLogitsWarper(PAPER_TOP_P)(None, warmed)
    return kept


class Engine:
    """Reads the answer trees of many prompts at a time.

    With `shared`, prompts with the same beginning share it if the network supports that.
    """

    def __init__(self, network: Network, vocabulary: Vocabulary, decoding: Decoding, *, shared: bool) -> None:
        self._network, self._vocabulary, self._decoding = network, vocabulary, decoding
        self.shared = shared and network.packed

    def lay_out(self, items: Sequence[Item]) -> Layout:
        """The layout of `items` in one batch."""
        return lay_out(items, shared=self.shared) if self._network.packed else lay_out_chains(items)

    def distributions(self, items: Sequence[Item]) -> list[Distribution]:
        """The distribution of each item, from one pass over all of them."""
        # Not in inference mode: sharded weights that were gathered in it could not be trained on afterwards.
        with torch.no_grad():
            logits = filtered(self._network.logits(self.lay_out(items)), self._decoding)
            readings = list(self._read(items, torch.log_softmax(logits, dim=-1)))
        return [
            read_distribution(item.tree, reading, self._vocabulary)
            for item, reading in zip(items, readings, strict=True)
        ]

    def _read(self, items: Sequence[Item], log_probabilities: torch.Tensor) -> Iterator[NodeReadings]:
        """Each item's readings, gathered from [N, V] in a few operations for the whole batch."""
        trees = [item.tree for item in items]
        starts = np.cumsum([0] + [len(tree.inner) for tree in trees])
        source = np.concatenate(
            [tree.step_source + start for tree, start in zip(trees, starts, strict=False)]
        )
        token = np.concatenate([tree.token[1:] for tree in trees])
        tensor = self._network.tensor
        steps = log_probabilities[tensor(source), tensor(token)].double().cpu().numpy()
        stopping = np.concatenate([np.full(len(tree.inner), tree.stops.any()) for tree in trees])
        digits = self._mass(log_probabilities, stopping, self._vocabulary.digits)
        ends = self._mass(log_probabilities, stopping, self._vocabulary.ends)
        done = 0
        # Not strict: `starts` has one more, the end of the last tree.
        for tree, start in zip(trees, starts, strict=False):
            n_steps, nodes = len(tree.token) - 1, slice(start, start + len(tree.inner))
            yield NodeReadings(steps[done : done + n_steps], digits[nodes], ends[nodes])
            done += n_steps

    def _mass(self, log_probabilities: torch.Tensor, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The probability [N] that the next token is one of `tokens`; 0 where `rows` is false."""
        mass = np.zeros(len(rows))
        if rows.any() and len(tokens):
            tensor = self._network.tensor
            picked = log_probabilities[tensor(np.flatnonzero(rows))][:, tensor(tokens)]
            mass[rows] = picked.double().exp().sum(dim=-1).cpu().numpy()
        return mass
