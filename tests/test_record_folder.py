"""Folders of records: ids, damaged records, and the bin with a way back."""

from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.projects import drafts
from socrates_core.record_folder import BinnedFolder, RecordFolder
from tests.support.drafts import make_draft

NOTES = RecordFolder(
    kind="note", folder="notes", marker="note.json", read=lambda path: str(read_json(path)["text"])
)
CARDS = RecordFolder(
    kind="card", folder="cards", endings=(".json",), read=read_json, dated=False, hint="Write one first."
)


def write_note(note_id: str, text: str) -> Path:
    path = NOTES.root / note_id / "note.json"
    write_json(path, {"text": text})
    return path


def test_records_are_listed_newest_first_and_names_in_order(home: Path) -> None:
    for note_id in ("20260101-a", "20260301-c", "20260201-b"):
        write_note(note_id, note_id)
    assert NOTES.ids() == ["20260301-c", "20260201-b", "20260101-a"]
    for name in ("two", "one", "three"):
        write_json(CARDS.root / f"{name}.json", {})
    (CARDS.root / "four.txt").write_text("")
    assert CARDS.ids() == ["one", "three", "two"]


def test_a_damaged_record_is_listed_with_its_problem(home: Path) -> None:
    write_note("1", "whole")
    write_json(NOTES.root / "2" / "note.json", {})
    (write_note("3", "cut")).write_text("{")
    rows = NOTES.rows(lambda note_id: {"text": NOTES.load(note_id)}, lambda _, problem: {"problem": problem})
    assert ["problem" in row for row in rows] == [True, True, False]
    assert "damaged" in rows[0]["problem"] and "The note '2' cannot be read" in rows[1]["problem"]
    assert list(NOTES.readable()) == ["whole"]


@pytest.mark.parametrize(
    "record_id", ["gone", "", ".", "..", "../notes/1", "1/", ".deleted", "\0", "x" * 5000]
)
def test_an_id_never_leads_out_of_the_folder(record_id: str, home: Path) -> None:
    write_note("1", "whole")
    with pytest.raises(UserError, match=r"There is no note .* Known: 1\."):
        NOTES.load(record_id)
    with pytest.raises(UserError, match=r"There is no card .* There are none yet\. Write one first\."):
        CARDS.load(record_id)


def test_deleted_records_of_one_name_come_back_last_deleted_first(home: Path) -> None:
    for text in ("first", "second"):
        write_note("1", text)
        NOTES.delete("1")
    assert [record.name for record in NOTES.deleted()] == ["1", "1"] and NOTES.ids() == []
    NOTES.restore("1")
    assert NOTES.load("1") == "second"
    with pytest.raises(UserError, match="another note '1' by now"):
        NOTES.restore("1")
    NOTES.last_deleted("1").discard()
    assert NOTES.deleted() == [] and NOTES.load("1") == "second"
    assert list((home / "notes" / ".deleted").iterdir()) == []


def test_all_files_of_one_name_go_to_the_bin_and_come_back(home: Path) -> None:
    pairs = BinnedFolder(kind="pair", folder="pairs", endings=(".json", ".csv"))
    for name in ("a.json", "a.csv", "b.json", "a.txt"):
        (pairs.root / name).write_text(name)
    pairs.delete("a")
    assert sorted(path.name for path in pairs.root.glob("[!.]*")) == ["a.txt", "b.json"]
    pairs.restore("a")
    assert [(record.name, record.n_bytes) for record in pairs.stored()] == [("a", 11), ("b", 6)]


def test_a_link_is_deleted_and_what_it_points_to_stays(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    (target).mkdir()
    (target / "note.json").write_text('{"text": "kept"}')
    (NOTES.root / "1").symlink_to(target)
    NOTES.delete("1")
    NOTES.last_deleted("1").discard()
    assert (target / "note.json").exists() and NOTES.deleted() == []


def test_a_draft_that_an_earlier_version_deleted_comes_back(home: Path) -> None:
    draft_id = drafts.create(make_draft())
    old_bin = drafts.DRAFTS.root / ".deleted"
    old_bin.mkdir()
    (drafts.DRAFTS.root / draft_id).rename(old_bin / draft_id)
    assert drafts.deleted_titles() == {draft_id: "Try"}
    drafts.DRAFTS.restore(draft_id)
    assert drafts.open_draft(draft_id) == make_draft() and drafts.deleted_titles() == {}
