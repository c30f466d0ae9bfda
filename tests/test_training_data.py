"""What steps and validations read: an order by step number, a mapped file, few enough rows, and what is refused."""

import errno
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from socrates_core.errors import UserError
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.launch import n_processes_for, trainer_command
from socrates_core.finetuning.rows import LEAST_ROWS, choose_rows, most_validated, rows_to_validate
from socrates_core.finetuning.spec import training_path
from socrates_core.settings import folder
from tests.support.finetunes import examples_for, freeze, losses, spec_of, train
from training import checkpoint, sft
from training.batches import Batch
from training.data import StepSampler, column, open_examples, to_examples, write_examples
from training.loop import check_launcher, finetune, open_trainer
from training.model import Trainee, open_trainee

pytestmark = pytest.mark.usefixtures("finetuning_home")


def test_examples_come_back_from_a_mapped_file_as_they_were() -> None:
    examples = examples_for(spec_of(method="distribution"))
    file = folder("cache") / "some.arrow"
    write_examples(file, examples)
    dataset = open_examples(file)
    assert dataset.cache_files == [{"filename": str(file)}]  # mapped, not read into memory
    for example, again in zip(examples, to_examples(list(dataset)), strict=True):
        assert np.array_equal(example.prompt, again.prompt) and example.prompt.dtype == again.prompt.dtype
        assert np.array_equal(example.shares, again.shares)
        assert (example.answers, example.weight, example.row) == (again.answers, again.weight, again.row)
    assert column(dataset, "n_tokens").tolist() == [example.n_tokens for example in examples]


def test_processes_share_every_step_and_an_epoch_reads_each_example_once() -> None:
    people, spec = np.arange(40) // 4, spec_of(batch_size=8)
    whole = StepSampler(people, spec, 7)
    parts = [list(StepSampler(people, spec, 7, process=process, n_processes=3)) for process in range(3)]
    for step, shares in enumerate(zip(*parts, strict=True), 1):
        assert np.concatenate(shares).tolist() == whole.places(step).tolist()
    assert sorted(place for step in range(1, 6) for place in whole.places(step)) == list(range(40))
    assert list(StepSampler(people, spec, 7, done=4)) == list(whole)[4:]


def test_an_order_is_sorted_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler, epochs = StepSampler(np.arange(16), spec_of(batch_size=8), 6), []
    order = sampler._new_order
    monkeypatch.setattr(sampler, "_new_order", lambda epoch: epochs.append(epoch) or order(epoch))  # type: ignore[func-returns-value]
    assert len([sampler.places(step) for step in (1, 2, 3, 4, 5, 6) for _ in range(3)]) == 18
    assert epochs == [0, 1, 2]


def test_validations_cost_a_tenth_of_the_training() -> None:
    spec = spec_of(batch_size=64, max_steps=425, evaluate_every=25)
    n_rows = most_validated(spec, 27_200)
    assert n_rows * (1 + 17) <= 0.1 * 3 * 27_200 and n_rows > LEAST_ROWS
    assert most_validated(spec_of(), 27_200) == LEAST_ROWS
    assert most_validated(spec_of(method="reasoning"), 27_200) < LEAST_ROWS
    assert most_validated(spec_of(validation_rows=7), 27_200) == 7


@pytest.mark.parametrize("most", [12, 20])
def test_fewer_rows_are_asked_of_every_study_and_always_the_same(most: int) -> None:
    spec = spec_of(validation_share=0.4, validation_cap=6, validation_rows=most)
    rows = choose_rows(spec)
    asked = rows_to_validate(spec, rows)
    assert len(rows.validation) > 20 and 0 < len(asked) <= most
    assert set(asked["study_id"]) == set(rows.validation["study_id"])
    assert asked.equals(rows_to_validate(spec, choose_rows(spec)))
    keys = ["study_id", "sample_id"]
    assert len(asked.merge(rows.validation[keys])) == len(asked)


def test_a_base_model_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(validation_share=0.4, validation_cap=6, max_steps=1)
    train(spec)
    again = open_trainer(freeze(spec.model_copy(update={"name": "again", "learning_rate": 0.02})), sft.loss)
    steps: list[int] = []
    monkeypatch.setattr("training.validation._ask", lambda *_: steps.append(0))
    first, second = (read_history(name)[1] for name in ("tuned", "again"))
    measures = again.examine(0)
    assert measures is not None and not steps and second.empty
    assert measures.w_stated == first["w_stated"].iloc[0] and measures.step == 0


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_DEEPSPEED", "ACCELERATE_USE_FSDP"])
def test_launchers_under_which_processes_would_train_alone_are_refused(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "true")
    with pytest.raises(UserError, match="--multi_gpu and --num_processes alone"):
        check_launcher()


