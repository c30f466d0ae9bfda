"""Main effects and interactions: against statsmodels, scipy, simulation, and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats

from socrates_core.analysis.factorial import between_people, contrasts, within_people
from socrates_core.records import Factor, factors_of

TONE = Factor("tone", ("cold", "cold", "warm", "warm"))
PARTY = Factor("party", ("own", "other", "own", "other"))


def crossed_answers(n: int = 40) -> list[np.ndarray]:
    generator = np.random.default_rng(5)
    return [
        generator.normal(mean, sd, n + 7 * k)
        for k, (mean, sd) in enumerate([(3, 1), (4, 2), (4.5, 1), (4, 1)])
    ]


def test_a_two_by_two_has_two_main_effects_and_one_interaction() -> None:
    found = contrasts([TONE, PARTY])
    assert [contrast.name for contrast in found] == [
        "tone: warm − cold",
        "party: other − own",
        "tone (warm − cold) × party (other − own)",
    ]
    assert found[0].weights.tolist() == [-0.5, -0.5, 0.5, 0.5]
    assert found[1].weights.tolist() == [-0.5, 0.5, -0.5, 0.5]
    assert found[2].weights.tolist() == [1, -1, -1, 1]


def test_the_reference_condition_gives_the_reference_levels() -> None:
    assert [contrast.name for contrast in contrasts([TONE, PARTY], reference=3)][:2] == [
        "tone: cold − warm",
        "party: own − other",
    ]


def test_estimates_and_errors_are_those_of_a_regression_with_robust_errors() -> None:
    answers = crossed_answers()
    rows = [
        {
            "y": y,
            "tone": 0.5 if TONE.level_of_condition[k] == "warm" else -0.5,
            "party": 0.5 if PARTY.level_of_condition[k] == "other" else -0.5,
        }
        for k, group in enumerate(answers)
        for y in group
    ]
    # With effect codes and a saturated model the coefficients are unweighted means; HC2 errors are those of Welch.
    fitted = smf.ols("y ~ tone * party", pd.DataFrame(rows)).fit(cov_type="HC2")
    for contrast, name in zip(contrasts([TONE, PARTY]), ["tone", "party", "tone:party"], strict=True):
        ours = between_people(contrast.weights, answers)
        assert ours.estimate == pytest.approx(fitted.params[name], abs=1e-12)
        assert ours.se == pytest.approx(fitted.bse[name], abs=1e-12)
        assert ours.n == sum(group.size for group in answers)


def test_of_two_conditions_the_interval_is_welchs() -> None:
    a, b = crossed_answers()[:2]
    welch = stats.ttest_ind(b, a, equal_var=False)
    ours = between_people(np.array([-1.0, 1.0]), [a, b])
    assert (ours.p, ours.df) == pytest.approx((welch.pvalue, welch.df), rel=1e-12)
    assert (ours.low, ours.high) == pytest.approx(tuple(welch.confidence_interval()), rel=1e-12)


def test_within_people_it_is_the_paired_test_of_each_persons_contrast() -> None:
    answers = np.column_stack([group[:30] for group in crossed_answers()])
    answers[3, 2] = math.nan  # somebody who skipped a condition leaves
    contrast = contrasts([TONE, PARTY])[0]
    complete = np.delete(answers, 3, axis=0)
    test = stats.ttest_rel(complete[:, 2:].mean(axis=1), complete[:, :2].mean(axis=1))
    ours = within_people(contrast.weights, answers)
    assert ours.p == pytest.approx(test.pvalue, rel=1e-12)
    assert ours.n == 29


def test_intervals_cover_with_unequal_groups_and_spreads() -> None:
    generator = np.random.default_rng(11)
    means, spreads, sizes = [3, 3.4, 3.5, 4.4], [0.5, 1, 2, 3], [30, 12, 20, 9]
    weights = contrasts([TONE, PARTY])[2].weights
    truth = float(weights @ np.array(means))
    covered = 0
    for _ in range(2000):
        answers = [generator.normal(m, s, n) for m, s, n in zip(means, spreads, sizes, strict=True)]
        ours = between_people(weights, answers)
        covered += ours.low <= truth <= ours.high
    assert 0.935 <= covered / 2000 <= 0.965


def test_a_control_outside_the_crossing_is_compared_with_nothing_that_would_confound_it() -> None:
    factors = factors_of(
        [
            {"tone": "none", "party": "none"},
            {"tone": "cold", "party": "own"},
            {"tone": "cold", "party": "other"},
            {"tone": "warm", "party": "own"},
            {"tone": "warm", "party": "other"},
        ]
    )
    for reference in (0, 1):
        found = contrasts(factors, reference)
        assert [contrast.name for contrast in found] == [
            "tone: warm − cold",
            "party: other − own",
            "tone (warm − cold) × party (other − own)",
        ]
        assert found[0].weights.tolist() == [0, -0.5, -0.5, 0.5, 0.5]


def test_an_empty_cell_leaves_out_what_it_would_confound() -> None:
    factors = factors_of([{"a": "1", "b": "x"}, {"a": "2", "b": "x"}, {"a": "1", "b": "y"}])
    found = {contrast.name: contrast.weights.tolist() for contrast in contrasts(factors)}
    assert found == {"a: 2 − 1": [-1, 1, 0], "b: y − x": [-1, 0, 1]}


def test_three_factors_average_over_what_is_left() -> None:
    levels = [{"a": a, "b": b, "c": c} for a in "12" for b in "xy" for c in "pq"]
    found = contrasts(factors_of(levels))
    assert [contrast.kind for contrast in found].count("interaction") == 3
    truth = np.array([float(a == "2") * (1 + float(b == "y")) for a in "12" for b in "xy" for c in "pq"])
    by_name = {contrast.name: float(contrast.weights @ truth) for contrast in found}
    assert by_name["a: 2 − 1"] == pytest.approx(1.5)
    assert by_name["a (2 − 1) × b (y − x)"] == pytest.approx(1)
    assert by_name["a (2 − 1) × c (q − p)"] == pytest.approx(0)


@pytest.mark.parametrize(
    "levels",
    [
        [{}, {}],
        [{"a": "1"}, {"a": "2"}],
        [{"a": "1", "b": "x"}, {"a": "2", "b": ""}],
        [{"a": "1", "b": "x"}, {"a": "2"}],
        [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"a": "1", "b": "x"}],
        [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}],
    ],
)
def test_conditions_that_are_not_crossed_have_no_factors(levels: list[dict[str, str]]) -> None:
    assert factors_of(levels) == ()


def test_too_few_people_or_no_spread_earn_no_interval() -> None:
    one = between_people(np.array([-1.0, 1.0]), [np.array([1.0]), np.array([2.0, 3.0])])
    assert one.estimate == 1.5 and math.isnan(one.low)
    alike = between_people(np.array([-1.0, 1.0]), [np.ones(4), np.full(4, 2.0)])
    assert alike.estimate == 1 and math.isnan(alike.p)
    nobody = between_people(np.array([-1.0, 1.0]), [np.array([]), np.ones(4)])
    assert math.isnan(nobody.estimate) and nobody.n == 4
