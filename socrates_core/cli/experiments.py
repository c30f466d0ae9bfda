"""Commands of panel experiments: experiment, experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from socrates_core.cli.following import check_done, follow
from socrates_core.cli.options import AsJson, ModelOptions, comma_list, with_model_options
from socrates_core.cli.output import print_json, print_rows, print_table, say
from socrates_core.errors import unknown
from socrates_core.jobs.store import read_job
from socrates_core.populations.panel import draw_panel, profiles_sentence
from socrates_core.populations.remarks import population_name, population_warnings
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.experiments import Experiment, cross, load_experiment, submit_experiment
from socrates_core.projects.paraphrases import load_paraphrases
from socrates_core.projects.specification_curves import EffectCurve, list_experiments, load_curves, run_states
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.check import require_runnable
from socrates_core.surveys.draft import load_draft


@with_model_options("server", "key_variable", "elicitation", "samples", "consent")
def experiment(
    draft: Annotated[Path, typer.Argument(help="A draft as YAML.")],
    models: Annotated[str, typer.Option(help="Models, separated by commas.")] = "starter",
    precisions: Annotated[str, typer.Option(help="Any of auto, fp32, bf16 and nf4.")] = "auto",
    decodings: Annotated[str, typer.Option(help="Any of exact and paper.")] = "exact",
    orders: Annotated[str, typer.Option(help="Any of 'as written' and reversed.")] = "as written",
    paraphrases: Annotated[
        Path | None,
        typer.Option(help="YAML: a list of name, conditions: {NAME: TEXT}, outcomes: {NAME: QUESTION}."),
    ] = None,
    *,
    options: ModelOptions,
    limit_usd: Annotated[
        float | None, typer.Option(help="Stop a run before it costs more than this many US dollars.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the curves.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask one panel in every combination of the lists. The first of each list is the chosen specification."""
    loaded = load_draft(draft)
    wordings = load_paraphrases(paraphrases) if paraphrases else []
    specifications = cross(
        comma_list(models),
        precisions=_allowed_list(precisions, "precision", get_args(Precision)),
        decodings=_allowed_list(decodings, "decoding", get_args(Decoding)),
        orders=_allowed_list(orders, "order", get_args(Order)),
        paraphrases=wordings,
        service=options.server_settings(),
    )
    require_runnable(loaded)
    people = draw_panel(loaded.panel)
    say(f"{population_name(loaded.panel)}: {profiles_sentence(people)}")
    for warning in population_warnings(people):
        say(f"Warning: {warning}")
    submitted = submit_experiment(
        loaded, specifications, paraphrases=wordings, consent=options.consent, limit_usd=limit_usd
    )
    n_cells = len(people) * len(loaded.conditions) * len(loaded.outcomes)
    say(f"{len(specifications)} specifications × {n_cells:,} answers")
    if not wait:
        return print_json(submitted.as_dict()) if as_json else print(submitted.experiment_id)
    jobs = [follow(read_job(run_id)) for run_id in submitted.run_ids]
    say(submitted.experiment_id)
    _print_experiment(submitted, as_json)
    # Last, so that one failed run does not hide the curves of the others.
    for job in jobs:
        check_done(job, "run")


def _allowed_list(text: str, noun: str, allowed: Sequence[Any]) -> list[Any]:
    """The values in a text with commas. Raises UserError if one is not allowed."""
    values = comma_list(text)
    for value in values:
        if value not in allowed:
            raise unknown(noun, value, allowed)
    return values


def experiments(
    experiment_id: Annotated[str, typer.Argument(help="Show only this experiment.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the panel experiments, the newest first, or show one with every effect in every specification."""
    if experiment_id:
        return _print_experiment(load_experiment(experiment_id), as_json)
    print_rows(
        list_experiments(),
        ["experiment_id", "title", "n_specifications", "n_complete", "chosen"],
        "There are no experiments yet. Run: python -m socrates_core experiment DRAFT.yaml --models a,b",
        as_json,
    )


def _print_experiment(experiment: Experiment, as_json: bool) -> None:
    curves = load_curves(experiment)
    if as_json:
        return print_json({**experiment.as_dict(), "curves": [curve.as_dict() for curve in curves]})
    n_complete = run_states(experiment).count("complete")
    print(f"{experiment.draft.title}: {n_complete} of {len(experiment.run_ids)} specifications are complete")
    print(f"Chosen: {experiment.chosen + 1}, {experiment.specifications[experiment.chosen].label}")
    for curve in curves:
        _print_curve(curve)
    if not curves:
        print("Effects need two conditions and an outcome that is not open.")


def _print_curve(effect: EffectCurve) -> None:
    curve, people = effect.curve, effect.people
    print(
        f"\n{effect.outcome}: {effect.condition} compared with {effect.reference}, as shares of the scale, no intervals"
    )
    rows = effect.rows.assign(chosen=["chosen" if chosen else "" for chosen in effect.rows["chosen"]])
    columns = [
        "effect",
        "chosen",
        "specification",
        "model",
        "precision",
        "decoding",
        "order",
        "wording",
        "valid_mass",
        "state",
        "same_as",
    ]
    print_table(rows.to_dict("records"), columns, "")  # type: ignore[arg-type]
    print(
        f"{curve.n} specifications: median {curve.median:.3f}, from {curve.low:.3f} to {curve.high:.3f}; "
        f"{curve.n_dropped} without an effect"
    )
    if curve.n_like_chosen is not None:
        print(f"Same sign as the chosen one: {curve.n_like_chosen} of the {curve.n_others} others")
    if people:
        print(
            f"People: {people.share:.3f} [{people.low:.3f}, {people.high:.3f}], n {people.n} and {people.n_reference}"
        )
    if curve.n_like_people is not None:
        print(f"Same sign as people: {curve.n_like_people} of {curve.n}")
