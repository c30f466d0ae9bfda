"""Sample sizes, errors of sign and size, and which arms to field, against statsmodels, simulation and closed forms."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from socrates_core.analysis.arms import fieldings
from socrates_core.analysis.power import (
    Layout,
    assurance,
    design_errors,
    minimum_detectable,
    power,
    sample_size,
)

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


@pytest.mark.parametrize("target", [0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("mean", [0.01, 0.2, 1.0])
def test_more_doubt_never_needs_fewer_people(mean: float, target: float) -> None:
    needed = [sample_size(mean=mean, sd=sd, target=target) for sd in (0.0, 0.01, 0.05, 0.1, 0.3, 1.0, 5.0)]
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


@pytest.mark.parametrize(("mean", "sd"), [(0.1, 0.0), (0.3, 0.0), (0.15, 0.2)])
def test_errors_of_sign_and_size_are_those_of_simulated_experiments(mean: float, sd: float) -> None:
    n, runs = 40, 40_000
    rng = np.random.default_rng(8)
    true = mean + sd * rng.normal(size=runs)
    answers = rng.normal(size=(2, runs, n))
    found = answers[0].mean(axis=1) + true - answers[1].mean(axis=1)
    error = np.sqrt(answers.var(axis=2, ddof=1).sum(axis=0) / n)
    hit = np.abs(found / error) > stats.t.ppf(0.975, 2 * n - 2)
    ours = design_errors(np.array([n]), mean=mean, sd=sd)
    wrong = np.mean(found[hit] * true[hit] < 0)
    assert ours.sign[0] == pytest.approx(wrong, abs=4 * math.sqrt(0.25 / hit.sum()))
    # The exaggeration ratio is that of one effect: over effects that may be 0 it has no mean.
    if sd:
        assert ours.size[0] == design_errors(np.array([n]), mean=mean).size[0]
    else:
        assert ours.size[0] == pytest.approx(np.abs(found[hit]).mean() / abs(mean), rel=0.03)
    assert float(power(n, mean=mean, sd=sd)) == pytest.approx(hit.mean(), abs=4 * math.sqrt(0.25 / runs))


@pytest.mark.parametrize("n", [4, 8, 20])
def test_errors_are_exact_with_few_people(n: int) -> None:
    runs, mean = 400_000, 0.6
    rng = np.random.default_rng(9)
    error = math.sqrt(2 / n)
    found = mean + error * rng.normal(size=runs)
    own = error * np.sqrt(rng.chisquare(2 * n - 2, runs) / (2 * n - 2))
    hit = np.abs(found / own) > stats.t.ppf(0.975, 2 * n - 2)
    ours = design_errors(np.array([n]), mean=mean)
    assert ours.sign[0] == pytest.approx(np.mean(found[hit] < 0), abs=4 * math.sqrt(0.02 / hit.sum()))
    assert ours.size[0] == pytest.approx(np.abs(found[hit]).mean() / mean, rel=0.01)


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_unequal_groups_have_the_power_of_statsmodels(ratio: float) -> None:
    layout = Layout(ratio=ratio)
    theirs = SOLVER.power(0.4, 60, 0.05, ratio=ratio)
    assert float(power(60, mean=0.4, layout=layout)) == pytest.approx(theirs, abs=1e-9)
    needed = SOLVER.solve_power(effect_size=0.4, power=0.8, alpha=0.05, ratio=ratio)
    assert sample_size(mean=0.4, layout=layout) == math.ceil(needed)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_a_paired_test_has_the_power_of_statsmodels_on_differences(correlation: float) -> None:
    d = 0.3 / math.sqrt(2 * (1 - correlation))  # of the differences, whose variance is 2 (1 - rho)
    theirs = TTestPower().power(d, 40, 0.05)
    layout = Layout(correlation=correlation)
    assert float(power(40, mean=0.3, layout=layout)) == pytest.approx(theirs, abs=1e-9)
    assert float(minimum_detectable(40, layout=layout)) == pytest.approx(
        TTestPower().solve_power(nobs=40, power=0.8, alpha=0.05) * math.sqrt(2 * (1 - correlation)), rel=1e-4
    )


def test_several_comparisons_share_the_level() -> None:
    theirs = SOLVER.power(0.4, 80, 0.05 / 7)
    assert float(power(80, mean=0.4, layout=Layout(n_comparisons=7))) == pytest.approx(theirs, abs=1e-9)


def test_clusters_have_the_power_of_a_t_test_on_cluster_means() -> None:
    """Equal clusters: the analysis of cluster means is exact, and its power statsmodels'."""
    size, icc, clusters = 20, 0.1, 12
    layout = Layout(cluster_size=size, icc=icc)
    spread = math.sqrt(icc + (1 - icc) / size)  # of a cluster's mean
    theirs = SOLVER.power(0.5 / spread, clusters, 0.05)
    assert float(power(size * clusters, mean=0.5, layout=layout)) == pytest.approx(theirs, abs=1e-9)
    assert float(power(size, mean=0.5, layout=layout)) == 0.0  # one cluster a side: no test can be made


def test_a_covariate_takes_its_share_of_the_variance() -> None:
    """Simulated: the t test of the condition in a regression with a covariate of correlation .6."""
    rng, n, runs = np.random.default_rng(5), 30, 20_000
    covariate = rng.normal(size=(runs, 2 * n))
    answers = 0.6 * covariate + 0.8 * rng.normal(size=(runs, 2 * n))
    group = np.repeat([1.0, 0.0], n)
    answers += 0.5 * group
    centered = covariate - covariate.mean(axis=1, keepdims=True)
    design = np.stack([np.broadcast_to(group, centered.shape), np.ones_like(centered), centered], axis=2)
    cross = np.swapaxes(design, 1, 2) @ design
    inverse = np.linalg.inv(cross)
    fitted = (inverse @ (np.swapaxes(design, 1, 2) @ answers[:, :, None]))[:, :, 0]
    rest = answers - (design @ fitted[:, :, None])[:, :, 0]
    error = np.sqrt((rest**2).sum(axis=1) / (2 * n - 3) * inverse[:, 0, 0])
    hit = np.mean(fitted[:, 0] / error > stats.t.ppf(0.975, 2 * n - 3))
    assert float(assurance(n, mean=0.5, layout=Layout(r2=0.36))) == pytest.approx(hit, abs=0.02)


def test_errors_of_sign_and_size_are_the_published_example() -> None:
    # Gelman & Carlin 2014, "Beauty and sex ratio": a true difference of 0.1 percentage points, estimated with a
    # standard error of 3.3, has type S errors of 46% and an exaggeration ratio of 77
    n = 100_000
    found = design_errors(np.array([n]), mean=0.1, spread=3.3 / math.sqrt(2 / n))
    assert found.sign[0] == pytest.approx(0.46, abs=0.005)
    assert found.size[0] == pytest.approx(77, abs=1)


def test_a_certain_effect_is_neither_turned_nor_enlarged() -> None:
    found = design_errors(np.array([10_000]), mean=-0.5, sd=0.0)
    assert (found.sign[0], found.size[0]) == pytest.approx((0, 1), abs=1e-3)
    assert math.isnan(design_errors(np.array([50]), mean=0.0).size[0])
    assert design_errors(np.array([50]), mean=0.0).sign[0] == pytest.approx(0.5)


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
