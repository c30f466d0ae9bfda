"""Deleting with a way back, archives that are proven, and numbers worked out anew."""

import io
import json
import os
import shutil
import stat
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.exposure.seals import seal
from socrates_core.files import file_digest, read_json, write_json
from socrates_core.jobs import store
from socrates_core.keeping.archive import MANIFEST, export_project, import_project, own_kinds
from socrates_core.keeping.things import (
    KINDS,
    bin_things,
    consequences,
    delete,
    discard,
    in_bin,
    restore,
    sizes,
    things,
)
from socrates_core.keeping.verify import verify
from socrates_core.projects import drafts
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.settings import folder
from tests.support.commands import command
from tests.support.disks import small_disk
from tests.support.drafts import make_draft
from tests.support.full_home import fill_home
from tests.support.jobs import a_run, finish_jobs

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def filled(finetuning_home: Path, prepared: Path) -> Path:
    """A home with something of every kind."""
    shutil.copytree(prepared / "corpora" / "starter", finetuning_home / "corpora" / "starter")
    fill_home(finetuning_home)
    store.cancel(next(job.id for job in store.list_jobs() if job.active))
    return finetuning_home


def wrong() -> dict[str, str]:
    return {f"{each.kind} {each.name}": each.problem for each in verify() if not each.whole}


def test_everything_a_person_makes_is_listed_deleted_and_brought_back(filled: Path) -> None:
    before = {kind.name: [each.name for each in things(kind)] for kind in KINDS.values()}
    assert all(before.values()), before
    whole = wrong()
    for kind in KINDS.values():
        for name in before[kind.name]:
            delete(kind, name)
            assert name not in [each.name for each in things(kind)]
            with pytest.raises(UserError, match="There is no"):
                delete(kind, name)
    assert not any(things(kind) for kind in KINDS.values()) and list_runs() == []
    assert command("runs") and command("studies") and command("jobs") and command("trainings")
    for kind in KINDS.values():
        for name in before[kind.name]:
            restore(kind, name)
    assert {kind.name: [each.name for each in things(kind)] for kind in KINDS.values()} == before
    assert wrong() == whole
    assert not [each for each in bin_things() if each.name in before[each.kind.name]]


def test_a_taken_name_is_not_overwritten_and_the_bin_is_emptied_for_good(home: Path) -> None:
    draft_id = drafts.create(make_draft(title="Mine"))
    delete(KINDS["draft"], draft_id)
    path = folder("drafts", draft_id)
    (path / "working.json").write_text("{}")
    with pytest.raises(UserError, match="another draft"):
        restore(KINDS["draft"], draft_id)
    assert (path / "working.json").read_text() == "{}"
    discard(in_bin(KINDS["draft"], draft_id))
    assert bin_things() == []
    with pytest.raises(UserError, match="no deleted draft"):
        in_bin(KINDS["draft"], draft_id)


def test_what_a_job_works_with_stays(home: Path) -> None:
    run = submit_simulation(make_draft(), ModelRequest("echo"))
    with pytest.raises(UserError, match=r"in use by .*queued or running"):
        delete(KINDS["run"], run.id)
    with pytest.raises(UserError, match="in use"):
        delete(KINDS["job"], run.id)


def test_a_sealed_run_says_what_is_lost_with_it(home: Path) -> None:
    run_id = a_run()
    seal(run_id)
    assert "sealed" in consequences(KINDS["run"], run_id)[0]
    assert "Nothing was deleted" in command("delete", "run", run_id, code=2)
    assert "is in the bin" in command("delete", "run", run_id, "--yes")
    assert any(key.startswith("seal") for key in wrong())
    command("restore", "run", run_id)
    assert wrong() == {}


def test_sizes_add_up_to_what_the_disk_holds(home: Path) -> None:
    a_run()
    told = sizes()
    on_disk = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    assert sum(n_bytes for _, n_bytes in told.values()) == on_disk
    assert told["run"][0] == 1 and told["draft"][0] == 1 and told["job"][0] == 1


