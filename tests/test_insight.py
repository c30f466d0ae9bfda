"""What is known before a finetune starts: the examples as they train, their lengths, the time and the memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.shapes import SHAPES
from socrates_core.asking.resources import PROBES, REACHED, probe_key
from socrates_core.corpus import open_corpus
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.files import write_json
from socrates_core.finetuning import insight
from socrates_core.finetuning.estimate import (
    IN_FP32,
    ON_PROCESSOR,
    activation_bytes,
    count_parameters,
    estimate_training,
    settings_that_fit,
    weight_bytes,
)
from socrates_core.finetuning.examples import build_examples
from socrates_core.finetuning.history import Step, Validation, add
from socrates_core.finetuning.insight import Insight
from socrates_core.finetuning.recipes import recipes_for
from socrates_core.finetuning.rows import choose_rows, n_steps_of
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, spec_from_dict
from socrates_core.models.chat import open_chat
from socrates_core.models.graphics_cards import _ask_driver
from socrates_core.models.machine import this_machine
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.weights import tensor_shapes
from socrates_core.populations.panel import present
from socrates_core.prompts import render_prompt
from socrates_core.settings import home
from tests.support.shapes import make_hollow_model

END = "<|im_end|>"
LINEAR = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)  # numbers in the starter model's linear layers
TRAINED = 4_884_480  # numbers that peft adds to them at rank 16, by its own count


LLAMA_8B, QWEN_14B = (shape for _, shape in SHAPES.values())


@pytest.fixture
def card_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int], None]]:
    """Puts a GPU with so much free memory, in 2^20 bytes, into this machine, as its driver would tell."""

    def insert(mebibytes: int) -> None:
        driver = tmp_path / "nvidia-smi"
        first = f"NVIDIA Card, 580.65.06, 8.9, 99999, {mebibytes}"
        driver.write_text(f"#!/bin/sh\necho '{first}'\necho 'NVIDIA Card, 580.65.06, 8.9, 99999, 99999'\n")
        driver.chmod(0o755)
        _ask_driver.cache_clear()
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)  # the tests hide a real one

    yield insert
    _ask_driver.cache_clear()


@pytest.fixture
def spec(starter_home: Path) -> TrainingSpec:
    save_split(make_split(open_corpus("starter"), "studies", name="mine"))
    return spec_from_dict({"name": "new", "split": "mine", "per_cell": 2}, "the test")


def look(spec: TrainingSpec) -> Insight:
    return insight.look_at(spec, choose_rows(spec))


def changed(spec: TrainingSpec, **fields: Any) -> TrainingSpec:
    return spec_from_dict(spec.model_dump() | fields, "the test")


def test_an_example_decodes_to_what_the_model_is_asked_and_the_persons_answer(spec: TrainingSpec) -> None:
    chosen, chat = choose_rows(spec), open_chat(open_folder("starter"))
    row, shown = chosen.train.iloc[0], look(spec).first[0]
    person = present(chosen.corpus.participant(row["study_id"], int(row["participant"])).demographics)
    stimulus = chosen.corpus.stimulus(row["study_id"], int(row["stimulus_id"]))
    assert shown.prompt_text == chat.render(render_prompt(person, stimulus.stimulus, spec.template))
    assert shown.targets == ((f"{row['value']:.0f}{END}", 1.0),)
    assert shown.study_id == row["study_id"]


def test_of_dpo_the_persons_answer_is_told_before_another(spec: TrainingSpec) -> None:
    for shown in look(changed(spec, method="dpo")).first:
        (ours, _), (other, _) = shown.targets
        assert ours != other and ours.endswith(END) and other.endswith(END)


def test_of_a_distribution_every_answer_is_told_with_its_share(spec: TrainingSpec) -> None:
    looked, chosen = look(changed(spec, method="distribution")), choose_rows(spec)
    row = chosen.train.iloc[0]
    same = chosen.answered[["study_id", "stimulus_id"]].eq(row[["study_id", "stimulus_id"]]).all(axis=1)
    shares = chosen.answered[same]["value"].value_counts(normalize=True)
    assert dict(looked.first[0].targets) == pytest.approx(
        {f"{value:.0f}{END}": n for value, n in shares.items()}
    )


def test_lengths_are_of_the_examples_that_train(spec: TrainingSpec) -> None:
    chosen = choose_rows(spec)
    examples = build_examples(spec, chosen, chosen.train, open_chat(open_folder("starter")))
    lengths = sorted(len(each.prompt) + len(each.answers[0]) for each in examples)
    looked = look(spec)
    assert looked.n_examples == looked.n_rows == looked.lengths.n == len(lengths)
    assert (looked.lengths.p50, looked.lengths.max) == (lengths[len(lengths) // 2], lengths[-1])
    assert looked.lengths.mean == pytest.approx(np.mean(lengths))
    assert looked.reads == pytest.approx(np.mean([len(each.answers[0]) for each in examples]))


def test_rows_people_and_cells_of_every_study_are_counted(spec: TrainingSpec) -> None:
    looked, rows = look(spec), choose_rows(spec).train
    for study in looked.per_study.itertuples():
        own = rows[rows["study_id"] == study.study_id]
        cells = {(row.condition_num, row.task_num) for row in own.itertuples()}
        assert (study.rows, study.people, study.cells) == (len(own), len(set(own["participant"])), len(cells))
    assert looked.per_study["rows"].sum() == looked.n_rows and len(looked.per_study) == looked.n_studies


def test_of_many_rows_a_sample_is_measured_and_that_is_said(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = look(spec)
    monkeypatch.setattr(insight, "SAMPLED", 50)
    looked = look(spec)
    assert (looked.lengths.n, looked.n_examples) == (50, whole.n_examples)
    assert looked.lengths.mean == pytest.approx(whole.lengths.mean, rel=0.1)
    assert "sample of 50" in looked.sentence and "all" in whole.sentence
    assert look(spec).first == looked.first


def test_examples_beyond_the_models_context_are_counted(spec: TrainingSpec, starter_home: Path) -> None:
    short = starter_home / "models" / "short"
    short.mkdir()
    for file in (starter_home / "models" / "starter").iterdir():
        (short / file.name).symlink_to(file)
    config = read_config(short) | {"max_position_embeddings": 220}
    (short / "config.json").unlink()
    (short / "config.json").write_text(json.dumps(config), encoding="utf-8")
    chosen = choose_rows(spec)
    examples = build_examples(spec, chosen, chosen.train, open_chat(open_folder("starter")))
    looked = look(changed(spec, base="short"))
    assert looked.limit == 220
    assert 0 < looked.n_too_long == sum(each.n_tokens > 220 for each in examples) < len(examples)


def test_the_starter_models_numbers_are_counted(starter_home: Path) -> None:
    assert count_parameters("starter") == 134_515_008


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tuning": "full", "precision": "fp32"}, 16 * 134_515_008),
        ({"tuning": "lora", "precision": "fp32"}, 4 * 134_515_008 + 16 * TRAINED),
        ({"tuning": "lora", "precision": "bf16"}, 2 * 134_515_008 + 16 * TRAINED),
        ({"tuning": "lora", "precision": "bf16", "rank": 64}, 2 * 134_515_008 + 4 * 16 * TRAINED),
    ],
)
def test_weights_take_what_their_precision_and_their_training_takes(
    spec: TrainingSpec, fields: dict[str, Any], expected: float
) -> None:
    shapes = tensor_shapes(open_folder("starter").base)
    assert weight_bytes(shapes, changed(spec, **fields), compact="fp32") == expected


@pytest.mark.parametrize(("compact", "others"), [("bf16", 2), ("fp16", 2), ("fp32", 4)])
def test_four_bits_hold_the_linear_layers_alone(spec: TrainingSpec, compact: str, others: int) -> None:
    shapes = tensor_shapes(open_folder("starter").base)
    found = weight_bytes(shapes, changed(spec, tuning="qlora"), compact=compact)
    assert found == LINEAR * 0.5625 + 16 * TRAINED + others * (134_515_008 - LINEAR)


def test_activations_are_what_fake_tensors_count(starter_home: Path) -> None:
    """Counted with benchmarks/training_memory.py in the starter model's shape."""
    config = read_config(open_folder("starter").base)
    tiles = 128 + 300 / 2
    for columns, checkpointing, full, counted in (
        (0, False, False, 688_821),
        (tiles, False, False, 1_192_571),
        (0, True, False, 65_899),
        (tiles, True, False, 83_938),
        (0, False, True, 1_032_371),
    ):
        found = activation_bytes(config, columns, checkpointing=checkpointing, full=full)
        assert found == pytest.approx(counted, rel=0.1)


