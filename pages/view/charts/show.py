"""Shows a chart on a page: with its data as a file, or with points to choose."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.view.fields.table import csv_button


def show_chart(figure: go.Figure, frame: pd.DataFrame, name: str) -> None:
    """A chart that can be saved as SVG from its corner, with its data as CSV below."""
    config: dict[str, Any] = {
        "displaylogo": False,
        "toImageButtonOptions": {"format": "svg", "filename": name},
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
    }
    # theme=None, since Streamlit's theme would replace the look that charts/template.py gives.
    st.plotly_chart(figure, key=f"chart_{name}", config=config, theme=None, alt=figure.layout.meta)
    csv_button("Data of this chart", lambda: frame, name, key=f"data_{name}", type="tertiary")


def show_figure(figure: go.Figure, name: str) -> Any:
    """A chart whose points can be chosen and zoomed into; what is chosen."""
    config = {
        "displaylogo": False,
        "scrollZoom": True,
        "modeBarButtonsToRemove": ["select2d", "lasso2d"],
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }
    return st.plotly_chart(
        figure,
        key=f"chart_{name}",
        config=config,
        theme=None,
        on_select="rerun",
        selection_mode="points",
        alt=figure.layout.meta,
    )


def theme() -> str | None:
    """Whether the browser shows the page "light" or "dark"; None before the browser says so."""
    return st.context.theme.type
