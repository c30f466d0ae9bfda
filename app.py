"""The dashboard's frame: navigation, page settings and the one place that shows a UserError.

python -m socrates_core app
"""

from pathlib import Path

import streamlit as st

from pages.view.announce import announce_jobs
from pages.view.sign_out import show_sign_out
from pages.view.state import PAGES, enter_page
from pages.view.text import show_error
from socrates_core.errors import UserError, disk_sentence
from socrates_core.settings import check_home

st.set_page_config(
    page_title="Socrates",
    page_icon=str(Path(__file__).parent / "pages" / "view" / "icon.svg"),
    layout="wide",
)

page = st.navigation(
    {
        "Explore": [
            st.Page(PAGES.studies, title="Studies", icon=":material/library_books:", default=True),
            st.Page(PAGES.study, title="Study", icon=":material/experiment:"),
            st.Page(PAGES.map, title="Topic map", icon=":material/scatter_plot:"),
            st.Page(PAGES.import_, title="Import", icon=":material/upload_file:"),
        ],
        "Screen": [
            st.Page(PAGES.draft, title="Draft", icon=":material/edit_note:"),
            st.Page(PAGES.results, title="Results", icon=":material/bar_chart:"),
            st.Page(PAGES.compare, title="Compare", icon=":material/compare_arrows:"),
            st.Page(PAGES.experiment, title="Experiments", icon=":material/stacked_line_chart:"),
            st.Page(PAGES.power, title="Power", icon=":material/bolt:"),
        ],
        "Train": [
            st.Page(PAGES.launch, title="Launch", icon=":material/rocket_launch:"),
            st.Page(PAGES.finetunes, title="Finetunes", icon=":material/show_chart:"),
            st.Page(PAGES.models, title="Models", icon=":material/smart_toy:"),
        ],
        "Activity": [
            st.Page(PAGES.jobs, title="Jobs", icon=":material/list_alt:"),
            st.Page(PAGES.storage, title="Storage", icon=":material/hard_drive:"),
        ],
    }
)
enter_page(page.url_path)
announce_jobs()
show_sign_out()
try:
    check_home()
    page.run()
except UserError as error:
    show_error(error)
except OSError as error:
    sentence = disk_sentence(error)
    if not sentence:
        raise
    show_error(UserError(sentence))
