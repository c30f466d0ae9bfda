"""Differences in means between two conditions, of people and of predictions, with the intervals that a design earns."""

import math
import warnings
from typing import Any

import numpy as np

from socrates_core.analysis.clustered import Answers, ClusteredDifference
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.records import Effect, Floats

CONFIDENCE = 0.95
ZERO = 1e-9  # an effect, or a spread of effects, smaller than this share of the scale is rounding and has no sign


def mean_difference(treated: Floats, reference: Floats, *, scale_range: float | None = None) -> Effect:
    """The difference in means of two separate groups of people, with Welch's 95% interval.

    `treated` [n] and `reference` [m] hold one answer a person; answers that are not finite are missing and leave. The
    degrees of freedom are Welch's (1947, Biometrika 34). The interval is NaN with fewer than two people in a group or
    without any spread; `share` is NaN without a positive `scale_range`.
    """
    ours, theirs = _present(treated), _present(reference)
    if min(ours.size, theirs.size) < 2:
        return _effect(ours, theirs, scale_range)
    error = math.sqrt(_variance(ours) / ours.size + _variance(theirs) / theirs.size)
    return _effect(ours, theirs, scale_range, error)


def paired_difference(treated: Floats, reference: Floats, *, scale_range: float | None = None) -> Effect:
    """The mean difference within people, with the paired t interval (95%).

    `treated` [n] and `reference` [n] are aligned by person; only people with both answers count, and `n` equals
    `n_reference`. `d` divides by the pooled spread of the two conditions, as it does between people, so that both
    designs read alike. Raises ValueError where the lengths differ.
    """
    ours, theirs = np.asarray(treated, dtype=float), np.asarray(reference, dtype=float)
    if ours.shape != theirs.shape:
        raise ValueError(f"answers are not aligned by person: {ours.shape} and {theirs.shape}")
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    error = math.sqrt(_variance(ours - theirs) / ours.size) if ours.size else math.nan
    return _effect(ours, theirs, scale_range, error, paired=True)


def designed_difference(
    answers: Answers, fitted: ClusteredDifference, *, scale_range: float | None = None
) -> Effect:
    """The effect that `clustered_difference` `fitted` to `answers`, with its interval, sizes, and Cohen's d.

    `d` divides by the pooled weighted spread inside the two conditions, as it does between people.
    """
    ours, theirs = answers.treated, ~answers.treated
    pooled = _weighted_spread(answers.value[ours], answers.weight[ours]) * (ours.sum() - 1)
    pooled += _weighted_spread(answers.value[theirs], answers.weight[theirs]) * (theirs.sum() - 1)
    spread = math.sqrt(pooled / (answers.value.size - 2)) if answers.value.size > 2 else math.nan
    difference = fitted.difference
    return Effect(
        difference=difference,
        low=fitted.low,
        high=fitted.high,
        n=int(ours.sum()),
        n_reference=int(theirs.sum()),
        share=difference / scale_range if scale_range and scale_range > 0 else math.nan,
        d=difference / spread if spread > 0 else math.nan,
        p=fitted.p,
        se=fitted.se,
        n_clusters=fitted.n_clusters,
        n_clusters_reference=fitted.n_clusters_reference,
    )


def _weighted_spread(values: Floats, weights: Floats) -> float:
    """The weighted variance with the factor n / (n - 1); NaN for fewer than two values."""
    if values.size < 2:
        return math.nan
    mean = float(np.average(values, weights=weights))
    variance = float(np.average((values - mean) ** 2, weights=weights))
    return variance * values.size / (values.size - 1)


def predicted_difference(treated: Floats, reference: Floats, *, scale_range: float | None = None) -> Effect:
    """The difference in means of predicted answers, `treated` [n] and `reference` [m], without an interval.

    `low`, `high`, `p` and `se` are NaN: more simulated people do not make a model less wrong, so an interval needs
    the model's errors on studies that it has not seen.
    """
    return _effect(_present(treated), _present(reference), scale_range)


def predicted_effect(
    prob_treated: Floats, prob_reference: Floats, values: Floats, weights: Floats | None = None
) -> Effect:
    """As `predicted_difference`, of distributions: `prob_treated` [n, k] and `prob_reference` [m, k] over `values` [k].

    `share` is of the range of `values`, which are in order; `d` divides by the pooled spread of the predicted
    answers. `weights` [n] are those of people who answered both (n = m); by default all count the same.
    """
    places = np.asarray(values, dtype=float)
    ours = moments(mean_distribution(prob_treated, weights), places)
    theirs = moments(mean_distribution(prob_reference, weights), places)
    difference = ours.mean - theirs.mean
    spread = math.sqrt((ours.sd**2 + theirs.sd**2) / 2)
    span = float(np.ptp(places)) if places.size else 0.0
    n, n_reference = (
        int(np.isfinite(np.asarray(rows, dtype=float)).all(axis=1).sum())
        for rows in (prob_treated, prob_reference)
    )
    return Effect(
        difference=difference,
        low=math.nan,
        high=math.nan,
        n=n,
        n_reference=n_reference,
        share=difference / span if span > 0 else math.nan,
        d=difference / spread if spread > 0 else math.nan,
    )


def holm(p: Floats) -> Floats:
    """P-values [k] corrected for k comparisons at once by Holm's step-down (1979, Scand J Statist 6).

    A NaN is a comparison that was not made: it stays NaN and counts for nothing.
    """
    given = np.asarray(p, dtype=float)
    adjusted = np.full(given.shape, np.nan)
    compared = np.flatnonzero(np.isfinite(given))
    order = compared[np.argsort(given[compared], kind="stable")]
    steps = given[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _present(values: Floats) -> Floats:
    given: Floats = np.asarray(values, dtype=float).ravel()
    return given[np.isfinite(given)]


def _variance(values: Floats) -> float:
    """The unbiased variance; NaN for fewer than two values and exactly 0 for equal ones."""
    if values.size < 2:
        return math.nan
    # numpy's variance of three times .1 is 3e-34: enough for an interval, and a Cohen's d without bounds.
    return 0.0 if values.min() == values.max() else float(values.var(ddof=1))


def _pooled_spread(ours: Floats, theirs: Floats) -> float:
    freedom = ours.size + theirs.size - 2
    if min(ours.size, theirs.size) < 2:
        return math.nan
    return math.sqrt((_variance(ours) * (ours.size - 1) + _variance(theirs) * (theirs.size - 1)) / freedom)


def _effect(
    ours: Floats, theirs: Floats, scale_range: float | None, error: float = math.nan, *, paired: bool = False
) -> Effect:
    """The effect with an interval where its standard `error` is positive: without spread there is nothing to test."""
    difference = float(ours.mean() - theirs.mean()) if ours.size and theirs.size else math.nan
    low = high = p = math.nan
    if error > 0:
        test = _t_test(ours, theirs, paired=paired)
        low, high = test.confidence_interval(CONFIDENCE)
        p = float(test.pvalue)
    spread = _pooled_spread(ours, theirs)
    return Effect(
        difference=difference,
        low=float(low),
        high=float(high),
        n=ours.size,
        n_reference=theirs.size,
        share=difference / scale_range if scale_range and scale_range > 0 else math.nan,
        d=difference / spread if spread > 0 else math.nan,
        p=p,
        se=error,
    )


def _t_test(ours: Floats, theirs: Floats, *, paired: bool) -> Any:
    from scipy.stats import ttest_ind, ttest_rel  # takes most of a second to import

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # scipy warns of a group in which all answers are equal
        return ttest_rel(ours, theirs) if paired else ttest_ind(ours, theirs, equal_var=False)