@pytest.mark.slow
def test_a_project_comes_back_on_another_home(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = export_project(tmp_path / "project.zip", own_kinds())
    numbers = {row["run_id"]: load_run(row["run_id"]).as_dict()["cells"] for row in list_runs()}
    assert {each.kind.name for each in written} == {kind.name for kind in own_kinds()} and numbers
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "elsewhere"))
    brought = import_project(tmp_path / "project.zip")
    assert len(brought.added) == len(written) and not brought.same + brought.taken
    again = import_project(tmp_path / "project.zip")
    assert len(again.same) == len(written) and not again.added + again.taken
    assert set(numbers) == {row["run_id"] for row in list_runs()}
    for run_id, cells in numbers.items():
        assert [cell["probabilities"] for cell in load_run(run_id).as_dict()["cells"]] == [
            cell["probabilities"] for cell in cells
        ]
    assert not [each for each in wrong() if each.startswith(("draft", "run", "experiment", "split"))]
    draft_id = things(KINDS["draft"])[0].name
    kept = drafts.open_draft(draft_id)
    drafts.save(draft_id, make_draft(title="Changed"), based_on=kept.digest())
    assert import_project(tmp_path / "project.zip").taken == [("draft", draft_id)]
    assert drafts.open_draft(draft_id).title == "Changed"


def test_the_commands_write_and_bring_in_an_archive(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing to archive" in command("archive", str(tmp_path / "none.zip"), code=2)
    run_id = a_run()
    assert "2 things" in command("archive", str(tmp_path / "a.zip"))
    assert "Nothing is called 'nope'" in command("archive", str(tmp_path / "b.zip"), "--only", "nope", code=2)
    assert "1 things" in command("archive", str(tmp_path / "c.zip"), "--kind", "run", "--only", run_id)
    assert json.loads(command("storage", "--kind", "run", "--json"))[0]["name"] == run_id
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "elsewhere"))
    assert "2 things brought in" in command("unarchive", str(tmp_path / "a.zip"))
    assert "0 things brought in, 2 were here" in command("unarchive", str(tmp_path / "a.zip"))
    assert command("verify").endswith("whole, 0 not\n")


def packed(members: dict[str, bytes], **changes: object) -> bytes:
    """An archive of one draft called "d" with such files; `changes` go into its list."""
    import hashlib

    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
        for name, data in members.items()
    }
    told = {"format": 1, "things": [{"kind": "draft", "name": "d"}], "files": listed, **changes}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps(told))
    return file.getvalue()


GOOD = {"drafts/d/working.json": b"{}"}
LARGE = {"drafts/d/working.json": bytes(5_000_000)}


def _spoilt() -> bytes:
    """An archive whose packed bytes were changed."""
    data = bytearray(packed({"drafts/d/working.json": bytes(range(256)) * 40}))
    data[60:120] = b"\xff" * 60
    return bytes(data)


def _linked() -> bytes:
    link = zipfile.ZipInfo("drafts/d/working.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    digest = "0" * 64
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        told = {
            "format": 1,
            "things": [{"kind": "draft", "name": "d"}],
            "files": {link.filename: {"sha256": digest, "n_bytes": 11}},
        }
        archive.writestr(MANIFEST, json.dumps(told))
    return file.getvalue()


def _listed(data: bytes, **changes: object) -> dict[str, dict[str, object]]:
    import hashlib

    told = {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)} | changes
    return {"drafts/d/working.json": told}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (lambda: b"", "not an archive"),
        (_spoilt, "not (an archive|as it was written)"),
        (lambda: b"PK\x03\x04 and then nothing", "not an archive"),
        (lambda: packed(GOOD)[:-40], "not an archive"),
        (lambda: packed(GOOD, format=2), "Update the program"),
        (lambda: packed(GOOD, format="1"), "missing or damaged"),
        (lambda: packed(GOOD, things=[{"kind": "nope", "name": "d"}]), "missing or damaged"),
        (lambda: packed(GOOD, things=3), "missing or damaged"),
        (lambda: packed(GOOD, files={}), "does not hold exactly"),
        (lambda: packed({**GOOD, "../../evil": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/d/../../evil": b"x"}), "outside"),
        (lambda: packed({**GOOD, "/etc/evil": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/other/working.json": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/d/.hidden": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/d/C:evil": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/d\\evil": b"x"}), "outside"),
        (lambda: packed({**GOOD, "jobs/store.lock": b"x"}), "outside"),
        (lambda: packed({**GOOD, "drafts/d/Working.json": b"x"}), "differ only in case"),
        (
            lambda: packed({**GOOD, "drafts/d/\u00e9.json": b"x", "drafts/d/e\u0301.json": b"y"}),
            "differ only in case",
        ),
        (lambda: packed({**GOOD, "drafts/d/\uff57orking.json": b"x"}), "differ only in case"),
        (lambda: packed(GOOD, files=_listed(b"{}", sha256="0" * 64)), "not as it was written"),
        (lambda: packed(LARGE, files=_listed(b"{}")), "another size"),
        (lambda: packed(GOOD, files=_listed(b"{}", n_bytes="2")), "missing or damaged"),
        (lambda: packed(GOOD, files=_listed(b"{}", n_bytes=1 << 60)), "another size"),
        (_linked, "is a link"),
    ],
)
def test_a_hostile_or_damaged_archive_is_refused_whole(
    home: Path, tmp_path: Path, data: Callable[[], bytes], told: str
) -> None:
    (tmp_path / "a.zip").write_bytes(data())
    with pytest.raises(UserError, match=told):
        import_project(tmp_path / "a.zip")
    left = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.name not in ("a.zip", "store.lock")
    ]
    assert left == []


