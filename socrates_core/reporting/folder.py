"""A report as a folder: the page, its numbers, the data behind them, and scripts that recompute them."""

import json
import platform
import shlex
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.files import file_digest, write_json, write_text
from socrates_core.projects.run_results import Run
from socrates_core.projects.run_spec import asked_cells
from socrates_core.reporting.numbers import SeenInTraining, run_numbers, seen_in_training
from socrates_core.reporting.page import render_page
from socrates_core.reporting.preregistration import render_aspredicted, render_osf
from socrates_core.reporting.run_data import run_tables
from socrates_core.reporting.sources import citations, render_sources, study_sources
from socrates_core.reporting.tables import codebook, write_csv, write_tables
from socrates_core.settings import library_versions
from socrates_core.surveys.draft import render_draft

RUN_FILES = ("spec.json", "manifest.json", "people.parquet", "cells.parquet")
LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy")


def write_report(
    run: Run,
    target: Path,
    *,
    figures: Mapping[str, bytes] | None = None,
    seen: SeenInTraining | None = None,
) -> Path:
    """Writes a run's report and replication folder into `target`, which must be new or empty.

    `figures` maps file names to contents, SVG and PNG; without them the page draws its own. `seen` says
    what the model was trained on, None as its card does. SHA256SUMS comes last, so a folder without it is unfinished.
    The same run with the same calibration gives the same files, byte for byte.
    Raises UserError where the folder cannot take them.
    """
    drawn = figures or {}
    if not run.cells:
        raise UserError(f"The run {run.spec.run_id!r} has no answer yet, so there is nothing to report.")
    check_empty(target)
    seen = seen or seen_in_training(run)
    numbers = run_numbers(run, seen)
    tables = run_tables(run, numbers, seen)
    write_tables(target, tables[:1])
    write_tables(target / "data", tables[1:])
    write_csv(target / "codebook.csv", codebook(tables))
    write_text(target / "draft.yaml", render_draft(run.spec.draft))
    write_text(target / "prompts.jsonl", "".join(_prompts(run)))
    write_json(target / "environment.json", environment(run))
    named = citations(run.manifest["card"])
    write_text(target / "SOURCES.txt", render_sources(named, study_sources(run)))
    write_text(target / "preregistration_osf.md", render_osf(run, numbers))
    write_text(target / "preregistration_aspredicted.md", render_aspredicted(run, numbers))
    write_text(target / "README.md", own_text("templates/README.md").format(command=shlex.join(run.command)))
    for name in ("analysis.py", "analysis.R"):
        write_text(target / name, own_text(f"scripts/{name}"))
    for name in RUN_FILES:
        (target / "run").mkdir(exist_ok=True)
        shutil.copyfile(run.spec.path / name, target / "run" / name)
    for name, content in drawn.items():
        (target / "figures").mkdir(exist_ok=True)
        (target / "figures" / name).write_bytes(content)
    digests = folder_digests(target)
    write_text(target / "report.html", render_page(run, numbers, figures=drawn, seen=seen, digests=digests))
    write_sums(target)
    return target


def environment(run: Run) -> dict[str, Any]:
    """What computed the answers, and what wrote the report of them."""
    manifest, draft = run.manifest, run.spec.draft
    return {
        "run": {
            "written": manifest["written"],
            "python": manifest["python"],
            "libraries": manifest["libraries"],
            "card": manifest["card"],
            "fingerprint": manifest["fingerprint"],
            "seeds": {
                "panel": draft.panel.seed,
                "open answers": "from the prompt, see run/people.parquet n_samples",
            },
        },
        "report": this_environment(),
    }


def this_environment() -> dict[str, Any]:
    """What writes the report."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": library_versions(LIBRARIES),
    }


def check_empty(target: Path) -> None:
    """Raises UserError where `target` is a file or a folder that holds something."""
    if target.is_file() or (target.exists() and any(target.iterdir())):
        raise UserError(
            f"The folder {str(target)!r} is not empty. Choose a new one, so that nothing is mixed."
        )


def _prompts(run: Run) -> list[str]:
    return [
        json.dumps(
            {
                "person": asked.person,
                "condition": asked.condition,
                "outcome": asked.outcome,
                "messages": asked.question.prompt.messages(),
                "options": asked.question.options,
            },
            ensure_ascii=False,
        )
        + "\n"
        for asked in asked_cells(run.spec)
    ]


def write_sums(target: Path) -> None:
    """Writes SHA256SUMS of every other file of the folder, as the last."""
    sums = [f"{digest}  {name}\n" for name, digest in folder_digests(target).items()]
    write_text(target / "SHA256SUMS", "".join(sums))


def folder_digests(target: Path) -> dict[str, str]:
    """SHA-256 of every file of the folder by its path in it, in order."""
    paths = sorted(path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): file_digest(path) for path in paths}


def own_text(name: str) -> str:
    """A template's or a script's text by its path in this package."""
    return files("socrates_core.reporting").joinpath(name).read_text(encoding="utf-8")
