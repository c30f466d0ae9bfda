"""What real people predict: the majority, a regression on a pilot, and what a simulation is worth in people."""

import itertools
import math
import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import energy_distance

from socrates_core.analysis.baselines import majority
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.pilot import draw_pilot, predict_from_pilot
from socrates_core.analysis.proper import score_distributions
from socrates_core.analysis.respondent_equivalent import (
    GROUPS,
    cell_errors,
    worth_in_respondents,
)
from socrates_core.records import Floats, Number

FIVE = np.arange(1.0, 6)


def test_the_majority_is_of_the_other_conditions() -> None:
    counts = np.array([[90.0, 0, 0], [0, 3, 9], [0, 20, 0]])
    assert majority(counts, 0).tolist() == [0, 1, 0]
    assert majority(counts, 2).tolist() == [1, 0, 0]
    assert majority(np.array([[1.0, 0, 0], [0, 4, 4]]), 0).tolist() == [0, 0.5, 0.5]


@pytest.mark.filterwarnings("error")
def test_without_another_condition_there_is_no_majority() -> None:
    assert np.isnan(majority(np.array([[3.0, 4]]), 0)).all()
    assert np.isnan(majority(np.array([[3.0, 4], [0, 0]]), 0)).all()


def test_a_pilot_is_different_people_and_the_same_for_a_seed() -> None:
    participants = np.repeat(np.arange(100, 150), 3)
    drawn = draw_pilot(participants, 20, seed=4)
    assert np.unique(drawn).size == 20 and np.isin(drawn, participants).all()
    assert draw_pilot(participants[::-1], 20, seed=4).tolist() == drawn.tolist()
    assert draw_pilot(participants, 20, seed=5).tolist() != drawn.tolist()
    assert draw_pilot(participants, 500, seed=4).tolist() == list(range(100, 150))


def survey(n: int, seed: int) -> tuple[list[Mapping[str, str | Number]], list[str], Floats]:
    """People whose answer depends on party, age and condition, on a scale of 1 to 5."""
    random = np.random.default_rng(seed)
    party, age = random.choice(["Left", "Right"], n), random.integers(18, 90, n)
    condition = random.choice(["control", "treated"], n)
    level = 1.5 * (party == "Left") - (age - 54) / 30 + 1.2 * (condition == "treated") - 1
    answers = 1.0 + random.binomial(4, expit(level))
    told = zip(party.tolist(), age.tolist(), strict=True)
    return [{"party_id": p, "age": a} for p, a in told], condition.tolist(), answers


def split(n: int, n_pilot: int) -> NDArray[np.bool_]:
    return np.arange(n) < n_pilot


def test_a_pilot_predicts_everyone_else_better_than_its_own_mean_answer() -> None:
    people, conditions, answers = survey(600, seed=4)
    in_pilot = split(600, 150)
    found = predict_from_pilot(people, conditions, answers, in_pilot=in_pilot, values=FIVE)
    assert np.isnan(found[:150]).all()
    assert found[150:].sum(axis=1) == pytest.approx(1) and (found[150:] > 0).all()
    blind = predict_from_pilot([{}] * 600, [""] * 600, answers, in_pilot=in_pilot, values=FIVE)
    scores = [score_distributions(FIVE, each, answers, valid_mass=np.ones(600)) for each in (found, blind)]
    assert scores[0].log_score > scores[1].log_score + 0.1
    assert scores[0].ranked_probability < 0.9 * scores[1].ranked_probability
    assert scores[0].n_dropped == 150
    treated, means = np.array(conditions) == "treated", found @ FIVE
    of_pilot = answers[in_pilot & treated].mean() - answers[in_pilot & ~treated].mean()
    predicted = means[~in_pilot & treated].mean() - means[~in_pilot & ~treated].mean()
    assert 0.6 * of_pilot < predicted < 1.1 * of_pilot


def test_nobody_elses_answer_is_looked_at() -> None:
    people, conditions, answers = survey(80, seed=2)
    changed = answers.copy()
    changed[40:] = np.nan
    first, second = (
        predict_from_pilot(people, conditions, each, in_pilot=split(80, 40), values=FIVE)
        for each in (answers, changed)
    )
    np.testing.assert_array_equal(first, second)


