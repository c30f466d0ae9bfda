"""Fields of the draft form for the design: how people are assigned, and the factors that cross the conditions."""

import pandas as pd
import streamlit as st

from pages.project import draft_form
from pages.project.draft_fields import show_problems
from pages.view import state
from pages.view.state import Editing
from pages.view.words import escape
from socrates_core.records import crossing_sentence
from socrates_core.surveys.check import Problem

ASSIGNED = {"between": "Each person sees one condition", "within": "Each person sees all conditions"}


def design_fields(editing: Editing, problems: list[Problem]) -> None:
    """How people are assigned, and a table with the level that each condition has of each factor."""
    st.segmented_control(
        "How people are assigned",
        list(ASSIGNED),
        default=editing.draft.assignment,
        required=True,
        key=editing.key("assignment"),
        format_func=lambda value: ASSIGNED[value],
        help="Plans of sample sizes and reports follow it. Simulated people answer in every condition either way.",
    )
    names = draft_form.factor_names(editing.draft)
    st.text_input(
        "Factors, separated by commas (optional)",
        ", ".join(names),
        key=editing.key("factors"),
        placeholder="tone, party",
        help="For conditions that are crossed, such as 2 x 2. Results then have main effects and interactions.",
    )
    if names:
        _levels_table(editing, names)
    if crossing := crossing_sentence(editing.draft.design.factors):
        st.caption(f":material/check: {escape(crossing)}")
    show_problems(problems, "factors")


def _levels_table(editing: Editing, names: list[str]) -> None:
    """The level of each condition on each factor, to type or to paste."""
    key = draft_form.levels_key(editing, names)
    if state.widget(key, None) is None:
        # The table keeps changes to the rows that it was first drawn with, until the page is left.
        editing.tables[key] = pd.DataFrame(
            [
                {"condition": condition.name, **{name: condition.levels.get(name, "") for name in names}}
                for condition in editing.draft.conditions
            ]
        )
    st.data_editor(
        editing.tables[key],
        hide_index=True,
        key=key,
        alt="The level of each condition on each factor",
        disabled=["condition"],
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True),
            **{name: st.column_config.TextColumn(name) for name in names},
        },
    )
