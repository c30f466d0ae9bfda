"""Means and spreads of answers that are given as distributions or counts."""

import math
from dataclasses import dataclass

import numpy as np

from socrates_core.records import Floats


@dataclass(frozen=True)
class Moments:
    """The mean and the standard deviation of answers on the scale's units; NaN without any."""

    mean: float
    sd: float


def mean_distribution(probabilities: Floats) -> Floats:
    """The answers [k] of a panel: the mean of its people's distributions [n, k], without missing ones."""
    rows = np.asarray(probabilities, dtype=float)
    rows = rows[np.isfinite(rows).all(axis=1)]
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], np.nan)


def moments(weights: Floats, values: Floats) -> Moments:
    """The mean and spread of one distribution, or of counts, `weights` [k] over `values` [k]."""
    mass = np.asarray(weights, dtype=float)
    places = np.asarray(values, dtype=float)
    if not mass.sum() > 0:
        return Moments(math.nan, math.nan)
    share = mass / mass.sum()
    mean = float(share @ places)
    return Moments(mean, math.sqrt(float(share @ (places - mean) ** 2)))
