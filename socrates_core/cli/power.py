"""The command power: sample size, detectable effect and errors, from a run's calibrated effect or a guess."""

from typing import Annotated, Any

import typer

from socrates_core.analysis.power import TARGET
from socrates_core.cli.output import AsJson, print_json, print_table
from socrates_core.errors import UserError
from socrates_core.projects.power import (
    AFFORDED,
    Belief,
    SamplePlan,
    arms_to_field,
    calibrated_belief,
    find_effect,
    plan,
    spread_of,
    why_doubted,
    why_uncalibrated,
)
from socrates_core.projects.run_results import load_run


def power(
    run_id: Annotated[
        str, typer.Argument(help="A run whose effect is planned for; none: --guess alone.")
    ] = "",
    outcome: Annotated[
        str, typer.Option(help="The outcome by its name; the first where it is left out.")
    ] = "",
    condition: Annotated[
        str, typer.Option(help="The condition by its name; the first where it is left out.")
    ] = "",
    guess: Annotated[
        float | None,
        typer.Option(help="Your own guess of the effect, in units of --spread; Cohen's d without a run."),
    ] = None,
    guess_sd: Annotated[
        float, typer.Option(help="How uncertain that guess is, as a standard deviation.")
    ] = 0.0,
    smallest: Annotated[
        float | None,
        typer.Option(help="The smallest effect that would matter to you, in the same units; required."),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(help="Standard deviation of answers inside a condition, instead of the run's."),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--n", help="People in each condition that you can afford.")
    ] = AFFORDED,
    target: Annotated[float, typer.Option(help="The power to aim at.")] = TARGET,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="For the choice of conditions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan an experiment: people needed, smallest effect found, errors of sign and size, which conditions to field."""
    told: dict[str, Any] = {}
    if smallest is None:
        raise UserError(
            "Give --smallest: the smallest effect that would matter to you. The sample size starts from it, and not "
            "from what a model predicts."
        )
    if not run_id:
        if guess is None:
            raise UserError("Nothing to plan for: name a run, or give your own --guess of the effect.")
        unit = "standard deviations (Cohen's d)" if spread is None else "scale points"
        return _show(
            plan(Belief(guess, guess_sd, spread or 1.0, smallest, unit), n=n, target=target), told, as_json
        )
    run = load_run(run_id)
    effect = find_effect(run, outcome, condition)
    found = spread_of(run, effect.outcome)
    value = found.value if spread is None else spread
    belief = calibrated_belief(run, effect, spread=value, smallest=smallest)
    reason = why_uncalibrated(run, effect)
    if guess is not None:
        belief = Belief(guess, guess_sd, value, smallest)
    if belief is None:
        raise UserError(f"There is no calibrated effect to plan for. {reason} Or give your own --guess.")
    arms = arms_to_field(run, effect.outcome, higher_is_better=not lower_is_better)
    arms = arms.iloc[:0] if why_doubted(run) else arms
    told = {
        "run_id": run_id,
        "outcome": effect.outcome,
        "condition": effect.condition,
        "reference": effect.reference,
        "calibration": reason or str(run.calibration),
        "spread": found.sentence if spread is None else f"{spread:.3g} is your own.",
        "arms": arms.to_dict("records"),
    }
    _show(plan(belief, n=n, target=target), told, as_json)


def _show(found: SamplePlan, told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        return print_json({**told, **found.as_dict(), "told": found.sentences()})
    belief = found.belief
    if told:
        print(f"{told['outcome']}: {told['condition']} against {told['reference']}\n{told['calibration']}")
        print(f"Standard deviation of answers: {told['spread']}")
    if not belief.doubted:
        print(f"Expected effect {belief.mean:.3g}, give or take {belief.sd:.3g} {belief.unit}")
    print(f"Smallest effect that would matter: {belief.smallest:.3g} {belief.unit}\n")
    for name, sentence in found.sentences().items():
        print(f"{name}: {sentence}")
    if told.get("arms"):
        print("\nWhich conditions to field next to the reference; regret in scale points")
        rows = [{**row, "conditions": ", ".join(row["conditions"])} for row in told["arms"]]
        print_table(rows, list(rows[0]), "")
