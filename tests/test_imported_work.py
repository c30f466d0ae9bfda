"""A stranger's archive makes this machine do nothing: real archives, commands, workers and a listening server."""

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from socrates_core.asking.consent import PERMISSION
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.scale_overrides import set_scale
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.files import read_json, write_json
from socrates_core.imported import was_imported
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.keeping.archive import MANIFEST, export_project, import_project
from socrates_core.keeping.things import KINDS
from socrates_core.models.served.server import Service
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_spec import load_spec, submit_simulation
from tests.support.api_server import ApiServer, FixedVoice, serving
from tests.support.commands import command
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs
from tests.support.processes import start_worker

pytestmark = pytest.mark.usefixtures("no_worker")

HUB, DASHBOARD = "hf_victims-token-of-the-hub", "victims-dashboard-token"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(FixedVoice({"1": 0.5, "2": 0.5})) as running:
        yield running


def elsewhere(server: ApiServer) -> str:
    """The server's address as that of another machine: a name that is not loopback and reaches it all the same."""
    return server.url.replace("127.0.0.1", "0.0.0.0").replace("localhost", "0.0.0.0")


def packed(home: Path, target: Path) -> Path:
    """All runs, evaluations and jobs of a home as one archive, jobs and permissions included, with sound digests."""
    files = {
        path.relative_to(home).as_posix(): path.read_bytes()
        for kind in ("runs", "evaluations", "jobs")
        for path in sorted((home / kind).glob("*/*"))
        if path.is_file()
    }
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "n_bytes": len(data)}
        for name, data in files.items()
    }
    kinds = {"runs": "run", "evaluations": "evaluation", "jobs": "job"}
    things = {(kinds[name.split("/")[0]], name.split("/")[1]) for name in files}
    told = {
        "format": 1,
        "things": [{"kind": kind, "name": name} for kind, name in sorted(things)],
        "files": listed,
    }
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps(told))
    return target


def as_an_earlier_version_wrote_it(path: Path) -> None:
    """Consent, limit and server in spec.json, where earlier versions kept and believed them."""
    told = {"given": "2026-11-01T00:00:00+00:00", "host": "0.0.0.0", "n_questions": 8, "n_people": 4}
    write_json(path / "spec.json", {**read_json(path / "spec.json"), "consent": told, "limit_usd": None})
    (path / PERMISSION).unlink()


def stolen(home: Path, server: ApiServer, key_variable: str) -> None:
    """Queues, on the attacker's home, a run and an evaluation with other people's answers as examples."""
    service = Service(elsewhere(server), "ATTACKERS_KEY")
    model = ModelRequest("api:fixed", service=service)
    run = submit_simulation(make_draft(), model, consent=True)
    asked = submit_evaluation(model, studies=["kakadu"], cap=2, shots=1, consent=True)
    for path in (home / "runs" / run.id, home / "evaluations" / asked.id):
        as_an_earlier_version_wrote_it(path)
        spec = (path / "spec.json").read_text()
        (path / "spec.json").write_text(spec.replace("ATTACKERS_KEY", key_variable))


@pytest.mark.parametrize("key_variable", ["HF_TOKEN", "SOCRATES_TOKEN", "ANY_OTHER"])
def test_an_archive_with_queued_jobs_imports_to_no_job_and_no_request(
    starter_home: Path,
    tmp_path: Path,
    server: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    key_variable: str,
) -> None:
    stolen(starter_home, server, key_variable)
    archive = packed(starter_home, tmp_path / "evil.zip")
    victims = {"HF_TOKEN": HUB, "SOCRATES_TOKEN": DASHBOARD, "ANY_OTHER": "another secret"}
    for name, value in victims.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "victim"))
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "corpora").symlink_to(starter_home / "corpora")
    brought = json.loads(command("unarchive", str(archive), "--json"))
    assert len(brought["added"]) == 2 and [kind for kind, _ in brought["refused"]] == ["job", "job"]
    worker = start_worker()
    assert worker.wait() == 0
    assert store.list_jobs() == [] and not server.asked and not server.headers
    # A page looks for work too, and a person may resume what is there: neither asks anybody anything.
    (run_id,) = [path.name for path in (tmp_path / "victim" / "runs").iterdir()]
    assert "There is no job" in command("resume", run_id, code=2)


@pytest.mark.parametrize("where", ["another machine", "this machine"])
def test_what_was_imported_is_not_asked_again_of_its_own_server(
    starter_home: Path, tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    url = elsewhere(server) if where == "another machine" else server.url
    model = ModelRequest("api:fixed", service=Service(url, "ANY_OTHER"))
    run = submit_simulation(make_draft(), model, consent=True)
    asked = submit_evaluation(model, studies=["kakadu"], cap=2, consent=True)
    for path in (starter_home / "runs" / run.id, starter_home / "evaluations" / asked.id):
        as_an_earlier_version_wrote_it(path)
    archive = packed(starter_home, tmp_path / "evil.zip")
    monkeypatch.setenv("ANY_OTHER", "a secret")
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "victim"))
    (tmp_path / "victim").mkdir(mode=0o700)
    (tmp_path / "victim" / "corpora").symlink_to(starter_home / "corpora")
    import_project(archive)
    for words in (["run", run.id, "--again"], ["evaluate", "--again", asked.id]):
        assert "Nobody on this machine has allowed" in command(*words, "--consent", code=2)
    assert store.list_jobs() == [] and not server.headers


