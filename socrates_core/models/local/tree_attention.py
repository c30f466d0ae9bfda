"""Attention over a forest of prompts in one row: every token sees only its own path.

Registered with transformers under its own name, in two kinds. In tiles: a stretch of the row is compared with the
columns that any of its tokens may see, in two plain matrix products with the softmax between them in fp32. In blocks:
one fused kernel, transformers' own flex attention, skips the blocks of which nothing may be seen. The kernel needs
Triton, which torch brings along for NVIDIA cards on Linux. On a processor its results are those of the tiles; on a card
it was *not run*, so a network tries it on a small batch before it relies on it.
"""

import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch
from torch.nn.attention.flex_attention import BlockMask
from transformers import AttentionInterface
from transformers.integrations.flex_attention import flex_attention_forward

from socrates_core.scoring.plan import Layout

FOREST = "socrates_forest"
TILE = {"cpu": 128, "cuda": 256}  # tokens; keeps a tile's scores in a processor's cache, and a GPU busy
STEP = 64  # columns
BLOCK = 128  # tokens; what flex attention skips or computes at once
TRIED = (4 * BLOCK, 8 * BLOCK)  # tokens of the rows of a trial
LONG = 1024  # tokens; the kernel is compiled again for every other length, so lengths are few

TOLERANCE = {
    torch.float32: 1e-4,
    torch.bfloat16: 0.03,
    torch.float16: 0.005,
}  # rounding of sums of numbers around 1

Kind = Literal["tiles", "blocks"]
Rule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def choose_kind(device: torch.device) -> Kind:
    """Blocks on a card that has Triton; else tiles, which on a processor are the faster ones."""
    return "blocks" if device.type == "cuda" and find_spec("triton") is not None else "tiles"


