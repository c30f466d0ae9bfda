"""Answers from an earlier version of the scoring: what may be wrong with them, and a button that asks again."""

from collections.abc import Callable, Sequence

import streamlit as st

from pages.view.fields import consent
from pages.view.words import escape
from socrates_core.asking.consent import Sending
from socrates_core.jobs.store import Job


def show_outdated(
    sentence: str,
    label: str,
    sendings: Sequence[Sending],
    again: Callable[[bool], Job],
    then: Callable[[Job], None],
) -> None:
    """Shows what may be wrong, if anything, with a button that asks `again`, after consent where something is sent.

    `then` gets the new job.
    """
    if not sentence:
        return
    st.badge("older scoring", icon=":material/history:", color="orange")
    st.warning(escape(sentence), icon=":material/history:")
    if st.button(label, icon=":material/replay:", key=f"again_{label}"):
        consent.start_with_consent(sendings, lambda agreed: then(again(agreed)))
