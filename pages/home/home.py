"""The first page: an idea in three fields, three doors to places, recent work, and the models that are here."""

import streamlit as st

from pages.home.idea import show_idea
from pages.home.recent import show_models, show_recent_work
from pages.view.state import PAGES, open_old_link


def show_doors() -> None:
    past, plan, check = st.columns(3, border=True)
    with past:
        st.subheader("Look at a past study", anchor=False)
        st.markdown("People's answers by condition, with effects, texts and the exact prompt.")
        st.page_link(PAGES.studies, label="Open the library", icon=":material/library_books:")
    with plan:
        st.subheader("Plan a study", anchor=False)
        st.markdown("Draft conditions and questions, choose who answers, and predict the result.")
        st.page_link(PAGES.draft, label="Open the drafts", icon=":material/edit_note:")
    with check:
        st.subheader("Check a model", anchor=False)
        st.markdown("How close a model's answers come to people's, on people it has not seen.")
        st.page_link(PAGES.compare, label="Open the evidence", icon=":material/verified:")


open_old_link()
st.title("Socrates")
st.markdown(
    "Browse what people answered, plan a survey, and see how far you can trust a model before you pay for it."
)
show_doors()
show_idea()
show_recent_work()
show_models()
