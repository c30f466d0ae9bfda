"""What every model is compared with: guesses without knowledge or treatment, and people against people."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from socrates_core.analysis.corrected import variance_of_mean
from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

UNSEEN = (
    0.2  # how often, before any answer, an end of a scale is taken to hold somebody; see `expected_oracle`
)


def uniform(k: int) -> Floats:
    """The distribution [k] of someone who knows nothing: the same share for every option."""
    return np.full(k, 1 / k)


def pooled(counts_by_condition: Floats) -> Floats:
    """The distribution [k] of all people of an outcome, pooled over its conditions [c, k]: the published row.

    Every person counts the same. The people of the predicted condition are among them, so a single condition is
    predicted by its own answers. NaN without people.
    """
    people: Floats = np.asarray(counts_by_condition, dtype=float).sum(axis=0)
    return people / people.sum() if people.sum() > 0 else np.full(people.shape, np.nan)


def condition_blind(counts_by_condition: Floats, condition: int) -> Floats:
    """The distribution [k] of the people of an outcome's other conditions, pooled, every person alike.

    `counts_by_condition` [c, k]; the people of row `condition`, who are to be predicted, are left out. NaN where
    nobody answered in another condition.
    """
    return pooled(np.delete(np.asarray(counts_by_condition, dtype=float), condition, axis=0))


def majority(counts_by_condition: Floats, condition: int) -> Floats:
    """The distribution [k] of always giving the commonest answer of the outcome's other conditions.

    `counts_by_condition` [c, k]; the people of row `condition`, who are to be predicted, are left out. Answers
    that are equally common share the probability. NaN where nobody answered in another condition.
    """
    others = np.delete(np.asarray(counts_by_condition, dtype=float), condition, axis=0).sum(axis=0)
    commonest = (others == others.max()) & (others > 0)
    return commonest / commonest.sum() if commonest.any() else np.full(others.shape, np.nan)


def expected_half_sample(counts: Floats, values: Floats, *, scale_range: float | None = None) -> float:
    """What people score against people: the mean W over all ways to halve a cell's `counts` [k] over `values` [k].

    Exact, so that a replication script in any language agrees. W adds up, over the gaps between neighboring values,
    the distance between the halves' shares below the gap, and how many of the people below it fall into one half is
    hypergeometric. With an odd number one person, anyone, sits out. In shares of `scale_range`, or without one of the
    observed range. Where answers between two values make the people below a gap no whole number, it is interpolated
    between the two next to it. A half is noisier than the whole, so a predictor of the true distribution can score
    lower. NaN with fewer than four people or one answer.
    """
    places = np.asarray(values, dtype=float)
    people = np.asarray(counts, dtype=float)
    n = round(float(people.sum()))
    used = places[people > 0]
    span = scale_range or (float(np.ptp(used)) if used.size else 0.0)
    if n < 4 or span <= 0:
        return math.nan
    below = np.cumsum(people)[:-1]
    # Parts of people (.6 and .4) may add up to a little less than a whole person.
    whole = np.floor(below + 1e-9)
    part = np.maximum(below - whole, 0.0)
    apart = (1 - part) * _halves_apart(whole, n) + part * _halves_apart(np.minimum(whole + 1, n), n)
    return float(np.diff(places) @ apart) / span


def expected_oracle(counts: Floats, values: Floats, *, scale_range: float | None = None) -> float:
    """The expected W of the true distribution to as many people as the `counts` [k] over `values` [k] are.

    Half of `expected_half_sample`, plus, on a stated scale, what is missed at the ends where nobody answered. A half
    is exactly twice as far from the other half as from everybody, since everybody is the middle of the two. And a
    half of n people misses everybody by a share whose variance is F(1 - F)/(n - 1), which estimates without bias the
    F(1 - F)/n by which n people miss the truth (Cochran 1977, Sampling Techniques, ch. 2). Where nobody is below a
    gap, F need not be 0: with a Beta(a, n + a) distribution of it, n people miss it by 2 F (1 - F)^n on average
    (De Moivre's formula), which is integrated in closed form. a = UNSEEN makes the sum right to 4% from 15 people on
    and to 7% with 8 in simulations (`benchmarks/numbers/oracle.py`), except where nearly everybody gives one answer.
    """
    half = expected_half_sample(counts, values, scale_range=scale_range)
    if scale_range is None:
        return half / 2
    people = np.asarray(counts, dtype=float)
    n = round(float(people.sum()))
    below = np.cumsum(people)[:-1]
    beyond = float(np.diff(values)[(below < 1e-9) | (below > n - 1e-9)].sum())
    return half / 2 + _missed_where_nobody_is(n) * beyond / scale_range


def half_sample_of_people(
    answers: Floats, people: NDArray[np.int64], values: Floats, *, scale_range: float | None = None
) -> float:
    """`expected_half_sample` where one person gave several of the `answers` [n], who stays in one half.

    `people` [n] are ids. The difference of two halves' shares below a gap is taken as normal, with twice the error of
    everybody's share. That is right to 2% from 20 people on. NaN as there.
    """
    rows = memberships(answers, values)
    used = np.asarray(values, dtype=float)[rows.sum(axis=0) > 0]
    span = scale_range or (float(np.ptp(used)) if used.size else 0.0)
    if np.unique(people).size < 4 or span <= 0:
        return math.nan
    error = np.sqrt(variance_of_mean(np.cumsum(rows, axis=1)[:, :-1], people))
    return float(np.diff(values) @ error) * 2 * math.sqrt(2 / math.pi) / span


def _missed_where_nobody_is(n: int) -> float:
    return 2 * math.exp(float(betaln(UNSEEN + 1, 2 * n + UNSEEN) - betaln(UNSEEN, n + UNSEEN)))


def _halves_apart(below: Floats, n: int) -> Floats:
    """How far the shares of two halves of `n` people are apart on average where `below` [g] people are below a gap."""
    half = n // 2
    if n % 2 == 0:
        return _even_halves_apart(below, half)
    sits_out = below / n  # the chance that the one person left over is below the gap
    one_fewer = _even_halves_apart(np.maximum(below - 1, 0), half)
    return (1 - sits_out) * _even_halves_apart(np.minimum(below, n - 1), half) + sits_out * one_fewer


def _even_halves_apart(below: Floats, half: int) -> Floats:
    """As `_halves_apart`, of 2 * `half` people: the mean deviation of a hypergeometric number has a closed form.

    E|X - mean| = 2 k (half - below + k) / (2 half) P(X = k) with k the first whole number above the mean (Diaconis &
    Zabell 1991, Statistical Science 6: De Moivre's formula for the hypergeometric distribution).
    """
    k = np.floor(below / 2) + 1
    possible = k <= np.minimum(below, half)  # else nobody, or everybody, is below the gap
    # What is not possible gets numbers that give no warning; the last line drops it.
    inside, at = np.where(possible, below, 1.0), np.where(possible, k, 1.0)
    ways = _log_choose(inside, at) + _log_choose(2 * half - inside, half - at)
    chance = np.exp(ways - _log_choose(np.array(2.0 * half), np.array(float(half))))
    return np.where(possible, 2 * at * (half - inside + at) / half**2 * chance, 0.0)


def _log_choose(n: Floats, k: Floats) -> Floats:
    # As logarithms: from about a thousand people on, the number of ways overflows a float.
    logarithm: Floats = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return logarithm
