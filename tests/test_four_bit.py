"""Training in 4 bits: right gradients against weights taken apart here, or a refusal; and what it learns."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from socrates_core.errors import UserError
from socrates_core.models import answer_all
from tests.support.finetunes import examples_for, loss_of, losses, spec_of, train
from tests.support.scoring import largest_difference, open_local, questions
from training import sft
from training.model import GRADIENT_TOLERANCE, Trainee, open_trainee, prove_four_bit


def make_layer(n_in: int, n_out: int) -> Any:
    """A random linear layer in NF4, computing in bf16, as `load_model` makes them."""
    import bitsandbytes as bnb

    torch.manual_seed(n_in)
    layer = bnb.nn.Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it without types
        n_in,
        n_out,
        bias=False,
        compute_dtype=torch.bfloat16,
        compress_statistics=False,
        quant_type="nf4",
    )
    return layer.to("cpu")


def unpacked(layer: Any) -> torch.Tensor:
    """The weights in fp32, number by number, by the table of the QLoRA paper (Dettmers et al. 2023, appendix E)."""
    table = [
        -1.0,
        -0.6961928,
        -0.5250731,
        -0.3949175,
        -0.2844414,
        -0.1847734,
        -0.0910500,
        0.0,
        0.0795803,
        0.1609302,
        0.2461123,
        0.3379152,
        0.4407098,
        0.5626170,
        0.7229568,
        1.0,
    ]
    state = layer.weight.quant_state
    codes = [code for byte in layer.weight.data.flatten().tolist() for code in (byte >> 4, byte & 15)]
    numbers = torch.tensor([table[code] for code in codes[: state.shape.numel()]])
    scale: torch.Tensor = state.absmax[torch.arange(len(numbers)) // state.blocksize]
    return (numbers * scale).view(state.shape)


@pytest.mark.parametrize(
    ("n_in", "n_out"), [(576, 1536), (1536, 576), (576, 192), (64, 128), (96, 64), (100, 64)]
)
def test_every_shape_is_right_or_refused(n_in: int, n_out: int) -> None:
    layer, weight = make_layer(n_in, n_out), unpacked(make_layer(n_in, n_out))
    given = torch.randn(5, n_in, requires_grad=True)
    layer.train()(given).sum().backward()
    assert given.grad is not None
    expected = weight.sum(0).expand(5, -1)
    right = (given.grad - expected).norm() < GRADIENT_TOLERANCE * expected.norm()
    if right:
        prove_four_bit(torch.nn.Sequential(layer))
    else:  # rows that do not fill whole blocks, on processors with AVX-512
        with pytest.raises(UserError, match=f"layers of {n_in} x {n_out} such as '0'.*Choose tuning 'lora'"):
            prove_four_bit(torch.nn.Sequential(layer))
    assert right or n_in % 64


@pytest.mark.parametrize(("factor", "told"), [(1.05, r"[45]\.\d%"), (torch.nan, "nan%")])
def test_a_kernel_whose_gradient_is_wrong_is_refused(
    factor: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bitsandbytes.functional as kernels

    right = kernels.dequantize_4bit
    monkeypatch.setattr(kernels, "dequantize_4bit", lambda *given, **named: right(*given, **named) * factor)
    with pytest.raises(UserError, match=f"off by {told}"):
        prove_four_bit(torch.nn.Sequential(make_layer(64, 64)))


def gradient(trainee: Trainee) -> torch.Tensor:
    loss = loss_of(trainee, examples_for(trainee.spec)[:2], sft.loss)
    found = torch.autograd.grad(loss, list(trainee.parameters.values()), allow_unused=True)
    return torch.cat([torch.zeros(0) if each is None else each.flatten() for each in found])


def test_gradients_are_those_of_the_same_weights_in_fp32_also_after_answers(finetuning_home: Path) -> None:
    """bitsandbytes packs weights for good where a model answers; no gradient comes through those."""
    trainee = open_trainee(spec_of(tuning="qlora"))
    whole = AutoModelForCausalLM.from_pretrained(finetuning_home / "models" / "tiny", dtype=torch.float32)
    for name, layer in trainee.model.base_model.model.named_modules():
        if hasattr(layer, "base_layer"):
            whole.get_submodule(name).weight.data = unpacked(layer.base_layer)
    whole.save_pretrained(finetuning_home / "models" / "whole")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        source = finetuning_home / "models" / "tiny" / name
        (finetuning_home / "models" / "whole" / name).write_bytes(source.read_bytes())
    expected = gradient(open_trainee(spec_of(base="whole")))
    before = gradient(trainee)
    assert (before - expected).norm() < 0.05 * expected.norm()  # bf16 through two layers
    trainee.model.eval()
    with torch.no_grad():
        loss_of(trainee, examples_for(trainee.spec)[:2], sft.loss)
    trainee.model.train()
    assert torch.equal(gradient(trainee), before)


def test_a_finetune_in_4_bits_learns_and_its_adapter_answers(finetuning_home: Path) -> None:
    made = train(
        spec_of(tuning="qlora", per_study=3, max_steps=4, epochs=4.0, evaluate_every=1, learning_rate=0.02)
    )
    told = losses(made)
    assert told == sorted(told, reverse=True) and told[-1] < 0.8 * told[0]
    found = answer_all(open_local(Path("tuned"), precision="nf4"), questions())
    assert (
        largest_difference(found, answer_all(open_local(Path("tiny"), precision="nf4"), questions())) > 1e-3
    )
