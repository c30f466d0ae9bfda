"""The page that imports a researcher's own file."""

import io

from streamlit.testing.v1 import AppTest

from pages.view.state import PAGES
from socrates_core.importing.uploads import Upload, keep_files
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

CSV = "id,arm,gender,How warm?\n" + "".join(
    f"{n},{'ab'[n % 2]},{('Female', 'Male')[n % 3 == 0]},{n % 7 + 1}\n" for n in range(40)
)


def kept(text: str = CSV, name: str = "warm.csv") -> Upload:
    return keep_files([(name, io.BytesIO(text.encode()))])


def shown(upload_id: str = "") -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    if upload_id:
        app.query_params["upload"] = upload_id
    return app.switch_page(PAGES.import_).run()


def said(app: AppTest) -> str:
    parts = [*app.markdown, *app.error, *app.warning, *app.info, *app.caption, *app.success, *app.code]
    return "\n".join(str(part.value) for part in parts).replace("\\", "")
