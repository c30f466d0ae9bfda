"""How much memory the worker's model takes: it stays open between jobs, and is let go before another needs the room."""

import os
import sys

import psutil

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import ProcessIdentity, identify
from socrates_core.settings import folder

WARM = "warm.json"
PROCESS = (
    670 * 2**20
)  # bytes of an interpreter with torch, transformers and peft, which no model gives back; measured


def note_warm() -> None:
    """Records that this process, a worker, keeps a model open, with the bytes that it takes on a card."""
    torch = sys.modules.get("torch")  # without it there is no model to note
    if torch is None:
        return
    on_card = int(torch.cuda.memory_reserved()) if torch.cuda.is_available() else 0
    write_json(folder("jobs") / WARM, {"owner": vars(identify(os.getpid())), "on_card": on_card})


def forget_warm() -> None:
    """Records that no model is kept open any more."""
    (folder("jobs") / WARM).unlink(missing_ok=True)


def warm_bytes(kind: str) -> int:
    """The bytes that the worker's model takes on the card ("cuda") or in the machine's memory ("cpu")."""
    try:
        stored = read_json(folder("jobs") / WARM)
        owner = ProcessIdentity(int(stored["owner"]["pid"]), float(stored["owner"]["started"]))
        if not owner.alive():
            return 0
        if kind == "cuda":
            return int(stored["on_card"])
        return 0 if stored["on_card"] else max(psutil.Process(owner.pid).memory_info().rss - PROCESS, 0)
    except (UserError, psutil.Error, *EDITED):
        return 0
