"""The table that reading a data file gives, and the limits within which files are read."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from socrates_core.errors import UserError

MAX_BYTES = 500_000_000
MAX_EXPANDED = 500_000_000  # what a workbook may unpack to
MAX_COLUMNS = 5_000
MAX_CELLS = 100_000_000
MAX_CELL = 100_000  # characters
# The largest whole number that spreadsheets keep exactly has 15 digits.
LONG_NUMBER = 1e15
ABSENT = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "#NULL!", ".")


@dataclass(frozen=True)
class Table:
    """A data file as it was read.

    `frame`: every cell as text, whole numbers without decimals, missing cells as NA; column names are unique.
    `labels`: column -> its question or label in the file. `value_labels`: column -> {cell -> its label}.
    `warnings`: sentences about what a person should check. `decimal_commas`: whether "2,5" may still mean 2.5.
    `sheets`: the sheets of a workbook, of which `sheet` was read. `encoding`: of the texts, where a person can name
    another.
    """

    frame: pd.DataFrame
    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    decimal_commas: bool = False
    sheets: tuple[str, ...] = ()
    sheet: str = ""
    encoding: str = ""


@dataclass(frozen=True)
class Format:
    """What a person says about a file that does not say it itself: the `encoding` of its texts, the `sheet` to read.

    Empty means that the reader chooses.
    """

    encoding: str = ""
    sheet: str = ""


def _silent(done: int, total: int) -> None:
    """Reports to nobody."""


@dataclass(frozen=True)
class Pace:
    """How much of a file is read: its first `rows`, or all if None. `tell` gets the rows done and may raise to stop."""

    rows: int | None = None
    tell: Callable[[int, int], None] = _silent


WHOLE = Pace()
UNSAID = Format()


def check_size(rows: int, columns: int) -> None:
    """Raises UserError for a table that is larger than can be read."""
    if columns > MAX_COLUMNS:
        raise UserError(
            f"The file has {columns:,} columns. At most {MAX_COLUMNS:,} can be read; leave some out."
        )
    if rows * columns > MAX_CELLS:
        raise UserError(
            f"The file has {rows:,} rows and {columns:,} columns. At most {MAX_CELLS:,} cells can be read; "
            "leave out columns or split the file."
        )


def number_cell(value: float) -> str:
    """A number as the text of a cell: "5", "-3", "0.25"; a whole number keeps all its digits."""
    if isinstance(value, int):
        return str(value)
    # Beyond 1e22 a double no longer names one whole number, and all its digits would be made up.
    return str(int(value)) if abs(value) < 1e22 and value.is_integer() else f"{value:.15g}"


def lost_digits(columns: Sequence[str]) -> list[str]:
    """A warning about columns whose long numbers may have lost digits before the file was read; none if no columns."""
    if not columns:
        return []
    names = ", ".join(repr(name[:60]) for name in columns[:3])
    return [
        f"Numbers of more than 15 digits in {names}: spreadsheet programs keep only the first 15, so different people "
        "may have got the same number. Check that no two people share one, or export these numbers as text."
    ]


def shortened(names: list[str], most: int = 8) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def tidy(frame: pd.DataFrame, names: Sequence[Hashable]) -> tuple[pd.DataFrame, list[str]]:
    """The text cells trimmed, missing as NA, under unique `names`; with warnings about names that were changed."""
    unique, warnings = _unique([" ".join(str(name).split()) for name in names])
    tidied = {}
    for name, (_, column) in zip(unique, frame.items(), strict=True):
        text = column.astype("str").str.strip()
        text = text.mask(text.isin(ABSENT))
        if (longest := text.str.len().max()) > MAX_CELL:
            raise UserError(
                f"A cell of the column {name[:60]!r} has {int(longest):,} characters. At most {MAX_CELL:,} can "
                "be read; a quotation mark that is never closed may be the cause."
            )
        tidied[name] = text.str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True)
    return pd.DataFrame(tidied).dropna(how="all").reset_index(drop=True), warnings


def _unique(names: Sequence[str]) -> tuple[list[str], list[str]]:
    taken = set(names)
    unique = list[str]()
    repeated = list[str]()
    nameless = 0
    seen = set[str]()
    for position, name in enumerate(names, start=1):
        chosen = name if name and name != "nan" else f"column {position}"
        nameless += chosen != name
        if chosen in seen:
            repeated.append(chosen)
            number = 2
            while (other := f"{chosen} ({number})") in taken or other in seen:
                number += 1
            chosen = other
        seen.add(chosen)
        unique.append(chosen)
    warnings = []
    if nameless:
        warnings.append(f"Columns without a name ({nameless}) are named by their position.")
    if repeated:
        shown_names = ", ".join(repr(name[:60]) for name in dict.fromkeys(repeated[:3]))
        warnings.append(f"Some column names occur more than once ({shown_names}); later ones were numbered.")
    return unique, warnings
