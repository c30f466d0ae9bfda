"""Import a study or SocSci210: upload, see what was recognized, correct it in tables, import."""

import streamlit as st

from pages.library import import_form, import_preview
from pages.view import state
from pages.view.words import show_error
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study, is_own_study
from socrates_core.importing.check import find_problems
from socrates_core.importing.mapping import render_mapping, save_mapping
from socrates_core.importing.uploads import forget, open_upload

OWN = "My own study"
HUGE = "SocSci210"
NOTHING = dict.fromkeys(("upload", "job", "randomisers"))


def own_study(upload_id: str) -> None:
    upload = open_upload(upload_id)
    opened = import_form.read_upload(upload.upload_id)
    editing = import_form.editing_of(upload, opened)
    at_work = import_form.follow_job(editing)
    # Shown here, filled in at the end: whether a button works depends on everything below.
    actions = st.container(horizontal=True, vertical_alignment="center")
    summary = st.container()
    try:
        mapping = import_form.edit(editing, opened)
    except UserError as error:
        with summary:
            show_error(error)
        return
    save_mapping(mapping, upload.mapping_path)
    seen = import_form.seen(upload.upload_id, render_mapping(mapping))
    with summary:
        questions = import_form.questions_of(upload.upload_id, opened, mapping)
        import_preview.show_recognised(opened, mapping, seen, questions)
    import_preview.show_preview(seen)
    import_preview.show_replay(upload, mapping)
    taken = is_own_study(mapping.study.study_id)
    with actions:
        label = "Replace the imported study" if taken else "Import study"
        stopped = find_problems(opened.table, mapping) if upload.is_large else seen.problems
        if st.button(
            label, type="primary", icon=":material/download_done:", disabled=bool(stopped) or at_work
        ):
            if upload.is_large:
                import_form.start_import(upload, mapping)
            name = import_study(opened.table, mapping)
            state.go_to(state.PAGES.study, corpus=name, study=mapping.study.study_id)
        if st.button("Remove the uploaded files", type="tertiary", icon=":material/delete:"):
            forget(upload)
            state.set_importing(None)
            state.set_parameters(**NOTHING)
            st.rerun()


st.title("Import", anchor=False)
linked = state.parameter("upload")
if linked:
    if st.button("Another file", type="tertiary", icon=":material/arrow_back:"):
        state.set_parameters(**NOTHING)
        st.rerun()
    try:
        own_study(linked)
    except UserError as error:
        show_error(error)
    st.stop()
kind = st.segmented_control("What to import", [OWN, HUGE], default=OWN, required=True, key="import_kind")
if kind == HUGE:
    import_form.show_socsci210()
else:
    chosen = import_form.choose_files()
    if chosen:
        state.set_parameters(upload=chosen)
        st.rerun()
