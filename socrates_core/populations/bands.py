"""The demographic groups that people are counted in: whole numbers in bands, everything else by its name.

Pages, margins and comparisons of models group people here, so that a band means the same people everywhere.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

BANDS: Mapping[str, tuple[str, ...]] = {
    "age": ("0-17", "18-29", "30-44", "45-59", "60+"),
    "household_size": ("1", "2", "3", "4", "5+"),
}

# Where an open band such as "60+" ends: the top codes of the General Social Survey (age) and of the American Community
# Survey (household size).
OPEN_ENDS: Mapping[str, int] = {"age": 89, "household_size": 7}
_BAND = re.compile(
    r"(?P<low>\d{1,3})(?:\s*(?P<open>\+|(?:or|and) (?:older|over|more))|\s*(?:-|–|to)\s*(?P<high>\d{1,3}))?"
)


def group(values: "pd.Series[Any]", field: str, bands: Sequence[str] = ()) -> "pd.Series[Any]":
    """The group [n] of each value of a demographic field, None for people who did not answer or fit no band.

    `bands` such as "18-29", "60+" or "3" take the place of the field's own. A field without bands keeps its values,
    as text; so does one whose bands are not all whole numbers.
    """
    chosen = tuple(bands) or BANDS.get(field, ())
    ends = [ends_of(band) for band in chosen]
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
    return sorted(groups, key=lambda band: (ends_of(band) or (np.inf, 0))[0])


def ends_of(band: str) -> tuple[float, float] | None:
    """The lowest and highest whole number of "18-29", "18 to 29", "60+", "60 or older" or "3"; None for other texts."""
    parts = _BAND.fullmatch(band.strip().lower())
    if parts is None:
        return None
    low = float(parts["low"])
    high = np.inf if parts["open"] else float(parts["high"] or low)
    return (low, high) if low <= high else None


def overlapping(bands: Iterable[str]) -> tuple[str, str] | None:
    """Two of the bands that have a number in common; None without such a pair."""
    known = sorted((ends, band) for band in bands if (ends := ends_of(band)))
    for (low, band), (high, after) in pairwise(known):
        if high[0] <= low[1]:
            return band, after
    return None


def draw_number(band: str, field: str, generator: np.random.Generator) -> int | None:
    """A whole number in a band, each with the same chance; None for a text that is no band.

    Training prompts say "Age: 45", so a model is never asked about "18-29". An open band ends at OPEN_ENDS.
    """
    ends = ends_of(band)
    if ends is None:
        return None
    low, high = ends
    if np.isinf(high):
        high = max(low, OPEN_ENDS[field])
    return int(generator.integers(int(low), int(high), endpoint=True))
