"""Rows for charts: shares of answers with their intervals, and effects in one unit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.intervals import SampleSize, shares_with_intervals
from socrates_core.records import Number, Scale


def distribution_frame(
    tallies: pd.DataFrame,
    scale: Scale,
    panels: dict[Any, str],
    by: str,
    sizes: Mapping[Any, SampleSize] | None = None,
) -> pd.DataFrame:
    """Shares of the answers on `scale`, a row a panel x value with 95% intervals, from columns `by`, value, n.

    `panels` names the values of `by` to show, in order. `sizes` has those panels in which not every answer is another
    person's. An open scale shows the middle 98% of the answers, in at
    most 200 steps.
    """
    given = tallies.dropna(subset=["value"])
    values = list(scale.values)
    if not values and len(given):
        given, values = _middle(given)
    counts = given.groupby([by, "value"])["n"].sum()
    parts = []
    for panel, name in panels.items():
        of_panel = counts[panel] if panel in counts.index.get_level_values(0) else {}
        tallied = np.array([float(of_panel.get(value, 0)) for value in values])
        parts.append(share_rows(name, "people", scale, tallied, values, size=(sizes or {}).get(panel)))
    return pd.concat(parts, ignore_index=True) if parts and values else pd.DataFrame()


def _middle(given: pd.DataFrame) -> tuple[pd.DataFrame, list[Number]]:
    ordered = given.sort_values("value")
    place = ordered["n"].cumsum() / ordered["n"].sum()
    inside = ordered[(place >= 0.01) & (place - ordered["n"] / ordered["n"].sum() <= 0.99)]
    low, high = inside["value"].min(), inside["value"].max()
    if inside["value"].nunique() > 200:
        step = (high - low) / 200
        inside = inside.assign(value=(low + np.floor((inside["value"] - low) / step) * step).round(6))
    return inside, sorted(inside["value"].unique())


def share_rows(
    condition: str,
    who: str,
    scale: Scale,
    counts: np.ndarray,
    values: list[Number] | None = None,
    *,
    size: SampleSize | None = None,
) -> pd.DataFrame:
    """One condition's counts [k] of the scale's values, or of `values`, as chart rows with Wilson intervals."""
    shares = shares_with_intervals(counts, size)
    return pd.DataFrame(
        {
            "condition": condition,
            "who": who,
            "value": values or list(scale.values),
            "share": shares.share,
            "low": shares.low,
            "high": shares.high,
            "n": shares.n,
            "n_effective": np.nan if size is None else size.effective,
        }
    )


def predicted_rows(
    condition: str, who: str, scale: Scale, shares: np.ndarray, *, n: int, n_profiles: int | None = None
) -> pd.DataFrame:
    """One condition's predicted shares [k] as chart rows, without intervals, from `n` simulated people.

    `n_profiles` is how many distinct profiles they have, None where it is not shown.
    """
    return pd.DataFrame(
        {
            "condition": condition,
            "who": who,
            "value": list(scale.values),
            "share": shares,
            "low": np.nan,
            "high": np.nan,
            "n": n,
            "n_profiles": np.nan if n_profiles is None else n_profiles,
        }
    )


TWO = 2  # options: their effects are percentage points, whatever numbers the options have


def in_one_unit(effects: pd.DataFrame, *, percent: bool = False) -> tuple[pd.DataFrame, str]:
    """Effects of several outcomes on one axis, and their common unit.

    `effects` has columns difference, low, high (and the like, such as low_50), span, the range of the outcome's scale,
    and n_options, how many values it has. The unit is percentage points if all outcomes have two options, scale points
    if all have one range (but 1, as that of places on scales has), and else the share of each scale's range, which an
    open outcome does not have; with `percent` always the share. Effects unknown in that unit are left out.
    """
    spans = effects["span"].unique()
    two_options = bool((effects["n_options"] == TWO).all())
    if len(spans) == 1 and spans[0] != 1 and not two_options and not percent:
        return effects.dropna(subset=["difference"]), "scale points"
    columns = [name for name in map(str, effects) if name.split("_")[0] in ("difference", "low", "high")]
    scaled = effects.assign(**{name: 100 * effects[name] / effects["span"] for name in columns})
    unit = "percentage points" if two_options else "% of each scale's range"
    return scaled.dropna(subset=["difference"]), unit
