"""The table of means that opens the results of a run, in one unit and against a reference that a person chooses."""

import pandas as pd
import streamlit as st

from pages.view.fields.link import linked_select
from pages.view.fields.table import csv_button
from pages.view.words import escape, visible
from socrates_core.personas import label
from socrates_core.projects.run_means import (
    LEAST_PROFILES,
    PERCENT,
    PERCENTAGE_POINTS,
    POINTS,
    Unit,
    in_unit,
    means,
    means_by_group,
    option_shares,
    sentences,
    unit_of,
)
from socrates_core.projects.run_results import SimulationRun
from socrates_core.records import DEMOGRAPHICS
from socrates_core.scales.order import is_ordered

UNITS: dict[str, str] = {"points": POINTS, "percent": PERCENT}
SHORT = {POINTS: "points", PERCENT: "%", PERCENTAGE_POINTS: "% points"}  # in the heads of columns


def choose_reference(run: SimulationRun) -> SimulationRun:
    """The run with its effects against the condition that the link names; by default the draft's own reference."""
    names = [condition.name for condition in run.spec.draft.conditions]
    if len(names) < 2:
        return run
    own = names[run.spec.draft.reference_index]
    options = {name: visible(name) for name in [own, *(name for name in names if name != own)]}
    return run.against(linked_select("Compared with", options, "reference", run.spec.run_id))


def choose_unit(run: SimulationRun) -> Unit:
    """The unit of every mean and difference on the page; yes or no and unordered options keep percentage points."""
    scales = [outcome.scale.scale() for outcome in run.spec.draft.outcomes]
    if not any(is_ordered(scale) and unit_of(scale, "percent") == PERCENT for scale in scales):
        return "points"
    chosen = linked_select("Unit", UNITS, "unit", run.spec.run_id)
    return "percent" if chosen == "percent" else "points"


def show_means(run: SimulationRun, outcome: int, unit: Unit) -> None:
    """The table of one outcome, with sentences to copy and means by group."""
    name = run.spec.draft.outcomes[outcome].name
    rows = in_unit([row for row in means(run) if row.outcome == name], run, unit)
    if not rows:
        _show_shares(run, name)
        return
    table = pd.DataFrame([row.as_dict() for row in rows])
    of_means, of_differences, digits = _heads(run, outcome, unit)
    st.dataframe(
        table.assign(
            interval=[row.interval for row in rows],
            above=100 * table["above"],
            condition=table["condition"].map(visible),
        ),
        hide_index=True,
        key="means",
        placeholder="–",
        alt="Means by condition",
        column_order=["condition", "who", "mean", "sd", "above", "difference", "interval", "n"],
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True, width=170),
            "who": st.column_config.TextColumn("Who", width=75),
            "mean": st.column_config.NumberColumn(f"Mean, {of_means}", format=digits),
            "sd": st.column_config.NumberColumn(f"SD, {of_means}", format=digits),
            "above": st.column_config.NumberColumn(
                "Above midpoint, %",
                format="%.0f",
                help="Of the answers, those above the middle of the scale; of those on the middle, half count.",
            ),
            "difference": st.column_config.NumberColumn(f"Difference, {of_differences}", format=digits),
            "interval": st.column_config.TextColumn(f"Interval, {of_differences}", width="large"),
            "n": st.column_config.NumberColumn("n, people", format="localized"),
        },
    )
    for who, why in dict.fromkeys((row.who, row.why) for row in rows if row.why):
        st.caption(escape(f"{who.capitalize()}: no interval, because {why}."))
    csv_button("Table as CSV", lambda: table, "means", key="data_means", type="tertiary")
    worded = sentences(rows, run)
    if worded:
        with st.expander("Sentences to copy"):
            for sentence in worded:
                st.code(visible(sentence), language=None, wrap_lines=True)
    _show_groups(run, outcome, unit)


def _heads(run: SimulationRun, outcome: int, unit: Unit) -> tuple[str, str, str]:
    """The units of an outcome's means and of its differences for the heads of columns, and the format of both."""
    of_differences = unit_of(run.spec.draft.outcomes[outcome].scale.scale(), unit)
    if of_differences == POINTS:
        return SHORT[POINTS], SHORT[POINTS], "%.2f"
    return SHORT[PERCENT], SHORT[of_differences], "%.1f"


