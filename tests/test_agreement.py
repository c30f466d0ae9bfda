"""Effects over studies, models side by side, scores by group: against scipy and numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from socrates_core.analysis.agreement import (
    Agreement,
    EffectPairs,
    agreement,
    compare_by_study,
    sign_agreement,
)
from socrates_core.analysis.bootstrap import Measure, mean_over_studies
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.parity import parity
from socrates_core.records import Floats


def pairs(human: list[float] | Floats, predicted: list[float] | Floats, study: list[str]) -> EffectPairs:
    h = np.array(human, dtype=float)
    return EffectPairs(np.array(study), h, np.full(h.size, 0.02), np.array(predicted, dtype=float))


def drawn(n_studies: int, per_study: int, *, seed: int, shared: float = 0.0) -> EffectPairs:
    """Effects of which people's are half of the predicted plus noise, some of it `shared` within studies."""
    rng = np.random.default_rng(seed)
    predicted = rng.normal(0, 0.1, n_studies * per_study)
    noise = rng.normal(0, 0.05, predicted.size) + np.repeat(rng.normal(0, 1, n_studies), per_study) * shared
    return pairs(predicted / 2 + noise, predicted, [f"s{i // per_study}" for i in range(predicted.size)])


def measures(found: Agreement) -> list[Measure]:
    return [found.sign, found.sign_clear, found.r, found.slope, found.rmse]


def test_correlation_slope_and_error_are_scipys() -> None:
    given = drawn(8, 5, seed=1)
    found, line = agreement(given), stats.linregress(given.predicted, given.human)
    assert found.r.value == pytest.approx(line.rvalue, rel=1e-9)
    assert found.slope.value == pytest.approx(line.slope, rel=1e-9)
    assert found.rmse.value == pytest.approx(math.sqrt(np.mean((given.human - given.predicted) ** 2)))
    assert (found.n_effects, found.n_studies, found.n_dropped) == (40, 8, 0)


def test_a_zero_effect_counts_as_a_coin() -> None:
    human, predicted = np.array([0.2, -0.1, 0.3, 0.0, np.nan]), np.array([0.1, 0.1, 1e-17, 0.2, 0.1])
    assert sign_agreement(human, predicted) == pytest.approx([1, 0, 0.5, 0.5, np.nan], nan_ok=True)


def test_only_effects_away_from_zero_are_clear() -> None:
    # standard errors of 0.02: only 0.10 and -0.20 are more than 1.96 of them away from zero
    given = pairs([0.10, 0.03, -0.20, -0.01], [0.1, -0.1, -0.1, 0.1], ["a", "a", "b", "b"])
    found = agreement(given)
    assert (found.sign.value, found.sign_clear.value, found.n_clear) == (0.5, 1.0, 2)


def test_the_interval_is_over_studies_not_effects() -> None:
    # ten equal effects in each of twelve studies hold no more than one would
    errors = np.random.default_rng(3).normal(0, 0.1, 12)
    names = [f"s{i:02}" for i in range(12)]
    once = agreement(pairs(errors, np.zeros(12), names)).rmse
    tenfold = agreement(pairs(np.tile(errors, 10), np.zeros(120), names * 10)).rmse
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert once.low < once.value < once.high


def test_the_interval_of_a_mean_is_scipys_t_interval() -> None:
    scores = np.random.default_rng(4).gamma(2, 0.05, 7)
    theirs = stats.ttest_1samp(scores, 0).confidence_interval()
    ours = mean_over_studies(scores)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_the_interval_of_a_slope_leaves_out_one_study_at_a_time() -> None:
    given = drawn(6, 4, seed=8, shared=0.03)
    names = np.unique(given.study)
    slopes = [stats.linregress(*_of(given, given.study != name)).slope for name in names]
    whole = stats.linregress(*_of(given, np.full(given.human.size, True))).slope
    reach = stats.t.ppf(0.975, 5) * math.sqrt(5 / 6 * sum((slope - whole) ** 2 for slope in slopes))
    found = agreement(given).slope
    assert (found.low, found.high) == pytest.approx((whole - reach, whole + reach), rel=1e-9)


