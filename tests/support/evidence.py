"""What a failed test leaves to read: the page that its browser showed, and what servers, workers and jobs wrote."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error

MOST = 4000  # characters of each text, its end


def evidence(item: pytest.Item) -> list[tuple[str, str]]:
    """Titles and texts for the report of a failed test."""
    browser = getattr(item, "funcargs", {}).get("browser")
    found = list(_pages(browser)) if isinstance(browser, Browser) else []
    home = Path(os.environ.get("SOCRATES_HOME", "/nowhere"))
    logs = [home.with_name("server.log"), home / "jobs" / "worker.log", *sorted(home.glob("jobs/*/log.txt"))]
    for log in logs:
        if log.is_file() and (text := log.read_text(errors="replace")):
            found.append((str(log), text[-MOST:]))
    return found


def _pages(browser: Browser) -> Iterator[tuple[str, str]]:
    for context in browser.contexts:
        for page in context.pages:
            try:
                text = page.inner_text("body", timeout=2000)
            except Error as error:
                text = f"The page could not be read: {error}"
            yield f"the page at {page.url}", text[:MOST]
