"""Tables for colleagues, with every column described: as Parquet, and as CSV that is safe in a spreadsheet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from socrates_core.files import write_parquet, write_text
from socrates_core.spreadsheets import csv_text
from socrates_core.studies.assignment import Assignment, People


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


# Columns of `answers_behind`.
ANSWERS_BEHIND = {
    "method": Column(
        "how the two sides are compared",
        "",
        "welch = between people; paired = within people; clustered = weighted least squares with a constant for each "
        "block, CR2 and Satterthwaite's degrees of freedom",
    ),
    "value": Column("a person's answer in the condition, or the mean of several; empty: not in it", "scale"),
    "value_reference": Column("the same person's answer in the reference; empty: not in it", "scale"),
    "cluster": Column("number of the person's cluster; empty: the person is a cluster alone"),
    "block": Column("number of the block within which the person was randomized"),
    "weight": Column("what the person counts; empty: as much as everybody"),
    "n": Column("how many people", "people"),
}


def answers_behind(assignment: Assignment, treated: People, reference: People) -> pd.DataFrame:
    """The answers behind an effect, counted: pairs within people, both sides of a person where the effect is
    clustered, otherwise each side alone."""
    method = assignment.method(treated[0], reference[0])
    sides = [
        pd.Series(answers, index=people, name=name)
        for (people, answers), name in ((treated, "value"), (reference, "value_reference"))
    ]
    if method == "welch":
        people = pd.concat([side.to_frame() for side in sides])
    else:
        within = assignment.design.assignment == "within"
        people = pd.concat(sides, axis=1, join="inner" if within else "outer")
    design = assignment.design
    for name in ("cluster", "block", "weight"):
        known = assignment.people[name].reindex(people.index) if getattr(design, name) else None
        if name == "weight":
            people[name] = np.nan if known is None else known.to_numpy(dtype=float)
        else:
            codes = np.full(len(people), -1) if known is None else pd.factorize(known, sort=True)[0]
            people[name] = np.where(codes >= 0, codes, np.nan)
    for name in ("block", "weight"):  # people without one take no part
        if getattr(design, name):
            people = people[people[name].notna()]
    columns = [name for name in ANSWERS_BEHIND if name != "n"]
    counted = people.assign(method=method).groupby(columns, dropna=False, sort=True).size()
    return counted.rename("n").reset_index()[list(ANSWERS_BEHIND)]
