"""Checks that what is stored is whole: recomputes digests and numbers from the rows."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.corpus.splits import load_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import EDITED, UserError, clipped
from socrates_core.evaluations.results import load_evaluation
from socrates_core.exposure import seals
from socrates_core.files import read_json, read_parquet
from socrates_core.finetuning import library
from socrates_core.finetuning.rationales import open_rationales
from socrates_core.finetuning.spec import load_training
from socrates_core.importing.uploads import open_upload
from socrates_core.jobs.store import read_job
from socrates_core.keeping.kinds import KINDS
from socrates_core.populations.margins import margin_files, read_margins
from socrates_core.projects import drafts
from socrates_core.projects.experiments import load_experiment
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import load_spec
from socrates_core.settings import home

TOLERANCE = 1e-9  # of a recomputed number, relative to the range of the scale


@dataclass(frozen=True)
class StorageVerdict:
    """One record with its problem in a sentence; empty if it is whole."""

    kind: str
    name: str
    problem: str

    @property
    def whole(self) -> bool:
        return not self.problem


def verify() -> Iterator[StorageVerdict]:
    """One verdict per record, and at the end one per seal."""
    for kind, records in KINDS.items():
        for record in records.stored():
            yield StorageVerdict(kind, record.name, _problem(_CHECKS[kind], record.name))
    try:
        for seal in seals.verify():
            yield StorageVerdict("seal", str(seal.number), seal.problem)
    except UserError as error:
        yield StorageVerdict("seal", "head", str(error))


def _problem(check: Callable[[str], str], name: str) -> str:
    try:
        return check(name)
    except UserError as error:
        return str(error)
    except EDITED as error:
        return f"Its files do not have the form that this program writes ({clipped(str(error))})."


def check_run(run_id: str) -> str:
    """The problem of a run, or "": checks its digests, then compares every cell's numbers with its rows."""
    spec = load_spec(run_id)
    if not (spec.path / "manifest.json").exists():
        return ""  # a run without answers has no numbers to check
    run = load_run(run_id)
    rows = run.people
    stored = read_parquet(spec.path / "cells.parquet").to_pylist()
    answered = int(rows["valid_mass"].notna().sum())
    if (len(rows), answered) != (run.manifest.get("n_cells"), run.manifest["n_answered"]):
        return f"It says {run.manifest['n_answered']} answers and has {answered}."
    groups = dict(iter(rows[rows["valid_mass"].notna()].groupby(["condition", "outcome"])))
    if set(groups) != {(row["condition"], row["outcome"]) for row in stored}:
        return "Its cells are not those of its answers."
    for row in stored:
        group = groups[row["condition"], row["outcome"]]
        values = np.array(row["values"], dtype=float)
        # A model that puts nothing on valid answers has answered, but without a distribution.
        answered_rows = group.loc[group["valid_mass"] > 0, "probabilities"]
        answers = [np.asarray(probabilities, dtype=float) for probabilities in answered_rows]
        shares = np.mean(answers, axis=0) if answers else np.full(len(values), np.nan)
        mean = float(shares @ values)
        spread = math.sqrt(max(float(shares @ values**2) - mean**2, 0)) if answers else math.nan
        recomputed = [mean, spread, float(group["valid_mass"].mean()), *shares]
        written = [row["mean"], row["sd"], row["valid_mass"], *row["probabilities"]]
        span = max(float(np.ptp(values)) if len(values) else 0.0, 1.0)
        if row["n"] != len(answers) or not _close(recomputed, written, span):
            cell = f"{row['condition_name']!r} on {row['outcome_name']!r}"
            return f"The numbers of {cell} do not follow from its answers."
    return ""


def _close(recomputed: list[float], written: list[float | None], span: float) -> bool:
    stored = [math.nan if value is None else value for value in written]
    if len(recomputed) != len(stored):
        return False
    others = recomputed[:1] + recomputed[2:], stored[:1] + stored[2:]
    # The spread, at position 1, is the root of a difference, which keeps only half of the digits.
    return bool(
        np.allclose(*others, rtol=0, atol=TOLERANCE * span, equal_nan=True)
        and np.allclose(recomputed[1], stored[1], rtol=0, atol=1e-6 * span, equal_nan=True)
    )


def check_evaluation(evaluation_id: str) -> str:
    """The problem of an evaluation, or "": checks its digests and counts, and recomputes every mean."""
    evaluation = load_evaluation(evaluation_id)
    rows = evaluation.rows
    answered = rows[rows["probabilities"].notna()]
    if (len(rows), len(answered)) != (evaluation.manifest["n_rows"], evaluation.manifest["n_answered"]):
        return f"It says {evaluation.manifest['n_answered']} answers and has {len(answered)}."
    recomputed = [
        (cell.study_id, cell.condition_num, cell.task_num, cell.part, int(person), mean)
        for cell in evaluation.cells
        for person, mean in zip(cell.participants, cell.probabilities @ cell.values, strict=True)
    ]
    keys = ["study_id", "condition_num", "task_num", "part", "participant", "mean"]
    stored = rows[keys].sort_values(keys, ignore_index=True)
    fresh = pd.DataFrame(recomputed, columns=keys).sort_values(keys, ignore_index=True)
    span = max(1.0, float(np.nanmax(np.abs(fresh["mean"]), initial=1.0)))
    if len(stored) != len(fresh) or not stored[keys[:-1]].equals(
        fresh[keys[:-1]].astype(stored[keys[:-1]].dtypes)
    ):
        return "Its rows are not those of its studies."
    written = stored["mean"].to_numpy(dtype=float)
    if not np.allclose(fresh["mean"], written, rtol=0, atol=TOLERANCE * span, equal_nan=True):
        return "A mean does not follow from its probabilities."
    return ""


def _opens(opening: Callable[[str], object]) -> Callable[[str], str]:
    """A check that a record opens. Its reader checks the digest if it has one."""

    def check(name: str) -> str:
        opening(name)
        return ""

    return check


def _check_draft(name: str) -> str:
    drafts.open_draft(name)
    n_versions = len(list(drafts.DRAFTS.path(name).glob("v[0-9]*.json")))
    n_damaged = n_versions - len(drafts.versions(name))
    return f"{n_damaged} of its {n_versions} versions cannot be read." if n_damaged else ""


_CHECKS: dict[str, Callable[[str], str]] = {
    "draft": _check_draft,
    "run": check_run,
    "experiment": _opens(load_experiment),
    "evaluation": check_evaluation,
    "finetune": _opens(load_training),
    "adapter": lambda name: library.look_up(name).problem,
    "model": lambda name: library.look_up(name).problem,
    "split": _opens(load_split),
    "scales": _opens(lambda name: read_json(home() / KINDS["scales"].folder / f"{name}.json")),
    "corpus": _opens(open_corpus),
    "job": _opens(read_job),
    "upload": _opens(open_upload),
    "population": _opens(lambda name: read_margins(margin_files()[name])),
    "rationales": _opens(open_rationales),
}
