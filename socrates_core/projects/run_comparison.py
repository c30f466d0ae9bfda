"""Runs of one draft compared cell by cell, with people and baselines."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from socrates_core.analysis.baselines import uniform
from socrates_core.analysis.summary import moments
from socrates_core.errors import UserError
from socrates_core.projects.run_results import RunCell, SimulationRun, load_run
from socrates_core.records import Floats


def runs_beside(ids: Sequence[str]) -> pd.DataFrame:
    """A row for each cell and predictor: the runs by name, then people and the baselines.

    Columns outcome, condition, predictor, kind ("model", "people", "baseline"), n (people, or simulated people),
    n_profiles (distinct ones), mean, sd, valid_mass, w_observed, w_stated, values and probabilities. Raises UserError
    where the runs do not ask the same.
    """
    runs = [load_run(each) for each in ids]
    requests = [(run.spec.shown, [o.scale.scale() for o in run.spec.draft.outcomes]) for run in runs]
    for run, each in zip(runs[1:], requests[1:], strict=True):
        if each != requests[0]:
            raise UserError(
                f"The runs {ids[0]!r} and {run.spec.run_id!r} ask different things, so they cannot be compared. "
                "Compare runs of one draft."
            )
    names = run_names(runs)
    rows = [
        _row(
            cell,
            name,
            "model",
            cell.predicted,
            n=cell.n_simulated,
            n_profiles=cell.n,
            valid_mass=cell.valid_mass,
        )
        for name, run in zip(names, runs, strict=True)
        for cell in run.cells
    ]
    for cell in runs[0].cells:
        if cell.counts is None:
            continue
        rows.append(_row(cell, "people", "people", cell.counts / max(cell.counts.sum(), 1), n=cell.n_people))
        rows.append(_row(cell, "uniform", "baseline", uniform(len(cell.values))))
        if cell.condition_blind is not None:
            rows.append(_row(cell, "condition-blind", "baseline", cell.condition_blind))
    return pd.DataFrame(rows).sort_values(["outcome_num", "condition_num"], kind="stable", ignore_index=True)


def run_names(runs: Sequence[SimulationRun]) -> list[str]:
    """Each run's model and precision, with the run's id where several have the same."""
    plain = [f"{run.model} ({run.manifest['card']['precision']})" for run in runs]
    return [
        name if plain.count(name) == 1 else f"{name} {run.spec.run_id}"
        for name, run in zip(plain, runs, strict=True)
    ]


def _row(
    cell: RunCell,
    predictor: str,
    kind: str,
    shares: Floats,
    *,
    n: int | None = None,
    n_profiles: int | None = None,
    valid_mass: float | None = None,
) -> dict[str, Any]:
    spread = moments(shares, cell.values)
    is_people = kind == "people"
    return {
        "outcome_num": cell.outcome,
        "condition_num": cell.condition,
        "outcome": cell.outcome_name,
        "condition": cell.condition_name,
        "predictor": predictor,
        "kind": kind,
        "n": n,
        "n_profiles": n_profiles,
        "mean": spread.mean,
        "sd": spread.sd,
        "valid_mass": valid_mass,
        "w_observed": None if is_people else cell.distance(shares, "observed"),
        "w_stated": None if is_people else cell.distance(shares, "stated"),
        "values": cell.values.tolist(),
        "probabilities": shares.tolist(),
    }
