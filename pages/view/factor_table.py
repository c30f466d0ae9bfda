"""A table of main effects and interactions, of people alone or next to predictions."""

from collections.abc import Iterable

import pandas as pd
import streamlit as st

from pages.view.fields.table import csv_button
from pages.view.words import escape, visible


def show_factor_table(table: pd.DataFrame, notes: Iterable[str], more: str = "") -> None:
    """The rows with columns outcome, contrast, people, interval, p_holm, n, unit, and predicted where there are any.

    `notes` are sentences on why some have no interval; `more` is said after what the rows are.
    """
    columns = ["outcome", "contrast", "predicted", "people", "interval", "unit", "p_holm", "n"]
    st.markdown("**Main effects and interactions**")
    st.dataframe(
        table.assign(outcome=table["outcome"].map(visible), contrast=table["contrast"].map(visible)),
        hide_index=True,
        key="factors",
        placeholder="–",
        alt="Main effects and interactions",
        column_order=[column for column in columns if column in table],
        column_config={
            "outcome": st.column_config.TextColumn("Outcome", pinned=True, width=150),
            "contrast": st.column_config.TextColumn("Comparison", width=280),
            "predicted": st.column_config.NumberColumn("Predicted", format="%.2f", width=75),
            "people": st.column_config.NumberColumn("People", format="%.2f", width=65),
            "interval": st.column_config.TextColumn("95% interval", width=110, help="of people's difference"),
            "p_holm": st.column_config.NumberColumn("p (Holm)", format="%.3f"),
            "n": st.column_config.NumberColumn("n, people", format="localized"),
            "unit": "Unit",
        },
    )
    st.caption(
        "A main effect is the difference between two levels of a factor, averaged over the other factors with equal "
        f"weights. An interaction is a difference of such differences.{more}"
    )
    for note in dict.fromkeys(filter(None, notes)):
        st.caption(escape(note))
    csv_button("Table as CSV", lambda: table, "factors", key="data_factors", type="tertiary")
