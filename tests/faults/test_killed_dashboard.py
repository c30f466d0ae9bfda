"""kill -9 of the dashboard at random moments while a draft is edited in a browser: no text is lost."""

import os
import signal
import socket
import subprocess

import numpy as np
import psutil
from playwright.sync_api import Browser, Page, expect

from socrates_core.projects import drafts
from tests.faults.trials import FULL, TRIALS, fault
from tests.support.browser import IN_BROWSER
from tests.support.commands import process
from tests.support.drafts import make_draft
from tests.support.servers import serve
from tests.support.waiting import PATIENCE, wait_until

pytestmark = IN_BROWSER
KILLS = TRIALS if FULL else 2
FIELD = "Condition 2: what people read"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def kill(served: subprocess.Popen[str], who: str) -> None:
    """Kills the server, the command that started it, or both; nothing of them is left."""
    children = psutil.Process(served.pid).children()
    if who == "command":
        served.kill()
        served.wait()
        assert "already runs at http://localhost" in process(
            "app", "--port", "1", code=2
        )  # its server goes on
    if who == "server":
        children[0].kill()
        told, _ = served.communicate(timeout=PATIENCE)
        assert served.returncode == 2 and "The dashboard ended with code" in told
    else:
        for pid in (served.pid, *(child.pid for child in children)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        served.communicate()
    psutil.wait_procs(children, timeout=30)


def edit(page: Page, text: str) -> None:
    field = page.get_by_label(FIELD, exact=True)
    field.fill(text)
    field.press("Tab")


@fault("kill -9 of the dashboard", "the draft is the last or the one before, and shown after", KILLS)
def test_a_draft_that_is_edited_while_the_dashboard_is_killed_is_not_lost(
    quiet_home: object, browser: Browser
) -> None:
    draft_id, rng, port = drafts.create(make_draft()), np.random.default_rng(13), free_port()
    before = make_draft().conditions[1].text
    page = browser.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    for trial in range(KILLS):
        served = serve(port)
        page.goto(f"http://localhost:{port}/draft?draft={draft_id}")
        expect(page.get_by_label(FIELD, exact=True)).to_have_value(before)
        edit(page, f"Text {trial}.")
        if trial % 2:  # of these the save was seen
            wait_until(lambda trial=trial: drafts.open_draft(draft_id).conditions[1].text == f"Text {trial}.")  # type: ignore[misc]
            before = f"Text {trial}."
        page.wait_for_timeout(float(rng.uniform(0, 300)))
        kill(served, str(rng.choice(["both", "server", "command"])))
        there = drafts.open_draft(draft_id)
        assert there.conditions[1].text in (before, f"Text {trial}."), there
        assert there.model_copy(update={"conditions": make_draft().conditions}) == make_draft()
        before = there.conditions[1].text
        page.goto("about:blank")  # a window that stays open would write its text again
    assert [row["draft_id"] for row in drafts.list_drafts()] == [draft_id]
