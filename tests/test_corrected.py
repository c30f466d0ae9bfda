"""Distances without the luck of who answered, the oracle, halves of people: against all samples and statsmodels."""

import itertools
import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import multinomial, wasserstein_distance

from socrates_core.analysis.baselines import expected_half_sample, expected_oracle, half_sample_of_people
from socrates_core.analysis.corrected import corrected_distance, distance_of_half, variance_of_mean
from socrates_core.records import Floats

VALUES = np.array([1.0, 2.0, 4.0, 7.0])
TRUTH = np.array([0.4, 0.3, 0.2, 0.1])
PREDICTED = np.array([0.1, 0.2, 0.3, 0.4])


def every_sample(n: int) -> list[tuple[Floats, float]]:
    """The answers of each sample of `n` people from TRUTH, with its probability."""
    counts = [c for c in itertools.product(range(n + 1), repeat=len(TRUTH)) if sum(c) == n]
    return [(np.repeat(VALUES, c), float(multinomial.pmf(c, n, TRUTH))) for c in counts]


@pytest.mark.parametrize("n", [2, 3, 7])
@pytest.mark.parametrize("is_ordered", [True, False])
def test_the_corrected_distance_is_the_true_one_on_average_over_every_sample(
    n: int, is_ordered: bool
) -> None:
    squares = np.cumsum(PREDICTED - TRUTH)[:-1] ** 2 if is_ordered else (PREDICTED - TRUTH) ** 2
    weights = np.array([1, 2, 3]) / 6 if is_ordered else np.full(4, 0.5)
    for shares, truth in ((PREDICTED, float(weights @ squares)), (TRUTH, 0.0)):
        mean = sum(
            chance * corrected_distance(VALUES, shares, answers, np.arange(n), is_ordered=is_ordered)
            for answers, chance in every_sample(n)
        )
        assert mean == pytest.approx(truth, abs=1e-12)


def test_two_values_have_one_squared_distance_with_an_order_or_without() -> None:
    answers, people = np.array([0.0, 1, 1, 0, 1]), np.arange(5)
    ordered, unordered = (
        corrected_distance(np.array([0.0, 1]), np.array([0.3, 0.7]), answers, people, is_ordered=order)
        for order in (True, False)
    )
    assert ordered == pytest.approx(unordered)


def test_repeated_answers_of_one_person_are_one_cluster_as_in_statsmodels() -> None:
    generator = np.random.default_rng(1)
    people = np.repeat(np.arange(9), [1, 5, 3, 1, 1, 8, 2, 2, 4])
    rows = (generator.random((people.size, 1)) < 0.2 + 0.6 * (people[:, None] % 2)).astype(float)
    theirs = (
        sm.OLS(rows[:, 0], np.ones(people.size)).fit(cov_type="cluster", cov_kwds={"groups": people}).bse[0]
    )
    assert math.sqrt(variance_of_mean(rows, people)[0]) == pytest.approx(theirs, rel=1e-12)
    alone = variance_of_mean(rows, np.arange(people.size))[0]
    assert alone == pytest.approx(rows.var(ddof=1) / people.size) and alone < theirs**2


def test_a_half_misses_all_such_people_by_what_half_as_many_do() -> None:
    answers = np.repeat(VALUES, [8, 6, 4, 2])
    below = np.cumsum([0.4, 0.3, 0.2, 0.1])[:-1]
    by_hand = float((below * (1 - below) * 20 / 19 / 10) @ (np.array([1, 2, 3]) / 6))
    assert distance_of_half(VALUES, answers, np.arange(20), is_ordered=True) == pytest.approx(by_hand)
    assert math.isnan(distance_of_half(VALUES, answers[:3], np.arange(3), is_ordered=True))


@pytest.mark.parametrize(("n", "tolerance"), [(8, 0.07), (15, 0.04), (32, 0.03), (100, 0.02)])
def test_the_oracle_is_right_with_few_people_too(n: int, tolerance: float) -> None:
    """Half of the half-sample alone is 10% to 15% too low with 8 people, and 8% where answers are skewed."""
    generator = np.random.default_rng(n)
    values = np.arange(1.0, 8)
    for truth in ([0.05, 0.1, 0.15, 0.25, 0.2, 0.15, 0.1], [0.7, 0.15, 0.08, 0.04, 0.02, 0.007, 0.003]):
        samples = generator.multinomial(n, truth, 3000).astype(float)
        scored = [wasserstein_distance(values, values, counts, truth) / 6 for counts in samples]
        oracle = [expected_oracle(counts, values, scale_range=6.0) for counts in samples]
        assert np.mean(oracle) == pytest.approx(np.mean(scored), rel=tolerance)


def test_on_the_observed_range_the_oracle_is_half_of_the_halves() -> None:
    counts, values = np.array([0, 4.0, 5.0, 3.0, 0]), np.arange(1.0, 6)
    assert expected_oracle(counts, values) == expected_half_sample(counts, values) / 2
    assert (
        expected_oracle(counts, values, scale_range=4.0)
        > expected_half_sample(counts, values, scale_range=4.0) / 2
    )


def test_a_persons_answers_stay_in_one_half() -> None:
    """24 people who answer alike five times: as if each had answered once, and not as if 120 people had."""
    generator = np.random.default_rng(3)
    values = np.arange(1.0, 8)
    answers = generator.integers(1, 8, 24).astype(float)
    people = np.repeat(np.arange(24), 5)
    found = half_sample_of_people(answers[people], people, values, scale_range=6.0)
    drawn = []
    for _ in range(4000):
        order = generator.permutation(24)
        drawn.append(wasserstein_distance(answers[order[:12]], answers[order[12:]]) / 6)
    assert found == pytest.approx(np.mean(drawn), rel=0.03)
    counts = np.bincount(answers[people].astype(int), minlength=8)[1:].astype(float)
    assert expected_half_sample(counts, values, scale_range=6.0) < found / 2


def test_the_variance_of_a_weighted_mean_of_clusters_is_that_of_statsmodels() -> None:
    generator = np.random.default_rng(2)
    people = generator.integers(0, 9, 60)
    rows = generator.normal(size=(60, 2)) + people[:, None] / 4
    weight = generator.uniform(0.2, 3, 60)
    expected = [
        sm.WLS(column, np.ones(60), weights=weight)
        .fit(cov_type="cluster", cov_kwds={"groups": people})
        .bse[0]
        ** 2
        for column in rows.T
    ]
    assert variance_of_mean(rows, people, weight) == pytest.approx(expected, rel=1e-9)
