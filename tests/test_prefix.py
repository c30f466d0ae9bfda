"""Prompts that begin alike are read once: same answers as read in full, fewer tokens, bounded batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.models import answer_all
from socrates_core.models.local.network import PACKED
from socrates_core.models.local.responder import LocalResponder
from socrates_core.prompts import SYSTEM, render_prompt
from socrates_core.records import Prompt, Question
from tests.support.reference_scorer import ReferenceScorer
from tests.support.scoring import MODELS, SCALES, TOLERANCE, largest_difference, set_budget
from tests.support.tiny_models import SPECIAL, Kind, make_tiny_model

pytestmark = pytest.mark.slow

WINDOW = 16
PEOPLE: list[dict[str, str | int]] = [
    {"age": 34, "gender": "Female", "location": "Ohio"},
    {"age": 34, "gender": "Male", "location": "Ohio"},
    {"age": 71, "gender": "Female", "location": "Maine"},
]
CONDITIONS = ["The new park is free.", "The new park is free for children only. It opens at nine."]
OUTCOMES = {"Is that fair?": "yes or no", "How fair is that?": "1-7", "How much do you agree?": "0-100"}


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Every test here has a home of its own."""


def study() -> list[Question]:
    """Every person in every condition with every outcome, as the product asks them."""
    return [
        Question(render_prompt(person, f'You read "{condition}" and were asked: "{outcome}"'), SCALES[scale])
        for person in PEOPLE
        for condition in CONDITIONS
        for outcome, scale in OUTCOMES.items()
    ]


def around_the_window() -> list[Question]:
    """Pairs of prompts whose common beginning is a little shorter, as long, or longer than the window."""
    texts = ["x" * n_shared + ending for n_shared in range(1, WINDOW + 4) for ending in ("Yes", "Not at all")]
    return [Question(Prompt("", text), SCALES["0-10"]) for text in texts]


def shuffled(questions: list[Question]) -> tuple[list[Question], list[int]]:
    order = np.random.default_rng(7).permutation(len(questions)).tolist()
    return [questions[place] for place in order], order


@pytest.mark.parametrize(("model_type", "kind", "config"), MODELS)
def test_shared_answers_are_those_of_reading_every_prompt_in_full(
    model_type: str, kind: Kind, config: dict[str, Any], tmp_path: Path
) -> None:
    path = make_tiny_model(tmp_path / model_type, kind, model_type, **config)
    asked, _ = shuffled(study() + around_the_window())
    in_full = answer_all(LocalResponder(str(path), "fp32", share_prefixes=False), asked)
    shared = LocalResponder(str(path), "fp32")
    for budget in (1, 200, 10**6):
        set_budget(shared, budget)
        assert largest_difference(answer_all(shared, asked), in_full) < TOLERANCE


def test_a_shared_study_agrees_with_scoring_each_option_alone(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path / "mistral", "three-digit", "mistral", sliding_window=WINDOW)
    reference = ReferenceScorer(path, ends=[SPECIAL["three-digit"][1]])
    asked = [each for each in study() if len(each.options) < 10][::3]
    expected = [reference.score(reference.render(each.prompt.messages()), each.options) for each in asked]
    assert largest_difference(answer_all(LocalResponder(str(path), "fp32"), asked), expected) < TOLERANCE


def test_the_order_of_the_questions_does_not_change_an_answer(tmp_path: Path) -> None:
    model = LocalResponder(str(make_tiny_model(tmp_path / "tiny", "single-digit")), "fp32")
    asked, order = shuffled(study())
    in_order = answer_all(model, study())
    assert largest_difference(answer_all(model, asked), [in_order[place] for place in order]) < TOLERANCE


def test_the_paper_s_decoding_is_shared_too(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path / "flat", "single-digit", initializer_range=0.15)
    shared, in_full = (
        answer_all(LocalResponder(str(path), "fp32", "paper", share_prefixes=share), study())
        for share in (True, False)
    )
    given = [place for place, answer in enumerate(in_full) if answer.valid_mass]
    assert given == [place for place, answer in enumerate(shared) if answer.valid_mass]
    assert largest_difference([shared[n] for n in given], [in_full[n] for n in given]) < TOLERANCE


def n_tokens_read(model: LocalResponder, asked: list[Question]) -> int:
    """The tokens that really go through the model."""
    seen: list[int] = []
    embedding = model._network().model.get_input_embeddings()
    hook = embedding.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0].numel()))
    answer_all(model, asked)
    hook.remove()
    assert len(seen) == 1 or max(seen) <= model._network().budget.tokens
    return sum(seen)


def test_system_profile_and_condition_are_read_once(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path / "tiny", "single-digit")
    shared, in_full = (LocalResponder(str(path), "fp32", share_prefixes=share) for share in (True, False))
    one_person = study()[: len(CONDITIONS) * len(OUTCOMES)]
    assert n_tokens_read(shared, one_person) < n_tokens_read(in_full, one_person) / 3
    everyone = n_tokens_read(shared, study())
    n_system = len(next(shared.chat.encode([Prompt(SYSTEM, "")])))
    assert everyone < 3 * n_tokens_read(shared, one_person) - n_system


def test_batches_stay_within_the_budget_and_cost_few_tokens_more(tmp_path: Path) -> None:
    model = LocalResponder(str(make_tiny_model(tmp_path / "tiny", "single-digit")), "fp32")
    at_once = n_tokens_read(model, study())
    set_budget(model, at_once // 2)
    assert at_once <= n_tokens_read(model, study()) < 1.4 * at_once


def test_an_architecture_that_is_not_proved_reads_every_prompt_in_full(tmp_path: Path) -> None:
    assert "gpt_neox" not in PACKED
    model = LocalResponder(str(make_tiny_model(tmp_path / "neox", "single-digit", "gpt_neox")), "fp32")
    assert not model._network().packed
    assert model._network().model.config._attn_implementation != "socrates_forest"
