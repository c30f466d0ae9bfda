"""Every page through Streamlit's own test harness, empty and filled."""

import re
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.project.draft_form import collect
from pages.view.state import Editing
from pages.view.words import escape
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.starter_studies.record import study_files
from socrates_core.corpus.store import find_study
from socrates_core.jobs import store as jobs
from socrates_core.jobs.progress import Reporter
from socrates_core.projects import drafts
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.check import problems
from socrates_core.surveys.draft import ConditionSpec
from socrates_core.surveys.start import draft_from_study
from tests.support.drafts import make_draft
from tests.support.pages import HOSTILE, PAGES, STUDY_VIEWS, fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")


def finished_run(draft_id: str | None = None) -> str:
    draft = draft_from_study(find_study("kakadu"), "kakadu")
    draft = draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 5})})
    job = submit_simulation(draft, ModelRequest("echo"), draft_id=draft_id)
    claimed = jobs.claim_next()
    assert claimed is not None
    jobs.finish(claimed, "done", result=run_simulation(job.id, Reporter(claimed)))
    return job.id


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_page_says_what_to_do_next(home: Path, page: str) -> None:
    told = fine(open_page(page))
    assert any(
        hint in told for hint in ("make setup", "New draft", "Draft from this study", "Run simulation")
    )


def test_studies_can_be_searched_and_say_when_nothing_matches(starter_home: Path) -> None:
    app = open_page(PAGES[0])
    assert len(app.dataframe[0].value) >= 12
    app.text_input(key="q").set_value("kakadu").run()
    assert app.dataframe[0].value["study_id"].tolist() == ["kakadu"]
    app.text_input(key="q").set_value("xyzzy").run()
    assert "No study uses these words" in fine(app) and len(app.dataframe[0].value) >= 12


@pytest.mark.parametrize("view", STUDY_VIEWS)
@pytest.mark.parametrize("study", ["kakadu", "abortion"])
def test_every_view_of_a_study_shows(starter_home: Path, study: str, view: str) -> None:
    app = open_page(PAGES[1], corpus="starter", study=study)
    app.segmented_control(key="study_view").set_value(view).run()
    assert len(fine(app)) > 100


def test_a_damaged_corpus_hides_no_other(starter_home: Path) -> None:
    broken = starter_home / "corpora" / "broken"
    shutil.copytree(starter_home / "corpora" / "starter", broken)
    (broken / "manifest.json").write_text("{}")
    app = open_page(PAGES[0])
    assert not app.exception and "broken" in app.error[0].value
    assert len(app.dataframe[0].value) >= 12


def test_an_unknown_study_in_the_link_is_a_warning(starter_home: Path) -> None:
    assert "There is no study" in fine(open_page(PAGES[1], corpus="starter", study="nope"))


def test_a_study_becomes_a_draft_with_one_click(starter_home: Path) -> None:
    app = open_page(PAGES[1], corpus="starter", study="kakadu")
    next(button for button in app.button if button.label == "Draft from this study").click().run()
    [row] = drafts.list_drafts()
    assert (row["n_conditions"], row["n_outcomes"]) == (2, 1)


def open_draft() -> tuple[AppTest, str]:
    draft_id = drafts.create(make_draft())
    return open_page(PAGES[2], draft=draft_id), draft_id


def key(draft_id: str, generation: int, *parts: object) -> str:
    return ":".join(["draft", draft_id, str(generation), *map(str, parts)])


def test_an_edit_is_saved_at_once_and_can_be_undone_and_redone(home: Path) -> None:
    app, draft_id = open_draft()
    app.text_input(key=key(draft_id, 0, "conditions", 1, "name")).set_value("Renamed").run()
    assert drafts.open_draft(draft_id).conditions[1].name == "Renamed"
    app.button(key="draft_undo").click().run()
    assert drafts.open_draft(draft_id).conditions[1].name == "New"
    app.button(key="draft_redo").click().run()
    assert drafts.open_draft(draft_id).conditions[1].name == "Renamed"
    fine(app)


def test_renaming_the_reference_condition_keeps_it_the_reference(home: Path) -> None:
    draft_id = drafts.create(make_draft(reference="New"))
    app = open_page(PAGES[2], draft=draft_id)
    app.text_input(key=key(draft_id, 0, "conditions", 1, "name")).set_value("Renamed").run()
    assert drafts.open_draft(draft_id).reference == "Renamed"
    app.run()
    assert drafts.open_draft(draft_id).reference == "Renamed" and problems(drafts.open_draft(draft_id)) == []


def test_rows_are_added_duplicated_moved_and_removed_without_losing_an_edit(home: Path) -> None:
    app, draft_id = open_draft()
    app.text_area(key=key(draft_id, 0, "conditions", 0, "text")).set_value("Edited just now.")
    app.button(key="add_condition").click().run()
    assert [c.text for c in drafts.open_draft(draft_id).conditions] == ["Edited just now.", "Another.", ""]
    app.button(key=key(draft_id, 1, "conditions", 0, "duplicate")).click().run()
    assert drafts.open_draft(draft_id).conditions[1].text == "Edited just now."
    app.button(key=key(draft_id, 2, "conditions", 1, "down")).click().run()
    assert drafts.open_draft(draft_id).conditions[2].text == "Edited just now."
    app.button(key=key(draft_id, 3, "conditions", 2, "remove")).click().run()
    assert [c.name for c in drafts.open_draft(draft_id).conditions] == ["Control", "New", "Condition 3"]