def _of(given: EffectPairs, rows: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    return given.predicted[rows], given.human[rows]


def test_an_interval_stays_within_what_its_number_can_be() -> None:
    given = pairs([0.1, 0.21, -0.1, 0.3, -0.2, 0.15], [0.1, 0.2, -0.1, 0.3, -0.2, 0.1], list("abcdef"))
    found = agreement(given)
    assert -1 < found.r.low < found.r.value < found.r.high < 1
    assert 0 < found.rmse.low < found.rmse.value < found.rmse.high


def test_agreement_on_every_study_is_no_certainty() -> None:
    """All six signs agree: Wilson's interval of 6 of 6, wider by t with 5 degrees of freedom in place of z."""
    found = agreement(pairs([0.1] * 6, [0.2] * 6, list("abcdef"))).sign
    t = stats.t.ppf(0.975, 5)
    theirs = stats.binomtest(6, 6).proportion_ci(1 - 2 * stats.norm.sf(t), method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((1.0, theirs.low, 1.0))


@pytest.mark.parametrize("n_studies", [5, 6, 10, 13, 20, 40])
def test_two_equally_good_models_differ_by_chance_in_5_of_100(n_studies: int) -> None:
    """Percentiles of resampled studies called 16% of them different for 5 studies, and 6% for 40."""
    generator = np.random.default_rng(n_studies)
    names = [f"s{i:02}" for i in range(n_studies)]
    n_different = 0
    for _ in range(1000):
        hard = generator.normal(0.15, 0.05, n_studies)
        first = dict(zip(names, hard, strict=True))
        second = dict(zip(names, hard + generator.normal(0, 0.02, n_studies), strict=True))
        found = compare_by_study(first, second, lower_is_better=True)
        n_different += found.p < 0.05
        assert (found.p < 0.05) == (found.difference.low > 0 or found.difference.high < 0)
    assert stats.binomtest(n_different, 1000, 0.05).pvalue > 0.001


def test_the_p_of_a_comparison_is_scipys_paired_t_test() -> None:
    first, second = np.random.default_rng(2).normal(0.2, 0.05, (2, 8))
    names = [f"s{i}" for i in range(8)]
    found = compare_by_study(
        dict(zip(names, first, strict=True)), dict(zip(names, second, strict=True)), lower_is_better=True
    )
    assert found.p == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=1e-9)
    same = compare_by_study(dict.fromkeys(names, 0.1), dict.fromkeys(names, 0.1), lower_is_better=True)
    assert same.p == 1


@pytest.mark.parametrize("n_studies", [5, 8, 20])
def test_the_interval_of_the_slope_covers_the_truth_over_studies(n_studies: int) -> None:
    found = [agreement(drawn(n_studies, 4, seed=seed, shared=0.03)).slope for seed in range(400)]
    n_covered = sum(each.low <= 0.5 <= each.high for each in found)
    assert stats.binomtest(n_covered, 400, 0.95).pvalue > 0.001


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_computed_is_missing() -> None:
    nothing = agreement(pairs([], [], []))
    assert all(math.isnan(each.value) for each in measures(nothing)) and nothing.n_effects == 0
    blind = agreement(pairs([0.1, 0.2, -0.3, 0.1], [0.1 + 1e-17] * 4, ["a", "b", "c", "d"]))
    assert math.isnan(blind.r.value) and math.isnan(blind.slope.value)
    few = agreement(drawn(4, 10, seed=2))
    assert all(math.isfinite(each.value) and math.isnan(each.low) for each in measures(few))


def test_effects_without_both_numbers_leave_and_are_counted() -> None:
    found = agreement(pairs([0.1, np.nan, 0.2], [0.1, 0.1, np.nan], ["a", "b", "c"]))
    assert (found.n_effects, found.n_studies, found.n_dropped) == (1, 1, 2)


def test_two_models_are_compared_on_the_studies_that_both_have() -> None:
    first = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.1, "e": 0.2, "f": math.nan, "x": 0.1}
    second = {"a": 0.2, "b": 0.4, "c": 0.2, "d": 0.1, "e": 0.4, "f": 0.1}
    found = compare_by_study(first, second, lower_is_better=True)
    assert found.difference.value == pytest.approx(-0.4 / 5)
    assert (found.n_first_better, found.n_second_better) == (3, 1)
    assert (found.n_studies, found.n_dropped) == (5, 2)
    turned = compare_by_study(first, second, lower_is_better=False)
    assert (turned.n_first_better, turned.n_second_better) == (1, 3)


