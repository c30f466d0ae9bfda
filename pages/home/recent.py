"""What was done lately on this home, and which models are here, with what they are worth."""

import streamlit as st

from pages.view.fields.live import ICONS
from pages.view.job_links import link_of
from pages.view.state import PAGES
from pages.view.verdict_line import show_verdict
from pages.view.words import escape, shorten
from socrates_core.jobs import store
from socrates_core.models.catalog import list_models
from socrates_core.projects import drafts
from socrates_core.verdicts.verdict import verdict_of

MOST = 5
ON_THIS_MACHINE = ("local", "hub")  # the kinds of models that answer without a server


def show_recent_work() -> None:
    """The latest drafts and jobs, each with a link; nothing on a new home."""
    latest = drafts.list_drafts()[:MOST]
    jobs = store.list_jobs()[::-1][:MOST]
    if not latest and not jobs:
        return
    left, right = st.columns(2)
    with left:
        st.subheader("Your drafts", anchor=False)
        for row in latest:
            title = escape(shorten(str(row["title"]), 60))
            st.page_link(
                PAGES.draft, label=title, icon=":material/edit_note:", query_params={"draft": row["draft_id"]}
            )
        if not latest:
            st.caption("None yet.")
    with right:
        st.subheader("What runs and what ran", anchor=False)
        for job in jobs:
            link = link_of(job)
            label = f"{job.state.capitalize()}: {escape(shorten(job.title, 42))}"
            page, linked = (link.page, link.parameters) if link else (PAGES.jobs, {"job": job.id})
            st.page_link(page, label=label, icon=ICONS[job.state], query_params=linked)


def show_models() -> None:
    """The models that can answer here, each with its verdict, and the way to a real one."""
    here = [card for card in list_models() if card.installed and card.kind in ON_THIS_MACHINE]
    st.subheader("Models on this machine", anchor=False)
    for card in here:
        show_verdict(verdict_of(card.name), name=True)
    if not here:
        st.caption("None yet. Run `make setup`, then reload.")
    if all(card.name == "starter" for card in here):
        st.caption(
            "The starter model is a toy: it shows how everything works, and its numbers are worth nothing. The "
            "released Socrates models were trained on people's answers. Each card says what its model needs. A model "
            "on a server of your own works too."
        )
    st.page_link(PAGES.models, label="All models, and how to get a real one", icon=":material/smart_toy:")
