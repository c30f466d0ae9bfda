"""Tables as CSV that a spreadsheet may open: a text that it would run as a formula stays a text."""

import csv
import re
import unicodedata
from typing import Any

import pandas as pd

# Excel also takes the full-width and small forms of these signs, which are the same under NFKC.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
# A spreadsheet whose list separator is not the comma splits a text here, quotes or not. What follows a list's dash and
# a space ("- Age: 30") is a formula only with a call, a reference or a command in it.
_AFTER_A_SPLIT = re.compile(rf"([;\t\r\n][^\S\r\n]*)(?=[{_SIGNS}])(?![-+] [^(|!\r\n]*(?:[\r\n]|$))")
_FORMULA = re.compile(rf"[{_SIGNS}]")
_NOT_SEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # categories that a spreadsheet passes over before a sign


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text and name that a spreadsheet would run; numbers are left alone.

    Two columns may share a name. What is neither a text nor a number, such as a list, becomes a text.
    """
    columns = [_guarded_column(table.iloc[:, place]) for place in range(table.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else table.copy()
    safe.columns = (
        pd.MultiIndex.from_tuples([tuple(map(_guard, name)) for name in table.columns])
        if isinstance(table.columns, pd.MultiIndex)
        else pd.Index([_guard(name) for name in table.columns], dtype=object)
    )
    return safe


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """The guarded table with every cell in quotes; missing cells are empty and numbers have all their digits."""
    return str(guarded(table).to_csv(index=False, header=header, lineterminator="\n", quoting=csv.QUOTE_ALL))


def _guarded_column(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype.kind in "biufcmM":  # numbers and times
        return column
    return pd.Series([_guard(cell) for cell in column], index=column.index, dtype=object)


def _guard(cell: Any) -> Any:
    """The cell, of a text with an apostrophe wherever a spreadsheet could begin to read a formula."""
    if isinstance(cell, bool | int | float | complex) or (pd.api.types.is_scalar(cell) and pd.isna(cell)):
        return cell
    text = cell if isinstance(cell, str) else str(cell)
    seen = next((sign for sign in text if unicodedata.category(sign) not in _NOT_SEEN), "")
    first = "'" if _FORMULA.match(seen) or text.startswith(("\t", "\r", "\n")) else ""
    return first + _AFTER_A_SPLIT.sub(r"\1'", text)
