"""Learning curves: the finetunes that the command queues for one, their names, their evaluations and their endings."""

import json
import threading
import time
from pathlib import Path

import pytest

from socrates_core.cli.training import train
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.errors import UserError
from socrates_core.finetuning.learning_curve import SHARES, parse_shares, render_shares, submit_curve
from socrates_core.finetuning.spec import TrainingSpec, load_training
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs import store
from tests.support.jobs import start_no_worker
from tests.support.splits import made_up
from tests.support.tiny_models import make_tiny_model


@pytest.fixture
def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    """A finetune of a tiny model that can be submitted."""
    start_no_worker(monkeypatch)
    save_split(make_split(made_up([(2, 1, 20, False)] * 4), "studies", name="held", share=0.25, seed=0))
    make_tiny_model(home / "models" / "base", "single-digit")
    return TrainingSpec(name="mine", base="base", split="held", rank=4)


def test_a_curve_is_one_finetune_a_share(asked: TrainingSpec) -> None:
    jobs = submit_curve(asked, parse_shares("100, 10,30"))
    specs = [load_training(job.id) for job in jobs]
    assert [(spec.name, spec.people_share) for spec in specs] == [
        ("mine-10", 0.1),
        ("mine-30", 0.3),
        ("mine-100", 1.0),
    ]
    assert {spec.model_copy(update={"name": "", "people_share": 1.0}) for spec in specs} == {
        specs[0].model_copy(update={"name": "", "people_share": 1.0})
    }


def test_the_command_evaluates_every_finetune_of_a_curve(
    asked: TrainingSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(asked.as_yaml())
    train(tmp_path / "mine.yaml", shares="50,100", evaluate=True, as_json=True)
    queued = json.loads(capsys.readouterr().out)["training_ids"]
    waiting = {
        job.title.rpartition(" · ")[2]: job.after for job in store.list_jobs() if job.kind == "evaluate"
    }
    assert (
        waiting["mine-50"] == (queued[0],) and waiting["mine-100"] == (queued[1],) and waiting["base"] == ()
    )


def test_waiting_for_a_curve_names_every_finetune_that_did_not_end_as_done(
    asked: TrainingSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.yaml").write_text(asked.as_yaml())
    endings: list[tuple[store.State, str]] = [("failed", "It is full."), ("done", ""), ("cancelled", "")]

    def end() -> None:
        for ending in endings:
            while (claimed := store.claim_next()) is None:
                time.sleep(0.1)
            store.finish(claimed, *ending)

    threading.Thread(target=end, daemon=True).start()
    with pytest.raises(UserError) as told:
        train(tmp_path / "mine.yaml", shares="10,50,100", wait=True)
    first, second, third = capsys.readouterr().out.split()
    assert "2 of 3" in str(told.value) and second not in str(told.value)
    assert f"{first} is failed: It is full. {third} is cancelled." in str(told.value)


def test_a_curve_whose_last_name_is_taken_queues_nothing(asked: TrainingSpec) -> None:
    submit_training(asked.model_copy(update={"name": "mine-100", "seed": 2}))
    n = len(store.list_jobs())
    with pytest.raises(UserError, match="will be called 'mine-100'"):
        submit_curve(asked, SHARES)
    assert len(store.list_jobs()) == n


def test_the_usual_shares_are_written_as_the_command_reads_them() -> None:
    assert render_shares(SHARES) == "1,3,10,30,100" and parse_shares("1,3,10,30,100") == SHARES


@pytest.mark.parametrize("text", ["", "0,10", "10,200", "all", "nan"])
def test_shares_that_are_no_percentages_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="not percentages of people"):
        parse_shares(text)
