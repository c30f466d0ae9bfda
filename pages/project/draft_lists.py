"""The list of drafts, and the list of a draft's versions."""

import difflib

import streamlit as st

from pages.project import draft_form
from pages.view import state
from pages.view.fields.table import choose_row
from pages.view.state import Editing
from pages.view.words import shorten, visible
from socrates_core.projects import drafts
from socrates_core.surveys.draft import render_draft


def show_drafts() -> None:
    """Every draft, to open; and the bin, to restore one."""
    rows = drafts.list_drafts()
    if not rows:
        st.info(
            "A draft holds the conditions and outcomes you want to try. Start with **New draft**, or open a study "
            "and choose **Draft from this study** to change a real experiment.",
            icon=":material/edit_note:",
        )
    else:
        chosen = choose_row(
            [{**row, "title": visible(row["title"])} for row in rows],
            [str(row["draft_id"]) for row in rows],
            column_order=["title", "changed", "n_conditions", "n_outcomes", "n_versions"],
            key="drafts_table",
            column_config={
                "title": st.column_config.TextColumn("Draft", width="large"),
                "changed": st.column_config.DatetimeColumn("Changed", format="distance"),
                "n_conditions": "Conditions",
                "n_outcomes": "Outcomes",
                "n_versions": "Versions",
            },
        )
        st.caption("Choose a row to open the draft.")
        if chosen is not None:
            state.go_to(state.PAGES.draft, draft=chosen)
    binned = drafts.deleted_titles()
    if binned:
        with st.expander(f"Bin ({len(binned)})", icon=":material/delete:", expanded=len(binned) < 4):
            for draft_id, title in binned.items():
                name, back = st.columns([4, 1], vertical_alignment="center")
                name.text(visible(title))
                if back.button("Bring back", key=f"restore_{draft_id}"):
                    drafts.DRAFTS.restore(draft_id)
                    st.rerun()


def show_versions(editing: Editing) -> None:
    """Keeps the current draft as a version; compares and reopens older versions."""
    note = st.text_input("Note for this version (optional)", key="version_note")
    if st.button("Keep this version", icon=":material/bookmark_add:", key="version_keep"):
        number = drafts.keep_version(editing.draft_id, editing.draft, note)
        st.success(f"Kept as version {number}.")
    kept = drafts.versions(editing.draft_id)
    if not kept:
        st.caption("No version is kept yet. A run keeps one by itself.")
        return
    number = st.selectbox(
        "Version",
        [version.number for version in kept],
        key="version_number",
        format_func=lambda n: next(
            f"{v.number} · {v.saved[:16]} · {shorten(v.note, 40)}" for v in kept if v.number == n
        ),
    )
    version = next(v for v in kept if v.number == number)
    st.button(
        "Reopen this version",
        icon=":material/restore:",
        key="version_reopen",
        on_click=draft_form.change,
        args=(editing, lambda _: version.draft),
        help="Undo brings the present draft back.",
    )
    st.caption("What changed since this version")
    st.code(visible(differences(render_draft(version.draft), render_draft(editing.draft))), language="diff")


def differences(before: str, after: str) -> str:
    """The lines that differ between two drafts as YAML, or a sentence if none do."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "version", "now", n=1, lineterm="")
    return "\n".join(lines) or "Nothing."
