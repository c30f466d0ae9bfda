"""What the power page asks: whose effect, what is thought of it, what can be afforded. All of it is in the link."""

import math
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.view import state
from pages.view.calibration_words import show_calibration
from pages.view.text import escape, figure_text, interval_text, shorten
from pages.view.widgets import linked_select
from socrates_core.analysis.power import MAX_N, TARGET
from socrates_core.projects.power import AFFORDED, Belief, calibrated_belief, spread_of, why_uncalibrated
from socrates_core.projects.run_results import RunEffect, SimulationRun, list_runs, load_run

LARGEST = 1e9
UNITS = {"d": "standard deviations (Cohen's d)", "points": "scale points"}
OF_EFFECT = ("mean", "sd", "smallest", "spread", "unit")  # what the link says of one effect alone


@dataclass(frozen=True)
class Design:
    """What can be afforded: `n` people in each condition, and the power to aim at."""

    n: int
    target: float


def choose_run() -> SimulationRun | None:
    """The run whose effect is planned for; None for a person's own guess."""
    runs = {"": "no run: my own guess"} | {
        row["run_id"]: f"{row['title']} · {row.get('model', '')} · {row['run_id'][:15]} {row['run_id'][-4:]}"
        for row in list_runs()
        if row.get("n_answered")
    }
    linked = state.parameter("run")
    if linked and linked not in runs:
        st.warning(
            escape(f"There is no run {linked!r} with answers; choose one here."), icon=":material/help:"
        )
    chosen = _renewing("Run", runs, "run", "power")
    return load_run(chosen) if chosen else None


def choose_effect(run: SimulationRun) -> RunEffect | None:
    """The outcome and the condition of the run whose effect is planned for; None where it has no effect."""
    if not run.effects:
        st.info(
            "This run has no effect to plan for: that takes two conditions with answers.",
            icon=":material/info:",
        )
        return None
    outcomes = list(dict.fromkeys(each.outcome for each in run.effects))
    left, right = st.columns(2, vertical_alignment="bottom")
    scope = run.spec.run_id
    outcome = _renewing("Outcome", _numbered(outcomes), "outcome", scope, where=left)
    own = [each for each in run.effects if each.outcome == outcomes[int(outcome)]]
    label, conditions = (
        f"Condition, against “{own[0].reference}”",
        _numbered([each.condition for each in own]),
    )
    place = _renewing(escape(label), conditions, "condition", f"{scope}:{outcome}", where=right)
    return own[int(place)]


