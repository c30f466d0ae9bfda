"""Which rows a finetune learns from and is chosen by, and their tokens, kept from one start to the next."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.exposure.status import statuses
from socrates_core.files import read_json
from socrates_core.finetuning import examples
from socrates_core.finetuning.learning_curve import submit_curve
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.rows import TrainingRows, choose_rows
from socrates_core.finetuning.rows_record import load_record, load_rows, write_record
from socrates_core.finetuning.spec import Method, TrainingSpec, training_path
from socrates_core.finetuning.submission import submit_training
from socrates_core.models.model_folder import find_model
from socrates_core.models.seen import seen_from_dict
from tests.support.finetunes import examples_for, spec_of, train
from training import sft
from training.loop import open_trainer

pytestmark = pytest.mark.usefixtures("finetuning_home")


@pytest.mark.parametrize(("method", "everybody"), [("sft", False), ("dpo", True), ("distribution", True)])
def test_whoever_is_a_part_of_a_target_counts_as_seen(method: Method, everybody: bool) -> None:
    spec = spec_of(method=method, per_cell=2, max_steps=1)
    train(spec)
    chosen = choose_rows(spec)
    saw = seen_from_dict(read_json(find_model("tuned") / "card.json")["saw"], "the card")
    people = chosen.answered[["study_id", "participant"]].drop_duplicates(ignore_index=True)
    told = statuses(saw, chosen.corpus, people)["status"]
    trained = pd.MultiIndex.from_frame(people).isin(
        pd.MultiIndex.from_frame(chosen.train[["study_id", "participant"]])
    )
    assert 0 < trained.sum() < len(people)
    assert ((told == "seen") == (trained | everybody)).all()


def test_people_whom_a_checkpoint_is_measured_against_count_as_seen() -> None:
    chosen = choose_rows(spec := spec_of(validation_share=0.4, validation_cap=2))
    rows = chosen.learned_from(spec.method)
    assert len(chosen.kept_back) > len(chosen.validation)
    assert set(chosen.kept_back["sample_id"]) <= set(rows["sample_id"])
    assert not rows.duplicated(["study_id", "sample_id"]).any()


def test_few_rows_of_a_study_come_from_all_of_its_conditions() -> None:
    for seed in range(5):
        train_rows = choose_rows(spec_of(per_study=2, seed=seed)).train
        assert (train_rows.groupby("study_id")["condition_num"].nunique() == 2).all()


def test_a_share_of_people_that_the_cap_leaves_out_is_named() -> None:
    found = []
    for seed in range(20):
        try:
            choose_rows(spec_of(people_share=0.001, per_cell=1, seed=seed, studies=("aaaaa",)))
        except UserError as error:
            found.append(str(error))
    assert found and all("larger 'people_share' than 0.001" in each for each in found)


@pytest.fixture
def choices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the finetunes whose rows are chosen, in order, wherever that happens."""
    names: list[str] = []

    def choose(spec: TrainingSpec) -> TrainingRows:
        names.append(spec.name)
        return choose_rows(spec)

    for module in ("submission", "rows_record", "rationales"):
        monkeypatch.setattr(f"socrates_core.finetuning.{module}.choose_rows", choose)
    monkeypatch.setattr("socrates_core.jobs.worker_process.ensure_worker", lambda: None)
    return names


def test_rows_are_chosen_once_to_start_and_once_to_train_and_publish(choices: list[str]) -> None:
    spec = spec_of(max_steps=1, validation_share=0.4, validation_cap=6)
    training_id = submit_training(spec).id
    assert choices == ["tuned"]
    assert open_trainer(training_id, sft.loss).finish()
    publish(training_id)
    assert choices == ["tuned", "tuned"]
    card = read_json(find_model("tuned") / "card.json")["training"]
    assert card["data_digest"] == choose_rows(spec).digest


def test_rows_of_a_learning_curve_are_chosen_once_a_share(choices: list[str]) -> None:
    submit_curve(spec_of(), (0.5, 1.0))
    assert choices == ["tuned-50", "tuned-100"]


def test_a_finetune_does_not_train_on_other_rows_than_those_that_were_checked(choices: list[str]) -> None:
    training_id = submit_training(spec_of()).id
    load_rows(training_id)
    save_split(make_split(open_corpus("made"), "participants", name="held", share=0.5, seed=2))
    with pytest.raises(UserError, match="not those that were checked"):
        open_trainer(training_id, sft.loss)


@pytest.mark.parametrize("content", [None, "{", '{"format": 1}'])
def test_a_finetune_of_an_earlier_version_without_a_record_of_its_rows_is_published_alike(
    content: str | None,
) -> None:
    train(spec_of(max_steps=1, method="dpo"))
    first = read_json(find_model("tuned") / "card.json")
    file = training_path("tuned") / "rows.json"
    assert not file.exists()
    write_record(file.parent, load_record("tuned"))
    whole = load_record("tuned")
    file.unlink() if content is None else file.write_text(content)
    assert load_record("tuned") == whole
    publish("tuned")
    again = read_json(find_model("tuned") / "card.json")
    for card in (first, again):
        del card["training"]["written"]
    assert first == again


def test_prompts_are_encoded_once_for_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    first = examples_for(spec_of())
    monkeypatch.setattr(examples, "_prompts", lambda *_: pytest.fail("rendered again"))
    again = examples_for(spec_of(learning_rate=1e-4))
    assert all(np.array_equal(one.prompt, other.prompt) for one, other in zip(first, again, strict=True))
    with pytest.raises(pytest.fail.Exception):
        examples_for(spec_of(template="stimulus-first-v1"))


def test_damaged_tokens_are_made_anew(finetuning_home: Path) -> None:
    first = examples_for(spec_of())
    (kept,) = (finetuning_home / "cache" / "tokens").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    again = examples_for(spec_of())
    assert all(np.array_equal(one.prompt, other.prompt) for one, other in zip(first, again, strict=True))
    assert kept.stat().st_size > 100


def test_tokens_that_cannot_be_kept_stop_nothing(finetuning_home: Path) -> None:
    (finetuning_home / "cache").mkdir(exist_ok=True)
    (finetuning_home / "cache" / "tokens").write_text("in the way")
    assert len(examples_for(spec_of())) > 0
    assert (finetuning_home / "cache" / "tokens").read_text() == "in the way"
