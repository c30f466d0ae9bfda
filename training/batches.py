"""How the examples of a step are read: in batches of tokens, laid out as forests of prompts and answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from socrates_core.finetuning.examples import Example
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.local.network import Network
from socrates_core.records import Floats
from socrates_core.scoring.plan import Item, lay_out, lay_out_chains, plan_batches
from socrates_core.scoring.tree import AnswerTree, build_tree


@dataclass(frozen=True, eq=False)
class Batch:
    """Some examples of a step that are read together, each with its prompt and answer tree as an item."""

    items: list[Item]
    examples: list[Example]

    @property
    def trees(self) -> list[AnswerTree]:
        return [item.tree for item in self.items]


def batches_of(
    examples: Sequence[Example], network: Network, spec: TrainingSpec, micro_tokens: int | None = None
) -> list[Batch]:
    """The examples of a step in batches, in which common beginnings are read once.

    A batch has at most `micro_tokens` tokens, by default those of the spec, or one example.
    """
    items = [Item(example.prompt, tree_of(example), (place,)) for place, example in enumerate(examples)]
    budget = micro_tokens or spec.micro_tokens
    planned = plan_batches(items, token_budget=budget, shared=spec.share_people and network.packed)
    return [Batch(batch, [examples[item.positions[0]] for item in batch]) for batch in planned]


def tree_of(example: Example) -> AnswerTree:
    """The trie of an example's answers; a next token is predicted at its inner nodes."""
    return build_tree([str(place) for place in range(len(example.answers))], example.answers)


def steps_of(network: Network, batch: Batch, *, shared: bool) -> torch.Tensor:
    """Log-probabilities [S] of the steps to every node but the roots of the batch's trees, in the nodes' order."""
    layout = lay_out(batch.items, shared=shared) if network.packed else lay_out_chains(batch.items)
    log_probabilities = torch.log_softmax(network.logits(layout), dim=-1)
    starts = np.cumsum([0] + [len(tree.inner) for tree in batch.trees])
    source = np.concatenate(
        # Not strict: `starts` has one more, the end of the last tree.
        [tree.step_source + start for tree, start in zip(batch.trees, starts, strict=False)]
    )
    token = np.concatenate([tree.token[1:] for tree in batch.trees])
    return log_probabilities[network.tensor(source), network.tensor(token)]


def node_shares(tree: AnswerTree, shares: Floats) -> Floats:
    """The share [T - 1] of the answers whose path passes each node, without the root."""
    mass = np.zeros(len(tree.parent))
    np.add.at(mass, tree.option_node, shares)
    for node in range(len(mass) - 1, 0, -1):  # a node's descendants have higher numbers
        mass[tree.parent[node]] += mass[node]
    return mass[1:]


def shares_of(batch: Batch) -> torch.Tensor:
    """The weighted share [S] of the answers that pass each step of the batch, in the order of `steps_of`."""
    shares = [
        node_shares(tree, example.shares) * example.weight
        for tree, example in zip(batch.trees, batch.examples, strict=True)
    ]
    return torch.from_numpy(np.concatenate(shares)).float()


def answer_sums(network: Network, batch: Batch, steps: torch.Tensor) -> list[torch.Tensor]:
    """For each example, the log-probabilities [k] of its whole answers: the sums of `steps` [S] along their paths."""
    sums = []
    done = 0
    for tree in batch.trees:
        tree_steps = steps[done : done + len(tree.token) - 1]
        done += len(tree_steps)
        # Not as a matrix product: autocast computes it in bf16, on a GPU its gradient too. -9.53 would become -9.56,
        # and DPO trains on the difference of two such sums.
        sums.append(torch.where(network.tensor(_paths(tree)), tree_steps, 0.0).sum(-1))
    return sums


def _paths(tree: AnswerTree) -> Any:
    """Which steps [k, T - 1] lead to each answer."""
    paths = np.zeros((len(tree.option_node), len(tree.parent) - 1), dtype=bool)
    for place, end in enumerate(tree.option_node):
        node = int(end)
        while node > 0:
            paths[place, node - 1] = True
            node = int(tree.parent[node])
    return paths
