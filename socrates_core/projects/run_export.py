"""A run as tables for pages and files, and a folder as one archive."""

import io
import zipfile
from pathlib import Path

import pandas as pd

from socrates_core.projects.run_results import SimulationRun


def people_table(run: SimulationRun) -> pd.DataFrame:
    """A row for each person and cell, with a column for the probability of each value."""
    parts = []
    for o in range(len(run.spec.draft.outcomes)):
        rows = run.people[run.people["outcome"] == o]
        columns = rows.drop(columns=["probabilities"]).copy()
        options = [f"{value:.15g}" for value in run.drawn_values(o)]
        answers = [row if row is not None else [None] * len(options) for row in rows["probabilities"]]
        spread = pd.DataFrame(answers, columns=[f"p_{v}" for v in options], index=rows.index)
        parts.append(columns.join(spread))
    return pd.concat(parts).sort_index() if parts else run.people


def cells_table(run: SimulationRun) -> pd.DataFrame:
    """A row for each condition and outcome, with scores and baselines."""
    return pd.DataFrame([cell.as_dict() for cell in run.cells])


def effects_table(run: SimulationRun) -> pd.DataFrame:
    """A row for each outcome and condition against the reference."""
    return pd.DataFrame([effect.as_dict() for effect in run.effects])


def zip_folder(path: Path) -> bytes:
    """The files of a folder as one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path))
    return packed.getvalue()
