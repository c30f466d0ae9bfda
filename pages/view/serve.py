"""Starts the dashboard's server: python -m pages.view.serve app.py --server.port 8501

Streamlit takes a `pages` folder for its old kind of navigation until app.py has run once, and greets a deep
link that comes first after a start with "Page not found"; so it is told beforehand.
"""

import sys

from streamlit.runtime.pages_manager import PagesManager
from streamlit.web import cli

from pages.view import charts  # noqa: F401  # these two take a second to import: now, not in the first visit
from socrates_core.simulation import results  # noqa: F401

if __name__ == "__main__":
    PagesManager.uses_pages_directory = False
    sys.argv = ["streamlit", "run", *sys.argv[1:]]
    cli.main()
