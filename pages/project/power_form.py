"""The questions of the power page: smallest effect of interest, design, expected effect. All are in the link."""

import math
from dataclasses import dataclass
from typing import Any

import streamlit as st

from pages.view import state
from pages.view.calibration_words import show_calibration
from pages.view.fields.link import LARGEST, linked, linked_number, linked_select, number
from pages.view.words import escape, figure_text, interval_text, shorten
from socrates_core.analysis.layout import Layout
from socrates_core.analysis.power import MAX_N, TARGET
from socrates_core.projects.power import (
    AFFORDED,
    UNITS,
    Belief,
    as_share,
    calibrated_belief,
    in_points,
    span_of,
    spread_of,
    uncalibrated_belief,
    why_uncalibrated,
)
from socrates_core.projects.run_results import RunEffect, SimulationRun, list_runs, load_run

SHORT = {**UNITS, "d": "Cohen's d"}  # in labels
OF_EFFECT = ("mean", "sd", "smallest", "spread", "unit")  # what the link says of one effect alone
ASSIGNED = {
    "between": "one by one, to one condition each",
    "paired": "to both conditions (a paired test)",
    "clusters": "in whole groups, such as classrooms",
    "shares": "one by one, and answer yes or no",
}
NOT_COVERED = (
    "Not covered: yes or no answers of the same people or with a covariate, interactions, blocks, weights, ordinal "
    "models, and tests of equivalence. Plan those by simulation."
)


@dataclass(frozen=True)
class Design:
    """How conditions are compared, how many people a condition can be afforded, and the power to aim for."""

    layout: Layout
    n: int
    target: float


@dataclass(frozen=True)
class SmallestEffect:
    """The smallest effect of interest, in a unit of UNITS."""

    value: float
    unit: str


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


def choose_smallest(run: SimulationRun | None, effect: RunEffect | None) -> SmallestEffect | None:
    """The smallest effect of interest, kept in the link; None until a person types one above 0."""
    scope = _scope(run, effect)
    units = dict(UNITS)
    if run and effect:
        units = {"points": UNITS["points"], "share": UNITS["share"], "d": UNITS["d"]}
        if not span_of(run, effect.outcome):
            del units["share"]
    left, right = st.columns(2, vertical_alignment="bottom")
    unit = linked_select("Unit", units, "unit", scope, where=right)
    value = _optional_number(
        f"Smallest effect that would matter to you ({SHORT[unit]})",
        "smallest",
        scope,
        low=0.0,
        where=left,
        help="The sample size starts from it: an effect smaller than this would change nothing that you do.",
    )
    if not value:
        st.info(
            "Type the smallest effect that would matter to you. The sample size starts from it, and not from what a "
            "model predicts.",
            icon=":material/straighten:",
        )
        return None
    return SmallestEffect(value, unit)


def choose_design(run: SimulationRun | None) -> Design:
    """How conditions are compared. What only some designs need is asked for those alone.

    A run whose draft has each person see all conditions is planned as paired unless a person says otherwise.
    """
    usual = "paired" if run and run.spec.draft.assignment == "within" else "between"
    assigned = {usual: ASSIGNED[usual]} | ASSIGNED
    first, second, third = st.columns(3, vertical_alignment="bottom")
    kind = linked_select("People are assigned", assigned, "assigned", f"power:{usual}", where=first)
    n = linked_number(
        "People in each condition that you can afford",
        "n",
        "power",
        AFFORDED,
        low=2,
        high=MAX_N,
        where=second,
    )
    target = linked_number(
        "Power to aim at",
        "target",
        "power",
        TARGET,
        low=0.1,
        high=99.0,
        where=third,
        help="0.8, or 80 for 80%; up to 99%.",
    )
    fields = iter(st.columns(4, vertical_alignment="bottom"))
    correlation = None
    size = 1
    icc = 0.0
    base = None
    ratio = 1.0
    r2 = 0.0
    if kind == "paired":
        correlation = linked_number(
            "Correlation of a person's two answers",
            "correlation",
            "power",
            0.5,
            low=-0.99,
            high=0.99,
            where=next(fields),
        )
    if kind == "clusters":
        size = int(
            linked_number(
                "People in a group", "cluster_size", "power", 20, low=1, high=100_000, where=next(fields)
            )
        )
        icc = linked_number(
            "Intraclass correlation", "icc", "power", 0.05, low=0.0, high=1.0, where=next(fields)
        )
    if kind == "shares":
        base = linked_number(
            "Share of yes in the reference", "base", "power", 0.5, low=0.001, high=0.999, where=next(fields)
        )
    if kind != "paired":
        ratio = linked_number(
            "People in the reference for each in the condition",
            "ratio",
            "power",
            1.0,
            low=0.01,
            high=100.0,
            where=next(fields),
        )
    comparisons = linked_number(
        "Comparisons to correct for",
        "comparisons",
        "power",
        1,
        low=1,
        high=1000,
        where=next(fields),
        help="Conditions next to the reference times outcomes, if you correct by Holm. The plan uses Bonferroni's "
        "level, and Holm finds at least as much.",
    )
    if kind in ("between", "paired"):
        r2 = linked_number(
            "Variance a covariate explains (R²)", "r2", "power", 0.0, low=0.0, high=0.99, where=next(fields)
        )
    layout = Layout(ratio, correlation, size, icc, r2, int(comparisons), base)
    st.caption(f"{escape(layout.sentence())} {NOT_COVERED}")
    return Design(layout, int(n), as_share(target))


