"""What models run on here, in a line, and a thorough look at it on request."""

import streamlit as st

from pages.view.words import escape
from socrates_core.models.doctor import Check, examine_apart
from socrates_core.models.graphics_cards import graphics_cards
from socrates_core.models.machine import this_machine
from socrates_core.models.sizes import GB

LINES = {
    "good": ":green[:material/check_circle:]",
    "note": ":gray[:material/info:]",
    "problem": ":red[:material/error:]",
}


def show_machine() -> None:
    """The line, with a button that examines driver, card, memory, disk and hub."""
    machine = this_machine()
    cards = graphics_cards()
    what = f"{cards[0].name}, driver {cards[0].driver}" if cards else "the processor"
    line, button = st.columns([4, 1], vertical_alignment="center")
    line.caption(
        escape(
            f"Models run here on {what}: {machine.free / GB:.1f} of {machine.total / GB:.1f} GB of memory are free; "
            f"computes in {machine.compact}."
        )
    )
    if button.button("Examine this machine", key="machine_examine", width="stretch"):
        with st.spinner("Examining this machine"):
            _show(examine_apart())


def _show(checks: list[Check]) -> None:
    for check in checks:
        st.markdown(f"{LINES[check.state]} **{escape(check.name)}**: {escape(check.sentence)}")
    if not any(check.state == "problem" for check in checks):
        st.caption("Nothing here keeps a model from running.")
