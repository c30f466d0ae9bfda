"""The README and the pages of docs/ keep their word: trees, links, commands, and code are right."""

import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from socrates_core.__main__ import COMMANDS, app, main
from socrates_core.finetuning.spec import spec_from_dict
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

GENERATED = ("notebooks/screen_your_first_study.md", "reference/commands.md")  # by docs/hooks.py
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
LINES = list(
    dict.fromkeys(
        line.strip()
        for text in TEXTS.values()
        for line in text.splitlines()
        if line.startswith("    socrates ")
    )
)
READS = [
    "studies",
    "study",
    "prompt",
    "scale",
    "read",
    "models",
    "runs",
    "evaluations",
    "trainings",
    "seals",
    "jobs",
    "storage",
    "cache",
    "power",
]
QUICK = [line for line in LINES if line.split()[1] in READS and not re.search(r"\b[A-Z]+_ID\b", line)]


def test_every_path_of_the_tree_exists_and_every_room_is_in_the_tree() -> None:
    block = re.search(r"```\n(.*?)```", TEXTS[ROOT / "docs" / "where.md"], re.S)
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
    unnamed = ("__init__.py", "__pycache__", "py.typed")
    rooms = [path for path in (ROOT / "socrates_core").iterdir() if path.name not in unnamed]
    assert {path for path in rooms if path not in named} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_linked_or_named_file_exists(page: Path) -> None:
    text = re.sub(r"```.*?```", "", TEXTS[page], flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target
    if page.name not in ("log.md", "decisions.md"):  # they tell of files as they were
        for target in re.findall(r"`((?:docs|tests|benchmarks)/[^`\s]+)`", text):
            assert (ROOT / target).exists(), target


def test_the_site_has_every_page_and_nothing_else() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    listed: list[str] = []
    for entry in site["nav"]:
        listed += [entry] if isinstance(entry, str) else next(iter(entry.values()))
    written = [path.relative_to(ROOT / "docs").as_posix() for path in PAGES if ROOT / "docs" in path.parents]
    assert sorted(listed) == sorted([*written, *GENERATED])


def test_every_command_is_explained_and_every_explained_command_exists() -> None:
    page = TEXTS[ROOT / "docs" / "commands.md"]
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", page)] == []
    mentioned = {name for text in TEXTS.values() for name in re.findall(r"`socrates ([a-z-]+)", text)}
    assert mentioned <= COMMANDS.keys()


def parse(words: list[str]) -> None:
    """Parses a command line without running it; raises what the parser raises about it."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("socrates", words[:1], resilient_parsing=True)
    while words and hasattr(command, "get_command"):
        command = command.get_command(context, words[0])
        assert command is not None, words
        words = words[1:]
    command.make_context("socrates", list(words))


@pytest.mark.parametrize("line", [line for line in LINES if line != "socrates --help"])
def test_the_shown_command_lines_are_understood(line: str) -> None:
    parse(shlex.split(line)[1:])


def test_a_command_line_with_an_unknown_option_is_not_understood() -> None:
    with pytest.raises(Exception, match="No such option"):
        parse(["runs", "--no-such-option"])


@pytest.mark.parametrize("line", QUICK)
def test_the_commands_run(starter_home: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_the_code_of_the_library_page_runs(starter_home: Path, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)```", TEXTS[ROOT / "docs" / "library.md"], re.S)
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_the_finetune_of_the_documentation_is_one() -> None:
    page = TEXTS[ROOT / "docs" / "models.md"]
    [block] = re.findall(r"    name: .*\n(?:    \w+: .*\n)+", page)
    spec = spec_from_dict(yaml.safe_load(textwrap.dedent(block)), "models.md")
    assert (spec.method, spec.max_steps) == ("sft", 32)
    assert f"split make {spec.split}" in page and f"train {spec.name}.yaml" in page


@pytest.mark.model
def test_the_example_runs_on_the_starter_model(starter_home: Path) -> None:
    [line] = [line for line in LINES if "simulate docs/example.yaml --model starter" in line]
    words = [sys.executable, "-m", "socrates_core", *shlex.split(line)[1:]]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
