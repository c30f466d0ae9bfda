"""Tables on a page: one in which a person chooses a row, long ones in pages, and any as a CSV file."""

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeVar

import pandas as pd
import streamlit as st

from socrates_core.files import digest
from socrates_core.spreadsheets import csv_text

T = TypeVar("T")


def choose_row(rows: Any, items: Iterable[T], *, key: str, **options: Any) -> T | None:
    """A table of which one row can be chosen, by its box or by any of its cells; what the chosen row is about.

    `items` are what the rows are about, in their order, such as ids. They are part of the table's key: if rows change
    under one key, Streamlit 1.67 swallows the next click on a cell.
    """
    items = list(items)
    event = st.dataframe(
        rows,
        hide_index=True,
        on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        key=f"{key}:{digest([str(item) for item in items])}",
        **options,
    )
    selection = event["selection"]
    chosen = [*selection["rows"], *(row for row, _ in selection.get("cells", []))]
    return items[int(chosen[0])] if chosen else None


def pages_of(n: int, size: int, key: str) -> range:
    """The positions of `n` things that the chosen page of `size` shows; draws its number where there are several."""
    if n <= size:
        return range(n)
    page = st.pagination(-(-n // size), key=key, bind="query-params")
    return range((page - 1) * size, min(page * size, n))


def csv_button(
    label: str,
    table: Callable[[], pd.DataFrame],
    name: str,
    *,
    key: str,
    type: Literal["secondary", "tertiary"] = "secondary",
) -> None:
    """A button that downloads `table` as `name`.csv; the file is made when a person clicks."""
    st.download_button(
        label,
        lambda: csv_text(table()).encode(),
        f"{name}.csv",
        "text/csv",
        key=key,
        type=type,
        icon=":material/download:",
        on_click="ignore",  # else a download would run the page again
    )
