"""Commands of runs: simulate, runs, run."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.following import follow_until_done, print_submitted
from socrates_core.cli.options import AsJson, ModelOptions, with_model_options
from socrates_core.cli.output import print_json, print_result, print_rows, print_table, say
from socrates_core.errors import UserError
from socrates_core.models import is_served, is_stand_in
from socrates_core.populations.margins import read_margins
from socrates_core.populations.panel import eligible, profiles_sentence
from socrates_core.populations.remarks import describe_population
from socrates_core.projects.answer_orders import Order, reversed_texts
from socrates_core.projects.run_estimate import describe_estimate, describe_needs, estimate
from socrates_core.projects.run_factors import WITHOUT_INTERVAL, FactorEffect, factor_effects
from socrates_core.projects.run_means import in_unit, means, option_shares
from socrates_core.projects.run_results import SimulationRun, list_runs, load_run
from socrates_core.projects.run_spec import freeze_run, queue_run, run_again
from socrates_core.reporting.run_report import write_report
from socrates_core.surveys.draft import load_draft


@with_model_options()
def simulate(
    draft: Annotated[Path, typer.Argument(help="A draft as YAML.")],
    personas: Annotated[int | None, typer.Option(help="Panel size, instead of the draft's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the panel, instead of the draft's.")] = None,
    shares: Annotated[
        Path | None,
        typer.Option(
            help="Describe the people, instead of the draft's: CSV with columns field, category and share, or YAML "
            "{field: {category: share}}."
        ),
    ] = None,
    every_profile: Annotated[
        bool,
        typer.Option(
            "--every-profile", help="Ask each combination of shares once, weighted, instead of quotas."
        ),
    ] = False,
    order: Annotated[
        Order, typer.Option(help="Order in which an outcome's answers are listed.")
    ] = "as written",
    *,
    options: ModelOptions,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model answer as each person of a draft's panel; prints the run id."""
    loaded = load_draft(draft)
    changes: dict[str, Any] = {"n": personas, "seed": seed}
    if shares is not None:
        changes |= {"kind": "describe", "describe": read_margins(shares)}
    if every_profile:
        changes["every_profile"] = True
    panel = loaded.panel.model_copy(
        update={key: value for key, value in changes.items() if value is not None}
    )
    if panel.every_profile and panel.kind != "describe":
        raise UserError("--every-profile needs described people. Give their shares with --shares FILE.")
    planned = loaded.model_copy(update={"panel": panel})
    spec = freeze_run(
        planned,
        options.request(),
        texts=reversed_texts(planned) if order == "reversed" else None,
        consent=options.consent,
        limit_usd=options.limit_usd,
    )
    population = describe_population(panel, spec.people, eligible(panel) if panel.kind == "sample" else None)
    job = queue_run(spec)  # before anything is said: a run that cannot be written ends in one sentence
    if not is_stand_in(spec.model.name) and not is_served(spec.model.name):
        cost = estimate(planned, spec.people, spec.model)
        say(f"{spec.model.name}: {describe_needs(cost)} Time on this machine: {describe_estimate(cost)}.")
    say(f"{population['name']}: {profiles_sentence(spec.people)}")
    for warning in population["warnings"]:
        say(f"Warning: {warning}")
    ended = follow_until_done(job, "run") if wait else job
    print_result({"run_id": ended.id, "state": ended.state, "population": population}, ended.id, as_json)


def runs(as_json: AsJson = False) -> None:
    """List the runs, the newest first."""
    print_rows(
        list_runs(),
        ["run_id", "title", "model", "state", "n_people", "n_cells", "valid_mass"],
        "There are no runs yet. Run: python -m socrates_core simulate DRAFT.yaml --wait",
        as_json,
    )


