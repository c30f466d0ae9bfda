"""The answer tree: from next-token probabilities at a few nodes to a distribution over every option.

Token ids and arrays only: no model, no tokenizer. Nodes are numbered depth first, so that a node's descendants
follow it without a gap; node 0 is the root, the end of the prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from socrates_core.errors import UserError
from socrates_core.records import Floats

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """What the rules for ending an answer need to know about a tokenizer.

    `digits` are the tokens whose text begins with a digit, `ends` those that end a turn; both are sorted.
    """

    digits: Ints
    ends: Ints


@dataclass(frozen=True, eq=False)
class AnswerTree:
    """The trie of the options' token sequences, with T nodes and K options.

    `parent` [T] (-1 for the root), `token` [T] (the token that leads to the node, -1 for the root),
    `depth` [T], `option_node` [K] (where each option ends), `ends_in_digit` [K] (its text's last character).
    """

    parent: Ints
    token: Ints
    depth: Ints
    option_node: Ints
    ends_in_digit: NDArray[np.bool_]

    @cached_property
    def inner(self) -> Ints:
        """The nodes [I] whose next-token probabilities are needed, in order; the root comes first."""
        return np.unique(self.parent[1:])

    @cached_property
    def inner_index(self) -> Ints:
        """For every node [T] its place in `inner`, or -1."""
        index = np.full(len(self.parent), -1)
        index[self.inner] = np.arange(len(self.inner))
        return index

    @cached_property
    def inner_end(self) -> Ints:
        """For every inner node [I], the place in `inner` where its descendants end."""
        depths = self.depth[self.inner]
        ends = np.full(len(depths), len(depths))
        for place, depth in enumerate(depths):
            after = np.flatnonzero(depths[place + 1 :] <= depth)
            ends[place] = place + 1 + after[0] if len(after) else len(depths)
        return ends

    @cached_property
    def step_source(self) -> Ints:
        """For every node but the root [T - 1], the place of its parent in `inner`."""
        return self.inner_index[self.parent[1:]]

    @cached_property
    def stops(self) -> NDArray[np.bool_]:
        """Which options [K] are a proper prefix of another option and so need the probability of ending."""
        return self.inner_index[self.option_node] >= 0

    def path(self, node: int) -> list[int]:
        """The tokens from the root to `node`."""
        tokens: list[int] = []
        while node > 0:
            tokens.append(int(self.token[node]))
            node = int(self.parent[node])
        return tokens[::-1]


@dataclass(frozen=True, eq=False)
class NodeReadings:
    """What a model predicts at the inner nodes of one tree.

    `steps` [T - 1]: log-probability of each node's token after its parent. `digits` and `ends` [I]: the probability of
    a next token that begins with a digit, or that ends the turn; read only in trees where an option stops.
    """

    steps: Floats
    digits: Floats
    ends: Floats


@dataclass(frozen=True, eq=False)
class Distribution:
    """Probabilities [K] over the options, summing to 1, and the probability of any of them before that.

    If `valid_mass` is 0, which happens only with the paper's decoding, no option can be given, and the probabilities
    are NaN.
    """

    probabilities: Floats
    valid_mass: float


def check_options(options: Sequence[str]) -> None:
    """Raises UserError without options, as for an open scale."""
    if not options:
        raise UserError(
            "There are no options to choose from. Give the scale at least one value, or ask a local model, "
            "which draws its answers to open questions."
        )


def build_tree(options: Sequence[str], tokens: Sequence[Sequence[int]]) -> AnswerTree:
    """The trie of `tokens`, the token ids of each of `options`.

    Raises UserError without options, for an option without tokens, and for two options with the same tokens.
    """
    check_options(options)
    parent, token, depth = [-1], [-1], [0]
    children: dict[tuple[int, int], int] = {}
    option_at: dict[int, int] = {}
    # In the order of their tokens, so that the nodes are numbered depth first.
    for place in sorted(range(len(options)), key=lambda place: tuple(tokens[place])):
        node = 0
        for step in tokens[place]:
            child = children.get((node, step))
            if child is None:
                child = children[node, step] = len(parent)
                parent.append(node)
                token.append(step)
                depth.append(depth[node] + 1)
            node = child
        if not node:
            raise UserError(
                f"The option {options[place]!r} is empty for this model. Give every option a text."
            )
        if node in option_at:
            same = f"{options[option_at[node]]!r} and {options[place]!r}"
            raise UserError(f"The options {same} are the same to this model. Change one of them.")
        option_at[node] = place
    return AnswerTree(
        np.array(parent),
        np.array(token),
        np.array(depth),
        np.array(sorted(option_at, key=option_at.__getitem__)),
        np.array([option[-1] in "0123456789" for option in options]),
    )


def read_distribution(tree: AnswerTree, readings: NodeReadings, vocabulary: Vocabulary) -> Distribution:
    """The distribution over the options, from what the model predicts at the inner nodes.

    An option's probability is the product of the conditional probabilities along its path. An option that is a proper
    prefix of another must also end there. After a digit, the probability of ending is 1 minus that of every next token
    that continues (it begins with a digit, or is in the tree); after a word, it is the probability of ending the turn.
    So no two options share probability, and their sum is at most 1.
    """
    path = _path_log_probabilities(tree, readings.steps)
    options = path[tree.option_node]
    stops = tree.stops
    if stops.any():
        inner = tree.inner_index[tree.option_node[stops]]
        continuing = readings.digits + _children_beyond(tree, readings.steps, vocabulary.digits)
        ending = np.where(tree.ends_in_digit[stops], 1.0 - continuing[inner], readings.ends[inner])
        # Rounding can take it outside [0, 1]; a probability of 0 is possible, and its logarithm is meant to be -inf.
        with np.errstate(divide="ignore"):
            options[stops] += np.log(np.clip(ending, 0.0, 1.0))
    top = options.max()
    if top == -np.inf:
        return Distribution(np.full(len(options), np.nan), 0.0)
    # Relative to the likeliest option, so that very improbable answers do not all underflow to 0.
    relative = np.exp(options - top)
    return Distribution(relative / relative.sum(), float(min(1.0, np.exp(top) * relative.sum())))


def _path_log_probabilities(tree: AnswerTree, steps: Floats) -> Floats:
    """Log-probability [T] of reaching each node from the root."""
    path = np.zeros(len(tree.parent))
    path[1:] = steps
    for depth in range(2, int(tree.depth.max()) + 1):
        level = np.flatnonzero(tree.depth == depth)
        path[level] += path[tree.parent[level]]
    return path


def _children_beyond(tree: AnswerTree, steps: Floats, digits: Ints) -> Floats:
    """Probability [I] of the children of each inner node whose token does not begin with a digit."""
    beyond = np.where(np.isin(tree.token[1:], digits), 0.0, np.exp(steps))
    total = np.zeros(len(tree.inner))
    np.add.at(total, tree.step_source, beyond)
    return total
