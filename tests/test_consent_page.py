"""Consent on the page: nothing is sent before a person has seen what and where, and said so for that run."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit.testing.v1 import AppTest

from socrates_core.jobs import store
from socrates_core.projects import drafts
from socrates_core.projects.run_spec import load_spec
from tests.support.browser import fill, in_browser, open_page, see
from tests.support.drafts import make_draft
from tests.support.waiting import PATIENCE, wait_until

PAGE = str(Path(__file__).parents[1] / "app.py")


def plain(app: AppTest, kind: str) -> list[str]:
    return [each.value.replace("\\", "") for each in getattr(app, kind)]


def test_the_page_says_what_a_served_run_costs_and_sends_before_it_queues_anything(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft_id = drafts.create(make_draft())
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    app = AppTest.from_file(PAGE, default_timeout=PATIENCE)
    app.query_params["draft"] = draft_id
    app.switch_page("pages/project/draft.py").run()
    app.multiselect(key="draft_models").set_value(["api:gpt-4o"]).run()
    assert any("OPENAI_API_KEY" in error for error in plain(app, "error"))
    assert app.button(key="draft_run").disabled
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET")
    app.run()
    assert not app.exception and not app.error
    assert any("About $" in told for told in plain(app, "markdown"))
    app.button(key="draft_run").click().run()
    sent = "8 questions leave this machine for api:gpt-4o at api.openai.com"
    assert any(sent in told and "4 described people" in told for told in plain(app, "markdown"))
    assert store.list_jobs() == []


@in_browser
def test_one_click_agrees_to_one_run_and_another_refuses(served: int, browser: Browser) -> None:
    draft_id = drafts.create(make_draft())
    page = open_page(browser, f"http://localhost:{served}/draft?draft={draft_id}")
    models = page.get_by_role("combobox", name="Models")
    see(page, "Choose at least one model")
    models.click()
    models.press_sequentially("api:mine")
    models.press("Enter")
    fill(page, "Server", "https://models.invalid/v1")
    see(page, "Its price is not known")
    for answer in ("Do not send", "Send and run"):
        page.get_by_role("button", name="Run simulation").click()
        see(page, "leave this machine for api:mine at models.invalid")
        assert store.list_jobs() == []
        page.get_by_role("button", name=answer).click()
        expect(page.get_by_role("dialog")).to_have_count(0)
    page.wait_for_url("**/results?run=*")
    wait_until(store.list_jobs)
    jobs = store.list_jobs()
    spec = load_spec(jobs[0].id)
    assert spec.permission is not None and spec.permission["host"] == "models.invalid"
    assert spec.allowed_usd() is None and "permission" not in json.dumps(spec.content())
    store.cancel(jobs[0].id)
