"""The queue in the sidebar: what runs, and what ended since the window was opened."""

from pathlib import Path

import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.jobs import store
from socrates_core.projects.run_spec import submit_simulation
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs
from tests.support.pages import fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")


def test_a_job_is_in_the_queue_until_it_ends_and_then_leads_to_what_it_made(starter_home: Path) -> None:
    app = open_page("pages/library/map.py")
    assert not app.sidebar.get("page_link") and not app.sidebar.get("progress")
    jobs = [submit_simulation(make_draft(title=f"Draft {n}"), ModelRequest("echo")) for n in range(6)]
    app.run()
    shown = [str(bar.proto.text) for bar in app.sidebar.get("progress")]
    assert shown[0].startswith("Waiting: Draft 0") and len(shown) == 4
    assert "and 2 more in the queue" in fine(app)
    store.cancel(jobs[5].id)
    finish_jobs()
    app.run()
    links = [link.proto for link in app.sidebar.get("page_link")]
    assert [link.label.split(":")[0] for link in links] == ["Cancelled", "Done", "Done", "Done"]
    assert [link.query_string for link in links[1:]] == [
        f"run={job.id}" for job in (jobs[4], jobs[3], jobs[2])
    ]


def test_what_ended_before_the_window_was_opened_is_no_news(starter_home: Path) -> None:
    submit_simulation(make_draft(), ModelRequest("echo"))
    finish_jobs()
    assert not open_page("pages/library/map.py").sidebar.get("page_link")
