"""The link with which a person who signed in with the access token signs out."""

import os

import streamlit as st

from pages.server.gate import LEAVE
from socrates_core.settings import TOKEN


def show_sign_out() -> None:
    """Shows the link at the end of the sidebar if this dashboard asks for a token."""
    if os.environ.get(TOKEN):
        st.sidebar.link_button("Sign out", LEAVE, type="tertiary", icon=":material/logout:")
