"""What a released model takes and is worth, before it is fetched; one click fetches it and opens the drafts with it."""

import streamlit as st

from pages.view import state
from pages.view.words import escape, show_error
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import Resources, resources
from socrates_core.errors import UserError
from socrates_core.finetuning.library import LibraryModel
from socrates_core.finetuning.model_jobs import plan_download, submit_fetch
from socrates_core.jobs import store
from socrates_core.models import hub
from socrates_core.models.catalog import HubModel, released
from socrates_core.models.sizes import GB


def show_button(model: LibraryModel, action: st.delta_generator.DeltaGenerator) -> None:
    """The button that fetches the model and goes on to the drafts; runs that are started there wait for it."""
    if not action.button(
        "Fetch and use", type="primary", icon=":material/download:", width="stretch", key="model_fetch"
    ):
        return
    try:
        with st.spinner("Asking Hugging Face"):
            job = submit_fetch(plan_download(model.name))
    except UserError as error:
        show_error(error)
        return
    state.set_flash(f"Job {job.number} fetches {model.card.title}. Runs that you start wait for it.")
    state.go_to(state.PAGES.draft, model=model.name)


def show_facts(model: LibraryModel) -> None:
    """Size, memory, speed here and licence, next to the published score in the verdict above.

    For a fetched model also whether there is a newer one.
    """
    facts = released(model.name)
    if facts is not None:
        for line in _lines(facts, model):
            st.markdown(escape(line))
    if model.card.installed:
        _show_update(model)


def _lines(facts: HubModel, model: LibraryModel) -> list[str]:
    lines = [
        f"Size: {facts.n_bytes / GB:.1f} GB in bf16." + (" On this machine." if model.card.installed else "")
    ]
    try:
        with st.spinner("Looking how fast it reads here"):
            needed = resources(ModelRequest(model.name))
    except UserError as error:
        lines.append(str(error))
    else:
        if needed is not None:
            lines += [f"Here: {needed.sentence}", _speed(needed)]
    lines.append(
        f"Licence: that of its base {facts.base.name}, {facts.base.licence}; its page on the hub has the last word."
    )
    return lines


def _speed(needed: Resources) -> str:
    if needed.tokens_per_second is None:
        return f"Speed here: not known. {needed.basis}"
    per_minute = 60 * needed.tokens_per_second / 300
    return f"Speed here: about {per_minute:,.0f} questions of 300 tokens a minute, {needed.basis}."


def _show_update(model: LibraryModel) -> None:
    commit = hub.pinned(model.name)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption(
            f"Kept at commit {commit[:12] if commit else 'unknown'}; it changes only when you update it."
        )
        if st.button("Look for an update", icon=":material/update:", key="model_update"):
            _offer_update(model, commit)


@st.dialog("Update this model?")
def _offer_update(model: LibraryModel, commit: str | None) -> None:
    try:
        with st.spinner("Asking Hugging Face"):
            plan = plan_download(model.name)
    except UserError as error:
        show_error(error)
        return
    if plan.commit == commit:
        st.markdown("There is no newer version.")
        return
    active = any(job.active and job.kind == "fetch" for job in store.list_jobs())
    st.markdown(
        f"The hub has commit {plan.commit[:12]}. At most {plan.n_bytes / GB:.1f} GB are fetched. Its answers are new "
        "answers: those of the version here stay, under their own name."
    )
    if st.button("Update it", type="primary", disabled=active, key="update_start"):
        state.go_to(state.PAGES.jobs, job=submit_fetch(plan).id)
