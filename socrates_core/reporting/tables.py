"""Tables for colleagues, with every column described: as Parquet, and as CSV that is safe in a spreadsheet."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from socrates_core.files import write_parquet, write_text
from socrates_core.spreadsheets import csv_text


class Column(NamedTuple):
    """A column's meaning, its unit and, for codes, the meaning of its values."""

    meaning: str
    unit: str = ""
    values: str = ""


@dataclass(frozen=True)
class DataTable:
    """A table of the folder. `columns` describes its columns; a name that ends in * describes all that begin so."""

    name: str
    about: str
    table: pd.DataFrame
    columns: Mapping[str, Column]

    def column(self, name: str) -> Column:
        """The description of a column. Raises KeyError if it has none."""
        starred = (key for key in self.columns if key.endswith("*") and name.startswith(key[:-1]))
        return self.columns[name] if name in self.columns else self.columns[next(starred, name)]


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as CSV. Missing cells are empty, and numbers have all their digits."""
    write_text(path, csv_text(table))


def write_tables(folder: Path, tables: Sequence[DataTable]) -> None:
    """Writes each table as CSV and Parquet into `folder`."""
    for data in tables:
        write_csv(folder / f"{data.name}.csv", data.table)
        write_parquet(folder / f"{data.name}.parquet", pa.Table.from_pandas(data.table, preserve_index=False))


def codebook(tables: Sequence[DataTable]) -> pd.DataFrame:
    """One row for each column of every table: file, column, type, meaning, unit, values."""
    return pd.DataFrame(
        [
            {
                "file": data.name,
                "column": name,
                "type": str(data.table[name].dtype),
                **data.column(name)._asdict(),
            }
            for data in tables
            for name in data.table.columns
        ]
    )


AnswerPair = tuple[float | None, float | None]  # a person's answer in a condition and in the reference


def answer_pairs(
    condition: Mapping[Hashable, float], reference: Mapping[Hashable, float], *, within: bool
) -> list[AnswerPair]:
    """The answers behind an effect, by person on either side: pairs within people, otherwise each side alone."""
    if within:
        return [(condition[who], reference[who]) for who in condition if who in reference]
    ours: list[AnswerPair] = [(answer, None) for answer in condition.values()]
    return ours + [(None, answer) for answer in reference.values()]


def counted_pairs(pairs: Iterable[AnswerPair]) -> Iterator[tuple[float | None, float | None, int]]:
    """Each different pair of answers and how many people gave it, always in the same order."""
    # By text, since None and a number cannot be compared.
    for (condition, reference), n in sorted(Counter(pairs).items(), key=str):
        yield condition, reference, n
