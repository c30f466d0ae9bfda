"""The demographic groups that people are counted in: whole numbers in bands, everything else by its name.

Pages, margins and comparisons of models group people here, so that a band means the same people everywhere.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

BANDS: Mapping[str, tuple[str, ...]] = {
    "age": ("0-17", "18-29", "30-44", "45-59", "60+"),
    "household_size": ("1", "2", "3", "4", "5+"),
}


def group(values: "pd.Series[Any]", field: str, bands: Sequence[str] = ()) -> "pd.Series[Any]":
    """The group [n] of each value of a demographic field, None for people who did not answer or fit no band.

    `bands` such as "18-29", "60+" or "3" take the place of the field's own. A field without bands keeps its values,
    as text; so does one whose bands are not all whole numbers.
    """
    chosen = tuple(bands) or BANDS.get(field, ())
    ends = [_ends(band) for band in chosen]
    if not chosen or None in ends:
        texts = [None if pd.isna(value) else str(value) for value in values]
        return pd.Series(texts, index=values.index, dtype=object)
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    groups = pd.Series([None] * len(values), index=values.index, dtype=object)
    for band, (low, high) in zip(chosen, filter(None, ends), strict=True):
        groups[(numbers >= low) & (numbers <= high)] = band
    return groups


def in_order(groups: list[str], field: str) -> list[str]:
    """Bands from the lowest to the highest; the groups of other fields as they come."""
    if field not in BANDS:
        return groups
    return sorted(groups, key=lambda band: (_ends(band) or (np.inf, 0))[0])


def _ends(band: str) -> tuple[float, float] | None:
    """The lowest and highest whole number of "18-29", "60+" or "3"; None for another text."""
    low, _, high = band.replace("–", "-").replace("+", "-inf").partition("-")
    try:
        return float(low), float(high or low)
    except ValueError:
        return None
