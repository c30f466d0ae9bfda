"""Reads SPSS, Stata, and SAS files with their variable labels and value labels.

python -m socrates_core.importing.statistical FILE FOLDER [ROWS [ENCODING]]

The library that reads them is written in C, and a damaged file can end its process. So it runs in a separate
interpreter, which writes what it read into a folder.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from socrates_core.errors import UserError
from socrates_core.files import read_json, read_parquet, write_json, write_parquet
from socrates_core.importing.encodings import Encoding, guess_encoding, named_encoding
from socrates_core.importing.table import (
    LONG_NUMBER,
    MAX_CELLS,
    UNSAID,
    WHOLE,
    Format,
    Pace,
    Table,
    check_size,
    lost_digits,
    number_cell,
    tidy,
)
from socrates_core.settings import CODE

_SECONDS = 600
_TYPED = 12  # digits; a person types fewer into a decimal number
_GUESSED = 2_000  # rows whose texts an encoding is guessed from
_LATEST = 3e11  # seconds: some 9,500 years
# By reader: the formats of dates, the moment from which they count, and what they count
_SPSS = ((r"[AESJ]?DATE(?!TIME)|DATETIME|YMDHMS|MOYR|QYR|WKYR", "1582-10-14", "seconds"),)
_SAS = (
    (r"DATETIME|[BE]8601DT|DATEAMPM|MDYAMPM", "1960-01-01", "seconds"),
    (r"DATE|MMDDYY|DDMMYY|YYMMDD|[BE]8601DA|WORDDAT|WEEKDAT|MONYY|JULIAN", "1960-01-01", "days"),
)
_CLOCKS = {
    "read_sav": _SPSS,
    "read_por": _SPSS,
    "read_dta": ((r"%-?tc", "1960-01-01", "ms"), (r"%-?t?d", "1960-01-01", "days")),
    "read_xport": _SAS,
    "read_sas7bdat": _SAS,
}
_BY_DEFAULT = (None, "WINDOWS-1252", "ISO-8859-1")  # declared by programs that do not know better
_UTF8 = Encoding("utf-8", "UTF-8", "UTF-8")
SAS = bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf"  # how a SAS data set begins
TRANSPORT = b"HEADER RECORD*******LIB"  # and a transport file
PORTABLE = (b"SPSS PORT FILE", b"SPSSPORT")  # within the first lines of a portable file


def read_statistical(path: Path, pace: Pace = WHOLE, format_: Format = UNSAID) -> Table:
    """The table of a .sav, .zsav, .por, .dta, .sas7bdat or .xpt file.

    Cells that the file declares missing are missing. Raises UserError if the file is damaged or too large.
    """
    encoding = named_encoding(format_.encoding).iconv if format_.encoding else ""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            __name__,
            str(path.absolute()),
            folder,
            str(pace.rows or 0),
            encoding,
        ]
        code, message = _run(command, pace, path.name)
        if code == 2:
            raise UserError(message.strip().splitlines()[-1])
        if code:
            raise UserError(
                f"{path.name!r} is damaged: its reader ended with code {code}. "
                "Open it in the program that wrote it and save it again."
            )
        frame = read_parquet(Path(folder) / "frame.parquet").to_pandas()
        labels = read_json(Path(folder) / "labels.json")
    return Table(
        frame,
        labels["labels"],
        labels["value_labels"],
        tuple(labels["warnings"]),
        encoding=labels["encoding"],
    )


def _run(command: list[str], pace: Pace, name: str) -> tuple[int, str]:
    """The exit code of a command and its error stream. The command is killed if `pace` raises or the time is over."""
    ends = time.monotonic() + _SECONDS
    with subprocess.Popen(
        command, cwd=CODE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while time.monotonic() < ends:
                pace.tell(0, 1)
                try:
                    return process.wait(0.5), process.stderr.read() if process.stderr else ""
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
    raise UserError(f"{name!r} took longer than {_SECONDS // 60} minutes to read. Save it as CSV.")


def read_here(path: Path, rows: int = 0, encoding: str = "") -> Table:
    """The same in this process, which a damaged file may end. 0 `rows` are all; `encoding` is as iconv calls it."""
    import pyreadstat

    read = _reader_of(path)
    warnings = list[str]()
    try:
        if not encoding:
            encoding, warnings = _encoding_of(read, path)
        frame, about, declared = _read_all(read, path, rows, encoding or None)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as error:
        if "convert string" in str(error):
            raise UserError(
                f"The texts of {path.name!r} are in no encoding that was tried. Name the encoding, such as 'cp1252', "
                "or save the file again in the program that wrote it."
            ) from error
        raise UserError(f"{path.name!r} is damaged or of an unknown version ({error}).") from error
    names = [str(name) for name in frame.columns]
    formats = about.original_variable_types
    texts = pd.DataFrame(
        {
            n: _texts(frame.iloc[:, n], _clock_of(read.__name__, formats.get(name) or ""))
            for n, name in enumerate(names)
        }
    )
    tidied, renamed = tidy(texts, names)
    warnings += renamed
    warnings += lost_digits([tidied.columns[n] for n in range(len(names)) if _is_long(frame.iloc[:, n])])
    places = dict(zip(names, tidied.columns, strict=True))
    named = about.column_names_to_labels
    listed = about.variable_value_labels
    labels = {place: named[name] for name, place in places.items() if named.get(name)}
    values = {
        place: _labels(listed[name], declared.get(name, ()))
        for name, place in places.items()
        if name in listed
    }
    return Table(tidied, labels, values, tuple(warnings), encoding=encoding or about.file_encoding or "UTF-8")


def _reader_of(path: Path) -> Any:
    """The function of pyreadstat that reads a file which begins as this one does."""
    import pyreadstat

    with path.open("rb") as opened:
        start = opened.read(512)
    if start.startswith(b"$FL"):
        return pyreadstat.read_sav
    if start.startswith(SAS):
        return pyreadstat.read_sas7bdat
    if start.startswith(TRANSPORT):
        return pyreadstat.read_xport
    return pyreadstat.read_por if any(mark in start for mark in PORTABLE) else pyreadstat.read_dta


def _encoding_of(read: Any, path: Path) -> tuple[str, list[str]]:
    """The encoding to read the file in if it is not what the file declares, with a warning; else an empty text.

    Files from before Unicode declare none, and old versions of SPSS declare a wrong one.
    """
    import pyreadstat

    if read.__name__ == "read_por":
        return "", []  # its reader knows UTF-8 only
    # ISO-8859-1 reads every byte as one character, so these are the bytes of the file.
    content = _texts_of(read, path, "ISO-8859-1")[0].encode("latin-1", "replace")
    chosen = _UTF8 if _is_text(content, "utf-8") else guess_encoding(content)
    if content.isascii() or chosen is None:
        return "", []
    try:
        text, declared = _texts_of(read, path, None)
    except (pyreadstat.ReadstatError, UnicodeError) as error:
        if "convert string" not in str(error) and not isinstance(error, UnicodeError):
            raise
    else:
        if declared not in _BY_DEFAULT or text == content.decode(chosen.name, "replace"):
            return "", []
    name = f"{chosen.title} text ({chosen.iconv.title()})" if chosen != _UTF8 else "UTF-8"
    return chosen.iconv, [
        f"The texts of the file are in another encoding than it declares. They were read as {name}; check letters such "
        "as é, and name another encoding if they are wrong."
    ]


def _texts_of(read: Any, path: Path, encoding: str | None) -> tuple[str, str | None]:
    """The labels and texts of the first rows in one text, and the encoding that the file declares."""
    frame, about = read(path, row_limit=_GUESSED, disable_datetime_conversion=True, encoding=encoding)
    texts = [text for text in about.column_names_to_labels.values() if text]
    texts += [str(label) for labels in about.variable_value_labels.values() for label in labels.values()]
    texts += [
        cell for name in frame for cell in frame[name].dropna().unique().tolist() if isinstance(cell, str)
    ]
    return "\n".join(texts), about.file_encoding


def _is_text(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _read_all(
    read: Any, path: Path, rows: int, encoding: str | None
) -> tuple[pd.DataFrame, Any, dict[str, Any]]:
    """The cells, the file's description of itself, and the ranges that it declares missing."""
    options: dict[str, Any] = {"encoding": encoding} if read.__name__ != "read_por" else {}
    # pyreadstat lists missing codes only when it keeps them as values; the second read leaves them out.
    kept = {"user_missing": True} if read.__name__ in ("read_sav", "read_dta", "read_sas7bdat") else {}
    _, about = read(path, metadataonly=True, **kept, **options)
    check_size(about.number_rows or 0, about.number_columns or 0)
    limit = MAX_CELLS // max(1, about.number_columns or 1)
    declared = _declared_missing(about)
    frame, about = read(path, row_limit=rows or limit, disable_datetime_conversion=True, **options)
    # The file may hold more rows than it states.
    if len(frame) == limit:
        check_size(limit + 1, about.number_columns)
    return frame, about, declared