def test_a_finetune_runs_in_as_many_processes_as_there_are_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(batch_size=4)
    made = freeze(spec)
    assert n_processes_for(spec) == 1 and "accelerate.commands.launch" not in trainer_command(made, spec, 1)
    monkeypatch.setenv("SOCRATES_PROCESSES", "8")
    assert n_processes_for(spec) == 4  # no process without an example
    command = trainer_command(made, spec, 4)
    assert command[command.index("--num_processes") + 1] == "4" and command[-1] == made
    monkeypatch.setenv("SOCRATES_PROCESSES", "all")
    with pytest.raises(UserError, match="Give the number of processes"):
        n_processes_for(spec)


def test_optimizers_for_gpus_and_trackers_that_are_missing_are_refused() -> None:
    with pytest.raises(UserError, match="'adamw_8bit' needs an NVIDIA GPU"):
        open_trainer(freeze(spec_of(optimizer="adamw_8bit")), sft.loss)
    with pytest.raises(UserError, match="pip install wandb"):
        open_trainer(freeze(spec_of(name="other", report_to="wandb")), sft.loss)


def test_fields_of_later_versions_leave_the_digests_of_earlier_finetunes() -> None:
    # The digest that commit 57eb3c0 gives this finetune.
    assert spec_of().digest() == "2dbfd5736fd339fabf7153e4fa39f2cfc720d8c2cc8f1e18e9b058d3d458bbc5"
    assert spec_of(report_to="trackio").digest() == spec_of().digest()
    assert spec_of(optimizer="adamw_8bit").digest() != spec_of().digest()


def test_adapters_in_4_bits_are_trained_in_fp32_from_the_very_values_they_had() -> None:
    train(spec_of(name="first", tuning="qlora", max_steps=1, learning_rate=0.013))
    spec = spec_of(base="first", tuning="qlora", precision="auto")
    before = {name: weight.detach().clone() for name, weight in open_trainee(spec).parameters.items()}
    assert any(not torch.equal(each, each.bfloat16().float()) for each in before.values())
    trained = open_trainer(freeze(spec), sft.loss).trainee.parameters
    assert all(torch.equal(weight, before[name]) for name, weight in trained.items())


def test_nothing_is_sent_and_no_pickle_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("telemetry")

    monkeypatch.setattr("trl.trainer.base_trainer.send_telemetry", refuse)
    monkeypatch.delenv("CI", raising=False)
    made = train(spec_of(max_steps=1))
    kinds = {file.suffix for file in training_path(made).rglob("*") if file.is_file()}
    assert (
        kinds <= {".json", ".jsonl", ".yaml", ".safetensors", ".md", ".lock", ""} and len(losses(made)) == 1
    )


def test_a_full_disk_at_a_checkpoint_is_a_sentence_and_the_last_checkpoint_stays(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = freeze(spec_of(max_steps=4, evaluate_every=2))
    whole = save_file

    def fills(tensors: dict[str, torch.Tensor], path: Path) -> None:
        if "checkpoint-4" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", fills)
    monkeypatch.setattr(sys, "argv", ["sft", "--training", made])
    with pytest.raises(SystemExit) as ended:
        finetune("sft", sft.loss)
    assert ended.value.code == 2 and "Free some space, then resume" in capsys.readouterr().err
    monkeypatch.setattr(checkpoint, "save_file", whole)
    assert (training_path(made) / "checkpoint-2" / "state.json").exists()
    assert open_trainer(made, sft.loss).finish() and len(losses(made)) == 4


def test_a_step_that_ran_out_of_memory_is_taken_again_in_smaller_batches() -> None:
    spec = spec_of(max_steps=2)
    usual = losses(train(spec))
    sizes: list[int] = []

    def short_of_memory(trainee: Trainee, batch: Batch) -> torch.Tensor:
        loss = sft.loss(trainee, batch)
        sizes.append(sum(item.n_tokens for item in batch.items))
        if sizes[-1] > 600:
            loss.backward()  # half of the step is done
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss

    made = freeze(spec.model_copy(update={"name": "short"}))
    assert open_trainer(made, short_of_memory).finish()
    assert losses(made) == pytest.approx(usual, rel=1e-4) and max(sizes) > 600
