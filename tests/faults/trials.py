"""How often a fault is tried, and what its tests share: real processes, waiting, a run that takes a while."""

import os

import pytest

TRIALS = int(os.environ.get("SOCRATES_FAULT_TRIALS", "2"))
FULL = TRIALS >= 20  # of `make faults` and `make proofs`


def fault(name: str, checked: str, trials: int | str = 1) -> pytest.MarkDecorator:
    """Marks a test with what a row of the table at the end says: the fault, what is checked and how many trials."""
    return pytest.mark.fault(name=name, checked=checked, trials=trials)
