"""The queue, drawn in the sidebar of every page: what runs, and what has ended since the window was opened."""

import streamlit as st

from pages.view import state
from pages.view.fields.live import ICONS
from pages.view.job_links import link_of
from pages.view.words import escape, shorten
from socrates_core.errors import UserError
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import read_progress
from socrates_core.jobs.store import Job

EVERY = "3s"
MOST = 4  # jobs of each kind; the page Jobs has all
ENDED = {"done": "Done", "failed": "Failed", "cancelled": "Cancelled", "lost": "Its process is gone"}


@st.fragment(run_every=EVERY)
def show_queue() -> None:
    """Jobs under way with their progress, and links to what ended; starts a worker if none is running."""
    try:
        jobs = store.list_jobs()
        # The next worker continues a job whose worker died; an open page starts that worker.
        worker_process.ensure_worker()
    except UserError:  # the page itself says what is wrong with the home
        return
    active = [job for job in jobs if job.active]
    ended = state.ended_here(jobs)[:MOST]
    for job in active[:MOST]:
        _show_active(job)
    if len(active) > MOST:
        st.caption(f"and {len(active) - MOST} more in the queue")
    for job in ended:
        _show_ended(job)


def _show_active(job: Job) -> None:
    progress = read_progress(job)
    share = progress.done / progress.total if progress and progress.total else 0.0
    waits = "Waiting: " if job.state == "queued" else ""
    st.progress(min(share, 1.0), text=f"{waits}{escape(shorten(job.title, 40))}")


def _show_ended(job: Job) -> None:
    link = link_of(job)
    page, parameters = (link.page, link.parameters) if link else (state.PAGES.jobs, {"job": job.id})
    st.page_link(
        page,
        label=f"{ENDED[job.state]}: {escape(shorten(job.title, 40))}",
        icon=ICONS[job.state],
        query_params=parameters,
        help=escape(shorten(job.message, 160)) if job.state != "done" and job.message else None,
    )
