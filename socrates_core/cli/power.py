"""The command that plans a sample size from a run's calibrated effect or from a guess: power."""

from typing import Annotated, Any

import typer

from socrates_core.analysis.power import TARGET, Layout, binary_spread
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_table
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
        str, typer.Argument(help="The run whose effect you plan for. Without one, give --guess.")
    ] = "",
    outcome: Annotated[str, typer.Option(help="Name of the outcome. Default: the first.")] = "",
    condition: Annotated[str, typer.Option(help="Name of the condition. Default: the first.")] = "",
    guess: Annotated[
        float | None,
        typer.Option(help="Your own guess of the effect, in units of --spread; without a run, Cohen's d."),
    ] = None,
    guess_sd: Annotated[
        float, typer.Option(help="Uncertainty of that guess, as a standard deviation.")
    ] = 0.0,
    smallest: Annotated[
        float | None,
        typer.Option(help="The smallest effect that would matter to you, in the same units. Required."),
    ] = None,
    spread: Annotated[
        float | None,
        typer.Option(help="Standard deviation of answers within a condition, instead of the run's."),
    ] = None,
    n: Annotated[
        int, typer.Option("-n", "--n", help="How many people per condition you can afford.")
    ] = AFFORDED,
    paired: Annotated[
        float | None,
        typer.Option(help="The same people are in both conditions; the correlation of their two answers."),
    ] = None,
    ratio: Annotated[
        float, typer.Option(help="People in the reference condition for each one in the other.")
    ] = 1.0,
    cluster_size: Annotated[float, typer.Option(help="People who are assigned together, as a group.")] = 1.0,
    icc: Annotated[float, typer.Option(help="Intraclass correlation of answers within such a group.")] = 0.0,
    r2: Annotated[
        float, typer.Option(help="Share of the variance within conditions that a covariate explains.")
    ] = 0.0,
    comparisons: Annotated[
        int, typer.Option(help="How many comparisons share the 5% (Bonferroni; Holm needs no more).")
    ] = 1,
    share: Annotated[
        float | None,
        typer.Option(
            help="For yes or no: the share of yes in the reference, which gives --spread. Effects are then shares."
        ),
    ] = None,
    target: Annotated[float, typer.Option(help="The power to aim at.")] = TARGET,
    lower_is_better: Annotated[
        bool, typer.Option("--lower-is-better", help="Prefer low values when choosing conditions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Plan an experiment: people needed, smallest detectable effect, sign and size errors, conditions to field."""
    if smallest is None:
        raise UserError(
            "Give --smallest: the smallest effect that would matter to you. The sample size starts from it, "
            "not from what a model predicts."
        )
    layout = Layout(
        ratio=ratio, correlation=paired, cluster_size=cluster_size, icc=icc, r2=r2, n_comparisons=comparisons
    )
    if share is not None:
        if not 0 < share < 1 or not 0 <= share + smallest <= 1:
            raise UserError(
                f"A share of {share!r} and {smallest:g} more is no share; give both as numbers from 0 to 1."
            )
        spread = binary_spread(share, smallest)
    if not run_id:
        if guess is None:
            raise UserError("Nothing to plan for: name a run, or give your own --guess of the effect.")
        unit = "standard deviations (Cohen's d)" if spread is None else "scale points"
        unit = "shares of people" if share is not None else unit
        guessed = Belief(guess, guess_sd, spread or 1.0, smallest, unit)
        return _print_plan(plan(guessed, n=n, target=target, layout=layout), {}, as_json)
    run = load_run(run_id)
    effect = find_effect(run, outcome, condition)
    run_spread = spread_of(run, effect.outcome)
    value = run_spread.value if spread is None else spread
    calibrated = calibrated_belief(run, effect, spread=value, smallest=smallest)
    uncalibrated_reason = why_uncalibrated(run, effect)
    chosen = calibrated if guess is None else Belief(guess, guess_sd, value, smallest)
    if chosen is None:
        raise UserError(
            f"There is no calibrated effect to plan for. {uncalibrated_reason} Or give your own --guess."
        )
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
    _print_plan(plan(chosen, n=n, target=target, layout=layout), context, as_json)


def _print_plan(planned: SamplePlan, context: dict[str, Any], as_json: bool) -> None:
    """Prints the plan. `context` describes the run that it starts from and is empty for a guess alone."""
    if as_json:
        return print_json({**context, **planned.as_dict(), "told": planned.sentences()})
    belief = planned.belief
    if context:
        print(
            f"{context['verdict']['sentence']}\n"
            f"{context['outcome']}: {context['condition']} compared with {context['reference']}\n"
            f"{context['calibration']}\nStandard deviation of answers: {context['spread']}"
        )
    if not belief.doubted:
        print(f"Expected effect {belief.mean:.3g}, give or take {belief.sd:.3g} {belief.unit}")
    print(f"Smallest effect that would matter: {belief.smallest:.3g} {belief.unit}\n")
    for name, sentence in planned.sentences().items():
        print(f"{name}: {sentence}")
    if context.get("arms"):
        print("\nWhich conditions to field next to the reference; regret in scale points")
        rows = [{**row, "conditions": ", ".join(row["conditions"])} for row in context["arms"]]
        print_table(rows, list(rows[0]), "")
