"""The questions of the power page: which effect, what is known of it, and what can be afforded. All are in the link."""

from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.view import state
from pages.view.calibration_words import show_calibration
from pages.view.fields.link import LARGEST, linked, linked_number, linked_select, number
from pages.view.words import escape, figure_text, interval_text, shorten
from socrates_core.analysis.power import MAX_N, TARGET, Layout
from socrates_core.projects.power import AFFORDED, Belief, calibrated_belief, spread_of, why_uncalibrated
from socrates_core.projects.run_results import RunEffect, SimulationRun, list_runs, load_run

UNITS = {"d": "standard deviations (Cohen's d)", "points": "scale points"}
OF_EFFECT = ("mean", "sd", "smallest", "spread", "unit")  # what the link says of one effect alone


@dataclass(frozen=True)
class Design:
    """What can be afforded: `n` people in the treated condition, the power to aim for, and how people are assigned."""

    n: int
    target: float
    layout: Layout


def choose_run() -> SimulationRun | None:
    """The run whose effect is planned for, or None for a person's own guess."""
    runs = {"": "no run: my own guess"} | {
        row["run_id"]: f"{row['title']} · {row.get('model', '')} · {row['run_id'][:15]} {row['run_id'][-4:]}"
        for row in list_runs()
        if row.get("n_answered")
    }
    in_link = state.parameter("run")
    if in_link and in_link not in runs:
        st.warning(
            escape(f"There is no run {in_link!r} with answers; choose one here."), icon=":material/help:"
        )
    chosen = linked_select("Run", runs, "run", "power", forget=OF_EFFECT)
    return load_run(chosen) if chosen else None


def choose_effect(run: SimulationRun) -> RunEffect | None:
    """The outcome and condition of the effect that is planned for, or None if the run has no effect."""
    if not run.effects:
        st.info(
            "This run has no effect to plan for: that takes two conditions with answers.",
            icon=":material/info:",
        )
        return None
    outcomes = list(dict.fromkeys(effect.outcome for effect in run.effects))
    left, right = st.columns(2, vertical_alignment="bottom")
    scope = run.spec.run_id
    outcome = linked_select("Outcome", _numbered(outcomes), "outcome", scope, forget=OF_EFFECT, where=left)
    effects = [effect for effect in run.effects if effect.outcome == outcomes[int(outcome)]]
    label = f"Condition, against “{effects[0].reference}”"
    conditions = _numbered([effect.condition for effect in effects])
    place = linked_select(
        escape(label), conditions, "condition", f"{scope}:{outcome}", forget=OF_EFFECT, where=right
    )
    return effects[int(place)]


def choose_belief(run: SimulationRun | None, effect: RunEffect | None) -> Belief | None:
    """The belief about the effect: calibrated if the run has earned that, else a person's own guess.

    None until the person has typed the smallest effect of interest.
    """
    if run is None or effect is None:
        unit = linked_select("Unit of the guess", UNITS, "unit", "power")
        return _guessed(unit, None if unit == "d" else 1.0, "")
    scope = f"{run.spec.run_id}:{effect.outcome}:{effect.condition}"
    measured = spread_of(run, effect.outcome)
    earned = effect.calibrated
    if earned is None:
        show_calibration(why_uncalibrated(run, effect))
        st.caption(
            escape(
                f"The model predicts {figure_text(effect.predicted.difference, 3)} scale points. Without a calibration "
                "nobody knows what that is worth, so plan with your own guess."
            )
        )
        return _guessed(scope, measured.value, measured.sentence)
    st.caption(
        escape(
            f"Predicted {figure_text(effect.predicted.difference, 3)} scale points; calibrated "
            f"{figure_text(earned.difference, 3)}, 90% interval {interval_text(earned.low[-1], earned.high[-1], 3)}."
        )
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    smallest = smallest_effect("scale points", scope, where=left)
    spread = linked_number(_SPREAD, "spread", scope, measured.value, low=0.0, where=right)
    st.caption(escape(f"Standard deviation: {measured.sentence} It can be changed."))
    return None if smallest is None else calibrated_belief(run, effect, spread=spread, smallest=smallest)


def smallest_effect(unit: str, scope: str, *, where: Any = st) -> float | None:
    """The smallest effect of interest, kept in the link; None until a person types one above 0."""
    value = number(state.parameter("smallest"), 0.0)
    chosen = linked(
        lambda key: where.number_input(
            f"Smallest effect that would matter to you ({unit})",
            0.0,
            LARGEST,
            None,
            step=0.01,
            format="%.4g",
            key=key,
            placeholder="Type a number",
            help="The sample size starts from it: an effect smaller than this would change nothing that you do.",
        ),
        f"smallest:{scope}",
        value if 0 < value <= LARGEST else None,
        lambda chosen: {"smallest": f"{chosen:.10g}" if chosen else None},
    )
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
    return Design(int(n), target, _choose_layout())


def _choose_layout() -> Layout:
    """How people are assigned and how many comparisons are made; two equal groups and one comparison by default."""
    with st.expander(
        "Same people in both conditions, groups, unequal sizes, several comparisons, a covariate"
    ):
        left, right = st.columns(2, vertical_alignment="bottom")
        assigned = linked_select("People are assigned", ASSIGNED, "assigned", "power", where=left)
        comparisons = linked_number(
            "Comparisons that share the 5%", "comparisons", "power", 1, low=1, high=10_000, where=right
        )
        first, second = st.columns(2, vertical_alignment="bottom")
        correlation = None
        ratio = 1.0
        size = 1.0
        icc = 0.0
        if assigned == "paired":
            correlation = linked_number(
                "Correlation of a person's two answers",
                "correlation",
                "power",
                0.5,
                low=-0.99,
                high=0.99,
                where=first,
            )
        else:
            ratio = linked_number(
                "People in the reference for each one in the condition",
                "ratio",
                "power",
                1.0,
                low=0.01,
                high=100.0,
                where=first,
            )
        r2 = linked_number(
            "Share of the variance that a covariate explains",
            "r2",
            "power",
            0.0,
            low=0.0,
            high=0.99,
            where=second,
        )
        if assigned == "clusters":
            third, fourth = st.columns(2, vertical_alignment="bottom")
            size = linked_number(
                "People in a group", "cluster_size", "power", 20.0, low=1.0, high=100_000.0, where=third
            )
            icc = linked_number(
                "Intraclass correlation",
                "icc",
                "power",
                0.05,
                low=0.0,
                high=1.0,
                where=fourth,
                help="How alike answers within a group are: 0 not at all, 1 the same. Often .01 to .2.",
            )
        st.caption(
            "Not covered: ordinal models, tests of equivalence, and conditions that are crossed with groups. Plan "
            "those by simulation."
        )
    return Layout(ratio, correlation, size, icc, r2, int(comparisons))


ASSIGNED = {
    "between": "one by one, to one condition each",
    "paired": "to both conditions (a paired test)",
    "clusters": "in whole groups, such as classrooms",
}


_SPREAD = "Standard deviation of answers inside a condition (scale points)"


def _guessed(scope: str, spread: float | None, source: str) -> Belief | None:
    """A person's own guess in scale points, or in Cohen's d without a `spread`."""
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
    if source:
        st.caption(escape(f"Standard deviation: {source} It can be changed."))
    return None if smallest is None else Belief(mean, sd, chosen, smallest)


def _numbered(names: list[str]) -> dict[str, str]:
    return {str(place): shorten(name, 80) for place, name in enumerate(names)}
