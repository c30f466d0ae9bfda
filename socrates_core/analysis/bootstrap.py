"""How certain a number over studies is: whole studies are resampled, with everything inside them kept together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Floats

DRAWS = 2000
SEED = 0  # of every analysis that draws, so that the same data give the same numbers
MIN_STUDIES_FOR_INTERVAL = (
    5  # with S studies one alone fills a resample with chance S**(1 - S): 1.6% for 4, 0.2% for 5
)
Statistic = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Measure:
    """A number with its 95% interval; `low` and `high` are NaN where no interval is earned."""

    value: float
    low: float
    high: float


def resamples(n: int, *, seed: int | Sequence[int], draws: int = DRAWS) -> Floats:
    """How often each of `n` units is drawn in each of `draws` samples of n with replacement [draws, n]."""
    # Every sample has numbers of its own, so that one bincount counts all samples.
    drawn = np.random.default_rng(seed).integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * n).reshape(draws, n).astype(float)


def sums_by_study(study: NDArray[np.str_], columns: Floats) -> Floats:
    """The sums [s, m] of `columns` [e, m] over the entries of each study, studies in order of their names."""
    names, position = np.unique(study, return_inverse=True)
    sums = np.zeros((names.size, columns.shape[1]))
    np.add.at(sums, position, columns)
    return sums


def bootstrap(sums: Floats, statistic: Statistic, *, seed: int) -> Measure:
    """A `statistic` of the sums [s, m] over studies, with the percentile interval of the study bootstrap.

    `statistic` turns totals [..., m] into numbers [...], NaN where there is none. Studies are drawn with
    replacement (Davison & Hinkley 1997, section 3.8: whole clusters, nothing redrawn inside them). No
    interval with fewer than MIN_STUDIES_FOR_INTERVAL studies, or where one resample in twenty has no number.
    """
    value = float(statistic(sums.sum(axis=0)))
    if len(sums) < MIN_STUDIES_FOR_INTERVAL:
        return Measure(value, float("nan"), float("nan"))
    drawn = statistic(resamples(len(sums), seed=seed) @ sums)
    usable = drawn[np.isfinite(drawn)]
    if usable.size < 0.95 * drawn.size:
        return Measure(value, float("nan"), float("nan"))
    low, high = np.quantile(usable, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Measure(value, float(low), float(high))


def mean_over_studies(scores: Floats, *, seed: int) -> Measure:
    """The unweighted mean of one score a study [s], without studies that have none (NaN)."""
    given = np.asarray(scores, dtype=float)
    given = given[np.isfinite(given)]
    return bootstrap(np.stack([np.ones_like(given), given], axis=1), ratio, seed=seed)


def ratio(totals: Floats) -> Floats:
    """The second of the totals [..., 2] over the first; NaN over nothing."""
    weight, total = totals[..., 0], totals[..., 1]
    return np.where(weight > 0, total / np.where(weight > 0, weight, 1), np.nan)