def test_memory_grows_with_the_tokens_at_a_time(spec: TrainingSpec) -> None:
    looked = look(spec)
    small, large, kept_less, small_fp32, large_fp32 = (
        estimate_training(changed(spec, **{"precision": "bf16"} | fields), looked).memory_mb or 0
        for fields in (
            {"micro_tokens": 1024},
            {"micro_tokens": 4096},
            {"micro_tokens": 4096, "checkpointing": True},
            {"micro_tokens": 1024, "precision": "fp32"},
            {"micro_tokens": 4096, "precision": "fp32"},
        )
    )
    assert large - small == pytest.approx(3072 * ON_PROCESSOR * 1.15e6 / 2**20, rel=0.1)
    assert kept_less < small
    assert large_fp32 - small_fp32 == pytest.approx(IN_FP32 * (large - small), rel=0.01)


@pytest.mark.parametrize(
    ("shape", "n_numbers", "biased"), [(LLAMA_8B, 8_030_261_248, False), (QWEN_14B, 14_770_033_664, True)]
)
def test_the_default_for_large_models_starts_on_a_card_of_24_gigabytes(
    spec: TrainingSpec,
    card_of: Callable[[int], None],
    shape: dict[str, int],
    n_numbers: int,
    biased: bool,
) -> None:
    seen = look(spec)
    typical = replace(seen, lengths=replace(seen.lengths, mean=302.0))  # as in SocSci210
    large = make_hollow_model(home() / "models" / "large", shape, biased=biased)
    assert count_parameters(large) == n_numbers
    keep_speed(shape, "nf4")
    card_of(24_080)
    recipe = recipes_for(n_numbers, "sft")[0].settings
    asked = {"name": "new", "split": "mine", "base": large, **recipe, **settings_that_fit(large, recipe)}
    assert asked["checkpointing"] and asked["micro_tokens"] >= 8192 and asked["validation_cap"] == 2
    usual = estimate_training(spec_from_dict(asked, "the test"), typical)
    without = estimate_training(spec_from_dict({**asked, "checkpointing": False}, "the test"), typical)
    assert usual.fits and "4 bits (nf4)" in usual.sentence and "by a probe of one layer" in usual.sentence
    # Forward, and it again with the backward pass, on the two cards of `card_of`.
    assert usual.seconds == pytest.approx(usual.n_tokens * 3 / 1000 / 2)
    assert not without.fits
    assert (
        "Choose gradient checkpointing, fewer 'micro_tokens' at a time or a smaller model."
        in without.sentence
    )


