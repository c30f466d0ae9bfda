"""The rows next to every model: no knowledge, no treatment, and people against people."""

from dataclasses import dataclass

import numpy as np

from socrates_core.analysis.metrics import wasserstein
from socrates_core.records import Floats


@dataclass(frozen=True)
class HalfSample:
    """How far half of the people are from the other half, as W in [0, 1].

    `wasserstein` is the mean over `repeats` halvings; 95% of the halvings lie between `low` and `high`.
    `n_half` people are in each half. All NaN where a cell cannot be halved.
    """

    wasserstein: float
    low: float
    high: float
    n_half: int
    repeats: int


def uniform(k: int) -> Floats:
    """The distribution [k] of someone who knows nothing: every option alike."""
    return np.full(k, 1 / k)


def pooled(counts_by_condition: Floats) -> Floats:
    """The distribution [k] of all people of an outcome, pooled over its conditions [c, k]: the published row.

    Every person weighs alike, and the people of the condition that is to be predicted are among them, so that a
    condition on its own is predicted by its own answers. NaN without people.
    """
    people: Floats = np.asarray(counts_by_condition, dtype=float).sum(axis=0)
    return people / people.sum() if people.sum() > 0 else np.full(people.shape, np.nan)


def condition_blind(counts_by_condition: Floats, condition: int) -> Floats:
    """The distribution [k] of the people of an outcome's other conditions, pooled, every person alike.

    `counts_by_condition` [c, k]; the people of row `condition`, who are to be predicted, have no say. NaN where
    nobody answered in another condition.
    """
    return pooled(np.delete(np.asarray(counts_by_condition, dtype=float), condition, axis=0))


def majority(counts_by_condition: Floats, condition: int) -> Floats:
    """The distribution [k] of always giving the commonest answer of the outcome's other conditions.

    `counts_by_condition` [c, k]; the people of row `condition`, who are to be predicted, have no say. Answers
    that are equally common share the probability. NaN where nobody answered in another condition.
    """
    others = np.delete(np.asarray(counts_by_condition, dtype=float), condition, axis=0).sum(axis=0)
    commonest = (others == others.max()) & (others > 0)
    return commonest / commonest.sum() if commonest.any() else np.full(others.shape, np.nan)


def half_sample(
    values: Floats, *, seed: int, repeats: int = 200, scale_range: float | None = None
) -> HalfSample:
    """What people score against people: W between two random halves of a cell's answers [n].

    Each of `repeats` halvings shuffles the people and compares the first floor(n/2) with the next
    floor(n/2) (with an odd n one person sits out). W is in shares of `scale_range`, or, without one, of the
    observed range of the whole cell. The interval is the 2.5th to the 97.5th percentile over halvings: luck
    of the split among these people, not doubt about other people. A half is noisier than the whole, so a
    predictor of the true distribution can score lower. NaN with fewer than four people or a single answer.
    """
    answers = np.asarray(values, dtype=float)
    answers = answers[np.isfinite(answers)]
    half = answers.size // 2
    span = scale_range or (float(np.ptp(answers)) if answers.size else 0.0)
    if half < 2 or span <= 0:
        return HalfSample(float("nan"), float("nan"), float("nan"), half, repeats)
    generator = np.random.default_rng(seed)
    scores = [_halving(generator.permutation(answers), half) / span for _ in range(repeats)]
    low, high = np.percentile(scores, [2.5, 97.5])
    return HalfSample(float(np.mean(scores)), float(low), float(high), half, repeats)


def _halving(shuffled: Floats, half: int) -> float:
    return wasserstein(shuffled[:half], shuffled[half : 2 * half])