def test_a_comparison_by_study_is_tighter_than_two_intervals() -> None:
    hard = np.random.default_rng(6).uniform(0.1, 0.4, 30)  # studies differ far more than models
    names = [f"s{i}" for i in range(30)]
    first, second = dict(zip(names, hard, strict=True)), dict(zip(names, hard + 0.01, strict=True))
    found = compare_by_study(first, second, lower_is_better=True)
    assert found.difference.high < 0
    assert mean_over_studies(hard).high > mean_over_studies(hard + 0.01).low


def cell(study: str, groups: list[str], *, off: dict[str, float], seed: int, first: int = 0) -> PeopleCell:
    """People answer 1 to 5 alike in all groups; the model gives every group's people the same, moved by `off` to 5."""
    rng = np.random.default_rng(seed)
    people = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    moved = np.array([off.get(group, 0.0) for group in groups])[:, None]
    predicted = people * (1 - moved) + np.array([0, 0, 0, 0, 1.0]) * moved
    human = rng.choice(np.arange(1.0, 6), size=len(groups), p=people)
    return PeopleCell(
        study_id=study,
        values=np.arange(1.0, 6),
        participants=np.arange(first, first + len(groups)),
        human=human,
        probabilities=predicted,
        groups=tuple(groups),
    )


def mean_over_pairs(given: PeopleCell, rows: NDArray[np.bool_]) -> float:
    """The mean product of the differences of two different people, over all such pairs of answers, by a plain loop."""
    answers = (given.human[rows, None] == given.values).astype(float)
    apart = np.cumsum(answers - given.probabilities[rows], axis=1)[:, :-1]
    who = given.participants[rows]
    products = [
        apart[i] @ apart[j] / (given.values.size - 1)
        for i in range(len(apart))
        for j in range(len(apart))
        if who[i] != who[j]
    ]
    return float(np.mean(products))


