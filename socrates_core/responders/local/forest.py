"""Attention over a forest of prompts in one row: every block of tokens looks at its own path alone.

Registered with transformers under a name of its own. It calls the attention that the model would have used, once a
block, so that an architecture's own scaling, capping and grouping of heads stay as they are.
"""

import sys
from typing import Any

import torch
from transformers import AttentionInterface

from socrates_core.scoring.plan import Block, Layout

FOREST = "socrates_forest"


class Forest:
    """One batch's blocks on the device, with their masks, which all layers of a kind share."""

    def __init__(self, layout: Layout, *, attention: str, device: torch.device, dtype: torch.dtype) -> None:
        self.depth, self._end = (torch.from_numpy(each).to(device) for each in (layout.depth, layout.end))
        self._attention, self._dtype = attention, dtype
        self._blocks = [(block, self._columns(block)) for block in layout.blocks]
        self._masks: dict[int | None, list[torch.Tensor]] = {}

    def attend(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        **options: Any,
    ) -> torch.Tensor:
        """What every token [1, L, heads, width] takes from its path; query, key and value are [1, heads, L, width]."""
        window = options.get("sliding_window")
        if window not in self._masks:
            self._masks[window] = [self._mask(block, columns, window) for block, columns in self._blocks]
        attention = AttentionInterface().get_interface(
            self._attention, sys.modules[type(module).__module__].eager_attention_forward
        )
        return torch.cat([
            attention(
                module, query[:, :, block.start : block.stop], key[:, :, columns], value[:, :, columns], mask, **options
            )[0]
            for (block, columns), mask in zip(self._blocks, self._masks[window], strict=True)
        ], dim=1)  # fmt: skip

    def _columns(self, block: Block) -> torch.Tensor:
        """The columns that a block may look at: those it continues, then its own."""
        device = self.depth.device
        own = torch.arange(block.start, block.stop, device=device)
        return torch.cat([torch.from_numpy(block.before).to(device), own])

    def _mask(self, block: Block, columns: torch.Tensor, window: int | None) -> torch.Tensor:
        """What is added to a block's attention scores [1, 1, Q, K]: minus infinity where it may not look."""
        own = columns[len(block.before) :, None]
        allowed = (columns <= own) & (own < self._end[0, columns])
        if window is not None:
            allowed &= self.depth[0, own] - self.depth[0, columns] < window
        mask = torch.zeros(allowed.shape, dtype=self._dtype, device=columns.device)
        return mask.masked_fill_(~allowed, -torch.inf)[None, None]


def _attend(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _mask: None,
    *, forest: Forest, **options: Any,
) -> tuple[torch.Tensor, None]:  # fmt: skip
    return forest.attend(module, query, key, value, **options), None


AttentionInterface.register(FOREST, _attend)
