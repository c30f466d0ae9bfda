"""Answers that lie between two values of a scale, such as means of several items."""

import numpy as np

from socrates_core.records import Floats


def memberships(answers: Floats, values: Floats) -> Floats:
    """How much of each answer [n] counts for each of `values` [k], rising: rows [n, k] that sum to 1.

    An answer that is one of the values counts for it alone. One between two counts for both in proportion, 3.25 as
    three quarters of a 3 and one quarter of a 4, which keeps means exact: rounding would shift them. An answer
    that is missing or lies outside the values has a row of zeros.
    """
    given = np.asarray(answers, dtype=float)
    places = np.asarray(values, dtype=float)
    rows = np.zeros((given.size, places.size))
    if not places.size:
        return rows
    inside = np.flatnonzero((given >= places[0]) & (given <= places[-1]))  # NaN is not
    if places.size == 1:
        rows[inside, 0] = 1.0
        return rows
    upper = np.clip(np.searchsorted(places, given[inside]), 1, places.size - 1)
    share = (given[inside] - places[upper - 1]) / (places[upper] - places[upper - 1])
    rows[inside, upper - 1] = 1 - share
    rows[inside, upper] = share
    return rows
