"""How finetunes end: what is kept, what is said of it, what is refused, and what is asked afterwards."""

import math
import re
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch

from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import read_json
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.overview import what_it_took
from socrates_core.finetuning.publish import doubts_of, publish
from socrates_core.finetuning.spec import training_path
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs.store import list_jobs
from socrates_core.models.model_folder import find_model
from tests.support.finetunes import freeze, losses, spec_of, train
from tests.support.jobs import start_no_worker
from training import sft
from training.batches import Batch
from training.loop import finetune, open_trainer
from training.model import Trainee

pytestmark = pytest.mark.usefixtures("finetuning_home")


def test_a_model_that_stops_answering_is_not_kept_for_its_distance() -> None:
    run = open_trainer(freeze(spec_of(validation_share=0.4, validation_cap=6)), sft.loss)
    run.verdict.state = replace(run.verdict.state, least_mass=0.4)
    usual = Validation(2, 0.3, 0.3, 0.2, 50.0, -1.0, math.nan, 0.5, 10, 5, 1, 1.0)
    run.verdict.judge(usual)
    run.verdict.judge(replace(usual, w_stated=0.1, valid_mass=0.3))
    assert run.verdict.state.best == 0.3 and run.verdict.state.n_without_better == 1
    run.verdict.judge(replace(usual, w_stated=0.2, valid_mass=0.41))
    assert run.verdict.state.best == 0.2 and run.verdict.state.n_without_better == 0


def test_a_finetune_that_only_loses_answers_still_ends_with_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = spec_of(validation_share=0.4, validation_cap=6, evaluate_every=1, patience=1)
    run = open_trainer(freeze(spec), sft.loss)
    usual = Validation(0, 0.3, 0.3, 0.2, 50.0, -1.0, math.nan, 0.9, 10, 5, 1, 1.0)
    worse = replace(usual, w_stated=0.2, valid_mass=0.5)
    monkeypatch.setattr(run, "examine", lambda step: replace(worse if step else usual, step=step))
    assert run.finish() and len(losses("tuned")) == 1
    publish("tuned")


def test_want_of_memory_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def hungry(trainee: Trainee, batch: Batch) -> torch.Tensor:
        return torch.empty(2**60) + sft.loss(trainee, batch)

    monkeypatch.setattr(sys, "argv", ["sft", "--training", freeze(spec_of(checkpointing=True))])
    with pytest.raises(SystemExit) as ended:
        finetune("sft", hungry)
    complaint = capsys.readouterr().err
    assert ended.value.code == 2 and "Memory ran out with" in complaint and "Resume once" in complaint
    assert "gradient checkpointing" not in complaint and "with QLoRA or a smaller model" in complaint


def test_the_end_tells_what_was_estimated_and_what_gives_reason_to_doubt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_no_worker(monkeypatch)
    made = submit_training(spec_of()).id
    assert open_trainer(made, sft.loss).finish()
    publish(made)
    card = read_json(find_model("tuned") / "card.json")["training"]
    took, doubts = what_it_took(card, training_path(made)), card["doubts"]
    assert re.search(r"It took .* for 4 steps and .* GB; the estimate was .* for at most 4 steps", took)
    assert card["estimate"]["n_steps"] == 4 and card["precision"] == "fp32" and card["processor"]
    assert doubts == [
        "No rows were kept back, so it is not known whether it predicts better than its base model."
    ]


def test_a_model_that_is_no_better_than_its_base_or_uniform_or_hardly_answers_is_doubted() -> None:
    base = {"w_stated": 0.2, "w_uniform": 0.25, "valid_mass": 0.9}
    assert doubts_of(base, base | {"w_stated": 0.19}) == []
    worse = doubts_of(base, base | {"w_stated": 0.26, "valid_mass": 0.5})
    for told, number in zip(worse, ("0.200", "0.250", "0.50"), strict=True):
        assert number in told


def test_a_base_that_was_asked_already_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start_no_worker(monkeypatch)
    for seed, name in enumerate(("first", "second")):
        submit_training(spec_of(name=name, seed=seed), evaluate=True)
    plans = [job.args.get("plan", {"model": "the base"}) for job in list_jobs() if job.kind == "evaluate"]
    assert sorted(each["model"] for each in plans) == ["first", "second", "the base"]


@pytest.mark.parametrize("name", ["uniform", "starter", "half-sample"])
def test_a_name_that_stands_beside_models_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=f"{name!r} is reserved for something else"):
        submit_training(spec_of(name=name))


def test_rationales_that_changed_do_not_go_on_from_the_checkpoint() -> None:
    made = train(spec_of(method="reasoning", max_steps=1))
    file = open_corpus("made").path / "reasoning.parquet"
    rows = pd.read_parquet(file)
    rows.assign(reasoning="I thought of something else.").to_parquet(file)
    with pytest.raises(UserError, match="other rows, settings or weights"):
        open_trainer(made, sft.loss)
