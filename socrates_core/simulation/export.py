"""A run as files for colleagues: tables as CSV and Parquet, draft, spec, manifest and how to repeat it."""

import io
import shlex
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from socrates_core.drafts.spec import render_draft
from socrates_core.errors import UserError
from socrates_core.files import write_text
from socrates_core.simulation.results import Run

README = """\
{title}

Predicted answers of {n_people} people to {n_cells} cells by {model} ({precision}, decoding {decoding}).
They are predictions of a language model for screening ideas, not answers of people.

people.csv    one row a person x cell: probabilities over the scale's values, mean, valid mass
cells.csv     one row a condition x outcome: predicted shares; people's counts where the text is the same;
              W (Wasserstein distance) of the prediction and of the baselines, in two conventions that
              must not be mixed: the people's observed range, and the stated scale
effects.csv   differences in means against the reference condition; intervals (95%) are people's alone
spec.json     what was asked, of whom, of which model;  manifest.json: versions and SHA-256 digests
draft.yaml    the draft; in the project's folder, with the path of draft.yaml, this repeats the run:

    {command}
"""


def people_table(run: Run) -> pd.DataFrame:
    """A row a person x cell, probabilities spread over one column a value."""
    parts = []
    for o in range(len(run.spec.draft.outcomes)):
        rows = run.people[run.people["outcome"] == o]
        told = rows.drop(columns=["probabilities"]).copy()
        options = [f"{value:.15g}" for value in run.drawn_values(o)]
        answers = [row if row is not None else [None] * len(options) for row in rows["probabilities"]]
        spread = pd.DataFrame(answers, columns=[f"p_{v}" for v in options], index=rows.index)
        parts.append(told.join(spread))
    return pd.concat(parts).sort_index() if parts else run.people


def cells_table(run: Run) -> pd.DataFrame:
    """A row a condition x outcome with scores and baselines."""
    return pd.DataFrame([cell.as_dict() for cell in run.cells])


def effects_table(run: Run) -> pd.DataFrame:
    """A row an outcome x condition against the reference."""
    return pd.DataFrame([effect.as_dict() for effect in run.effects])


def export_run(run: Run, target: Path, figures: Mapping[str, bytes] | None = None) -> Path:
    """Writes a run's export into the folder `target`, which must be new or empty.

    `figures` maps file names to contents. Raises UserError where the folder cannot take them.
    """
    if target.exists() and any(target.iterdir()):
        raise UserError(
            f"The folder {str(target)!r} is not empty. Choose a new one, so that nothing is mixed."
        )
    for name, table in _tables(run).items():
        write_text(target / f"{name}.csv", table.to_csv(index=False))
    for name in ("people.parquet", "cells.parquet", "spec.json", "manifest.json"):
        shutil.copyfile(run.spec.path / name, target / name)
    write_text(target / "draft.yaml", render_draft(run.spec.draft))
    card = run.manifest["card"]
    told = README.format(
        title=run.title, n_people=run.manifest["n_people"], n_cells=run.manifest["n_cells"],
        model=card["name"], precision=card["precision"], decoding=card["decoding"],
        command=shlex.join(run.command),
    )  # fmt: skip
    write_text(target / "README.txt", told)
    for name, content in (figures or {}).items():
        (target / "figures").mkdir(exist_ok=True)
        (target / "figures" / name).write_bytes(content)
    return target


def zip_folder(path: Path) -> bytes:
    """The files of a folder as one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(path))
    return packed.getvalue()


def _tables(run: Run) -> dict[str, pd.DataFrame]:
    return {"people": people_table(run), "cells": cells_table(run), "effects": effects_table(run)}
