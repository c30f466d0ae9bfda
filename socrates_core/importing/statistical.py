"""SPSS and Stata files with their variable labels and value labels.

python -m socrates_core.importing.statistical FILE FOLDER

The library that reads them is written in C, and a damaged file can end its process. It therefore runs in an
interpreter of its own, which leaves what it read in a folder.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from socrates_core.errors import UserError
from socrates_core.files import read_json, read_parquet, write_json, write_parquet
from socrates_core.importing.record import MAX_CELLS, Table, check_size, number_cell, tidy

_ROOT = Path(__file__).parents[2]
_SECONDS = 600


def read_statistical(path: Path) -> Table:
    """The table of a .sav, .zsav or .dta file; cells that the file declares missing are missing.

    Raises UserError where the file is damaged or beyond the limits.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __name__, str(path.absolute()), folder]
        try:
            done = subprocess.run(
                command, cwd=_ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"{path.name!r} took longer than {_SECONDS // 60} minutes to read.") from error
        if done.returncode == 2:
            raise UserError(done.stderr.strip().splitlines()[-1])
        if done.returncode:
            raise UserError(f"{path.name!r} is damaged: its reader ended with code {done.returncode}.")
        frame = read_parquet(Path(folder) / "frame.parquet").to_pandas()
        told = read_json(Path(folder) / "labels.json")
    return Table(frame, told["labels"], told["value_labels"], tuple(told["warnings"]))


def read_here(path: Path) -> Table:
    """The same in this process, which a damaged file may end."""
    import pyreadstat

    with path.open("rb") as opened:
        read: Any = pyreadstat.read_sav if opened.read(4).startswith(b"$FL") else pyreadstat.read_dta
    try:
        _, about = read(path, metadataonly=True)
        check_size(about.number_rows or 0, about.number_columns or 0)
        limit = MAX_CELLS // max(1, about.number_columns or 1)
        frame, about = read(path, row_limit=limit, disable_datetime_conversion=True)
    except (pyreadstat.ReadstatError, pyreadstat.PyreadstatError, ValueError, OverflowError) as error:
        raise UserError(f"{path.name!r} is damaged or of an unknown version ({error}).") from error
    if len(frame) == limit:
        check_size(limit + 1, about.number_columns)
    names = [str(name) for name in frame.columns]
    texts = pd.DataFrame({position: _texts(frame.iloc[:, position]) for position in range(len(names))})
    tidied, warnings = tidy(texts, names)
    places = dict(zip(names, tidied.columns, strict=True))
    labels = {places[name]: text for name, text in about.column_names_to_labels.items() if text}
    values = {places[name]: _labels(found) for name, found in about.variable_value_labels.items()}
    return Table(tidied, labels, values, tuple(warnings))


def _texts(column: pd.Series) -> pd.Series:
    """The column's cells as text, every different number written once."""
    numbers = {value: _cell(value) for value in column.dropna().unique()}
    return column.map(numbers).astype("str")


def _cell(value: object) -> str:
    return number_cell(float(value)) if isinstance(value, int | float) else str(value)


def _labels(found: Mapping[Any, str]) -> dict[str, str]:
    return {_cell(value): str(label).strip() for value, label in found.items() if str(label).strip()}


def _main(file: str, folder: str) -> None:
    try:
        table = read_here(Path(file))
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    write_parquet(Path(folder) / "frame.parquet", pa.Table.from_pandas(table.frame, preserve_index=False))
    told = {"labels": table.labels, "value_labels": table.value_labels, "warnings": table.warnings}
    write_json(Path(folder) / "labels.json", told)


if __name__ == "__main__":
    _main(*sys.argv[1:])