def test_defaults_take_what_the_card_has(starter_home: Path, card_of: Callable[[int], None]) -> None:
    large = make_hollow_model(home() / "models" / "large", LLAMA_8B)
    settings = {"tuning": "qlora", "batch_size": 64}
    by_card = {}
    for mebibytes in (80_000, 24_080, 10_500, 8_500):
        card_of(mebibytes)
        by_card[mebibytes] = tuple(settings_that_fit(large, settings).values())
    assert by_card[80_000] == (False, 2048) and by_card[24_080] == (True, 8192)
    assert by_card[10_500][1] > by_card[8_500][1] and by_card[8_500][0]
    assert settings_that_fit(large, {"tuning": "full"}) == {}


def keep_speed(shape: dict[str, int], precision: str) -> None:
    """The card's speed, as an earlier probe found it: 1,000 tokens a second."""
    shape_only = {"model_type": "qwen2" if shape is QWEN_14B else "llama", **shape}
    key = probe_key(shape_only, precision, "NVIDIA Card")
    write_json(home() / "models" / PROBES, {key: 1000.0})


def test_a_gpu_that_is_hidden_from_programs_is_none(
    card_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    card_of(1000)
    assert this_machine().free == 1000 * 2**20 and this_machine().kind == "cuda"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine().kind == "cpu"


def test_what_does_not_fit_is_said(spec: TrainingSpec) -> None:
    looked = look(spec)
    assert estimate_training(spec, looked).fits
    huge = estimate_training(changed(spec, micro_tokens=10**9, batch_size=10**9), looked)
    assert not huge.fits and "will not fit" in huge.sentence
    assert (
        "Choose QLoRA, gradient checkpointing, fewer 'micro_tokens' at a time or a smaller model."
        in huge.sentence
    )


def test_before_a_finetune_ran_here_the_time_is_told_roughly_or_not_at_all(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch, card_of: Callable[[int], None]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    _ask_driver.cache_clear()
    monkeypatch.setattr("socrates_core.asking.resources.products_per_second", lambda: 1e11)
    looked = look(spec)
    found = estimate_training(spec, looked)
    n_parameters = count_parameters("starter")
    assert n_parameters is not None and "roughly" in found.sentence
    assert found.seconds == pytest.approx(4 * n_parameters * found.n_tokens / (REACHED * 1e11))
    four_bits = estimate_training(changed(spec, tuning="qlora"), looked)
    assert four_bits.seconds is None and "not known before its first steps" in four_bits.sentence


def test_what_does_not_fit_on_a_card_is_said(spec: TrainingSpec, card_of: Callable[[int], None]) -> None:
    looked = look(spec)
    card_of(300)
    found = estimate_training(spec, looked)
    assert (
        not found.fits
        and "only 0.3 GB are free: it will not fit in the GPU's memory (NVIDIA Card)" in found.sentence
    )


def test_the_time_follows_the_last_finetune_of_the_same_kind(spec: TrainingSpec) -> None:
    looked = look(spec)
    ran(spec, "20260101-000000-alike", tokens_per_second=100)
    ran(changed(spec, tuning="full"), "20260102-000000-other", tokens_per_second=7)
    ran(changed(spec, method="dpo"), "20260103-000000-dpo", tokens_per_second=50)
    assert estimate_training(spec, looked).seconds == pytest.approx(
        expected_seconds(spec, looked, 100), rel=1e-4
    )
    reasoning = changed(spec, method="reasoning")
    assert estimate_training(reasoning, looked).seconds == estimate_training(spec, looked).seconds
    pairs = changed(spec, method="dpo")
    assert estimate_training(pairs, looked).seconds == pytest.approx(
        expected_seconds(pairs, looked, 50), rel=1e-4
    )


def ran(spec: TrainingSpec, training_id: str, *, tokens_per_second: float) -> None:
    """A finetune that took four steps of 1,000 tokens, the first of them slow, and 3 seconds to ask 30 people."""
    path = TRAININGS.root / training_id
    path.mkdir()
    (path / "spec.yaml").write_text(spec.as_yaml(), encoding="utf-8")
    for step in range(1, 5):
        speed = tokens_per_second / 10 if step == 1 else tokens_per_second
        add(path, Step(step, 1.0, 1e-4, 1.0, 1000, speed, 2000.0, 10.0 * step))
    add(path, Validation(4, 0.2, 0.2, 0.2, 60.0, -1.0, 0.5, 0.9, 30, 5, 1, 43.0))


def expected_seconds(spec: TrainingSpec, looked: Insight, tokens_per_second: float) -> float:
    n_steps = n_steps_of(looked.n_examples, spec)
    n_validations = 1 + int(np.ceil(n_steps / spec.evaluate_every))
    read = n_steps * spec.batch_size * looked.lengths.mean / tokens_per_second
    return float(read + n_validations * looked.n_validation * 0.1)
