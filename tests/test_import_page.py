"""The import page: what was recognised, corrections that are kept, the import itself, in the app and in a browser."""

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from socrates_core.corpus import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.importing import uploads
from socrates_core.importing.mapping import Mapping, load_mapping, mapping_from_dict, save_mapping
from socrates_core.importing.mapping_tables import (
    condition_table,
    demographic_table,
    keep_table,
    mapping_from_tables,
    outcome_table,
    parse_pairs,
    render_pairs,
)
from socrates_core.importing.uploads import keep_files, list_uploads, open_upload, safe_name
from socrates_core.jobs.store import list_jobs
from tests.support.browser import in_browser, open_page, see
from tests.support.import_page import CSV, kept, said, shown
from tests.support.jobs import start_no_worker


def sheets_of(mapping: Mapping) -> dict[str, pd.DataFrame]:
    return {
        "demographics": demographic_table(mapping),
        "conditions": condition_table(mapping),
        "outcomes": outcome_table(mapping),
        "keep": keep_table(mapping),
    }


def told_of(mapping: Mapping) -> dict[str, object]:
    return mapping.model_dump(include={"study", "layout", "participant"})


# the page


def test_the_empty_page_says_what_can_be_brought(home: Path) -> None:
    app = shown()
    assert not app.exception and "Bring an experiment of your own" in said(app)
    assert app.button[0].disabled


@pytest.mark.parametrize(
    "text",
    [
        "name,comment\na,hello\nb,world\nc,x y\n",
        "a\n1\n",
        "id,arm\n1,a\n2,b\n3,a\n",
        "x,x\nfoo,\nbar,\n",
        "score\n1.5\n2.5\n3.25\n",
    ],
    ids=["texts", "one cell", "an arm alone", "one name twice", "decimals"],
)
def test_a_table_in_which_no_answers_are_recognised_is_shown_and_asked_about(home: Path, text: str) -> None:
    app = shown(kept(text).upload_id)
    assert not app.exception
    assert "No column was recognized as answers" in said(app)
    assert "There is no outcome" in said(app)
    assert next(button for button in app.button if button.label == "Import study").disabled


def test_a_column_that_a_person_names_becomes_an_outcome_of_such_a_table(home: Path) -> None:
    upload = kept("who,mood\nx,glad\ny,sad\nz,glad\nw,so so\n")
    app = shown(upload.upload_id)
    next(box for box in app.multiselect if box.label == "More columns with answers").select("mood")
    app.run()
    next(button for button in app.button if button.label == "Add as outcomes").click().run()
    assert not app.exception and "No column was recognized" not in said(app)
    (outcome,) = load_mapping(upload.mapping_path).outcomes
    assert outcome.scale.scale().labels == ((1, "glad"), (2, "sad"), (3, "so so"))


def test_the_page_asks_whether_an_unlabelled_code_is_no_answer(home: Path) -> None:
    app = shown(kept("id,q\n" + "".join(f"{n},{n % 7 + 1}\n" for n in range(30)) + "30,99\n").upload_id)
    assert not app.exception
    assert said(app).count("Do 99 in q mean that there is no answer?") == 1


def test_the_page_shows_what_was_recognised_and_what_is_missing(home: Path) -> None:
    app = shown(kept().upload_id)
    assert not app.exception
    assert "40 rows · 4 columns · 1 demographic · 2 conditions · 1 outcome" in said(app)
    assert "No question is known for 'How warm?'" in said(app)
    assert next(button for button in app.button if button.label == "Import study").disabled


def test_a_corrected_mapping_is_kept_and_imported(home: Path) -> None:
    upload = kept()
    shown(upload.upload_id)
    mapping = load_mapping(upload.mapping_path)
    sheets = sheets_of(mapping)
    sheets["outcomes"].loc[0, "question"] = "How warm do you feel?"
    sheets["conditions"]["text"] = ["Text a.", "Text b."]
    upload.mapping_path.write_text("study: [", encoding="utf-8")
    assert "not valid YAML" in said(shown(upload.upload_id))
    save_mapping(mapping_from_tables(told_of(mapping), sheets), upload.mapping_path)
    app = shown(upload.upload_id)
    assert "would become 40 people with 40 answers" in said(app)
    assert said(app).count("You are a survey respondent") == 3
    assert "import warm.csv --mapping warm.yaml" in said(app)
    next(field for field in app.text_input if field.label == "Title").set_value("Warmth").run()
    next(button for button in app.button if button.label == "Import study").click().run()
    assert not app.exception and corpora() == ["warm"]
    assert open_corpus("warm").study("warm").title == "Warmth"
    assert load_mapping(upload.mapping_path).study.title == "Warmth"


def test_what_cannot_be_read_or_is_gone_is_said_on_the_page(home: Path) -> None:
    assert "neither text nor a known data file" in said(shown(kept("\0\1\2" * 99).upload_id))
    assert "There is no upload '../../etc'" in said(shown("../../etc"))


