"""Differences in the shares of options that have no order, option by option, since they have no mean."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from socrates_core.analysis.effects import mean_difference, paired_difference
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.records import Floats


@dataclass(frozen=True)
class ShareDifferences:
    """The shares [k] of two groups of people and their differences [k] with 95% intervals, first minus second.

    `total_variation` is half the sum of the absolute differences: the share of people who would have to choose
    another option. `p` is that of no difference at all: Pearson's test, `chi_square` with `freedom` degrees. Where one
    person gave several answers, the same people are in both groups, or people are clustered or weighted, these are NaN
    and 0, and `p` is `smallest_p` of the single options.
    """

    share: Floats
    share_reference: Floats
    difference: Floats
    low: Floats
    high: Floats
    n: int
    n_reference: int
    total_variation: float
    chi_square: float = math.nan
    freedom: int = 0
    p: float = math.nan


def compare_shares(treated: Floats, reference: Floats, *, paired: bool = False) -> ShareDifferences:
    """The differences in the shares of options between two groups.

    `treated` [n, k] and `reference` [m, k] hold a row a person: the shares of that person's answers that were each
    option, 1 and 0 for one answer. Between people with one answer each, intervals are Newcombe's (1998, Statistics in
    Medicine 17: 873-890, method 10), else t intervals of the people's shares, of pairs where `paired`.
    """
    ours, theirs = np.asarray(treated, dtype=float), np.asarray(reference, dtype=float)
    share, share_reference = (
        side.mean(axis=0) if len(side) else np.full(side.shape[1], math.nan) for side in (ours, theirs)
    )
    differences = share - share_reference
    chi_square = math.nan
    freedom = 0
    p = math.nan
    if paired or not np.isin(np.vstack([ours, theirs]), (0, 1)).all():
        compare = paired_difference if paired else mean_difference
        effects = [compare(ours[:, k], theirs[:, k]) for k in range(ours.shape[1])]
        low, high = np.array([each.low for each in effects]), np.array([each.high for each in effects])
        p = smallest_p(np.array([each.p for each in effects]))
    else:
        first, second = (shares_with_intervals(each.sum(axis=0)) for each in (ours, theirs))
        low = differences - np.hypot(first.share - first.low, second.high - second.share)
        high = differences + np.hypot(first.high - first.share, second.share - second.low)
        chi_square, freedom, p = _pearson(ours.sum(axis=0), theirs.sum(axis=0))
    return ShareDifferences(
        share=share,
        share_reference=share_reference,
        difference=differences,
        low=low,
        high=high,
        n=len(ours),
        n_reference=len(theirs),
        total_variation=float(np.abs(differences).sum() / 2),
        chi_square=chi_square,
        freedom=freedom,
        p=p,
    )


def smallest_p(p: Floats) -> float:
    """The smallest p of single options times their number (Bonferroni), for no difference in any of them.

    Two options differ by the same, so they are one test. NaN where no option has a `p` [k].
    """
    given = p[np.isfinite(p)]
    if not given.size:
        return math.nan
    return min(1.0, float(given.min()) * (given.size if given.size > 2 else 1))


def _pearson(ours: Floats, theirs: Floats) -> tuple[float, int, float]:
    """Pearson's chi-square of a table of two rows, its degrees of freedom and p; options nobody chose leave."""
    table = np.array([ours, theirs])
    table = table[:, table.sum(axis=0) > 0]
    freedom = table.shape[1] - 1
    if freedom < 1 or not table.sum(axis=1).all():
        return math.nan, 0, math.nan
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi_square = float(((table - expected) ** 2 / expected).sum())
    return chi_square, freedom, float(chdtrc(freedom, chi_square))
