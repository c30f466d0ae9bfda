"""Pieces that several pages show: a chart with its data, an exact prompt."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.view.text import visible
from socrates_core.errors import UserError
from socrates_core.records import Prompt
from socrates_core.responders import context_limit, count_tokens


def show_chart(figure: go.Figure, frame: pd.DataFrame, name: str) -> None:
    """A chart in the page's own ink that can be saved as SVG from its corner, with its data as CSV below."""
    config: dict[str, Any] = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "svg", "filename": name},
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    }
    ink = "#E8EAED" if theme() == "dark" else "#1B1F24"
    figure.update_layout(font={"color": ink, "family": "Source Sans, sans-serif"})
    st.plotly_chart(figure, key=f"chart_{name}", config=config, theme=None, alt=figure.layout.meta)
    st.download_button(
        "Data of this chart", frame.to_csv(index=False).encode(), f"{name}.csv", "text/csv",
        key=f"data_{name}", type="tertiary", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def show_prompt(prompt: Prompt, model: str) -> None:
    """The exact messages and their length for `model`."""
    st.caption("System")
    st.code(visible(prompt.system), language=None, wrap_lines=True)
    st.caption("User")
    st.code(visible(prompt.user), language=None, wrap_lines=True)
    try:
        length, limit = count_tokens(model, prompt), context_limit(model)
    except UserError:
        return
    most = f" of at most {limit:,}" if limit else ""
    st.caption(f"{length:,} tokens{most} for {visible(model)}, chat template included.")


def theme() -> str | None:
    """Whether the browser shows the page "light" or "dark"; None before it told."""
    return st.context.theme.type


def chosen_row(event: Any) -> int | None:
    """The row that was clicked in a table, by its box or by any of its cells."""
    selection = event["selection"]
    rows = [*selection["rows"], *(row for row, _ in selection.get("cells", []))]
    return int(rows[0]) if rows else None
