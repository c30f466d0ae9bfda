"""Sample sizes, errors of sign and size, and which arms to field, against statsmodels, simulation and closed forms."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_effectsize

from socrates_core.analysis.arms import fieldings
from socrates_core.analysis.layout import Layout
from socrates_core.analysis.power import assurance, design_errors, minimum_detectable, power, sample_size
from socrates_core.errors import UserError

SOLVER = TTestIndPower()


@pytest.mark.parametrize("d", [0.1, -0.3, 0.8])
def test_power_is_statsmodels(d: float) -> None:
    n = np.array([2, 5, 20, 64, 200])
    theirs = [SOLVER.power(abs(d), each, 0.05) for each in n]
    assert power(n, mean=d) == pytest.approx(theirs, abs=1e-6)


def test_power_near_one_is_a_number() -> None:
    n = np.arange(2.0, 20_000, 7)
    found = power(n, mean=0.8)
    assert (np.diff(found) >= -1e-9).all() and found[-1] == pytest.approx(1)


def test_effects_and_spread_are_in_one_unit() -> None:
    assert power(50, mean=0.12, spread=0.3) == pytest.approx(power(50, mean=0.4))


def test_sample_size_is_statsmodels_rounded_up() -> None:
    for d, target in [(0.2, 0.8), (0.5, 0.95), (0.05, 0.9)]:
        theirs = SOLVER.solve_power(effect_size=d, power=target, alpha=0.05)
        assert sample_size(mean=d, target=target) == math.ceil(theirs)


def test_minimum_detectable_effect_is_statsmodels() -> None:
    n = np.array([2.0, 10, 100, 2500])
    theirs = [SOLVER.solve_power(nobs1=each, power=0.8, alpha=0.05) for each in n]
    assert minimum_detectable(n) == pytest.approx(theirs, rel=1e-5)
    assert minimum_detectable(100, spread=0.25) == pytest.approx(0.25 * minimum_detectable(100))


def test_no_effect_is_never_found_more_often_than_the_level() -> None:
    assert power(np.array([10, 1000]), mean=0.0) == pytest.approx(0.05)
    assert sample_size(mean=0.0) is None


@pytest.mark.parametrize(("mean", "sd"), [(0.3, 0.2), (0.0, 0.4), (0.2, 0.01)])
def test_assurance_is_the_mean_power_over_the_effects(mean: float, sd: float) -> None:
    effects = stats.norm(mean, sd).ppf((np.arange(2000) + 0.5) / 2000)
    averaged = np.mean([SOLVER.power(abs(effect), 60, 0.05) for effect in effects])
    assert power(60, mean=mean, sd=sd) == pytest.approx(averaged, abs=1e-4)


def test_doubt_about_the_effect_asks_for_more_people() -> None:
    sure, unsure = sample_size(mean=0.4), sample_size(mean=0.4, sd=0.2)
    assert sure is not None and unsure is not None and unsure > 1.5 * sure
    assert assurance(unsure, mean=0.4, sd=0.2) >= 0.8 > assurance(unsure - 1, mean=0.4, sd=0.2)


DESIGNS = {
    "two groups": Layout(),
    "paired": Layout(correlation=0.5),
    "clusters": Layout(cluster_size=10, icc=0.1),
    "unequal": Layout(ratio=3),
    "several arms": Layout(n_comparisons=4),
    "covariate": Layout(r2=0.4),
}
DOUBTS = (0.0, 0.01, 0.05, 0.1, 0.3, 1.0, 5.0)


@pytest.mark.parametrize("freedom", [4.0, math.inf])
@pytest.mark.parametrize("target", [0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("mean", [0.01, 0.2, 1.0])
def test_more_doubt_never_needs_fewer_people(mean: float, target: float, freedom: float) -> None:
    needed = [sample_size(mean=mean, sd=sd, freedom=freedom, target=target) for sd in DOUBTS]
    counted = [math.inf if n is None else n for n in needed]
    assert counted == sorted(counted)


@pytest.mark.parametrize("name", DESIGNS)
def test_more_doubt_never_needs_fewer_people_in_any_design(name: str) -> None:
    needed = [sample_size(mean=0.3, sd=sd, layout=DESIGNS[name]) for sd in DOUBTS]
    counted = [math.inf if n is None else n for n in needed]
    assert counted == sorted(counted)


def test_a_prediction_that_knows_nothing_finds_no_number_of_people() -> None:
    # the chance that the effect is above 0 is Phi(0.01 / 5) = 50.1%: no sample gives 80% in that direction
    assert sample_size(mean=0.01, sd=5.0) is None and sample_size(mean=0.0, sd=0.1) is None


@pytest.mark.parametrize(("mean", "sd"), [(0.3, 0.2), (0.0, 0.4), (-0.2, 0.3)])
def test_assurance_counts_results_in_the_expected_direction_alone(mean: float, sd: float) -> None:
    """Simulation: experiments of 60 a group whose t statistic is beyond the limit on the expected side."""
    drawn, runs, n = np.random.default_rng(4), 40_000, 60
    true = mean + sd * drawn.normal(size=runs)
    error = np.sqrt(2 / n)
    t = (true + error * drawn.normal(size=runs)) / (
        error * np.sqrt(drawn.chisquare(2 * n - 2, runs) / (2 * n - 2))
    )
    side = -1 if mean < 0 else 1
    hit = np.mean(side * t > stats.t.ppf(0.975, 2 * n - 2))
    assert float(assurance(n, mean=mean, sd=sd)) == pytest.approx(hit, abs=4 * math.sqrt(0.25 / runs))


def experiments(true: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The estimates of simulated experiments with these true effects, and which are significant."""
    answers = rng.normal(size=(2, true.size, n))
    estimate = answers[0].mean(axis=1) + true - answers[1].mean(axis=1)
    error = np.sqrt(answers.var(axis=2, ddof=1).sum(axis=0) / n)
    return estimate, np.abs(estimate / error) > stats.t.ppf(0.975, 2 * n - 2)


