"""Tables as CSV that a spreadsheet may open: a text that it would run as a formula stays a text."""

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text and name that a spreadsheet would run; numbers are left alone."""
    texts = [name for name in table if table[name].dtype.kind == "O"]
    safe = table.assign(**{str(name): table[name].map(_guard) for name in texts})
    return safe.rename(columns=_guard)


def csv_text(table: pd.DataFrame, *, header: bool = True) -> str:
    """The guarded table; missing cells are empty and numbers have all their digits."""
    return str(guarded(table).to_csv(index=False, header=header, lineterminator="\n"))


def _guard(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
