"""The rows next to a model: condition-blind without the answers to predict, and studies that have a score."""

from pathlib import Path

import numpy as np
import pytest

from socrates_core.corpus import open_corpus
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.evaluations.predictors import guesses, model_predictor
from socrates_core.evaluations.scores import summarise, summarise_people
from socrates_core.records import Scale
from socrates_core.surveys.human_answers import people_of_draft
from socrates_core.surveys.originals import texts_of
from socrates_core.surveys.start import draft_from_study
from tests.support.small_corpora import answer, small_corpus

SEVEN = np.arange(1.0, 8)


def cell(study: str, condition: int, human: list[float]) -> EvaluatedCell:
    given, n = np.array(human), len(human)
    return EvaluatedCell(
        study_id=study,
        condition_num=condition,
        task_num=0,
        part="",
        condition=str(condition),
        outcome="o",
        scale=Scale("range", 1, 7),
        values=SEVEN,
        participants=np.arange(n),
        response=given,
        human=given,
        probabilities=np.full((n, 7), 1 / 7),
        drawn=np.resize(SEVEN, n),
        valid_mass=np.ones(n),
        is_drawn=False,
        everybody=given,
        people=np.arange(n),
    )


def test_a_study_without_a_score_is_not_counted() -> None:
    cells = [cell("scored", 0, [1, 2, 5, 7]), cell("one answer", 0, [4, 4, 4, 4])]
    found = summarise(cells, model_predictor("m", cells))
    assert (found.n_studies, len(found.by_study), found.n_cells, found.n_skipped) == (1, 2, 1, 1)
    assert [each.n_studies for each in summarise_people(cells)] == [1, 1]


def test_condition_blind_does_not_know_the_answers_to_predict() -> None:
    arms = [
        cell("two arms", 0, [1, 1, 2, 2]),
        cell("two arms", 1, [6, 6, 6, 7]),
        cell("one arm", 0, [3, 4, 4, 5]),
    ]
    rows = {each.name: each.probabilities for each in guesses(arms, seed=0)}
    blind = rows["condition-blind"]
    assert blind[0][0] == pytest.approx([0, 0, 0, 0, 0, 0.75, 0.25])  # of arm 1 alone
    assert blind[1][0] == pytest.approx([0.5, 0.5, 0, 0, 0, 0, 0])
    assert blind[2][0] == pytest.approx(
        np.full(7, 1 / 7)
    )  # no other arm: it knows nothing, and never the answers
    assert rows["pooled"][0][0] == pytest.approx([0.25, 0.25, 0, 0, 0, 0.375, 0.125])  # the published row


def test_a_run_pools_the_same_question_of_a_battery_alone(home: Path) -> None:
    """Everybody is angry (7) and nobody calm (1): pooled over both questions half would say 7."""
    rows = [
        answer(person, person % 2, value, question=question)
        for person in range(20)
        for question, value in (("Angry?", 7), ("Calm?", 1))
    ]
    small_corpus("mine", rows)
    draft = draft_from_study(open_corpus("mine"), "one")
    people = people_of_draft(draft, texts_of(draft), [SEVEN] * len(draft.outcomes))
    assert people
    for found in people.values():
        assert found.counts is not None
        assert found.condition_blind == pytest.approx(found.counts / found.n_people)
