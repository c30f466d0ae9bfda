"""The files of a run: people.parquet (a row for each person and cell), cells.parquet and manifest.json."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.asking.answer import OpenModel
from socrates_core.asking.manifest import describe_answers
from socrates_core.files import file_digest, replacing, write_json
from socrates_core.projects.run_spec import PersonQuestion, RunSpec
from socrates_core.records import Answer, Floats


@dataclass(frozen=True)
class PersonAnswer:
    """One person's question with its answer, None where the run stopped before it."""

    asked: PersonQuestion
    answer: Answer | None
    cached: bool


def write_run(
    spec: RunSpec, cells: Sequence[PersonAnswer], model: OpenModel, *, seconds: float
) -> dict[str, Any]:
    """Writes the run's tables, then its manifest, which it returns. A run that stopped early is "partial"."""
    values = _values(spec, cells)
    tables = {"people.parquet": _people(spec, cells, values), "cells.parquet": _cells(spec, cells, values)}
    with ExitStack() as together:
        # Both tables take their places one after the other, and the manifest right after them.
        asides = {name: together.enter_context(replacing(spec.path / name)) for name in tables}
        for name, table in tables.items():
            pq.write_table(table, asides[name], compression="zstd")
        files = {name: file_digest(aside) for name, aside in asides.items()}
    answered = [cell for cell in cells if cell.answer is not None]
    masses = np.array([cell.answer.valid_mass for cell in answered if cell.answer])
    weights = np.array([spec.people[cell.asked.person].weight for cell in answered])
    complete = len(answered) == len(cells)
    manifest = {
        **describe_answers(model, masses, content=spec.content_digest(), complete=complete, weights=weights),
        "run_id": spec.run_id,
        "n_people": len(spec.people),
        "n_cells": len(cells),
        "n_answered": len(answered),
        "n_cached": sum(cell.cached for cell in answered),
        "n_tokens": sum(cell.answer.n_tokens for cell in answered if cell.answer and not cell.cached),
        "seconds": round(seconds, 3),
        "files": files,
    }
    write_json(spec.path / "manifest.json", manifest)
    return manifest


def _values(spec: RunSpec, cells: Sequence[PersonAnswer]) -> list[Floats]:
    """The values of each outcome: those of its scale, or of an open one every number that was drawn in the run."""
    values = [np.array(outcome.scale.scale().values, dtype=float) for outcome in spec.draft.outcomes]
    drawn = defaultdict(list)
    for cell in cells:
        if cell.answer is not None and cell.answer.values is not None:
            drawn[cell.asked.outcome].append(cell.answer.values)
    return [np.unique(np.concatenate(drawn[o])) if drawn[o] else listed for o, listed in enumerate(values)]


def _shares(answer: Answer, values: Floats) -> Floats:
    """An answer's probabilities over the outcome's `values`; NaN where nothing drawn was an answer."""
    if answer.values is None:
        return answer.probabilities
    shares = np.full(len(values), 0.0 if answer.valid_mass > 0 else np.nan)
    shares[np.searchsorted(values, answer.values)] = answer.probabilities
    return shares


def _people(spec: RunSpec, cells: Sequence[PersonAnswer], values: Sequence[Floats]) -> pa.Table:
    columns: dict[str, list[Any]] = defaultdict(list)
    for cell in cells:
        question = cell.asked
        answer = cell.answer
        shares = _shares(answer, values[question.outcome]) if answer else None
        columns["person"].append(question.person)
        columns["source"].append(spec.people[question.person].source)
        columns["weight"].append(spec.people[question.person].weight)
        columns["condition"].append(question.condition)
        columns["outcome"].append(question.outcome)
        columns["condition_name"].append(spec.draft.conditions[question.condition].name)
        columns["outcome_name"].append(spec.draft.outcomes[question.outcome].name)
        columns["mean"].append(
            None if shares is None or np.isnan(shares).any() else float(shares @ values[question.outcome])
        )
        columns["valid_mass"].append(answer.valid_mass if answer else None)
        columns["n_tokens"].append(answer.n_tokens if answer else None)
        columns["cached"].append(cell.cached)
        columns["n_samples"].append(answer.n_samples if answer else None)
        columns["probabilities"].append(None if shares is None else shares.tolist())
    return pa.table(columns)


def _cells(spec: RunSpec, cells: Sequence[PersonAnswer], listed: Sequence[Floats]) -> pa.Table:
    """A row for each condition and outcome: the panel's weighted mean distribution, its mean, spread and valid mass.

    A person whose answer has no valid option counts for the valid mass (with 0), but not for the distribution.
    """
    by_cell: dict[tuple[int, int], list[Answer]] = defaultdict(list)
    weights_by_cell: dict[tuple[int, int], list[float]] = defaultdict(list)
    for cell in cells:
        if cell.answer is not None:
            key = cell.asked.condition, cell.asked.outcome
            by_cell[key].append(cell.answer)
            weights_by_cell[key].append(spec.people[cell.asked.person].weight)
    rows = []
    for (c, o), answers in sorted(by_cell.items()):
        values = listed[o]
        weights = np.array(weights_by_cell[c, o])
        shares = mean_distribution(np.array([_shares(answer, values) for answer in answers]), weights)
        spread = moments(shares, values)
        rows.append(
            {
                "condition": c,
                "outcome": o,
                "condition_name": spec.draft.conditions[c].name,
                "outcome_name": spec.draft.outcomes[o].name,
                "n": sum(a.valid_mass > 0 for a in answers),
                "mean": spread.mean,
                "sd": spread.sd,
                "valid_mass": float(np.average([answer.valid_mass for answer in answers], weights=weights)),
                "n_samples": max(answer.n_samples for answer in answers),
                "values": values.tolist(),
                "probabilities": shares.tolist(),
            }
        )
    return pa.Table.from_pylist(rows) if rows else pa.table({"condition": [], "outcome": []})
