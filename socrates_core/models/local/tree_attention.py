"""Attention over a forest of prompts in one row, tile by tile: every token sees only its own path.

Registered with transformers under its own name. A tile is a stretch of the row; it is compared with the columns that
any of its tokens may see, in two plain matrix products with the softmax between them in fp32.
"""

from typing import Any

import numpy as np
import torch
from transformers import AttentionInterface

from socrates_core.scoring.plan import Layout

FOREST = "socrates_forest"
TILE = {"cpu": 128, "cuda": 1024}  # tokens; keeps a tile's scores in a processor's cache, and a GPU busy
STEP = 64  # columns


class Forest:
    """The tiles of one batch on the device, with their masks, which all layers of one kind share."""

    def __init__(self, layout: Layout, device: torch.device) -> None:
        end = layout.end[0]
        size = TILE.get(device.type, 1024)
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


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: None,
    *,
    forest: Forest,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    return forest.attend(query, key, value, **options), None


AttentionInterface.register(FOREST, _attend)
