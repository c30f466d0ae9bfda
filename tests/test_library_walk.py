"""The Library in a real browser: a question finds a study, its overview opens, views keep their links."""

import re

from playwright.sync_api import Browser, expect

from tests.support.browser import IN_BROWSER, open_page, see

pytestmark = IN_BROWSER

SOON = 20_000  # milliseconds


def test_a_question_finds_a_study_and_its_overview(shared_server: int, browser: Browser) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/library")
    field = page.get_by_label("Search", exact=True)
    field.fill("How does news framing change attitudes to migrants?")
    field.press("Enter")
    expect(page.get_by_text("of 13 studies").first).not_to_contain_text("13 of 13", timeout=SOON)
    page.wait_for_timeout(1000)  # the table is a canvas, which has no element that says when it is drawn
    table = page.get_by_test_id("stDataFrame").bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 150, table["y"] + 52)
    page.wait_for_url("**/study?corpus=starter&study=framing", timeout=SOON)
    see(page, "265 adults, 5 outcomes")
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    page.go_back()
    expect(field).to_have_value("How does news framing change attitudes to migrants?", timeout=SOON)


def test_a_search_for_words_that_no_study_has_says_so_and_shows_all(
    shared_server: int, browser: Browser
) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/library?q=xyzzy")
    see(page, "No study uses these words")
    see(page, "13 of 13 studies")


def test_a_link_from_before_the_overview_opens_answers_and_views_keep_their_links(
    shared_server: int, browser: Browser
) -> None:
    page = open_page(
        browser, f"http://localhost:{shared_server}/study?corpus=starter&study=framing&outcome=all"
    )
    see(page, "Each cell: how a condition's answers spread")
    page.get_by_text("Overview", exact=True).click()
    see(page, "265 adults, 5 outcomes")
    page.reload()
    see(page, "265 adults, 5 outcomes")
    page.get_by_text("Effects", exact=True).click()
    expect(page).to_have_url(re.compile("study_view=Effects"), timeout=SOON)
    page.reload()
    see(page, "95% intervals: Welch's t between people")
