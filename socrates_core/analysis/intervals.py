"""How certain shares are: an interval for every answer that people could have given."""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Floats


@dataclass(frozen=True)
class Shares:
    """The share [k] of `n` people who gave each answer, with its 95% interval [k]; NaN without people."""

    share: Floats
    low: Floats
    high: Floats
    n: int


def shares_with_intervals(counts: Floats) -> Shares:
    """The shares of `counts` [k] with Wilson's interval for each (1927, JASA 22).

    Counts are whole numbers but for answers between two values, which count for both in proportion.

    Each interval covers its own share with 95% confidence, not all k together.
    """
    people = np.asarray(counts, dtype=float)
    n = float(people.sum())
    n = float(round(n)) if abs(n - round(n)) < 1e-6 else n  # parts of people add up to whole ones
    if n <= 0:
        unknown = np.full(people.shape, np.nan)
        return Shares(unknown, unknown, unknown, 0)
    share = people / n
    z2 = float(ndtri(0.5 + CONFIDENCE / 2)) ** 2
    middle = (people + z2 / 2) / (n + z2)
    margin = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    # Exactly 0 and 1 at the ends: the formula misses them by rounding.
    low = np.where(people == 0, 0.0, middle - margin)
    high = np.where(people == n, 1.0, middle + margin)
    return Shares(share, low, high, int(n))
