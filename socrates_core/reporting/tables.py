"""Tables for colleagues: every column described, as Parquet as it is and as CSV that no spreadsheet runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from socrates_core.files import write_parquet, write_text
from socrates_core.spreadsheets import csv_text


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


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes the guarded table; missing cells are empty and numbers have all their digits."""
    write_text(path, csv_text(table))


def write_tables(folder: Path, tables: list[DataTable]) -> None:
    """Writes each table as CSV and Parquet into `folder`."""
    for each in tables:
        write_csv(folder / f"{each.name}.csv", each.table)
        write_parquet(folder / f"{each.name}.parquet", pa.Table.from_pandas(each.table, preserve_index=False))


def codebook(tables: list[DataTable]) -> pd.DataFrame:
    """A row a column of every table: file, column, type, meaning, unit, values."""
    return pd.DataFrame(
        [
            {
                "file": each.name,
                "column": name,
                "type": str(each.table[name].dtype),
                **each.column(name)._asdict(),
            }
            for each in tables
            for name in each.table.columns
        ]
    )
