"""Commands of finetunes: train, trainings, training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.following import follow, follow_until_done, print_submitted
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_result, print_rows, print_table, say
from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import read_estimate
from socrates_core.finetuning.learning_curve import parse_shares, submit_curve
from socrates_core.finetuning.overview import list_finetunes, load_finetune
from socrates_core.finetuning.spec import Level, TrainingSpec, fields_of, load_spec_file, training_path
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job

SCORES = {  # of the table of validations: the column's head by the score's name
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
        typer.Option(
            metavar="1,3,10",
            help="A learning curve: one finetune for each of these percentages of the people.",
        ),
    ] = None,
    evaluate: Annotated[
        bool,
        typer.Option("--evaluate", help="Then evaluate the base and the new model on the held-out side."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submit a finetune, or one for each share of the people. Prints the ids."""
    spec = load_spec_file(config)
    if shares is not None:
        jobs = submit_curve(spec, parse_shares(shares), evaluate=evaluate)
        ids = [job.id for job in jobs]
        print_result({"training_ids": ids}, "\n".join(ids), as_json)
        return _follow_all(jobs) if wait else None
    job = submit_training(spec, evaluate=evaluate)
    if estimate := read_estimate(training_path(job.id)):
        say(estimate["told"])
    if not wait:
        return print_submitted(job, "training_id", as_json)
    follow_until_done(job, "finetune")
    say(job.id)
    training(job.id, as_json)


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
    """Waits for every job. Raises UserError that names each job which was not done at its end."""
    ended = [follow(job) for job in jobs]
    not_done = [job for job in ended if job.state != "done"]
    if not_done:
        states = " ".join(
            f"{job.id} is {job.state}{f': {job.message}' if job.message else '.'}" for job in not_done
        )
        raise UserError(f"{len(not_done)} of {len(ended)} finetunes did not finish. {states}")


def trainings(as_json: AsJson = False) -> None:
    """List the finetunes, the newest first."""
    print_rows(
        list_finetunes(),
        ["training_id", "name", "method", "base", "split", "seed", "state"],
        "There are no finetunes yet. Run: python -m socrates_core train CONFIG.yaml",
        as_json,
    )


def training(training_id: str, as_json: AsJson = False) -> None:
    """Show one finetune: its state, progress, and scores on the validation rows."""
    finetune = load_finetune(training_id)
    progress = read_progress(finetune.job) if finetune.job else None
    seconds_left = progress.seconds_left if progress and finetune.active else None
    values = {**finetune.as_dict(), "seconds_left": seconds_left}
    if as_json:
        return print_json(values)
    print(f"{values['name']}: {values['state']}. {values['message']}".rstrip())
    total = f" of {values['n_steps']:,}" if values["n_steps"] else ""
    time_left = f", time left {describe_seconds(seconds_left)}" if finetune.active else ""
    print(f"{values['step']:,}{total} steps{time_left}")
    if values["model"]:
        print(
            f"Its model is {values['model']}. To evaluate it on the held-out side: python -m socrates_core evaluate "
            f"--model {values['model']} --split {values['split']}"
        )
    rows: list[dict[str, Any]] = [
        {"": name, "step": validation["step"], **{head: validation[score] for score, head in SCORES.items()}}
        for stage, name in STAGES.items()
        if (validation := values[stage])
    ]
    print_table(rows, ["", "step", *SCORES.values()], "No validation yet.")
