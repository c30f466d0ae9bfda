"""The plan of a job: which prompts run together, and their layout in one row of tokens.

Token ids in, arrays out; no model. Prompts are sorted, so that those with a common beginning (the system text, a
person's profile, a condition) are neighbours. A batch of them is a forest of tokens, laid out depth first in one row
without padding: a beginning that neighbours share appears once, and every answer tree follows its prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from socrates_core.scoring.tree import AnswerTree, Ints

MAX_READS = 1024  # next-token distributions held at once: 0.5 GB at a vocabulary of 128,000


@dataclass(frozen=True, eq=False)
class Item:
    """One distinct prompt with its answer tree, and the positions of the questions that it answers."""

    prompt: NDArray[np.int32]
    tree: AnswerTree
    positions: tuple[int, ...]

    @property
    def n_tokens(self) -> int:
        """The number of tokens of this item alone: its prompt and the tree's inner nodes without the root."""
        return len(self.prompt) + len(self.tree.inner) - 1


@dataclass(frozen=True, eq=False)
class Layout:
    """The tokens of one batch: one forest [1, L], or chains padded on the right [R, L].

    `depth` is every token's position in its own path; `end` is the column where its descendants end: column j may look
    at column i if i <= j < end[i]. The inner nodes of all items, in order, are read at (`read_row`, `read_column`) [N].
    """

    tokens: Ints
    depth: Ints
    end: Ints
    read_row: Ints
    read_column: Ints


def plan_batches(
    items: Sequence[Item], *, token_budget: int, shared: bool = True, most_reads: int = MAX_READS
) -> list[list[Item]]:
    """Batches of neighbours in the order of their tokens, each within `token_budget` and `most_reads`, or of one item.

    A batch ends where its neighbours have least in common, so that few beginnings are read twice. The batches are
    shuffled, in the same way every time, so that early answers do not all come from one kind of person. Without
    `shared` beginnings every item counts in full, as it must then be laid out, and neighbours have similar lengths.
    """
    if not items:
        return []
    common = np.zeros(len(items), dtype=np.int64)
    if shared:
        # Big-endian bytes sort in the same order as the token ids.
        ordered = sorted(items, key=lambda item: item.prompt.astype(">i4").tobytes())
        common[1:] = [_common(a, b) for a, b in pairwise(ordered)]
    else:
        ordered = sorted(items, key=lambda item: item.n_tokens)
    tokens = np.cumsum([item.n_tokens for item in ordered] - common)
    reads = np.cumsum([len(item.tree.inner) for item in ordered])
    batches: list[list[Item]] = []
    start = 0
    while start < len(ordered):
        room = token_budget - ordered[start].n_tokens
        fits = np.searchsorted(tokens, tokens[start] + room, side="right")
        before = reads[start - 1] if start else 0
        few_reads = np.searchsorted(reads, before + most_reads, side="right")
        stop = max(start + 1, int(min(fits, few_reads)))
        if stop < len(ordered):
            # Only in the second half, so that a batch keeps at least half of the items that fit.
            stop = _best_cut(common, (start + stop + 1) // 2, stop)
        batches.append(ordered[start:stop])
        start = stop
    return [batches[place] for place in np.random.default_rng(0).permutation(len(batches))]


def _best_cut(common: Ints, first: int, last: int) -> int:
    """The place from `first` to `last` with least in common with the item before it; the last if several are equal."""
    return last - int(np.argmin(common[first : last + 1][::-1]))


def _common(a: Item, b: Item) -> int:
    """The number of tokens with which both prompts begin."""
    shorter = min(len(a.prompt), len(b.prompt))
    differ = np.flatnonzero(a.prompt[:shorter] != b.prompt[:shorter])
    return int(differ[0]) if len(differ) else shorter


def lay_out(items: Sequence[Item], *, shared: bool = True) -> Layout:
    """The forest of `items` in one row; each item continues what it has in common with the one before it."""
    pieces: list[tuple[Ints, Ints]] = []  # tokens and depths
    path = np.zeros(0, dtype=np.int64)  # the columns of the last item's prompt
    ends = np.zeros(sum(item.n_tokens for item in items), dtype=np.int64)
    reads = []
    stop = 0
    for place, item in enumerate(items):
        tree = item.tree
        inner = tree.inner
        length = len(item.prompt)
        kept = _common(items[place - 1], item) if place and shared else 0
        start = stop  # of the rest of the prompt
        answers = start + length - kept  # where its answer tree begins
        stop = answers + len(inner) - 1
        path = np.concatenate([path[:kept], np.arange(start, answers)])
        reads.append(np.concatenate([path[-1:], np.arange(answers, stop)]))
        pieces.append(
            (
                np.concatenate([item.prompt[kept:], tree.token[inner[1:]]]),
                np.concatenate([np.arange(kept, length), length - 1 + tree.depth[inner[1:]]]),
            )
        )
        ends[path] = stop
        # The root is the prompt's last token, so the tree's inner node 1 is at column `answers`.
        ends[answers:stop] = answers - 1 + tree.inner_end[1:]
    tokens, depth = (np.concatenate([piece[part] for piece in pieces])[None] for part in (0, 1))
    read_column = np.concatenate(reads)
    return Layout(tokens, depth, ends[None, :stop], np.zeros_like(read_column), read_column)


def rounded(layout: Layout, *, tokens: int, reads: int) -> Layout:
    """A forest of one row, padded so that its tokens and reads are multiples of `tokens` and `reads`.

    Nothing looks at the extra tokens; the extra reads repeat the last one. Everything else keeps its place.
    """
    # oneDNN keeps what it prepared for every size it has met, so with sizes that all differ the memory would grow
    # throughout a job (docs/log.md).
    length = layout.tokens.shape[1]
    n_reads = len(layout.read_row)
    extra = np.arange(length, -(-length // tokens) * tokens)[None]
    nothing = np.zeros_like(extra)
    again = np.minimum(np.arange(-(-n_reads // reads) * reads), n_reads - 1)
    return Layout(
        np.concatenate([layout.tokens, nothing], axis=1),
        np.concatenate([layout.depth, nothing], axis=1),
        np.concatenate([layout.end, extra + 1], axis=1),
        layout.read_row[again],
        layout.read_column[again],
    )


def lay_out_chains(items: Sequence[Item]) -> Layout:
    """One plain chain, prompt and path, for every inner node of every tree: for models that take no forest."""
    chains = [
        np.concatenate([item.prompt, np.array(item.tree.path(int(node)), dtype=np.int64)])
        for item in items
        for node in item.tree.inner
    ]
    lengths = np.array([len(chain) for chain in chains])
    places = np.arange(lengths.max())
    tokens = np.zeros((len(chains), len(places)), dtype=np.int64)
    for row, chain in zip(tokens, chains, strict=True):
        row[: len(chain)] = chain
    depth = np.broadcast_to(places, tokens.shape)
    end = np.broadcast_to(lengths[:, None], tokens.shape)
    return Layout(tokens, depth, end, np.arange(len(chains)), lengths - 1)
