"""Commands that freeze people's answers, seal predictions, and reveal the answers again."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from socrates_core.cli.output import AsJson, print_json, print_table
from socrates_core.corpus.store import find_study
from socrates_core.errors import UserError
from socrates_core.exposure import seals as chain_of_seals
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import runs_folder

Corpus = Annotated[str | None, typer.Option(help="Look in this corpus alone.")]


def freeze(study_id: str, corpus: Corpus = None, as_json: AsJson = False) -> None:
    """Hide people's answers to a study, here and in the dashboard, until they are revealed."""
    _tell(chain_of_seals.freeze(find_study(study_id, corpus), study_id), as_json)


def seal(run_id: str, as_json: AsJson = False) -> None:
    """Seal a finished run, so that it can be proven to be older than a look at people's answers."""
    _tell(chain_of_seals.seal(run_id), as_json)


def reveal(
    name: Annotated[str, typer.Argument(help="A sealed run, or a study.")],
    corpus: Corpus = None,
    as_json: AsJson = False,
) -> None:
    """Show the hidden answers of people to what a sealed run asked, or to a study."""
    is_run = (runs_folder() / name / "spec.json").exists()
    _tell(
        chain_of_seals.reveal_for(name) if is_run else chain_of_seals.reveal(find_study(name, corpus), name),
        as_json,
    )


def seals(as_json: AsJson = False) -> None:
    """List everything frozen, sealed and revealed, verified, with each sealed run's distance to people."""
    found = chain_of_seals.verify()
    rows = [_row(each, found) for each in found]
    if as_json:
        print_json(rows)
    else:
        columns = [
            "number",
            "kind",
            "time",
            "study_id",
            "run_id",
            "answers",
            "n_cells",
            "w_observed",
            "digest",
        ]
        told = [{**row, "digest": row["digest"][:16]} for row in rows]
        print_table(told, columns, "Nothing is sealed yet. Seal a run: python -m socrates_core seal RUN")
    wrong = [f"Record {each.number} {each.problem}." for each in found if each.problem]
    if wrong:
        raise UserError(f"The chain of seals is not as it was written: {' '.join(wrong)}")


def _row(checked: chain_of_seals.Checked, chain: Sequence[chain_of_seals.Checked]) -> dict[str, Any]:
    """One record; of a sound seal also W to people, in their observed range, as the mean over `n_cells` cells."""
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
        known = [each for each in distances if each is not None]
        row |= {"n_cells": len(known), "w_observed": sum(known) / len(known) if known else None}
    return row


def _tell(record: chain_of_seals.SealRecord, as_json: bool) -> None:
    told = chain_of_seals.describe(record, []) if record.kind == "seal" else _changed(record)
    if as_json:
        return print_json({**vars(record), "digest": record.digest(), "told": told})
    print(f"{told}\nRecord {record.number}, digest {record.digest()}: give it to somebody to prove the time.")


def _changed(record: chain_of_seals.SealRecord) -> str:
    name = "/".join(record.study or ())
    done = "are hidden from now on" if record.kind == "freeze" else "are shown again"
    return f"People's answers to {name} {done} ({record.time})."
