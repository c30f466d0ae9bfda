"""The first page: an idea in three fields, recent work, and the models that are here."""

from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.projects import drafts
from socrates_core.projects.run_results import list_runs
from socrates_core.projects.run_spec import load_spec
from socrates_core.surveys.check import problems
from socrates_core.surveys.start import IDEA_SCALES, draft_of_idea
from socrates_core.verdicts.verdict import most_trusted
from tests.support.jobs import finish_jobs
from tests.support.pages import HOSTILE, fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")
PAGE = "pages/home/home.py"


def test_a_new_home_says_how_to_get_a_model(home: Path) -> None:
    shown = fine(open_page(PAGE))
    assert "make setup" in shown and "None yet" in shown


def test_an_idea_is_three_fields_and_one_click(starter_home: Path) -> None:
    app = open_page(PAGE)
    shown = fine(app)
    assert "Worse than guessing" in shown and "toy" in shown
    app.text_area(key="idea_first").set_value(HOSTILE[0])
    app.text_area(key="idea_second").set_value("A second text.")
    app.text_input(key="idea_question").set_value("How much do you like it?")
    app.button[0].click().run()
    assert not app.exception
    (run,) = list_runs()
    spec = load_spec(str(run["run_id"]))
    assert spec.model.name == "starter" and spec.draft_id in {row["draft_id"] for row in drafts.list_drafts()}
    assert [condition.text for condition in spec.draft.conditions] == [HOSTILE[0], "A second text."]
    assert spec.draft.outcomes[0].question == "How much do you like it?"
    again = open_page(PAGE)
    links = [link.proto.query_string for link in again.get("page_link")]
    assert f"draft={spec.draft_id}" in links and f"run={spec.run_id}" in links


@pytest.mark.parametrize(
    ("first", "second", "question", "words"),
    [
        ("", "", "How?", "at least one of the two texts"),
        ("Same.", "Same.", "How?", "reads the same"),
        ("One.", "Two.", "", "Write the question"),
    ],
)
def test_what_is_missing_is_said_and_nothing_starts(
    starter_home: Path, first: str, second: str, question: str, words: str
) -> None:
    app = open_page(PAGE)
    app.text_area(key="idea_first").set_value(first)
    app.text_area(key="idea_second").set_value(second)
    app.text_input(key="idea_question").set_value(question)
    app.button[0].click().run()
    assert not app.exception and words in app.error[0].value
    assert list_runs() == [] and drafts.list_drafts() == []
    finish_jobs()


@pytest.mark.parametrize("scale", IDEA_SCALES)
def test_every_scale_of_an_idea_can_be_run(starter_home: Path, scale: str) -> None:
    draft = draft_of_idea("One.", "Two.", "How?", scale)
    assert problems(draft) == []
    assert len(draft_of_idea("", "", "w " * 90, scale).title) <= 60


def test_a_control_group_may_read_nothing(starter_home: Path) -> None:
    assert problems(draft_of_idea("", "Two.", "How?", next(iter(IDEA_SCALES)))) == []


def test_stand_ins_and_bad_models_are_trusted_last(starter_home: Path) -> None:
    assert most_trusted(["uniform", "starter"]) == "starter"
    # Nobody has measured it here, and the starter was measured to be worse than guessing.
    assert most_trusted(["starter", "socratesft/socrates-qwen2.5-14b-sft"]) != "starter"
    with pytest.raises((ValueError, UserError)):
        most_trusted([])
