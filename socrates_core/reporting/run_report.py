"""The report of a run: what its page shows, and what else lies in its folder."""

import base64
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.populations.panel import profiles_sentence
from socrates_core.projects.run_means import PEOPLE, PREDICTED, MeanRow, means
from socrates_core.projects.run_results import SimulationRun
from socrates_core.projects.run_spec import asked_cells
from socrates_core.records import LOW_MASS
from socrates_core.reporting.document import Document
from socrates_core.reporting.drawings import draw_effect, draw_shares, reach_of, top_share
from socrates_core.reporting.folder import check_empty, write_document
from socrates_core.reporting.numbers import Numbers
from socrates_core.reporting.preregistration import render_aspredicted, render_osf
from socrates_core.reporting.run_data import run_tables
from socrates_core.reporting.run_numbers import SeenInTraining, run_numbers, seen_in_training
from socrates_core.reporting.sources import citations, study_sources
from socrates_core.scales import render_instruction
from socrates_core.scales.order import is_ordered
from socrates_core.scales.rendering import number_text
from socrates_core.surveys.draft import render_draft

RUN_FILES = ("spec.json", "manifest.json", "people.parquet", "cells.parquet")
SCRIPTS = ("shared.py", "refit.py", "analysis.py", "shared.R", "refit.R", "analysis.R")
MOST_COLUMNS = 11  # a scale with more values has its shares in numbers.csv alone


def write_report(
    run: SimulationRun,
    target: Path,
    *,
    figures: Mapping[str, bytes] | None = None,
    seen: SeenInTraining | None = None,
) -> Path:
    """Writes a run's report and replication folder into `target`, which must be new or empty.

    `figures` maps file names to contents, SVG and PNG; without them the page draws its own. `seen` says what the model
    was trained on; by default, the model's card does. The same run with the same calibration gives the same files, byte
    for byte. Raises UserError if the run has no answer or the folder cannot be written.
    """
    if not run.cells:
        raise UserError(f"The run {run.spec.run_id!r} has no answer yet, so there is nothing to report.")
    # Checked again when it is written; here, before the work.
    check_empty(target)
    seen = seen or seen_in_training(run)
    return write_document(_document(run, figures or {}, seen), target)


def _document(run: SimulationRun, figures: Mapping[str, bytes], seen: SeenInTraining) -> Document:
    manifest = run.manifest
    numbers = run_numbers(run, seen)
    return Document(
        kind="run",
        title=run.spec.draft.title,
        sections=_sections(run, numbers, figures, seen),
        numbers=numbers,
        tables=run_tables(run, seen),
        scripts=SCRIPTS,
        prompts=list(_prompts(run)),
        sources=study_sources(run),
        citations=citations(manifest["card"]),
        stored={"what was asked": manifest["content"], "what answered": manifest["fingerprint"]},
        command=shlex.join(run.command),
        environment={"run": _environment(run)},
        files={
            "draft.yaml": render_draft(run.spec.draft),
            "preregistration_osf.md": render_osf(run, numbers),
            "preregistration_aspredicted.md": render_aspredicted(run, numbers),
            **{f"run/{name}": run.spec.path / name for name in RUN_FILES},
            **{f"figures/{name}": content for name, content in figures.items()},
        },
    )


def _environment(run: SimulationRun) -> dict[str, Any]:
    """What computed the answers."""
    manifest = run.manifest
    seeds = {
        "panel": run.spec.draft.panel.seed,
        "open answers": "from the prompt, see run/people.parquet n_samples",
    }
    kept = {name: manifest[name] for name in ("written", "python", "libraries", "card", "fingerprint")}
    return {**kept, "seeds": seeds}


def _prompts(run: SimulationRun) -> Iterator[dict[str, Any]]:
    """Every prompt of the run."""
    for asked in asked_cells(run.spec):
        yield {
            "person": asked.person,
            "condition": asked.condition,
            "outcome": asked.outcome,
            "messages": asked.question.prompt.messages(),
            "options": asked.question.options,
        }


def _sections(
    run: SimulationRun, numbers: Numbers, figures: Mapping[str, bytes], seen: SeenInTraining
) -> dict[str, Any]:
    """What the sections of run.html show."""
    rows = {(row.outcome, row.condition, row.who): row for row in means(run)}
    return {
        "run": run,
        "verdict": run.verdict,
        "draft": run.spec.draft,
        "manifest": run.manifest,
        "card": run.manifest["card"],
        "outcomes": [_outcome(run, o, figures, rows) for o in range(len(run.spec.draft.outcomes))],
        "effects_figure": _inline(figures.get("effects.svg")),
        "drawn_by_browser": bool(figures),
        "low_mass": numbers.get("valid_mass") < LOW_MASS,
        "example": next(asked_cells(run.spec)).question.prompt,
        "has_people": any(cell.counts is not None for cell in run.cells),
        "people_sentence": run.people_sentence,
        "profiles_sentence": profiles_sentence(run.spec.people),
        "population": run.population,
        "seen": seen,
        "calibration": run.calibration,
        "most_columns": MOST_COLUMNS,
        "number_text": number_text,
    }


def _outcome(
    run: SimulationRun, o: int, figures: Mapping[str, bytes], rows: Mapping[tuple[str, str, str], MeanRow]
) -> dict[str, Any]:
    """An outcome with its cells, the rows of its table of means, its effects and drawings."""
    outcome = run.spec.draft.outcomes[o]
    conditions = [condition.name for condition in run.spec.draft.conditions]
    cells = [cell for cell in run.cells if cell.outcome == o]
    effects = [effect for effect in run.effects if effect.outcome == outcome.name]
    scale = outcome.scale.scale()
    values = run.scales[o].values
    top = top_share(cells)
    reach = reach_of(effects)
    return {
        "index": o,
        "name": outcome.name,
        "question": outcome.question.strip(),
        "instruction": render_instruction(scale),
        "values": values,
        "options": [run.scales[o].label(value) or number_text(value) for value in values],
        "ends": [
            f"{number_text(value)} {scale.label(value)}".strip() for value in (*values[:1], *values[-1:])
        ],
        "cells": cells,
        "is_ordered": is_ordered(run.scales[o]),
        "means": [
            (cell, who, rows[outcome.name, cell.condition_name, who])
            for cell in cells
            for who in (PEOPLE, PREDICTED)
            if (outcome.name, cell.condition_name, who) in rows
        ],
        "top": f"{top:.0%}",
        "panels": [draw_shares(cell, top) for cell in cells],
        "is_open": scale.is_open,
        "figure": _inline(figures.get(f"outcome_{o + 1}.svg")),
        "effects": [
            (conditions.index(effect.condition), effect, draw_effect(effect, reach)) for effect in effects
        ],
        "option_effects": [
            (conditions.index(options.condition), options)
            for options in run.option_effects
            if options.outcome == outcome.name
        ],
        "reach": f"{reach:g}",
    }


def _inline(svg: bytes | None) -> str:
    """An SVG file as the address of an image, empty without one. Inside an image, no script of the file can run."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" if svg else ""
