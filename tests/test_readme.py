"""The README keeps its word: its tree is the tree, its commands run, its links exist."""

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import yaml

from socrates_core.__main__ import COMMANDS as LISTED
from socrates_core.finetuning.spec import spec_from_dict
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.strip()
    for line in README.splitlines()
    if line.startswith("    .venv/bin/python -m socrates_core")
    and not re.search(
        "socrates_core (simulate|import|export|train|split make)", line
    )  # these have tests of their own
]


def test_every_path_of_the_tree_exists_and_every_room_is_in_the_tree() -> None:
    block = re.search(r"```\n(.*?)```", README, re.S)
    assert block
    base, named = ROOT, set()
    for line in block[1].splitlines():
        names = re.split(r"\s{2,}", line.strip())[0].split()
        if not line.startswith(" "):
            base = ROOT / names[0] if names[0] in ("pages/", "socrates_core/") else ROOT
        for name in names:
            path = ROOT / name if not line.startswith(" ") else base / name
            assert path.exists(), path
            named.add(path)
    rooms = [p for p in (ROOT / "socrates_core").iterdir() if p.name not in ("__init__.py", "__pycache__")]
    assert {path for path in rooms if path not in named} == set()


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README) + re.findall(r"`(docs/[^`]+)`", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_every_command_of_the_command_line_is_named() -> None:
    assert [name for name in LISTED if not re.search(rf"\b{name}\b", README)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_run(starter_home: Path, command: str) -> None:
    words = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


def test_the_finetune_of_the_readme_is_one() -> None:
    [block] = re.findall(r"    name: .*\n(?:    \w+: .*\n)+", README)
    spec = spec_from_dict(yaml.safe_load(textwrap.dedent(block)), "README.md")
    assert (spec.method, spec.max_steps) == ("sft", 32)
    assert f"split make {spec.split}" in README and f"train {spec.name}.yaml" in README


@pytest.mark.model
def test_the_example_runs_on_the_starter_model(starter_home: Path) -> None:
    [line] = [line.strip() for line in README.splitlines() if "simulate docs/example.yaml" in line]
    words = [sys.executable, *shlex.split(line)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
