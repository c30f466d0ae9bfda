"""Commands of evaluations: evaluate, evaluations, compare."""

from typing import Annotated, Any

import typer

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.cli.simulate import (
    AskedDecoding,
    AskedElicitation,
    AskedPrecision,
    Consent,
    Deterministic,
    KeyVariable,
    LimitUsd,
    ModelName,
    Samples,
    Server,
    follow,
    service_of,
)
from socrates_core.errors import UserError
from socrates_core.evaluations.results import list_evaluations, load_evaluation
from socrates_core.evaluations.spec import CAP, evaluation_ids
from socrates_core.evaluations.submission import evaluate_again, submit_evaluation
from socrates_core.models.served.server import N_SAMPLES, OFFICIAL

SHOWN = (
    "wasserstein_observed",
    "accuracy_draw",
    "accuracy_draw_clipped",
    "wasserstein_exact_observed",
    "wasserstein_exact_stated",
    "log_score",
    "ranked_probability",
    "valid_mass",
)
SHORT = ("W observed", "accuracy", "clipped", "W exact", "W stated", "log score", "RPS", "valid")


def evaluate(
    model: ModelName = "starter",
    split: Annotated[str, typer.Option(help="The split whose held-out side is asked.")] = "",
    studies: Annotated[
        str, typer.Option(help="Only these studies, with commas between them; alone, without a split.")
    ] = "",
    corpus: Annotated[str, typer.Option(help="The corpus of --studies where there is no split.")] = "starter",
    cap: Annotated[int, typer.Option(min=0, help="At most so many people a cell; 0 asks everybody.")] = CAP,
    seed: Annotated[int, typer.Option(min=0, help="Which people, and which draw from each answer.")] = 0,
    precision: AskedPrecision = "auto",
    decoding: AskedDecoding = "exact",
    deterministic: Deterministic = False,
    shots: Annotated[
        int,
        typer.Option(min=0, max=20, help="Answers of other people, not asked themselves, in every prompt."),
    ] = 0,
    server: Server = OFFICIAL,
    key_variable: KeyVariable = "",
    elicitation: AskedElicitation = "auto",
    samples: Samples = N_SAMPLES,
    limit_usd: LimitUsd = None,
    consent: Consent = False,
    again: Annotated[str, typer.Option(help="An evaluation to ask again, with the current scoring.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model answer as every held-out person, in the cell that they were in; prints the evaluation's id."""
    chosen = [each.strip() for each in studies.split(",") if each.strip()]
    service = service_of(model, server, key_variable, elicitation, samples)
    if again:
        job = evaluate_again(again, consent=consent)
    else:
        request = ModelRequest(model, precision, decoding, deterministic, service)
        job = submit_evaluation(
            request,
            split=split or None,
            corpus=corpus,
            studies=chosen,
            cap=cap or None,
            seed=seed,
            shots=shots,
            consent=consent,
            limit_usd=limit_usd,
        )
    if wait:
        job = follow(job)
        if job.state != "done":
            raise UserError(f"The evaluation {job.id} is {job.state}: {job.message}")
        say(job.id)
        return _show([job.id], as_json)
    print_json({"evaluation_id": job.id, "state": job.state}) if as_json else print(job.id)


def evaluations(as_json: AsJson = False) -> None:
    """List the evaluations, the newest first."""
    rows = list_evaluations()
    if as_json:
        return print_json(rows)
    columns = ["evaluation_id", "model", "on", "cap", "state", "n_rows", "n_answered"]
    print_table(
        rows,
        columns,
        "There are no evaluations yet. Run: python -m socrates_core evaluate --split NAME --wait",
    )


def compare(
    ids: Annotated[list[str], typer.Argument(help="Evaluations, or runs of drafts.")], as_json: AsJson = False
) -> None:
    """Compare evaluations, or runs of one draft, with people and baselines."""
    known = set(evaluation_ids())
    if known.issuperset(ids):
        return _show(ids, as_json)
    if known & set(ids):
        raise UserError("Evaluations and runs cannot be compared with each other. Name ids of one kind.")
    from socrates_core.projects.run_comparison import runs_beside

    rows = runs_beside(ids)
    if as_json:
        return print_json(rows.to_dict("records"))
    columns = ["outcome", "condition", "predictor", "n", "mean", "sd", "valid_mass", "w_observed", "w_stated"]
    print_table(
        [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")],
        columns,
        "These runs have no answers yet.",
    )


def _show(ids: list[str], as_json: bool) -> None:
    from socrates_core.evaluations.comparison import Comparison

    found = Comparison([load_evaluation(each) for each in ids])
    for evaluation in found.evaluations:
        if evaluation.outdated:
            again = f"Evaluate it again: python -m socrates_core evaluate --again {evaluation.id}"
            say(f"{evaluation.model}: {evaluation.outdated} {again}")
    if as_json:
        return print_json(found.as_dict())
    table = found.as_dict()["table"]
    rows: list[dict[str, Any]] = [
        {
            "": row["name"],
            **{short: row.get(name) for name, short in zip(SHOWN, SHORT, strict=True)},
            "studies": row["n_studies"],
            "cells": row["n_cells"],
            "rows": row["n_rows"],
        }
        for row in table
    ]
    print_table(rows, list(rows[0]), "")
    if found.n_left_out:
        print(
            f"\n{found.n_left_out:,} of {found.n_rows:,} rows were seen in training by one of the models: left out."
        )
    if found.unknown:
        print(f"What {', '.join(found.unknown)} saw in training is not known.")
    for name, each in found.agreements.items():
        print(
            f"\nEffects, {name}: {each.n_effects} in {each.n_studies} studies; same sign {each.sign.value:.0%}, "
            f"r {each.r.value:.2f}, slope {each.slope.value:.2f}, RMSE {each.rmse.value:.3f} of the scale"
        )
    for name, worth in found.worths.items():
        print(f"{name} is worth {worth.describe()}.")
    print(
        "\nW observed and accuracy: one draw a person, the people's observed range, as published. W exact: the exact "
        "distribution on the observed range; W stated: on the scale's own. Conventions must not be mixed."
    )
