"""Who took part, compared with a population: the shares of demographic groups in both.

A population is another study or corpus, or a file that the user brings: CSV with the columns field, category and
share, or YAML {field: {category: share}}. This project ships none: shares are a claim about a place and a year.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.errors import UserError, quoted, unknown
from socrates_core.files import write_text
from socrates_core.populations.bands import BANDS, group, in_order
from socrates_core.records import DEMOGRAPHICS
from socrates_core.settings import folder
from socrates_core.yaml_files import parse_yaml

Margins = dict[str, dict[str, float]]
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class FieldComparison:
    """One field: a row a category with n, share, low, high (Wilson's 95%) of the people, and the population's share.

    `rows` has columns category, n, share, low, high, margin (NaN where the population has no such category);
    `distance` is the share of people who would have to be replaced to match it (the total variation distance).
    """

    field: str
    rows: pd.DataFrame
    n: int
    n_missing: int
    distance: float


def margins_of(people: pd.DataFrame) -> Margins:
    """The shares of the groups among people who answered, field by field, the largest group first."""
    groups = {
        field: group(people[field], field).dropna().value_counts(normalize=True) for field in DEMOGRAPHICS
    }
    return {
        field: {str(name): float(share) for name, share in people_in.items()}
        for field, people_in in groups.items()
        if len(people_in)
    }


def compare(people: pd.DataFrame, margins: Mapping[str, Mapping[str, float]]) -> list[FieldComparison]:
    """The people's shares and the population's, in each field that both have."""
    compared = []
    for field, population in margins.items():
        groups = group(people[field], field, tuple(population) if field in BANDS else ())
        counts = groups.dropna().value_counts()
        names = in_order(list(dict.fromkeys([*population, *counts.index])), field)
        shares = shares_with_intervals(np.array([float(counts.get(name, 0)) for name in names]))
        if not shares.n:
            continue
        margin = np.array([population.get(name, np.nan) for name in names])
        rows = pd.DataFrame(
            {
                "category": names,
                "n": [int(counts.get(name, 0)) for name in names],
                "share": shares.share,
                "low": shares.low,
                "high": shares.high,
                "margin": margin,
            }
        )
        distance = float(np.abs(shares.share - np.nan_to_num(margin)).sum() / 2)
        compared.append(FieldComparison(field, rows, shares.n, int(groups.isna().sum()), distance))
    return compared


def margin_files() -> dict[str, Path]:
    """The user's population files by name."""
    return {
        path.stem: path
        for path in sorted(folder("margins").glob("*.csv")) + sorted(folder("margins").glob("*.yaml"))
    }


def keep_margins(name: str, content: bytes) -> str:
    """Checks a population file and keeps it under the home; returns its name. Raises UserError like read_margins."""
    suffix = ".csv" if name.lower().endswith(".csv") else ".yaml"
    stem = (
        "".join(char if char.isalnum() or char in " -_" else "_" for char in Path(name).stem)[:60].strip()
        or "margins"
    )
    text = _text(content)
    _parse(text, suffix)
    write_text(folder("margins") / f"{stem}{suffix}", text)
    return stem


def read_margins(path: Path) -> Margins:
    """The shares in a population file, those of a field summing to 1; percentages are taken as such.

    Raises UserError where the file cannot be read, a field is unknown, or shares do not sum to 1 or 100.
    """
    return _parse(_text(path.read_bytes()), path.suffix)


def _text(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise UserError(
            f"A population file holds at most {MOST_BYTES:,} bytes; this one has {len(content):,}."
        )
    try:
        # Excel writes a byte order mark, which would become a part of the first column's name.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            "The population file is not UTF-8 text. Save it as CSV in UTF-8 and choose it again."
        ) from error


def _parse(text: str, suffix: str) -> Margins:
    try:
        margins = _from_csv(text) if suffix == ".csv" else _from_yaml(text)
    except csv.Error as error:
        raise UserError(
            f"The population file is not CSV that can be read ({error}). Save it as CSV again."
        ) from error
    if not margins:
        raise UserError(
            "The population file has no rows. It needs the columns 'field', 'category' and 'share'."
        )
    for field, shares in margins.items():
        if field not in DEMOGRAPHICS:
            raise unknown("demographic field", field, DEMOGRAPHICS)
        if not all(np.isfinite(share) and share >= 0 for share in shares.values()):
            raise UserError(f"A share of {field!r} is no number from 0 up.")
        whole = sum(shares.values())
        if not (abs(whole - 1) <= 0.02 or abs(whole - 100) <= 2):
            raise UserError(
                f"The shares of {field!r} sum to {whole:g}. They have to sum to 1, or to 100 as percentages."
            )
        margins[field] = {category: share / whole for category, share in shares.items()}
    return margins


def _from_csv(text: str) -> Margins:
    margins: Margins = {}
    rows = csv.DictReader(io.StringIO(text))
    missing = [name for name in ("field", "category", "share") if name not in (rows.fieldnames or [])]
    if missing:
        raise UserError(
            f"The population file lacks the column {missing[0]!r}. It needs 'field', 'category' and 'share'."
        )
    for row in rows:
        margins.setdefault(str(row["field"]).strip(), {})[str(row["category"]).strip()] = _number(
            row["share"]
        )
    return margins


def _from_yaml(text: str) -> Margins:
    stored: Any = parse_yaml(text, "The population file")
    if not isinstance(stored, dict) or not all(isinstance(shares, dict) for shares in stored.values()):
        raise UserError("The population file is YAML without shares. Write {field: {category: share}}.")
    return {
        str(field): {str(category): _number(share) for category, share in shares.items()}
        for field, shares in stored.items()
    }


def _number(share: object) -> float:
    try:
        return float(str(share).strip().removesuffix("%"))
    except ValueError as error:
        raise UserError(f"{quoted(share)} is no share. Write a number such as 0.24 or 24%.") from error
