"""The population of a draft in a real browser: tables of shares that are typed, pasted and evened out."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from socrates_core.populations.panel import PanelSpec
from socrates_core.projects import drafts
from tests.support.browser import IN_BROWSER, open_page, see
from tests.support.drafts import make_draft
from tests.support.waiting import wait_until

pytestmark = IN_BROWSER
LEFT, HEADER, ROW = 60, 36, 35  # pixels from the table's corner into its first column; of a header and a row


def open_draft(browser: Browser, port: int, draft_id: str) -> Page:
    page = open_page(browser, f"http://localhost:{port}/draft?draft={draft_id}&model=uniform")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return page


def cell(page: Page, table: int, row: int, column: int) -> None:
    """Clicks a cell of a table of shares, which is a canvas."""
    grid = page.get_by_test_id("stDataFrame").nth(table)
    grid.scroll_into_view_if_needed()
    box = grid.bounding_box()
    assert box is not None
    width = (box["width"] - LEFT) / 2
    page.mouse.click(box["x"] + LEFT + width * column + 30, box["y"] + HEADER + ROW * row + ROW / 2)


def paste(page: Page, text: str) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    page.keyboard.press("Control+v")


def stored(draft_id: str) -> PanelSpec:
    return drafts.open_draft(draft_id).panel


def test_shares_are_typed_pasted_evened_out_and_kept(
    shared_home: Path, shared_server: int, browser: Browser
) -> None:
    panel = PanelSpec(kind="describe", describe={"gender": {"Female": 0.5, "Male": 0.5}}, n=20)
    draft_id = drafts.create(make_draft(panel=panel))
    page = open_draft(browser, shared_server, draft_id)
    see(page, "20 simulated people, 2 distinct profiles")
    see(page, "Sum: 1")
    page.wait_for_timeout(1000)  # the table is a canvas: it has no element that says when it is drawn
    cell(page, 0, 0, 0)
    paste(page, "Woman\t40%\nMan\t30%\nOther\t20%")
    see(page, "Sum: 90 of 100, 10 missing")
    see(page, "add up to 90")
    expect(page.get_by_role("button", name="Run simulation")).to_be_disabled()
    page.get_by_role("button", name="Even out").click()
    see(page, "Sum: 100%")
    wait_until(lambda: list(stored(draft_id).describe["gender"]) == ["Woman", "Man", "Other"])
    assert sum(stored(draft_id).describe["gender"].values()) == pytest.approx(100)
    page.wait_for_timeout(1000)
    cell(page, 0, 0, 1)
    paste(page, "50\n30\n20")
    wait_until(lambda: stored(draft_id).describe["gender"] == {"Woman": 50, "Man": 30, "Other": 20})
    page.reload()
    see(page, "20 simulated people, 3 distinct profiles")
    assert stored(draft_id).describe["gender"] == {"Woman": 50, "Man": 30, "Other": 20}
    page.get_by_text("Every profile once, weighted").click()
    see(
        page,
        "3 simulated people, 3 distinct profiles. Profiles are weighted by their share of the population.",
    )
    wait_until(lambda: stored(draft_id).every_profile)
    page.close()


def test_a_field_starts_with_known_values_and_leaving_the_page_loses_nothing(
    shared_home: Path, shared_server: int, browser: Browser
) -> None:
    panel = PanelSpec(kind="describe", describe={"gender": {"Female": 50.0, "Male": 50.0}}, n=40)
    draft_id = drafts.create(make_draft(title="Kept", panel=panel))
    page = open_draft(browser, shared_server, draft_id)
    page.get_by_label("Fields to describe").click()
    page.keyboard.type("Age")
    page.get_by_role("option", name="Age", exact=True).click()
    wait_until(lambda: stored(draft_id).describe.get("age", {}).get("18-29") == 25)
    page.keyboard.press("Escape")
    page.wait_for_timeout(1000)
    cell(page, 1, 0, 1)
    paste(page, "40\n20\n20\n20")
    wait_until(lambda: stored(draft_id).describe["age"]["18-29"] == 40)
    page.get_by_role("link", name="Jobs").click()
    see(page, "There are none yet")
    page.go_back()
    see(page, "Sum: 100%")
    page.wait_for_timeout(1000)
    cell(page, 0, 1, 1)
    paste(page, "50")
    page.wait_for_timeout(1000)
    assert stored(draft_id).describe["age"] == {"18-29": 40, "30-44": 20, "45-59": 20, "60+": 20}
    see(page, "The exact prompt")
    prompt = page.get_by_test_id("stCode").all_inner_texts()
    assert not any("18-29" in text for text in prompt) and any("- Age: " in text for text in prompt), prompt
    page.close()


def test_a_new_draft_names_its_population(shared_home: Path, shared_server: int, browser: Browser) -> None:
    page = open_page(browser, f"http://localhost:{shared_server}/draft?model=uniform")
    page.get_by_role("button", name="New draft").click()
    see(page, "People of the study “Legal abortion: seven reasons”")
    see(page, "50 simulated people")
    page.close()
