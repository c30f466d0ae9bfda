"""Reads one sheet of an Excel workbook, row by row; formulas stay text."""

import zipfile
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import UserError, unknown
from socrates_core.importing.table import (
    LONG_NUMBER,
    MAX_COLUMNS,
    MAX_EXPANDED,
    UNSAID,
    WHOLE,
    Format,
    Pace,
    Table,
    check_size,
    lost_digits,
    number_cell,
    shortened,
    tidy,
)

MOST_ROWS = 1_048_576  # of a sheet in the format; the number of a row may claim far more


@dataclass
class _Rows:
    """The rows of a sheet that are not empty, as text; its formulas; the positions of columns with long numbers."""

    rows: list[list[str | None]] = field(default_factory=list)
    formulas: int = 0
    long: set[int] = field(default_factory=set)


def read_workbook(path: Path, pace: Pace = WHOLE, format_: Format = UNSAID) -> Table:
    """The sheet that a person names, or else the first visible one with rows, or else the first hidden one with rows.

    Raises UserError if the workbook unpacks to too much, has no such sheet or no table.
    """
    _check_archive(path)
    from openpyxl import load_workbook

    workbook = load_workbook(path, read_only=True, data_only=False, keep_links=False)
    try:
        names = tuple(sheet.title for sheet in workbook.worksheets)
        if format_.sheet and format_.sheet not in names:
            raise unknown("sheet", format_.sheet, names)
        # Survey tools keep their own notes on hidden sheets, often in front.
        ordered = sorted(workbook.worksheets, key=lambda sheet: sheet.sheet_state != "visible")
        for sheet in [sheet for sheet in ordered if format_.sheet in ("", sheet.title)]:
            content = _rows(sheet, pace)
            if content.rows:
                break
        else:
            which = f"The sheet {format_.sheet!r}" if format_.sheet else "No sheet"
            has = "has no" if format_.sheet else "has"
            raise UserError(f"{which} of {path.name!r} {has} rows.")
    finally:
        workbook.close()
    width = max(map(len, content.rows))
    cells = pd.DataFrame([row + [None] * (width - len(row)) for row in content.rows], dtype=object)
    frame, warnings = tidy(cells.iloc[1:], [name or "" for name in cells.iloc[0]])
    warnings += lost_digits([frame.columns[place] for place in sorted(content.long)])
    if len(names) > 1 and not format_.sheet:
        others = shortened([repr(name) for name in names if name != sheet.title])
        warnings.append(f"Only the sheet {sheet.title!r} is read. To read another one, name it: {others}.")
    if content.formulas:
        warnings.append(
            f"{content.formulas:,} cells hold formulas; they are kept as text. "
            "To use their results, paste them as values."
        )
    return Table(frame, warnings=tuple(warnings), sheets=names, sheet=sheet.title)


def _check_archive(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        expanded = sum(member.file_size for member in archive.infolist())
        names = archive.namelist()
    if "xl/workbook.xml" not in names:
        raise UserError(
            f"{path.name!r} is a zip archive but not an Excel workbook. Unpack it and choose one file."
        )
    if expanded > MAX_EXPANDED:
        raise UserError(
            f"{path.name!r} unpacks to {expanded / 1e6:,.0f} MB. At most {MAX_EXPANDED / 1e6:,.0f} MB can be read; "
            "save the sheet as CSV."
        )


def _rows(sheet: Any, pace: Pace) -> _Rows:
    most = None if pace.rows is None else pace.rows + 1
    if hasattr(sheet, "reset_dimensions"):
        sheet.reset_dimensions()  # the stated size may be wrong
    read = _Rows()
    widest = 0
    for seen, values in enumerate(sheet.iter_rows(values_only=True, max_row=most), start=1):
        if seen > MOST_ROWS:
            raise UserError(
                f"The sheet {sheet.title[:60]!r} has more than the {MOST_ROWS:,} rows that Excel writes, or a row "
                "with a wrong number. Open it in a spreadsheet and save it as CSV."
            )
        widest = max(widest, len(values))
        if seen % 1000 == 0 or widest > MAX_COLUMNS:
            check_size(seen, widest)
            pace.tell(0, 0)  # the number of rows is not known
        if any(value is not None for value in values):
            row = [_text(value) for value in values]
            read.formulas += sum(text is not None and text.startswith("=") for text in row)
            read.long |= {n for n, value in enumerate(values) if _is_long(value)}
            read.rows.append(row)
    return read


def _is_long(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) >= LONG_NUMBER


def _text(value: object) -> str | None:
    if value is None:
        return None
    # Before numbers, since a bool is an int.
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return number_cell(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(getattr(value, "text", value))  # an array formula is an object with a text
