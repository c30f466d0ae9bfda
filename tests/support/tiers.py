"""The three tiers of the suite, each run by one command: every test belongs to exactly one."""

from collections.abc import Collection

COMMANDS = {"quick": "test-quick", "slow": "test-slow", "proof": "proofs"}  # tier: target of the Makefile
SLOW_KINDS = frozenset({"browser", "fault", "model", "r", "office"})


def tier_of(marks: Collection[str]) -> str:
    """The tier of a test with these marks: the one it names, else slow for a slow kind, else quick.

    Raises ValueError if the marks name two tiers.
    """
    named = sorted(COMMANDS.keys() & set(marks))
    if len(named) > 1:
        raise ValueError(f"A test belongs to one tier, not to {' and '.join(named)}.")
    if named:
        return named[0]
    return "slow" if SLOW_KINDS & set(marks) else "quick"
