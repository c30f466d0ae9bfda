"""Pages through Streamlit's own test harness."""

import pandas as pd
from streamlit.testing.v1 import AppTest

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

APP = str(ROOT / "app.py")
PAGES = [
    "pages/library/library.py",
    "pages/library/study.py",
    "pages/project/draft.py",
    "pages/project/results.py",
    "pages/settings/jobs.py",
]
STUDIES_PAGE, STUDY_PAGE = PAGES[:2]
HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "**bold** _it_ # head\n- list",
    "$\\frac{1}{2}$ and :material/delete: :smile: [a](javascript:alert(1))",
    "\u202eright to left\u202c zero\u200bwidth",
    "`code` ~~~ | table | <!-- x --> &lt; \\",
]


STUDY_VIEWS = (
    "Overview",
    "Answers",
    "Effects",
    "People",
    "Conditions",
    "Outcomes",
    "Exact prompt",
    "Similar",
    "About",
)


def open_page(page: str, **parameters: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=PATIENCE)
    app.query_params.update(parameters)
    app.switch_page(page).run()
    return app


def table_of(app: AppTest, key: str) -> pd.DataFrame:
    """The table that `choose_row` drew under `key`."""
    (found,) = (each.value for each in app.dataframe if str(each.key).startswith(f"{key}:"))
    return found


def fine(app: AppTest) -> str:
    """All that the page shows as text, once it is known to hold neither a bug nor an error."""
    assert not app.exception and not app.error
    kinds = (
        "title",
        "header",
        "subheader",
        "markdown",
        "caption",
        "text",
        "info",
        "warning",
        "success",
        "code",
    )
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))


def fine_words(app: AppTest) -> str:
    """The same without the marks that keep a text from being Markdown."""
    return fine(app).replace("\\", "")
