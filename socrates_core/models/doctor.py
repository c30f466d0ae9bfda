"""What this machine can run: each thing that a model needs, whether it is there, and the remedy if it is not."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from socrates_core.errors import UserError, clipped
from socrates_core.models.graphics_cards import graphics_cards, why_unusable
from socrates_core.models.machine import BF16_FROM
from socrates_core.settings import home, ours_only

PATIENCE = 120.0  # seconds: on a busy machine, loading torch alone takes many
State = Literal["good", "note", "problem"]
HUB = "https://huggingface.co"
SECONDS = 5.0  # to wait for the hub
LITTLE_DISK = 20 * 10**9  # bytes: a model of 8 billion parameters in bf16 takes 16 GB
LITTLE_MEMORY = 2 * 2**30  # bytes: less is not enough for the starter model next to a browser


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found in `sentence`, with the remedy if it is a problem."""

    name: str
    state: State
    sentence: str


def examine_apart() -> list[Check]:
    """Every check, from a process of its own: torch must not stay in the dashboard. Raises UserError if it fails."""
    command, environment = ours_only("socrates_core", "doctor", "--json")
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        return [Check(**check) for check in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise UserError(
            f"This machine could not be examined ({clipped(str(error), 200)}). In a terminal: socrates doctor"
        ) from error


def examine() -> list[Check]:
    """Every check, in the order in which a person would mend them. Loads torch, and waits for the hub."""
    return [*_cards(), _processor(), _memory(), _four_bit(), _disk(), _hub()]


def _cards() -> Iterator[Check]:
    import torch

    cards = graphics_cards()
    if not cards:
        yield Check("Graphics card", "note", "No NVIDIA card is visible. Models answer on the processor.")
    usable = torch.cuda.is_available()
    for card in cards:
        if not usable:
            sentence = why_unusable(
                card, built_for=torch.version.cuda, capabilities=torch.cuda.get_arch_list()
            )
            yield Check("Graphics card", "problem", sentence)
            continue
        major, minor = card.capability
        bf16 = (
            "computes in bf16"
            if card.capability >= BF16_FROM
            else "does not compute in bf16, so models use fp16"
        )
        yield Check(
            "Graphics card",
            "good" if card.capability >= BF16_FROM else "note",
            f"{card.name}, driver {card.driver}, torch for CUDA {torch.version.cuda}, compute capability "
            f"{major}.{minor}: {bf16}. {card.free_mib / 1024:.1f} of {card.total_mib / 1024:.1f} GiB are free.",
        )


def _processor() -> Check:
    import torch

    from socrates_core.models.local.load import has_bf16

    fast = has_bf16(torch.device("cpu"))
    return Check(
        "Processor",
        "good" if fast else "note",
        f"{torch.get_num_threads()} threads; "
        + (
            "computes in bf16."
            if fast
            else "does not compute in bf16, so models use fp32 here: slower, with twice the memory."
        ),
    )


def _memory() -> Check:
    import psutil

    memory = psutil.virtual_memory()
    enough = memory.available >= LITTLE_MEMORY
    sentence = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB are free."
    return Check(
        "Memory",
        "good" if enough else "problem",
        sentence if enough else f"{sentence} Close other programs: a model needs at least 2 GiB.",
    )


def _four_bit() -> Check:
    if find_spec("bitsandbytes") is None:
        return Check(
            "4 bits",
            "problem",
            "bitsandbytes is missing, so no model can answer in 4 bits. Run: pip install bitsandbytes",
        )
    return Check("4 bits", "good", "bitsandbytes is installed.")


def _disk() -> Check:
    place = home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    enough = free >= LITTLE_DISK
    sentence = f"{free / 1e9:,.0f} GB are free at {str(home())!r}."
    return Check(
        "Disk",
        "good" if enough else "note",
        sentence
        if enough
        else f"{sentence} A model of 8 billion parameters takes 16 GB, one of 14 billion 30 GB.",
    )


def _hub() -> Check:
    from httpx2 import HTTPError, head

    try:
        head(HUB, timeout=SECONDS, follow_redirects=True)
    except (HTTPError, OSError) as error:
        cause = str(error) or type(error).__name__
        return Check(
            "Hugging Face",
            "note",
            f"{HUB} cannot be reached ({cause}). Models that are on this machine answer without it; to fetch others, "
            "check the connection, or copy their folders here.",
        )
    return Check("Hugging Face", "good", f"{HUB} can be reached.")
