"""Models to and from a hub: a server on this machine that answers as the hub does, and one that does not answer."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import count_parameters
from socrates_core.finetuning.exporting import contents
from socrates_core.finetuning.model_jobs import Download, plan_download, run_fetch, submit_fetch
from socrates_core.jobs.progress import Reporter
from socrates_core.models import model_revision
from socrates_core.models.hub import fetched, pinned
from socrates_core.models.model_folder import check_folder, find_model
from tests.support.disks import small_disk
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
    files = (
        f"{serving.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"  # worked out when it was imported
    )
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
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


def copy_of(base: Path, path: Path) -> Path:
    return Path(shutil.copytree(base, path))


def test_only_the_files_that_are_loaded_are_fetched_and_counted(base: Path, hub: Hub, tmp_path: Path) -> None:
    """A second copy of the weights, as Mistral's repositories have one, stays where it is."""
    hub.offered = copy_of(base, tmp_path / "twice")
    weights = load_file(base / "model.safetensors")
    for part, names in enumerate((list(weights)[::2], list(weights)[1::2]), 1):
        save_file(
            {name: weights[name] for name in names},
            hub.offered / f"model-0000{part}-of-00002.safetensors",
            {"format": "pt"},
        )
    (hub.offered / "model.safetensors").rename(hub.offered / "consolidated.safetensors")
    places = {name: f"model-0000{1 + place % 2}-of-00002.safetensors" for place, name in enumerate(weights)}
    (hub.offered / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    plan = plan_download("org/name")
    used = [file for file in hub.offered.iterdir() if file.name != "consolidated.safetensors"]
    assert (plan.n_files, plan.n_bytes) == (len(used), sum(file.stat().st_size for file in used))
    path = find_model("org/name")
    assert sorted(file.name for file in path.glob("*.safetensors")) == sorted(set(places.values()))
    assert "consolidated.safetensors" not in hub.sent
    assert count_parameters("org/name") == count_parameters("base")


def test_a_model_stays_at_its_commit_until_a_person_updates_it(base: Path, hub: Hub, tmp_path: Path) -> None:
    first = find_model("org/name")
    before = model_revision("org/name")
    assert pinned("org/name") == "a" * 40 == first.name
    hub.earlier = {"a" * 40: hub.offered}
    hub.offered, hub.commit = copy_of(base, tmp_path / "newer"), "b" * 40
    config = json.loads((base / "config.json").read_text())
    (hub.offered / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 0.5}))
    hub.sent.clear()
    assert find_model("org/name") == first and find_model("org/name", weights=False) == first
    assert model_revision("org/name") == before and not hub.sent  # nothing was asked for
    refused = run_models("update", "org/name", said="n\n")
    assert isinstance(refused.exception, UserError) and "stays at commit aaaaaaaaaaaa" in str(
        refused.exception
    )
    assert find_model("org/name") == first
    updated = run_models("update", "org/name", "--yes")
    assert updated.exit_code == 0, updated.exception
    assert pinned("org/name") == "b" * 40 and find_model("org/name").name == "b" * 40
    assert model_revision("org/name") != before
    assert "up to date" in run_models("update", "org/name", "--yes").stdout


def test_what_another_program_fetched_earlier_is_kept_at_its_commit(
    base: Path, hub: Hub, tmp_path: Path
) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("org/name")
    hub.earlier = {"a" * 40: hub.offered}
    assert pinned("org/name") == "a" * 40 and fetched("org/name") is not None
    hub.commit = "b" * 40
    snapshot_download("org/name")  # by that program, again
    assert pinned("org/name") == "a" * 40 and find_model("org/name").name == "a" * 40


def test_a_download_that_breaks_off_is_a_sentence_and_is_continued(
    base: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None, raising=False)
    hub.breaks_off = "model.safetensors"
    with pytest.raises(UserError, match=r"'org/name' could not be fetched.*What was fetched is kept"):
        find_model("org/name")
    assert fetched("org/name") is None
    hub.breaks_off = ""
    hub.sent.clear()
    path = find_model("org/name")
    assert (path / "model.safetensors").read_bytes() == (base / "model.safetensors").read_bytes()
    assert "tokenizer.json" not in hub.sent  # it was here already


def test_a_disk_that_fills_up_while_fetching_is_a_sentence_and_what_came_is_kept(
    base: Path, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(file.stat().st_size for file in base.iterdir())
    with (hub.offered / "model.safetensors").open("ab") as weights:
        weights.write(b"\0" * 4_000_000)
    cache = tmp_path / "small"
    with small_disk(cache, f"{size // 1024 + 1500}k"):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        with pytest.raises(UserError, match=r"disk filled up while 'org/name' was fetched.*fetch it again"):
            find_model("org/name")
        assert any(cache.rglob("tokenizer.json"))


def test_a_download_larger_than_the_disk_is_not_begun(base: Path) -> None:
    with pytest.raises(UserError, match=r"takes 30\.0 GB, and 1\.0 GB are free.*Nothing was fetched"):
        submit_fetch(Download("org/name", 9, 30 * 10**9, 10**9))


def test_a_model_that_asks_to_run_code_is_refused_after_it_was_fetched(
    base: Path, hub: Hub, tmp_path: Path
) -> None:
    hub.offered = copy_of(base, tmp_path / "coded")
    config = json.loads((base / "config.json").read_text())
    (hub.offered / "config.json").write_text(
        json.dumps({**config, "auto_map": {"AutoModelForCausalLM": "modeling.Mine"}})
    )
    (hub.offered / "modeling.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UserError, match="asks to run code of its own"):
        check_folder(find_model("org/name"))
    assert "modeling.py" not in hub.sent
