"""The whole way in a real browser: a home without studies, the real starter model and worker, an exported folder."""

import io
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import IN_BROWSER, fill, open_page, see
from tests.support.processes import ROOT

pytestmark = IN_BROWSER


@pytest.mark.quick  # the one walk of `make test`
def test_from_a_home_without_studies_to_exported_results(
    home: Path, prepared: Path, served: int, browser: Browser
) -> None:
    address = f"http://localhost:{served}"
    page = open_page(
        browser, f"{address}/study?corpus=starter&study=kakadu"
    )  # the first request is a deep link
    see(page, "There are no studies yet")
    expect(page.get_by_text("Page not found")).to_have_count(0)
    (home / "models").mkdir(exist_ok=True)
    (home / "models" / "starter").symlink_to(prepared / "models" / "starter")
    subprocess.run([sys.executable, "-m", "socrates_core", "setup"], cwd=ROOT, check=True)
    find_the_study(page, address)
    page.get_by_role("button", name="Draft from this study").click()
    draft_url = change_the_draft(page)
    page.get_by_role("button", name="Run simulation").click()
    page.wait_for_url("**/results?run=*")
    results_url = page.url
    page.close()  # the work goes on without a browser

    page = open_page(browser, results_url)
    look_at_the_results(page)
    check_the_export(page)

    page.goto(draft_url)
    page.get_by_role("button", name="Run simulation").click()
    page.wait_for_url(lambda url: "/results?run=" in url and url != results_url)
    see(page, "12 from the cache")
    page.get_by_role("link", name="Jobs").click()
    see(page, "2 jobs, 0 of them queued or running")


def find_the_study(page: Page, address: str) -> None:
    page.goto(f"{address}/library")
    see(page, "13 of 13 studies")
    fill(page, "Search", "kakadu")
    see(page, "1 of 13 studies")
    time.sleep(1)  # the table is a canvas: it has no element that tells when it is drawn
    table = page.get_by_test_id("stDataFrame").bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 16, table["y"] + 52)
    page.wait_for_url("**/study?corpus=starter&study=kakadu")
    see(page, "1,827 people")
    page.get_by_text("Effects", exact=True).click()
    see(page, "95% intervals: Welch's t between people")


def change_the_draft(page: Page) -> str:
    """Edits a condition, adds an outcome, reloads; returns the draft's link."""
    page.wait_for_url("**/draft?draft=*")
    fill(page, "People", "3")
    see(page, "3 of them are drawn without replacement")
    fill(page, "Condition 2: what people read", "<script>alert(1)</script> The mine would poison the river.")
    page.get_by_role("button", name="Add an outcome").click()
    fill(page, "Outcome 2: question", "How worried are you about the mine?")
    see(page, "3 people × 2 conditions × 2 outcomes = 12 answers")
    page.reload()
    expect(page.get_by_label("Outcome 2: question")).to_have_value("How worried are you about the mine?")
    expect(page.get_by_role("button", name="Run simulation")).to_be_enabled()
    return page.url


def look_at_the_results(page: Page) -> None:
    see(page, "12 of 12 answers")
    expect(page.get_by_test_id("stPlotlyChart").first).to_be_visible()
    expect(page.get_by_test_id("stPlotlyChart").first).to_contain_text("People’s answers")
    page.get_by_text("Effects", exact=True).click()
    see(page, "No calibrated effects")


def check_the_export(page: Page) -> None:
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="Prepare the folder").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the folder").click()
    archive = zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes()))
    names = set(archive.namelist())
    assert {"report.html", "run/spec.json", "run/manifest.json", "draft.yaml", "analysis.R"} <= names
    assert {"figures/outcome_1.svg", "figures/outcome_2.png", "figures/effects.svg"} <= names
    numbers = pd.read_csv(archive.open("numbers.csv")).groupby("quantity")["number"]
    assert len(numbers.get_group("people_n")) == 1  # only the untouched cell was asked of people
    assert numbers.get_group("valid_mass").between(0, 1).all()
