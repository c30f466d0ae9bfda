"""Pieces that several pages show: a chart with its data, an exact prompt."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.view import state
from pages.view.text import visible
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import context_limit, count_tokens
from socrates_core.records import Prompt
from socrates_core.spreadsheets import csv_text


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
        "Data of this chart",
        csv_text(frame).encode(),
        f"{name}.csv",
        "text/csv",
        key=f"data_{name}",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )


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


def linked_select(label: str, options: Mapping[str, str], name: str, scope: str, *, where: Any = st) -> str:
    """A box to choose one of `options` (its name in the link -> what is shown), held by the link's parameter `name`.

    The first option leaves the link as it is. `scope` is what the options belong to, such as a study.
    """
    keys, key = list(options), f"{name}:{scope}"
    linked = state.parameter(name) or ""
    state.follow_link(key, linked if linked in options else keys[0])
    chosen = str(where.selectbox(label, keys, format_func=distinct(options).__getitem__, key=key))
    state.note_link(key, chosen)
    state.set_parameters(**{name: None if chosen == keys[0] else chosen})
    return chosen


def distinct(options: Mapping[str, str]) -> dict[str, str]:
    """The names of options, with the id where two are alike: Streamlit tells options apart by their names."""
    times = Counter(options.values())
    return {key: shown if times[shown] == 1 else f"{shown} ({key})" for key, shown in options.items()}


def linked_box(label: str, options: Mapping[str, str], linked: str | None, *, key: str) -> str:
    """A box to choose one of `options` (its name -> what is shown), which begins with, and follows, the link."""
    if linked in options:
        state.follow_link(key, linked)
    chosen = str(st.selectbox(label, list(options), format_func=distinct(options).__getitem__, key=key))
    state.note_link(key, chosen)
    return chosen


def pages_of(n: int, size: int, key: str) -> range:
    """The positions of `n` things that the chosen page of `size` shows; draws its number where there are several."""
    if n <= size:
        return range(n)
    page = st.pagination(-(-n // size), key=key, bind="query-params")
    return range((page - 1) * size, min(page * size, n))


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


def choose_row(rows: Any, *, key: str, identities: Iterable[str], **options: Any) -> int | None:
    """A table of which one row can be chosen, by its box or by any of its cells; the position of that row.

    `identities` names what the rows are, in their order. They are part of the table's key: where rows change under
    one key, Streamlit 1.67 swallows the next click on a cell.
    """
    event = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=f"{key}:{digest(list(identities))}",
        **options,
    )
    selection = event["selection"]
    rows = [*selection["rows"], *(row for row, _ in selection.get("cells", []))]
    return int(rows[0]) if rows else None
