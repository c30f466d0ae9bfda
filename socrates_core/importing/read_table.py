"""Reads a researcher's data file as a table of text, whatever program wrote it and whatever it is called."""

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.importing.delimited import read_delimited, with_decimal_points
from socrates_core.importing.statistical import PORTABLE, SAS, TRANSPORT, read_statistical
from socrates_core.importing.table import MAX_BYTES, UNSAID, WHOLE, Format, Pace, Table
from socrates_core.importing.workbook import read_workbook

__all__ = ["Table", "read_cells", "read_table"]

_DAMAGED = (  # what readers raise on damaged files
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
_SAVE = "save it as CSV, .sav or .dta in the program that wrote it"
_OTHERS: tuple[tuple[bytes | tuple[bytes, ...], str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or another Office file; save it as .xlsx or CSV"),
    (b"PAR1", "a Parquet file; only SocSci210's columns are read from Parquet"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "packed with gzip; unpack it first"),
    (b"**COMPRESSED** **COMPRESSED**", f"a SAS transport file of the kind CPORT; {_SAVE}"),
    ((b"RDX2\n", b"RDX3\n", b"RDA2\n", b"RDA3\n"), f"an R file; {_SAVE}"),
    (b"SQLite format 3", f"an SQLite database; {_SAVE}"),
    (b"ARROW1", f"a Feather file; {_SAVE}"),
)


def read_table(path: Path, pace: Pace = WHOLE, format_: Format = UNSAID) -> Table:
    """Like `read_cells`, with decimal commas as points: "2,5" in a file with semicolons is 2.5."""
    return with_decimal_points(read_cells(path, pace, format_))


def read_cells(path: Path, pace: Pace = WHOLE, format_: Format = UNSAID) -> Table:
    """The table in a CSV, TSV, Excel, SPSS, Stata, or SAS file, recognized by its content.

    These are .csv, .tsv, .xlsx, .sav, .zsav, .por, .dta, .sas7bdat and .xpt, whatever the file is called.

    Empty cells and cells that say NA are missing, and so are the missing codes that SPSS and Stata files declare.
    Raises UserError for any other file, and for one that is damaged, empty or too large.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as opened:
            start = opened.read(512)
    except OSError as error:
        raise UserError(f"The file {str(path)!r} cannot be read ({error.strerror}).") from error
    if size > MAX_BYTES:
        raise UserError(
            f"{path.name!r} has {size / 1e6:,.0f} MB. At most {MAX_BYTES / 1e6:,.0f} MB can be read."
        )
    if not start.strip():
        raise UserError(f"{path.name!r} is empty.")
    read = _reader(path.name, start)
    if format_.sheet and read is not read_workbook:
        raise UserError(
            f"{path.name!r} is not a workbook, so it has no sheet {format_.sheet!r}. Name no sheet."
        )
    try:
        table = read(path, pace, format_)
    except _DAMAGED as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise UserError(
            f"{path.name!r} is damaged or not what it seems ({reason}). "
            "Open it in the program that wrote it and save it again."
        ) from error
    if table.frame.empty:
        raise UserError(f"{path.name!r} has column names but no rows.")
    return table


def _reader(name: str, start: bytes) -> Callable[[Path, Pace, Format], Table]:
    if start.startswith(b"PK"):
        return read_workbook
    if start.startswith(SAS) and start[156:163] == b"CATALOG":
        raise UserError(f"{name!r} holds only the formats of a SAS data set. Give the data set (.sas7bdat).")
    # Before version 117 a Stata file starts with its version (102 to 115), its byte order, and a 1.
    stata = 0x66 <= start[0] <= 0x73 and start[1:2] in (b"\1", b"\2") and start[2:3] == b"\1"
    known = start.startswith((b"$FL2", b"$FL3", b"<stata_dta>", SAS, TRANSPORT))
    if stata or known or any(mark in start for mark in PORTABLE):
        return read_statistical
    for mark, what in _OTHERS:
        if start.startswith(mark):
            raise UserError(f"{name!r} is {what}.")
    return read_delimited
