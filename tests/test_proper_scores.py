"""Scores of one distribution a person, against scikit-learn, scipy and values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import energy_distance
from sklearn.metrics import brier_score_loss, log_loss

from socrates_core.analysis.metrics import accuracy
from socrates_core.analysis.proper import (
    FLOOR,
    MEASURES,
    DistributionScore,
    median_answers,
    score_distributions,
)
from socrates_core.records import Floats

SEEDS = st.integers(0, 10_000)
SCALES = st.sampled_from(
    [np.arange(1.0, 8), np.arange(0, 101.0, 10), np.array([-2.0, 0, 1, 10]), np.arange(2.0)]
)


def people(seed: int, values: Floats, n: int = 40) -> tuple[Floats, Floats]:
    """A distribution a person [n, k] and an answer a person [n]."""
    random = np.random.default_rng(seed)
    return random.dirichlet(np.full(values.size, 0.7), n), random.choice(values, n)


def score(values: Floats, probabilities: Floats, human: Floats) -> DistributionScore:
    return score_distributions(values, probabilities, human, valid_mass=np.ones(human.size))


@settings(max_examples=30, deadline=None)
@given(SEEDS, SCALES)
def test_log_score_and_brier_are_scikit_learns(seed: int, values: Floats) -> None:
    probabilities, human = people(seed, values)
    probabilities = (probabilities + 0.01) / (probabilities + 0.01).sum(axis=1, keepdims=True)
    found = score(values, probabilities, human)
    assert found.log_score == pytest.approx(-log_loss(human, probabilities, labels=values), rel=1e-9)
    theirs = brier_score_loss(human, probabilities, labels=values, scale_by_half=False)
    two = values.size == 2  # with two options scikit-learn takes the probability of the second
    theirs = (
        brier_score_loss(human, probabilities[:, 1], labels=values, scale_by_half=False) if two else theirs
    )
    assert found.brier == pytest.approx(theirs, rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(SEEDS, SCALES)
def test_the_ranked_probability_score_is_half_of_scipys_squared_energy_distance(
    seed: int, values: Floats
) -> None:
    # for a point mass h, energy_distance^2 = 2 E|X - h| - E|X - X'| = 2 CRPS (Gneiting and Raftery 2007, eq. 21)
    probabilities, human = people(seed, values, n=12)
    theirs = [
        energy_distance(values, [h], p) ** 2 / 2 / np.ptp(values)
        for h, p in zip(human, probabilities, strict=True)
    ]
    assert score(values, probabilities, human).ranked_probability == pytest.approx(np.mean(theirs), rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(SEEDS, SCALES, st.floats(0.01, 100), st.floats(-100, 100))
def test_scores_are_bounded_and_blind_to_units_and_to_the_order_of_people(
    seed: int, values: Floats, unit: float, zero: float
) -> None:
    probabilities, human = people(seed, values)
    plain = score(values, probabilities, human)
    order = np.random.default_rng(seed).permutation(human.size)
    moved_values = values * unit + zero
    moved_human = moved_values[np.searchsorted(values, human)][order]
    moved = score(moved_values, probabilities[order], moved_human)
    for name in MEASURES:
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=1e-6, nan_ok=True), name
    assert 0 <= plain.ranked_probability <= 1 and 0 <= plain.brier <= 2
    assert math.log(FLOOR) <= plain.log_score <= 0


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_proper_scores_are_best_for_the_honest_distribution(seed: int) -> None:
    random, values = np.random.default_rng(seed), np.arange(1.0, 6)
    shares = np.bincount(random.integers(5, size=50), minlength=5) / 50
    human = np.repeat(values, (shares * 50).round().astype(int))
    honest, other = (
        score(values, np.tile(p, (50, 1)), human) for p in (shares, random.dirichlet(np.ones(5)))
    )
    assert honest.log_score >= other.log_score
    assert honest.ranked_probability <= other.ranked_probability and honest.brier <= other.brier


def test_an_answer_that_was_ruled_out_costs_the_floor_and_is_counted() -> None:
    found = score(np.array([1.0, 2]), np.array([[1.0, 0], [1, 0]]), np.array([1.0, 2]))
    assert found.log_score == pytest.approx(math.log(FLOOR) / 2)
    assert found.n_floored == 1
    assert (found.brier, found.ranked_probability) == pytest.approx((1, 0.5))


def test_the_expected_accuracy_is_the_mean_of_the_accuracies_of_all_draws() -> None:
    values, human, shared = (
        np.arange(1.0, 8),
        np.array([2.0, 3, 5, 5]),
        np.array([0.1, 0.2, 0, 0.3, 0.2, 0.1, 0.1]),
    )
    found = score(values, np.tile(shared, (4, 1)), human)
    for clipped, ours in ((False, found.accuracy_expected), (True, found.accuracy_expected_clipped)):
        alone = [accuracy(human, np.full(4, value), clipped=clipped).value for value in values]
        assert ours == pytest.approx(shared @ alone)
    assert found.accuracy_expected < found.accuracy_expected_clipped < found.accuracy_median_clipped


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=5, max_size=5).filter(any))
def test_a_median_is_numpys_inverse_of_the_distribution(counts: list[int]) -> None:
    values = np.array([-1.0, 0, 2, 3, 9])
    theirs = np.quantile(np.repeat(values, counts), 0.5, method="inverted_cdf")
    assert median_answers(np.array([counts]) / sum(counts), values).tolist() == [theirs]


def test_median_and_draw_accuracy_are_two_numbers() -> None:
    # people at 1 and 3 of 1..3; medians 1 and 3 are right; a draw is 0.3 * 2 + 0.1 * 1 off on average, of range 2
    probabilities = np.array([[0.6, 0.1, 0.3], [0.3, 0.1, 0.6]])
    found = score(np.array([1.0, 2, 3]), probabilities, np.array([1.0, 3]))
    assert (found.accuracy_median, found.accuracy_expected) == pytest.approx((1, 1 - 0.7 / 2))


def test_the_sd_ratio_is_of_the_mixture_and_not_of_a_person() -> None:
    # everyone is sure, half at each end: the mixture spreads as widely as the people although no forecast does
    found = score(np.array([1.0, 7]), np.array([[1.0, 0], [0, 1]]), np.array([7.0, 1]))
    assert found.sd_ratio == pytest.approx(1)
    alike = score(np.array([1.0, 4, 7]), np.array([[0, 1.0, 0]] * 2), np.array([7.0, 1]))
    assert alike.sd_ratio == 0


def test_people_without_answer_or_forecast_are_dropped_but_their_valid_mass_counts() -> None:
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [np.nan, np.nan], [0, 0], [0.5, 0.5]])
    human = np.array([1.0, np.nan, 2, 2, 99])
    found = score_distributions(
        np.array([1.0, 2]), probabilities, human, valid_mass=np.array([1.0, 1, 0, 0, np.nan])
    )
    assert (found.n_rows, found.n_dropped) == (1, 4)
    assert found.log_score == pytest.approx(math.log(0.5))
    assert found.valid_mass == 0.5


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("human", [[], [5.0], [5.0, 5.0], [math.nan]])
def test_a_cell_without_people_or_range_has_no_score_that_needs_them(human: list[float]) -> None:
    found = score(np.arange(1.0, 8), np.full((len(human), 7), 1 / 7), np.array(human))
    assert math.isnan(found.accuracy_median) and math.isnan(found.sd_ratio)
    assert math.isnan(found.log_score) == (found.n_rows == 0)


@pytest.mark.filterwarnings("error")
def test_a_scale_of_one_value_has_no_rank() -> None:
    found = score(np.array([3.0]), np.ones((2, 1)), np.array([3.0, 3]))
    assert found.log_score == found.brier == 0 and math.isnan(found.ranked_probability)


def test_distributions_over_other_values_are_refused() -> None:
    with pytest.raises(ValueError, match="over 7 values a person"):
        score(np.arange(1.0, 8), np.ones((2, 5)), np.ones(2))
