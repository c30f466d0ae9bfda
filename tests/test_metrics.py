"""Wasserstein and accuracy as the paper counts them, against scipy, popfidelity and known wrong ways.

The other known wrong ways are refused where they would happen: taking the first number of a text in
`test_read.py`, scoring only the first token of "10" in `test_scoring.py`, random row splits in `test_splits.py`.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import numpy as np
import popfidelity.metrics
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from socrates_core.analysis.metrics import (
    CellScore,
    accuracy,
    draw_answers,
    exact_wasserstein,
    mean_score,
    observed_wasserstein,
    stated_wasserstein,
    wasserstein,
)
from socrates_core.records import Floats

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT.parent / "shared" / "data" / "socsci210_sample.parquet"
ANSWERS = st.lists(st.integers(-50, 1000).map(float), min_size=2, max_size=40)
COUNTS = st.lists(st.integers(0, 30), min_size=7, max_size=7).filter(lambda counts: sum(counts) > 1)
SEVEN = np.arange(1.0, 8.0)


def test_accuracy_of_a_few_is_in_the_range_of_everybody() -> None:
    everybody = np.array([1.0, 2.0, 7.0, 4.0])
    few, drawn = np.array([2.0, 4.0]), np.array([5.0, 4.0])
    # distances 3 and 0 of a range of 6: 1 - 1.5 / 6; alone their range is 2
    assert accuracy(few, drawn, clipped=False, everybody=everybody).value == pytest.approx(0.75)
    assert accuracy(few, drawn, clipped=False).value == pytest.approx(0.25)
    assert np.isnan(accuracy(few, drawn, clipped=False, everybody=np.array([3.0, 3.0])).value)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, ANSWERS)
def test_w_is_scipys(first: list[float], second: list[float]) -> None:
    ours = wasserstein(np.array(first), np.array(second))
    assert ours == pytest.approx(wasserstein_distance(first, second), rel=1e-9, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_w_on_the_stated_scale_is_popfidelitys_normalised_distance(
    first: list[int], second: list[int]
) -> None:
    ours, theirs = np.array(first, dtype=float), np.array(second, dtype=float)
    expected = popfidelity.metrics.distance([ours / ours.sum()], [theirs / theirs.sum()], "nemd")[0]
    found = exact_wasserstein(SEVEN, theirs, ours, convention="stated")
    assert found == pytest.approx(float(expected), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(COUNTS, COUNTS)
def test_exact_and_drawn_answers_share_one_metric(people: list[int], predictions: list[int]) -> None:
    human, predicted = np.repeat(SEVEN, people), np.repeat(SEVEN, predictions)
    human, predicted = np.tile(human, predicted.size), np.tile(predicted, human.size)
    exact = exact_wasserstein(SEVEN, np.array(predictions), np.array(people), convention="observed")
    assert observed_wasserstein(human, predicted).value == pytest.approx(exact, abs=1e-9, nan_ok=True)
    exact = exact_wasserstein(SEVEN, np.array(predictions), np.array(people), convention="stated")
    assert stated_wasserstein(human, predicted, low=1, high=7).value == pytest.approx(exact, abs=1e-9)


@pytest.mark.skipif(not SAMPLE.exists(), reason="the SocSci210 sample is not on this machine")
def test_on_real_cells_w_is_scipys_after_the_papers_scaling() -> None:
    rows = pq.read_table(SAMPLE, columns=["study_id", "condition_num", "task_num", "response"]).to_pandas()
    shuffled = np.random.default_rng(3)
    n_scored = 0
    for _, cell in rows.groupby(["study_id", "condition_num", "task_num"]):
        h = cell.response.to_numpy(dtype=float)
        m = shuffled.permutation(rows.response.to_numpy(dtype=float))[: h.size]
        found = observed_wasserstein(h, m)
        if h.size < 2 or h.min() == h.max():
            assert np.isnan(found.value)
            continue
        scaled = np.clip((m - h.min()) / np.ptp(h), 0, 1)
        assert found.value == pytest.approx(wasserstein_distance((h - h.min()) / np.ptp(h), scaled), abs=1e-9)
        n_scored += 1
    assert n_scored > 100


@settings(max_examples=60, deadline=None)
@given(ANSWERS, st.randoms())
def test_people_are_no_distance_from_themselves(answers: list[float], shuffle: Random) -> None:
    h = np.array(answers)
    shuffle.shuffle(answers)
    value = observed_wasserstein(h, np.array(answers)).value
    assert np.isnan(value) if np.ptp(h) == 0 else value == pytest.approx(0, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(ANSWERS, ANSWERS, st.floats(0.01, 1000), st.floats(-1000, 1000))
def test_w_is_bounded_and_blind_to_the_units(
    first: list[float], second: list[float], unit: float, zero: float
) -> None:
    h, m = (np.array(answers[: min(len(first), len(second))]) for answers in (first, second))
    plain = observed_wasserstein(h, m).value
    moved = observed_wasserstein(h * unit + zero, m * unit + zero).value
    assert moved == pytest.approx(plain, abs=1e-6, nan_ok=True)
    assert np.isnan(plain) or 0 <= plain <= 1 + 1e-12


def test_the_two_conventions_differ_by_the_range_they_divide_by() -> None:
    # people use 2..4 of 1..7, every prediction is one higher: 1/2 observed before clipping; 1/6 stated
    h, m = np.array([2.0, 3, 4, 2]), np.array([3.0, 4, 5, 3])
    assert observed_wasserstein(h, m).value == pytest.approx((0.5 * 3 + 0) / 4)
    assert stated_wasserstein(h, m, low=1, high=7).value == pytest.approx(1 / 6)


def test_missing_answers_are_dropped_and_counted() -> None:
    found = observed_wasserstein(np.array([1, 2, np.nan, 3]), np.array([1, np.nan, 2, 3]))
    assert (found.n_rows, found.n_dropped) == (2, 2)
    off_scale = stated_wasserstein(np.array([1.0, 7, 99]), np.array([1.0, 7, 4]), low=1, high=7)
    assert (off_scale.value, off_scale.n_rows, off_scale.n_dropped) == (0, 2, 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("human", "predicted"), [([], []), ([3], [4]), ([5, 5, 5], [1, 2, 3])])
def test_a_cell_without_people_or_range_is_skipped(human: list[float], predicted: list[float]) -> None:
    h, m = np.array(human, dtype=float), np.array(predicted, dtype=float)
    found = [observed_wasserstein(h, m), accuracy(h, m, clipped=False)]
    assert all(np.isnan(score.value) for score in found)


def test_accuracy_is_a_share_of_the_observed_range_and_clipping_is_named() -> None:
    # range 4; distances 0, 1 and 4 (2 once clipped to 5): 1 - 5/12 and 1 - 3/12
    h, m = np.array([1.0, 5, 3]), np.array([1.0, 4, 7])
    assert accuracy(h, m, clipped=False).value == pytest.approx(1 - 5 / 12)
    assert accuracy(h, m, clipped=True).value == pytest.approx(1 - 3 / 12)


def test_a_score_averages_cells_within_studies_before_studies() -> None:
    cells = [CellScore(0.1, 10, 1), CellScore(0.3, 1000, 0), CellScore(0.6, 10, 2), CellScore(np.nan, 1, 4)]
    found = mean_score(["a", "a", "b", "b"], cells)
    assert found.value == pytest.approx(0.4)
    assert (found.n_studies, found.n_cells, found.n_skipped) == (2, 3, 1)
    assert (found.n_rows, found.n_dropped) == (1020, 7)
    assert np.isnan(mean_score([], []).value)


# The known wrong ways, each refused.


def test_one_wild_prediction_cannot_run_away() -> None:
    h, m = np.array([1.0, 4, 7]), np.array([1.0, 4, 1e28])
    assert observed_wasserstein(h, m).value == pytest.approx(0, abs=1e-12)
    assert stated_wasserstein(h, np.array([1997.0] * 3), low=1, high=7).value == pytest.approx(0.5)


def test_predictions_are_not_scaled_by_their_own_range() -> None:
    # a model that uses 3..5 only, people who use 1 and 7: by its own range it would look perfect
    h, m = np.array([1.0, 7, 1, 7]), np.array([3.0, 5, 3, 5])
    assert observed_wasserstein(h, m).value == pytest.approx(1 / 3)


def test_the_stated_range_is_the_scales_not_the_peoples() -> None:
    counts, guess = np.array([0, 0, 50, 50, 0, 0, 0.0]), np.array([0, 0, 0, 100, 0, 0, 0.0])
    assert exact_wasserstein(SEVEN, guess, counts, convention="stated") == pytest.approx(0.5 / 6)
    assert exact_wasserstein(SEVEN, guess, counts, convention="observed") == pytest.approx(0.5)


def test_there_is_one_wasserstein_distance_and_no_seed_from_hash() -> None:
    distances, hashed = [], []
    for path in (p for room in ("pages", "socrates_core", "training") for p in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and "wasserstein" in node.name:
                distances.append(path.relative_to(ROOT).as_posix())
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hash":
                hashed.append(path)
            if isinstance(node, ast.ImportFrom) and node.module == "scipy.stats":
                assert "wasserstein_distance" not in {alias.name for alias in node.names}, path
    assert set(distances) == {"socrates_core/analysis/metrics.py"} and hashed == []


def test_answers_that_are_not_one_a_person_are_refused() -> None:
    with pytest.raises(ValueError, match="one prediction a person"):
        observed_wasserstein(np.ones(3), np.ones(4))


def test_draws_follow_the_probabilities_and_leave_missing_people_missing() -> None:
    probabilities = np.tile([0.0, 0.2, 0.5, 0.3, 0.0], (20_000, 1))
    drawn = draw_answers(probabilities, np.arange(5.0), seed=5)
    shares = np.bincount(drawn.astype(int), minlength=5) / drawn.size
    # four standard errors of a share of 0.5 among 20,000
    assert shares == pytest.approx(probabilities[0], abs=4 * np.sqrt(0.25 / 20_000))
    assert shares[0] == shares[4] == 0
    assert np.isnan(draw_answers(np.array([[0.0, 0.0], [np.nan, 1.0]]), np.arange(2.0), seed=5)).all()


def test_a_seed_draws_the_same_answers_in_every_process() -> None:
    code = (
        "import numpy as np; from socrates_core.analysis.metrics import draw_answers;"
        "print(draw_answers(np.full((12, 7), 1 / 7), np.arange(1., 8.), seed=11).tolist())"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert outputs == {str(draw_answers(np.full((12, 7), 1 / 7), SEVEN, seed=11).tolist()) + "\n"}


def test_an_exact_distribution_scores_lower_than_its_own_draws() -> None:
    people: Floats = np.array([1.0, 2, 3, 4, 5])
    exact = exact_wasserstein(people, np.ones(5), np.ones(5), convention="observed")
    drawn = [
        observed_wasserstein(people, draw_answers(np.full((5, 5), 0.2), people, seed=seed)).value
        for seed in range(50)
    ]
    assert exact == 0 < np.mean(drawn)
