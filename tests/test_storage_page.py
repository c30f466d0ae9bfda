"""The page Storage: sizes, the bin, archives and verdicts, clicked through."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pages.view.state import PAGES
from socrates_core.keeping.things import KINDS, bin_things, delete, things
from socrates_core.projects import drafts
from socrates_core.settings import folder
from tests.support.drafts import make_draft
from tests.support.jobs import a_run
from tests.support.pages import fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")


def test_an_empty_home_says_what_to_do_first(home: Path) -> None:
    app = open_page(PAGES.storage)
    fine(app)
    assert "Nothing is stored yet" in app.info[0].value
    assert app.button(key="archive_write").disabled


def test_what_is_stored_is_shown_by_kind_and_by_size(home: Path) -> None:
    run_id = a_run()
    app = open_page(PAGES.storage, kind="run")
    fine(app)
    assert set(app.dataframe[0].value["Kind"]) >= {"Runs", "Drafts", "Jobs", "Answer cache"}
    assert list(app.dataframe[1].value["Name"]) == [run_id]
    fine(open_page(PAGES.storage, kind="nothing"))


def test_the_bin_brings_back_and_is_emptied_only_on_a_second_thought(home: Path) -> None:
    first, second = (drafts.create(make_draft(title=title)) for title in ("One", "Two"))
    delete(KINDS["draft"], first)
    delete(KINDS["draft"], second)
    app = open_page(PAGES.storage)
    next(button for button in app.button if button.label == "Bring back").click().run()
    fine(app)
    assert len(things(KINDS["draft"])) == 1 and len(bin_things()) == 1 and "is back" in app.success[0].value
    assert app.button(key="bin_empty").disabled
    app.checkbox(key="bin_sure").check().run()
    app.button(key="bin_empty").click().run()
    fine(app)
    assert bin_things() == [] and "deleted for good" in app.success[0].value


def test_an_archive_is_written_and_everything_verified(home: Path) -> None:
    run_id = a_run()
    app = open_page(PAGES.storage)
    app.button(key="archive_write").click().run()
    fine(app)
    assert len(list((home / "archives").glob("*.zip"))) == 1
    app.button(key="verify").click().run()
    fine(app)
    assert "0 not" in app.success[-1].value
    path = folder("runs", run_id) / "people.parquet"
    pq.write_table(pq.read_table(path)[1:], path)
    app.button(key="verify").click().run()
    assert "1 not" in app.error[0].value and list(app.dataframe[-1].value["Name"]) == [run_id]
