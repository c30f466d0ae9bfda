"""How good one distribution a person is as a forecast of that person's answer.

The proper scores (Gneiting and Raftery 2007, JASA 102) are best, on average, for an honest distribution. The
accuracies are not proper: they reward naming one answer, so each says which answer it takes.
"""

import math
from dataclasses import dataclass

import numpy as np

from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.metrics import accuracy
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.records import Floats

FLOOR = 1e-6  # the log score's least probability: -13.8 nats for an answer that was ruled out
MEASURES = (
    "log_score",
    "ranked_probability",
    "brier",
    "accuracy_median",
    "accuracy_median_clipped",
    "accuracy_expected",
    "accuracy_expected_clipped",
    "sd_ratio",
    "valid_mass",
)


@dataclass(frozen=True)
class DistributionScore:
    """The scores of one cell's forecasts: means over `n_rows` people, NaN where they have no meaning.

    `n_dropped` people lack an answer on the scale or a forecast. `log_score` is the log of the probability of
    the answer given, in nats, 0 at best; a probability below FLOOR counts as FLOOR, `n_floored` times.
    `ranked_probability` (Epstein 1969, J Appl Meteorol 8; the CRPS in shares of the scale's range) is in [0, 1]
    and `brier` (Brier 1950, Mon Weather Rev 78; summed over options) in [0, 2], both 0 at best.
    `accuracy_median` is the paper's accuracy of each person's median, `accuracy_expected` what one draw a
    person has on average; both as `metrics.accuracy`, and `_clipped` as there. `sd_ratio` is the spread of
    the forecasts mixed over that of the answers: below 1 where predicted people are too alike. `valid_mass`
    is over everyone asked, dropped people included.
    """

    log_score: float
    ranked_probability: float
    brier: float
    accuracy_median: float
    accuracy_median_clipped: float
    accuracy_expected: float
    accuracy_expected_clipped: float
    sd_ratio: float
    valid_mass: float
    n_floored: int
    n_rows: int
    n_dropped: int


@dataclass(frozen=True)
class _Matched:
    """People with an answer and a forecast: `rows` [m, k] that sum to 1, and answers `human` [m].

    `given` [m, k] is 1 for the answer's value; an answer between two values counts for both (`fractions`).
    """

    values: Floats
    rows: Floats
    human: Floats
    given: Floats
    n_dropped: int


def score_distributions(
    values: Floats, probabilities: Floats, human: Floats, *, valid_mass: Floats
) -> DistributionScore:
    """The scores of one cell's `probabilities` [n, k] over rising `values` [k], given the answers `human` [n].

    `valid_mass` [n] is the probability that the model gave to any answer of the scale. An answer outside the values
    is off the scale and leaves; one between two of them has the scores of both, weighed as it counts for them.
    """
    matched = _match(values, probabilities, human)
    squares = (matched.rows**2).sum(axis=1) - 2 * (matched.given * matched.rows).sum(axis=1) + 1
    medians = median_answers(matched.rows, matched.values)
    return DistributionScore(
        log_score=_mean((matched.given * np.log(np.maximum(matched.rows, FLOOR))).sum(axis=1)),
        ranked_probability=_mean(_ranked_probability(matched)),
        brier=_mean(squares),
        accuracy_median=accuracy(matched.human, medians, clipped=False).value,
        accuracy_median_clipped=accuracy(matched.human, medians, clipped=True).value,
        accuracy_expected=_expected_accuracy(matched, clipped=False),
        accuracy_expected_clipped=_expected_accuracy(matched, clipped=True),
        sd_ratio=_sd_ratio(matched),
        valid_mass=_mean(valid_mass[np.isfinite(valid_mass)]),
        n_floored=int(((matched.given > 0) & (matched.rows < FLOOR)).any(axis=1).sum()),
        n_rows=len(matched.rows),
        n_dropped=matched.n_dropped,
    )


def median_answers(probabilities: Floats, values: Floats) -> Floats:
    """The median [n] of each distribution [n, k] over rising `values` [k]: the least with half of the mass.

    NaN where a row holds no probability.
    """
    reached = np.cumsum(probabilities, axis=1)
    # Cumulative sums are off by rounding, and an exact half must count as reached.
    half = reached[:, -1:] / 2 - 1e-12
    medians = values[np.argmax(reached >= half, axis=1)]
    return np.where(reached[:, -1] > 0, medians, np.nan)


def _match(values: Floats, probabilities: Floats, human: Floats) -> _Matched:
    places = np.asarray(values, dtype=float)
    rows = np.asarray(probabilities, dtype=float)
    answers = np.asarray(human, dtype=float)
    if rows.shape != (answers.size, places.size):
        raise ValueError(f"a distribution over {places.size} values a person is needed: {rows.shape}")
    total = rows.sum(axis=1)
    given = memberships(answers, places)
    usable = (given.sum(axis=1) > 0) & np.isfinite(total) & (total > 0)
    shares = rows[usable] / total[usable, None]
    return _Matched(places, shares, answers[usable], given[usable], int((~usable).sum()))


def _mean(parts: Floats) -> float:
    return float(parts.mean()) if parts.size else math.nan


def _ranked_probability(matched: _Matched) -> Floats:
    gaps = np.diff(matched.values)
    if not gaps.size:
        return np.zeros(0)
    below = np.cumsum(matched.given, axis=1)[:, :-1]
    missed = np.cumsum(matched.rows, axis=1)[:, :-1] - below
    # The mean of (forecast - 1)^2 and (forecast - 0)^2, weighed by how much of the answer is below: 0 or 1 but for
    # answers between two values, for which the last term is not 0.
    return np.asarray((missed**2 + below * (1 - below)) @ gaps / gaps.sum(), dtype=float)


def _expected_accuracy(matched: _Matched, *, clipped: bool) -> float:
    people = matched.human
    if people.size < 2 or people.max() == people.min():
        return math.nan
    low, high = people.min(), people.max()
    drawn = np.clip(matched.values, low, high) if clipped else matched.values
    distance = np.abs(drawn - people[:, None])
    return 1 - float((matched.rows * distance).sum(axis=1).mean() / (high - low))


def _sd_ratio(matched: _Matched) -> float:
    if not len(matched.rows) or matched.human.min() == matched.human.max():
        return math.nan
    return moments(mean_distribution(matched.rows), matched.values).sd / float(matched.human.std())
