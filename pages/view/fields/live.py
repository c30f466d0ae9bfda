"""A job while it runs: progress, time left, cancel, resume. Reads folders only."""

from collections.abc import Callable

import psutil
import streamlit as st

from pages.view.words import counted, escape, show_error, visible
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import Progress, describe_seconds, read_progress
from socrates_core.jobs.store import RESUMABLE, Job
from socrates_core.jobs.worker_process import ensure_worker, worker_lives
from socrates_core.settings import home

ICONS = {
    "queued": ":material/schedule:",
    "running": ":material/sync:",
    "done": ":material/check_circle:",
    "failed": ":material/error:",
    "cancelled": ":material/cancel:",
    "lost": ":material/help:",
}


def show_job(job: Job) -> None:
    """The job's state and its buttons. Refreshes itself while the job is active."""
    if job.active:
        live(_show_active, "1s", job.id)
        return
    if job.state == "done":
        return
    sentence = job.message or f"This job is {job.state}."
    show = st.error if job.state == "failed" else st.warning
    show(escape(sentence), icon=ICONS[job.state])
    if job.state in RESUMABLE and st.button("Resume", icon=":material/play_arrow:", key=f"resume_{job.id}"):
        store.resume(job.id)
        ensure_worker()
        st.rerun()


def live(show: Callable[..., None], every: str, *arguments: str) -> None:
    """Draws `show` again and again; its reruns do not pass through app.py, so its errors are shown here."""

    def guarded() -> None:
        try:
            show(*arguments)
        except UserError as error:
            show_error(error)

    st.fragment(guarded, run_every=every)()


def _show_active(job_id: str) -> None:
    job = store.read_job(job_id)
    if not job.active:
        st.rerun()
    progress = read_progress(job)
    if job.state == "queued":
        st.info(escape(_waiting(job)), icon=ICONS["queued"])
        if any(other.state == "queued" for other in store.jobs_ahead_of(job)) and st.button(
            "Run this one next", icon=":material/vertical_align_top:", key=f"first_{job_id}"
        ):
            store.put_first(job_id)
            st.rerun()
        if not worker_lives():
            ensure_worker()
    elif progress is None or not progress.total:
        st.info("Starting.", icon=ICONS["running"])
    else:
        st.progress(progress.done / progress.total, text=escape(progress_text(progress)))
    stopping = store.cancel_requested(job)
    stop = "Stop and keep the best" if job.kind == "train" else "Cancel"
    if st.button(
        "Stopping after this batch" if stopping else stop,
        icon=":material/stop_circle:",
        disabled=stopping,
        key=f"cancel_{job_id}",
    ):
        store.cancel(job_id)
        st.rerun()


def _waiting(job: Job) -> str:
    """What a queued job waits for."""
    before = store.waits_for(job)
    if before:
        return f"Waiting until job {before[0].number}, {before[0].title}, is done."
    n = len(store.jobs_ahead_of(job))
    return f"Waiting: {counted(n, 'job')} before this one." if n else "Waiting for the worker to take it."


def show_log(job: Job) -> None:
    """The end of the job's log, filtered by level and text."""
    left, right = st.columns([1, 3])
    level = left.selectbox("Level, at least", store.LEVELS, key=f"log_level:{job.id}")
    text = right.text_input("Search the log", key=f"log_search:{job.id}", placeholder="a word or an error")
    lines = store.read_log(job, level=level, text=text)
    if not lines:
        any_entry = store.read_log(job, last=1)
        st.caption("No entry of the log is like this." if any_entry else "Nothing is logged yet.")
        return
    with st.container(height=min(400, 60 + 22 * len(lines)), border=False, autoscroll=True):
        st.code(visible("\n".join(lines)), language=None)


def machine_text() -> str:
    """The free memory and disk of this machine."""
    memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(home()))
    return (
        f"Free: {memory.available / 2**30:.1f} of {memory.total / 2**30:.0f} GB of memory, "
        f"{disk.free / 2**30:.1f} of {disk.total / 2**30:.0f} GB of disk."
    )


def progress_text(progress: Progress, *, active: bool = True) -> str:
    """Counts and rate in one line, with the time left if the job is active."""
    parts = [f"{progress.phase}: {progress.done:,} of {progress.total:,}"]
    if progress.cached:
        parts.append(f"{progress.cached:,} of them there before")
    if progress.rate:
        slow = progress.rate < 1
        parts.append(f"{1 / progress.rate:.1f} seconds each" if slow else f"{progress.rate:.1f} a second")
    if progress.rate and active:
        parts.append(f"{describe_seconds(progress.seconds_left)} left")
    if progress.memory_mb and active:
        parts.append(f"{progress.memory_mb / 1024:.1f} GB of memory")
    if progress.accelerator_mb and active:
        parts.append(f"{progress.accelerator_mb / 1024:.1f} GB of the GPU")
    return " · ".join(parts)
