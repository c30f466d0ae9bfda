"""Figures that are counted for a list of cases, and committed as a table to which tests hold the code."""

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

Case = TypeVar("Case")
Counted = TypeVar("Counted")


def read_table(table: Path, cases: Sequence[Case], counted: type[Counted]) -> dict[Case, Counted]:
    """The committed figures by case. `counted` is the dataclass of the figures, all whole numbers."""
    by_text = {tuple(map(str, asdict(_record(case)).values())): case for case in cases}
    names = [field.name for field in fields(_record(cases[0]))]
    with table.open(newline="", encoding="utf-8") as opened:
        return {
            by_text[tuple(row[name] for name in names)]: counted(
                **{field.name: int(row[field.name]) for field in fields(_record(counted))}
            )
            for row in csv.DictReader(opened)
        }


def count_cases(
    description: str | None, table: Path, cases: Sequence[Case], count: Callable[[Case], Counted]
) -> None:
    """The command of such a module: prints the figures of every case, and writes the table with --write."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    arguments.add_argument("--write", action="store_true", help=f"write {table.name}")
    chosen = arguments.parse_args()
    rows = []
    for case in cases:
        rows.append({**asdict(_record(case)), **asdict(_record(count(case)))})
        print(*rows[-1].values(), flush=True)
    if chosen.write:
        with table.open("w", newline="", encoding="utf-8") as opened:
            writer = csv.DictWriter(opened, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


def _record(record: Any) -> Any:
    """A dataclass, which a type variable cannot be held to."""
    return record