@pytest.mark.parametrize(("mean", "n"), [(0.1, 40), (0.3, 40), (0.5, 20), (0.5, 8), (0.8, 4)])
def test_errors_of_sign_and_size_are_those_of_simulated_experiments(mean: float, n: int) -> None:
    """At n = 8 and an effect of .5 the normal approximation has .0065 wrong signs where there are .013."""
    estimate, hit = experiments(np.full(100_000, mean), n, np.random.default_rng(8))
    errors = design_errors(n, mean=mean)
    share = np.mean(estimate[hit] < 0)
    assert errors.sign == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / hit.sum()))
    ratios = np.abs(estimate[hit]) / mean
    assert errors.size == pytest.approx(ratios.mean(), abs=4 * ratios.std() / math.sqrt(hit.sum()))


def test_over_a_belief_the_exaggeration_is_the_median_of_the_papers_ratio() -> None:
    """Simulation: 200 true effects of the belief, 2,000 experiments each; a mean of these ratios would be infinite."""
    rng = np.random.default_rng(11)
    true = 0.15 + 0.2 * stats.norm.ppf((np.arange(200) + 0.5) / 200)
    ratios, counts, wrong = [], [], 0.0
    for effect in true:
        estimate, hit = experiments(np.full(2000, effect), 40, rng)
        ratios.append(np.abs(estimate[hit]).mean() / abs(effect))
        counts.append(hit.sum())
        wrong += np.sum(estimate[hit] * effect < 0)
    order = np.argsort(ratios)
    reached = np.cumsum(np.array(counts)[order])
    median = np.array(ratios)[order][np.searchsorted(reached, reached[-1] / 2)]
    errors = design_errors(40, mean=0.15, sd=0.2)
    assert errors.size == pytest.approx(median, rel=0.03)
    assert errors.sign == pytest.approx(wrong / sum(counts), abs=0.003)


