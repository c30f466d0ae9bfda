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


def above_midpoint(weights: Floats, values: Floats) -> float:
    """The share of `weights` [k] above the middle of the rising `values` [k], with half of what is on it.

    NaN with fewer than two values, or without any weight.
    """
    if len(values) < 2 or not weights.sum() > 0:
        return math.nan
    middle = (values[0] + values[-1]) / 2
    return float((weights @ ((values > middle) + 0.5 * (values == middle))) / weights.sum())


def sample_factor(n: int) -> float:
    """What turns a standard deviation that divides by `n` people into that of a sample, which divides by n - 1."""
    return math.sqrt(n / (n - 1)) if n > 1 else math.nan


def mean_distribution(probabilities: Floats, weights: Floats | None = None) -> Floats:
    """The answers [k] of a panel: the mean of its people's distributions [n, k], without missing ones.

    `weights` [n] say how much each person counts; by default all count the same.
    """
    rows = np.asarray(probabilities, dtype=float)
    valid = np.isfinite(rows).all(axis=1)
    if not valid.any():
        return np.full(rows.shape[1], np.nan)
    mean: Floats = np.average(rows[valid], axis=0, weights=None if weights is None else weights[valid])
    return mean


def moments(weights: Floats, values: Floats) -> Moments:
    """The mean and spread of one distribution, or of counts, `weights` [k] over `values` [k]."""
    mass = np.asarray(weights, dtype=float)
    places = np.asarray(values, dtype=float)
    if not mass.sum() > 0:
        return Moments(math.nan, math.nan)
    share = mass / mass.sum()
    mean = float(share @ places)
    return Moments(mean, math.sqrt(float(share @ (places - mean) ** 2)))
