"""Reads SPSS and Stata files with their variable labels and value labels.

python -m socrates_core.importing.statistical FILE FOLDER [ROWS]

The library that reads them is written in C, and a damaged file can end its process. So it runs in a separate
interpreter, which writes what it read into a folder.
"""

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
from socrates_core.importing.table import (
    LONG_NUMBER,
    MAX_CELLS,
    WHOLE,
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
# None is the encoding that the file declares, which old versions of SPSS get wrong.
_ENCODINGS = (None, "WINDOWS-1252", "ISO-8859-1")


def read_statistical(path: Path, pace: Pace = WHOLE) -> Table:
    """The table of a .sav, .zsav or .dta file; cells that the file declares missing are missing.

    Raises UserError if the file is damaged or too large.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __name__, str(path.absolute()), folder, str(pace.rows or 0)]
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
    return Table(frame, labels["labels"], labels["value_labels"], tuple(labels["warnings"]))


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


def read_here(path: Path, rows: int = 0) -> Table:
    """The same in this process, which a damaged file may end. 0 `rows` are all."""
    import pyreadstat

    with path.open("rb") as opened:
        read: Any = pyreadstat.read_sav if opened.read(4).startswith(b"$FL") else pyreadstat.read_dta
    encoding = None
    try:
        for encoding in _ENCODINGS:
            try:
                frame, about, declared = _read_all(read, path, rows, encoding)
                break
            except pyreadstat.ReadstatError as error:
                if "convert string" not in str(error) or encoding == _ENCODINGS[-1]:
                    raise
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as error:
        raise UserError(f"{path.name!r} is damaged or of an unknown version ({error}).") from error
    names = [str(name) for name in frame.columns]
    texts = pd.DataFrame({place: _texts(frame.iloc[:, place]) for place in range(len(names))})
    tidied, warnings = tidy(texts, names)
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
    if encoding:
        warnings.append(
            "The texts of the file are in another encoding than it declares. They were read as Western European text "
            "(Windows-1252); check letters such as é."
        )
    return Table(tidied, labels, values, tuple(warnings))


def _read_all(
    read: Any, path: Path, rows: int, encoding: str | None
) -> tuple[pd.DataFrame, Any, dict[str, Any]]:
    """The cells, the file's description of itself, and the ranges that it declares missing."""
    # pyreadstat lists missing codes only when it keeps them as values; the second read leaves them out.
    _, about = read(path, metadataonly=True, user_missing=True, encoding=encoding)
    check_size(about.number_rows or 0, about.number_columns or 0)
    limit = MAX_CELLS // max(1, about.number_columns or 1)
    declared = _declared_missing(about)
    frame, about = read(path, row_limit=rows or limit, disable_datetime_conversion=True, encoding=encoding)
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


def _texts(column: pd.Series) -> pd.Series:
    """The column's cells as text; each different number is converted once."""
    values = column.dropna().unique()
    write = _single if _is_single(values) else _cell
    numbers = {value: write(value) for value in values}
    return column.map(numbers).astype("str")


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


def _main(file: str, folder: str, rows: str = "0") -> None:
    try:
        table = read_here(Path(file), int(rows))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    write_parquet(Path(folder) / "frame.parquet", pa.Table.from_pandas(table.frame, preserve_index=False))
    labels = {"labels": table.labels, "value_labels": table.value_labels, "warnings": table.warnings}
    write_json(Path(folder) / "labels.json", labels)


if __name__ == "__main__":
    _main(*sys.argv[1:])