def test_errors_of_sign_and_size_are_the_published_example() -> None:
    # Gelman & Carlin 2014, "Beauty and sex ratio": a true difference of 0.1 percentage points, estimated with a
    # standard error of 3.3, has type S errors of 46% and an exaggeration ratio of 77
    n = 100_000
    errors = design_errors(n, mean=0.1, spread=3.3 / math.sqrt(2 / n))
    assert errors.sign == pytest.approx(0.46, abs=0.005)
    assert errors.size == pytest.approx(77, abs=1)


def test_a_certain_effect_is_neither_turned_nor_enlarged() -> None:
    errors = design_errors(10_000, mean=-0.5, sd=0.0)
    assert (errors.sign, errors.size) == pytest.approx((0, 1), abs=1e-3)
    assert math.isnan(design_errors(50, mean=0.0).size)
    assert design_errors(50, mean=0.0).sign == pytest.approx(0.5)


N = np.array([5, 20, 64, 200])


@pytest.mark.parametrize("correlation", [-0.2, 0.0, 0.7])
def test_paired_answers_are_statsmodels(correlation: float) -> None:
    layout = Layout(correlation=correlation)
    d = 0.4 / math.sqrt(2 * (1 - correlation))  # of the differences: Cohen 1988, section 2.3.5
    assert power(N, mean=0.4, layout=layout) == pytest.approx(
        [TTestPower().power(d, n, 0.05) for n in N], abs=1e-6
    )
    theirs = TTestPower().solve_power(d, power=0.8, alpha=0.05)
    assert sample_size(mean=0.4, layout=layout) == math.ceil(theirs)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_unequal_arms_are_statsmodels(ratio: float) -> None:
    layout = Layout(ratio=ratio)
    theirs = [SOLVER.power(0.4, n, 0.05, ratio=ratio) for n in N]
    assert power(N, mean=0.4, layout=layout) == pytest.approx(theirs, abs=1e-6)
    needed = SOLVER.solve_power(0.4, power=0.8, alpha=0.05, ratio=ratio)
    assert sample_size(mean=0.4, layout=layout) == math.ceil(needed)
    smallest = SOLVER.solve_power(nobs1=64, power=0.8, alpha=0.05, ratio=ratio)
    assert float(minimum_detectable(64, layout=layout)) == pytest.approx(smallest, rel=1e-5)


def test_several_arms_are_statsmodels_at_bonferronis_level() -> None:
    layout = Layout(n_comparisons=5)
    theirs = [SOLVER.power(0.4, n, 0.01) for n in N]
    assert power(N, mean=0.4, layout=layout) == pytest.approx(theirs, abs=1e-6)


def test_holm_finds_at_least_what_is_promised_for_several_arms() -> None:
    """Simulation: three conditions that share a reference, and Holm's procedure over the three comparisons."""
    rng, runs, n, layout = np.random.default_rng(5), 4000, 64, Layout(n_comparisons=3)
    reference = rng.normal(size=(runs, n))
    p = np.stack([stats.ttest_ind(rng.normal(0.5, 1, (runs, n)), reference, axis=1).pvalue for _ in range(3)])
    order = np.argsort(p, axis=0)
    stepped = np.take_along_axis(p, order, axis=0) * np.array([[3], [2], [1]])
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, np.maximum.accumulate(stepped, axis=0), axis=0)
    promised = float(power(n, mean=0.5, layout=layout))
    bonferroni = np.mean(p[0] < 0.05 / 3)
    assert promised == pytest.approx(bonferroni, abs=4 * math.sqrt(0.25 / runs))
    assert np.mean(corrected[0] < 0.05) > promised


def test_shares_are_statsmodels() -> None:
    layout = Layout(base_share=0.3, ratio=1.5)
    h = proportion_effectsize(0.42, 0.3)
    assert float(layout.distance(0.12)) == pytest.approx(h)
    assert float(layout.share(h)) == pytest.approx(0.12)
    theirs = [NormalIndPower().power(h, n, 0.05, ratio=1.5) for n in N]
    assert power(N, mean=h, layout=layout) == pytest.approx(theirs, abs=1e-6)
    needed = NormalIndPower().solve_power(h, power=0.8, alpha=0.05, ratio=1.5)
    assert sample_size(mean=h, layout=layout) == math.ceil(needed)