def test_socsci210_is_started_as_a_job(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_no_worker(monkeypatch)
    app = shown()
    app.segmented_control(key="import_kind").set_value("SocSci210").run()
    assert not app.exception and "2.9 million answers" in said(app)
    app.text_input(key="import_studies").set_value("3ydty, 9nphm").run()
    next(button for button in app.button if button.label == "Start the import").click().run()
    (job,) = list_jobs()
    assert (job.kind, job.args["source"], job.args["studies"]) == ("import", "socsci210", ["3ydty", "9nphm"])


@pytest.mark.parametrize("source", ["", "  ", "no/such/folder"])
def test_no_download_starts_from_an_empty_field_or_a_wrong_path(
    source: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_no_worker(monkeypatch)
    app = shown()
    app.segmented_control(key="import_kind").set_value("SocSci210").run()
    app.text_input(key="import_source").set_value(source).run()
    next(button for button in app.button if button.label == "Start the import").click().run()
    assert not app.exception and list_jobs() == []
    assert ("neither a file nor a folder" if source.strip() else "Fill in the field From") in said(app)


# tables


MAPPING = {
    "study": {"study_id": "s", "title": "S"},
    "participant": "id",
    "layout": "long",
    "demographics": {"gender": {"column": "sex", "values": {"1": "Female", "2": "Male, or: other"}}},
    "conditions": [
        {"name": "A", "text": "Line\nline", "when": {"arm": ["1", "yes"], "we, ird: col": "x"}},
        {"name": "B"},
    ],
    "outcomes": [
        {
            "name": "o",
            "question": "q?",
            "scale": "Only return an integer from 0 to 10, nothing else.",
            "column": "q",
            "missing": ["99", "NA, really"],
            "values": {"None": 0, "Half": 0.5},
            "when": {"item": "3"},
            "column_by_condition": {"B": "qb"},
            "text_by_condition": {"B": "q: {b}?"},
            "scale_by_condition": {"B": "Only return an integer from 0 to 5, nothing else."},
            "proposed": True,
        }
    ],
    "keep": [{"column": "done", "values": ["1", "True"], "reason": "unfinished"}],
}


def test_a_mapping_becomes_tables_and_comes_back_the_same() -> None:
    mapping = mapping_from_dict(MAPPING, "the mapping")
    assert mapping_from_tables(told_of(mapping), sheets_of(mapping)) == mapping


def test_empty_rows_of_a_table_do_not_count() -> None:
    mapping = mapping_from_dict(MAPPING, "the mapping")
    sheets = {name: pd.concat([sheet, pd.DataFrame([{}])]) for name, sheet in sheets_of(mapping).items()}
    assert mapping_from_tables(told_of(mapping), sheets) == mapping


@pytest.mark.parametrize("text", ["arm", "arm: [1", "}{", "a: 1, b", "{{}}: 1", "!!python/name:os.system: 1"])
def test_pairs_that_cannot_be_read_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        parse_pairs(text)


def test_pairs_are_written_plainly() -> None:
    assert render_pairs({"arm": ("1",), "wave": ("1", "2")}) == "arm: 1, wave: [1, 2]"


# uploads


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\data.csv", "data.csv"),
        ("..", "data"),
        (".hidden", "hidden"),
        ("a\0b\n;$(rm).csv", "ab(rm).csv"),
        ("é" * 300, "é" * 100),
    ],
)
def test_names_of_uploads_stay_names(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_an_upload_is_kept_whole_or_not_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_BYTES", 100)
    with pytest.raises(UserError, match="larger than"):
        keep_files([("small.csv", io.BytesIO(b"a,b\n")), ("large.csv", io.BytesIO(b"x" * 101))])
    assert list_uploads() == [] and list((home / "imports").iterdir()) == []
    twice = keep_files([("a/x.csv", io.BytesIO(b"1")), ("b/x.csv", io.BytesIO(b"2"))])
    assert sorted(path.read_bytes() for path in twice.paths) == [b"1", b"2"]
    assert open_upload(twice.upload_id) == twice


# a real browser


@in_browser
def test_a_file_is_uploaded_corrected_in_the_table_and_imported(
    browser: Browser, served: int, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "warm.csv"
    file.write_text(CSV)
    page = open_page(browser, f"http://localhost:{served}/import_study")
    page.locator("input[type=file]").set_input_files(str(file))
    page.get_by_role("button", name="Read the files").click()
    see(page, "No question is known for")
    heading = page.get_by_role("heading", name="Outcomes")
    heading.scroll_into_view_if_needed()
    table = page.get_by_test_id("stDataFrame").filter(has=page.get_by_label("Add row: Outcomes", exact=False))
    box = table.bounding_box()
    assert box
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 52)  # the question of the first row
    page.get_by_role("textbox").and_(page.locator(".gdg-input")).wait_for()
    page.keyboard.type("How warm do you feel?", delay=30)
    page.keyboard.press("Enter")
    see(page, "would become 40 people with 40 answers")
    page.reload()
    see(page, "would become 40 people with 40 answers")
    page.get_by_role("button", name="Import study").click()
    expect(page).to_have_url(re.compile("study=warm"))
    assert "warm" in corpora()


def test_a_person_names_the_columns_of_clusters_blocks_and_weights(home: Path) -> None:
    text = "id,arm,room,stratum,counts,How warm?\n" + "".join(
        f"{n},{'ab'[n // 4 % 2]},{n // 4},{n % 2},{1 + n % 3},{n % 7 + 1}\n" for n in range(40)
    )
    upload = kept(text)
    app = shown(upload.upload_id)
    for label, column in (("(clusters)", "room"), ("(blocks)", "stratum"), ("Weights", "counts")):
        next(box for box in app.selectbox if label in box.label).select(column)
    app.run()
    assert not app.exception
    mapping = load_mapping(upload.mapping_path)
    assert (mapping.cluster, mapping.block, mapping.weight) == ("room", "stratum", "counts")
