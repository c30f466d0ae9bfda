"""Models as things to look after: where they come from, what they saw, the bin, merging, taking along, the hub."""

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.finetuning import library
from socrates_core.finetuning.exporting import contents, export_model
from socrates_core.finetuning.model_jobs import (
    run_merge,
    submit_merge,
)
from socrates_core.finetuning.spec import spec_from_dict
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.keeping import kinds
from socrates_core.models import answer_all
from socrates_core.models.catalog import list_models
from socrates_core.models.seen import seen_of
from tests.support.adapters import make_adapter, spoil
from tests.support.kept_models import SAW, make_base, make_mine, run_models
from tests.support.scoring import TOLERANCE, largest_difference, open_local, questions

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def base(home: Path) -> Path:
    return make_base(home)


@pytest.fixture
def adapter(base: Path) -> Path:
    return make_mine(base)


def test_an_adapter_is_told_of_with_its_chain_what_it_saw_and_its_measures(adapter: Path) -> None:
    found = {model.name: model for model in library.library()}
    mine = found["mine"]
    assert (mine.kind, found["base"].kind, mine.base) == ("adapter", "model", "base")
    assert mine.lineage == ("org/first", "base", "mine")
    assert mine.trained is not None and mine.trained.measured("w_stated", base=True) == 0.274
    assert mine.trained.measured("effect_r") is None and mine.problem == ""
    assert (
        library.saw_briefly(seen_of("mine")) == "2 studies"
        and library.saw_briefly(seen_of("base")) == "no study"
    )
    assert [model.kind for model in found.values()].count("hub") == 4


def test_what_was_seen_is_counted_and_listed_study_by_study() -> None:
    table = library.saw_table(SAW).set_index("study_id")
    assert list(table.loc["whole"][["conditions", "outcomes", "participants"]]) == ["all"] * 3
    assert table.loc["part", "conditions"] == "2: 0, 2"
    (told,) = library.saw_counts(SAW)
    assert told.startswith("2 studies of starter, in 1 of them only 2 conditions")


@pytest.mark.parametrize(
    "card",
    [
        "[]",
        "{",
        '{"title": ["<b>"], "lineage": "x", "saw": "nothing", "training": {"step": "many"}}',
        '{"training": [], "lineage": [1, {}], "saw": {"trainings": [{}]}}',
    ],
)
def test_a_card_that_says_nonsense_hides_no_other_model(card: str, base: Path, adapter: Path) -> None:
    (adapter / "card.json").write_text(card)
    found = {model.name: model for model in library.library()}
    assert found["mine"].lineage[-1] == "mine" and found["base"].lineage == ("org/first", "base")
    assert library.saw_briefly(library.seen_or_unknown("mine")) == "not known"
    assert found["mine"].problem or card == "[]"


def test_the_best_checkpoint_of_a_finetune_is_listed_until_it_is_a_model(adapter: Path, home: Path) -> None:
    spec = spec_from_dict({"name": "running", "base": "base", "split": "mine"}, "a test")
    training = home / "trainings" / "20261124-101010-running-aaaa"
    for step in (9, 10):
        make_adapter(home / "models" / "base", training / f"best-{step}", 3)
    (training / "spec.yaml").write_text(spec.as_yaml())
    (found,) = [model for model in library.library() if model.kind == "checkpoint"]
    assert found.name.endswith("best-10") and found.card.installed and found.base == "base"
    (home / "adapters" / "mine").rename(home / "adapters" / "running")
    assert "checkpoint" not in {model.kind for model in library.library()}


