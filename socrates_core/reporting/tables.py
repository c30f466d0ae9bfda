"""Tables for colleagues: every column described, as Parquet as it is and as CSV that no spreadsheet runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from socrates_core.files import write_parquet, write_text

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


class Column(NamedTuple):
    """What a column holds: its meaning, its unit and, where it is a code, what its values mean."""

    meaning: str
    unit: str = ""
    values: str = ""


@dataclass(frozen=True)
class DataTable:
    """A table of the folder; `columns` describes each of its columns, a name ending in * all that begin so."""

    name: str
    about: str
    table: pd.DataFrame
    columns: Mapping[str, Column]

    def column(self, name: str) -> Column:
        """The description of a column. Raises KeyError where there is none."""
        starred = (key for key in self.columns if key.endswith("*") and name.startswith(key[:-1]))
        return self.columns[name] if name in self.columns else self.columns[next(starred, name)]


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would run; numbers are left alone."""
    texts = [str(name) for name in table if table[name].dtype.kind == "O"]
    return table.assign(**{name: table[name].map(_guard) for name in texts})


def _guard(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes the guarded table; missing cells are empty and numbers have all their digits."""
    write_text(path, guarded(table).to_csv(index=False, lineterminator="\n"))


def write_tables(folder: Path, tables: list[DataTable]) -> None:
    """Writes each table as CSV and Parquet into `folder`."""
    for each in tables:
        write_csv(folder / f"{each.name}.csv", each.table)
        write_parquet(folder / f"{each.name}.parquet", pa.Table.from_pandas(each.table, preserve_index=False))


def codebook(tables: list[DataTable]) -> pd.DataFrame:
    """A row a column of every table: file, column, type, meaning, unit, values."""
    return pd.DataFrame(
        [
            {"file": each.name, "column": name, "type": str(each.table[name].dtype), **each.column(name)._asdict()}
            for each in tables
            for name in each.table.columns
        ]
    )  # fmt: skip
