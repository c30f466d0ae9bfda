"""Commands of finetunes: train, trainings, training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.cli.simulate import follow
from socrates_core.errors import UserError
from socrates_core.finetuning.learning_curve import parse_shares, submit_curve
from socrates_core.finetuning.overview import list_finetunes, load_finetune
from socrates_core.finetuning.spec import Level, TrainingSpec, fields_of, load_spec_file
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job

SHOWN = {
    "w_stated": "W stated",
    "w_uniform": "uniform",
    "w_observed": "W observed",
    "valid_mass": "valid mass",
    "accuracy": "accuracy",
    "log_score": "log score",
    "effect_r": "effect r",
    "n_cells": "cells",
    "n_rows": "answers",
}
STAGES = {"base_validation": "base", "best_validation": "best", "last_validation": "last"}


def train(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG.yaml", help="What to train, as the page Launch writes it.")
    ],
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress and end with the last validation.")
    ] = False,
    shares: Annotated[
        str | None,
        typer.Option(metavar="1,3,10", help="A learning curve: one finetune a percentage of the people."),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Then ask the base and the new model the held-out side.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a finetune, or one per share of the people; prints the ids of what was queued."""
    spec = load_spec_file(config)
    if shares is not None:
        jobs = submit_curve(spec, parse_shares(shares), evaluate=evaluate)
        ids = [job.id for job in jobs]
        print_json({"training_ids": ids}) if as_json else print("\n".join(ids))
        return _follow_all(jobs) if wait else None
    job = submit_training(spec, evaluate=evaluate)
    if wait:
        job = follow(job)
        if job.state != "done":
            raise UserError(f"The finetune {job.id} is {job.state}: {job.message}")
        say(job.id)
        return training(job.id, as_json)
    print_json({"training_id": job.id, "state": job.state}) if as_json else print(job.id)


def _fields_help(level: Level) -> str:
    """The fields of a finetune's file, a line each, as the page Launch describes them."""
    lines = []
    for name in fields_of(level):
        field = TrainingSpec.model_fields[name]
        default = "" if field.is_required() else f" [{field.default!r}]"
        description = f". {field.description}" if field.description else ""
        lines.append(f"{name}{default}: {field.title}{description}")
    return "\n".join(lines)


# A \b keeps the lines of a paragraph of the help apart.
train.__doc__ = (
    f"{train.__doc__}\n\n\b\nFields of the file, with their defaults:\n{_fields_help('simple')}"
    f"\n\n\b\nExpert fields:\n{_fields_help('expert')}"
)


def _follow_all(jobs: Sequence[Job]) -> None:
    """Waits for every job. Raises UserError that names the ones that did not end as done."""
    ended = [follow(job) for job in jobs]
    unfinished = [job for job in ended if job.state != "done"]
    if unfinished:
        states = " ".join(
            f"{job.id} is {job.state}{f': {job.message}' if job.message else '.'}" for job in unfinished
        )
        raise UserError(f"{len(unfinished)} of {len(ended)} finetunes did not end as they should. {states}")


def trainings(as_json: AsJson = False) -> None:
    """List the finetunes, the newest first."""
    rows = list_finetunes()
    if as_json:
        return print_json(rows)
    columns = ["training_id", "name", "method", "base", "split", "seed", "state"]
    print_table(rows, columns, "There are no finetunes yet. Run: python -m socrates_core train CONFIG.yaml")


def training(training_id: str, as_json: AsJson = False) -> None:
    """Show one finetune: state, progress, and how well it does on the rows kept back."""
    finetune = load_finetune(training_id)
    progress = read_progress(finetune.job) if finetune.job else None
    seconds_left = progress.seconds_left if progress and finetune.active else None
    facts = {**finetune.as_dict(), "seconds_left": seconds_left}
    if as_json:
        return print_json(facts)
    print(f"{facts['name']}: {facts['state']}. {facts['message']}".rstrip())
    of = f" of {facts['n_steps']:,}" if facts["n_steps"] else ""
    left = f", time left {describe_seconds(seconds_left)}" if finetune.active else ""
    print(f"{facts['step']:,}{of} steps{left}")
    if facts["model"]:
        print(
            f"Its model is {facts['model']}. On the held-out side: python -m socrates_core evaluate "
            f"--model {facts['model']} --split {facts['split']}"
        )
    rows: list[dict[str, Any]] = []
    for stage, name in STAGES.items():
        if validation := facts[stage]:
            measures = {short: validation[column] for column, short in SHOWN.items()}
            rows.append({"": name, "step": validation["step"], **measures})
    print_table(rows, ["", "step", *SHOWN.values()], "No validation yet.")
