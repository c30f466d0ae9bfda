"""Work in a process of its own, whose changes to torch go with it."""

import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import ParamSpec, TypeVar

import pytest

Given = ParamSpec("Given")
Made = TypeVar("Made")


def alone(work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
    """What `work` returns, or raises, in another process. Both must be known by their names in a module."""
    with (
        pytest.MonkeyPatch.context() as patch,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process,
    ):
        # A process that is spawned runs the main module again, and Streamlit's AppTest leaves a page in its place.
        patch.setitem(sys.modules, "__main__", ModuleType("__main__"))
        return process.submit(work, *given, **named).result()
