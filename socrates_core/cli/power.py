"""The command that plans a sample size from the smallest effect of interest, with a run's effect or a guess: power."""

from typing import Annotated, Any

import typer

from socrates_core.analysis.layout import Layout
from socrates_core.analysis.power import TARGET
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_table
from socrates_core.errors import UserError, unknown
from socrates_core.projects.power import (
    AFFORDED,
    UNITS,
    Belief,
    SamplePlan,
    arms_to_field,
    as_share,
    calibrated_belief,
    find_effect,
    in_points,
    plan,
    span_of,
    spread_of,
    uncalibrated_belief,
    why_doubted,
    why_uncalibrated,
)
from socrates_core.projects.run_results import load_run


def power(
    run_id: Annotated[
        str, typer.Argument(help="The run whose effect you plan for. It can be left out.")
    ] = "",
    smallest: Annotated[
        float | None, typer.Option(help="The smallest effect that would matter to you. Required.")
    ] = None,
    unit: Annotated[
        str,
        typer.Option(
            help="Unit of --smallest and --guess: points (of the scale), share (of the scale), or d (Cohen's). "
            "Default: points with a run or --spread, share with --share, else d."
        ),
    ] = "",
    outcome: Annotated[str, typer.Option(help="Name of the outcome. Default: the first.")] = "",
    condition: Annotated[str, typer.Option(help="Name of the condition. Default: the first.")] = "",
    guess: Annotated[float | None, typer.Option(help="Your own guess of the effect.")] = None,
    guess_sd: Annotated[
        float, typer.Option(help="Uncertainty of that guess, as a standard deviation.")
    ] = 0.0,
    spread: Annotated[
        float | None,
        typer.Option(help="Standard deviation of answers within a condition, instead of the run's."),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--n", help="How many people per condition you can afford.")
    ] = AFFORDED,
    target: Annotated[float, typer.Option(help="The power to aim at: 0.8, or 80.")] = TARGET,
    paired: Annotated[
        float | None,
        typer.Option(help="The same people are in both conditions; the correlation of their two answers."),
    ] = None,
    ratio: Annotated[
        float, typer.Option(help="People in the reference for each person in the condition.")
    ] = 1.0,
    cluster_size: Annotated[int, typer.Option(help="People in a cluster that is assigned as a whole.")] = 1,
    icc: Annotated[float, typer.Option(help="Intraclass correlation of answers in a cluster.")] = 0.0,
    comparisons: Annotated[int, typer.Option(help="How many comparisons you correct for (Holm).")] = 1,
    r2: Annotated[
        float, typer.Option(help="Share of the variance within conditions that a covariate explains.")
    ] = 0.0,
    share: Annotated[
        float | None,
        typer.Option(help="For yes or no: the share of yes in the reference. Effects are then shares."),
    ] = None,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="Prefer low values when choosing conditions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan an experiment from its smallest effect of interest: people needed, errors, conditions to field."""
    if smallest is None:
        raise UserError(
            "Give --smallest: the smallest effect that would matter to you. The sample size starts from it, "
            "not from what a model predicts."
        )
    if unit and unit not in UNITS:
        raise unknown("unit", unit, list(UNITS))
    layout = Layout(ratio, paired, cluster_size, icc, r2, comparisons, share)
    if not run_id:
        usual = "d" if spread is None else "points"
        chosen_unit = "share" if share is not None else unit or usual
        if chosen_unit != "d" and spread is None and share is None:
            raise UserError(f"Give --spread: the standard deviation of answers in {UNITS[chosen_unit]}.")
        guessed = Belief(guess, guess_sd, spread or 1.0, smallest, UNITS[chosen_unit])
        return _print_plan(plan(guessed, n=n, target=as_share(target), layout=layout), {}, as_json)
    run = load_run(run_id)
    effect = find_effect(run, outcome, condition)
    run_spread = spread_of(run, effect.outcome)
    value = run_spread.value if spread is None else spread
    span = span_of(run, effect.outcome)

    def points(number: float) -> float:
        return in_points(number, unit or "points", spread=value, span=span)

    uncalibrated_reason = why_uncalibrated(run, effect)
    if guess is not None:
        belief = Belief(points(guess), points(guess_sd), value, points(smallest))
    else:
        belief = calibrated_belief(
            run, effect, spread=value, smallest=points(smallest)
        ) or uncalibrated_belief(run, effect, spread=value, smallest=points(smallest))
    if share is not None:
        belief = belief.in_shares(span)
    arms = arms_to_field(run, effect.outcome, higher_is_better=not lower_is_better)
    if why_doubted(run):
        arms = arms.iloc[:0]  # a choice of conditions from doubtful predictions would be worse than none
    context = {
        "run_id": run_id,
        "outcome": effect.outcome,
        "condition": effect.condition,
        "reference": effect.reference,
        "verdict": run.verdict.as_dict(),
        "calibration": uncalibrated_reason or str(run.calibration),
        "spread": run_spread.sentence if spread is None else f"{spread:.3g} is your own.",
        "arms": arms.to_dict("records"),
    }
    _print_plan(plan(belief, n=n, target=as_share(target), layout=layout), context, as_json)


def _print_plan(planned: SamplePlan, context: dict[str, Any], as_json: bool) -> None:
    """Prints the plan. `context` describes the run that it starts from and is empty for a guess alone."""
    if as_json:
        return print_json({**context, **planned.as_dict(), "told": planned.sentences()})
    belief = planned.belief
    if context:
        print(
            f"{' '.join(filter(None, (context['verdict'][part] for part in ('sentence', 'detail', 'remedy'))))}\n"
            f"{context['outcome']}: {context['condition']} compared with {context['reference']}\n"
            f"{context['calibration']}\nStandard deviation of answers: {context['spread']}"
        )
    print(f"Smallest effect that would matter: {belief.smallest:.3g} {belief.unit}")
    if belief.expected is not None:
        print(
            f"Expected effect {belief.expected:.3g}, give or take {belief.sd:.3g} {belief.unit}: {belief.basis}"
        )
    print()
    for name, sentence in planned.sentences().items():
        print(f"{name}: {sentence}")
    if context.get("arms"):
        print("\nWhich conditions to field next to the reference; regret in scale points")
        rows = [{**row, "conditions": ", ".join(row["conditions"])} for row in context["arms"]]
        print_table(rows, list(rows[0]), "")
