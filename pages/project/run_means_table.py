"""The table of means that opens the results of a run, in one unit and against a reference that a person chooses."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

import streamlit as st

from pages.view.fields.link import linked_select
from pages.view.fields.table import csv_button
from pages.view.words import escape, visible
from socrates_core.personas import label
from socrates_core.projects.run_means import (
    LEAST_PROFILES,
    Unit,
    in_unit,
    means,
    means_by_group,
    option_shares,
    sentences,
)
from socrates_core.projects.run_results import SimulationRun
from socrates_core.records import DEMOGRAPHICS

UNITS: dict[str, str] = {"points": "scale points", "percent": "% of the scale"}


def choose_reference(run: SimulationRun) -> SimulationRun:
    """The run with its effects against the condition that the link names; by default the draft's own reference."""
    names = [condition.name for condition in run.spec.draft.conditions]
    if len(names) < 2:
        return run
    own = names[run.spec.draft.reference_index]
    options = {name: visible(name) for name in [own, *(name for name in names if name != own)]}
    return run.against(linked_select("Compared with", options, "reference", run.spec.run_id))


def choose_unit(run: SimulationRun) -> Unit:
    """The unit of every mean and difference on the page."""
    chosen = linked_select("Unit", UNITS, "unit", run.spec.run_id)
    return "percent" if chosen == "percent" else "points"


def show_means(run: SimulationRun, outcome: int, unit: Unit) -> None:
    """The table of one outcome, with sentences to copy and means by group."""
    name = run.spec.draft.outcomes[outcome].name
    table = in_unit([row for row in means(run) if row.outcome == name], run, unit)
    if table.empty:
        _show_shares(run, name)
        return
    digits = "%.1f" if unit == "percent" else "%.2f"
    shown = table.assign(
        interval=[_interval(row, unit) for row in table.to_dict("records")],
        above=100 * table["above"],
        condition=table["condition"].map(visible),
    )
    st.dataframe(
        shown[["condition", "who", "mean", "sd", "above", "difference", "interval", "n"]],
        hide_index=True,
        key="means",
        placeholder="–",
        alt="Means by condition",
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True),
            "who": "Who",
            "mean": st.column_config.NumberColumn(f"Mean, {UNITS[unit]}", format=digits),
            "sd": st.column_config.NumberColumn("SD", format=digits),
            "above": st.column_config.NumberColumn(
                "Above midpoint",
                format="%.0f%%",
                help="Answers above the middle of the scale; on it counts half.",
            ),
            "difference": st.column_config.NumberColumn(f"Difference, {UNITS[unit]}", format=digits),
            "interval": st.column_config.TextColumn("Interval of the difference", width="medium"),
            "n": st.column_config.NumberColumn("n", format="localized"),
        },
    )
    csv_button("Table as CSV", lambda: table, "means", key="data_means", type="tertiary")
    with st.expander("Sentences to copy"):
        for sentence in sentences(run):
            if f" to {name} were" in sentence:
                st.code(visible(sentence), language=None, wrap_lines=True)
    _show_groups(run, outcome)


def _show_shares(run: SimulationRun, name: str) -> None:
    """The shares of each option of an outcome without an order: a column for each condition and who answered."""
    table = option_shares(run)
    table = table[table["outcome"] == name]
    if table.empty:
        return
    wide = (
        table.assign(column=table["condition"].map(visible) + ", " + table["who"], share=100 * table["share"])
        .pivot(index="option", columns="column", values="share")
        .reindex(table["option"].unique())
        .reset_index()
    )
    st.dataframe(
        wide,
        hide_index=True,
        key="shares_of_options",
        alt="Shares of each option",
        column_config={
            "option": st.column_config.TextColumn("Option", pinned=True),
            **{str(column): st.column_config.NumberColumn(format="%.0f%%") for column in wide.columns[1:]},
        },
    )
    st.caption("These options have no order, so there are shares instead of means.")


def _show_groups(run: SimulationRun, outcome: int) -> None:
    """Predicted means by group of one demographic field, with their warning."""
    asked = {field for person in run.spec.people for field in person.demographics}
    fields = {"": "no groups"} | {field: label(field) for field in DEMOGRAPHICS if field in asked}
    if len(fields) == 1:
        return
    field = linked_select("Predicted means by", fields, "by", run.spec.run_id)
    if not field:
        return
    table = means_by_group(run, outcome, field)
    st.warning(
        f"Groups are less certain than everybody together: this model's answers by {escape(label(field).lower())} "
        "were not measured here, and each group rests on few profiles.",
        icon=":material/groups:",
    )
    if table.empty:
        st.caption(f"No group has {LEAST_PROFILES} different profiles, so none is shown.")
        return
    st.dataframe(
        table.assign(condition=table["condition"].map(visible), group=table["group"].map(visible)),
        hide_index=True,
        key="means_by_group",
        placeholder="–",
        alt="Predicted means by group",
        column_config={
            "group": label(field),
            "condition": "Condition",
            "n": "Simulated people",
            "n_profiles": "Profiles",
            "mean": st.column_config.NumberColumn("Mean, scale points", format="%.2f"),
            "difference": st.column_config.NumberColumn("Difference, scale points", format="%.2f"),
        },
    )
    st.caption(f"Groups with fewer than {LEAST_PROFILES} different profiles are left out.")


def _interval(row: Mapping[Hashable, Any], unit: Unit) -> str:
    """The interval of a difference, or why it has none; empty in the reference."""
    difference, low, high, level = (float(row[name]) for name in ("difference", "low", "high", "level"))
    if not math.isfinite(difference):
        return ""
    if not math.isfinite(low):
        return f"no interval, because {row['why']}"
    digits = 1 if unit == "percent" else 2
    interval = f"{level:.0%} [{low:.{digits}f}, {high:.{digits}f}]"
    expected = float(row["expected"])
    return f"to expect of people {expected:.{digits}f}, {interval}" if math.isfinite(expected) else interval
