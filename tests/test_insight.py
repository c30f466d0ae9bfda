"""What is told before a finetune starts: the examples as they train, their lengths, the time and the memory."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.corpus import open_corpus
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.finetuning import insight
from socrates_core.finetuning.estimate import (
    IN_FP32,
    REACHED,
    activation_bytes,
    count_parameters,
    estimate_training,
    free_on_gpu,
    n_steps_of,
    weight_bytes,
)
from socrates_core.finetuning.examples import build_examples
from socrates_core.finetuning.history import Step, Validation, add
from socrates_core.finetuning.insight import Insight
from socrates_core.finetuning.recipes import recipes_for
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, spec_from_dict
from socrates_core.models.chat import open_chat
from socrates_core.models.graphics_cards import _ask_driver
from socrates_core.models.model_folder import open_folder, read_config
from socrates_core.models.weights import tensor_shapes
from socrates_core.populations.panel import present
from socrates_core.prompts import render_prompt
from socrates_core.settings import home

END = "<|im_end|>"
LINEAR = 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536)  # numbers in the starter model's linear layers
TRAINED = 4_884_480  # numbers that peft adds to them at rank 16, by its own count


LLAMA_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
}
QWEN_14B = {
    "hidden_size": 5120,
    "intermediate_size": 13824,
    "num_hidden_layers": 48,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "vocab_size": 152064,
    "biased": 1,
}


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
    told, chosen = look(changed(spec, method="distribution")), choose_rows(spec)
    row = chosen.train.iloc[0]
    same = chosen.answered[["study_id", "stimulus_id"]].eq(row[["study_id", "stimulus_id"]]).all(axis=1)
    shares = chosen.answered[same]["value"].value_counts(normalize=True)
    assert dict(told.first[0].targets) == pytest.approx(
        {f"{value:.0f}{END}": n for value, n in shares.items()}
    )


def test_lengths_are_of_the_examples_that_train(spec: TrainingSpec) -> None:
    chosen = choose_rows(spec)
    examples = build_examples(spec, chosen, chosen.train, open_chat(open_folder("starter")))
    lengths = sorted(len(each.prompt) + len(each.answers[0]) for each in examples)
    told = look(spec)
    assert told.n_examples == told.n_rows == told.lengths.n == len(lengths)
    assert (told.lengths.p50, told.lengths.max) == (lengths[len(lengths) // 2], lengths[-1])
    assert told.lengths.mean == pytest.approx(np.mean(lengths))
    assert told.reads == pytest.approx(np.mean([len(each.answers[0]) for each in examples]))


def test_rows_people_and_cells_of_every_study_are_counted(spec: TrainingSpec) -> None:
    told, rows = look(spec), choose_rows(spec).train
    for study in told.per_study.itertuples():
        own = rows[rows["study_id"] == study.study_id]
        cells = {(row.condition_num, row.task_num) for row in own.itertuples()}
        assert (study.rows, study.people, study.cells) == (len(own), len(set(own["participant"])), len(cells))
    assert told.per_study["rows"].sum() == told.n_rows and len(told.per_study) == told.n_studies


def test_of_many_rows_a_sample_is_measured_and_that_is_said(
    spec: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = look(spec)
    monkeypatch.setattr(insight, "SAMPLED", 50)
    told = look(spec)
    assert (told.lengths.n, told.n_examples) == (50, whole.n_examples)
    assert told.lengths.mean == pytest.approx(whole.lengths.mean, rel=0.1)
    assert "sample of 50" in told.sentence and "all" in whole.sentence
    assert look(spec).first == told.first


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
    told = look(changed(spec, base="short"))
    assert told.limit == 220
    assert 0 < told.n_too_long == sum(each.n_tokens > 220 for each in examples) < len(examples)


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
    assert weight_bytes(shapes, changed(spec, **fields)) == expected


def test_four_bits_hold_the_linear_layers_alone(spec: TrainingSpec) -> None:
    found = weight_bytes(tensor_shapes(open_folder("starter").base), changed(spec, tuning="qlora"))
    others = found - LINEAR * 0.5625 - 16 * TRAINED
    assert others / (134_515_008 - LINEAR) in (2, 4)


def test_activations_are_what_torch_keeps_for_a_token(starter_home: Path) -> None:
    """Counted over tensors saved for the backward pass of 1,152 tokens of the starter model: LoRA in bf16, in fp32."""
    found = activation_bytes(read_config(open_folder("starter").base), 201, checkpointing=False)
    assert found == pytest.approx(1_541_502, rel=0.03)
    assert found == pytest.approx(1_568_638, rel=0.05)


def test_memory_grows_with_the_tokens_at_a_time(spec: TrainingSpec) -> None:
    told = look(spec)
    small, large, kept_less, small_fp32, large_fp32 = (
        estimate_training(changed(spec, **{"precision": "bf16"} | fields), told).memory_mb or 0
        for fields in (
            {"micro_tokens": 1024},
            {"micro_tokens": 4096},
            {"micro_tokens": 4096, "checkpointing": True},
            {"micro_tokens": 1024, "precision": "fp32"},
            {"micro_tokens": 4096, "precision": "fp32"},
        )
    )
    assert large - small == pytest.approx(3072 * 1.2 * 1.5e6 / 2**20, rel=0.05)
    assert kept_less < small
    assert 1.2 * (large - small) < large_fp32 - small_fp32 < IN_FP32 * (large - small)  # logits are as large


@pytest.mark.parametrize(
    ("shape", "n_numbers", "counted"),
    [(LLAMA_8B, 8_030_261_248, (8.9, 39.5)), (QWEN_14B, 14_770_033_664, (14.5, 68.0))],
)
def test_the_default_for_large_models_starts_on_a_card_of_24_gigabytes(
    spec: TrainingSpec,
    card_of: Callable[[int], None],
    shape: dict[str, int],
    n_numbers: int,
    counted: tuple[float, float],
) -> None:
    """`counted`, in 10^9 bytes: over tensors of these shapes with checkpointing, and without, which the project tells
    a tenth too low: it counts attention in tiles of 128 tokens, which have 1,024 on a GPU.
    """
    seen = look(spec)
    told = replace(seen, lengths=replace(seen.lengths, mean=302.0))  # as in SocSci210
    large = make_hollow_model(home() / "models" / "large", shape)
    assert count_parameters(large) == n_numbers
    asked = {"name": "new", "split": "mine", "base": large, **recipes_for(n_numbers, "sft")[0].settings}
    card_of(24_080)
    usual = estimate_training(spec_from_dict(asked, "the test"), told)
    without = estimate_training(spec_from_dict({**asked, "checkpointing": False}, "the test"), told)
    assert usual.fits and usual.memory_mb == pytest.approx(counted[0] * 1e9 / 2**20, rel=0.03)
    assert not without.fits and without.memory_mb == pytest.approx(counted[1] * 1e9 / 2**20, rel=0.12)
    assert (
        "Choose gradient checkpointing, fewer 'micro_tokens' at a time or a smaller model."
        in without.sentence
    )


def make_hollow_model(path: Path, shape: dict[str, int]) -> str:
    """A folder with the configuration and the headers of a Llama's or Qwen's weights in bf16, without the numbers."""
    hidden, inner, vocab = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    keys = hidden // shape["num_attention_heads"] * shape["num_key_value_heads"]
    sizes: dict[str, list[int]] = {
        "model.embed_tokens.weight": [vocab, hidden],
        "lm_head.weight": [vocab, hidden],
        "model.norm.weight": [hidden],
    }
    for layer in range(shape["num_hidden_layers"]):
        parts = {
            "q_proj": [hidden, hidden],
            "k_proj": [keys, hidden],
            "v_proj": [keys, hidden],
            "o_proj": [hidden, hidden],
            "gate_proj": [inner, hidden],
            "up_proj": [inner, hidden],
            "down_proj": [hidden, inner],
            "input_layernorm": [hidden],
            "post_attention_layernorm": [hidden],
        }
        sizes |= {f"model.layers.{layer}.{name}.weight": size for name, size in parts.items()}
        if shape.get("biased"):
            sizes |= {
                f"model.layers.{layer}.{name}.bias": [parts[name][0]]
                for name in ("q_proj", "k_proj", "v_proj")
            }
    header, end = {}, 0
    for name, size in sizes.items():
        header[name] = {
            "dtype": "BF16",
            "shape": size,
            "data_offsets": [end, end := end + 2 * math.prod(size)],
        }
    text = json.dumps(header).encode()
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": "llama", **shape}), encoding="utf-8")
    with (path / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)  # a hole, which takes no room
    return path.name


def test_a_gpu_that_is_hidden_from_programs_is_none(
    card_of: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    card_of(1000)
    assert free_on_gpu() == 1000
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert free_on_gpu() is None


def test_what_does_not_fit_is_said(spec: TrainingSpec) -> None:
    told = look(spec)
    assert estimate_training(spec, told).fits
    huge = estimate_training(changed(spec, micro_tokens=10**9, batch_size=10**9), told)
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
    monkeypatch.setattr("socrates_core.finetuning.estimate._products_per_second", lambda: 1e11)
    told = look(spec)
    found = estimate_training(spec, told)
    n_parameters = count_parameters("starter")
    assert n_parameters is not None and "roughly" in found.sentence
    assert found.seconds == pytest.approx(4 * n_parameters * found.n_tokens / (REACHED * 1e11))
    card_of(2048)
    found = estimate_training(spec, told)
    assert found.seconds is None and "not known before its first steps" in found.sentence
    assert not found.fits and "only 2.0 GB are free: it will not fit in the GPU's memory" in found.sentence


def test_the_time_follows_the_last_finetune_of_the_same_kind(spec: TrainingSpec) -> None:
    told = look(spec)
    ran(spec, "20260101-000000-alike", tokens_per_second=100)
    ran(changed(spec, tuning="full"), "20260102-000000-other", tokens_per_second=7)
    ran(changed(spec, method="dpo"), "20260103-000000-dpo", tokens_per_second=50)
    assert estimate_training(spec, told).seconds == pytest.approx(expected_seconds(spec, told, 100), rel=1e-4)
    reasoning = changed(spec, method="reasoning")
    assert estimate_training(reasoning, told).seconds == estimate_training(spec, told).seconds
    pairs = changed(spec, method="dpo")
    assert estimate_training(pairs, told).seconds == pytest.approx(
        expected_seconds(pairs, told, 50), rel=1e-4
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


def expected_seconds(spec: TrainingSpec, told: Insight, tokens_per_second: float) -> float:
    n_steps = n_steps_of(told.n_examples, spec)
    n_validations = 1 + int(np.ceil(n_steps / spec.evaluate_every))
    read = n_steps * spec.batch_size * told.lengths.mean / tokens_per_second
    return float(read + n_validations * told.n_validation * 0.1)
