"""Losses and gradients against transformers, trl and plain loops; the collapse that the full vocabulary prevents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from socrates_core.analysis.proper import score_distributions
from socrates_core.finetuning.examples import Example
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.local.load import has_bf16
from socrates_core.records import Floats
from socrates_core.scoring.plan import Layout
from tests.support.finetunes import (
    LOSSES,
    TINY,
    examples_for,
    examples_of_step,
    loss_of,
    loss_size,
    losses,
    open_noisy,
    spec_of,
    train,
)
from tests.support.tiny_models import make_tiny_model
from training import distribution, dpo, sft
from training.batches import Batch, answer_sums, batches_of, steps_of
from training.model import Trainee, autocast, open_trainee
from training.objectives import ranked_probability
from training.trainer import Loss

pytestmark = pytest.mark.usefixtures("finetuning_home")
TOLERANCE = 1e-5  # relative; fp32 rounding over a few hundred tokens
ROUNDING = 1e-6  # relative; fp32 against fp64 from the same logits, where bf16 is off by 1e-3


def alone(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """Log-probability of one whole answer, read in full behind its prompt in a row of its own."""
    tokens = torch.tensor([[*map(int, prompt), *answer]])
    logs: torch.Tensor = model(input_ids=tokens).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return logs[torch.arange(len(answer)), torch.tensor(answer)].sum()


def padded(examples: Sequence[Example]) -> dict[str, torch.Tensor]:
    """The examples' own answers as transformers takes them: rows padded on the right, prompts without labels."""
    rows = [[*each.prompt.tolist(), *each.answers[0]] for each in examples]
    tokens = torch.zeros((len(rows), max(map(len, rows))), dtype=torch.long)
    labels, seen = torch.full_like(tokens, -100), torch.zeros_like(tokens)
    for place, (row, each) in enumerate(zip(rows, examples, strict=True)):
        tokens[place, : len(row)], seen[place, : len(row)] = torch.tensor(row), 1
        labels[place, len(each.prompt) : len(row)] = torch.tensor(each.answers[0])
    return {"input_ids": tokens, "attention_mask": seen, "labels": labels}


def gradients(trainee: Trainee, loss: torch.Tensor) -> torch.Tensor:
    """All gradients of the loss in one row."""
    found = torch.autograd.grad(loss, list(trainee.parameters.values()))
    return torch.cat([each.flatten() for each in found])


def check_same(trainee: Trainee, found: torch.Tensor, expected: torch.Tensor) -> None:
    """Both losses and their gradients agree."""
    assert found.item() == pytest.approx(expected.item(), rel=TOLERANCE)
    ours, theirs = gradients(trainee, found), gradients(trainee, expected)
    assert theirs.norm() > 0
    assert (ours - theirs).norm() < 10 * TOLERANCE * theirs.norm()


@pytest.mark.parametrize(("model_type", "shared"), [("llama", True), ("llama", False), ("gpt_neox", True)])
def test_a_steps_loss_is_that_of_transformers_labels(
    model_type: str, shared: bool, finetuning_home: Path
) -> None:
    make_tiny_model(finetuning_home / "models" / "other", "single-digit", model_type, **TINY)
    spec = spec_of(base="other", share_people=shared)
    trainee, examples = open_noisy(spec), examples_for(spec)[:12]
    with trainee.network.plain_attention():
        expected = trainee.model(**padded(examples)).loss * loss_size(examples)
    check_same(trainee, loss_of(trainee, examples, sft.loss), expected)


