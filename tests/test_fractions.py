"""Answers between two values of a scale keep their mean wherever answers are counted, shown or scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socrates_core.analysis.baselines import expected_half_sample, expected_oracle
from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.metrics import wasserstein
from socrates_core.analysis.pilot import predict_from_pilot
from socrates_core.analysis.proper import score_distributions
from socrates_core.analysis.respondent_equivalent import cell_errors
from socrates_core.corpus import open_corpus
from socrates_core.evaluations.cells import cells_of
from socrates_core.studies.answers import cells
from socrates_core.surveys.human_answers import people_of_draft
from socrates_core.surveys.originals import texts_of
from socrates_core.surveys.start import draft_from_study
from tests.support.small_corpora import answer, small_corpus

SEVEN = np.arange(1.0, 8)


@given(st.lists(st.floats(1, 7), min_size=1, max_size=30))
def test_means_stay_and_everybody_counts_once(answers: list[float]) -> None:
    shares = memberships(np.array(answers), SEVEN)
    assert shares.sum(axis=1) == pytest.approx(1) and (shares @ SEVEN) == pytest.approx(answers)
    assert ((shares > 0).sum(axis=1) <= 2).all()


def test_what_is_no_answer_counts_for_nothing() -> None:
    assert not memberships(np.array([np.nan, 0.5, 7.5]), SEVEN).any()
    assert memberships(np.array([3.0, 1, 7]), SEVEN).tolist() == np.eye(7)[[2, 0, 6]].tolist()


def halves(n: int = 60) -> list[dict[str, object]]:
    """Item means in halves and quarters: arm 0 averages 3.5, arm 1 averages 2.75."""
    return [answer(p, p % 2, (3.25, 3.75)[p // 2 % 2] - 0.75 * (p % 2)) for p in range(n)]


def test_a_study_a_draft_and_an_evaluation_have_the_means_of_the_answers(home: Path) -> None:
    small_corpus("mine", halves())
    corpus = open_corpus("mine")
    for cell, mean in zip(cells(corpus, "one"), (3.5, 2.75), strict=True):
        counts = {float(value): n for value, n in cell["counts"].items()}
        assert cell["n"] == 30 == pytest.approx(sum(counts.values()))
        assert sum(value * n for value, n in counts.items()) / 30 == pytest.approx(mean)
    tallies = corpus.tallies("one").assign(total=lambda told: told["value"] * told["n"])
    assert (tallies.groupby("condition_num")["total"].sum() / 30).tolist() == pytest.approx([3.5, 2.75])
    draft = draft_from_study(corpus, "one")
    people = people_of_draft(draft, texts_of(draft), [SEVEN])
    means = {
        key: float(cell.counts @ SEVEN / cell.n_people)
        for key, cell in people.items()
        if cell.counts is not None
    }
    assert means == pytest.approx({(0, 0): 3.5, (1, 0): 2.75})
    shares = pd.Series([np.full(7, 1 / 7)] * 60)
    rows = corpus.responses("one").assign(study_id="one", probabilities=shares, values=None)
    evaluated = cells_of(corpus, rows.assign(drawn=4.0, valid_mass=1.0))
    assert [float(cell.human.mean()) for cell in evaluated] == pytest.approx([3.5, 2.75])
    assert [float(cell.counts @ SEVEN / 30) for cell in evaluated] == pytest.approx([3.5, 2.75])


def test_a_forecast_is_scored_at_both_neighbours_of_a_fraction() -> None:
    """3.25 is three quarters of a 3 and one quarter of a 4: so are its scores."""
    drawn = np.random.default_rng(0).dirichlet(np.ones(7), size=1)
    mass = np.ones(1)
    three, four, between = (
        score_distributions(SEVEN, drawn, np.array([value]), valid_mass=mass) for value in (3.0, 4.0, 3.25)
    )
    for name in ("log_score", "brier", "ranked_probability"):
        expected = 0.75 * getattr(three, name) + 0.25 * getattr(four, name)
        assert getattr(between, name) == pytest.approx(expected)
    assert between.n_rows == 1 and between.n_dropped == 0


def test_worth_of_fractions_is_that_of_drawing_people() -> None:
    """A / n is what n people drawn with replacement miss the cell's own distribution by, plus the luck of the rest."""
    drawn = np.random.default_rng(1)
    human = drawn.choice(np.arange(1, 7.25, 0.25), size=40)
    below = np.cumsum(memberships(human, SEVEN), axis=1)[:, :-1]
    gaps = np.full(6, 1 / 6)
    people, _ = cell_errors(SEVEN, np.full(7, 1 / 7), human, np.arange(40))
    # of one person drawn from the 40: the mean squared distance to the mean of the other 39
    others = (below.sum(axis=0) - below) / 39
    missed = float((((below - others) ** 2) @ gaps).mean())
    # A n=1: people / 1, plus V / ((N - 1)^2) of the others' luck, as worth.py's V(N/n)(N/(N-n))/(N-1) has it
    spread = people * 39 / 40
    assert missed == pytest.approx(spread * (40 / 1) * (40 / 39) / 39)


def test_a_pilot_learns_from_fractions() -> None:
    people = [{"age": 20 + n % 40} for n in range(60)]
    answers = np.where(np.arange(60) % 2, 2.5, 3.5)
    told = predict_from_pilot(
        people, ["a"] * 60, answers, in_pilot=np.arange(60) < 30, values=SEVEN
    )  # half of the answers count for 3, a quarter each for 2 and 4
    assert told[30:].mean(axis=0)[[1, 2, 3]] == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_the_oracle_is_what_the_truth_scores_to_as_many_people() -> None:
    """Simulation: W of the true distribution to n people drawn from it, against the oracle of their counts."""
    drawn, truth = np.random.default_rng(2), np.array([0.1, 0.3, 0.2, 0.15, 0.25])
    values = np.arange(1.0, 6)
    for n, tolerance in ((8, 0.07), (32, 0.03), (33, 0.03)):
        scored = []
        for _ in range(3000):
            counts = drawn.multinomial(n, truth).astype(float)
            oracle = expected_oracle(counts, values, scale_range=4.0)
            scored.append((wasserstein(values, values, counts, truth) / 4, oracle))
        simulated, told = np.nanmean(scored, axis=0)
        assert told == pytest.approx(simulated, rel=tolerance)


def test_halves_of_fractions_lie_between_those_of_whole_numbers() -> None:
    values = np.array([0.0, 1.0])
    five, six = (expected_half_sample(np.array([n, 20.0 - n]), values) for n in (5, 6))
    assert expected_half_sample(np.array([5.25, 14.75]), values) == pytest.approx(0.75 * five + 0.25 * six)
