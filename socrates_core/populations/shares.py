"""Shares of a field's values as a table that people fill in: a value and a share a row, as fractions or in percent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ("value", "share")
TOLERANCE = 0.005  # of the whole, for shares that were rounded


def parse_share(text: object) -> float:
    """The number in "40", "40%", "0.4" or "0,4"; 0 for anything else, which `surveys.check` reports."""
    cleaned = str(text).strip().removesuffix("%").strip()
    if "." not in cleaned:
        cleaned = cleaned.replace(",", ".")
    try:
        return float(cleaned)
    except ValueError:
        return 0.0


def shares_of(rows: Iterable[Mapping[Any, Any]]) -> dict[str, float]:
    """The shares in the rows of a table, in their order. Rows without a value do not count; equal values are added."""
    shares: dict[str, float] = {}
    for row in rows:
        given = row.get("value")
        value = "" if given is None or pd.isna(given) else str(given).strip()
        if value:
            shares[value] = shares.get(value, 0.0) + parse_share(row.get("share"))
    return shares


def shares_table(shares: Mapping[str, float]) -> pd.DataFrame:
    """The shares as the rows that `shares_of` reads; text, so that "40%" can be pasted."""
    rows = [(value, f"{share:.6g}" if share else "") for value, share in shares.items()]
    return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)


def evened(values: Sequence[str]) -> dict[str, float]:
    """The same share in percent for every value."""
    return {value: 100 / len(values) for value in values}


def whole_of(shares: Mapping[str, float]) -> int | None:
    """What the shares add up to: 1 for fractions, 100 for percent, None where they add up to neither."""
    total = sum(shares.values())
    return next((whole for whole in (1, 100) if abs(total - whole) <= TOLERANCE * whole), None)


def sum_sentence(shares: Mapping[str, float]) -> str:
    """The sum of the shares and what is missing to a whole."""
    total = sum(shares.values())
    whole = whole_of(shares)
    if whole:
        return f"Sum: {total:.6g}" + ("%" if whole == 100 else "")
    target = 1 if total < 1.5 else 100
    away = f"{abs(target - total):.6g} {'missing' if total < target else 'too much'}"
    return f"Sum: {total:.6g} of {target}, {away}"
