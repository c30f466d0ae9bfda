"""Attention in tiles and in blocks: the same results and gradients as one dense mask in plain torch.

On a processor, where these tests run, flex attention computes in plain torch what its kernel computes on a card. The
kernel itself has *not run*.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention import flex_attention
from torch.nn.attention.flex_attention import create_block_mask
from transformers.integrations import flex_attention as flex

from socrates_core.models.local import tree_attention
from socrates_core.models.local.load import load_model
from socrates_core.models.local.network import PACKED, Network
from socrates_core.models.local.tree_attention import (
    BLOCK,
    LONG,
    STEP,
    BlockForest,
    Forest,
    blocks_agree,
    padded_length,
)
from socrates_core.scoring.plan import Item, Layout, lay_out, rounded
from socrates_core.scoring.tree import build_tree
from tests.support.scoring import MODELS
from tests.support.tiny_models import Kind, make_tiny_model

CPU = torch.device("cpu")
HEADS, GROUPS, WIDTH = 4, 2, 16
KINDS: tuple[tree_attention.Kind, ...] = ("tiles", "blocks")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "soft cap": {"softcap": 2.0},
    "window": {"sliding_window": 24},
    "soft cap and window": {"softcap": 2.0, "sliding_window": 100},
}


@pytest.fixture(autouse=True)
def _not_compiled() -> Iterator[None]:
    """Flex attention as plain torch: compiling it takes half a minute and a C++ compiler."""
    with torch.compiler.set_stance("force_eager"):
        yield


def items() -> list[Item]:
    """Prompts of three people that share beginnings of many lengths, each with a tree of three levels."""
    rng = np.random.default_rng(3)
    tree = build_tree(["1", "10", "100", "2"], [[1], [1, 3], [1, 3, 3], [2]])
    system, *people = (rng.integers(5, 90, n) for n in (290, 41, 120, 12))
    outcomes = [rng.integers(5, 90, n) for n in (9, 60)]
    prompts = [np.concatenate([system, person, outcome]) for person in people for outcome in outcomes]
    return [Item(prompt.astype(np.int32), tree, (place,)) for place, prompt in enumerate(prompts)]


def layout() -> Layout:
    row = lay_out(items())
    return rounded(row, tokens=padded_length(row.tokens.shape[1], "blocks"), reads=1)


def visible(row: Layout, window: int | None) -> torch.Tensor:
    """Which columns [L, L] each row may see, from the definition of a layout."""
    end, depth = torch.from_numpy(row.end[0]), torch.from_numpy(row.depth[0])
    place = torch.arange(len(end))
    seen = (place[None] <= place[:, None]) & (place[:, None] < end[None])
    return seen if window is None else seen & (depth[:, None] - depth[None] < window)


def dense(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, seen: torch.Tensor, softcap: float | None
) -> torch.Tensor:
    key, value = (part.repeat_interleave(HEADS // GROUPS, dim=1) for part in (key, value))
    scores = query @ key.transpose(-1, -2) * WIDTH**-0.5
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    weights: torch.Tensor = scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
    taken: torch.Tensor = (weights @ value).transpose(1, 2)
    return taken


def drawn(length: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, length, WIDTH, generator=generator) for heads in (HEADS, GROUPS, GROUPS)
    )
    return query, key, value


@pytest.mark.parametrize("forest", [Forest, BlockForest])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_token_takes_what_a_dense_mask_gives_it(
    forest: type[Forest] | type[BlockForest], options: dict[str, Any]
) -> None:
    row = layout()
    inputs = drawn(row.tokens.shape[1])
    taken = forest(row, CPU).attend(
        *inputs, module=torch.nn.Identity().eval(), scaling=WIDTH**-0.5, **options
    )
    seen = visible(row, options.get("sliding_window"))
    torch.testing.assert_close(taken, dense(*inputs, seen, options.get("softcap")), atol=2e-6, rtol=0)


@pytest.mark.parametrize("forest", [Forest, BlockForest])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_gradients_are_those_of_a_dense_mask(
    forest: type[Forest] | type[BlockForest], options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch refuses a gradient of flex attention on a processor, where its kernel has none; the plain operations have.
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    row = layout()
    inputs = drawn(row.tokens.shape[1])
    for part in inputs:
        part.requires_grad_()
    taken = forest(row, CPU).attend(*inputs, module=torch.nn.Identity(), scaling=WIDTH**-0.5, **options)
    pull = torch.randn(taken.shape, generator=torch.Generator().manual_seed(1))
    expected = dense(*inputs, visible(row, options.get("sliding_window")), options.get("softcap"))
    for gradient, plain in zip(
        torch.autograd.grad(taken, inputs, pull), torch.autograd.grad(expected, inputs, pull), strict=True
    ):
        torch.testing.assert_close(gradient, plain, atol=1e-5, rtol=0)


@pytest.mark.parametrize("window", [None, 24, 300])
def test_block_masks_are_those_of_torch_without_its_square_of_booleans(window: int | None) -> None:
    row = layout()
    length = row.tokens.shape[1]
    mask = BlockForest(row, CPU).block_mask(window)
    plain = create_block_mask(mask.mask_mod, None, None, length, length, device="cpu", BLOCK_SIZE=BLOCK)
    blocks, needed = (one.to_dense()[0, 0].bool() for one in (mask, plain))
    assert bool((blocks | ~needed).all())  # none is skipped that may be seen
    whole, plain_whole = mask.full_kv_num_blocks, plain.full_kv_num_blocks
    assert whole is not None and plain_whole is not None
    if window is None:
        assert torch.equal(blocks, needed)
        assert torch.equal(whole, plain_whole)
        assert int(whole.sum()) > 0 < int((~blocks).sum())
    else:
        assert int(whole.sum()) == 0  # every block is masked number by number


def test_a_row_has_few_lengths() -> None:
    lengths = {padded_length(n, "blocks") for n in range(1, 4 * LONG)}
    assert lengths == {BLOCK, 2 * BLOCK, 4 * BLOCK, LONG, 2 * LONG, 3 * LONG, 4 * LONG}
    assert all(padded_length(n, "blocks") >= n for n in range(1, 4 * LONG))
    assert [padded_length(n, "tiles") for n in (1, STEP, STEP + 1)] == [STEP, STEP, 2 * STEP]


@pytest.mark.parametrize(("model_type", "kind", "config"), [model for model in MODELS if model[0] in PACKED])
def test_a_model_predicts_the_same_with_both_kinds(
    model_type: str, kind: Kind, config: dict[str, Any], tmp_path: Path
) -> None:
    path = make_tiny_model(tmp_path / model_type, kind, model_type, **config)
    logits = []
    for attention in KINDS:
        network = Network(load_model(path, "fp32"), attention)
        with torch.inference_mode():
            logits.append(network.logits(lay_out(items())))
        assert network.attention == attention  # the trial found that blocks work
    torch.testing.assert_close(*logits, atol=1e-5 * float(logits[0].abs().max()), rtol=0)


def test_blocks_that_cannot_run_or_give_something_else_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = make_tiny_model(tmp_path / "tiny", "single-digit")
    expected = Network(load_model(path, "fp32"), "tiles")
    right = flex.flex_attention_forward

    def no_compiler(*_: Any, **__: Any) -> Any:
        raise RuntimeError("Failed to find C compiler.")

    def wrong(*inputs: Any, **options: Any) -> Any:
        taken, _ = right(*inputs, **options)
        return taken * 1.01, None

    for broken in (no_compiler, wrong):
        monkeypatch.setattr(tree_attention, "flex_attention_forward", broken)
        network = Network(load_model(path, "fp32"), "blocks")
        with torch.inference_mode():
            torch.testing.assert_close(network.logits(lay_out(items())), expected.logits(lay_out(items())))
        assert network.attention == "tiles"
        assert "Flex attention does not work on this card" in caplog.text


def test_gradients_are_tried_apart_from_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_model(make_tiny_model(tmp_path / "tiny", "single-digit"), "fp32").model.config
    with torch.inference_mode():
        assert blocks_agree(config, torch.float32, CPU)
        assert blocks_agree(config, torch.bfloat16, CPU)
    assert not blocks_agree(config, torch.float32, CPU)  # torch has no gradient of it on a processor
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    assert blocks_agree(config, torch.float32, CPU)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for a processor with g++")
def test_compiled_blocks_are_equal_too() -> None:
    row = layout()
    inputs = drawn(row.tokens.shape[1])
    with torch.compiler.set_stance("default"), torch.inference_mode():
        taken = BlockForest(row, CPU).attend(
            *inputs, module=torch.nn.Identity().eval(), scaling=WIDTH**-0.5, sliding_window=24
        )
    torch.testing.assert_close(taken, dense(*inputs, visible(row, 24), None), atol=2e-6, rtol=0)
