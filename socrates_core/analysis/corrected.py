"""How far a prediction is from people without the luck of who answered: squared distances, people as units.

The squared distance of cumulative shares, over the scale in shares of its range (the Cramér distance), is too large
by the variance of a mean of n people. That variance can be estimated without bias and subtracted, as
`respondent_equivalent` does, so that a perfect prediction has 0 on average. W has no such correction: its noise
depends on how far off the prediction is (`benchmarks/numbers/oracle.py`).
"""

import math

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

Ints = NDArray[np.int64]


def corrected_distance(
    values: Floats,
    shares: Floats,
    answers: Floats,
    people: Ints,
    *,
    is_ordered: bool,
    weight: Floats | None = None,
) -> float:
    """The squared distance of predicted `shares` [k] over `values` [k] to the shares of all such people.

    `answers` [n] lie on the scale, `people` [n] are the ids of those who gave them, or of their clusters, and `weight`
    [n] is what each counts; without it, all count the same. Ordered values: the squared
    differences of cumulative shares, weighed by the gaps between the values in shares of the range. Unordered ones:
    half the sum of squared differences of shares; for two values both are the same number. May fall below 0. NaN with
    fewer than two people or two values, or without a prediction.
    """
    if len(values) < 2 or not float(np.sum(shares)) > 0:
        return math.nan
    weights, seen = _measured(values, answers, is_ordered=is_ordered)
    variance = variance_of_mean(seen, people, weight)
    expected = shares / shares.sum()
    predicted = np.cumsum(expected)[:-1] if is_ordered else expected
    if not len(seen):
        return math.nan
    return float(weights @ ((predicted - np.average(seen, axis=0, weights=weight)) ** 2 - variance))


def distance_of_half(values: Floats, answers: Floats, people: Ints, *, is_ordered: bool) -> float:
    """The squared distance of a half of the people to all such people, on average: what half as many people miss by."""
    n = np.unique(people).size
    if len(values) < 2 or n < 4:
        return math.nan
    weights, seen = _measured(values, answers, is_ordered=is_ordered)
    return float(weights @ variance_of_mean(seen, people)) * n / (n // 2)


def variance_of_mean(rows: Floats, people: Ints, weight: Floats | None = None) -> Floats:
    """The variance [m] of the mean of `rows` [n, m] over samples of people, who may have several rows each.

    The residuals of one person are added up first (the cluster estimator; Cochran 1977, Sampling Techniques, section
    9A); with one row a person it is the sample variance over n. With a `weight` [n] of the rows it is the variance of
    the weighted mean (Taylor linearization; the same, section 6.4). NaN with fewer than two people.
    """
    names, position = np.unique(people, return_inverse=True)
    if names.size < 2:
        return np.full(rows.shape[1], np.nan)
    share = np.full(len(rows), 1 / len(rows)) if weight is None else weight / weight.sum()
    residuals = np.zeros((names.size, rows.shape[1]))
    np.add.at(residuals, position, share[:, None] * (rows - share @ rows))
    return np.asarray((residuals**2).sum(axis=0) * names.size / (names.size - 1), dtype=float)


def _measured(values: Floats, answers: Floats, *, is_ordered: bool) -> tuple[Floats, Floats]:
    """The weight [m] of each share that is compared, and the shares [n, m] of each answer."""
    given = memberships(answers, values)
    if not is_ordered:
        return np.full(len(values), 0.5), given
    return np.diff(values) / np.ptp(values), np.cumsum(given, axis=1)[:, :-1]
