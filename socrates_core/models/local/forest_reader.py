"""Reads answer trees with the model in memory: one forward pass over a forest of many prompts.

It plans batches, runs them, and tries smaller ones when memory runs out.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch

from socrates_core.models.local.budget import require_out_of_memory
from socrates_core.models.local.decoding import filtered
from socrates_core.models.local.network import Network
from socrates_core.records import Decoding
from socrates_core.scoring.plan import Item, Layout, lay_out, lay_out_chains, plan_batches
from socrates_core.scoring.tree import NodeReadings, Vocabulary


class ForestReader:
    """A `TreeReader` over a network. With `shared`, prompts with the same beginning share it if the network can."""

    def __init__(
        self,
        network: Callable[[], Network],
        vocabulary: Vocabulary,
        decoding: Decoding = "exact",
        *,
        shared: bool = True,
        budget: int | None = None,
    ) -> None:
        """`network` is called for every batch, since another responder may have replaced the model in memory.

        With `budget`, batches have at most so many tokens; without, as many as the network finds to be fast.
        """
        self._network, self._vocabulary, self._decoding = network, vocabulary, decoding
        self._shared, self._budget = shared, budget

    def read(self, items: Sequence[Item]) -> Iterator[dict[int, NodeReadings]]:
        """The readings of each batch, by place in `items`. Raises UserError if one prompt is too much for memory."""
        waiting = self._plan([replace(item, positions=(place,)) for place, item in enumerate(items)])
        while waiting:
            batch = waiting.pop(0)
            network = self._network()
            layout = self.lay_out(batch, network)
            n_tokens = layout.tokens.size
            begun = time.perf_counter()
            try:
                readings = self._read(network, layout, batch)
            except RuntimeError as error:
                require_out_of_memory(error, [len(item.prompt) for item in batch], network.precision)
                self._ran_out(network, n_tokens)
                waiting = self._plan([*batch, *chain(*waiting)])
                continue
            if self._budget is None and network.budget.ran(n_tokens, time.perf_counter() - begun):
                waiting = self._plan(list(chain(*waiting)))
            yield {item.positions[0]: reading for item, reading in zip(batch, readings, strict=True)}

    def lay_out(self, items: Sequence[Item], network: Network) -> Layout:
        """The layout of `items` in one batch."""
        return lay_out(items, shared=self._shared) if network.packed else lay_out_chains(items)

    def _plan(self, items: Sequence[Item]) -> list[list[Item]]:
        network = self._network()
        budget = network.budget.tokens if self._budget is None else self._budget
        shared = self._shared and network.packed
        most_reads = network.most_reads(self._decoding)
        return plan_batches(items, token_budget=budget, shared=shared, most_reads=most_reads)

    def _ran_out(self, network: Network, n_tokens: int) -> None:
        if self._budget is None:
            network.budget.ran_out(n_tokens)
        else:
            self._budget = max(n_tokens // 2, 1)

    def _read(self, network: Network, layout: Layout, items: Sequence[Item]) -> list[NodeReadings]:
        """The readings of each item, from one pass over all of them."""
        # Not in inference mode: sharded weights that are gathered in it could not be trained on afterwards.
        with torch.no_grad():
            logits = filtered(network.logits(layout), self._decoding)
            return list(self._gather(network, items, torch.log_softmax(logits, dim=-1)))

    def _gather(
        self, network: Network, items: Sequence[Item], log_probabilities: torch.Tensor
    ) -> Iterator[NodeReadings]:
        """Each item's readings, taken from [N, V] in a few operations for the whole batch."""
        trees = [item.tree for item in items]
        starts = np.cumsum([0] + [len(tree.inner) for tree in trees])
        source = np.concatenate(
            [tree.step_source + start for tree, start in zip(trees, starts, strict=False)]
        )
        token = np.concatenate([tree.token[1:] for tree in trees])
        steps = log_probabilities[network.tensor(source), network.tensor(token)].double().cpu().numpy()
        stopping = np.concatenate([np.full(len(tree.inner), tree.stops.any()) for tree in trees])
        digits = _mass(network, log_probabilities, stopping, self._vocabulary.digits)
        ends = _mass(network, log_probabilities, stopping, self._vocabulary.ends)
        done = 0
        # Not strict: `starts` has one more, the end of the last tree.
        for tree, start in zip(trees, starts, strict=False):
            n_steps, nodes = len(tree.token) - 1, slice(start, start + len(tree.inner))
            yield NodeReadings(steps[done : done + n_steps], digits[nodes], ends[nodes])
            done += n_steps


def _mass(
    network: Network, log_probabilities: torch.Tensor, rows: np.ndarray, tokens: np.ndarray
) -> np.ndarray:
    """The probability [N] that the next token is one of `tokens`; 0 where `rows` is false."""
    mass = np.zeros(len(rows))
    if rows.any() and len(tokens):
        picked = log_probabilities[network.tensor(np.flatnonzero(rows))][:, network.tensor(tokens)]
        mass[rows] = picked.double().exp().sum(dim=-1).cpu().numpy()
    return mass
