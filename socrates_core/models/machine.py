"""Where models run on this machine: its first graphics card, or its processor. Nothing heavy is loaded for it."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from socrates_core.models.graphics_cards import graphics_cards
from socrates_core.models.warm import warm_bytes

MEBIBYTE = 2**20
BF16_FROM = (8, 0)  # compute capability


@dataclass(frozen=True)
class Machine:
    """What answers and trains here. Memory is in bytes; `free` counts the worker's own open model as free.

    `compact` is the smallest number format that it computes in by itself.
    """

    kind: Literal["cuda", "cpu"]
    name: str
    compact: Literal["bf16", "fp16", "fp32"]
    total: int
    free: int

    @property
    def where(self) -> str:
        """Whose memory it is, as part of a sentence."""
        return f"the GPU's memory ({self.name})" if self.kind == "cuda" else "this machine's own memory"


def this_machine() -> Machine:
    """The first card that programs may use, else the processor."""
    for card in graphics_cards()[:1]:
        return Machine(
            "cuda",
            card.name,
            "bf16" if card.capability >= BF16_FROM else "fp16",
            int(card.total_mib * MEBIBYTE),
            int(card.free_mib * MEBIBYTE) + warm_bytes("cuda"),
        )
    memory = psutil.virtual_memory()
    return Machine(
        "cpu",
        "processor",
        "bf16" if _processor_has_bf16() else "fp32",
        memory.total,
        min(memory.available + warm_bytes("cpu"), memory.total),
    )


def _processor_has_bf16() -> bool:
    """Whether the processor multiplies in bf16, by its own list of instructions; false where there is no such list."""
    listed = Path("/proc/cpuinfo")
    if sys.platform != "linux" or not listed.exists():
        return False
    flags = listed.read_text(encoding="utf-8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
