"""The verdict line: whether a model has earned trust, in words and color, before any of its numbers."""

import streamlit as st

from pages.view import state
from pages.view.words import escape
from socrates_core.analysis.verdict import Level
from socrates_core.verdicts.verdict import Verdict

COLORS: dict[Level, str] = {
    "not measured": "gray",
    "worse": "red",
    "guessing": "orange",
    "shares": "orange",
    "conditions": "blue",
    "sizes": "green",
}
ICONS: dict[Level, str] = {
    "not measured": ":material/help:",
    "worse": ":material/block:",
    "guessing": ":material/casino:",
    "shares": ":material/bar_chart:",
    "conditions": ":material/compare_arrows:",
    "sizes": ":material/verified:",
}


def show_verdict(verdict: Verdict, *, name: bool = False) -> None:
    """The verdict in a colored line, what it rests on under it, and a way to measure a model that was not.

    `name` puts the model's name first, where several models have a verdict.
    """
    subject = f"**{escape(verdict.model)}:** " if name else ""
    color = COLORS[verdict.level]
    sentence = escape(verdict.sentence)
    st.markdown(f"{ICONS[verdict.level]} {subject}:{color}[**{sentence}**]")
    if verdict.detail:
        st.caption(escape(verdict.detail))
    if verdict.remedy:
        st.caption(escape(verdict.remedy))
        st.page_link(
            state.PAGES.compare,
            label="Measure this model",
            icon=":material/add:",
            query_params={"new": "1", "model": verdict.model},
        )