def choose_belief(
    run: SimulationRun | None,
    effect: RunEffect | None,
    smallest: SmallestEffect | None,
    layout: Layout,
) -> Belief | None:
    """The belief about the effect: calibrated if the run has one, else a person's own guess, which may be left out.

    None without a smallest effect of interest, and for yes or no answers in another unit than shares.
    """
    scope = _scope(run, effect)
    if run is None or effect is None:
        return _guessed(smallest, scope, layout)
    measured = spread_of(run, effect.outcome)
    span = span_of(run, effect.outcome)
    earned = effect.calibrated
    predicted = f"Predicted {figure_text(effect.predicted.difference, 3)} scale points"
    if earned is not None:
        interval = interval_text(earned.low[-1], earned.high[-1], 3)
        st.caption(
            escape(f"{predicted}; calibrated {figure_text(earned.difference, 3)}, 90% interval {interval}.")
        )
        mean = None
        sd = 0.0
        spread = linked_number(_SPREAD, "spread", scope, measured.value, low=0.0)
    else:
        show_calibration(why_uncalibrated(run, effect))
        st.caption(escape(f"{predicted}. Without a calibration nobody knows what that is worth."))
        first, second, third = st.columns(3, vertical_alignment="bottom")
        mean, sd = _guess_fields("scale points", scope, 0.1 * measured.value, first, second)
        spread = linked_number(_SPREAD, "spread", scope, measured.value, low=0.0, where=third)
    st.caption(escape(f"Standard deviation: {measured.sentence} It can be changed."))
    if smallest is None:
        return None
    points = in_points(smallest.value, smallest.unit, spread=spread, span=span)
    if mean is not None:
        belief = Belief(mean, sd, spread, points)
    else:
        belief = calibrated_belief(run, effect, spread=spread, smallest=points) or uncalibrated_belief(
            run, effect, spread=spread, smallest=points
        )
    return belief if layout.base_share is None else belief.in_shares(span)


_SPREAD = "Standard deviation of answers inside a condition (scale points)"


def _guessed(smallest: SmallestEffect | None, scope: str, layout: Layout) -> Belief | None:
    """A person's own guess without a run, in the unit of the smallest effect."""
    if smallest is None:
        return None
    unit = UNITS[smallest.unit]
    if layout.base_share is not None and smallest.unit != "share":
        st.info("Choose shares of the scale as the unit: answers of yes or no are planned in shares.")
        return None
    usual_sd = 0.025 if smallest.unit == "share" else 0.1
    first, second, third = st.columns(3, vertical_alignment="bottom")
    mean, sd = _guess_fields(SHORT[smallest.unit], scope, usual_sd, first, second)
    spread = 1.0
    if smallest.unit != "d" and layout.base_share is None:
        label = f"Standard deviation of answers inside a condition ({unit})"
        usual = 1.0 if smallest.unit == "points" else 0.25
        spread = linked_number(label, "spread", scope, usual, low=0.0, where=third)
    return Belief(mean, sd, spread, smallest.value, unit)


def _guess_fields(
    unit: str, scope: str, usual_sd: float, first: Any, second: Any
) -> tuple[float | None, float]:
    """The effect that a person expects, None if left empty, and its uncertainty."""
    mean = _optional_number(
        f"Effect that you expect ({unit})",
        "mean",
        scope,
        where=first,
        help="You can leave it empty: the sample size starts from the smallest effect that would matter.",
    )
    sd = linked_number(
        f"Give or take ({unit})",
        "sd",
        scope,
        usual_sd,
        low=0.0,
        where=second,
        help="A standard deviation: you would bet two to one that the true effect is no farther off.",
    )
    return mean, sd


def _optional_number(
    label: str, name: str, scope: str, *, low: float = -LARGEST, where: Any, help: str
) -> float | None:
    """A number that may be left empty, held by the link's parameter `name`."""
    value = number(state.parameter(name), math.nan)
    chosen = linked(
        lambda key: where.number_input(
            label,
            low,
            LARGEST,
            None,
            step=0.01,
            format="%.4g",
            key=key,
            placeholder="Type a number",
            help=help,
        ),
        f"{name}:{scope}",
        value if low <= value <= LARGEST and (value or low) else None,
        lambda chosen: {name: None if chosen is None else f"{chosen:.10g}"},
    )
    return None if chosen is None else float(chosen)


def _scope(run: SimulationRun | None, effect: RunEffect | None) -> str:
    return f"{run.spec.run_id}:{effect.outcome}:{effect.condition}" if run and effect else "power"


def _numbered(names: list[str]) -> dict[str, str]:
    return {str(place): shorten(name, 80) for place, name in enumerate(names)}