def test_an_archive_with_a_permission_is_refused_whole(
    starter_home: Path, tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_simulation(
        make_draft(), ModelRequest("api:fixed", service=Service(elsewhere(server))), consent=True
    )
    archive = packed(starter_home, tmp_path / "evil.zip")
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "victim"))
    with pytest.raises(UserError, match=r"only you can give\. Nothing was imported"):
        import_project(archive)
    assert not list((tmp_path / "victim").glob("runs/*"))


def run_claimed(run_id: str) -> None:
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == run_id
    run_simulation(run_id, Reporter(claimed))


@pytest.mark.parametrize("where", ["another machine", "this machine"])
def test_a_permission_holds_for_this_home_and_exactly_what_was_asked(
    home: Path, tmp_path: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    url = elsewhere(server) if where == "another machine" else server.url
    job = submit_simulation(make_draft(), ModelRequest("api:fixed", service=Service(url)), consent=True)
    path, sound = home / "runs" / job.id, {}
    for name in ("spec.json", PERMISSION):
        sound[name] = (path / name).read_text()

    def refused(name: str, text: str) -> None:
        (path / name).write_text(text)
        with pytest.raises(
            UserError, match=f"Nobody on this machine has allowed '{job.id}' .*Nothing was sent"
        ):
            load_spec(job.id).allowed_usd()
        (path / name).write_text(sound[name])

    spec, permission = json.loads(sound["spec.json"]), json.loads(sound[PERMISSION])
    refused("spec.json", sound["spec.json"].replace(server.url.split(":")[-1], "9/v1"))
    spec["people"][0]["demographics"] = {"age": "99"}
    refused("spec.json", json.dumps(spec))
    refused(PERMISSION, json.dumps({**permission, "limit_usd": 1000.0}))
    refused(PERMISSION, json.dumps({**permission, "mark": None}))
    refused(PERMISSION, "[]")
    refused(PERMISSION, "")
    refused(PERMISSION, sound[PERMISSION].replace('"mark": "', '"mark": "0'))
    key = (home / "key").read_bytes()
    (home / "key").write_bytes(bytes(32))  # another home's
    refused(PERMISSION, sound[PERMISSION])
    (home / "key").write_bytes(key)
    assert not server.asked
    run_claimed(job.id)
    assert server.asked


def test_the_key_of_a_home_is_its_owners_alone_and_one_of_several_that_are_made_at_once(home: Path) -> None:
    code = "from socrates_core.home_key import mark_of; print(mark_of('a'))"
    made = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    assert len({process.communicate()[0] for process in made}) == 1
    assert (home / "key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["key"]


@pytest.mark.parametrize(
    "name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACEHUB_API_TOKEN", "SOCRATES_TOKEN"]
)
def test_the_tokens_of_the_hub_and_the_dashboard_are_no_servers_keys(
    home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, HUB)
    model = ModelRequest("api:fixed", service=Service(server.url, name))
    with pytest.raises(UserError, match=f"'{name}' belongs to the dashboard or to Hugging Face"):
        submit_simulation(make_draft(), model)
    assert store.list_jobs() == [] and not server.headers


def test_a_command_that_repeats_a_run_does_not_consent(home: Path, server: ApiServer) -> None:
    assert "--consent" not in Service(elsewhere(server)).arguments()


def test_an_archive_brings_in_no_starter_and_says_what_changes_here(
    starter_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = submit_evaluation(ModelRequest("uniform"), studies=["kakadu"], cap=2)
    finish_jobs()
    set_scale(open_corpus("starter"), "kakadu", 0, "Only return 1 for 'No' or 2 for 'Yes', nothing else.")
    kinds = [KINDS[name] for name in ("corpus", "scales", "evaluation")]
    export_project(tmp_path / "a.zip", kinds)
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "victim"))
    brought = import_project(tmp_path / "a.zip")
    assert brought.refused == [("corpus", "starter")]
    assert brought.added == [("scales", "starter"), ("evaluation", asked.id)]
    assert was_imported("evaluation", asked.id) and not was_imported("evaluation", "another")
    left_out, scales, evidence = brought.cautions
    assert "'starter', which setup makes on this machine" in left_out
    assert "now decide how its answers are read" in scales and "the calibration says so" in evidence


def test_an_archive_of_jobs_cannot_be_written(home: Path, tmp_path: Path) -> None:
    submit_simulation(make_draft(), ModelRequest("echo"))
    finish_jobs()
    assert "cannot hold things of the kind 'job'" in command(
        "archive", str(tmp_path / "a.zip"), "--kind", "job", code=2
    )
