"""Ten sessions in ten browser contexts for ten minutes (in short three for 15 s): no error, and a page's time."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from socrates_core.simulation.spec import ModelRequest, submit_simulation
from tests.conftest import end_worker
from tests.faults.test_killed_dashboard import free_port, serve
from tests.faults.trials import FULL, PATIENCE, fault, finish_jobs
from tests.test_drafts import make_draft
from tests.test_walk import CHROMIUM, browser

__all__ = ["browser"]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("walk"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium"),
]
SESSIONS, SECONDS = (10, 600.0) if FULL else (3, 15.0)


def visit(context: BrowserContext, address: str, title: str) -> float:
    """Seconds until the page shows its title in a new tab and nothing on it runs any more."""
    page, troubles = context.new_page(), list[str]()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    begun = time.monotonic()
    page.goto(address)
    expect(page.get_by_role("heading", name=title).first).to_be_visible(timeout=PATIENCE * 1000)
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE * 1000)
    seconds = time.monotonic() - begun
    assert page.get_by_test_id("stException").count() == 0 and not troubles, (address, troubles)
    assert page.get_by_test_id("stAlertContentError").count() == 0, address
    page.close()
    return seconds


@fault("many sessions at once", "no error; p95 of a page")
def test_sessions_side_by_side_see_no_error(
    quiet_home: Path, prepared: Path, browser: Browser, record_property: Callable[[str, object], None]
) -> None:
    shutil.copytree(prepared / "corpora" / "starter", quiet_home / "corpora" / "starter")
    run = submit_simulation(make_draft(), ModelRequest("echo"))
    finish_jobs()
    served = serve(port := free_port())
    places = [
        ("", "Studies"), ("study?corpus=starter&study=kakadu", "kakadu"), (f"results?run={run.id}", "Try"),
        ("jobs", "Jobs"), ("models", "Models"), ("compare", "Compare"), ("power", "Power"),
    ]  # fmt: skip
    contexts, rng, took = (
        [browser.new_context() for _ in range(SESSIONS)],
        np.random.default_rng(17),
        list[float](),
    )
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        for context in contexts:
            path, title = places[int(rng.integers(len(places)))]
            took.append(visit(context, f"http://localhost:{port}/{path}", title))
    served.terminate()
    end_worker()
    middle, most = np.percentile(took, [50, 95])
    record_property("trials", len(took))
    record_property(
        "checked", f"{SESSIONS} sessions, no error; a page takes {middle:.2f} s, p95 {most:.2f} s"
    )
    assert most < 20
