"""Reads CSV and TSV files in any common encoding, with any common separator."""

import codecs
import csv
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.importing.encodings import WESTERN, guess_encoding, is_nearly_utf8, named_encoding
from socrates_core.importing.table import (
    UNSAID,
    WHOLE,
    Format,
    Pace,
    Table,
    check_size,
    lost_digits,
    shortened,
    tidy,
)
from socrates_core.spreadsheets import unguarded_text

AnyTable = TypeVar("AnyTable", bound=Table)
SEPARATORS = (",", "\t", ";", "|")
_HEAD = 1_000_000  # bytes within which the header must end
_NAMED = re.compile(
    r"\ufeff?\"?sep=([,\t;|])\"?[ ,\t;|]*\r?\n", re.IGNORECASE
)  # a first line for Excel alone
_MOST_CODES = 30  # of a question with a list of answers
_DECIMAL = r"-?\d+,\d+"
_CUT = r"-?\d(?:[.,]\d+)?E\+1[5-9]$"  # 1.23457E+16, as a spreadsheet program writes long numbers into text
_GUESSED = 4_000_000  # bytes from which an encoding is guessed
_ROWS = 50_000  # rows between two reports of progress
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class _Scan:
    encoding: str
    lines: int
    warnings: tuple[str, ...] = ()


def read_delimited(path: Path, pace: Pace = WHOLE, format_: Format = UNSAID) -> Table:
    """The table in a text file; decimal commas stay.

    Raises UserError if the file is not text, has ragged rows or is too large.
    """
    scan = _scan(path, format_.encoding)
    with path.open(encoding=scan.encoding, errors="replace", newline="") as opened:
        head = opened.read(_HEAD)
    named = _NAMED.match(head)
    separator, width = (named[1], 0) if named else _separator(path.name, head)
    if named:  # the header is the next line
        width = len(next(csv.reader(head[named.end() :].splitlines()[:1], delimiter=separator), []))
    check_size(scan.lines, width)
    parts = list[pd.DataFrame]()
    done = 0
    try:
        with pd.read_csv(
            path,
            sep=separator,
            header=None,  # pandas would rename repeated names; `tidy` warns
            dtype=str,
            keep_default_na=False,  # `tidy` decides what is missing
            encoding=scan.encoding,
            encoding_errors="replace",  # `_scan` has warned
            chunksize=_ROWS,
            nrows=None if pace.rows is None else pace.rows + 1,
            skiprows=1 if named else 0,
        ) as reader:
            for part in reader:
                pace.tell(done, scan.lines)
                parts.append(part)
                done += len(part)
    except (ValueError, csv.Error) as error:  # pandas' own errors are ValueErrors
        reason = " ".join(str(error).replace("Error tokenizing data. C error: ", "").split())
        raise UserError(
            f"{path.name!r} cannot be read as a table: {reason[:200].rstrip('.')}. "
            "Every row needs as many cells as the first one, and every opening quotation mark a closing one."
        ) from error
    cells = pd.concat(parts).apply(_unguarded)
    frame, warnings = tidy(cells.iloc[1:], cells.iloc[0].tolist())
    warnings += lost_digits([str(name) for name, column in frame.items() if column.str.match(_CUT).any()])
    return Table(
        frame, warnings=(*scan.warnings, *warnings), decimal_commas=separator == ";", encoding=scan.encoding
    )


def with_decimal_points(table: AnyTable, lists: Collection[str] = ()) -> AnyTable:
    """The table with "2,5" as "2.5" if its file has decimal commas, in the columns that say so.

    Commas stay in the columns `lists`, and in a column whose cells may all be lists of codes in rising order: "1,3",
    "2,4" and "2" say nothing, while "3,2", "0,5" or "2,75" is a number. A warning names such columns.
    """
    if not table.decimal_commas:
        return table
    frame = table.frame.copy()
    unsure = list[str]()
    for name, column in table.frame.items():
        cells = column.dropna()
        with_comma = cells[cells.str.contains(",", regex=False)]
        numbers = with_comma.str.fullmatch(_DECIMAL)
        if name in lists or not numbers.any():
            continue
        if not numbers.all() and with_comma.str.fullmatch(r"-?\d+(?:,-?\d+){2,}").any():
            continue  # a list with three codes
        if numbers.all() and _may_be_lists(with_comma, set(cells) - set(with_comma)):
            unsure.append(str(name))
            continue
        frame[name] = column.str.replace(r"^(-?\d+),(\d+)$", r"\1.\2", regex=True)
    warnings = table.warnings
    if unsure:
        warnings = (
            *warnings,
            f"Cells such as '1,3' in {shortened(unsure)} may be decimal numbers or lists of codes. They stay texts; "
            "write decimal points if they are numbers.",
        )
    return replace(table, frame=frame, decimal_commas=False, warnings=warnings)