def _declared_missing(about: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Column -> the ranges (from, to) of cells that the file declares missing."""
    ranges = {
        str(name): [(limits["lo"], limits["hi"]) for limits in listed]
        for name, listed in about.missing_ranges.items()
    }
    for name, codes in about.missing_user_values.items():
        ranges.setdefault(str(name), []).extend((code, code) for code in codes)
    return ranges


def _is_long(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and bool((column.abs() >= LONG_NUMBER).any())


def _clock_of(reader: str, format_: str) -> tuple[str, str] | None:
    """The first moment and the unit that a column's numbers count, by its format; None for other numbers."""
    for pattern, first, unit in _CLOCKS[reader]:
        if re.match(pattern, format_, re.IGNORECASE):
            return first, unit
    return None


def _texts(column: pd.Series, clock: tuple[str, str] | None) -> pd.Series:
    """The column's cells as text, dates as 2020-03-01; each different number is converted once."""
    values = column.dropna().unique()
    write = _single if _is_single(values) else _cell
    numbers = {value: write(value) for value in values}
    if clock and pd.api.types.is_numeric_dtype(column):
        numbers = {value: _moment(value, *clock) or text for value, text in numbers.items()}
    return column.map(numbers).astype("str")


def _moment(value: float, first: str, unit: str) -> str:
    """The date of a number, with its time unless it is midnight; empty for a number that is no moment."""
    seconds = value * {"days": 86_400.0, "seconds": 1.0, "ms": 0.001}[unit]
    if not abs(seconds) < _LATEST:
        return ""
    moment = np.datetime64(first, "s") + np.timedelta64(int(seconds), "s")
    return str(moment).replace("T", " ").removesuffix(" 00:00:00")


def _is_single(values: Any) -> bool:
    """Whether a column of doubles holds single-precision numbers, the usual type in Stata.

    0.1 is then read as 0.10000000149011612. All values are exact single-precision numbers, and some need more digits
    than anybody types; a file that was converted no longer says which type it had.
    """
    if values.dtype != np.float64 or not np.isfinite(values).all():
        return False
    # A double beyond single precision becomes infinite here, and so is not equal.
    with np.errstate(over="ignore"):
        single = bool((values.astype(np.float32) == values).all())
    return single and any(len(f"{value:.15g}".lstrip("-0.")) > _TYPED for value in values)


def _single(value: float) -> str:
    """A single-precision number in the fewest digits that name it: "0.1"; whole numbers as elsewhere."""
    return _cell(value) if value.is_integer() else np.format_float_positional(np.float32(value), trim="-")


def _cell(value: object) -> str:
    return number_cell(float(value)) if isinstance(value, int | float) else str(value)


def _labels(listed: Mapping[Any, str], missing: Sequence[tuple[Any, Any]]) -> dict[str, str]:
    """Cell -> its label, without codes that the file declares missing: they are nobody's answer."""
    return {
        _cell(value): str(label).strip()
        for value, label in listed.items()
        if str(label).strip() and not any(_between(value, low, high) for low, high in missing)
    }


def _between(value: Any, low: Any, high: Any) -> bool:
    return value == low or (
        isinstance(value, int | float) and isinstance(low, int | float) and low <= value <= high
    )


def _main(file: str, folder: str, rows: str = "0", encoding: str = "") -> None:
    try:
        table = read_here(Path(file), int(rows), encoding)
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    write_parquet(Path(folder) / "frame.parquet", pa.Table.from_pandas(table.frame, preserve_index=False))
    labels = {
        "labels": table.labels,
        "value_labels": table.value_labels,
        "warnings": table.warnings,
        "encoding": table.encoding,
    }
    write_json(Path(folder) / "labels.json", labels)


if __name__ == "__main__":
    _main(*sys.argv[1:])
