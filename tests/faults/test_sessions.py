"""Ten people at once in ten browser contexts for ten minutes (in short three for 15 s): no error, and a page's time."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from playwright.async_api import BrowserContext, async_playwright, expect

from socrates_core.asking.request import ModelRequest
from socrates_core.projects.run_spec import submit_simulation
from tests.faults.trials import FULL, fault
from tests.support.browser import ARGS, CHROMIUM, IN_BROWSER
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import end_worker
from tests.support.servers import free_port, serve
from tests.support.waiting import PATIENCE

pytestmark = IN_BROWSER
PEOPLE, SECONDS = (10, 600.0) if FULL else (3, 15.0)
Place = tuple[str, str]  # the page's address and the title that it shows


async def visit(context: BrowserContext, address: str, title: str) -> float:
    """Seconds until the page shows its title in a new tab and nothing on it runs any more."""
    page, troubles = await context.new_page(), list[str]()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    begun = time.monotonic()
    await page.goto(address, timeout=PATIENCE * 1000)
    await expect(page.get_by_role("heading", name=title).first).to_be_visible(timeout=PATIENCE * 1000)
    await expect(page.get_by_test_id("stStatusWidget")).to_have_count(0, timeout=PATIENCE * 1000)
    seconds = time.monotonic() - begun
    assert await page.get_by_test_id("stException").count() == 0 and not troubles, (address, troubles)
    assert await page.get_by_test_id("stAlertContentError").count() == 0, address
    await page.close()
    return seconds


async def person(context: BrowserContext, places: Sequence[Place], seed: int) -> list[float]:
    """Opens one place after the other, at random, until the time is over; the seconds that each took."""
    rng, took, until = np.random.default_rng(seed), list[float](), time.monotonic() + SECONDS
    while time.monotonic() < until:
        took.append(await visit(context, *places[int(rng.integers(len(places)))]))
    return took


async def people(places: Sequence[Place]) -> list[float]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        contexts = [await browser.new_context() for _ in range(PEOPLE)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(person(each, places, seed)) for seed, each in enumerate(contexts)]
        await browser.close()
    return [seconds for task in tasks for seconds in task.result()]


@fault("many people at once", "no error; p95 of a page")
def test_people_side_by_side_see_no_error(
    quiet_home: Path, prepared: Path, record_property: Callable[[str, object], None]
) -> None:
    shutil.copytree(prepared / "corpora" / "starter", quiet_home / "corpora" / "starter")
    run = submit_simulation(make_draft(), ModelRequest("echo"))
    finish_jobs()
    served = serve(port := free_port())
    paths = [
        ("library", "Studies"),
        ("study?corpus=starter&study=kakadu", "kakadu"),
        (f"results?run={run.id}", "Try"),
        ("jobs", "Jobs"),
        ("models", "Models"),
        ("evidence", "Evidence"),
        ("power", "Power"),
    ]
    took = asyncio.run(people([(f"http://localhost:{port}/{path}", title) for path, title in paths]))
    served.terminate()
    served.wait(PATIENCE)
    end_worker()
    middle, most = np.percentile(took, [50, 95])
    record_property("trials", len(took))
    record_property("checked", f"{PEOPLE} people, no error; a page takes {middle:.2f} s, p95 {most:.2f} s")
    assert len(took) >= PEOPLE
