"""Commands of panel experiments: experiment, experiments."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.cli.simulate import AskedElicitation, Consent, KeyVariable, Samples, Server, follow
from socrates_core.errors import UserError, unknown
from socrates_core.jobs.store import read_job
from socrates_core.models.served.server import N_SAMPLES, OFFICIAL, Service
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.experiments import Experiment, cross, load_experiment, submit_experiment
from socrates_core.projects.paraphrases import load_paraphrases
from socrates_core.projects.specification_curves import EffectCurve, list_experiments, load_curves, run_states
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.draft import load_draft


def experiment(
    draft: Annotated[Path, typer.Argument(help="A draft as YAML.")],
    models: Annotated[str, typer.Option(help="Models, with commas between them.")] = "starter",
    precisions: Annotated[str, typer.Option(help="Of auto, fp32, bf16 and nf4.")] = "auto",
    decodings: Annotated[str, typer.Option(help="Of exact and paper.")] = "exact",
    orders: Annotated[str, typer.Option(help="Of 'as written' and reversed.")] = "as written",
    paraphrases: Annotated[
        Path | None,
        typer.Option(help="YAML: a list of name, conditions: {NAME: TEXT}, outcomes: {NAME: QUESTION}."),
    ] = None,
    server: Server = OFFICIAL,
    key_variable: KeyVariable = "",
    elicitation: AskedElicitation = "auto",
    samples: Samples = N_SAMPLES,
    limit_usd: Annotated[float | None, typer.Option(help="Stop a run before it costs more.")] = None,
    consent: Consent = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the curves.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask one panel in every combination; the first of each list is the chosen specification. Prints the id."""
    asked, worded = load_draft(draft), load_paraphrases(paraphrases) if paraphrases else []
    specifications = cross(
        _listed(models),
        precisions=_among(precisions, "precision", get_args(Precision)),
        decodings=_among(decodings, "decoding", get_args(Decoding)),
        orders=_among(orders, "order", get_args(Order)),
        paraphrases=worded,
        service=Service(server, key_variable, elicitation, samples),
    )
    made = submit_experiment(asked, specifications, paraphrases=worded, consent=consent, limit_usd=limit_usd)
    n_cells = asked.panel.n * len(asked.conditions) * len(asked.outcomes)
    say(f"{len(specifications)} specifications × {n_cells:,} answers")
    if not wait:
        return print_json(made.as_dict()) if as_json else print(made.experiment_id)
    ended = [follow(read_job(run_id)) for run_id in made.run_ids]
    say(made.experiment_id)
    _show(made, as_json)
    for job in ended:
        if job.state != "done":
            raise UserError(f"The run {job.id} is {job.state}: {job.message}")


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _among(text: str, what: str, allowed: Sequence[Any]) -> list[Any]:
    """The listed values. Raises UserError where one is not allowed."""
    for each in _listed(text):
        if each not in allowed:
            raise unknown(what, each, allowed)
    return _listed(text)


def experiments(
    experiment_id: Annotated[str, typer.Argument(help="Show this one.")] = "", as_json: AsJson = False
) -> None:
    """List the panel experiments, the newest first, or show one: every effect in every specification."""
    if experiment_id:
        return _show(load_experiment(experiment_id), as_json)
    rows = list_experiments()
    if as_json:
        return print_json(rows)
    columns = ["experiment_id", "title", "n_specifications", "n_complete", "chosen"]
    hint = "There are no experiments yet. Run: python -m socrates_core experiment DRAFT.yaml --models a,b"
    print_table(rows, columns, hint)


def _show(found: Experiment, as_json: bool) -> None:
    curves = load_curves(found)
    if as_json:
        return print_json({**found.as_dict(), "curves": [each.as_dict() for each in curves]})
    n_complete = run_states(found).count("complete")
    print(f"{found.draft.title}: {n_complete} of {len(found.run_ids)} specifications are complete")
    print(f"Chosen: {found.chosen + 1}, {found.specifications[found.chosen].label}")
    for each in curves:
        _print_curve(each)
    if not curves:
        print("Effects need two conditions and an outcome that is not open.")


def _print_curve(told: EffectCurve) -> None:
    curve, people = told.curve, told.people
    print(f"\n{told.outcome}: {told.condition} against {told.reference}, shares of the scale, no intervals")
    rows = told.rows.assign(chosen=["chosen" if each else "" for each in told.rows["chosen"]])
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
        print(f"The chosen one's sign: {curve.n_like_chosen} of the {curve.n_others} others")
    if people:
        print(
            f"People: {people.share:.3f} [{people.low:.3f}, {people.high:.3f}], n {people.n} and {people.n_reference}"
        )
    if curve.n_like_people is not None:
        print(f"People's sign: {curve.n_like_people} of {curve.n}")
