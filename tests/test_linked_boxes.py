"""A box that stands in the link keeps every choice, and follows a link that comes from elsewhere."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.jobs import store
from tests.conftest import PATIENCE

ROOT = Path(__file__).parents[1]


@pytest.mark.usefixtures("home")
def test_choices_one_after_another_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.view.live.ensure_worker", lambda: None)
    jobs = [store.submit("simulate", f"Job {n}", {"run_id": str(n)}, key=str(n)) for n in range(4)]
    app = (
        AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
        .switch_page("pages/activity/jobs.py")
        .run()
    )
    for wanted in (jobs[2].id, jobs[0].id, jobs[3].id, jobs[1].id):
        app.selectbox(key="job_box").select(wanted).run()
        assert app.selectbox(key="job_box").value == wanted
        assert wanted in (app.query_params["job"], *app.query_params["job"])


@pytest.mark.usefixtures("home")
def test_a_link_from_elsewhere_moves_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.view.live.ensure_worker", lambda: None)
    jobs = [store.submit("simulate", f"Job {n}", {"run_id": str(n)}, key=str(n)) for n in range(3)]
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    app.query_params["job"] = jobs[0].id
    app.switch_page("pages/activity/jobs.py").run()
    assert app.selectbox(key="job_box").value == jobs[0].id
    app.selectbox(key="job_box").select(jobs[2].id).run()
    app.query_params["job"] = jobs[1].id
    app.run()
    assert app.selectbox(key="job_box").value == jobs[1].id
