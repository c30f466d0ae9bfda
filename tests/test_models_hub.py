"""Models to and from a hub: a server on this machine that answers as the hub does, and one that does not answer."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from socrates_core.errors import UserError
from socrates_core.finetuning.exporting import contents
from socrates_core.finetuning.model_jobs import Download, plan_download, run_fetch, submit_fetch
from socrates_core.jobs.progress import Reporter
from socrates_core.models import model_revision
from socrates_core.models.catalog import fetched
from tests.kept_models import make_base, make_mine, run_models


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socrates_core.jobs.worker_process.ensure_worker", lambda: None)


@pytest.fixture
def base(home: Path) -> Path:
    return make_base(home)


@pytest.fixture
def adapter(base: Path) -> Path:
    return make_mine(base)


class Hub(ThreadingHTTPServer):
    """Takes models as the hub does and gives those in a folder; keeps what was asked and what was uploaded."""

    def __init__(self, offered: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubAnswers)
        self.offered = offered
        self.asked = list[str]()
        self.files = dict[str, bytes]()
        self.made = dict[str, Any]()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


class HubAnswers(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = self.server
        hub.asked.append(f"POST {self.path}")
        if self.path.endswith("/repos/create"):
            hub.made = json.loads(body)
            return self._send({"url": f"{hub.address}/org/name"})
        if self.path.endswith("/preupload/main"):
            modes = {True: "lfs", False: "regular"}
            names = [each["path"] for each in json.loads(body)["files"]]
            return self._send(
                {
                    "files": [
                        {
                            "path": name,
                            "uploadMode": modes[name.endswith(".safetensors")],
                            "shouldIgnore": False,
                        }
                        for name in names
                    ]
                }
            )
        if self.path.endswith("/objects/batch"):
            objects = json.loads(body)["objects"]
            sent = [
                {**each, "actions": {"upload": {"href": f"{hub.address}/lfs/{each['oid']}"}}}
                for each in objects
            ]
            return self._send({"transfer": "basic", "objects": sent})
        if self.path.endswith("/commit/main"):
            lines = [json.loads(line) for line in body.decode().splitlines()]
            hub.files |= {
                each["value"]["path"]: json.dumps(each).encode() for each in lines if each["key"] != "header"
            }
            return self._send(
                {"commitUrl": f"{hub.address}/org/name/commit/1", "commitOid": "1", "hookOutput": ""}
            )
        return self._send({})

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        if path.startswith("/api/models/org/name"):
            siblings = [
                {"rfilename": file.name, "size": file.stat().st_size}
                for file in self.server.offered.iterdir()
            ]
            tree = [
                {"type": "file", "path": each["rfilename"], "size": each["size"], "oid": "0"}
                for each in siblings
            ]
            return self._send(
                tree if "/tree/" in path else {"id": "org/name", "sha": "a" * 40, "siblings": siblings}
            )
        self._send_file(path)

    def do_HEAD(self) -> None:
        self._send_file(self.path, head=True)

    def _send_file(self, path: str, *, head: bool = False) -> None:
        file = self.server.offered / path.rpartition("/")[2]
        self._send_bytes(file.read_bytes(), head=head) if file.is_file() else self.send_error(404)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append("PUT lfs")
        self.server.files[self.path.removeprefix("/lfs/")] = content
        self._send({})

    def _send(self, told: object) -> None:
        self._send_bytes(json.dumps(told).encode())

    def _send_bytes(self, content: bytes, *, head: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", "a" * 40)
        self.end_headers()
        self.wfile.write(b"" if head else content)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    serving = Hub(tmp_path / "home" / "models" / "base")
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", serving.address)  # of processes that are started from here
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", serving.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    yield serving
    serving.shutdown()


@pytest.mark.parametrize("said", ["n\n", ""])
def test_nothing_is_uploaded_before_a_person_agrees_to_what_and_where(
    said: str, adapter: Path, hub: Hub
) -> None:
    done = run_models("push", "mine", "org/name", said=said)
    assert isinstance(done.exception, UserError) and "Nothing was uploaded" in str(done.exception)
    assert f"{hub.address}/org/name" in done.stderr and "adapter_model.safetensors" in done.stderr
    assert hub.asked == []


def test_what_was_agreed_to_is_uploaded_to_a_private_repository_in_one_commit(
    adapter: Path, hub: Hub
) -> None:
    done = run_models("push", "mine", "org/name", said="y\n")
    assert done.exit_code == 0, done.exception
    assert done.stdout.splitlines()[-1] == f"{hub.address}/org/name/commit/1"
    assert hub.made["visibility"] == "private" and sum("/commit/" in each for each in hub.asked) == 1
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    assert hub.files[hashlib.sha256(weights).hexdigest()] == weights
    assert set(contents("mine")) <= set(hub.files)


def test_a_hub_that_cannot_be_reached_takes_and_gives_nothing_in_a_sentence(adapter: Path, hub: Hub) -> None:
    hub.server_close()
    pushed = run_models("push", "mine", "org/name", "--yes").exception
    assert isinstance(pushed, UserError) and "The hub did not take 'org/name'" in str(pushed)
    fetched = run_models("fetch", "socratesft/socrates-llama3-8b-sft").exception
    assert isinstance(fetched, UserError) and "The hub could not be asked for" in str(fetched)


def test_a_fetch_job_brings_a_model_of_the_hub_and_says_its_size_before(base: Path, hub: Hub) -> None:
    plan = plan_download("org/name")
    assert plan.n_bytes == sum(file.stat().st_size for file in base.iterdir()) and fetched("org/name") is None
    job = submit_fetch(plan)
    assert run_fetch(dict(job.args), Reporter(job))["model"] == "org/name"
    got = fetched("org/name")
    assert (
        got is not None
        and (got / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    )
    assert model_revision("org/name") == model_revision("base")


def test_a_fetch_job_that_the_hub_does_not_answer_fails_with_its_cause(base: Path, hub: Hub) -> None:
    hub.server_close()
    job = submit_fetch(Download("org/name", 1, 10**9, 10**12))
    with pytest.raises(UserError, match="could not be fetched from the hub"):
        run_fetch(dict(job.args), Reporter(job))
