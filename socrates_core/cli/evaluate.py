"""Commands of evaluations: evaluate, evaluations, compare."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from socrates_core.asking.resources import resources
from socrates_core.cli.following import follow_until_done, print_submitted
from socrates_core.cli.options import AsJson, ModelOptions, comma_list, with_model_options
from socrates_core.cli.output import print_json, print_rows, print_table, say
from socrates_core.errors import UserError
from socrates_core.evaluations.results import list_evaluations, load_evaluation
from socrates_core.evaluations.rows import asked_rows
from socrates_core.evaluations.spec import CAP, EVALUATIONS, load_spec, studies_by_corpus
from socrates_core.evaluations.submission import estimate_seconds, evaluate_again, submit_evaluation
from socrates_core.jobs.progress import describe_seconds

if TYPE_CHECKING:
    from socrates_core.evaluations.comparison import Comparison

SCORES = {  # of a comparison's table: the column's head by the score's name
    "wasserstein_exact_stated": "W stated",
    "wasserstein_exact_observed": "W exact",
    "corrected_distance": "squared",
    "wasserstein_observed": "W observed",
    "wasserstein_observed_of_draws": "of 50 draws",
    "wasserstein_observed_of_draws_sd": "sd",
    "accuracy_draw": "accuracy",
    "accuracy_draw_clipped": "clipped",
    "log_score": "log score",
    "ranked_probability": "RPS",
    "valid_mass": "valid",
}
RUNGS = {  # of a comparison's ladder of effects: the column's head by the measure's name
    "name": "",
    "direction": "direction",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "r_within": "within outcomes",
    "r_adjusted": "without noise",
    "rmse": "RMSE",
    "rmse_adjusted": "RMSE without noise",
    "intercept": "intercept",
    "slope": "slope",
    "n_effects": "effects",
}


@with_model_options()
def evaluate(
    split: Annotated[str, typer.Option(help="The split whose held-out side the model answers.")] = "",
    studies: Annotated[
        str,
        typer.Option(
            help="Only these studies, separated by commas, or all of them: all. Can be given without a split. "
            "CORPUS/STUDY names one of another corpus; each corpus becomes an evaluation of its own."
        ),
    ] = "",
    corpus: Annotated[str, typer.Option(help="The corpus of --studies when there is no split.")] = "starter",
    cap: Annotated[
        int, typer.Option(min=0, help="At most this many people per cell; 0 for everybody.")
    ] = CAP,
    seed: Annotated[
        int,
        typer.Option(min=0, help="Decides which people are drawn, and which answer from each prediction."),
    ] = 0,
    shots: Annotated[
        int,
        typer.Option(
            min=0,
            max=20,
            help="Answers of this many other people, not evaluated themselves, in every prompt.",
        ),
    ] = 0,
    *,
    options: ModelOptions,
    again: Annotated[str, typer.Option(help="Repeat this evaluation with the current scoring.")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model answer as every held-out person, in the condition that they were in. Prints the evaluation's id."""
    if again:
        jobs = [evaluate_again(again, consent=options.consent)]
    else:
        by_corpus = studies_by_corpus(comma_list(studies), corpus)
        if split and set(by_corpus) - {corpus}:
            raise UserError("A split is of one corpus. Name --studies of several corpora without --split.")
        jobs = [
            submit_evaluation(
                options.request(),
                split=split or None,
                corpus=name,
                studies=of_corpus,
                cap=cap or None,
                seed=seed,
                shots=shots,
                consent=options.consent,
                limit_usd=options.limit_usd,
            )
            for name, of_corpus in (by_corpus or {corpus: []}).items()
        ]
    for job in jobs:
        _say_needs(job.id)
    if not wait:
        for job in jobs:
            print_submitted(job, "evaluation_id", as_json)
        return
    for job in jobs:
        follow_until_done(job, "evaluation")
        say(job.id)
    _print_comparison([job.id for job in jobs], as_json)


def _say_needs(evaluation_id: str) -> None:
    """Says what a model on this machine takes before it answers; nothing for other models."""
    spec = load_spec(evaluation_id)
    needed = resources(spec.model)
    if needed is not None:
        seconds = estimate_seconds(spec, asked_rows(spec))
        time = (
            f"at most {describe_seconds(seconds)}, {needed.basis}"
            if seconds
            else f"not known: {needed.basis}"
        )
        say(f"{spec.model.name}: {needed.sentence} Time on this machine: {time}.")


def evaluations(as_json: AsJson = False) -> None:
    """List the evaluations, the newest first."""
    print_rows(
        list_evaluations(),
        ["evaluation_id", "model", "on", "cap", "state", "n_rows", "n_answered"],
        "There are no evaluations yet. Run: python -m socrates_core evaluate --split NAME --wait",
        as_json,
    )


