"""The command that compares a finetuned model with its base on held-out answers: generalise."""

from typing import Annotated

import typer

from socrates_core.cli.following import follow_until_done
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_table, say
from socrates_core.evaluations.spec import CAP

COLUMNS = {  # of the table: the column's head by its name in the numbers
    "kind": "unseen",
    "who": "who",
    "wasserstein_exact_stated": "W stated",
    "wasserstein_observed": "W observed",
    "wasserstein_exact_observed": "W exact",
    "accuracy_draw": "accuracy",
    "log_score": "log score",
    "effect_r": "effect r",
    "valid_mass": "valid",
    "improvement": "improved by",
    "improvement_low": "low",
    "improvement_high": "high",
    "n_studies": "studies",
    "n_cells": "cells",
    "n_rows": "rows",
    "n_left_out": "seen",
}


def generalise(
    model: Annotated[str, typer.Argument(help="A finetuned model.")],
    cap: Annotated[
        int, typer.Option(min=0, help="At most this many people per cell; 0 for everybody.")
    ] = CAP,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the evaluations are done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a finetuned model with its base on what its training held out. Evaluates what is missing.

    The table also has finetunes of the same base and method whose training held out something else.
    """
    from socrates_core.finetuning.generalisation import (
        find_pairs,
        generalisation_table,
        open_finetune,
        submit_missing,
    )

    finetune = open_finetune(model)
    jobs = submit_missing(finetune, cap=cap or None)
    for job in jobs:
        say(f"{job.id}: {job.title}")
        if wait:
            follow_until_done(job, "evaluation")
    alike = [
        pair
        for pair in find_pairs()
        if (pair.finetune.base, pair.finetune.spec.method) == (finetune.base, finetune.spec.method)
    ]
    rows = generalisation_table(alike).to_dict("records")
    if as_json:
        return print_json({"model": model, "queued": [job.id for job in jobs], "rows": rows})
    table = [{head: row.get(name) for name, head in COLUMNS.items()} for row in rows]
    print_table(table, list(COLUMNS.values()), "Nothing to compare yet: the evaluations above are not done.")
    if table:
        print(
            "\nImproved by: 1 - W stated / W stated of the base, with a 95% interval over studies (5 or "
            "more). W stated: exact distributions on the scale's own range. W observed and accuracy: one draw per "
            "person, as published. W exact: exact distributions on the range that people used. Rows from training are "
            "left out."
        )