def test_clusters_are_simulated_trials() -> None:
    """Simulation: 8 clusters of 15 in each condition, tested by a t test of the clusters' means."""
    rng, runs, k, m, icc = np.random.default_rng(6), 20_000, 8, 15, 0.1
    means = rng.normal(0, math.sqrt(icc + (1 - icc) / m), size=(2, runs, k))
    p = stats.ttest_ind(means[0] + 0.5, means[1], axis=1).pvalue
    promised = float(power(k * m, mean=0.5, layout=Layout(cluster_size=m, icc=icc)))
    assert promised == pytest.approx(np.mean(p < 0.05), abs=4 * math.sqrt(0.25 / runs))
    needed = sample_size(mean=0.5, layout=Layout(cluster_size=m, icc=icc))
    assert needed is not None and needed % m == 0


def test_a_covariate_is_a_simulated_analysis_of_covariance() -> None:
    rng, runs, n, r2 = np.random.default_rng(7), 4000, 30, 0.5
    group = np.repeat([0.0, 1.0], n)
    hits = 0
    for _ in range(runs):
        covariate = rng.normal(size=2 * n)
        answers = 0.5 * group + math.sqrt(r2) * covariate + math.sqrt(1 - r2) * rng.normal(size=2 * n)
        rows = np.column_stack([np.ones(2 * n), group, covariate])
        inverse = np.linalg.inv(rows.T @ rows)
        fitted = inverse @ rows.T @ answers
        variance = np.sum((answers - rows @ fitted) ** 2) / (2 * n - 3)
        hits += abs(fitted[1]) / math.sqrt(variance * inverse[1, 1]) > stats.t.ppf(0.975, 2 * n - 3)
    promised = float(power(n, mean=0.5, layout=Layout(r2=r2)))
    # The formula leaves out that groups differ in the covariate by chance, which costs about 1 / (2n) of the sample.
    assert promised == pytest.approx(hits / runs, abs=0.03)


@pytest.mark.parametrize("correlation", [None, 0.5])
def test_clusters_have_the_power_of_a_t_test_on_cluster_means(correlation: float | None) -> None:
    """Groups of equal size: the test of their means is exact, and its power statsmodels'. Paired: of differences."""
    size, icc, groups = 20, 0.1, 12
    of_mean = math.sqrt(icc + (1 - icc) / size)
    theirs = SOLVER.power(0.5 / of_mean, groups, 0.05)
    if correlation is not None:
        theirs = TTestPower().power(0.5 / (of_mean * math.sqrt(2 * (1 - correlation))), groups, 0.05)
    layout = Layout(correlation=correlation, cluster_size=size, icc=icc)
    assert float(power(size * groups, mean=0.5, layout=layout)) == pytest.approx(theirs, abs=1e-9)


def test_one_cluster_a_condition_finds_nothing() -> None:
    layout = Layout(cluster_size=30, icc=0.05)
    assert float(power(30, mean=5.0, layout=layout)) == 0
    assert math.isnan(float(minimum_detectable(30, layout=layout))) and math.isnan(
        design_errors(30, mean=1.0, layout=layout).sign
    )


