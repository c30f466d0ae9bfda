"""What people score against people, over all ways to halve them: exact, so that a script in any language agrees."""

import math

import numpy as np
from scipy.special import gammaln

from socrates_core.records import Floats


def expected_half_sample(counts: Floats, values: Floats, *, scale_range: float | None = None) -> float:
    """The mean W between two halves of a cell's people, given as `counts` [k] over `values` [k] in order.

    It is what `baselines.half_sample` estimates with drawn halvings: W adds up, over the gaps between
    neighbouring values, the distance between the halves' shares below the gap, and how many of the people
    below it fall into one half is hypergeometric. With an odd number one person, anyone, sits out. In shares
    of `scale_range`, or without one of the observed range. Where answers between two values make the people below a
    gap no whole number, it is interpolated between the two next to it. NaN with fewer than four people or one answer.
    """
    places = np.asarray(values, dtype=float)
    people = np.asarray(counts, dtype=float)
    n, used = round(float(people.sum())), places[people > 0]
    span = scale_range or (float(np.ptp(used)) if used.size else 0.0)
    if n < 4 or span <= 0:
        return float("nan")
    total = 0.0
    for below, gap in zip(np.cumsum(people)[:-1].tolist(), np.diff(places).tolist(), strict=True):
        whole = math.floor(below + 1e-9)
        part = max(below - whole, 0.0)
        total += gap * ((1 - part) * _halved(whole, n) + (part * _halved(whole + 1, n) if part > 1e-9 else 0))
    return total / span


def expected_oracle(half_sample: float) -> float:
    """The W of the true distribution to as many people as there are, given `expected_half_sample` of them.

    It is half of it. A half is exactly twice as far from the other half as from everybody, since everybody is the
    middle of the two. And a half of n people misses everybody by a share whose variance is F(1 - F)/(n - 1), which
    estimates without bias the F(1 - F)/n by which n people miss the truth (Cochran 1977, Sampling Techniques, ch. 2).
    Simulated, it is right to 2% for answers spread over the scale and 30 people or more; with fewer, or where nearly
    everybody gives one answer, it is up to a tenth or two too low.
    """
    return half_sample / 2


def _halved(below: int, n: int) -> float:
    """How far two halves of `n` people are apart on average where `below` of them are; with an odd n one sits out."""
    half = n // 2
    if n % 2 == 0:
        return _apart(below, half)
    out = below / n
    return (1 - out) * _apart(below, half) + (out * _apart(below - 1, half) if below else 0)


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
