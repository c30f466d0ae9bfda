"""How good one distribution a person is as a forecast of that person's answer.

The proper scores (Gneiting and Raftery 2007, JASA 102) are best, on average, for whoever tells the honest
distribution. The accuracies are not proper: they reward naming one answer, so each says which it names.
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
    """One cell's forecasts beside its answers: means over `n_rows` people, NaN where they have no meaning.

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
class Reliability:
    """How often what was said with a probability came true, in bins [b] of that probability.

    What is said is "the answer is at most v", for every v but the scale's last. A person weighs 1, spread
    evenly over these: `n` [b] adds up to `n_rows`. `said` and `happened` [b] are means, NaN in an empty bin.
    `error` is the expected calibration error (Naeini and others 2015, AAAI 29): the mean distance of the two,
    weighed by `n`, in [0, 1]. Few people make it larger: their share is off by chance. NaN without any.
    """

    said: Floats
    happened: Floats
    n: Floats
    error: float
    n_rows: int
    n_dropped: int


@dataclass(frozen=True)
class _Matched:
    """People with an answer and a forecast: rows [m, k] that sum to 1, answers `human` [m] and what they count for.

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
    """The scores of one cell's `probabilities` [n, k] over `values` [k], rising, beside answers `human` [n].

    `valid_mass` [n] is the probability that the model gave to any answer of the scale. An answer outside the values
    is off the scale and leaves; one between two of them has the scores of both, weighed as it counts for them.
    """
    found = _match(values, probabilities, human)
    squares = (found.rows**2).sum(axis=1) - 2 * (found.given * found.rows).sum(axis=1) + 1
    medians = median_answers(found.rows, found.values)
    return DistributionScore(
        log_score=_mean((found.given * np.log(np.maximum(found.rows, FLOOR))).sum(axis=1)),
        ranked_probability=_mean(_ranked_probability(found)),
        brier=_mean(squares),
        accuracy_median=accuracy(found.human, medians, clipped=False).value,
        accuracy_median_clipped=accuracy(found.human, medians, clipped=True).value,
        accuracy_expected=_expected_accuracy(found, clipped=False),
        accuracy_expected_clipped=_expected_accuracy(found, clipped=True),
        sd_ratio=_sd_ratio(found),
        valid_mass=_mean(valid_mass[np.isfinite(valid_mass)]),
        n_floored=int(((found.given > 0) & (found.rows < FLOOR)).any(axis=1).sum()),
        n_rows=len(found.rows),
        n_dropped=found.n_dropped,
    )


def median_answers(probabilities: Floats, values: Floats) -> Floats:
    """The median [n] of each distribution [n, k] over rising `values` [k]: the least with half of the mass.

    NaN where a row holds no probability.
    """
    reached = np.cumsum(probabilities, axis=1)
    half = reached[:, -1:] / 2 - 1e-12
    medians = values[np.argmax(reached >= half, axis=1)]
    return np.where(reached[:, -1] > 0, medians, np.nan)


def reliability(values: Floats, probabilities: Floats, human: Floats, *, n_bins: int = 10) -> Reliability:
    """The reliability of one cell's forecasts, in `n_bins` equally wide bins; arguments as `score_distributions`.

    Threshold calibration (Gneiting and Resin 2023, Electron J Stat 17): nothing is drawn, so that discrete
    answers need no randomised probability integral transform.
    """
    found = _match(values, probabilities, human)
    said = np.minimum(np.cumsum(found.rows, axis=1)[:, :-1], 1).ravel()
    happened = np.cumsum(found.given, axis=1)[:, :-1].ravel()
    weight = np.full(said.size, 1 / max(found.values.size - 1, 1))
    place = np.minimum((said * n_bins).astype(int), n_bins - 1)

    def total(part: Floats) -> Floats:
        return np.bincount(place, part, minlength=n_bins).astype(float)

    sums = total(weight * said), total(weight * happened), total(weight)
    return _reliability(*sums, n_rows=len(found.rows), n_dropped=found.n_dropped)


def _reliability(said: Floats, happened: Floats, n: Floats, *, n_rows: int, n_dropped: int) -> Reliability:
    weight = np.where(n > 0, n, np.nan)
    error = float(np.abs(said - happened).sum() / n.sum()) if n.sum() > 0 else math.nan
    return Reliability(said / weight, happened / weight, n, error, n_rows, n_dropped)


def _match(values: Floats, probabilities: Floats, human: Floats) -> _Matched:
    places, rows = np.asarray(values, dtype=float), np.asarray(probabilities, dtype=float)
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


def _ranked_probability(found: _Matched) -> Floats:
    gaps = np.diff(found.values)
    if not gaps.size:
        return np.zeros(0)
    below = np.cumsum(found.given, axis=1)[:, :-1]
    missed = np.cumsum(found.rows, axis=1)[:, :-1] - below
    # The mean of (forecast - 1)^2 and (forecast - 0)^2, weighed by how much of the answer is below: 0 or 1 but for
    # answers between two values, for which the last term is not 0.
    return np.asarray((missed**2 + below * (1 - below)) @ gaps / gaps.sum(), dtype=float)


def _expected_accuracy(found: _Matched, *, clipped: bool) -> float:
    people = found.human
    if people.size < 2 or people.max() == people.min():
        return math.nan
    low, high = people.min(), people.max()
    drawn = np.clip(found.values, low, high) if clipped else found.values
    distance = np.abs(drawn - people[:, None])
    return 1 - float((found.rows * distance).sum(axis=1).mean() / (high - low))


def _sd_ratio(found: _Matched) -> float:
    if not len(found.rows) or found.human.min() == found.human.max():
        return math.nan
    return moments(mean_distribution(found.rows), found.values).sd / float(found.human.std())
