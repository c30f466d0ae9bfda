"""Every job: its state, progress and log; cancel and resume."""

import streamlit as st

from pages.view import state
from pages.view.fields.live import ICONS, live, machine_text, progress_text, show_job, show_log
from pages.view.text import counted, escape, visible
from pages.view.widgets import linked_box
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


def _leads_to(job: Job) -> tuple[str, str, str, dict[str, str]]:
    """The page that shows what the job makes, with a label, an icon and a link; no page where there is nothing yet."""
    pages, done = state.PAGES, job.state == "done"
    if job.kind == "simulate":
        return pages.results, "Open the results", "bar_chart", {"run": str(job.args["run_id"])}
    if job.kind == "train":
        return pages.finetunes, "Open the finetune", "show_chart", {"trainings": str(job.args["training_id"])}
    if job.kind == "evaluate" and job.state != "queued":
        linked = {"evaluations": str(job.args["evaluation_id"])}
        return pages.compare, "Open the comparison", "compare_arrows", linked
    if job.kind == "import" and done and "upload_id" in job.args:
        found = store.read_result(job)
        linked = {"corpus": str(found["corpus"]), "study": str(found["study_id"])}
        return pages.study, "Open the study", "experiment", linked
    if job.kind in ("merge", "fetch") and done:
        return pages.models, "Open the models", "smart_toy", {}
    return "", "", "", {}


def show_one(job: Job) -> None:
    st.subheader(escape(job.title), anchor=False)
    show_job(job)
    told = f"{job.state} since {job.changed[:19].replace('T', ' ')} UTC · {job.id}"
    st.caption(f"{ICONS[job.state]} {escape(told)}")
    progress = read_progress(job)
    if progress and progress.total and not job.active:
        st.caption(escape(progress_text(progress, active=False)))
    page, label, icon, linked = _leads_to(job)
    if page:
        st.page_link(page, label=label, icon=f":material/{icon}:", query_params=linked)
    st.markdown("**Log**")
    show_log(job)


def show_cache(*, busy: bool) -> None:
    """What is stored of each model, and room to be made."""
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
        told = "Wait until no job is queued or running: it may need these answers." if busy else None
        if (
            st.button("Forget them", disabled=busy or chosen is None, help=told, key="cache_forget")
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
chosen = linked_box("Job", titles, linked, key="job_box")
state.set_parameters(job=chosen)
show_one(store.read_job(chosen))
show_cache(busy=active > 0)
