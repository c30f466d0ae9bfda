"""The commands train, trainings and training: what they submit, list and tell, for people and for machines."""

import json
from pathlib import Path
from typing import Any

import pytest

from socrates_core.cli import training as commands
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import with_precision
from socrates_core.finetuning.spec import (
    TRAININGS,
    TrainingSpec,
    fields_of,
    load_spec_file,
    load_training,
    training_path,
)
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from tests.support.commands import command
from tests.support.made_finetunes import make_finetune
from tests.support.splits import made_up

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def config(starter_home: Path) -> Path:
    """The file of a finetune that can be submitted."""
    save_split(make_split(made_up([(2, 1, 20, False)] * 3), "participants", name="held", share=0.2, seed=0))
    path = starter_home / "tuned.yaml"
    path.write_text(TrainingSpec(name="tuned", split="held", max_steps=7).as_yaml())
    return path


def test_every_field_of_the_file_is_described_once_for_the_page_and_the_commands_help() -> None:
    simple, expert = fields_of("simple"), fields_of("expert")
    assert sorted([*simple, *expert]) == sorted(TrainingSpec.model_fields)
    for name, field in TrainingSpec.model_fields.items():
        assert field.title and f"\n{name}" in str(commands.train.__doc__)
    assert "beta" in fields_of("expert", "dpo") and "beta" not in fields_of("expert", "sft")


def end_while_followed(monkeypatch: pytest.MonkeyPatch, state: store.State, message: str = "") -> None:
    """Who follows a job looks for its worker; here it is this one, which ends the job at once."""

    def work() -> None:
        job = store.claim_next()
        assert job is not None
        store.finish(job, state, message)

    monkeypatch.setattr("socrates_core.jobs.worker_process.ensure_worker", work)


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_the_commands_are_there_and_speak_in_sentences(home: Path) -> None:
    assert "train CONFIG.yaml" in command("trainings")
    assert "There is no file" in command("train", str(home / "none.yaml"), code=2)


def test_a_file_is_submitted_as_it_was_written_with_its_precision(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.train(config, as_json=True)
    submitted = printed(capsys)
    assert submitted == {"training_id": TRAININGS.ids()[0], "state": "queued"}
    # "auto" is resolved once, when it is submitted.
    resolved = with_precision(load_spec_file(config))
    assert resolved.precision != "auto"
    assert load_training(submitted["training_id"]) == resolved
    assert store.read_job(submitted["training_id"]).args == {
        "training_id": submitted["training_id"],
        "name": "tuned",
    }
    commands.trainings(as_json=True)
    assert [(row["name"], row["state"]) for row in printed(capsys)] == [("tuned", "queued")]


def test_waiting_for_a_finetune_that_fails_says_why(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    end_while_followed(monkeypatch, "failed", "The memory is full.")
    with pytest.raises(UserError, match="is failed: The memory is full"):
        commands.train(config, wait=True)


def test_waiting_ends_with_the_figures(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_while_followed(monkeypatch, "done")
    commands.train(config, wait=True)
    assert "tuned: done." in capsys.readouterr().out


def test_a_finetune_tells_its_base_best_and_last_validation(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    training_id = make_finetune(w=(0.27, 0.12, 0.1, 0.15))
    commands.training(training_id, as_json=True)
    told = printed(capsys)
    stages = {name: told[f"{name}_validation"] for name in ("base", "best", "last")}
    assert {name: (each["step"], each["w_stated"]) for name, each in stages.items()} == {
        "base": (0, 0.27),
        "best": (10, 0.1),
        "last": (15, 0.15),
    }
    assert stages["base"]["effect_r"] is None  # NaN is null
    assert (told["step"], told["n_steps"], told["state"], told["model"]) == (15, 15, "done", None)
    commands.training(training_id)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["tuned: done.", "15 of 15 steps"]
    assert [line.split()[:3] for line in lines[3:]] == [
        ["base", "0", "0.27"],
        ["best", "10", "0.1"],
        ["last", "15", "0.15"],
    ]


def test_a_base_that_no_step_beats_is_not_called_the_best(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.training(make_finetune(w=(0.1, 0.3, 0.2)), as_json=True)
    assert printed(capsys)["best_validation"]["step"] == 10


def test_a_running_finetune_tells_the_time_left(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_id = make_finetune(state="running")
    reporter = Reporter(store.read_job(training_id))
    reporter.begin("training", 400, 100)
    reporter.advance(300)
    commands.training(training_id, as_json=True)
    assert printed(capsys)["seconds_left"] == 0


def test_before_the_first_step_nothing_is_made_up(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training_id = make_finetune(state="queued")
    for name in ("history.jsonl", "plan.json"):
        (training_path(training_id) / name).unlink()
    commands.training(training_id, as_json=True)
    told = printed(capsys)
    assert (told["step"], told["loss"], told["n_steps"], told["last_validation"]) == (0, None, None, None)
    commands.training(training_id)
    assert "No validation yet" in capsys.readouterr().out


def test_an_unknown_finetune_is_a_sentence_and_a_damaged_one_hides_no_other(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sound, broken = make_finetune("sound"), make_finetune("broken")
    (training_path(broken) / "spec.yaml").write_text("name: [")
    with pytest.raises(UserError, match=sound):
        commands.training("gone")
    commands.trainings(as_json=True)
    assert {row["training_id"]: row["state"] for row in printed(capsys)} == {sound: "done", broken: "damaged"}
