"""What is stored and how much room it takes: delete with a way back, archive a project, prove that all is whole."""

import streamlit as st

from pages.view import keeping, state
from pages.view.text import escape
from socrates_core.keeping.things import KINDS, sizes

st.title("Storage", anchor=False)
flash = state.pop_flash()
if flash:
    st.success(escape(flash), icon=":material/check:")
told = sizes()
keeping.show_sizes(told)
names = {kind: keeping.PLURALS[kind] for kind in KINDS if told[kind][0]}
if names:
    keeping.show_things(names)
else:
    st.info(
        "Nothing is stored yet. Bring in a study on the page Import, or run `python -m socrates_core setup` for the "
        "starter studies.",
        icon=":material/hard_drive:",
    )
keeping.show_bin()
st.subheader("A project as one file", anchor=False)
keeping.show_archive()
st.subheader("Is everything whole?", anchor=False)
keeping.show_verify()
