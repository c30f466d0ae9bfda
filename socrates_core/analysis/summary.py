"""Means, spreads and differences of predicted answers, which are distributions and not draws."""

import math
from dataclasses import dataclass

import numpy as np

from socrates_core.records import Effect, Floats


@dataclass(frozen=True)
class Moments:
    """The mean and the standard deviation of answers on the scale's units; NaN without any."""

    mean: float
    sd: float


def mean_distribution(probabilities: Floats) -> Floats:
    """The answers [k] of a panel: the mean of its people's distributions [n, k], without missing ones."""
    rows = np.asarray(probabilities, dtype=float)
    rows = rows[np.isfinite(rows).all(axis=1)]
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], np.nan)


def moments(weights: Floats, values: Floats) -> Moments:
    """The mean and spread of one distribution, or of counts, `weights` [k] over `values` [k]."""
    mass, places = np.asarray(weights, dtype=float), np.asarray(values, dtype=float)
    if not mass.sum() > 0:
        return Moments(math.nan, math.nan)
    share = mass / mass.sum()
    mean = float(share @ places)
    return Moments(mean, math.sqrt(float(share @ (places - mean) ** 2)))


def predicted_effect(prob_treated: Floats, prob_reference: Floats, values: Floats) -> Effect:
    """The difference in means of predicted answers, without an interval.

    `prob_treated` [n, k] and `prob_reference` [m, k] hold one distribution a person over `values` [k], in
    order. `low` and `high` are NaN: more simulated people do not make a model less wrong, so an interval
    needs the model's errors on studies that it has not seen. `share` is of the range of `values`; `d`
    divides by the pooled spread of the predicted answers.
    """
    places = np.asarray(values, dtype=float)
    ours = moments(mean_distribution(prob_treated), places)
    theirs = moments(mean_distribution(prob_reference), places)
    difference = ours.mean - theirs.mean
    spread = math.sqrt((ours.sd**2 + theirs.sd**2) / 2)
    span = float(np.ptp(places)) if places.size else 0.0
    return Effect(
        difference=difference,
        low=math.nan,
        high=math.nan,
        n=_n_answering(prob_treated),
        n_reference=_n_answering(prob_reference),
        share=difference / span if span > 0 else math.nan,
        d=difference / spread if spread > 0 else math.nan,
    )


def _n_answering(probabilities: Floats) -> int:
    return int(np.isfinite(np.asarray(probabilities, dtype=float)).all(axis=1).sum())
