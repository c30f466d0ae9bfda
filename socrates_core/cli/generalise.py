"""The command generalise: what a finetuned model's training held out, answered by it and by its base."""

from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.cli.simulate import follow
from socrates_core.errors import UserError
from socrates_core.evaluations.spec import CAP

SHOWN = {
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
    cap: Annotated[int, typer.Option(min=0, help="At most so many people a cell; 0 asks everybody.")] = CAP,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show progress until the evaluations are done.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare a finetuned model with its base on what was held out of its training, evaluating what is missing.

    The table also has the finetunes of the same base and method whose training held out something else.
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
        if wait and (job := follow(job)).state != "done":
            raise UserError(f"The evaluation {job.id} is {job.state}: {job.message}")
    alike = [
        pair
        for pair in find_pairs()
        if (pair.finetune.base, pair.finetune.spec.method) == (finetune.base, finetune.spec.method)
    ]
    rows = generalisation_table(alike).to_dict("records")
    if as_json:
        return print_json({"model": model, "queued": [job.id for job in jobs], "rows": rows})
    shown = [{told: row.get(name) for name, told in SHOWN.items()} for row in rows]
    print_table(shown, list(SHOWN.values()), "Nothing to compare yet: the evaluations above are not done.")
    if shown:
        print(
            "\nImproved by: 1 - W stated / the base's, with its 95% interval, studies drawn anew (from 5 on). W "
            "stated: exact distributions on the scale's own range; W observed and accuracy: as published, one draw a "
            "person; W exact: exact distributions on people's observed range. Rows that training saw are left out."
        )