def test_an_adapter_over_a_hub_model_that_is_not_here_is_listed_without_fetching(
    adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    spoil(adapter, base_model_name_or_path="org/large")
    found = {card.name: card for card in list_models()}["mine"]
    assert not found.installed and "models fetch org/large" in found.advice


def test_a_deleted_model_comes_back_as_it_was(adapter: Path) -> None:
    before = {path.name: path.read_bytes() for path in adapter.iterdir()}
    kinds.delete("adapter", "mine")
    assert not adapter.exists() and list(kinds.deleted_models()) == ["mine"]
    assert "mine" not in {model.name for model in library.library()}
    kinds.restore("adapter", "mine")
    assert {
        path.name: path.read_bytes() for path in adapter.iterdir()
    } == before and not kinds.deleted_models()


def test_the_bin_never_overwrites_and_empties_on_request(base: Path, adapter: Path) -> None:
    kinds.delete("adapter", "mine")
    make_adapter(base, adapter, 2)
    with pytest.raises(UserError, match="another adapter 'mine' by now"):
        kinds.restore("adapter", "mine")
    assert (adapter / "adapter_config.json").exists()
    kinds.deleted_model("mine").discard()
    assert not kinds.deleted_models() and adapter.exists()


@pytest.mark.parametrize("name", ["../home", "", ".deleted", "nobody", "/tmp"])
def test_only_models_of_the_home_are_deleted(name: str, adapter: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        kinds.delete(kinds.kind_of_model(name), name)


def test_a_model_that_a_job_uses_stays_and_so_does_its_base(adapter: Path) -> None:
    job = submit_merge("mine", "whole")
    for kind, name in (("adapter", "mine"), ("model", "base")):
        with pytest.raises(UserError, match="in use by 'Merge mine as whole'"):
            kinds.delete(kind, name)
    store.cancel(job.id)
    kinds.delete("adapter", "mine")
    kinds.delete("model", "base")


def test_deleting_a_base_names_the_adapters_that_need_it(adapter: Path, home: Path) -> None:
    assert library.needed_by("base") == ["mine"] and library.needed_by("mine") == []
    refused = run_models("delete", "base").exception
    assert isinstance(refused, UserError) and "cannot answer: mine" in str(refused)
    assert (home / "models" / "base").exists()
    assert run_models("delete", "base", "--yes").exit_code == 0 and "base" in kinds.deleted_models()


@pytest.mark.slow
def test_a_merge_job_makes_a_whole_model_that_answers_as_the_adapter(adapter: Path) -> None:
    job = submit_merge("mine", "whole")
    claimed = store.claim_next()
    assert claimed is not None and claimed.id == job.id
    store.finish(claimed, "done", result=run_merge(dict(claimed.args), Reporter(claimed)))
    expected = answer_all(open_local(adapter, precision="fp32"), questions())
    found = answer_all(open_local(adapter.parents[1] / "models" / "whole", precision="fp32"), questions())
    assert largest_difference(found, expected) < TOLERANCE
    whole = library.look_up("whole")
    assert (whole.kind, whole.lineage) == ("model", ("org/first", "base", "mine", "whole"))
    assert seen_of("whole") == seen_of("mine") and whole.trained is not None
    kinds.delete("adapter", "mine")
    assert library.look_up("whole").card.installed


@pytest.mark.parametrize(
    ("name", "output", "sentence"),
    [
        ("base", "whole", "is not an adapter"),
        ("mine", "base", "already"),
        ("mine", "../out", "cannot be called"),
    ],
)
def test_what_cannot_be_merged_is_a_sentence(name: str, output: str, sentence: str, adapter: Path) -> None:
    from training.merge import merge

    with pytest.raises(UserError, match=sentence):
        merge(name, output)


def test_an_export_can_be_checked_and_used_elsewhere(
    adapter: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_model("mine", tmp_path / "out")
    export_model("mine", tmp_path / "out.zip")
    assert (
        subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "out", check=False).returncode == 0
    )
    with zipfile.ZipFile(tmp_path / "out.zip") as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {
            path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()
        }
    told = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (
        told["base_model_name_or_path"] == "base"
        and str(tmp_path) not in (tmp_path / "out/README.md").read_text()
    )
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.index("**Not measured yet.**") < card.index("## What it saw")
    assert "0.148" in card[card.index("## Validation during training") :] and card.count("0.148") == 1
    expected = answer_all(open_local(adapter, precision="fp32"), questions())
    (tmp_path / "elsewhere" / "models").mkdir(parents=True)
    base.rename(tmp_path / "elsewhere" / "models" / "base")
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "elsewhere"))
    found = answer_all(open_local(tmp_path / "out", precision="fp32"), questions())
    assert largest_difference(found, expected) < TOLERANCE
    with pytest.raises(UserError, match="already exists"):
        export_model("base", tmp_path / "out")


def test_a_link_out_of_a_model_folder_is_not_followed(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (adapter / "LICENSE").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match=r"'LICENSE' .* is a link"):
        contents("mine")
