"""Models to and from a hub: a server on this machine that answers as the hub does, and one that does not answer."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.finetuning.exporting import contents
from socrates_core.finetuning.model_jobs import Download, plan_download, run_fetch, submit_fetch
from socrates_core.jobs.progress import Reporter
from socrates_core.models import model_revision
from socrates_core.models.hub import fetched
from tests.support.hub import Hub
from tests.support.kept_models import make_base, make_mine, run_models

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def base(home: Path) -> Path:
    return make_base(home)


@pytest.fixture
def adapter(base: Path) -> Path:
    return make_mine(base)


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
    assert isinstance(fetched, UserError) and "Could not reach Hugging Face for" in str(fetched)


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
