"""Effects, intervals, baselines and summaries against scipy and values worked out by hand."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from socrates_core.analysis.effects import mean_difference, paired_difference
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
