"""Work in a process of its own, whose changes to torch go with it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Made = TypeVar("Made")


def alone(work: Callable[Given, Made], *given: Given.args, **named: Given.kwargs) -> Made:
    """What `work` returns, or raises, in another process. Both must be known by their names in a module."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *given, **named).result()
