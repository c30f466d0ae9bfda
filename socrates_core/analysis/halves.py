"""What people score against people, over all ways to halve them: exact, so that a script in any language agrees."""

import numpy as np
from scipy.special import gammaln

from socrates_core.records import Floats


def expected_half_sample(counts: Floats, values: Floats, *, scale_range: float | None = None) -> float:
    """The mean W between two halves of a cell's people, given as `counts` [k] over `values` [k] in order.

    It is what `baselines.half_sample` estimates with drawn halvings: W adds up, over the gaps between
    neighbouring values, the distance between the halves' shares below the gap, and how many of the people
    below it fall into one half is hypergeometric. With an odd number one person, anyone, sits out. In shares
    of `scale_range`, or without one of the observed range. NaN with fewer than four people or one answer.
    """
    places = np.asarray(values, dtype=float)
    people = np.asarray(counts, dtype=float).astype(int)
    n, used = int(people.sum()), places[people > 0]
    span = scale_range or (float(np.ptp(used)) if used.size else 0.0)
    if n < 4 or span <= 0:
        return float("nan")
    half = n // 2
    total = 0.0
    for below, gap in zip(np.cumsum(people)[:-1].tolist(), np.diff(places).tolist(), strict=True):
        if n % 2 == 0:
            total += gap * _apart(below, half)
        else:
            out = below / n
            total += gap * ((1 - out) * _apart(below, half) + (out * _apart(below - 1, half) if below else 0))
    return total / span


def _apart(below: int, half: int) -> float:
    """How far two halves' shares are apart on average where `below` of their 2 * `half` people are."""
    if below in (0, 2 * half):
        return 0.0
    first = np.arange(max(0, below - half), min(below, half) + 1, dtype=float)
    ways = _log_choose(below, first) + _log_choose(2 * half - below, half - first)
    chance = np.exp(ways - _log_choose(2 * half, np.array(float(half))))
    return float(chance @ np.abs(2 * first - below)) / half


def _log_choose(n: int, k: Floats) -> Floats:
    found: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return found