def blocks_agree(config: Any, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether blocks give on this device what tiles give, for a model's numbers of heads and their width.

    With gradients enabled, the gradients are compared too. False also if the kernel cannot be built or run here. Rows
    of two lengths are tried: for the second one torch compiles another kernel, for any length.
    """
    try:
        return all(_agree(length, config, dtype, device) for length in TRIED)
    except (
        ImportError,
        OSError,
        RuntimeError,
    ):  # no compiler, a card that is too old, too little shared memory
        return False


def _agree(length: int, config: Any, dtype: torch.dtype, device: torch.device) -> bool:
    n_heads = config.num_attention_heads
    n_groups = getattr(config, "num_key_value_heads", None) or n_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // n_heads
    generator = torch.Generator().manual_seed(0)

    def draw(n: int) -> torch.Tensor:
        drawn = torch.randn(1, n, length, width, generator=generator).to(device, dtype)
        return drawn.requires_grad_(torch.is_grad_enabled())

    # Two prompts that share the first half of a row: every kind of block occurs.
    half, fork = length // 2, 3 * length // 4
    end = np.full(length, length)
    end[half:fork] = fork
    depth = np.concatenate([np.arange(fork), np.arange(half, fork)])
    nothing = np.zeros(1, dtype=np.int64)
    layout = Layout(np.zeros((1, length), dtype=np.int64), depth[None], end[None], nothing, nothing)
    inputs = draw(n_heads), draw(n_groups), draw(n_groups)
    pull = torch.randn(1, length, n_heads, width, generator=generator).to(device, dtype)
    results = []
    for forest in (Forest(layout, device), BlockForest(layout, device)):
        taken = forest.attend(*inputs, module=torch.nn.Identity().eval(), scaling=width**-0.5)
        gradients = torch.autograd.grad(taken, inputs, pull) if taken.requires_grad else ()
        results.append([taken.detach(), *gradients])
    return all(
        float((one.float() - other.float()).norm() / one.float().norm()) <= TOLERANCE[dtype]
        for one, other in zip(*results, strict=True)
    )


def padded_length(n_tokens: int, kind: Kind) -> int:
    """How long a row of `n_tokens` is laid out.

    Tiles take multiples of 64, since oneDNN prepares, and keeps, something for every other size. Blocks take powers of
    two up to LONG and its multiples beyond.
    """
    if kind == "tiles":
        return _up_to(STEP, n_tokens)
    return _up_to(LONG, n_tokens) if n_tokens > LONG else max(BLOCK, 2 ** math.ceil(math.log2(n_tokens)))


def open_forest(layout: Layout, device: torch.device, kind: Kind) -> "Forest | BlockForest":
    """The attention of one batch, whose row is as long as `padded_length` says."""
    return Forest(layout, device) if kind == "tiles" else BlockForest(layout, device)


class Forest:
    """A batch in tiles on the device, with their masks, which all layers of one kind share."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        end = layout.end[0]
        size = TILE[device.type]
        self.depth = torch.from_numpy(layout.depth).to(device)
        self._end = torch.from_numpy(layout.end).to(device)
        self._tiles: list[tuple[int, int, slice | torch.Tensor]] = []
        for start in range(0, len(end), size):
            stop = min(start + size, len(end))
            self._tiles.append((start, stop, _columns(np.flatnonzero(end[:stop] > start), len(end), device)))
        self._masks: dict[int | None, list[torch.Tensor]] = {}

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        scaling: float,
        softcap: float | None = None,
        sliding_window: int | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """What every token takes from its path, [1, L, heads, width]; query, key and value are [1, heads, L, width].

        Heads of the query share those of key and value in equal groups. Scores are scaled, then capped at `softcap` by
        tanh if it is given. A token sees its path, or the last `sliding_window` tokens of its path.
        """
        masks = self._masks.get(sliding_window)
        if masks is None:
            masks = self._masks[sliding_window] = [self._mask(*tile, sliding_window) for tile in self._tiles]
        heads, length, width = query.shape[1:]
        n_groups = key.shape[1]
        grouped = query[0].reshape(n_groups, heads // n_groups, length, width)
        taken = query.new_empty(1, length, heads, value.shape[-1])
        for (start, stop, columns), mask in zip(self._tiles, masks, strict=True):
            queries = grouped[:, :, start:stop].reshape(n_groups, -1, width)
            keys, values = _pick(key[0], columns), _pick(value[0], columns)
            scores = torch.bmm(queries, keys.transpose(1, 2)).view(n_groups, -1, *mask.shape)
            if softcap is None:
                # Scale and mask in one operation save a tenth (docs/log.md). The mask is fp32, and so is the sum.
                scores = torch.add(mask, scores, alpha=scaling)
            else:
                scores = torch.tanh(scores.float() * (scaling / softcap)) * softcap + mask
            weights = torch.softmax(scores, dim=-1).to(values.dtype).view(n_groups, -1, mask.shape[1])
            taken[0, start:stop] = torch.bmm(weights, values).view(heads, stop - start, -1).transpose(0, 1)
        return taken

    def _mask(self, start: int, stop: int, seen: slice | torch.Tensor, window: int | None) -> torch.Tensor:
        """What is added to a tile's scores [tile, columns], in fp32: minus infinity where a token may not look."""
        rows = torch.arange(start, stop, device=self.depth.device)[:, None]
        columns = torch.arange(self.depth.shape[1], device=self.depth.device)[seen]
        hidden = (columns > rows) | (rows >= self._end[0, columns])
        if window is not None:
            hidden |= self.depth[0, rows] - self.depth[0, columns] >= window
        return torch.zeros(hidden.shape, device=self.depth.device).masked_fill_(hidden, -torch.inf)


def _pick(heads: torch.Tensor, columns: slice | torch.Tensor) -> torch.Tensor:
    return heads[:, columns] if isinstance(columns, slice) else heads.index_select(1, columns)


def _columns(columns: np.ndarray, length: int, device: torch.device) -> slice | torch.Tensor:
    """The columns, with extra ones up to a multiple of STEP, so that products have few shapes, each prepared once.

    Columns without a gap are a slice, which copies nothing. The mask hides the extra ones.
    """
    wanted = min(-(-len(columns) // STEP) * STEP, length)
    first, last = int(columns[0]), int(columns[-1])
    if last - first + 1 == len(columns):
        first = max(0, last + 1 - wanted)
        return slice(first, first + wanted)
    free = np.ones(length, dtype=bool)
    free[columns] = False
    extra = np.flatnonzero(free)[: wanted - len(columns)]
    return torch.from_numpy(np.concatenate([columns, extra])).to(device)


class BlockForest:
    """A batch in blocks on the device, with one block mask for all layers of one kind."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self.depth = torch.from_numpy(layout.depth).to(device)
        self._end = layout.end[0]
        self._end_there = torch.from_numpy(self._end).to(device)
        self._masks: dict[int | None, BlockMask] = {}

    def attend(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        *,
        module: torch.nn.Module,
        scaling: float,
        softcap: float | None = None,
        sliding_window: int | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """The same as `Forest.attend`, through transformers' own flex attention."""
        mask = self._masks.get(sliding_window)
        if mask is None:
            mask = self._masks[sliding_window] = self.block_mask(sliding_window)
        taken: torch.Tensor = flex_attention_forward(
            module, query, key, value, mask, scaling=scaling, softcap=softcap
        )[0]
        return taken

    def block_mask(self, window: int | None) -> BlockMask:
        """Which blocks of the row may see which, from where each column's descendants end.

        Not `create_block_mask`, which would make length x length booleans first, or compile itself to avoid that. In a
        window, blocks beyond it are not skipped: their scores are only hidden.
        """
        length = len(self._end)
        n_blocks = length // BLOCK
        first = np.arange(0, length, BLOCK)[:, None]  # row of each block of queries
        last = first + BLOCK - 1
        columns = np.arange(length)
        some = ((columns <= last) & (self._end > first)).reshape(n_blocks, n_blocks, BLOCK).any(axis=2)
        whole = ((columns <= first) & (self._end > last)).reshape(n_blocks, n_blocks, BLOCK).all(axis=2)
        if window is not None:
            whole[:] = False
        device = self.depth.device
        return BlockMask.from_kv_blocks(
            *_blocks(some & ~whole, device),
            *_blocks(whole, device),
            BLOCK_SIZE=BLOCK,
            mask_mod=_rule(self._end_there, self.depth[0], window),
            seq_lengths=(length, length),
        )


def _rule(end: torch.Tensor, depth: torch.Tensor, window: int | None) -> Rule:
    def sees(
        _batch: torch.Tensor, _head: torch.Tensor, row: torch.Tensor, column: torch.Tensor
    ) -> torch.Tensor:
        return (column <= row) & (row < end[column])

    if window is None:
        return sees

    def sees_window(
        batch: torch.Tensor, head: torch.Tensor, row: torch.Tensor, column: torch.Tensor
    ) -> torch.Tensor:
        return sees(batch, head, row, column) & (depth[row] - depth[column] < window)

    return sees_window


def _blocks(chosen: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """How many blocks each row of blocks has [1, 1, N], and their numbers, these first [1, 1, N, N]."""
    counts = chosen.sum(axis=1).astype(np.int32)
    places = np.argsort(~chosen, axis=1, kind="stable").astype(np.int32)
    return torch.from_numpy(counts)[None, None].to(device), torch.from_numpy(places)[None, None].to(device)


def _up_to(step: int, number: int) -> int:
    return -(-number // step) * step


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    forest: Forest | BlockForest,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    return forest.attend(query, key, value, module=module, **options), None


AttentionInterface.register(FOREST, _attend)
