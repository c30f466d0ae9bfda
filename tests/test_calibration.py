"""Calibration: its fit against statsmodels, metafor and full matrices, its intervals against simulation."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brute
from scipy.stats import multivariate_normal, norm
from statsmodels.regression.mixed_linear_model import MixedLM

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.calibration import Calibration, NoCalibration, calibrate, studies_of
from socrates_core.analysis.held_out import HeldOut, Predicted, interval_score, leave_one_study_out
from socrates_core.analysis.nested import restricted_deviance
from socrates_core.calibrations import as_json
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


def full_deviance(pairs: EffectPairs, *, slope_sd: float, arm_sd: float) -> float:
    """-2 log restricted likelihood from whole covariance matrices: the slope integrated out under a flat prior."""
    same_study = pairs.study[:, None] == pairs.study
    assert pairs.item is not None and pairs.errors is not None
    same_item = same_study & (pairs.item[:, None] == pairs.item)
    shared = np.where(np.eye(pairs.human.size, dtype=bool), 1.0, 0.5 * same_item)
    sampling = np.zeros_like(shared)
    for study, errors in pairs.errors.items():
        at = np.flatnonzero(pairs.study == study)
        sampling[np.ix_(at, at)] = errors[: at.size, : at.size]
    x = pairs.predicted
    covariance = slope_sd**2 * same_study * np.outer(x, x) + arm_sd**2 * shared + sampling
    solved = np.linalg.solve(covariance, x)
    slope, precision = solved @ pairs.human / (solved @ x), solved @ x
    density = multivariate_normal(slope * x, covariance).logpdf(pairs.human)
    return float(-2 * density + np.log(precision))


def correlated(
    n_studies: int,
    items: int,
    arms: int,
    *,
    seed: int,
    slope: float = 0.5,
    slope_sd: float = 0.3,
    arm_sd: float = 0.03,
    noise: float = 0.0,
    error: float = 0.03,
) -> EffectPairs:
    """Effects of conditions [arms] against one reference on outcomes [items], errors shared through the reference.

    True predicted effects have a standard deviation of .08 and predicted ones `noise` on top.
    """
    rng = np.random.default_rng(seed)
    size = items * arms
    against = np.kron(np.eye(items), np.hstack([np.eye(arms), -np.ones((arms, 1))])) / math.sqrt(2)
    rows: list[tuple[Floats, Floats, Floats]] = []
    errors = {}
    for study in range(n_studies):
        # Each person answers all items of their condition, so the errors of items correlate by .4.
        people = np.kron(np.full((items, items), 0.4) + 0.6 * np.eye(items), np.eye(arms + 1))
        sampling = error**2 * against @ people @ against.T
        asked = noise**2 * against @ people @ against.T
        true = 0.08 * against @ rng.normal(size=items * (arms + 1))
        human = (slope + slope_sd * rng.normal()) * true + arm_sd * against @ rng.normal(
            size=items * (arms + 1)
        )
        rows.append(
            (
                human + rng.multivariate_normal(np.zeros(size), sampling),
                true + rng.multivariate_normal(np.zeros(size), asked),
                np.full(size, error),
            )
        )
        errors[f"s{study:03}"] = np.block(
            [[sampling, np.zeros((size, size))], [np.zeros((size, size)), asked]]
        )
    human, predicted, se = (np.concatenate(column) for column in zip(*rows, strict=True))
    names = np.repeat([f"s{study:03}" for study in range(n_studies)], size)
    item = np.tile(np.repeat([f"i{number}" for number in range(items)], arms), n_studies)
    return EffectPairs(names, human, se, predicted, item, errors)


def test_with_equal_known_errors_and_x_of_one_the_fit_is_near_mixedlms() -> None:
    # With x = 1 a slope of each study is an intercept of each study, as in MixedLM. The prior that keeps arm_sd off
    # 0 moves it by about 1 / (2 n) of itself.
    pairs = simulated(40, 6, seed=1, study_sd=0.05, arm_sd=0.03)
    human = 0.2 + pairs.human - 0.5 * pairs.predicted
    ones = np.ones(240)
    found = fitted(EffectPairs(pairs.study, human, np.full(240, 0.01), ones))
    theirs = MixedLM(human * 100, ones[:, None] * 100, groups=pairs.study).fit(reml=True)
    assert found.slope == pytest.approx(theirs.fe_params[0], rel=1e-4)
    assert found.slope_se == pytest.approx(theirs.bse_fe[0], rel=0.02)  # theirs from a numerical Hessian
    assert found.slope_sd * 100 == pytest.approx(math.sqrt(float(np.asarray(theirs.cov_re)[0, 0])), rel=0.01)
    assert (found.arm_sd**2 + 0.01**2) * 1e4 == pytest.approx(theirs.scale, rel=0.01)


def test_the_likelihood_is_that_of_whole_covariance_matrices() -> None:
    pairs = correlated(8, 2, 3, seed=4)
    studies = list(studies_of(pairs).values())
    places = [(0.3, 0.03), (0.0, 0.03), (0.8, 0.001), (0.1, 0.2)]
    ours = [restricted_deviance(studies, slope_sd=slope, arm_sd=arm) for slope, arm in places]
    theirs = [full_deviance(pairs, slope_sd=slope, arm_sd=arm) for slope, arm in places]
    # Both up to a constant, which is the same in all places.
    assert np.diff(ours) == pytest.approx(np.diff(theirs), abs=1e-6)


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_the_fit_is_the_best_that_a_search_with_whole_matrices_finds(seed: int) -> None:
    pairs = correlated(8, 2, 2, seed=seed)
    found = fitted(pairs)

    def penalized(sds: Floats) -> float:
        return full_deviance(pairs, slope_sd=sds[0], arm_sd=sds[1]) - 2 * math.log(sds[1])

    ranges = (slice(0, 1, 0.05), slice(0.002, 0.1, 0.004))
    searched = brute(penalized, ranges, finish=None, full_output=True)
    assert penalized(np.array([found.slope_sd, found.arm_sd])) <= searched[1] + 1e-5


@pytest.mark.slow
def test_coding_outcomes_the_other_way_round_changes_nothing() -> None:
    """Neither the fit nor the intervals of a new study, also where predicted effects have noise."""
    pairs = correlated(10, 3, 2, seed=7, noise=0.03)
    assert pairs.item is not None
    turned = np.where(np.isin(pairs.item, ["i1", "i2"]) & (np.char.str_len(pairs.study) > 0), -1.0, 1.0)
    assert pairs.errors is not None
    errors = {
        study: matrix * np.outer(*[np.tile(turned[pairs.study == study], 2)] * 2)
        for study, matrix in pairs.errors.items()
    }
    again = EffectPairs(
        pairs.study, pairs.human * turned, pairs.human_se, pairs.predicted * turned, pairs.item, errors
    )
    first, second = fitted(pairs), fitted(again)
    assert first.as_dict() == pytest.approx(second.as_dict(), rel=1e-4, abs=1e-7)
    before, after = (held_out(each).rows[0] for each in (pairs, again))
    assert before.width == pytest.approx(after.width, rel=1e-4) and before.rmse == pytest.approx(after.rmse)


def test_another_reference_changes_nothing() -> None:
    """The first condition of every outcome becomes the reference, and the reference a condition."""
    pairs = correlated(10, 1, 3, seed=8, noise=0.03)
    other = np.array([[-1.0, 0, 0], [-1, 1, 0], [-1, 0, 1]])
    names = np.unique(pairs.study)
    human, predicted = (
        np.concatenate([other @ values[pairs.study == study] for study in names])
        for values in (pairs.human, pairs.predicted)
    )
    both = np.kron(np.eye(2), other)
    errors = {study: both @ matrix @ both.T for study, matrix in (pairs.errors or {}).items()}
    again = EffectPairs(pairs.study, human, pairs.human_se, predicted, pairs.item, errors)
    assert fitted(again).as_dict() == pytest.approx(fitted(pairs).as_dict(), rel=1e-4, abs=1e-7)


@pytest.mark.slow
def test_noise_as_large_as_the_signal_no_longer_halves_the_slope() -> None:
    found = [calibrate(correlated(30, 1, 4, seed=seed, noise=0.08)) for seed in range(60)]
    slopes = np.array([each.slope for each in found if isinstance(each, Calibration)])
    assert len(slopes) == 60
    assert slopes.mean() == pytest.approx(0.5, abs=0.05)  # .25 where the noise is not known
    naive = [
        calibrate(replace(correlated(30, 1, 4, seed=seed, noise=0.08), errors=None)) for seed in range(20)
    ]
    assert np.mean([each.slope for each in naive if isinstance(each, Calibration)]) < 0.35


def test_a_model_that_predicts_noise_alone_is_not_calibrated_or_has_a_wide_slope() -> None:
    pairs = correlated(10, 1, 3, seed=3, noise=0.08)
    noise = np.random.default_rng(1).normal(0, 0.005, pairs.human.size)
    found = calibrate(replace(pairs, predicted=noise))
    assert isinstance(found, NoCalibration) and "noise of asking different people" in found.reason


@pytest.mark.slow
def test_the_truth_of_simulated_data_is_recovered() -> None:
    found = [fitted(correlated(40, 2, 2, seed=seed)) for seed in range(20)]
    for name, truth in (("slope", 0.5), ("slope_sd", 0.3), ("arm_sd", 0.03)):
        values = np.array([getattr(each, name) for each in found])
        assert values.mean() == pytest.approx(truth, abs=4 * values.std() / math.sqrt(20) + 0.001)
    assert np.mean([each.slope_se for each in found]) == pytest.approx(
        np.std([each.slope for each in found]), rel=0.5
    )


def test_turning_a_study_round_changes_nothing() -> None:
    pairs = simulated(10, 3, seed=7)
    turned = np.where(pairs.study == "s004", -1, 1)
    again = EffectPairs(pairs.study, pairs.human * turned, pairs.human_se, pairs.predicted * turned)
    first, second = fitted(pairs), fitted(again)
    assert (second.slope, second.slope_sd, second.arm_sd) == pytest.approx(
        (first.slope, first.slope_sd, first.arm_sd), abs=1e-5
    )


def coverage(n_studies: int, per_study: int, slope_sd: float, arm_sd: float) -> Floats:
    """The share of the true effects of twenty new studies in 50%, 80% and 90% intervals, over 100 calibrations."""
    inside = []
    for seed in range(100):
        pairs = correlated(n_studies, 1, per_study, seed=seed, slope_sd=slope_sd, arm_sd=arm_sd)
        found = fitted(pairs)
        predicted, slopes, missed = np.random.default_rng([seed, 1]).normal(0, 1, (3, 20))
        true = (0.5 + slope_sd * slopes) * 0.08 * predicted + arm_sd * missed
        intervals = found.calibrated(0.08 * predicted)
        inside.append((intervals.low <= true) & (true <= intervals.high))
    return np.asarray(np.concatenate(inside, axis=1).mean(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_studies", "per_study", "slope_sd", "arm_sd"),
    [(6, 3, 0.3, 0.03), (12, 1, 0.3, 0.03), (14, 3, 0.0, 0.03)],
)
def test_intervals_for_a_new_study_cover_what_they_promise_with_few_studies(
    n_studies: int, per_study: int, slope_sd: float, arm_sd: float
) -> None:
    # with one effect a study 90% intervals held 79% of true effects before arm_sd was kept off 0
    assert coverage(n_studies, per_study, slope_sd, arm_sd) == pytest.approx([0.53, 0.83, 0.92], abs=0.04)


def test_the_interval_is_t_with_discrepancy_and_slope_error_in_it() -> None:
    made = Calibration(0.5, 0.1, 0.2, 0.04, math.nan, n_studies=10, n_effects=30, n_dropped=0)
    found = made.calibrated(np.array([0.2]))
    # variance 0.04**2 + 0.2**2 * (0.2**2 + 0.1**2) = 0.0036; t(8) at 95% is 1.8595
    assert found.effect[0] == pytest.approx(0.1)
    assert found.sd[0] == pytest.approx(0.06)
    assert (found.low[2, 0], found.high[2, 0]) == pytest.approx((0.1 - 0.11157, 0.1 + 0.11157), abs=1e-5)
    observed = made.calibrated(np.array([0.2]), human_se=0.05)
    assert observed.sd[0] == pytest.approx(math.sqrt(0.0036 + 0.0025))


def test_arms_of_one_study_share_their_reference_and_the_slope() -> None:
    made = Calibration(0.5, 0.1, 0.2, 0.04, math.nan, n_studies=10, n_effects=30, n_dropped=0)
    found = made.covariance(np.array([0.2, -0.1]))
    assert found[0, 1] == found[1, 0] == pytest.approx(0.04**2 / 2 - 0.2 * 0.1 * 0.05)
    assert found[0, 0] == pytest.approx(0.0036)


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
    broken = EffectPairs(pairs.study, pairs.human.copy(), pairs.human_se.copy(), pairs.predicted.copy())
    broken.human[0], broken.human_se[1], broken.human_se[2], broken.predicted[3] = np.nan, np.nan, 0, np.nan
    found = fitted(broken)
    assert (found.n_studies, found.n_effects, found.n_dropped) == (7, 20, 4)
    rest = fitted(pairs.where(np.arange(24) >= 4))
    assert found.slope == pytest.approx(rest.slope)


def test_a_calibration_survives_json() -> None:
    found = fitted(simulated(8, 3, seed=1))
    stored = Calibration.from_dict(json.loads(json.dumps(as_json(found.as_dict()))))
    assert stored.as_dict() == pytest.approx(found.as_dict(), nan_ok=True)


def test_the_interval_score_is_worked_out_by_hand() -> None:
    ones = np.ones((3, 3))
    found = interval_score(np.array([0.0, 1.5, -1.1]), Predicted(np.zeros(3), -ones, ones))
    assert found[0] == pytest.approx([2, 2 + 4 * 0.5, 2 + 4 * 0.1])  # 50%: 2 / 0.5
    assert found[2] == pytest.approx([2, 2 + 20 * 0.5, 2 + 20 * 0.1])  # 90%: 2 / 0.1


@pytest.mark.slow
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


@pytest.mark.slow
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
