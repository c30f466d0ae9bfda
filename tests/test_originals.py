"""Cells of a draft that were left as they are show the study's own text, word for word."""

from pathlib import Path

import pytest

from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run_spec import questions
from socrates_core.surveys.check import problems, warnings
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.human_answers import people_effects
from socrates_core.surveys.originals import original_cells, texts_of
from tests.support.drafts import ASKED, draft_of, shown


@pytest.fixture
def draft(home: Path) -> Draft:
    return draft_of("fees", ASKED)


def test_every_cell_of_an_unchanged_draft_is_the_study_s_own(draft: Draft) -> None:
    assert [outcome.name for outcome in draft.outcomes] == ["o0", "o1 (1)", "o1 (2)"]
    texts = texts_of(draft)
    own = {(each["condition_num"], each["question"]): each["stimulus"] for each in ASKED}
    assert texts[1, 0] == own[1, "How fair is the shown fee?"]
    assert texts[0, 2] == own[0, "Trust courts?"]
    assert sorted(texts.values()) == sorted(each["stimulus"] for each in ASKED)
    people = tuple(draw_panel(draft.panel.model_copy(update={"n": 1})))
    asked = [each.question.prompt.user for each in questions(draft, people)]
    assert all(any(text in prompt for prompt in asked) for text in texts.values())


def test_an_edited_question_or_condition_is_put_together_anew_in_its_cells_alone(draft: Draft) -> None:
    outcome = draft.outcomes[0].model_copy(update={"question": "How kind is the fee?"})
    edited = draft.model_copy(update={"outcomes": (outcome, *draft.outcomes[1:])})
    assert set(original_cells(edited)) == {(c, o) for c in (0, 1) for o in (1, 2)}
    assert "How kind is the fee?" in texts_of(edited)[0, 0]
    condition = draft.conditions[1].model_copy(update={"text": "A small fee."})
    edited = draft.model_copy(update={"conditions": (draft.conditions[0], condition)})
    assert set(original_cells(edited)) == {(0, o) for o in range(3)}
    assert "A small fee." in texts_of(edited)[1, 2]


def test_another_scale_is_another_question(draft: Draft) -> None:
    outcome = draft.outcomes[1]
    shorter = outcome.model_copy(update={"scale": outcome.scale.model_copy(update={"high": 5})})
    edited = draft.model_copy(update={"outcomes": (draft.outcomes[0], shorter, draft.outcomes[2])})
    assert set(original_cells(edited)) == {(c, o) for c in (0, 1) for o in (0, 2)}


def test_conditions_that_differ_in_the_question_alone_can_be_run_as_they_are(home: Path) -> None:
    asked = [shown(each["condition_num"], each["task_num"], "Nothing.", each["question"]) for each in ASKED]
    alike = draft_of("alike", asked)
    assert problems(alike) == []
    assert [each.field for each in warnings(alike)] == ["outcomes.1.question", "outcomes.2.question"]
    assert all("c0 and c1 show the same words" in each.message for each in warnings(alike))
    blind = alike.model_copy(update={"outcomes": alike.outcomes[1:]})
    assert [each.field for each in problems(blind)] == ["conditions.0.text", "conditions.1.text"]


def test_a_draft_warns_where_an_edit_lost_what_the_study_says_in_its_question(draft: Draft) -> None:
    assert warnings(draft) == []
    edited = draft.conditions[1].model_copy(update={"text": "A small fee."})
    (lost,) = warnings(draft.model_copy(update={"conditions": (draft.conditions[0], edited)}))
    assert lost.field == "outcomes.0.question" and "After your edit c1 show" in lost.message


def test_people_s_effects_stand_beside_every_unchanged_cell(draft: Draft) -> None:
    assert set(people_effects(draft, texts_of(draft))) == {(1, o) for o in range(3)}
