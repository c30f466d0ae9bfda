"""Tables as CSV that is safe to open in a spreadsheet: texts that it would run as formulas stay texts.

What is guarded here is read back as it was by `unguarded_text`.
"""

import csv
import re
import unicodedata
from typing import Any

import pandas as pd

# Excel also accepts the full-width and small forms of these signs, which are the same under NFKC.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
# A spreadsheet whose list separator is not the comma splits a text here, even inside quotes. After a dash and a space,
# as in a list ("- Age: 30"), a text is a formula only if it has a call, a reference or a command in it. A text that has
# apostrophes there already gets one more, so that reading it back takes away the right one.
_SPLIT = r"[;\t\r\n][^\S\r\n]*"
_RUN = rf"(?='*[{_SIGNS}])(?!'*[-+] [^(|!\r\n]*(?:[\r\n]|$))"
_AFTER_A_SPLIT = re.compile(rf"({_SPLIT}){_RUN}")
_GUARDED_SPLIT = re.compile(rf"({_SPLIT})'{_RUN}")
_FORMULA = re.compile(rf"[{_SIGNS}]")
_INVISIBLE = ("Cc", "Cf", "Zs", "Zl", "Zp")  # categories that a spreadsheet skips before a sign


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text and column name that a spreadsheet would run. Numbers stay.

    Two columns may share a name. A value that is neither text nor number, such as a list, becomes a text.
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
    """The guarded table with every cell in quotes. Missing cells are empty, and numbers keep all their digits."""
    return str(guarded(table).to_csv(index=False, header=header, lineterminator="\n", quoting=csv.QUOTE_ALL))


def _guarded_column(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.dtype.kind in "biufcmM":  # numbers and times
        return column
    return pd.Series([_guard(cell) for cell in column], index=column.index, dtype=object)


def _guard(cell: Any) -> Any:
    """The cell. A text gets an apostrophe wherever a spreadsheet could start to read a formula."""
    # pd.isna answers for each item of a list, so it is asked about scalars only.
    if isinstance(cell, bool | int | float | complex) or (pd.api.types.is_scalar(cell) and pd.isna(cell)):
        return cell
    text = cell if isinstance(cell, str) else str(cell)
    return ("'" if _is_run(text) else "") + _AFTER_A_SPLIT.sub(r"\1'", text)


def unguarded_text(text: str) -> str:
    """The text of a cell that `guarded` wrote; any other text as it is."""
    if "'" not in text:
        return text
    text = _GUARDED_SPLIT.sub(r"\1", text)
    return text[1:] if text.startswith("'") and _is_run(text[1:]) else text


def _is_run(text: str) -> bool:
    """Whether a spreadsheet could read a formula from the beginning of the text, leaving out apostrophes there."""
    bare = text.lstrip("'")
    first_visible = next((sign for sign in bare if unicodedata.category(sign) not in _INVISIBLE), "")
    return bool(_FORMULA.match(first_visible)) or bare.startswith(("\t", "\r", "\n"))
