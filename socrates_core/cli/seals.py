"""Commands that hide people's answers, seal predictions, and reveal the answers: freeze, seal, reveal, seals."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from socrates_core.cli.options import AsJson, Corpus
from socrates_core.cli.output import print_result, print_rows
from socrates_core.corpus.store import find_study
from socrates_core.errors import UserError
from socrates_core.exposure import seals as chain_of_seals
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import RUNS


def freeze(study_id: str, corpus: Corpus = None, as_json: AsJson = False) -> None:
    """Hide people's answers to a study, here and in the dashboard, until they are revealed."""
    _print_record(chain_of_seals.freeze(find_study(study_id, corpus), study_id), as_json)


def seal(run_id: str, as_json: AsJson = False) -> None:
    """Seal a finished run, which later proves that it was made before people's answers were revealed."""
    _print_record(chain_of_seals.seal(run_id), as_json)


def reveal(
    name: Annotated[str, typer.Argument(help="A sealed run, or a study.")],
    corpus: Corpus = None,
    as_json: AsJson = False,
) -> None:
    """Show people's hidden answers to a study, or to what a sealed run predicted."""
    if name in RUNS.ids():
        record = chain_of_seals.reveal_for(name)
    else:
        record = chain_of_seals.reveal(find_study(name, corpus), name)
    _print_record(record, as_json)


def seals(as_json: AsJson = False) -> None:
    """List and verify everything that was frozen, sealed or revealed, with each sealed run's distance to people."""
    chain = chain_of_seals.verify()
    rows = [_row(checked, chain) for checked in chain]
    if not as_json:
        rows = [{**row, "digest": row["digest"][:16]} for row in rows]
    print_rows(
        rows,
        ["number", "kind", "time", "study_id", "run_id", "answers", "n_cells", "w_observed", "digest"],
        "Nothing is sealed yet. Seal a run: python -m socrates_core seal RUN",
        as_json,
    )
    problems = [f"Record {checked.number} {checked.problem}." for checked in chain if checked.problem]
    if problems:
        raise UserError(f"The chain of seals was changed after it was written: {' '.join(problems)}")


def _row(checked: chain_of_seals.Checked, chain: Sequence[chain_of_seals.Checked]) -> dict[str, Any]:
    """One record. A valid seal also gets its W to people on the range that they used, the mean over `n_cells` cells."""
    record = checked.record
    row: dict[str, Any] = {"number": checked.number, "problem": checked.problem, "digest": ""}
    if record is None:
        return row
    corpus, study_id = record.study or (None, None)
    row |= {**vars(record), "corpus": corpus, "study_id": study_id, "digest": record.digest()}
    if record.kind != "seal":
        return {**row, "answers": None}
    row["told"] = chain_of_seals.describe(record, chain)
    if not checked.problem:
        distances = [cell.distance(cell.predicted, "observed") for cell in load_run(record.run_id).cells]
        known = [distance for distance in distances if distance is not None]
        row |= {"n_cells": len(known), "w_observed": sum(known) / len(known) if known else None}
    return row


def _print_record(record: chain_of_seals.SealRecord, as_json: bool) -> None:
    study = "/".join(record.study or ())
    if record.kind == "seal":
        sentence = chain_of_seals.describe(record, [])
    elif record.kind == "freeze":
        sentence = f"People's answers to {study} are hidden from now on ({record.time})."
    else:
        sentence = f"People's answers to {study} are shown again ({record.time})."
    print_result(
        {**vars(record), "digest": record.digest(), "told": sentence},
        f"{sentence}\nRecord {record.number}, digest {record.digest()}. Give the digest to somebody to prove the time.",
        as_json,
    )
