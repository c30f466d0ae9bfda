"""What a run leaves behind: people.parquet (a row a person x cell), cells.parquet and manifest.json."""

import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa

from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.files import file_digest, write_json, write_parquet
from socrates_core.jobs.store import now
from socrates_core.records import Answer, Number
from socrates_core.responders import Responder
from socrates_core.simulation.spec import Asked, RunSpec

LIBRARIES = ("torch", "transformers", "bitsandbytes", "numpy", "pyarrow")


@dataclass(frozen=True)
class AnsweredCell:
    """One person's cell with its answer, None where the run stopped before it."""

    asked: Asked
    answer: Answer | None
    cached: bool


def write_run(
    spec: RunSpec, cells: Sequence[AnsweredCell], responder: Responder, *, seconds: float
) -> dict[str, Any]:
    """Writes the run's tables, then its manifest, which it returns. A run that stopped early is "partial"."""
    write_parquet(spec.path / "people.parquet", _people(spec, cells))
    write_parquet(spec.path / "cells.parquet", _cells(spec, cells))
    answered = [cell for cell in cells if cell.answer is not None]
    masses = [cell.answer.valid_mass for cell in cells if cell.answer is not None]
    manifest = {
        "format": 1, "run_id": spec.run_id, "written": now(),
        "state": "complete" if len(answered) == len(cells) else "partial",
        "card": responder.card.as_dict(), "fingerprint": responder.fingerprint,
        "content": spec.content_digest(), "n_people": len(spec.people), "n_cells": len(cells),
        "n_answered": len(answered), "n_cached": sum(cell.cached for cell in answered),
        "n_tokens": sum(cell.answer.n_tokens for cell in answered if cell.answer and not cell.cached),
        "seconds": round(seconds, 3),
        "valid_mass": float(np.mean(masses)) if masses else None,
        "python": platform.python_version(), "libraries": {name: version(name) for name in LIBRARIES},
        "files": {name: file_digest(spec.path / name) for name in ("people.parquet", "cells.parquet")},
    }  # fmt: skip
    write_json(spec.path / "manifest.json", manifest)
    return manifest


def _people(spec: RunSpec, cells: Sequence[AnsweredCell]) -> pa.Table:
    columns: dict[str, list[Any]] = defaultdict(list)
    for cell in cells:
        asked, answer = cell.asked, cell.answer
        values = spec.draft.outcomes[asked.outcome].scale.scale().values
        columns["person"].append(asked.person)
        columns["source"].append(spec.people[asked.person].source)
        columns["condition"].append(asked.condition)
        columns["outcome"].append(asked.outcome)
        columns["condition_name"].append(spec.draft.conditions[asked.condition].name)
        columns["outcome_name"].append(spec.draft.outcomes[asked.outcome].name)
        columns["mean"].append(_mean(answer, values))
        columns["valid_mass"].append(answer.valid_mass if answer else None)
        columns["n_tokens"].append(answer.n_tokens if answer else None)
        columns["cached"].append(cell.cached)
        columns["probabilities"].append(answer.probabilities.tolist() if answer else None)
    return pa.table(columns)


def _mean(answer: Answer | None, values: Sequence[Number]) -> float | None:
    return float(answer.probabilities @ np.array(values)) if answer and answer.valid_mass > 0 else None


def _cells(spec: RunSpec, cells: Sequence[AnsweredCell]) -> pa.Table:
    """A row a condition x outcome: the panel's mean distribution, its mean, spread and valid mass.

    A person whose answer has no valid option (valid mass 0) is missing from the distribution, not from the mass.
    """
    by_cell: dict[tuple[int, int], list[Answer]] = defaultdict(list)
    for cell in cells:
        if cell.answer is not None:
            by_cell[cell.asked.condition, cell.asked.outcome].append(cell.answer)
    rows = []
    for (c, o), answers in sorted(by_cell.items()):
        values = np.array(spec.draft.outcomes[o].scale.scale().values, dtype=float)
        shares = mean_distribution(np.array([answer.probabilities for answer in answers]))
        spread = moments(shares, values)
        rows.append(
            {
                "condition": c, "outcome": o, "condition_name": spec.draft.conditions[c].name,
                "outcome_name": spec.draft.outcomes[o].name, "n": sum(a.valid_mass > 0 for a in answers),
                "mean": spread.mean, "sd": spread.sd,
                "valid_mass": float(np.mean([answer.valid_mass for answer in answers])),
                "values": values.tolist(), "probabilities": shares.tolist(),
            }
        )  # fmt: skip
    return pa.Table.from_pylist(rows) if rows else pa.table({"condition": [], "outcome": []})