@pytest.mark.parametrize("repeats", [1, 2])
def test_each_group_is_scored_by_pairs_of_different_people(repeats: int) -> None:
    given = cell("a", ["x"] * 60 * repeats + ["y"] * 50 * repeats, off={"y": 0.5}, seed=1)
    given = replace(given, participants=np.arange(110 * repeats) // repeats)
    found = parity([given], seed=0)
    is_x = np.array(given.groups) == "x"
    for group, rows in zip(found.subgroups, (is_x, ~is_x), strict=True):
        assert group.score.value == pytest.approx(mean_over_pairs(given, rows), abs=1e-12)
        assert group.human_mean == pytest.approx((given.human[rows].mean() - 1) / 4)
    assert [group.n for group in found.subgroups] == [60, 50]
    assert found.subgroups[1].predicted_mean == pytest.approx(0.5 + 0.5 * 0.5)
    scores = [group.score.value for group in found.subgroups]
    assert found.difference.value == pytest.approx(max(scores) - min(scores), abs=1e-12)


def test_cells_are_averaged_within_studies_before_studies() -> None:
    groups = ["x"] * 40 + ["y"] * 40
    cells = [cell("a", groups, off={"y": 0.8}, seed=seed) for seed in (1, 2)]
    cells.append(cell("b", groups, off={"x": 0.4}, seed=3))
    alone = [parity([each], seed=0).subgroups[0].score.value for each in cells]
    assert parity(cells, seed=0).subgroups[0].score.value == pytest.approx(
        ((alone[0] + alone[1]) / 2 + alone[2]) / 2
    )


def test_small_groups_are_left_out_and_counted() -> None:
    groups = ["x"] * 40 + ["y"] * 40 + ["z"] * 5 + [""] * 3
    found = parity([cell("a", groups, off={}, seed=1)], seed=0)
    assert [group.group for group in found.subgroups] == ["x", "y"]
    assert found.left_out == (("z", 5),) and found.n_unknown == 3


def test_groups_are_compared_on_the_same_cells() -> None:
    both, alone = ["x"] * 40 + ["y"] * 40, ["x"] * 40 + ["y"] * 3
    cells = [cell("a", both, off={}, seed=1), cell("b", alone, off={"x": 1.0}, seed=2)]
    found = parity(cells, seed=0)
    assert (found.n_cells, found.n_skipped) == (1, 1)
    assert [group.n for group in found.subgroups] == [40, 40]
    assert found.difference.value == pytest.approx(parity(cells[:1], seed=0).difference.value)


def test_people_without_answer_or_prediction_leave() -> None:
    given = cell("a", ["x"] * 40 + ["y"] * 40, off={}, seed=1)
    given.human[0], given.probabilities[1] = np.nan, np.nan
    assert parity([given], seed=0).subgroups[0].n == 38


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_groups_of_unequal_size_earn_no_gap_by_their_size() -> None:
    """Perfect predictions, true gap 0, 30 people next to 1,000, 8 studies of 3 cells.

    Distances with their sampling noise showed a gap of .046 here, above its interval every time.
    """
    shares = np.array([0.05, 0.1, 0.15, 0.25, 0.2, 0.15, 0.1])
    values, drawn = np.arange(1.0, 8), np.random.default_rng(5)
    groups, predicted = ["x"] * 30 + ["y"] * 1000, np.tile(shares, (1030, 1))
    found = []
    for run in range(10):
        cells = [
            PeopleCell(
                study_id=f"s{s}",
                values=values,
                participants=np.arange(1030),
                human=drawn.choice(values, 1030, p=shares),
                probabilities=predicted,
                groups=tuple(groups),
            )
            for s in range(8)
            for _ in range(3)
        ]
        found.append(parity(cells, seed=run))
    gaps = [each.difference for each in found]
    assert all(each.low <= each.value <= each.high for each in gaps)
    assert sum(each.low == 0 for each in gaps) >= 8
    assert np.mean([each.value for each in gaps]) < 0.002
    # Of 10 data sets and two groups: the mean of the small group's distance is 0 within three standard errors.
    of_small = [each.subgroups[0].score.value for each in found]
    assert abs(np.mean(of_small)) < 3 * np.std(of_small, ddof=1) / np.sqrt(10)


def test_one_group_has_no_gap() -> None:
    for cells in ([], [cell("a", ["x"] * 40, off={}, seed=1)], [cell("a", [""] * 40, off={}, seed=1)]):
        assert math.isnan(parity(cells, seed=0).difference.value)


@pytest.mark.slow
@pytest.mark.parametrize(("off_y", "truth"), [(0.1, 0.0), (0.3, 0.028)])
def test_the_interval_of_the_gap_covers_the_truth_for_groups_of_unequal_size(
    off_y: float, truth: float
) -> None:
    # Moving a share s of people to the end of the scale: s**2 times the mean of .1, .3, .7 and .9 squared, .35.
    groups, off = ["x"] * 300 + ["y"] * 30 + ["z"] * 30, {"x": 0.1, "y": off_y, "z": 0.1}
    found = [
        parity(
            [cell(f"s{i}", groups, off=off, seed=100 * run + i, first=1000 * i) for i in range(5)], seed=run
        ).difference
        for run in range(40)
    ]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.85
