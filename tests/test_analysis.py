"""Effects, intervals, baselines and summaries against scipy and values worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from socrates_core.analysis.baselines import condition_blind, expected_half_sample, pooled, uniform
from socrates_core.analysis.effects import mean_difference, paired_difference, predicted_effect
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.records import Effect

RNG = np.random.default_rng(7)
TREATED = RNG.integers(1, 8, 83).astype(float)
REFERENCE = RNG.integers(2, 7, 41).astype(float)


def test_a_difference_between_people_is_welchs_as_in_scipy() -> None:
    ours = mean_difference(TREATED, REFERENCE, scale_range=6)
    theirs = stats.ttest_ind(TREATED, REFERENCE, equal_var=False).confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert ours.difference == pytest.approx(TREATED.mean() - REFERENCE.mean())
    assert ours.share == pytest.approx(ours.difference / 6)
    assert (ours.n, ours.n_reference) == (83, 41)


def test_cohens_d_divides_by_the_pooled_spread() -> None:
    # means 4 and 2, both variances 1, so d = 2
    assert mean_difference(np.array([3.0, 4, 5]), np.array([1.0, 2, 3])).d == pytest.approx(2)


def test_a_difference_within_people_is_the_paired_t_of_those_with_both_answers() -> None:
    before = RNG.normal(4, 1, 30)
    after = before + RNG.normal(0.5, 0.3, 30)
    after[:3], before[3:5] = np.nan, np.nan
    theirs = stats.ttest_rel(after[5:], before[5:]).confidence_interval(0.95)
    ours = paired_difference(after, before)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert ours.n == ours.n_reference == 25
    assert math.isnan(ours.share)


def test_answers_that_are_not_aligned_by_person_are_refused() -> None:
    with pytest.raises(ValueError, match="aligned"):
        paired_difference(np.ones(3), np.ones(4))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("difference", [mean_difference, paired_difference])
@pytest.mark.parametrize(
    ("treated", "reference", "expected"),
    [([], [], math.nan), ([3], [1], 2), ([4, 4, 4], [1, 1, 1], 3), ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 0)],
)
def test_without_people_or_spread_there_is_no_interval(
    difference: Callable[..., Effect], treated: list[float], reference: list[float], expected: float
) -> None:
    found = difference(np.array(treated, dtype=float), np.array(reference, dtype=float), scale_range=0)
    assert found.difference == pytest.approx(expected, nan_ok=True)
    assert all(map(math.isnan, (found.low, found.high, found.d, found.share)))


def test_people_without_both_answers_leave_no_pair() -> None:
    found = paired_difference(np.array([np.nan, 2]), np.array([1, np.nan]))
    assert found.n == 0 and math.isnan(found.difference)


@pytest.mark.filterwarnings("error")
def test_one_group_without_spread_still_earns_an_interval() -> None:
    found = mean_difference(np.array([1.0, 1, 1]), np.array([1.0, 2, 3]))
    # variance 0/3 + 1/3 on 2 degrees of freedom: -1 +- 4.30265 * sqrt(1/3)
    assert (found.low, found.high) == pytest.approx((-3.48414, 1.48414), abs=1e-5)


@pytest.mark.parametrize("counts", [[0, 12], [3, 9, 40], [1, 0, 0], [5000, 4999, 1]])
def test_each_share_has_wilsons_interval_as_in_scipy(counts: list[int]) -> None:
    found = shares_with_intervals(np.array(counts, dtype=float))
    for position, count in enumerate(counts):
        theirs = stats.binomtest(count, sum(counts)).proportion_ci(0.95, "wilson")
        assert (found.low[position], found.high[position]) == pytest.approx(
            (theirs.low, theirs.high), abs=1e-9
        )
    assert found.share.sum() == pytest.approx(1)
    assert found.n == sum(counts)


@pytest.mark.filterwarnings("error")
def test_shares_of_nobody_are_unknown() -> None:
    found = shares_with_intervals(np.zeros(3))
    assert found.n == 0 and np.isnan([found.share, found.low, found.high]).all()


def test_the_uniform_row_knows_nothing() -> None:
    assert uniform(4).tolist() == [0.25] * 4


@pytest.mark.filterwarnings("error")
def test_the_condition_blind_row_pools_the_people_of_the_other_conditions() -> None:
    counts = np.array([[90.0, 10], [0, 100], [30, 70]])
    assert condition_blind(counts, 0) == pytest.approx(
        [30 / 200, 170 / 200]
    )  # people weigh alike, not conditions
    assert pooled(counts) == pytest.approx([120 / 300, 180 / 300])  # the published row has everybody
    assert np.isnan(
        condition_blind(counts[:1], 0)
    ).all()  # one condition: nothing is known, not the answer itself
    assert np.isnan(pooled(np.zeros((2, 2)))).all()


def test_the_half_sample_of_two_equal_halves_is_worked_out_by_hand() -> None:
    # four people, two at each end: halves are alike in 2 of 3 splits (W 0) and opposite in 1 of 3 (W 1)
    assert expected_half_sample(np.array([2.0, 2.0]), np.array([1.0, 7.0])) == pytest.approx(1 / 3, abs=1e-14)


def test_the_half_sample_shrinks_with_people_and_with_the_stated_range() -> None:
    values = np.array([3.0, 4.0, 5.0])
    few, many = np.array([12.0, 13.0, 15.0]), np.array([1200.0, 1300.0, 1500.0])
    observed = expected_half_sample(few, values)
    assert expected_half_sample(many, values) < observed / 5
    assert expected_half_sample(few, values, scale_range=6) == pytest.approx(observed / 3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("counts", [[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 4]])
def test_a_cell_that_cannot_be_halved_has_no_half_sample(counts: list[float]) -> None:
    assert math.isnan(expected_half_sample(np.array(counts, dtype=float), np.array([1.0, 2, 3, 4])))


def test_moments_of_counts_are_those_of_the_answers() -> None:
    answers = np.repeat([1.0, 2, 5], [3, 4, 2])
    found = moments(np.array([3.0, 4, 2]), np.array([1.0, 2, 5]))
    assert (found.mean, found.sd) == pytest.approx((answers.mean(), answers.std()))


def test_a_predicted_effect_has_a_size_but_no_interval() -> None:
    treated, reference = np.array([[0.0, 1], [0.5, 0.5], [np.nan, np.nan]]), np.array([[1.0, 0], [0.5, 0.5]])
    found = predicted_effect(treated, reference, np.array([1.0, 5]))
    assert (found.difference, found.share) == pytest.approx((2, 0.5))
    assert found.d == pytest.approx(2 / math.sqrt(3))  # both means are 3/4 of the way: variance 16 * 3/16
    assert (found.n, found.n_reference) == (2, 2)
    assert math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.filterwarnings("error")
def test_predictions_that_are_all_missing_stay_missing() -> None:
    missing = np.full((2, 3), np.nan)
    assert np.isnan(mean_distribution(missing)).all()
    assert math.isnan(predicted_effect(missing, missing, np.arange(3.0)).difference)
