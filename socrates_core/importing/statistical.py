"""SPSS and Stata files with their variable labels and value labels.

python -m socrates_core.importing.statistical FILE FOLDER [ROWS]

The library that reads them is written in C, and a damaged file can end its process. It therefore runs in an
interpreter of its own, which leaves what it read in a folder.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from socrates_core.errors import UserError
from socrates_core.files import read_json, read_parquet, write_json, write_parquet
from socrates_core.importing.record import MAX_CELLS, WHOLE, Pace, Table, check_size, number_cell, tidy

_ROOT = Path(__file__).parents[2]
_SECONDS = 600


def read_statistical(path: Path, pace: Pace = WHOLE) -> Table:
    """The table of a .sav, .zsav or .dta file; cells that the file declares missing are missing.

    Raises UserError where the file is damaged or beyond the limits.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __name__, str(path.absolute()), folder, str(pace.rows or 0)]
        code, said = _run(command, pace, path.name)
        if code == 2:
            raise UserError(said.strip().splitlines()[-1])
        if code:
            raise UserError(f"{path.name!r} is damaged: its reader ended with code {code}.")
        frame = read_parquet(Path(folder) / "frame.parquet").to_pandas()
        told = read_json(Path(folder) / "labels.json")
    return Table(frame, told["labels"], told["value_labels"], tuple(told["warnings"]))


def _run(command: list[str], pace: Pace, name: str) -> tuple[int, str]:
    """The exit code of a command and what it said on its error stream; ended with whatever ends the waiting."""
    ends = time.monotonic() + _SECONDS
    with subprocess.Popen(
        command, cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
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
    raise UserError(f"{name!r} took longer than {_SECONDS // 60} minutes to read.")


def read_here(path: Path, rows: int = 0) -> Table:
    """The same in this process, which a damaged file may end; only the first `rows` where that is not 0."""
    import pyreadstat

    with path.open("rb") as opened:
        read: Any = pyreadstat.read_sav if opened.read(4).startswith(b"$FL") else pyreadstat.read_dta
    try:
        _, about = read(path, metadataonly=True)
        check_size(about.number_rows or 0, about.number_columns or 0)
        limit = MAX_CELLS // max(1, about.number_columns or 1)
        frame, about = read(path, row_limit=rows or limit, disable_datetime_conversion=True)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as error:
        raise UserError(f"{path.name!r} is damaged or of an unknown version ({error}).") from error
    if len(frame) == limit:
        check_size(limit + 1, about.number_columns)
    names = [str(name) for name in frame.columns]
    texts = pd.DataFrame({position: _texts(frame.iloc[:, position]) for position in range(len(names))})
    tidied, warnings = tidy(texts, names)
    places = dict(zip(names, tidied.columns, strict=True))
    named, listed = about.column_names_to_labels, about.variable_value_labels
    labels = {place: named[name] for name, place in places.items() if named.get(name)}
    values = {place: _labels(listed[name]) for name, place in places.items() if name in listed}
    return Table(tidied, labels, values, tuple(warnings))


def _texts(column: pd.Series) -> pd.Series:
    """The column's cells as text, every different number written once."""
    numbers = {value: _cell(value) for value in column.dropna().unique()}
    return column.map(numbers).astype("str")


def _cell(value: object) -> str:
    return number_cell(float(value)) if isinstance(value, int | float) else str(value)


def _labels(found: Mapping[Any, str]) -> dict[str, str]:
    return {_cell(value): str(label).strip() for value, label in found.items() if str(label).strip()}


def _main(file: str, folder: str, rows: str = "0") -> None:
    try:
        table = read_here(Path(file), int(rows))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    write_parquet(Path(folder) / "frame.parquet", pa.Table.from_pandas(table.frame, preserve_index=False))
    told = {"labels": table.labels, "value_labels": table.value_labels, "warnings": table.warnings}
    write_json(Path(folder) / "labels.json", told)


if __name__ == "__main__":
    _main(*sys.argv[1:])
