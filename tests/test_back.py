"""Links in a real browser: what Back, reload and another browser show, and the first click on a search result."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.test_walk import browser, open_page, pytestmark, see  # noqa: F401

SOON = 20_000  # milliseconds


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
    starter_home: Path,
    served: int,
    browser: Browser,  # noqa: F811
    enter: bool,
) -> None:
    page = open_page(browser, f"http://localhost:{served}")
    search(page, "kakadu", enter=enter)
    click_first_title(page)
    page.wait_for_url("**/study?corpus=starter&study=kakadu", timeout=SOON)
