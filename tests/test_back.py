"""Links in a real browser: what Back, reload and another browser show, and the first click on a search result."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.store import find_study
from socrates_core.projects import drafts
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.start import draft_from_study
from tests.support.browser import IN_BROWSER, open_page, see
from tests.support.jobs import ended

pytestmark = IN_BROWSER

SOON = 20_000  # milliseconds


def finished_run(study_id: str) -> str:
    draft = draft_from_study(find_study(study_id), study_id)
    draft = draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 3})})
    job = submit_simulation(draft, ModelRequest("uniform"), draft_id=drafts.create(draft))
    assert ended(job.id).state == "done"
    return job.id


def search(page: Page, words: str, *, enter: bool) -> None:
    """Types into the search box without leaving it."""
    see(page, "13 of 13 studies")
    field = page.get_by_label("Search", exact=True)
    field.click()
    field.press_sequentially(words, delay=30)
    if enter:
        field.press("Enter")
    expect(page.get_by_text("1 of 13 studies")).to_be_visible(timeout=SOON)


def click_first_title(page: Page) -> None:
    """Clicks the first study's title; the table is a canvas, which has no element that says when it is drawn."""
    page.wait_for_timeout(1000)
    table = page.get_by_test_id("stDataFrame").bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 150, table["y"] + 52)


@pytest.mark.parametrize("enter", [True, False])
def test_the_first_click_on_a_search_result_opens_it(
    shared_server: int,
    browser: Browser,
    enter: bool,
) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/library")
    search(page, "kakadu", enter=enter)
    click_first_title(page)
    page.wait_for_url("**/study?corpus=starter&study=kakadu", timeout=SOON)


def heading(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", name=text).first).to_be_visible(timeout=SOON)


def test_back_from_a_draft_shows_the_run_that_was_open(
    shared_server: int,
    browser: Browser,
) -> None:
    old, new = finished_run("framing"), finished_run("kakadu")
    page = open_page(browser, f"http://localhost:{shared_server}/results?run={old}&results_view=Scores")
    heading(page, "Immigration news")
    page.get_by_role("button", name="Open the draft").click()
    page.wait_for_url("**/draft?draft=*", timeout=SOON)
    see(page, "Conditions")
    page.go_back()
    heading(page, "Immigration news")
    expect(page).to_have_url(re.compile(rf"/results\?(.*&)?run={old}"), timeout=SOON)
    assert new not in page.url and "results_view=Scores" in page.url
    page.reload()
    heading(page, "Immigration news")


def test_back_from_a_study_and_a_pasted_link_show_the_same_search(
    shared_server: int,
    browser: Browser,
) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/library")
    search(page, "kakadu", enter=True)
    click_first_title(page)
    page.wait_for_url("**/study?corpus=starter&study=kakadu", timeout=SOON)
    heading(page, "A mine in Kakadu")
    page.go_back()
    expect(page.get_by_text("1 of 13 studies")).to_be_visible(timeout=SOON)
    expect(page.get_by_label("Search", exact=True)).to_have_value("kakadu", timeout=SOON)
    expect(page).to_have_url(re.compile(r"/library\?q=kakadu$"), timeout=SOON)
    other = open_page(browser, page.url)
    expect(other.get_by_text("1 of 13 studies")).to_be_visible(timeout=SOON)


def test_back_undoes_a_choice_inside_a_study(
    shared_server: int,
    browser: Browser,
) -> None:
    page = open_page(
        browser, f"http://localhost:{shared_server}/study?corpus=starter&study=kakadu&study_view=Answers"
    )
    heading(page, "A mine in Kakadu")
    page.get_by_label("Outcome").first.click()
    page.get_by_role("option", name="All outcomes").click()
    page.wait_for_url("**&outcome=all", timeout=SOON)
    see(page, "Each cell: how a condition's answers spread")
    page.go_back()
    expect(page.get_by_text("Each cell: how a condition's answers spread")).to_have_count(0, timeout=SOON)
    expect(page).not_to_have_url(re.compile("outcome="), timeout=SOON)


@pytest.mark.parametrize(
    ("old", "new", "title"),
    [
        ("?corpus=starter&study=kakadu", "study?corpus=starter&study=kakadu", "A mine in Kakadu"),
        ("?q=kakadu", "library?q=kakadu", "Studies"),
        ("compare", "evidence", "Evidence"),
        ("launch?name=mine", "train?name=mine", "Launch"),
    ],
)
def test_addresses_of_earlier_versions_open_what_they_meant(
    shared_server: int,
    browser: Browser,
    *,
    old: str,
    new: str,
    title: str,
) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/{old}")
    heading(page, title)
    expect(page).to_have_url(f"http://localhost:{shared_server}/{new}", timeout=SOON)