def _show_shares(run: SimulationRun, name: str) -> None:
    """The shares of each option of an outcome without an order: a row for each condition and who answered."""
    table = option_shares(run)
    table = table[table["outcome"] == name]
    if table.empty:
        return
    options = table["option"].unique()
    wide = table.assign(share=100 * table["share"], condition=table["condition"].map(visible))
    wide = wide.pivot(index=["condition", "who", "n"], columns="option", values="share")[options]
    order = dict.fromkeys(zip(table["condition"].map(visible), table["who"], table["n"], strict=True))
    st.dataframe(
        wide.reindex(list(order)).reset_index(),
        hide_index=True,
        key="shares_of_options",
        alt="Shares of each option",
        column_order=["condition", "who", *options, "n"],
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True, width=170),
            "who": st.column_config.TextColumn("Who", width=75),
            **{
                option: st.column_config.NumberColumn(f"{visible(option)}, %", format="%.0f")
                for option in options
            },
            "n": st.column_config.NumberColumn("n, people", format="localized"),
        },
    )
    st.caption("These options have no order, so there are shares instead of means.")
    _show_option_effects(run, name)


def _show_option_effects(run: SimulationRun, name: str) -> None:
    """How shares of each option differ from those in the reference, in percentage points."""
    rows = [row for options in run.option_effects if options.outcome == name for row in options.rows()]
    if not rows:
        return
    table = pd.DataFrame(rows)
    table = table.assign(condition=table["condition"].map(visible), option=table["option"].map(visible))
    with_people = ["people", "low", "high", "n"] if table["people"].notna().any() else []
    points = {"predicted": "Predicted", "people": "People", "low": "Lower end", "high": "Upper end"}
    st.dataframe(
        table,
        hide_index=True,
        key="option_effects",
        placeholder="–",
        alt="Differences in the share of each option",
        column_order=["condition", "option", "predicted", *with_people],
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True, width=170),
            "option": st.column_config.TextColumn("Option"),
            **{
                column: st.column_config.NumberColumn(f"{title}, % points", format="%+.1f")
                for column, title in points.items()
            },
            "n": st.column_config.NumberColumn("n, people", format="localized"),
        },
    )
    st.caption(
        escape(
            f"Difference of each option's share from {rows[0]['reference']}, in percentage points. People: 95% "
            "intervals, each for its own option. Predicted: no interval, because only differences in means are "
            "calibrated."
        )
    )


def _show_groups(run: SimulationRun, outcome: int, unit: Unit) -> None:
    """Means by group of one demographic field, with a warning."""
    asked_about = {field for person in run.spec.people for field in person.demographics}
    fields = {"": "no groups"} | {field: label(field) for field in DEMOGRAPHICS if field in asked_about}
    if len(fields) == 1:
        return
    field = linked_select("Means by group", fields, "by", run.spec.run_id)
    if not field:
        return
    name = escape(label(field).lower())
    measured = (
        f"This model's predictions by {name} were not measured here."
        if isinstance(run.calibration, str)
        else f"How far off this model is by {name} is measured under Evidence, in the groups of its evaluation."
    )
    st.warning(
        f"Groups are less certain than everybody together, because each has few people or profiles. {measured}",
        icon=":material/groups:",
    )
    rows = means_by_group(run, outcome, field, unit)
    if not rows:
        st.caption(f"No group has {LEAST_PROFILES} different profiles, so none is shown.")
        return
    of_means, of_differences, digits = _heads(run, outcome, unit)
    table = pd.DataFrame(rows)
    st.dataframe(
        table.assign(condition=table["condition"].map(visible), group=table["group"].map(visible)),
        hide_index=True,
        key="means_by_group",
        placeholder="–",
        alt="Means by group",
        column_order=["group", "condition", "who", "mean", "difference", "n", "n_profiles"],
        column_config={
            "group": st.column_config.TextColumn(label(field), pinned=True),
            "condition": "Condition",
            "who": st.column_config.TextColumn("Who", width=75),
            "n": "n, people",
            "n_profiles": "Profiles",
            "mean": st.column_config.NumberColumn(f"Mean, {of_means}", format=digits),
            "difference": st.column_config.NumberColumn(f"Difference, {of_differences}", format=digits),
        },
    )
    st.caption(f"Groups with fewer than {LEAST_PROFILES} different profiles, or people, are left out.")
