"""What a model takes here before it is asked: the precision that fits, memory, speed; and what is frozen of it."""

import json
import os
from pathlib import Path

import psutil
import pytest

from socrates_core.asking import resources as known
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import PROBES, probed_speed, resources, with_precision
from socrates_core.asking.speed import record_speed
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.spec import plan_evaluation
from socrates_core.files import write_json
from socrates_core.finetuning.submission import check_training
from socrates_core.jobs.store import identify
from socrates_core.models.catalog import LLAMA_8B, QWEN_14B
from socrates_core.models.machine import Machine, this_machine
from socrates_core.models.sizes import GB, ModelSize, choose_precision
from socrates_core.models.warm import WARM, forget_warm, note_warm, warm_bytes
from socrates_core.projects.run_spec import freeze_run
from socrates_core.records import Loaded, Precision
from socrates_core.settings import folder, home
from socrates_core.surveys.start import draft_from_study
from tests.support.finetunes import spec_of
from tests.support.shapes import make_hollow_model

GIB = 2**30
CONTEXT = 0.6e9  # bytes that CUDA itself takes on a card


def card(gib: float, *, free: float | None = None, compact: str = "bf16") -> Machine:
    """A card with that much memory, of which `free` bytes are free; by default all but what CUDA takes."""
    total = int(gib * GIB)
    return Machine("cuda", "A card", compact, total, int(total - CONTEXT if free is None else free))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "gib", "expected"),
    [
        (LLAMA_8B.size, 8, "nf4"),
        (LLAMA_8B.size, 12, "int8"),
        (LLAMA_8B.size, 16, "int8"),
        (LLAMA_8B.size, 20, "bf16"),
        (LLAMA_8B.size, 24, "bf16"),
        (QWEN_14B.size, 12, "nf4"),
        (QWEN_14B.size, 16, "nf4"),
        (QWEN_14B.size, 24, "int8"),
        (QWEN_14B.size, 32, "bf16"),
        (QWEN_14B.size, 80, "bf16"),
    ],
)
def test_auto_takes_the_most_exact_precision_that_fits(size: ModelSize, gib: float, expected: Loaded) -> None:
    assert choose_precision("m", size, "auto", card(gib)) == expected


def test_a_card_without_bf16_answers_in_fp16() -> None:
    assert choose_precision("m", ModelSize(10**9, 10**9), "auto", card(16, compact="fp16")) == "fp16"


def test_what_a_person_chose_stays() -> None:
    assert choose_precision("m", QWEN_14B.size, "fp32", card(8)) == "fp32"


def test_a_card_smaller_than_the_model_in_4_bits_is_a_sentence() -> None:
    with pytest.raises(
        UserError, match=r"'m' takes about 11\.5 GB in 4 bits, more than the 10\.7 GB.*smaller model"
    ):
        choose_precision("m", QWEN_14B.size, "auto", card(10))


def test_a_card_that_another_program_fills_is_a_sentence() -> None:
    with pytest.raises(
        UserError, match=r"only 3\.0 of the 25\.8 GB.*other programs use the rest.*nvidia-smi"
    ):
        choose_precision("m", LLAMA_8B.size, "auto", card(24, free=3e9))


def test_the_workers_open_model_counts_as_free(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socrates_core.models.warm.PROCESS", 0)  # whatever this process loaded so far
    assert warm_bytes("cpu") == warm_bytes("cuda") == 0
    me = vars(identify(os.getpid()))
    write_json(folder("jobs") / WARM, {"owner": me, "on_card": 7 * 10**9})
    assert warm_bytes("cuda") == 7 * 10**9 and warm_bytes("cpu") == 0
    write_json(folder("jobs") / WARM, {"owner": {**me, "started": me["started"] - 99}, "on_card": 7})
    assert warm_bytes("cuda") == 0  # that worker is gone, and its process id is another's
    note_warm()
    available = psutil.virtual_memory().available
    assert warm_bytes("cpu") > 0 and this_machine().free >= min(available, this_machine().total) * 0.9
    forget_warm()
    assert warm_bytes("cpu") == 0


def test_the_precision_of_a_run_an_evaluation_and_a_finetune_is_frozen(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = draft_from_study(open_corpus("starter"), "kakadu")
    draft = draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 2})})
    starter = ModelRequest("starter")
    wanted = this_machine().compact
    assert freeze_run(draft, starter).model.precision == wanted
    assert plan_evaluation(starter, studies=["kakadu"], cap=2).model.precision == wanted
    monkeypatch.setattr(known, "this_machine", lambda: card(8, free=0.35e9))
    assert freeze_run(draft, starter).model.precision == "int8"  # frozen next to another program
    assert freeze_run(draft, ModelRequest("echo")).model.precision == "auto"  # has none


def test_a_finetune_freezes_its_precision(finetuning_home: Path) -> None:
    checked = check_training(spec_of(precision="auto"))
    assert checked.spec.precision == ("bf16" if this_machine().compact == "bf16" else "fp32")
    assert f"The base stays in {checked.spec.precision}" in checked.estimate.sentence


def test_before_a_first_run_precision_memory_and_speed_are_known(starter_home: Path) -> None:
    needed = resources(ModelRequest("starter"))
    assert needed is not None and needed.n_bytes == 0 and needed.fits
    assert needed.precision == this_machine().compact
    assert 0.5 < needed.memory / GB < 1.2 and "of memory" in needed.sentence
    assert needed.tokens_per_second and needed.basis == "by how fast this processor multiplies"
    record_speed(with_precision(ModelRequest("starter")), n_tokens=5000, seconds=50)
    again = resources(ModelRequest("starter"))
    assert again is not None and again.tokens_per_second == 100 and again.basis == known.MEASURED
    assert resources(ModelRequest("echo")) is None


def test_the_speed_of_an_earlier_version_counts(starter_home: Path) -> None:
    (folder("models") / "speeds.json").write_text('{"starter auto exact": [50.0]}')
    needed = resources(ModelRequest("starter"))
    assert needed is not None and needed.tokens_per_second == 50


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "nf4"])
def test_a_probe_times_one_layer_and_is_kept(quiet_home: Path, precision: Precision) -> None:
    """A real probe in a process of its own, of a model of 96 layers: far too many to be run whole."""
    shape = {
        "model_type": "llama",
        "hidden_size": 256,
        "intermediate_size": 512,
        "num_hidden_layers": 96,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    speed = probed_speed(shape, precision, "processor")
    stored = json.loads((home() / "models" / PROBES).read_text())
    assert speed > 0 and list(stored.values()) == [speed]
    assert probed_speed(shape, precision, "processor") == speed


def test_a_probe_that_fails_is_a_sentence(quiet_home: Path) -> None:
    with pytest.raises(UserError, match="could not be measured here: A layer of the model cannot be built"):
        probed_speed({"model_type": "no-such-type", "num_hidden_layers": 2}, "fp32", "processor")


def test_a_large_model_is_probed_before_its_first_run(
    quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_hollow_model(quiet_home / "models" / "large", {**LLAMA_8B.config, "vocab_size": 128256})
    monkeypatch.setattr(known, "this_machine", lambda: card(24))
    monkeypatch.setattr(known, "_probe", lambda asked: 2000.0)  # a card's; the real one runs above
    needed = resources(ModelRequest("large"))
    assert needed is not None and needed.precision == "bf16" and needed.tokens_per_second == 2000
    assert needed.memory == pytest.approx(2 * 8_030_261_248 + 2.5e9)
    assert (
        needed.sentence == "In bf16, about 18.6 GB of memory; 25.2 GB are free in the GPU's memory (A card)."
    )
