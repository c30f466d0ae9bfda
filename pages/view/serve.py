"""Starts the dashboard's server: python -m pages.view.serve HOST PORT, with the access token in SOCRATES_TOKEN.

Streamlit takes a `pages` folder for its old kind of navigation until app.py has run once, and greets a deep
link that comes first after a start with "Page not found"; so it is told beforehand.
"""

import os
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from pages.view import charts  # noqa: F401  # these two take a second to import: now, not in the first visit
from pages.view.gate import Gate
from socrates_core.settings import TOKEN
from socrates_core.simulation import results  # noqa: F401

APP = Path(__file__).parents[2] / "app.py"


def serve(host: str, port: int) -> None:
    """Serves app.py until it is stopped."""
    PagesManager.uses_pages_directory = False
    gate = Middleware(Gate, host=host, port=port, token=os.environ.get(TOKEN, ""))
    sys.argv = [str(APP)]
    st.App(APP, middleware=[gate]).run(config={"server.address": host, "server.port": port})


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