def choose_belief(run: SimulationRun | None, effect: RunEffect | None) -> Belief | None:
    """What matters and what is thought of the effect: calibrated where that is earned, else a person's own guess.

    None until the smallest effect that would matter is there.
    """
    if run is None or effect is None:
        return _own_belief()
    scope = f"{run.spec.run_id}:{effect.outcome}:{effect.condition}"
    found, earned = spread_of(run, effect.outcome), effect.calibrated
    if earned is None:
        show_calibration(why_uncalibrated(run, effect))
        st.caption(
            escape(
                f"The model predicts {figure_text(effect.predicted.difference, 3)} scale points. Without a calibration "
                "nobody knows what that is worth, so plan with your own guess."
            )
        )
        return _guessed(scope, found.value, found.sentence)
    st.caption(
        escape(
            f"Predicted {figure_text(effect.predicted.difference, 3)} scale points; calibrated "
            f"{figure_text(earned.difference, 3)}, 90% interval {interval_text(earned.low[-1], earned.high[-1], 3)}."
        )
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    smallest = smallest_effect("scale points", scope, where=left)
    spread = linked_number(_SPREAD, "spread", scope, found.value, low=0.0, where=right)
    st.caption(escape(f"Standard deviation: {found.sentence} It can be changed."))
    return None if smallest is None else calibrated_belief(run, effect, spread=spread, smallest=smallest)


def smallest_effect(unit: str, scope: str, *, where: Any = st) -> float | None:
    """The smallest effect that would matter, held by the link; None until somebody has typed one above 0."""
    linked = _number(state.parameter("smallest"), 0.0)
    chosen = where.number_input(
        f"Smallest effect that would matter to you ({unit})",
        0.0,
        LARGEST,
        linked if 0 < linked <= LARGEST else None,
        step=0.01,
        format="%.4g",
        key=f"smallest:{scope}",
        placeholder="Type a number",
        help="The sample size starts from it: an effect smaller than this would change nothing that you do.",
    )
    state.set_parameters(smallest=f"{chosen:.10g}" if chosen else None)
    if not chosen:
        st.info(
            "Type the smallest effect that would matter to you. The sample size starts from it, and not from what a "
            "model predicts.",
            icon=":material/straighten:",
        )
        return None
    return float(chosen)


def choose_design() -> Design:
    left, right = st.columns(2, vertical_alignment="bottom")
    label = "People in each condition that you can afford"
    n = linked_number(label, "n", "power", AFFORDED, low=2, high=MAX_N, where=left)
    target = linked_number("Power to aim at", "target", "power", TARGET, low=0.1, high=0.99, where=right)
    return Design(int(n), target)


def linked_number(
    label: str,
    name: str,
    scope: str,
    default: float,
    *,
    low: float = -LARGEST,
    high: float = LARGEST,
    help: str | None = None,
    where: Any = st,
) -> float:
    """A number held by the link's parameter `name`, which is left out while it is the default."""
    linked = _number(state.parameter(name), default)
    whole = isinstance(default, int)
    kind = int if whole else float
    key = f"{name}:{scope}"
    state.follow_link(key, kind(min(max(linked, low), high)))
    chosen = where.number_input(
        label,
        kind(low),
        kind(high),
        step=None if whole else 0.01,
        format="%d" if whole else "%.4g",
        key=key,
        help=help,
    )
    state.note_link(key, chosen)
    state.set_parameters(**{name: None if chosen == default else f"{chosen:.10g}"})
    return float(chosen)


_SPREAD = "Standard deviation of answers inside a condition (scale points)"


def _own_belief() -> Belief | None:
    unit = linked_select("Unit of the guess", UNITS, "unit", "power")
    return _guessed(unit, None if unit == "d" else 1.0, "")


def _guessed(scope: str, spread: float | None, told: str) -> Belief | None:
    """An own guess in scale points, or in Cohen's d where there is no `spread` to begin with."""
    unit, size = ("Cohen's d", 1.0) if spread is None else ("scale points", spread)
    smallest = smallest_effect(unit, scope)
    first, second, third = st.columns(3, vertical_alignment="bottom")
    mean = linked_number(f"Effect that you expect ({unit})", "mean", scope, 0.2 * size, where=first)
    sd = linked_number(
        f"Give or take ({unit})",
        "sd",
        scope,
        0.1 * size,
        low=0.0,
        where=second,
        help="A standard deviation: you would bet two to one that the true effect is no farther off.",
    )
    if spread is None:
        return None if smallest is None else Belief(mean, sd, 1.0, smallest, UNITS["d"])
    chosen = linked_number(_SPREAD, "spread", scope, spread, low=0.0, where=third)
    if told:
        st.caption(escape(f"Standard deviation: {told} It can be changed."))
    return None if smallest is None else Belief(mean, sd, chosen, smallest)


def _renewing(label: str, options: dict[str, str], name: str, scope: str, *, where: Any = st) -> str:
    """A linked box whose change makes the link forget what it said of another effect."""
    before = state.parameter(name)
    chosen = linked_select(label, options, name, scope, where=where)
    if before in options and state.parameter(name) != before:
        state.set_parameters(**dict.fromkeys(OF_EFFECT))
    return chosen


def _numbered(names: list[str]) -> dict[str, str]:
    return {str(place): shorten(name, 80) for place, name in enumerate(names)}


def _number(text: str | None, default: float) -> float:
    """The number in a link; the default where there is none."""
    try:
        number = float(text or "")
    except ValueError:
        return default
    return number if math.isfinite(number) else default
