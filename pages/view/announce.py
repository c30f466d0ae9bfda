"""Notes on any page that a job has ended, and starts a worker if none is running."""

import streamlit as st

from pages.view import state
from pages.view.fields.live import ICONS
from pages.view.words import escape, shorten
from socrates_core.errors import UserError
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import Job

EVERY = "3s"
ENDED = {"done": "Done", "failed": "Failed", "cancelled": "Cancelled", "lost": "Its process is gone"}


@st.fragment(run_every=EVERY)
def announce_jobs() -> None:
    """A note for each job that was active when this session last looked and has ended since."""
    try:
        jobs = store.list_jobs()
        # The next worker continues a job whose worker died; an open page starts that worker.
        worker_process.ensure_worker()
    except UserError:  # the page itself says what is wrong with the home
        return
    for job in state.newly_ended(jobs):
        _announce(job)


def _announce(job: Job) -> None:
    ending = f"{ENDED[job.state]}: {shorten(job.title)}."
    cause = "" if job.state == "done" else f" {shorten(job.message, 160)}"
    st.toast(
        f"**{escape(ending)}**{escape(cause)} [Open the job](/jobs?job={job.id})",
        icon=ICONS[job.state],
        duration="long",
    )
