"""The NVIDIA cards of this machine, as their driver describes them. No model and no torch is loaded for it."""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

QUERY = ("name", "driver_version", "compute_cap", "memory.total", "memory.free")
HIDDEN = ("", "-1")  # what CUDA_VISIBLE_DEVICES holds where a person wants no card to be used
REMEMBERED = 15  # seconds: the driver takes a while to answer, and a page asks at every rerun


@dataclass(frozen=True)
class GraphicsCard:
    """One card. `capability` is NVIDIA's compute capability, as (8, 9); memory is in MiB."""

    name: str
    driver: str
    capability: tuple[int, int]
    total_mib: float
    free_mib: float


def graphics_cards() -> tuple[GraphicsCard, ...]:
    """The cards that programs of this user may use, in order; none without a driver, or if they are hidden."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in HIDDEN:
        return ()
    # The argument changes with time, and with it the remembered answer expires.
    cards = _ask_driver(int(time.monotonic() // REMEMBERED))
    if visible is None:
        return cards
    places = [place.strip() for place in visible.split(",")]
    if not all(
        place.isdecimal() for place in places
    ):  # names of cards (GPU-...), which the driver does not print here
        return cards
    return tuple(cards[int(place)] for place in places if int(place) < len(cards))


@lru_cache(maxsize=1)
def _ask_driver(_moment: int) -> tuple[GraphicsCard, ...]:
    try:
        output = subprocess.run(
            ["nvidia-smi", f"--query-gpu={','.join(QUERY)}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout
        return tuple(_card(line.split(",")) for line in output.splitlines() if line.strip())
    except (OSError, subprocess.SubprocessError, ValueError):
        return ()


def _card(cells: Sequence[str]) -> GraphicsCard:
    name, driver, capability, total, free = (cell.strip() for cell in cells)
    major, _, minor = capability.partition(".")
    return GraphicsCard(name, driver, (int(major), int(minor)), float(total), float(free))


def why_unusable(card: GraphicsCard, *, built_for: str | None, capabilities: Sequence[str]) -> str:
    """Why torch cannot use a card that the driver shows, with the remedy, in a sentence.

    `built_for` is the CUDA version that torch was built for, None for a build without CUDA; `capabilities` are those
    it has code for, as "sm_80".
    """
    instead = 'To use the processor on purpose, set CUDA_VISIBLE_DEVICES="".'
    found = f"This machine has an {card.name} (driver {card.driver}), and this program cannot use it"
    if built_for is None:
        return (
            f"{found}: the installed torch is the build for processors. Install the build for CUDA "
            f"(https://pytorch.org/get-started/locally). {instead}"
        )
    oldest = min((_number(name) for name in capabilities if name.startswith("sm_")), default=0)
    own = card.capability[0] * 10 + card.capability[1]
    if own < oldest:
        return (
            f"{found}: its compute capability is {card.capability[0]}.{card.capability[1]}, and torch for CUDA "
            f"{built_for} needs {oldest // 10}.{oldest % 10} or more. Use a newer card, or an older torch. {instead}"
        )
    return (
        f"{found}: torch is built for CUDA {built_for}, which this driver may be too old for. Update the driver "
        f"(https://www.nvidia.com/drivers), or install the torch build for the driver's own CUDA version, which "
        f"nvidia-smi prints. {instead}"
    )


def _number(capability: str) -> int:
    digits = "".join(filter(str.isdecimal, capability))
    return int(digits) if digits else 0
