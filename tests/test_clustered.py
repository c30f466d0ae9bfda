"""Effects where people were assigned in groups, within blocks, in several conditions, or are weighted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from socrates_core.analysis.clustered import Answers, clustered_difference, effective_n
from socrates_core.analysis.intervals import SampleSize, shares_with_intervals
from socrates_core.records import Design
from socrates_core.studies.assignment import Assignment


def plain(value: Any, treated: Any, **more: Any) -> Answers:
    n = len(value)
    alone = {"cluster": np.arange(n), "block": np.zeros(n, dtype=np.int64), "weight": np.ones(n)}
    return Answers(np.asarray(value, dtype=float), np.asarray(treated), **{**alone, **more})


def dense(answers: Answers) -> tuple[float, float, float]:
    """CR2 and Satterthwaite's degrees of freedom by their definitions, with matrices of all answers.

    Bell & McCaffrey (2002); Pustejovsky & Tipton (2018), with the identity as working model.
    """
    _, block = np.unique(answers.block, return_inverse=True)
    x = np.column_stack([answers.treated, np.eye(block.max() + 1)[block]])
    w = np.diag(answers.weight)
    bread = np.linalg.inv(x.T @ w @ x)
    beta = bread @ x.T @ w @ answers.value
    left_over = np.eye(len(x)) - x @ bread @ x.T @ w
    residuals = left_over @ answers.value
    variance = 0.0
    forms = []
    for cluster in np.unique(answers.cluster):
        at = np.flatnonzero(answers.cluster == cluster)
        values, vectors = np.linalg.eigh(left_over[at] @ left_over[at].T)
        adjust = vectors @ np.diag([v**-0.5 if v > 1e-9 else 0.0 for v in values]) @ vectors.T
        pull = adjust @ w[np.ix_(at, at)] @ x[at] @ bread[:, 0]
        variance += float(pull @ residuals[at]) ** 2
        forms.append(left_over[at].T @ pull)
    products = np.array(forms) @ np.array(forms).T
    return beta[0], variance**0.5, np.trace(products) ** 2 / (products**2).sum()


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("assigned", ["clusters", "people"])
def test_errors_and_degrees_of_freedom_are_those_of_the_definitions(
    blocks: int, weighted: bool, assigned: str
) -> None:
    drawn = np.random.default_rng(blocks)
    cluster = drawn.integers(0, 14, 90)
    treated = cluster % 2 == 0 if assigned == "clusters" else drawn.random(90) < 0.5
    block = cluster // 2 % blocks if assigned == "clusters" else drawn.integers(0, blocks, 90)
    weight = drawn.uniform(0.3, 3, 90) if weighted else np.ones(90)
    answers = Answers(drawn.normal(size=90) + cluster % 3, treated, cluster, block, weight)
    fitted = clustered_difference(answers)
    difference, se, freedom = dense(answers)
    assert (fitted.difference, fitted.se, fitted.freedom) == pytest.approx(
        (difference, se, freedom), rel=1e-9
    )
    reach = stats.t.ppf(0.975, freedom) * se
    assert (fitted.low, fitted.high) == pytest.approx((difference - reach, difference + reach))
    assert fitted.p == pytest.approx(2 * stats.t.sf(abs(difference) / se, freedom))


def test_people_assigned_alone_have_the_standard_error_of_welch() -> None:
    drawn = np.random.default_rng(0)
    ours, theirs = drawn.normal(size=25), drawn.normal(0.5, 2, 35)
    welch = stats.ttest_ind(ours, theirs, equal_var=False)
    fitted = clustered_difference(plain(np.concatenate([ours, theirs]), np.arange(60) < 25))
    assert fitted.difference / fitted.se == pytest.approx(welch.statistic)


def test_equal_clusters_give_the_test_of_their_means() -> None:
    # With clusters of one size, CR2 is the t test of cluster means; Satterthwaite's freedom is then 2 (G / 2 - 1).
    drawn = np.random.default_rng(1)
    cluster = np.repeat(np.arange(12), 30)
    value = drawn.normal(size=360) + drawn.normal(size=12)[cluster]
    fitted = clustered_difference(plain(value, cluster % 2 == 0, cluster=cluster))
    means = value.reshape(12, 30).mean(axis=1)
    interval = stats.ttest_ind(means[::2], means[1::2]).confidence_interval()
    assert (fitted.low, fitted.high) == pytest.approx((interval.low, interval.high))
    assert (fitted.n_clusters, fitted.n_clusters_reference) == (6, 6)


def test_people_in_both_conditions_give_the_paired_test() -> None:
    drawn = np.random.default_rng(2)
    theirs = drawn.normal(size=30)
    ours = theirs + drawn.normal(0.3, 0.5, 30)
    person = np.tile(np.arange(30), 2)
    fitted = clustered_difference(plain(np.concatenate([ours, theirs]), np.arange(60) < 30, cluster=person))
    interval = stats.ttest_rel(ours, theirs).confidence_interval()
    assert (fitted.low, fitted.high) == pytest.approx((interval.low, interval.high))


def test_weighted_differences_are_close_to_those_of_statsmodels() -> None:
    drawn = np.random.default_rng(3)
    treated = np.arange(400) % 2 == 0
    weight = drawn.lognormal(0, 0.6, 400)
    value = 0.3 * treated + drawn.normal(size=400)
    fitted = clustered_difference(plain(value, treated, weight=weight))
    robust = sm.WLS(value, sm.add_constant(treated.astype(float)), weights=weight).fit(cov_type="HC2")
    assert fitted.difference == pytest.approx(robust.params[1])
    assert fitted.se == pytest.approx(
        robust.bse[1], rel=0.01
    )  # CR2 takes answers, HC2 weighted ones, as equally noisy


def test_blocks_compare_people_within_them() -> None:
    drawn = np.random.default_rng(4)
    block = np.repeat(np.arange(5), 40)
    treated = (
        drawn.random(200) < 0.2 + 0.1 * block
    )  # in later blocks, where answers are higher, more are treated
    value = 3.0 * block + 0.5 * treated + drawn.normal(size=200)
    fitted = clustered_difference(plain(value, treated, block=block))
    columns = np.column_stack([treated, np.eye(5)[block]]).astype(float)
    robust = sm.OLS(value, columns).fit(cov_type="HC2")
    assert (fitted.difference, fitted.se) == pytest.approx((robust.params[0], robust.bse[0]))


def test_one_cluster_on_a_side_gives_no_interval_but_a_reason() -> None:
    cluster = np.array([0, 0, 0, 1, 1, 2, 2])
    fitted = clustered_difference(plain([1, 2, 3, 4, 5, 6, 7], cluster == 0, cluster=cluster))
    assert fitted.difference == pytest.approx(2 - 5.5) and np.isnan(fitted.low)
    assert fitted.reason == "one side has a single cluster"


def test_a_block_with_one_side_alone_gives_no_difference() -> None:
    treated = np.array([True, True, False, False])
    fitted = clustered_difference(plain([1, 2, 3, 4], treated, block=np.array([0, 0, 1, 1])))
    assert np.isnan(fitted.difference) and fitted.reason == "no block has answers on both sides"


def test_who_has_no_cluster_counts_alone_and_who_has_no_weight_leaves() -> None:
    people = pd.DataFrame(
        {"cluster": ["a", "a", "b", None, None, "c"], "weight": [1, 2, np.nan, 1, 1, 3]}, index=range(6)
    )
    assignment = Assignment(Design(cluster="class", weight="w"), people)
    answers = assignment.answers((np.array([0, 1, 3]), np.arange(3.0)), (np.array([2, 4, 5]), np.arange(3.0)))
    assert answers.value.tolist() == [0, 1, 2, 1, 2]
    assert np.unique(answers.cluster).size == 4


def test_a_mixed_design_is_clustered_by_person_where_people_overlap() -> None:
    mixed = Assignment(Design("mixed"), pd.DataFrame())
    assert mixed.method(np.array([1, 2, 3]), np.array([3, 4])) == "clustered"
    assert mixed.method(np.array([1, 2]), np.array([3, 4])) == "welch"


def test_ten_equal_answers_of_a_person_are_one_persons() -> None:
    each = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    effective = effective_n(each, np.full(10, 10.0), np.arange(10))
    # The share's variance is that of 10 - 1 people; (z / t)^2 with 9 degrees of freedom makes z's interval t's.
    assert effective == pytest.approx(9 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 9)) ** 2)
    shares = shares_with_intervals(np.array([50.0, 50.0]), SampleSize(10, effective))
    assert shares.n == 10 and shares.low[0] < stats.binomtest(5, 10).proportion_ci(method="wilson").low


def test_weights_have_the_effective_size_of_kish() -> None:
    drawn = np.random.default_rng(5)
    weight = drawn.lognormal(0, 0.8, 4_000)
    yes = (drawn.random(4_000) < 0.4).astype(float)
    kish = weight.sum() ** 2 / (weight**2).sum()
    size = effective_n(np.column_stack([yes, 1 - yes]), weight, np.arange(4_000))
    assert size == pytest.approx(kish, rel=0.05)


def test_shares_of_one_cluster_have_no_interval() -> None:
    effective = effective_n(np.eye(2), np.ones(2), np.zeros(2, dtype=np.int64))
    shares = shares_with_intervals(np.array([1.0, 1.0]), SampleSize(2, effective))
    assert np.isnan(shares.low).all() and shares.share.tolist() == [0.5, 0.5]
