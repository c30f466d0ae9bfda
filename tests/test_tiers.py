"""Every test belongs to exactly one tier, and each tier has its command."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.tiers import COMMANDS, SLOW_KINDS, tier_of

ROOT = Path(__file__).parents[1]


def recipe(target: str) -> str:
    """What the Makefile does for a target."""
    return "\n".join(re.findall(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M))


def test_no_test_imports_another_test() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert ".test_" not in f".{node.module}", f"{path} imports {node.module}"


def test_the_three_commands_together_run_every_tier_once() -> None:
    for tier, target in COMMANDS.items():
        assert re.findall(r"-m (\w+)$", recipe(target), re.M) == [tier]
    assert recipe("test").endswith("check test-quick\n")
    assert re.findall(r"^make (.*)$", (ROOT / ".ci" / "run").read_text(), re.M) == ["test", "test-slow"]


def test_every_collected_test_carries_exactly_one_tier(request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        tiers = COMMANDS.keys() & {mark.name for mark in item.iter_markers()}
        assert len(tiers) == 1, item.nodeid


@pytest.mark.parametrize(
    ("marks", "tier"),
    [((), "quick"), (("parametrize",), "quick"), (("browser", "quick"), "quick"), (("r", "proof"), "proof")]
    + [((kind,), "slow") for kind in sorted(SLOW_KINDS)],
)
def test_a_test_is_quick_unless_it_says_or_needs_otherwise(marks: tuple[str, ...], tier: str) -> None:
    assert tier_of(marks) == tier


def test_two_tiers_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="proof and slow"):
        tier_of({"slow", "proof"})