def test_a_finetune_is_trls_step_for_step(finetuning_home: Path, tmp_path: Path) -> None:
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    spec = spec_of(schedule="constant", max_steps=3)
    examples = examples_for(spec)
    ours = train(spec)
    path = finetuning_home / "models" / "tiny"
    torch.manual_seed(spec.seed)
    config = LoraConfig(
        r=spec.rank, lora_alpha=int(spec.alpha), target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32), config)
    read = [each for step in (1, 2, 3) for each in examples_of_step(examples, step, spec)]
    rows = [
        {
            "input_ids": [*each.prompt.tolist(), *each.answers[0]],
            "completion_mask": [0] * len(each.prompt) + [1] * len(each.answers[0]),
        }
        for each in read
    ]
    told = SFTConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=spec.batch_size,
        max_steps=3,
        logging_steps=1,
        learning_rate=spec.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        bf16=False,
        use_cpu=True,
        completion_only_loss=True,
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    tokenizer = AutoTokenizer.from_pretrained(path)
    trainer = SFTTrainer(model, told, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    trainer.train()
    theirs = [each["loss"] for each in trainer.state.log_history if "loss" in each]
    assert losses(ours) == pytest.approx(theirs, rel=TOLERANCE)


def test_the_loss_of_shares_is_a_plain_loop_over_whole_answers() -> None:
    spec = spec_of(method="distribution", shrinkage=2.0, balance="cells", per_study=11)
    trainee, examples = open_noisy(spec), examples_for(spec)[:6]
    assert max(len(each.answers) for each in examples) > 3 and len({each.weight for each in examples}) > 1
    assert max(len(answer) for each in examples for answer in each.answers) >= 3
    with trainee.network.plain_attention() as model:
        expected = torch.stack(
            [
                -each.weight * share * alone(model, each.prompt, answer)  # type: ignore[arg-type]
                for each in examples
                for answer, share in zip(each.answers, each.shares, strict=True)
            ]
        ).sum()
    check_same(trainee, loss_of(trainee, examples, distribution.loss), expected)


def test_the_ranked_probability_term_is_added_for_every_cell() -> None:
    spec = spec_of(method="distribution", rps_weight=3.0)
    trainee, examples = open_noisy(spec), examples_for(spec)[:4]
    plain = spec.model_copy(update={"rps_weight": 0.0})
    with trainee.network.plain_attention() as model:
        scores = []
        for each in examples:
            logs = torch.stack([alone(model, each.prompt, answer) for answer in each.answers])  # type: ignore[arg-type]
            apart = logs.softmax(-1).cumsum(-1) - torch.from_numpy(each.shares).float().cumsum(-1)
            scores.append((apart[:-1] ** 2).sum() / (len(logs) - 1))
    found = loss_of(trainee, examples, distribution.loss)
    trainee.spec = plain
    expected = loss_of(trainee, examples, distribution.loss) + 3.0 * torch.stack(scores).sum()
    check_same(trainee, found, expected)


def test_shares_of_one_answer_are_sft() -> None:
    spec = spec_of()
    trainee, examples = open_noisy(spec), examples_for(spec)[:6]
    check_same(trainee, loss_of(trainee, examples, distribution.loss), loss_of(trainee, examples, sft.loss))


def test_ranked_probability_is_the_score_that_answers_are_measured_by() -> None:
    logs = torch.from_numpy(np.random.default_rng(3).normal(size=(5, 7)))
    values = np.arange(1.0, 8.0)
    for row, given in zip(logs, (1.0, 2.0, 4.0, 6.0, 7.0), strict=True):
        expected = score_distributions(
            values, row.softmax(-1).numpy()[None], np.array([given]), valid_mass=np.ones(1)
        )
        observed = torch.from_numpy((values == given).astype(float))
        assert ranked_probability(row, observed).item() == pytest.approx(expected.ranked_probability)


@pytest.mark.parametrize("base", ["tiny", "first"])
def test_the_loss_of_pairs_is_the_published_formula_from_a_base_and_from_an_adapter(base: str) -> None:
    if base == "first":
        train(spec_of(name="first", max_steps=1))
    spec = spec_of(base=base, method="dpo", beta=0.3)
    examples = examples_for(spec)[:6]
    before = pairs_alone(open_trainee(spec), examples).detach()
    trainee = open_noisy(spec)
    apart = pairs_alone(trainee, examples) - before
    expected = -torch.nn.functional.logsigmoid(0.3 * (apart[:, 0] - apart[:, 1])).sum()
    assert abs(expected.item() - len(examples) * np.log(2)) > 0.01
    check_same(trainee, loss_of(trainee, examples, dpo.loss), expected)


@pytest.mark.parametrize("tuning", ["lora", "qlora"])
@pytest.mark.parametrize("base", ["tiny", "first"])
def test_the_first_loss_of_pairs_in_bf16_is_that_of_no_preference(base: str, tuning: str) -> None:
    if base == "first":
        train(spec_of(name="first", max_steps=1))
    trained = train(spec_of(base=base, method="dpo", precision="bf16", tuning=tuning, max_steps=1))
    assert losses(trained) == pytest.approx([np.log(2)], abs=1e-4)


def test_adapters_over_4_bits_compute_in_bf16_and_stay_in_fp32() -> None:
    spec = spec_of(tuning="qlora", precision="bf16")
    trainee, examples = open_noisy(spec), examples_for(spec)[:4]
    with autocast(trainee):
        assert torch.is_autocast_enabled("cpu") == has_bf16(torch.device("cpu"))
        loss_of(trainee, examples, sft.loss).backward()
    assert {weight.dtype for weight in trainee.parameters.values()} == {torch.float32}
    assert {weight.grad.dtype for weight in trainee.parameters.values() if weight.grad is not None} == {
        torch.float32
    }
    with autocast(open_noisy(spec_of(tuning="qlora"))):  # in fp32 where it is asked for
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("sft", {}),
        ("reasoning", {}),
        ("dpo", {"beta": 0.3}),
        ("distribution", {}),
        ("distribution", {"rps_weight": 20.0}),
    ],
)
def test_a_loss_in_bf16_is_that_of_its_logits_in_fp64(
    method: str, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(method=method, precision="bf16", **fields)
    trainee, examples = open_noisy(spec), examples_for(spec)[:6]
    (batch,) = batches_of(examples, trainee.network, spec.model_copy(update={"micro_tokens": 10**6}))
    read: list[torch.Tensor] = []
    forward = trainee.network.logits

    def keep(layout: Layout) -> torch.Tensor:
        read.append(forward(layout))
        return read[-1]

    monkeypatch.setattr(trainee.network, "logits", keep)
    with autocast(trainee), torch.no_grad():
        found = LOSSES[method](trainee, batch)
    assert all(torch.equal(each, each.bfloat16().float()) for each in read)  # the network did run in bf16
    assert found.item() == pytest.approx(loss_in_fp64(method, spec, batch, read), rel=ROUNDING)


def loss_in_fp64(method: str, spec: TrainingSpec, batch: Batch, read: Sequence[torch.Tensor]) -> float:
    """The loss by its formula from the logits that were `read`: of the policy last, of DPO's reference before it."""
    answers = [
        whole_answers_in_fp64(batch, logits.detach().double().log_softmax(-1).numpy()) for logits in read
    ]
    total = 0.0
    for place, (each, logs) in enumerate(zip(batch.examples, answers[-1], strict=True)):
        if method == "dpo":
            apart = logs - answers[0][place]
            total += each.weight * np.logaddexp(0, -spec.beta * (apart[0] - apart[1]))
            continue
        total -= each.weight * float(each.shares @ logs)
        if spec.rps_weight:
            cumulative = np.cumsum(np.exp(logs) / np.exp(logs).sum() - each.shares)[:-1]
            total += spec.rps_weight * each.weight * (cumulative**2).sum() / max(len(logs) - 1, 1)
    return total


def whole_answers_in_fp64(batch: Batch, logs: Floats) -> list[Floats]:
    """Log-probabilities of each example's answers, token by token, from those [N, V] at the trees' inner nodes."""
    found, start = [], 0
    for tree in batch.trees:
        sums = np.zeros(len(tree.parent))
        for node in range(1, len(tree.parent)):  # a node's parent has a lower number
            source = start + tree.step_source[node - 1]
            sums[node] = sums[tree.parent[node]] + logs[source, tree.token[node]]
        found.append(sums[tree.option_node])
        start += len(tree.inner)
    return found


def pairs_alone(trainee: Trainee, examples: Sequence[Example]) -> torch.Tensor:
    """Log-probabilities [n, 2] of the chosen and the rejected answer, each read alone."""
    with trainee.network.plain_attention():
        found = [alone(trainee.model, each.prompt, answer) for each in examples for answer in each.answers]  # type: ignore[arg-type]
    return torch.stack(found).view(-1, 2)


def test_the_reference_of_pairs_has_no_dropout() -> None:
    train(spec_of(name="first", max_steps=1, dropout=0.5))
    spec = spec_of(base="first", method="dpo")
    trainee, examples = open_trainee(spec), examples_for(spec)[:4]
    trainee.model.train()
    with torch.no_grad(), trainee.as_reference():
        found = whole_answers(trainee, examples)
    trainee.model.eval()
    with torch.no_grad():
        assert torch.allclose(found, whole_answers(trainee, examples), atol=1e-4)
        trainee.model.train()
        assert not torch.allclose(found, whole_answers(trainee, examples), atol=1e-4)


def whole_answers(trainee: Trainee, examples: Sequence[Example]) -> torch.Tensor:
    """Log-probabilities of every answer of every example, in the order of the batches."""
    return torch.cat(
        [
            logs
            for batch in batches_of(examples, trainee.network, trainee.spec)
            for logs in answer_sums(trainee.network, batch, steps_of(trainee.network, batch, shared=True))
        ]
    )


def restricted(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """What is not done here: soft targets over the answers' own tokens, normalised among these alone."""
    logs = answer_sums(trainee.network, batch, steps_of(trainee.network, batch, shared=True))
    return torch.stack(
        [
            -(torch.from_numpy(each.shares).float() * own.log_softmax(-1)).sum()
            for own, each in zip(logs, batch.examples, strict=True)
        ]
    ).sum()


def test_soft_targets_over_the_answers_alone_lose_valid_mass_and_over_the_vocabulary_gain_it() -> None:
    """The collapse: no pressure on other tokens or on the end of the turn."""
    spec = spec_of(method="distribution", rps_weight=1.0)  # every value of the scale is an answer
    examples = [each for each in examples_for(spec) if len(each.answers) == 7][:8]
    plain = spec.model_copy(update={"rps_weight": 0.0})

    def mass_after(loss: Loss) -> tuple[float, float]:
        trainee = open_trainee(plain)
        optimizer = torch.optim.AdamW(trainee.parameters.values(), lr=0.02, weight_decay=0.0)
        masses = []
        for part in (distribution.loss, loss):  # first it learns to answer at all
            for _ in range(6):
                loss_of(trainee, examples, part).backward()
                optimizer.step()
                optimizer.zero_grad()
            with torch.no_grad():
                masses.append(float(whole_answers(trainee, examples).exp().sum()) / len(examples))
        return masses[0], masses[1]

    (begun, collapsed), (same, kept) = mass_after(restricted), mass_after(distribution.loss)
    assert begun == same and begun > 0.01
    assert collapsed < 0.5 * begun and kept > begun
