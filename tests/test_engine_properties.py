"""Whatever is asked, and whatever beside it: an fp32 answer is the one of a plain loop, alone, within 1e-5."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socrates_core.models import answer_all
from socrates_core.records import Prompt, Question
from tests.support.reference_scorer import ReferenceScorer
from tests.support.scoring import TOLERANCE, largest_difference, open_local, set_budget
from tests.support.tiny_models import SPECIAL, Kind, make_tiny_model

pytestmark = pytest.mark.slow

WORDS = [
    "Agree",
    "strongly",
    "You",
    "are",
    "a",
    "person",
    "10",
    "100",
    "-3",
    "ü",
    "🙂",
    "Only return",
    "\n",
    "  ",
]
KINDS: tuple[Kind, ...] = ("single-digit", "three-digit", "sentencepiece")
SETTINGS = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def number_options(low: int, count: int, step: int) -> tuple[str, ...]:
    return tuple(str(low + step * place) for place in range(count))


SCALES = st.one_of(
    st.builds(
        number_options, st.integers(-120, 120), st.integers(2, 40), st.sampled_from([1, 1, 5, 10, 100])
    ),
    st.lists(
        st.sampled_from(
            ["Yes", "No", "Agree", "Agree strongly", "Disagree", "Not at all", "Neither", "10", "1"]
        ),
        min_size=2,
        max_size=6,
        unique=True,
    ).map(tuple),
)
QUESTIONS = st.builds(
    Question,
    st.builds(
        Prompt, st.sampled_from(["", "System."]), st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
    ),
    SCALES,
)


@pytest.fixture(scope="module", params=KINDS)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Kind]:
    path = tmp_path_factory.mktemp("property") / request.param
    return make_tiny_model(
        path, request.param, "mistral" if request.param == "three-digit" else "llama"
    ), request.param


@SETTINGS
@given(st.lists(QUESTIONS, min_size=1, max_size=64), st.integers(1, 3000), st.data())
def test_batch_size_neighbours_and_sharing_never_change_an_answer(
    tiny: tuple[Path, Kind], home: Path, asked: list[Question], budget: int, data: Any
) -> None:
    path, kind = tiny
    model = open_local(path, precision="fp32")
    set_budget(model, budget)
    together = answer_all(model, asked)
    chosen = data.draw(st.integers(0, len(asked) - 1))
    question = asked[chosen]
    assert largest_difference(answer_all(model, [question]), [together[chosen]]) < TOLERANCE
    reference = ReferenceScorer(path, ends=[SPECIAL[kind][1]])
    merged = "\n\n".join(part for part in (question.prompt.system, question.prompt.user) if part)
    messages = (
        [{"role": "user", "content": merged}] if kind == "sentencepiece" else question.prompt.messages()
    )
    expected = reference.score(reference.render(messages), question.options)
    assert largest_difference([together[chosen]], [expected]) < TOLERANCE


@pytest.mark.parametrize("side", ["left", "right"])
def test_answers_are_those_of_transformers_with_padding_on_either_side(
    side: str, tiny: tuple[Path, Kind], home: Path
) -> None:
    path, _ = tiny
    model = open_local(path, precision="fp32")
    asked = [Question(Prompt("", "Agree? " * (1 + 3 * place)), ("1", "2", "3")) for place in range(9)]
    prompts = list(model.chat.encode([each.prompt for each in asked]))
    longest = max(map(len, prompts))
    rows, seen = (torch.zeros((len(prompts), longest), dtype=torch.long) for _ in range(2))
    for row, prompt in enumerate(prompts):
        own = slice(longest - len(prompt), longest) if side == "left" else slice(0, len(prompt))
        rows[row, own], seen[row, own] = torch.from_numpy(prompt.astype(np.int64)), 1
    with model._network().plain_attention() as plain, torch.no_grad():
        places = (seen.cumsum(1) - 1).clamp(min=0)
        logits = plain(input_ids=rows, attention_mask=seen, position_ids=places).logits
    tree = model.chat.tree(asked[0].options)
    for row, (prompt, answer) in enumerate(zip(prompts, answer_all(model, asked), strict=True)):
        last = longest - 1 if side == "left" else len(prompt) - 1
        shares = torch.softmax(logits[row, last].double(), dim=-1).numpy()[tree.token[tree.option_node]]
        assert np.abs(shares / shares.sum() - answer.probabilities).max() < TOLERANCE
        assert abs(shares.sum() - answer.valid_mass) < TOLERANCE


def test_a_deterministic_answer_is_the_same_to_the_last_bit_in_any_company(
    tiny: tuple[Path, Kind], home: Path
) -> None:
    path, _ = tiny
    asked = [
        Question(Prompt("", "Agree? " * (1 + place % 7) + str(place)), ("1", "2", "10"))
        for place in range(20)
    ]
    model = open_local(path, deterministic=True)
    together = answer_all(model, asked)
    for place in (0, 7, 19):
        (alone,) = answer_all(model, [asked[place]])
        assert alone.probabilities.tobytes() == together[place].probabilities.tobytes()
        assert alone.valid_mass == together[place].valid_mass
    assert model.fingerprint != open_local(path).fingerprint
