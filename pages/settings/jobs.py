"""Every job: its state, progress, and log; cancel and resume."""

import streamlit as st

from pages.view import state
from pages.view.fields.link import linked_box
from pages.view.fields.live import ICONS, live, machine_text, progress_text, show_job, show_log
from pages.view.job_links import link_of
from pages.view.words import counted, escape, visible
from socrates_core.asking.cache import open_cache
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import read_progress
from socrates_core.jobs.store import Job
from socrates_core.jobs.worker_process import worker_lives


def row(job: Job) -> dict[str, object]:
    progress = read_progress(job)
    return {
        "number": job.number,
        "title": visible(job.title),
        "kind": job.kind,
        "state": job.state,
        "share": progress.done / progress.total if progress and progress.total else None,
        "created": job.created,
        "message": visible(job.message),
    }


def show_table(jobs: list[Job]) -> None:
    st.dataframe(
        [row(job) for job in jobs],
        hide_index=True,
        key="jobs_table",
        column_config={
            "number": st.column_config.NumberColumn("No.", width="small"),
            "title": st.column_config.TextColumn("Job", width="medium"),
            "kind": "Kind",
            "state": "State",
            "share": st.column_config.ProgressColumn("Progress", format="percent"),
            "created": st.column_config.DatetimeColumn("Submitted", format="distance"),
            "message": st.column_config.TextColumn("Cause", width="medium"),
        },
    )


def live_table() -> None:
    jobs = store.list_jobs()[::-1]
    show_table(jobs)
    if not any(job.active for job in jobs):
        st.rerun()


def show_one(job: Job) -> None:
    st.subheader(escape(job.title), anchor=False)
    show_job(job)
    facts = f"{job.state} since {job.changed[:19].replace('T', ' ')} UTC · {job.id}"
    st.caption(f"{ICONS[job.state]} {escape(facts)}")
    progress = read_progress(job)
    if progress and progress.total and not job.active:
        st.caption(escape(progress_text(progress, active=False)))
    if link := link_of(job):
        st.page_link(
            link.page, label=link.label, icon=f":material/{link.icon}:", query_params=link.parameters
        )
    st.markdown("**Log**")
    show_log(job)


def show_cache(*, busy: bool) -> None:
    """The stored answers of each model, and a button that forgets some."""
    with open_cache() as cache:
        shelves = cache.by_model()
    if not shelves:
        return
    total = sum(shelf.n_answers for shelf in shelves)
    size = sum(shelf.n_bytes for shelf in shelves) / 1e6
    with st.expander(f"Answer cache: {total:,} answers, about {size:,.1f} MB"):
        st.caption(
            "Answers that were worked out once are used again. Forgetting some costs time, never a result."
        )
        table = [
            {
                "Model": visible(shelf.model),
                "Answers": shelf.n_answers,
                "MB": shelf.n_bytes / 1e6,
                "First": shelf.first,
                "Last": shelf.last,
            }
            for shelf in shelves
        ]
        st.dataframe(
            table, hide_index=True, column_config={"MB": st.column_config.NumberColumn(format="%.1f")}
        )
        names = {shelf.fingerprint: f"{shelf.model} · since {shelf.first}" for shelf in shelves}
        chosen = st.selectbox(
            "Forget the answers of", list(names), format_func=names.__getitem__, index=None, key="cache_prune"
        )
        hint = "Wait until no job is queued or running: it may need these answers." if busy else None
        if (
            st.button("Forget them", disabled=busy or chosen is None, help=hint, key="cache_forget")
            and chosen
        ):
            with open_cache() as cache:
                removed = cache.prune(chosen)
            st.toast(f"{removed:,} answers forgotten")
            st.rerun()


st.title("Jobs", anchor=False)
jobs = store.list_jobs()[::-1]
if not jobs:
    st.info(
        "Simulations run here, one after the other, also while this window is closed. There are none yet: "
        "open a draft and choose **Run simulation**.",
        icon=":material/list_alt:",
    )
    st.stop()
active = sum(job.active for job in jobs)
works = (
    "The worker is running." if active or worker_lives() else "No worker is running; the next job starts one."
)
st.caption(f"{counted(len(jobs), 'job')}, {active} of them queued or running. {works}  \n{machine_text()}")
if active:
    live(live_table, "2s")
else:
    show_table(jobs)
titles = {job.id: f"{job.number} · {job.title}" for job in jobs}
linked = state.parameter("job")
if linked and linked not in titles:
    st.warning(
        escape(str(UserError(f"There is no job {linked!r}; choose one here."))), icon=":material/help:"
    )
chosen = linked_box("Job", titles, linked, lambda job_id: {"job": job_id}, key="job_box")
show_one(store.read_job(chosen))
show_cache(busy=active > 0)
