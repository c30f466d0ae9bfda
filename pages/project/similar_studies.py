"""Past studies like a draft, next to it: what people answered when somebody asked nearly the same."""

import streamlit as st

from pages.view import cached, state
from pages.view.words import escape
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.start import near_draft

MOST = 5


def show_similar_studies(draft: Draft) -> None:
    """Links to the studies whose texts are most like the draft's, with the words in common."""
    titles = cached.titles()
    alike = near_draft(draft, sorted({corpus for corpus, _ in titles}), MOST) if titles else []
    if not alike:
        return
    with st.expander("Past studies like this draft", icon=":material/library_books:"):
        for study in alike:
            st.page_link(
                state.PAGES.study,
                label=escape(titles[study.corpus, study.study_id]),
                icon=":material/experiment:",
                query_params={"corpus": study.corpus, "study": study.study_id},
            )
            st.caption(escape(f"Words in common: {', '.join(study.shared)}"))