def test_people_known_by_nothing_are_predicted_by_the_pilots_shares() -> None:
    # 4 of 6 pilot people say 2, 2 say 5, and one more person is anywhere: (4 + 1/5) / 7
    answers = np.array([2.0, 2, 2, 2, 5, 5, np.nan])
    found = predict_from_pilot([{}] * 7, [""] * 7, answers, in_pilot=split(7, 6), values=FIVE)[6]
    assert found == pytest.approx([0.2 / 7, 4.2 / 7, 0.2 / 7, 0.2 / 7, 2.2 / 7], abs=2e-3)


def test_missing_and_unseen_demographics_add_nothing() -> None:
    people, conditions, answers = survey(200, seed=3)
    strange: list[Mapping[str, str | Number]] = [
        {},
        {"party_id": "Green"},
        {"age": math.nan, "party_id": " "},
        {"income": 3},
        {"eyes": "blue"},
    ]
    found = predict_from_pilot(
        [*people, *strange],
        [*conditions, *["unheard"] * 5],
        np.append(answers, [np.nan] * 5),
        in_pilot=split(205, 200),
        values=FIVE,
    )[200:]
    assert found == pytest.approx(np.tile(found[0], (5, 1)))
    assert found.sum(axis=1) == pytest.approx(1)


def test_a_pilot_in_which_age_is_missing_for_some_reads_the_others() -> None:
    people, conditions, answers = survey(200, seed=5)
    people = [{**person, "age": None} if i % 3 == 0 else person for i, person in enumerate(people)]  # type: ignore[dict-item]
    found = predict_from_pilot(people, conditions, answers, in_pilot=split(200, 150), values=FIVE)
    assert np.isfinite(found[150:]).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("n_pilot", [0, 1, 10])
def test_a_pilot_of_one_answer_or_none_keeps_the_others_possible(n_pilot: int) -> None:
    people, conditions, _ = survey(30, seed=4)
    found = predict_from_pilot(people, conditions, np.full(30, 4.0), in_pilot=split(30, n_pilot), values=FIVE)
    expected = (n_pilot * (FIVE == 4) + 0.2) / (n_pilot + 1)
    assert found[n_pilot:] == pytest.approx(np.tile(expected, (30 - n_pilot, 1)))


def test_pilot_answers_off_the_scale_leave() -> None:
    found = predict_from_pilot(
        [{}] * 3, [""] * 3, np.array([99, 1, np.nan]), in_pilot=split(3, 2), values=FIVE
    )
    assert found[2] == pytest.approx([0.6, 0.1, 0.1, 0.1, 0.1])


def test_a_wide_scale_keeps_the_heaps_that_people_make() -> None:
    random, values = np.random.default_rng(6), np.arange(0.0, 101)
    age = random.integers(18, 90, 800)
    answers = np.clip(np.round((age + random.normal(0, 15, 800)) / 5) * 5, 0, 100)
    people: list[Mapping[str, str | Number]] = [{"age": int(each)} for each in age]
    found = predict_from_pilot(people, [""] * 800, answers, in_pilot=split(800, 200), values=values)[200:]
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[:, values % 5 == 0].sum(axis=1).min() > 0.98
    assert np.corrcoef(found @ values, age[200:])[0, 1] > 0.95


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_a_cells_two_errors_are_those_of_every_possible_pilot(seed: int) -> None:
    random = np.random.default_rng(seed)
    values = np.sort(random.choice(np.arange(20.0), 4, replace=False))
    human, predicted = random.choice(values, 6), random.dirichlet(np.ones(4))
    one_person, model = cell_errors(values, predicted, human, np.arange(6))
    for size in (1, 2, 4):
        gaps = []
        for pilot in itertools.combinations(range(6), size):
            rest = np.delete(human, pilot)
            # the squared distance of two distributions is half of scipy's squared energy distance
            people = energy_distance(human[list(pilot)], rest) ** 2
            simulated = energy_distance(values, rest, predicted) ** 2
            gaps.append((people - simulated) / 2 / np.ptp(values))
        assert np.mean(gaps) == pytest.approx(one_person / size - model, abs=1e-7)


def test_equal_answers_of_a_person_are_worth_those_of_one() -> None:
    values, predicted = np.arange(1.0, 6), np.full(5, 0.2)
    human = np.array([1.0, 2.0, 5.0, 4.0])
    once = cell_errors(values, predicted, human, np.arange(4))
    tenfold = cell_errors(values, predicted, np.repeat(human, 10), np.repeat(np.arange(4), 10))
    assert tenfold == pytest.approx(once)
    cell = asked_cell(human, predicted)
    repeated = replace(
        cell,
        human=np.repeat(human, 10),
        participants=np.repeat(cell.participants, 10),
        probabilities=np.repeat(cell.probabilities, 10, axis=0),
    )
    found = worth_in_respondents([repeated], seed=1)
    assert found.respondents == worth_in_respondents([cell], seed=1).respondents and found.most == 4