def test_what_a_killed_import_left_aside_goes_with_the_next_one_a_day_later(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.zip").write_bytes(packed(GOOD))
    for name, age in ((".importing-old", 2 * 86_400), (".importing-new", 60)):
        (home / name / "drafts").mkdir(parents=True)
        os.utime(home / name, (time.time() - age,) * 2)
    import_project(tmp_path / "a.zip")
    assert [path.name for path in home.glob(".importing-*")] == [".importing-new"]


def test_an_archive_brings_in_a_draft_and_its_file_is_private(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed(GOOD))
    assert import_project(tmp_path / "a.zip").added == [("draft", "d")]
    assert stat.S_IMODE((home / "drafts" / "d" / "working.json").stat().st_mode) == 0o600


def _resign(path: Path) -> None:
    """Makes a run's or evaluation's manifest agree with its files, as somebody would who knows the format."""
    manifest = read_json(path / "manifest.json")
    manifest["files"] = {name: file_digest(path / name) for name in manifest["files"]}
    write_json(path / "manifest.json", manifest)


def _change(path: Path, column: str, change: Callable[[object], object]) -> None:
    table = pq.read_table(path).to_pylist()
    table[0][column] = change(table[0][column])
    pq.write_table(pa.Table.from_pylist(table), path)


@pytest.mark.parametrize("column", ["mean", "sd", "valid_mass", "n"])
def test_numbers_that_do_not_follow_from_the_rows_are_found_though_the_digests_agree(
    home: Path, column: str
) -> None:
    path = folder("runs", a_run())
    assert wrong() == {}
    _change(path / "cells.parquet", column, lambda value: value + 1)  # type: ignore[operator]
    assert "damaged" in wrong()[f"run {path.name}"]
    _resign(path)
    assert "do not follow" in wrong()[f"run {path.name}"]


def test_a_row_that_is_gone_or_changed_is_found_though_the_digests_agree(home: Path) -> None:
    path = folder("runs", a_run())
    sound = (path / "people.parquet").read_bytes()
    pq.write_table(pq.read_table(path / "people.parquet")[1:], path / "people.parquet")
    _resign(path)
    assert "answers and has" in wrong()[f"run {path.name}"]
    (path / "people.parquet").write_bytes(sound)
    _change(path / "people.parquet", "probabilities", lambda shares: list(reversed(shares)))  # type: ignore[call-overload]
    _resign(path)
    assert "do not follow" in wrong()[f"run {path.name}"]


def test_an_evaluation_is_worked_out_anew(starter_home: Path) -> None:
    evaluation = submit_evaluation(ModelRequest("echo"), studies=["kakadu"], cap=5, seed=0)
    finish_jobs()
    assert wrong() == {}
    path = folder("evaluations", evaluation.id)
    _change(path / "rows.parquet", "mean", lambda value: value + 0.5)  # type: ignore[operator]
    _resign(path)
    assert "does not follow" in wrong()[f"evaluation {evaluation.id}"]


def test_a_home_is_readable_by_its_owner_alone(home: Path) -> None:
    before = os.umask(0)
    try:
        a_run()
        folder("imports", "a", "b")
    finally:
        os.umask(before)
    for path in (home, *home.iterdir(), home / "imports" / "a"):
        assert path.is_file() or stat.S_IMODE(path.stat().st_mode) == 0o700, path


def test_an_edited_run_is_a_verdict_and_ends_no_other(home: Path) -> None:
    first, second = a_run("One"), a_run("Two")
    write_json(folder("runs", first) / "spec.json", {"people": 5})
    write_json(folder("runs", second) / "manifest.json", [1])
    assert {f"run {first}", f"run {second}"} <= set(wrong())


def test_a_disk_without_room_is_a_sentence_and_brings_in_nothing(quiet_home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed({"drafts/d/working.json": os.urandom(150_000)}))
    with small_disk(quiet_home, "100k"):
        with pytest.raises(UserError, match="Free some space"):
            import_project(tmp_path / "a.zip")
        assert not list(quiet_home.rglob("*.json"))