@with_model_options("consent")
def run(
    run_id: str,
    export: Annotated[Path | None, typer.Option(help="Also write the run's report to this folder.")] = None,
    reference: Annotated[
        str, typer.Option(help="Measure effects against this condition, instead of the draft's own.")
    ] = "",
    again: Annotated[
        bool, typer.Option("--again", help="Ask the same again, with the current scoring.")
    ] = False,
    *,
    options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Show one run: its cells and effects next to people's. With --again, queue the same run and print its id."""
    if again:
        job = run_again(run_id, consent=options.consent)
        return print_submitted(job, "run_id", as_json)
    loaded = load_run(run_id)
    if reference:
        loaded = loaded.against(reference)
    if export:
        write_report(loaded, export)
        say(f"Exported to {export}")
    if as_json:
        rows = [row.as_dict() for row in in_unit(means(loaded), loaded, "points")]
        factors = [effect.as_dict() for effect in factor_effects(loaded)]
        return print_json(
            {
                **loaded.as_dict(),
                "means": rows,
                "option_shares": _option_shares(loaded),
                "factor_effects": factors,
            }
        )
    print(f"{loaded.title} · {loaded.manifest['card']['name']} ({loaded.manifest['card']['precision']})")
    print(loaded.verdict)
    if loaded.outdated:
        print(f"{loaded.outdated} Run it again: python -m socrates_core run {run_id} --again")
    if loaded.manifest["state"] == "partial":
        print(
            f"Not finished: {loaded.manifest['n_answered']} of {loaded.manifest['n_cells']} answers are there."
        )
    print(f"{loaded.population['name']}: {profiles_sentence(loaded.spec.people)}")
    for warning in loaded.population["warnings"]:
        print(f"Warning: {warning}")
    if loaded.people_sentence:
        print(loaded.people_sentence)
    _print_means(loaded)
    print()
    columns = ["outcome_name", "condition_name", "n_simulated", "n", "mean", "sd", "valid_mass"]
    columns += ["human_n", "human_mean", "w_observed", "corrected_distance", "corrected_distance_uniform"]
    print_table([cell.as_dict() for cell in loaded.cells], columns, "The run has no answers yet.")
    of_predictions = (
        f"none, because {loaded.why_no_interval}" if loaded.why_no_interval else "calibrated ones of 90%"
    )
    print(f"\nEffects against the reference; people have 95% intervals, predictions {of_predictions}")
    columns = [
        "outcome",
        "condition",
        "reference",
        "predicted",
        "predicted_n_simulated",
        "predicted_n",
        "people",
        "low",
        "high",
        "n",
    ]
    if not loaded.why_no_interval:
        columns += ["calibrated", "calibrated_low_90", "calibrated_high_90"]
    print_table(
        [effect.as_dict() for effect in loaded.effects], columns, "One condition: nothing to compare."
    )
    _print_factors(factor_effects(loaded))
    print(f"\n{loaded.calibration}")
    print(f"\nReproduce: {shlex.join(loaded.command)}")


def _print_means(run: SimulationRun) -> None:
    """The table that opens a run's results, why differences have no interval, and shares of unordered options."""
    draft = run.spec.draft
    rows = in_unit(means(run), run, "points")
    table = [
        {**row.as_dict(), "study": row.study or None, "interval": "no interval" if row.why else row.interval}
        for row in rows
    ]
    columns = ["outcome", "condition", "who", "study", "n", "mean", "sd", "above", "difference", "interval"]
    print(f"\nMeans, and differences from {draft.conditions[draft.reference_index].name!r}")
    print_table(table, [*columns, "unit"], "No outcome has an order, so there are no means.")
    for who, why in dict.fromkeys((row.who, row.why) for row in rows if row.why):
        print(f"{who}: no interval, because {why}")
    if shares := _option_shares(run):
        print("\nShares of options without an order")
        print_table(shares, ["outcome", "condition", "who", "n", "option", "share"], "")
    if differences := [row for options in run.option_effects for row in options.rows()]:
        print(
            "\nTheir differences from the reference in percentage points; people have 95% intervals, predictions none"
        )
        columns = ["outcome", "condition", "option", "predicted", "n_simulated", "people", "low", "high", "n"]
        print_table(differences, columns, "")


def _print_factors(effects: Sequence[FactorEffect]) -> None:
    """Main effects and interactions; nothing where conditions are not crossed."""
    if not effects:
        return
    print(f"\nMain effects and interactions; predictions have no interval, because {WITHOUT_INTERVAL}")
    columns = ["outcome", "contrast", "predicted", "people", "low", "high", "p_holm", "n"]
    print_table([effect.as_dict() for effect in effects], columns, "")
    for note in dict.fromkeys(effect.people.note for effect in effects if effect.people):
        if note:
            print(note)


def _option_shares(run: SimulationRun) -> list[dict[str, Any]]:
    return [
        {str(name): value for name, value in row.items()} for row in option_shares(run).to_dict("records")
    ]