def asked_cell(human: Floats, predicted: Floats, *, first: int = 0, study: str = "a") -> PeopleCell:
    """A cell of five answers in which the same is predicted for everybody."""
    return PeopleCell(
        study_id=study,
        values=FIVE,
        participants=np.arange(human.size) + first,
        human=human,
        probabilities=np.tile(predicted, (human.size, 1)),
    )


def cells(n_studies: int, n_cells: int, n: int, n_behind: int, seed: int) -> list[PeopleCell]:
    """Cells whose prediction is the answers of `n_behind` more people of the same kind."""
    random = np.random.default_rng(seed)
    found = []
    for study, cell in itertools.product(range(n_studies), range(n_cells)):
        shares = random.dirichlet(np.ones(5))
        predicted = random.multinomial(n_behind, shares) / n_behind
        human = random.choice(FIVE, n, p=shares)
        found.append(asked_cell(human, predicted, first=cell * n, study=str(study)))
    return found


@pytest.mark.parametrize("n_behind", [4, 20])
def test_a_prediction_made_of_n_people_is_worth_n_people(n_behind: int) -> None:
    found = worth_in_respondents(cells(200, 3, 80, n_behind, seed=1), seed=1)
    assert found.low < n_behind < found.high
    assert found.respondents == pytest.approx(n_behind, rel=0.2)
    assert (found.interval_over, found.n_studies, found.n_cells, found.n_rows) == (
        "studies",
        200,
        600,
        48_000,
    )
    assert found.describe().startswith(f"about {found.respondents:.0f} respondents a cell (95% interval ")


@pytest.mark.parametrize(("n_studies", "n_cells", "n"), [(20, 2, 60), (1, 2, 400)])
def test_the_interval_covers_as_often_as_it_says(n_studies: int, n_cells: int, n: int) -> None:
    covered = 0
    for seed in range(60):
        asked = cells(n_studies, n_cells, n, 10, seed=seed)
        random = np.random.default_rng(seed)
        if (
            n_studies == 1
        ):  # the worth for these predictions, known from the shares that people are drawn from
            shares = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
            predicted = np.array([0.2, 0.2, 0.3, 0.2, 0.1])
            asked = [
                asked_cell(random.choice(FIVE, n, p=shares), predicted, first=c.participants[0])
                for c in asked
            ]
            true, said = np.cumsum(shares)[:-1], np.cumsum(predicted)[:-1]
            worth = (true * (1 - true)).sum() / ((true - said) ** 2).sum()
        else:
            worth = 10
        found = worth_in_respondents(asked, seed=1)
        covered += found.low <= worth <= found.high
    # 95% of 60 is 57; 50 is four standard errors below
    assert covered >= 50


def test_ends_are_told_and_not_extrapolated() -> None:
    people = np.repeat(FIVE, 20)
    wrong = worth_in_respondents([asked_cell(people, np.array([1.0, 0, 0, 0, 0]))], seed=1)
    assert (wrong.respondents, wrong.high) == (2, 2)
    assert wrong.describe() == "less than 2 respondents a cell (95% interval less than 2)"
    right = worth_in_respondents([asked_cell(people, np.full(5, 0.2))], seed=1)
    assert right.respondents == right.high == right.most == 100
    assert right.describe().startswith("more than 100 respondents a cell (95% interval ")


def test_what_cannot_be_scored_is_counted() -> None:
    answers = np.array([1.0, 2, 5, 99])
    asked = [
        asked_cell(answers, np.full(5, 0.2)),
        asked_cell(answers, np.full(5, np.nan)),
        asked_cell(np.array([np.nan, 1]), np.full(5, 0.2), study="b"),
    ]
    found = worth_in_respondents(asked, seed=1)
    assert (found.n_studies, found.n_cells, found.n_skipped, found.n_rows, found.n_dropped) == (1, 1, 2, 3, 3)
    assert found.interval_over == "people" and GROUPS > 4


def test_people_of_one_mind_have_no_worth_to_compare_with() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alike = asked_cell(np.full(9, 3.0), np.full(5, 0.2))
        for found in (worth_in_respondents([alike], seed=1), worth_in_respondents([], seed=1)):
            assert math.isnan(found.respondents) and math.isnan(found.low)
            assert found.describe() == "no known number of respondents"