def test_the_scale_builder_shows_the_instruction_and_what_is_wrong(home: Path) -> None:
    app, draft_id = open_draft()
    app.selectbox(key=key(draft_id, 0, "outcomes", 0, "type")).set_value("Listed answers").run()
    app.text_area(key=key(draft_id, 0, "outcomes", 0, "options")).set_value("Never\nSometimes\nAlways").run()
    assert "2 for" in fine(app)
    assert drafts.open_draft(draft_id).outcomes[0].scale.scale().options == ("1", "2", "3")
    app.text_area(key=key(draft_id, 0, "outcomes", 0, "options")).set_value("Never\nNever").run()
    assert ":red[" in fine(app) and app.button(key="draft_run").disabled


def test_a_number_scale_upside_down_is_told_beside_the_field(home: Path) -> None:
    app, draft_id = open_draft()
    app.number_input(key=key(draft_id, 0, "outcomes", 0, "high")).set_value(1).run()
    assert ":red[" in fine(app) and app.button(key="draft_run").disabled


def test_a_draft_with_everything_in_place_can_be_run(home: Path) -> None:
    app, _ = open_draft()
    app.multiselect(key="draft_models").set_value(["echo"]).run()
    told = fine(app)
    assert escape("4 people × 2 conditions × 1 outcome = 8 answers") in escape(told)
    app.button(key="draft_run").click().run()
    assert [job.kind for job in jobs.list_jobs()] == ["simulate"]


def test_a_filter_that_leaves_nobody_is_told_and_nothing_can_start(starter_home: Path) -> None:
    draft = draft_from_study(find_study("kakadu"), "kakadu")
    panel = draft.panel.model_copy(update={"filters": {"gender": ["Female"], "age": (1, 2)}, "n": 3})
    draft_id = drafts.create(draft.model_copy(update={"panel": panel}))
    assert drafts.open_draft(draft_id).panel.filters["age"] == (1, 2)
    panel_large = draft.panel.model_copy(update={"n": 99_999})
    large = drafts.create(draft.model_copy(update={"panel": panel_large}))
    app = open_page(PAGES[2], draft=large)
    assert "asks for 99,999" in fine(app) and app.button(key="draft_run").disabled


def test_two_windows_on_one_draft_are_told_and_keep_both(home: Path) -> None:
    first, draft_id = open_draft()
    second = open_page(PAGES[2], draft=draft_id)
    first.text_input(key=key(draft_id, 0, "title")).set_value("From the first").run()
    second.text_input(key=key(draft_id, 0, "title")).set_value("From the second").run()
    assert "another window" in fine(second)
    assert drafts.open_draft(draft_id).title == "From the second"
    assert [version.draft.title for version in drafts.versions(draft_id)] == ["From the first"]


def test_a_draft_that_is_gone_is_a_sentence(home: Path) -> None:
    assert "not here" in fine(open_page(PAGES[2], draft="nope"))


@pytest.mark.parametrize("view", ["Answers", "Effects", "Scores", "People", "Panel and model", "Export"])
def test_every_view_of_a_run_shows(starter_home: Path, view: str) -> None:
    app = open_page(PAGES[3], run=finished_run())
    app.segmented_control(key="results_view").set_value(view).run()
    fine(app)


def test_a_failed_run_shows_its_cause_and_a_way_on(home: Path) -> None:
    job = submit_simulation(make_draft(), ModelRequest("echo"))
    claimed = jobs.claim_next()
    assert claimed is not None
    jobs.finish(claimed, "failed", "The disk is full.")
    app = open_page(PAGES[3], run=job.id)
    assert not app.exception and "disk is full" in app.error[0].value
    assert "Resume" in [button.label for button in app.button]


def test_jobs_show_state_and_log(starter_home: Path) -> None:
    job_id = finished_run()
    app = open_page(PAGES[4], job=job_id)
    assert app.dataframe[0].value["state"].tolist() == ["done"]
    fine(app)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text_on_every_page(home: Path, text: str) -> None:
    name = " ".join(text.split())
    draft = make_draft(
        title=name, conditions=(ConditionSpec(name="A", text=text), ConditionSpec(name=name, text="b"))
    )
    draft_id = drafts.create(draft)
    job = submit_simulation(draft, ModelRequest("echo"), draft_id=draft_id)
    claimed = jobs.claim_next()
    assert claimed is not None
    jobs.finish(claimed, "done", result=run_simulation(job.id, Reporter(claimed)))
    for page, parameters in (
        (PAGES[2], {}),
        (PAGES[2], {"draft": draft_id}),
        (PAGES[3], {"run": job.id}),
        (PAGES[4], {"job": job.id}),
    ):
        app = open_page(page, **parameters)
        fine(app)
        for kind in ("title", "subheader", "markdown", "caption", "info", "warning"):
            for element in getattr(app, kind):
                assert not re.search(r"(?<!\\)<(script|img)", element.value)
                assert not getattr(element, "allow_html", False)


@pytest.mark.parametrize("study_id", [path.stem for path in study_files()])
def test_opening_a_draft_changes_nothing(starter_home: Path, study_id: str) -> None:
    draft = draft_from_study(find_study(study_id), study_id)
    assert collect(Editing("x", draft, [], [])) == draft
