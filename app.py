"""The dashboard's frame: navigation, page settings and the one place that shows a UserError.

python -m socrates_core app
"""

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from pages.server.sign_out import show_sign_out
from pages.view.queue import show_queue
from pages.view.state import ADDRESSES, OLD_ADDRESSES, PAGES, enter_page, redirect
from pages.view.words import show_error
from socrates_core.errors import UserError, disk_sentence
from socrates_core.settings import check_home


def _page(file: str, title: str, icon: str) -> StreamlitPage:
    return st.Page(
        file, title=title, icon=f":material/{icon}:", url_path=ADDRESSES[file], default=file == PAGES.home
    )


PLACES = {
    "Home": [_page(PAGES.home, "Home", "home")],
    "Library": [
        _page(PAGES.studies, "Studies", "library_books"),
        _page(PAGES.study, "Study", "experiment"),
        _page(PAGES.map, "Topic map", "scatter_plot"),
        _page(PAGES.import_, "Import", "upload_file"),
    ],
    "Project": [
        _page(PAGES.draft, "Draft", "edit_note"),
        _page(PAGES.results, "Results", "bar_chart"),
        _page(PAGES.compare_runs, "Compare", "compare_arrows"),
        _page(PAGES.experiment, "Experiments", "stacked_line_chart"),
        _page(PAGES.power, "Power", "bolt"),
    ],
    "Evidence": [_page(PAGES.compare, "Evidence", "verified")],
    "Models": [
        _page(PAGES.launch, "Launch", "rocket_launch"),
        _page(PAGES.finetunes, "Finetunes", "show_chart"),
        _page(PAGES.models, "Models", "smart_toy"),
    ],
    "Settings": [
        _page(PAGES.jobs, "Jobs", "list_alt"),
        _page(PAGES.storage, "Storage", "hard_drive"),
    ],
}
MOVED = [
    st.Page(redirect(page), title="Moved", url_path=address, visibility="hidden")
    for address, page in OLD_ADDRESSES.items()
]
# Expanded: with the queue below them, the last pages would hide behind a button.
page = st.navigation({**PLACES, "": MOVED}, expanded=True)
st.set_page_config(
    page_title="Socrates" if page.title == "Home" else f"{page.title} · Socrates",
    page_icon=str(Path(__file__).parent / "pages" / "view" / "icon.svg"),
    layout="wide",
)
# Before the page is drawn, since it may restore the page's link and start again.
enter_page(page.url_path)
with st.sidebar:
    show_queue()
show_sign_out()
try:
    check_home()
    page.run()
except UserError as error:
    show_error(error)
# A full disk or a closed folder can stop any page. Every other OSError is a bug and stays loud.
except OSError as error:
    sentence = disk_sentence(error)
    if not sentence:
        raise
    show_error(UserError(sentence))
