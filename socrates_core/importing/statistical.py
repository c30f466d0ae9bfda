"""SPSS and Stata files with their variable labels and value labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.importing.record import MAX_CELLS, Table, check_size, number_cell, tidy


def read_spss(path: Path) -> Table:
    """The table of a .sav or .zsav file; cells that the file declares missing are missing."""
    import pyreadstat

    return _read(path, pyreadstat.read_sav)


def read_stata(path: Path) -> Table:
    """The table of a .dta file of any version; extended missing values are missing."""
    import pyreadstat

    return _read(path, pyreadstat.read_dta)


def _read(path: Path, read: Any) -> Table:
    """Raises UserError where the file is damaged or too large."""
    import pyreadstat

    try:
        _, about = read(path, metadataonly=True)
        check_size(about.number_rows or 0, about.number_columns or 0)
        limit = MAX_CELLS // max(1, about.number_columns or 1)
        frame, about = read(path, row_limit=limit, disable_datetime_conversion=True)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError) as error:
        raise UserError(f"{path.name!r} is damaged or of an unknown version ({error}).") from error
    if len(frame) == limit:
        check_size(limit + 1, about.number_columns)
    names = [str(name) for name in frame.columns]
    texts = pd.DataFrame({position: _texts(frame.iloc[:, position]) for position in range(len(names))})
    tidied, warnings = tidy(texts, names)
    places = dict(zip(names, tidied.columns, strict=True))
    labels = {places[name]: text for name, text in about.column_names_to_labels.items() if text}
    values = {places[name]: _labels(found) for name, found in about.variable_value_labels.items()}
    return Table(tidied, labels, values, tuple(warnings))


def _texts(column: pd.Series) -> pd.Series:
    """The column's cells as text, every different number written once."""
    numbers = {value: _cell(value) for value in column.dropna().unique()}
    return column.map(numbers).astype("str")


def _cell(value: object) -> str:
    return number_cell(float(value)) if isinstance(value, int | float) else str(value)


def _labels(found: Mapping[Any, str]) -> dict[str, str]:
    return {_cell(value): str(label).strip() for value, label in found.items() if str(label).strip()}
