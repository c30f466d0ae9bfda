"""What is stored and how large it is: delete and restore, archive a project, verify everything."""

import streamlit as st

from pages.settings import stored_things
from pages.view import state
from pages.view.this_machine import show_machine
from pages.view.words import escape
from socrates_core.keeping.kinds import KINDS, sizes

st.title("Storage", anchor=False)
flash = state.pop_flash()
if flash:
    st.success(escape(flash), icon=":material/check:")
by_kind = sizes()
stored_things.show_sizes(by_kind)
names = {kind: stored_things.PLURALS[kind] for kind in KINDS if by_kind[kind][0]}
if names:
    stored_things.show_things(names)
else:
    st.info(
        "Nothing is stored yet. Bring in a study on the page Import, or run `python -m socrates_core setup` for the "
        "starter studies.",
        icon=":material/hard_drive:",
    )
stored_things.show_bin()
st.subheader("This machine", anchor=False)
show_machine()
st.subheader("A project as one file", anchor=False)
stored_things.show_archive()
st.subheader("Check files", anchor=False)
stored_things.show_verify()