def compare(
    ids: Annotated[list[str], typer.Argument(help="Evaluations, or two to six runs.")],
    as_json: AsJson = False,
) -> None:
    """Compare evaluations with people and baselines, or runs with the first of them."""
    known = set(EVALUATIONS.ids())
    if known.issuperset(ids):
        return _print_comparison(ids, as_json)
    if known & set(ids):
        raise UserError("Evaluations and runs cannot be compared with each other. Name ids of one kind.")
    _print_runs(ids, as_json)


def _print_runs(ids: list[str], as_json: bool) -> None:
    from socrates_core.projects.run_changes import ComparedRuns
    from socrates_core.projects.run_results import load_run

    compared = ComparedRuns([load_run(run_id) for run_id in ids])
    if as_json:
        return print_json(compared.as_dict())
    for name, run in zip(compared.names, compared.runs, strict=True):
        print(f"{name} ({run.spec.run_id}): {run.verdict}")
    print()
    for name in compared.names[1:]:
        print(compared.summary(name))
    for sentence in [*map(str, compared.yardsticks), *compared.left_out]:
        print(sentence)
    for text in compared.texts:
        print(f"\n{text.what} in {text.run}\n- {text.before}\n+ {text.after}")
    columns = ["outcome", "condition", "predictor", "n", "n_profiles", "mean", "sd", "difference", "moved"]
    print()
    print_table(
        compared.table(), [*columns, "valid_mass", "w_observed"], "No condition and outcome is in all runs."
    )
    if compared.effects:
        print(f"\nDifferences from {compared.reference!r}, as shares of the scale, without intervals")
        effects = [{**vars(effect), "change": effect.change} for effect in compared.effects]
        print_table(effects, ["outcome", "condition", "run", "first", "effect", "change"], "")


def _print_comparison(ids: list[str], as_json: bool) -> None:
    from socrates_core.evaluations.comparison import Comparison

    comparison = Comparison([load_evaluation(evaluation_id) for evaluation_id in ids])
    for evaluation in comparison.evaluations:
        if evaluation.outdated:
            again = f"Evaluate it again: python -m socrates_core evaluate --again {evaluation.id}"
            say(f"{evaluation.model}: {evaluation.outdated} {again}")
    if as_json:
        return print_json(comparison.as_dict())
    for name, verdict in comparison.verdicts.items():
        print(f"{name}: {verdict}")
    print()
    rows: list[dict[str, Any]] = [
        {
            "": row["name"],
            **{head: row.get(name) for name, head in SCORES.items()},
            "studies": row["n_studies"],
            "cells": row["n_cells"],
            "people": row["n_people"],
            "asked": row["n_rows"] if row["kind"] == "model" else None,
        }
        for row in comparison.as_dict()["table"]
    ]
    print_table(rows, list(rows[0]), "")
    for summary in comparison.summaries:
        if summary.note:
            print(f"{summary.name}: {summary.note}.")
    if comparison.n_left_out:
        print(
            f"\n{comparison.n_left_out:,} of {comparison.n_rows:,} rows were left out, "
            "since one of the models was trained on them."
        )
    if comparison.n_unanswered:
        print(
            f"{comparison.n_unanswered:,} rows were left out, since one of the models answered nobody in their cells."
        )
    for duel in comparison.duels:
        if duel.winner:
            print(f"Better on {SCORES[duel.measure]}: {duel.winner} (corrected p {duel.p_holm:.3f}).")
    if comparison.unknown:
        print(f"It is not known what {', '.join(comparison.unknown)} was trained on.")
    _print_effects(comparison)
    for name, worth in comparison.worths.items():
        print(f"{name} is worth {worth.describe()}.")
    print(
        "\nW stated: the exact distribution of those asked to everybody who answered, on the scale's own range. W "
        "exact: the same on the range that people used. Squared: the squared distance without the luck of who "
        "answered, 0 for a perfect prediction. W observed and accuracy: one draw per person asked on the range that "
        "they used, as published; of 50 draws: the mean and standard deviation. Compare only numbers of one "
        "convention."
    )


def _print_effects(comparison: "Comparison") -> None:
    """How each model's effects agree with people's, and the field's measures of them with floors."""
    for name, effects in comparison.agreements.items():
        print(
            f"\nEffects, {name}: {effects.n_effects} in {effects.n_studies} studies; "
            f"same sign {effects.sign.value:.0%}, r {effects.r.value:.2f}, "
            f"slope {effects.slope.value:.2f}, RMSE {effects.rmse.value:.3f} of the scale"
        )
    if not comparison.effects.empty:
        print("\nThe field's measures of effects, in shares of the scale, with floors")
        print_table(
            [{head: getattr(row, name) for name, head in RUNGS.items()} for row in comparison.ladder],
            list(RUNGS.values()),
            "",
        )
        print()
