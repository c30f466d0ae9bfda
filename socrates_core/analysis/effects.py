"""Differences in means between two conditions, with the intervals that the design of the study earns."""

import math

import numpy as np
from scipy.special import stdtr, stdtrit

from socrates_core.records import Effect, Floats

CONFIDENCE = 0.95
ZERO = 1e-9  # an effect, or a spread of effects, smaller than this share of the scale is rounding and has no sign


def mean_difference(treated: Floats, reference: Floats, *, scale_range: float | None = None) -> Effect:
    """The difference in means of two separate groups of people, with Welch's 95% interval.

    `treated` [n] and `reference` [m] hold one answer a person; answers that are not finite are missing
    and leave. The degrees of freedom are Welch's (1947, Biometrika 34). The interval is NaN with
    fewer than two people in a group or without any spread; `share` is NaN without a positive `scale_range`.
    """
    ours, theirs = _present(treated), _present(reference)
    error, freedom = _welch(ours, theirs)
    return _effect(ours, theirs, error, freedom, scale_range)


def paired_difference(treated: Floats, reference: Floats, *, scale_range: float | None = None) -> Effect:
    """The mean difference within people, with the paired t interval (95%).

    `treated` [n] and `reference` [n] are aligned by person; only people with both answers count, and
    `n` equals `n_reference`. `d` divides by the pooled spread of the two conditions, as it does
    between people, so that both designs read alike. Raises ValueError where the lengths differ.
    """
    ours, theirs = np.asarray(treated, dtype=float), np.asarray(reference, dtype=float)
    if ours.shape != theirs.shape:
        raise ValueError(f"answers are not aligned by person: {ours.shape} and {theirs.shape}")
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    error = math.sqrt(_variance(ours - theirs) / ours.size) if ours.size else math.nan
    return _effect(ours, theirs, error, ours.size - 1.0, scale_range)


def holm(p: Floats) -> Floats:
    """P-values [k] corrected for k comparisons at once by Holm's step-down (1979, Scand J Statist 6).

    A NaN is a comparison that was not made: it stays NaN and counts for nothing.
    """
    given = np.asarray(p, dtype=float)
    adjusted = np.full(given.shape, np.nan)
    made = np.flatnonzero(np.isfinite(given))
    order = made[np.argsort(given[made], kind="stable")]
    steps = given[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _present(values: Floats) -> Floats:
    given: Floats = np.asarray(values, dtype=float).ravel()
    return given[np.isfinite(given)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _variance(values: Floats) -> float:
    """The unbiased variance; NaN for fewer than two values and exactly 0 for equal ones."""
    if values.size < 2:
        return math.nan
    return 0.0 if values.min() == values.max() else float(values.var(ddof=1))


def _welch(ours: Floats, theirs: Floats) -> tuple[float, float]:
    """The standard error of a difference of means, and Welch's degrees of freedom."""
    if min(ours.size, theirs.size) < 2:
        return math.nan, math.nan
    a, b = _variance(ours) / ours.size, _variance(theirs) / theirs.size
    if a + b == 0:
        return 0.0, math.nan
    in_ours, in_theirs = a / (a + b), b / (a + b)
    freedom = 1 / (in_ours**2 / (ours.size - 1) + in_theirs**2 / (theirs.size - 1))
    return math.sqrt(a + b), freedom


def _pooled_spread(ours: Floats, theirs: Floats) -> float:
    freedom = ours.size + theirs.size - 2
    if min(ours.size, theirs.size) < 2:
        return math.nan
    return math.sqrt((_variance(ours) * (ours.size - 1) + _variance(theirs) * (theirs.size - 1)) / freedom)


def _effect(ours: Floats, theirs: Floats, error: float, freedom: float, scale_range: float | None) -> Effect:
    difference = _mean(ours) - _mean(theirs)
    margin = error * float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) if error > 0 else math.nan
    spread = _pooled_spread(ours, theirs)
    return Effect(
        difference=difference,
        low=difference - margin,
        high=difference + margin,
        n=ours.size,
        n_reference=theirs.size,
        share=difference / scale_range if scale_range and scale_range > 0 else math.nan,
        d=difference / spread if spread > 0 else math.nan,
        p=2 * float(stdtr(freedom, -abs(difference) / error)) if error > 0 else math.nan,
        se=error,
    )
