"""A real headless browser: which one, how it is opened, what a test does in it."""

import os
import shutil
from collections.abc import Callable
from typing import TypeVar

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.waiting import PATIENCE

CHROMIUM = os.environ.get("SOCRATES_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=PATIENCE * 1000)


Test = TypeVar("Test", bound=Callable[..., object])
IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.xdist_group("walk"),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium: run tests/chromium.sh or set SOCRATES_CHROMIUM"
    ),
]


def in_browser(test: Test) -> Test:
    """Marks one test of a file as the file's mark IN_BROWSER marks all."""
    for mark in IN_BROWSER:
        test = mark(test)
    return test


def open_page(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: pytest.fail(f"error in the page: {error}"))
    page.on("dialog", lambda dialog: pytest.fail(f"a text was run: {dialog.message}"))
    page.goto(url)
    return page


def see(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible()


def fill(page: Page, label: str, text: str) -> None:
    field = page.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")
