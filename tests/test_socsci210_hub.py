"""The hub's way in, against a server on this machine that answers as the hub does."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from socrates_core.corpus import corpora, open_corpus
from socrates_core.corpus.hub import REPOSITORY, REVISION
from tests.support.processes import ROOT
from tests.support.socsci210_rows import plain, write_rows
from tests.support.waiting import PATIENCE, wait_until


class HubServer(ThreadingHTTPServer):
    """Serves a folder as the data set at its pinned revision; keeps what was fetched, and can fail on request."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubAnswers)
        self.folder = folder
        self.fetched = list[str]()
        self.damaged = dict[str, int]()  # file name -> how many of the next answers are damaged
        self.held = threading.Event()  # while this is clear, the second shard is sent half and then waits
        self.held.set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class HubAnswers(BaseHTTPRequestHandler):
    server: HubServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        if path == f"/api/datasets/{REPOSITORY}/revision/{REVISION}":
            return self._send(json.dumps(self._description()).encode(), {})
        self._file(path, with_body=True)

    def do_HEAD(self) -> None:
        self._file(unquote(urlparse(self.path).path), with_body=False)

    def _description(self) -> dict[str, object]:
        files = sorted(path for path in self.server.folder.rglob("*") if path.is_file())
        return {"id": REPOSITORY, "sha": REVISION, "siblings": [self._sibling(path) for path in files]}

    def _sibling(self, path: Path) -> dict[str, object]:
        content = path.read_bytes()
        told = {
            "rfilename": str(path.relative_to(self.server.folder)),
            "size": len(content),
            "blobId": _blob_id(content),
        }
        if path.suffix == ".parquet":
            told["lfs"] = {
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "pointerSize": 130,
            }
        return told

    def _file(self, path: str, *, with_body: bool) -> None:
        name = path.removeprefix(f"/datasets/{REPOSITORY}/resolve/{REVISION}/")
        file = self.server.folder / name
        if name == path or not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": REVISION}
        if not with_body:
            return self._send(b"", {**headers, "Content-Length": str(len(content))})
        self.server.fetched.append(name)
        if self.server.damaged.get(name, 0):
            self.server.damaged[name] -= 1
            content = content[:-9] + b"damaged!!"
        if name.endswith("train-1.parquet") and not self.server.held.is_set():
            self._send(content[: len(content) // 2], {**headers, "Content-Length": str(len(content))})
            self.wfile.flush()
            self.server.held.wait(PATIENCE)
            return
        self._send(content, headers)

    def _send(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for header, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def server(tmp_path: Path, home: Path) -> Iterator[HubServer]:
    folder = tmp_path / "hub"
    for number, study_id in enumerate(["aaaaa", "bbbbb", "ccccc"]):
        write_rows(folder / f"data/train-{number}.parquet", plain(study_id))
    (folder / "metadata").mkdir()
    (folder / "metadata/participant_mapping.json").write_text(
        '{"seen": ["aaaaa"], "unseen": ["bbbbb", "ccccc"]}'
    )
    (folder / "README.md").write_text("not asked for")
    serving = HubServer(folder)
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield serving
    serving.held.set()
    serving.shutdown()


def start_import(server: HubServer, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "socrates_core", "import", "socsci210", "--json", *options],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "HF_ENDPOINT": server.address, "HF_HUB_DISABLE_TELEMETRY": "1"},
    )


def run_to_end(server: HubServer, *options: str) -> tuple[int, str, str]:
    process = start_import(server, *options)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_every_shard_is_fetched_once_verified_and_not_kept(server: HubServer, home: Path) -> None:
    code, out, err = run_to_end(server)
    assert code == 0, err
    assert (json.loads(out)["corpus"], json.loads(out)["responses"]) == ("socsci210", 18)
    assert sorted(server.fetched) == [
        "data/train-0.parquet",
        "data/train-1.parquet",
        "data/train-2.parquet",
        "metadata/participant_mapping.json",
    ]
    corpus = open_corpus("socsci210")
    assert corpus.study("ccccc").source.startswith("SocSci210")
    assert json.loads((corpus.path / "metadata/participant_mapping.json").read_text())["seen"] == ["aaaaa"]
    assert not list((home / "cache").rglob("*.parquet"))
    assert "writing studies: 3 of 3" in err


def test_an_import_that_was_killed_goes_on_after_its_last_whole_shard(server: HubServer) -> None:
    server.held.clear()
    process = start_import(server)
    wait_until(lambda: "data/train-1.parquet" in server.fetched)
    process.kill()
    process.communicate()
    assert corpora() == []
    server.held.set()
    code, _, err = run_to_end(server)
    assert code == 0, err
    assert server.fetched.count("data/train-0.parquet") == 1
    assert open_corpus("socsci210").study_ids() == ["aaaaa", "bbbbb", "ccccc"]


def test_a_shard_that_arrives_damaged_is_fetched_again(server: HubServer) -> None:
    server.damaged["data/train-1.parquet"] = 1
    code, _, err = run_to_end(server)
    assert code == 0, err
    assert server.fetched.count("data/train-1.parquet") == 2


def test_a_shard_that_stays_damaged_is_a_sentence_and_no_corpus(server: HubServer) -> None:
    server.damaged["data/train-1.parquet"] = 9
    code, _, err = run_to_end(server)
    assert code == 2
    assert "'data/train-1.parquet' arrived damaged twice" in err.splitlines()[-1]
    assert corpora() == []


def test_a_hub_that_cannot_be_reached_is_a_sentence(server: HubServer) -> None:
    server.server_close()
    code, _, err = run_to_end(server)
    assert code == 2
    assert err.startswith("Could not reach Hugging Face for 'socratesft/SocSci210'")
    assert len(err.splitlines()) == 1
