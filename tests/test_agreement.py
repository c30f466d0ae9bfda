"""Effects over studies, models side by side, scores by group: against scipy and numbers worked out by hand."""

import math

import numpy as np
import pytest
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
from socrates_core.analysis.metrics import exact_wasserstein
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
    found, line = agreement(given, seed=0), stats.linregress(given.predicted, given.human)
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
    found = agreement(given, seed=0)
    assert (found.sign.value, found.sign_clear.value, found.n_clear) == (0.5, 1.0, 2)


def test_the_interval_resamples_studies_not_effects() -> None:
    # ten equal effects in each of twelve studies hold no more than one would
    errors = np.random.default_rng(3).normal(0, 0.1, 12)
    names = [f"s{i:02}" for i in range(12)]
    once = agreement(pairs(errors, np.zeros(12), names), seed=5).rmse
    tenfold = agreement(pairs(np.tile(errors, 10), np.zeros(120), names * 10), seed=5).rmse
    assert (tenfold.low, tenfold.high) == pytest.approx((once.low, once.high))
    assert once.low < once.value < once.high


def test_the_bootstrap_of_a_mean_is_scipys() -> None:
    scores = np.random.default_rng(4).gamma(2, 0.05, 30)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = mean_over_studies(scores, seed=2)
    # Monte Carlo error of a percentile from 2,000 resamples, in this spread: about 0.0005
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.002)
    assert ours == mean_over_studies(scores, seed=2)


def test_the_interval_of_the_slope_covers_the_truth_over_studies() -> None:
    found = [agreement(drawn(20, 4, seed=seed, shared=0.03), seed=seed).slope for seed in range(200)]
    covered = np.mean([each.low <= 0.5 <= each.high for each in found])
    # 95% is meant; the percentile bootstrap of 20 studies is known to fall a little short
    assert 0.88 <= covered <= 0.99


@pytest.mark.filterwarnings("error")
def test_what_cannot_be_computed_is_missing() -> None:
    nothing = agreement(pairs([], [], []), seed=0)
    assert all(math.isnan(each.value) for each in measures(nothing)) and nothing.n_effects == 0
    blind = agreement(pairs([0.1, 0.2, -0.3, 0.1], [0.1 + 1e-17] * 4, ["a", "b", "c", "d"]), seed=0)
    assert math.isnan(blind.r.value) and math.isnan(blind.slope.value)
    few = agreement(drawn(4, 10, seed=2), seed=0)
    assert all(math.isfinite(each.value) and math.isnan(each.low) for each in measures(few))


def test_effects_without_both_numbers_leave_and_are_counted() -> None:
    found = agreement(pairs([0.1, np.nan, 0.2], [0.1, 0.1, np.nan], ["a", "b", "c"]), seed=0)
    assert (found.n_effects, found.n_studies, found.n_dropped) == (1, 1, 2)


def test_two_models_are_compared_on_the_studies_that_both_have() -> None:
    first = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.1, "e": 0.2, "f": math.nan, "x": 0.1}
    second = {"a": 0.2, "b": 0.4, "c": 0.2, "d": 0.1, "e": 0.4, "f": 0.1}
    found = compare_by_study(first, second, lower_is_better=True, seed=1)
    assert found.difference.value == pytest.approx(-0.4 / 5)
    assert (found.n_first_better, found.n_second_better) == (3, 1)
    assert (found.n_studies, found.n_dropped) == (5, 2)
    turned = compare_by_study(first, second, lower_is_better=False, seed=1)
    assert (turned.n_first_better, turned.n_second_better) == (1, 3)


def test_a_comparison_by_study_is_tighter_than_two_intervals() -> None:
    hard = np.random.default_rng(6).uniform(0.1, 0.4, 30)  # studies differ far more than models
    names = [f"s{i}" for i in range(30)]
    first, second = dict(zip(names, hard, strict=True)), dict(zip(names, hard + 0.01, strict=True))
    found = compare_by_study(first, second, lower_is_better=True, seed=1)
    assert found.difference.high < 0
    assert mean_over_studies(hard, seed=1).high > mean_over_studies(hard + 0.01, seed=1).low


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


def test_each_group_is_scored_by_w_on_the_stated_scale() -> None:
    given = cell("a", ["x"] * 60 + ["y"] * 50, off={"y": 0.5}, seed=1)
    found = parity([given], seed=0)
    for group, rows in zip(found.subgroups, (slice(0, 60), slice(60, None)), strict=True):
        counts = np.array([(given.human[rows] == value).sum() for value in given.values])
        expected = exact_wasserstein(
            given.values, given.probabilities[rows].mean(axis=0), counts, convention="stated"
        )
        assert group.score.value == pytest.approx(expected)
        assert group.human_mean == pytest.approx((given.human[rows].mean() - 1) / 4)
    assert [group.n for group in found.subgroups] == [60, 50]
    assert found.subgroups[1].predicted_mean == pytest.approx(0.5 + 0.5 * 0.5)
    scores = [group.score.value for group in found.subgroups]
    assert found.difference.value == pytest.approx(
        max(scores) - min(scores), abs=0.03
    )  # both less their noise


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
    """Perfect predictions, true gap 0, 30 people next to 1,000, 8 studies of 3 cells: it was never inside before."""
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
    raw = [np.ptp([group.score.value for group in each.subgroups]) for each in found]
    assert np.mean([each.value for each in gaps]) < 0.75 * np.mean(raw)
    assert [group.group for group in found[0].small] == ["x"]


def test_one_group_has_no_gap() -> None:
    for cells in ([], [cell("a", ["x"] * 40, off={}, seed=1)], [cell("a", [""] * 40, off={}, seed=1)]):
        assert math.isnan(parity(cells, seed=0).difference.value)


@pytest.mark.slow
@pytest.mark.parametrize(("off_y", "truth"), [(0.1, 0.0), (0.3, 0.1)])
def test_the_interval_of_the_gap_covers_the_truth_for_groups_of_unequal_size(
    off_y: float, truth: float
) -> None:
    # moving a share of people's answers (mean 0.5 of the scale) to its end is a W of half that share
    groups, off = ["x"] * 300 + ["y"] * 30 + ["z"] * 30, {"x": 0.1, "y": off_y, "z": 0.1}
    found = [
        parity(
            [cell(f"s{i}", groups, off=off, seed=100 * run + i, first=1000 * i) for i in range(5)], seed=run
        ).difference
        for run in range(40)
    ]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.85
