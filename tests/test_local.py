"""Local models against a plain loop that scores every option alone in fp32, and the folders that are refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from socrates_core.errors import UserError
from socrates_core.models import answer_all, context_limit, count_tokens
from socrates_core.models.local.network import PACKED
from socrates_core.records import Prompt, Question
from tests.support.reference_scorer import ReferenceScorer
from tests.support.scoring import (
    MODELS,
    PROMPTS,
    SCALES,
    TOLERANCE,
    largest_difference,
    open_local,
    questions,
    set_budget,
)
from tests.support.tiny_models import SPECIAL, Kind, make_tiny_model


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Every test here has a home of its own."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama whose tokenizer has one token a digit."""
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", "single-digit")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model that a test may spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


@pytest.mark.parametrize(("model_type", "kind", "config"), MODELS)
def test_every_scale_agrees_with_scoring_each_option_alone(
    model_type: str, kind: Kind, config: dict[str, Any], tmp_path: Path
) -> None:
    path = make_tiny_model(tmp_path / model_type, kind, model_type, **config)
    reference = ReferenceScorer(path, ends=[SPECIAL[kind][1]])
    found = answer_all(open_local(path, precision="fp32"), questions())
    expected = []
    for question in questions():
        system, user = question.prompt.system, question.prompt.user
        merged = [{"role": "user", "content": "\n\n".join(part for part in (system, user) if part)}]
        messages = merged if kind == "sentencepiece" else question.prompt.messages()
        expected.append(reference.score(reference.render(messages), question.options))
    assert largest_difference(found, expected) < TOLERANCE
    for answer in found:
        assert answer.probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert 0 <= answer.valid_mass <= 1


def test_trees_are_packed_for_every_architecture_that_is_proved_to_take_them() -> None:
    assert {model_type for model_type, _, _ in MODELS} >= PACKED


def test_batch_size_order_and_neighbours_do_not_change_an_answer(tiny: Path) -> None:
    model = open_local(tiny, precision="fp32")
    asked = [
        Question(Prompt("", "Agree? " * (1 + place % 9)), options)
        for place, options in enumerate(SCALES.values())
    ] + questions()
    together = answer_all(model, asked)
    set_budget(model, 1)
    alone = answer_all(model, asked)
    set_budget(model, 200)
    reversed_order = answer_all(model, asked[::-1])[::-1]
    assert largest_difference(together, alone) < TOLERANCE
    assert largest_difference(together, reversed_order) < TOLERANCE


def test_the_same_question_twice_is_scored_once_and_answered_twice(tiny: Path) -> None:
    model = open_local(tiny, precision="fp32")
    asked = Question(PROMPTS[0], SCALES["1-7"])
    first, second = answer_all(model, [asked, asked])
    assert first.probabilities.tolist() == second.probabilities.tolist()


def test_tokens_are_counted_as_transformers_counts_them(tiny: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    for prompt in PROMPTS:
        text = tokenizer.apply_chat_template(prompt.messages(), tokenize=False, add_generation_prompt=True)
        expected = len(tokenizer(text, add_special_tokens=False).input_ids)
        assert count_tokens(str(tiny), prompt) == expected
        assert answer_all(open_local(tiny), [Question(prompt, ("1", "2"))])[0].n_tokens == expected


def test_the_paper_s_decoding_is_temperature_then_nucleus_at_every_node(tmp_path: Path) -> None:
    flat = make_tiny_model(tmp_path / "flat", "single-digit", initializer_range=0.15)
    model = open_local(flat, precision="fp32", decoding="paper")
    reference = ReferenceScorer(flat, ends=["<|im_end|>"], paper=True)
    asked = [Question(prompt, SCALES[scale]) for prompt in PROMPTS for scale in ("1-7", "0-100")]
    found = answer_all(model, asked)
    expected = [reference.score(reference.render(each.prompt.messages()), each.options) for each in asked]
    assert largest_difference(found, expected) < TOLERANCE
    assert any((answer.probabilities == 0).any() for answer in found)


def test_running_out_of_memory_halves_the_batch_and_loses_nothing(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_local(tiny, precision="fp32")
    expected = answer_all(model, questions())
    network = model._network()
    whole = network.logits
    sizes: list[int] = []

    def small_memory(layout: Any) -> Any:
        sizes.append(layout.tokens.size)
        if layout.tokens.size > 120:
            raise torch.OutOfMemoryError("out of memory")
        return whole(layout)

    set_budget(model, 2000)
    monkeypatch.setattr(network, "logits", small_memory)
    assert largest_difference(answer_all(model, questions()), expected) < TOLERANCE
    assert sizes[0] > 120
    assert network.budget.tokens <= 120


def test_a_prompt_that_does_not_fit_in_memory_alone_ends_in_a_sentence(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_local(tiny)

    def no_memory(layout: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(model._network(), "logits", no_memory)
    with pytest.raises(UserError, match="does not fit in this machine's memory"):
        answer_all(model, questions())


def test_other_errors_of_the_model_stay_loud(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = open_local(tiny)

    def broken(layout: Any) -> Any:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(model._network(), "logits", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        answer_all(model, questions())


def test_a_prompt_beyond_the_context_limit_names_model_limit_and_length(tiny: Path) -> None:
    long = Prompt("", "x " * 20_000)
    length = count_tokens(str(tiny), long)
    with pytest.raises(UserError) as caught:
        answer_all(open_local(tiny), [Question(long, ("1", "2"))])
    for part in (str(tiny), "1,024", f"{length:,}"):
        assert part in str(caught.value)
    assert context_limit(str(tiny)) == 1024


def test_a_prompt_that_is_too_long_is_refused_before_any_other_is_answered(tiny: Path) -> None:
    asked = [*questions(), Question(Prompt("", "x " * 20_000), ("1", "2"))]
    with pytest.raises(UserError, match="takes at most"):
        next(open_local(tiny).answer(asked))


def test_a_model_without_a_chat_template_gets_plain_paragraphs_and_its_card_says_so(copy: Path) -> None:
    (copy / "chat_template.jinja").unlink()
    model = open_local(copy, precision="fp32")
    assert model.card.template == "socsci210-v1 plain"
    reference = ReferenceScorer(copy, ends=["<|im_end|>"])
    expected = reference.score("System.\n\nUser.\n\nAnswer:\n", SCALES["0-10"])
    found = answer_all(model, [Question(Prompt("System.", "User."), SCALES["0-10"])])
    assert largest_difference(found, [expected]) < TOLERANCE


def test_any_change_of_the_folder_s_content_changes_the_fingerprint(copy: Path) -> None:
    before = open_local(copy).fingerprint
    assert open_local(copy).fingerprint == before
    template = copy / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    assert open_local(copy).fingerprint != before


def test_precision_and_decoding_change_the_fingerprint(tiny: Path) -> None:
    cards = [
        open_local(tiny, precision="fp32"),
        open_local(tiny, precision="bf16"),
        open_local(tiny, precision="fp32", decoding="paper"),
    ]
    assert len({model.fingerprint for model in cards}) == 3
