"""How long a test waits, and what it says when it waited in vain."""

import inspect
import time
from collections.abc import Callable

PATIENCE = 120.0  # seconds; a busy machine takes half a minute to start a process


def wait_until(happened: Callable[[], object], *, step: float = 0.01) -> None:
    """Waits until something has happened, for as long as the tests' patience lasts, then says for what."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            awaited = " ".join(inspect.getsource(happened).split())
            raise AssertionError(f"After {PATIENCE:.0f} seconds this had not happened: {awaited}")
        time.sleep(step)
