"""Which evaluations are compared: the box that chooses them, kept in the link, and the jobs that still run."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.view.fields.link import linked_multiselect, listed
from pages.view.fields.live import show_job
from pages.view.words import counted, escape, shorten, visible
from socrates_core.errors import UserError
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.jobs import store

Rows = list[dict[str, Any]]


def choose_evaluations(rows: Rows) -> list[str]:
    """The ids in the link, or those chosen in the box. The default is the newest complete one."""
    usable = {row["evaluation_id"]: row for row in rows if row["state"] != "damaged"}
    in_link = listed("evaluations")
    if lost := [evaluation_id for evaluation_id in in_link if evaluation_id not in usable]:
        reasons = {row["evaluation_id"]: row["on"] for row in rows}
        for evaluation_id in lost:
            st.warning(
                escape(
                    reasons.get(evaluation_id, f"There is no evaluation {evaluation_id!r}; choose one here.")
                ),
                icon=":material/help:",
            )
    elif n_damaged := len(rows) - len(usable):
        st.caption(f"{counted(n_damaged, 'damaged evaluation is', 'damaged evaluations are')} not offered.")
    several = len({row["corpus"] for row in usable.values()}) > 1
    complete = [evaluation_id for evaluation_id, row in usable.items() if row["state"] == "complete"] or list(
        usable
    )
    names = {
        evaluation_id: _name(row) + (f" · {visible(str(row['corpus']))}" if several else "")
        for evaluation_id, row in usable.items()
    }
    return linked_multiselect("Evaluations", names, "evaluations", key="evaluations", usual=complete[:1])


def _name(row: Mapping[str, Any]) -> str:
    """The label of an evaluation, without its state: Streamlit drops a choice whose label changes."""
    cap = f"{row['cap']} a cell" if row.get("cap") else "everybody"
    day = str(row.get("created"))[:19].replace("T", " ")
    return visible(f"{row.get('model')} · {shorten(str(row.get('on')), 40)} · {cap} · {day}")


def ready(ids: list[str]) -> list[Evaluation]:
    """The evaluations that have answers. For the others, the page says how far they are or what is wrong."""
    evaluations = []
    for evaluation_id in ids:
        active = _show_job(evaluation_id)
        try:
            evaluation = load_evaluation(evaluation_id)
        except UserError as error:
            if not active:
                st.warning(escape(str(error)), icon=":material/help:")
            continue
        evaluations.append(evaluation)
        if evaluation.partial:
            manifest = evaluation.manifest
            st.warning(
                escape(
                    f"{evaluation.model} is not finished: {manifest['n_answered']:,} of {manifest['n_rows']:,} rows "
                    "are answered. Its scores rest on these alone."
                ),
                icon=":material/hourglass_bottom:",
            )
    return evaluations


def _show_job(evaluation_id: str) -> bool:
    """Shows the job of an evaluation until it is done. Returns whether the job is still active."""
    try:
        job = store.read_job(evaluation_id)
    except UserError:
        return False
    if job.state != "done":
        st.caption(escape(job.title))
    show_job(job)
    return job.active