def _unguarded(column: "pd.Series[str]") -> "pd.Series[str]":
    """The cells without the apostrophes that our exports put before texts that a spreadsheet would run."""
    guarded = column.str.contains("'", regex=False).fillna(False)
    return column.where(~guarded, column[guarded].map(unguarded_text)) if guarded.any() else column


def _may_be_lists(cells: "pd.Series[str]", alone: set[str]) -> bool:
    """Whether all cells such as "1,3" may list two codes: these rise, and some code also occurs `alone`.

    Where every cell ends in ",5", they are halves.
    """
    pairs = [cell.split(",") for cell in cells.unique()]
    codes = all(
        1 <= int(first) < int(second) <= _MOST_CODES and not second.startswith("0") for first, second in pairs
    )
    halves = {second for _, second in pairs} == {"5"}
    return codes and not halves and bool({code for pair in pairs for code in pair} & alone)


def _scan(path: Path, named: str = "") -> _Scan:
    """The encoding that a person named, or else the one that fits the whole file; and its number of lines."""
    with path.open("rb") as opened:
        start = opened.read(4096)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if encoding is None and b"\0" in start:
        even, odd = start[::2].count(0), start[1::2].count(0)
        # Text in UTF-16 has a zero in every second byte and hardly any elsewhere; other files with zeros are not text.
        if min(even, odd) <= 0.02 * max(even, odd) and max(even, odd) >= 0.1 * len(start):
            encoding = "utf-16-le" if odd > even else "utf-16-be"
    if named:
        encoding = named_encoding(named).name
        fits, lines, _ = _decodes(path, encoding)
        if not fits:
            raise UserError(
                f"{path.name!r} is not text in the encoding {named!r}. Name another one, or none."
            )
        return _Scan(encoding, lines)
    encoding = encoding or "utf-8"
    fits, lines, zeros = _decodes(path, encoding)
    if fits and zeros and not encoding.startswith("utf-16"):
        fits = False
    with path.open("rb") as opened:
        head = opened.read(_GUESSED)
    escapes = fits and encoding == "utf-8" and b"\x1b" in head  # text in ASCII that switches to other signs
    if fits and not escapes:
        return _Scan(encoding, lines)
    if not escapes and (zeros or encoding.startswith("utf-16")):
        raise UserError(
            f"{path.name!r} is neither text nor a known data file. "
            "Use CSV, TSV, Excel (.xlsx), SPSS (.sav, .por), Stata (.dta) or SAS (.sas7bdat, .xpt)."
        )
    if not escapes and is_nearly_utf8(head):
        damaged = (
            "A few characters of the file are damaged; each is shown as \ufffd. The rest is read as UTF-8."
        )
        return _Scan("utf-8", lines, (damaged,))
    guess = guess_encoding(head)
    if guess is None and escapes:
        return _Scan(encoding, lines)
    chosen = guess if guess and _decodes(path, guess.name)[0] else WESTERN
    # Windows-1252 leaves five bytes undefined, while Latin-1 reads any byte.
    name = chosen.name if _decodes(path, chosen.name)[0] else "latin-1"
    letters = "é" if chosen == WESTERN else "those beyond a to z"
    warning = (
        f"The file is not UTF-8. It was read as {chosen.title} text ({chosen.iconv.title()}); check letters such as "
        f"{letters}, and name another encoding if they are wrong."
    )
    return _Scan(name, lines, (warning,))


def _decodes(path: Path, encoding: str) -> tuple[bool, int, bool]:
    """Whether the file is valid in `encoding`; its lines; whether it holds zero bytes."""
    decoder = codecs.getincrementaldecoder(encoding)()
    fits = True
    feeds = 0
    returns = 0
    zeros = False
    with path.open("rb") as opened:
        while part := opened.read(1 << 22):
            feeds, returns = feeds + part.count(b"\n"), returns + part.count(b"\r")
            zeros = zeros or b"\0" in part
            try:
                fits = fits and decoder.decode(part) is not None
            except UnicodeDecodeError:
                fits = False
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        fits = False
    return fits, max(feeds, returns) + 1, zeros


def _separator(name: str, head: str) -> tuple[str, int]:
    """The separator that gives most of the first lines the header's width, and that width."""
    best = (0.0, 1, ",")
    for separator in SEPARATORS:
        try:
            rows = [
                row for row in csv.reader(head.splitlines(keepends=True)[:50], delimiter=separator) if row
            ]
        except csv.Error:
            continue
        width = len(rows[0]) if rows else 0
        even = sum(len(row) == width for row in rows) / max(1, len(rows))
        if width > 1:
            best = max(best, (round(even, 1), width, separator))
    if best[1] == 1 and "\n" not in head and "\r" not in head and len(head) == _HEAD:
        raise UserError(
            f"The first line of {name!r} is longer than a million characters, so it cannot be a header."
        )
    return best[2], best[1]
