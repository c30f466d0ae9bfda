"""How certain shares are: an interval for every answer that people could have given."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Floats


@dataclass(frozen=True)
class Shares:
    """The share [k] of the answers of `n` people that were each answer, with its 95% interval [k]; NaN without any."""

    share: Floats
    low: Floats
    high: Floats
    n: int


@dataclass(frozen=True)
class SampleSize:
    """How many `people` gave the answers of a cell, and how many people asked one by one would be as certain.

    `effective` differs from `people` where one person answered several times, or people are clustered or weighted. It
    is NaN where the answers say nothing about their own error: one person, or one cluster.
    """

    people: int
    effective: float


def shares_with_intervals(counts: Floats, size: SampleSize | None = None) -> Shares:
    """The shares of `counts` [k] with Wilson's interval for each (1927, JASA 22), for `size.effective` people.

    Without `size`, every answer is another person's. Counts are whole numbers but for weighted answers and for answers
    between two values, which count for both in proportion.

    Each interval covers its own share with 95% confidence, not all k together.
    """
    counted = np.asarray(counts, dtype=float)
    total = float(counted.sum())
    total = (
        float(round(total)) if abs(total - round(total)) < 1e-6 else total
    )  # parts of people add up to whole ones
    if total <= 0:
        unknown = np.full(counted.shape, np.nan)
        return Shares(unknown, unknown, unknown, 0)
    share = counted / total
    n = total if size is None else size.effective
    people = share * n
    z2 = float(ndtri(0.5 + CONFIDENCE / 2)) ** 2
    middle = (people + z2 / 2) / (n + z2)
    margin = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    # Exactly 0 and 1 at the ends: the formula misses them by rounding.
    low = np.where(counted == 0, 0.0, middle - margin)
    high = np.where(counted == total, 1.0, middle + margin)
    if not math.isfinite(n):
        low = high = np.full(counted.shape, np.nan)
    return Shares(share, low, high, int(total) if size is None else size.people)
