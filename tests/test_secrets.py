"""No key, token or password in any file, log, report, archive or line that is printed: the whole home is searched."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from socrates_core.jobs import store
from socrates_core.surveys.draft import ConditionSpec, render_draft
from tests.support.api_server import FixedVoice, serving
from tests.support.commands import said
from tests.support.drafts import make_draft
from tests.support.processes import end_worker

KEY, TOKEN, HUB = "sk-planted-0123456789abcdef", "planted-dashboard-token", "hf_plantedplantedplanted"
SECRETS = [each.encode() for each in (KEY, TOKEN, HUB)]


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and what is packed in it: the rows of a Parquet file, the members of a zip file."""
    yield name, data
    if data[:4] == b"PAR1":
        yield f"{name}: rows", repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                yield from contents(f"{name}: {member}", archive.read(member))


def holders(*folders: Path) -> list[str]:
    """The files below the folders, and their names, that hold a secret."""
    return [
        told
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
        for told, data in [(str(path), str(path).encode()), *contents(str(path), path.read_bytes())]
        if any(secret in data for secret in SECRETS)
    ]


def test_a_planted_secret_would_be_found(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [f"x {KEY}"]}), tmp_path / "a.parquet", compression="zstd")
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", TOKEN)
        archive.write(tmp_path / "a.parquet", "inner.parquet")
    (tmp_path / "c.txt").write_text(HUB)
    (tmp_path / "d.txt").write_text("nothing")
    found = [each.removeprefix(f"{tmp_path}/") for each in holders(tmp_path)]
    assert {"a.parquet: rows", "b.zip: inner.txt", "b.zip: inner.parquet: rows", "c.txt"} <= set(found)
    assert not [each for each in found if each.startswith("d.txt")]


def test_no_secret_is_kept_or_told(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", HUB)
    monkeypatch.setenv("SOCRATES_TOKEN", TOKEN)
    others = (ConditionSpec(name="A", text="Refused."), ConditionSpec(name="B", text="Refused too."))
    (tmp_path / "draft.yaml").write_text(render_draft(make_draft()))
    (tmp_path / "other.yaml").write_text(render_draft(make_draft(conditions=others)))
    texts: list[str] = []

    def run(*arguments: str) -> str:
        told, complaint, _ = said(*arguments)
        texts.append(told + complaint)
        return told

    with serving(FixedVoice({"1": 0.5, "2": 0.5})) as server:
        server.key = KEY
        model = ("--model", "api:fixed", "--server", server.url, "--key-variable", "MY_KEY")
        run("simulate", str(tmp_path / "draft.yaml"), *model, "--wait")
        server.key = "another"  # a server that repeats the key it was given, as some do
        run("simulate", str(tmp_path / "other.yaml"), *model, "--wait")
    done, refused = store.list_jobs()
    assert done.state == "done" and len(server.headers) > 1
    assert all(
        f"Bearer {KEY}" in headers.values() for headers in server.headers
    )  # it was sent, and only there
    assert refused.state == "failed" and "MY_KEY" in refused.message
    run("run", done.id, "--json")
    run("job", refused.id)
    run("report", done.id, "--output", str(tmp_path / "report"))
    run("archive", str(tmp_path / "project.zip"))
    run("verify")
    run("jobs", "--json")
    end_worker()
    assert (tmp_path / "report").exists() and (tmp_path / "project.zip").exists(), texts[-4:]
    assert holders(home, tmp_path) == []
    assert not [text for text in texts if any(secret.decode() in text for secret in SECRETS)]