def test_a_t_distribution_of_effects_is_averaged_over() -> None:
    effects = 0.3 + 0.1 * stats.t(4).ppf((np.arange(4000) + 0.5) / 4000)
    averaged = np.mean(assurance(200, mean=np.abs(effects)) * (effects > 0))
    wrong_side = np.mean((power(200, mean=effects) - assurance(200, mean=effects)) * (effects < 0))
    assert float(assurance(200, mean=0.3, sd=0.1, freedom=4.0)) == pytest.approx(
        averaged + wrong_side, abs=2e-3
    )


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"correlation": 1.0}, "correlation of a person.s two answers is 1.0"),
        ({"ratio": 0.0}, "ratio of people in the reference condition to treated ones is 0.0"),
        ({"cluster_size": 0}, "number of people in a group is 0"),
        ({"icc": 1.5}, "intraclass correlation is 1.5"),
        ({"n_comparisons": 0}, "number of comparisons is 0"),
        ({"r2": 1.0}, "covariate explains is 1.0"),
        ({"base_share": 0.0}, "share of yes in the reference is 0.0"),
        ({"correlation": 0.5, "ratio": 2.0}, "leave the ratio at 1"),
        ({"correlation": 0.5, "base_share": 0.5}, "planned for different people"),
    ],
)
def test_a_design_that_is_not_covered_is_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Layout(**wrong)


def test_the_regret_of_one_of_two_arms_is_clarks() -> None:
    # Clark 1961: E max = m1 P(t) + m2 P(-t) + s p(t), s**2 = v1 + v2 - 2c, t = (m1 - m2) / s
    mean, covariance = np.array([0.05, 0.02]), np.array([[0.004, 0.001], [0.001, 0.006]])
    s = math.sqrt(0.004 + 0.006 - 0.002)
    t = 0.03 / s
    best = 0.05 * stats.norm.cdf(t) + 0.02 * stats.norm.cdf(-t) + s * stats.norm.pdf(t)
    found = fieldings(mean, covariance, size=1, seed=1)
    assert [choice.arms for choice in found] == [(0,), (1,)]
    for choice, expected in zip(found, (best - 0.05, best - 0.02), strict=True):
        assert choice.regret == pytest.approx(expected, abs=4 * choice.regret_se)
    assert found[0].holds_best == pytest.approx(stats.norm.cdf(t), abs=0.02)


def test_fielding_every_arm_loses_nothing() -> None:
    found = fieldings(np.array([0.1, 0.0, 0.2]), np.eye(3), size=3, seed=1)
    assert [(choice.arms, choice.regret, choice.holds_best) for choice in found] == [((0, 1, 2), 0, 1)]


def test_arms_that_are_alike_hold_the_best_as_often_as_by_chance() -> None:
    for size in (1, 2, 3):
        best = fieldings(np.zeros(4), np.eye(4), size=size, seed=2)[0]
        assert best.by_chance == size / 4
        assert best.holds_best == pytest.approx(best.by_chance, abs=0.03)


def test_a_doubtful_arm_can_be_worth_more_than_a_better_sure_one() -> None:
    found = fieldings(np.array([0.10, 0.09, 0.05]), np.diag([1e-6, 1e-6, 0.04]), size=2, seed=1)
    assert found[0].arms == (0, 2)
    assert len(found) == 3 and [choice.regret for choice in found] == sorted(c.regret for c in found)


def test_many_arms_are_chosen_one_at_a_time() -> None:
    rng = np.random.default_rng(2)
    mean, sds = rng.normal(0, 0.05, 16), rng.uniform(0.01, 0.08, 16)
    (greedy,) = fieldings(mean, np.diag(sds**2), size=8, seed=3)  # 12,870 choices
    listed = fieldings(mean[:10], np.diag(sds[:10] ** 2), size=5, seed=3)
    assert len(listed) == 252
    by_mean = tuple(sorted(np.argsort(-mean)[:8].tolist()))
    assert len(set(greedy.arms)) == 8
    assert greedy.regret <= regret_of(by_mean, mean, sds)


def regret_of(arms: tuple[int, ...], mean: np.ndarray, sds: np.ndarray) -> float:
    true = np.random.default_rng(3).multivariate_normal(mean, np.diag(sds**2), size=10_000)
    return float((true.max(axis=1) - true[:, list(arms)].max(axis=1)).mean())


@pytest.mark.parametrize("size", [0, 3])
def test_a_number_of_arms_that_there_is_not_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="of 2 arms"):
        fieldings(np.zeros(2), np.eye(2), size=size, seed=1)
