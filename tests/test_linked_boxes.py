"""A box that stands in the link keeps every choice, and follows a link that comes from elsewhere."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.asking.request import ModelRequest
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from tests.support.evaluations import evaluate
from tests.support.pages import fine, open_page
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("no_worker")

ROOT = Path(__file__).parents[1]


@pytest.mark.usefixtures("home")
def test_choices_one_after_another_are_all_kept() -> None:
    jobs = [store.submit("simulate", f"Job {n}", {"run_id": str(n)}, key=str(n)) for n in range(4)]
    app = (
        AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
        .switch_page("pages/settings/jobs.py")
        .run()
    )
    for wanted in (jobs[2].id, jobs[0].id, jobs[3].id, jobs[1].id):
        app.selectbox(key="job_box").select(wanted).run()
        assert app.selectbox(key="job_box").value == wanted
        assert wanted in (app.query_params["job"], *app.query_params["job"])


@pytest.mark.usefixtures("home")
def test_a_link_from_elsewhere_moves_the_box() -> None:
    jobs = [store.submit("simulate", f"Job {n}", {"run_id": str(n)}, key=str(n)) for n in range(3)]
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    app.query_params["job"] = jobs[0].id
    app.switch_page("pages/settings/jobs.py").run()
    assert app.selectbox(key="job_box").value == jobs[0].id
    app.selectbox(key="job_box").select(jobs[2].id).run()
    app.query_params["job"] = jobs[1].id
    app.run()
    assert app.selectbox(key="job_box").value == jobs[1].id


def plain(app: AppTest) -> str:
    return fine(app).replace("\\", "")


def end(job: store.Job, result: dict[str, Any] | None = None) -> None:
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == job.id
    store.finish(claimed, "done", result=result or {})


def test_a_finished_evaluation_keeps_its_name_in_the_box(starter_home: Path) -> None:
    evaluate("echo", studies=["kakadu"])
    job = submit_evaluation(ModelRequest("uniform"), corpus="starter", studies=["kakadu"], cap=2)
    app = open_page("pages/evidence/evidence.py", evaluations=job.id)
    names = app.multiselect(key="evaluations").options
    claimed = store.claim_next()
    assert claimed is not None
    store.finish(claimed, "done", result=run_evaluation(job.id, Reporter(claimed)))
    app.run()
    assert app.multiselect(key="evaluations").options == names


@pytest.mark.usefixtures("home")
def test_a_finished_job_keeps_its_name_in_the_box() -> None:
    jobs = [store.submit("simulate", f"Job {n}", {"run_id": str(n)}, key=str(n)) for n in range(2)]
    app = open_page("pages/settings/jobs.py", job=jobs[0].id)
    names = app.selectbox(key="job_box").options
    end(jobs[0])
    app.run()
    assert app.selectbox(key="job_box").options == names and app.selectbox(key="job_box").value == jobs[0].id


def test_a_changed_link_moves_a_choice_inside_a_study(starter_home: Path) -> None:
    app = open_page("pages/library/study.py", corpus="starter", study="kakadu", study_view="Answers")
    key = "outcome:starter/kakadu"
    app.selectbox(key=key).select("all").run()
    assert "all" in app.query_params["outcome"]
    del app.query_params["outcome"]  # as Back does
    app.run()
    assert app.selectbox(key=key).value == "0" and "outcome" not in app.query_params


def test_a_changed_link_moves_the_evaluations(starter_home: Path) -> None:
    first, second = evaluate("echo", studies=["kakadu"]), evaluate("uniform", studies=["kakadu"])
    app = open_page("pages/evidence/evidence.py", evaluations=first.id)
    app.multiselect(key="evaluations").set_value([second.id]).run()
    app.query_params["evaluations"] = first.id
    app.run()
    assert app.multiselect(key="evaluations").value == [first.id]


def test_a_link_without_a_source_opens_the_study(starter_home: Path) -> None:
    app = open_page("pages/library/study.py", study="kakadu")
    assert app.selectbox(key="study_box").value == "starter/kakadu"
    assert "There is no study" not in fine(app)
    assert "There is no study 'nowhere'. Choose one here." in plain(
        open_page("pages/library/study.py", study="nowhere")
    )


def test_a_link_to_a_study_that_several_sources_have_says_so(starter_home: Path) -> None:
    shutil.copytree(starter_home / "corpora" / "starter", starter_home / "corpora" / "second")
    app = open_page("pages/library/study.py", study="kakadu")
    told, names = plain(app), app.selectbox(key="study_box").options
    assert len(set(names)) == len(names) == 26
    assert "2 sources have a study 'kakadu': second, starter. This is the one from second" in told
    assert "sources have" not in plain(open_page("pages/library/study.py", corpus="starter", study="kakadu"))


@pytest.mark.usefixtures("home")
def test_an_import_from_nowhere_is_not_started() -> None:
    app = open_page("pages/library/import_study.py")
    app.segmented_control(key="import_kind").set_value("SocSci210").run()
    app.text_input(key="import_source").set_value("  ").run()
    app.button(key="import_start").click().run()
    assert "Fill in the field From" in fine(app) and store.list_jobs() == []
