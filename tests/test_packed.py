"""Weights in 8 bits and checkpoints that bitsandbytes packed before they were saved."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import count_parameters
from socrates_core.models import answer_all
from socrates_core.models.catalog import folder_card
from socrates_core.models.local.load import load_model, number_type
from socrates_core.models.model_folder import check_folder
from socrates_core.models.sizes import size_of_shapes
from socrates_core.models.weights import model_shapes
from tests.support.scoring import largest_difference, open_local, questions
from tests.support.tiny_models import make_tiny_model, make_tokenizer

PACKINGS = {
    "nf4": BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float16
    ),
    "nested": BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
    ),
    "int8": BitsAndBytesConfig(load_in_8bit=True),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose rows fill whole blocks of 64."""
    return make_tiny_model(
        tmp_path_factory.mktemp("plain"), "single-digit", hidden_size=64, intermediate_size=128, head_dim=16
    )


def pack(plain: Path, path: Path, packing: BitsAndBytesConfig) -> Path:
    """The same model as others publish it: packed here, on this processor, and saved so."""
    model = AutoModelForCausalLM.from_pretrained(
        plain,
        quantization_config=packing,
        dtype=number_type("nf4", torch.device("cpu")),  # that of weights which are packed as they are opened
        device_map={"": "cpu"},
    )
    model.save_pretrained(path)
    make_tokenizer("single-digit").save_pretrained(path)
    return path


def test_8_bits_are_nearer_to_the_whole_than_4(plain: Path) -> None:
    whole, eight, four = (
        answer_all(open_local(plain, precision=precision), questions())
        for precision in ("fp32", "int8", "nf4")
    )
    assert 0 < largest_difference(whole, eight) < largest_difference(whole, four)
    assert open_local(plain, precision="int8").card.precision == "int8"


def test_in_8_bits_only_the_linear_layers_are_packed(plain: Path) -> None:
    import bitsandbytes as bnb

    model = load_model(plain, "int8").model
    kinds = {name.rpartition(".")[2]: type(module) for name, module in model.named_modules()}
    assert kinds["q_proj"] is kinds["down_proj"] is bnb.nn.Linear8bitLt
    assert kinds["lm_head"] is torch.nn.Linear


@pytest.mark.parametrize("name", PACKINGS)
def test_a_packed_checkpoint_opens_counts_whole_numbers_and_answers(
    name: str, plain: Path, tmp_path: Path
) -> None:
    packed = pack(plain, tmp_path / "packed", PACKINGS[name])
    assert check_folder(packed)["quantization_config"]["quant_method"] == "bitsandbytes"
    assert count_parameters(str(packed)) == count_parameters(str(plain))
    assert size_of_shapes(model_shapes(packed)) == size_of_shapes(model_shapes(plain))
    precision = "int8" if name == "int8" else "nf4"
    opened = open_local(packed, precision="auto")
    assert opened.card.precision == precision
    found = answer_all(opened, questions())
    same = answer_all(open_local(plain, precision=precision), questions())
    # Scales that are packed too move answers a little; else the weights are the same numbers.
    assert largest_difference(found, same) < (0.3 if name == "nested" else 0.02)
    with pytest.raises(UserError, match=f"stored in {precision}, so they cannot answer in bf16"):
        load_model(packed, "bf16")


def test_a_packed_checkpoint_is_listed_like_another(plain: Path, home: Path) -> None:
    pack(plain, home / "models" / "packed", PACKINGS["nf4"])
    assert folder_card("packed").installed


@pytest.mark.parametrize(
    "settings",
    [
        {"quant_method": "gptq", "bits": 4},
        {"quant_method": "fp8"},
        {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "fp4"},
        {"quant_method": "bitsandbytes"},
        ["bitsandbytes"],
    ],
)
def test_other_packings_are_refused_in_a_sentence(settings: object, plain: Path, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "other", "single-digit")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": settings}))
    with pytest.raises(UserError, match=r"already quantised.*only bitsandbytes' 8 bits and NF4 are opened"):
        check_folder(folder)


def test_packing_that_does_not_fit_its_weights_is_a_sentence(plain: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    packed = pack(plain, tmp_path / "packed", PACKINGS["nf4"])
    tensors = load_file(packed / "model.safetensors")
    name = next(name for name in tensors if name.endswith("quant_state.bitsandbytes__nf4"))
    claims = json.dumps({"shape": [10**6, 10**6]}).encode()
    tensors[name] = torch.tensor(list(claims), dtype=torch.uint8)
    save_file(tensors, packed / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="is not as long as its packing says"):
        check_folder(packed)


def test_numbers_that_overflow_in_fp16_are_a_sentence(plain: Path) -> None:
    """On a card without bf16; here on the processor, with weights that are too large."""
    opened = open_local(plain, precision="fp16")
    assert opened.card.precision == "fp16"
    answers = answer_all(opened, questions()[:2])
    whole = answer_all(open_local(plain, precision="fp32"), questions()[:2])
    assert largest_difference(answers, whole) < 0.05
    opened = open_local(plain, precision="fp16")
    with torch.no_grad():
        opened._network().model.lm_head.weight.fill_(60_000.0)
    with pytest.raises(UserError, match=r"too large for fp16.*'fp32'"):
        answer_all(opened, questions()[:2])
