"""What every responder keeps to, whatever it is; and the list of models to choose from."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import Responder, context_limit, count_tokens, open_responder
from socrates_core.models.catalog import list_models
from socrates_core.models.served.server import Service
from socrates_core.records import Answer, Decoding, Prompt, Question
from tests.support.api_server import ApiServer, ModelVoice, serving
from tests.support.tiny_models import make_tiny_model

STRANGE = "<script>alert(1)</script> **bold** $\\latex$ \u202eright to left\u202c zero\u200bwidth \ud800 🙂"
QUESTIONS = [
    Question(Prompt("You answer surveys.", "Agree? Only return an integer."), ("1", "2", "3")),
    Question(Prompt("You answer surveys.", "Agree?"), ("Yes", "No")),
    Question(Prompt("You answer surveys.", STRANGE), tuple(map(str, range(-5, 12)))),
    Question(Prompt("", "Agree?"), ("1",)),
    Question(Prompt("You answer surveys.", "Agree? Only return an integer."), ("1", "2", "3")),
]


@pytest.fixture(scope="module")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", "three-digit")


@pytest.fixture(scope="module")
def server(tiny_path: Path) -> Iterator[ApiServer]:
    with serving(ModelVoice(tiny_path)) as found:
        yield found


@pytest.fixture(params=["echo", "uniform", "tiny", "tiny, paper", "api", "api, paper"])
def opening(
    request: pytest.FixtureRequest, tiny_path: Path, home: Path, server: ApiServer
) -> Callable[[], Responder]:
    """Opens the responder under test."""
    if request.param in ("echo", "uniform"):
        return lambda: open_responder(request.param)
    decoding: Decoding = "paper" if "paper" in request.param else "exact"
    if "api" in request.param:
        service = Service(server.url, n_samples=5)
        return lambda: open_responder("api:tiny", decoding=decoding, service=service)
    return lambda: open_responder(str(tiny_path), precision="fp32", decoding=decoding)


def answers(responder: Responder, questions: Sequence[Question]) -> list[Answer]:
    pairs = [pair for batch in responder.answer(questions) for pair in batch.items()]
    assert sorted(position for position, _ in pairs) == list(range(len(questions)))
    found = dict(pairs)
    return [found[position] for position in range(len(questions))]


def test_every_position_is_answered_once_with_a_distribution(opening: Callable[[], Responder]) -> None:
    for question, answer in zip(QUESTIONS, answers(opening(), QUESTIONS), strict=True):
        assert answer.probabilities.shape == (len(question.options),)
        assert 0 <= answer.valid_mass <= 1
        if answer.valid_mass > 0:
            assert (answer.probabilities >= 0).all()
            assert answer.probabilities.sum() == pytest.approx(1, abs=1e-12)
        else:
            assert np.isnan(answer.probabilities).all()


def test_the_same_questions_get_the_same_answers_again(opening: Callable[[], Responder]) -> None:
    first, second = answers(opening(), QUESTIONS), answers(opening(), QUESTIONS)
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.probabilities, after.probabilities)
        assert before.valid_mass == after.valid_mass


def test_order_does_not_matter(opening: Callable[[], Responder]) -> None:
    responder = opening()
    forwards, backwards = answers(responder, QUESTIONS), answers(responder, QUESTIONS[::-1])[::-1]
    for before, after in zip(forwards, backwards, strict=True):
        np.testing.assert_allclose(before.probabilities, after.probabilities, atol=1e-6)


def test_the_fingerprint_is_the_digest_of_the_card(opening: Callable[[], Responder]) -> None:
    responder = opening()
    assert responder.fingerprint == digest(responder.card.as_dict()) == opening().fingerprint


def test_the_caller_may_stop_early_and_go_on_later(opening: Callable[[], Responder]) -> None:
    responder = opening()
    next(iter(responder.answer(QUESTIONS)))
    assert len(answers(responder, QUESTIONS)) == len(QUESTIONS)


def test_no_questions_get_no_answers(opening: Callable[[], Responder]) -> None:
    assert list(opening().answer([])) == []


def test_a_question_without_options_is_drawn_by_a_model_and_refused_by_a_stand_in(
    opening: Callable[[], Responder],
) -> None:
    responder, asked = opening(), [Question(Prompt("", "Agree?"), ())]
    if responder.card.name in ("echo", "uniform"):
        with pytest.raises(UserError, match="no options"):
            list(responder.answer(asked))
    else:
        (answer,) = answers(responder, asked)
        assert answer.n_samples > 0 and answer.values is not None
        assert len(answer.values) == len(answer.probabilities)


def test_echo_puts_some_probability_on_no_answer_at_all() -> None:
    found = answers(open_responder("echo"), QUESTIONS)
    assert all(0.5 <= answer.valid_mass < 1 for answer in found)
    assert found[0].probabilities.tolist() != found[1].probabilities.tolist()


def test_stand_ins_read_no_tokens_and_have_no_limit() -> None:
    for name in ("echo", "uniform"):
        assert count_tokens(name, QUESTIONS[0].prompt) == 0
        assert context_limit(name) is None


def test_an_empty_home_lists_what_could_be_installed(home: Path) -> None:
    listed = {model.name: model for model in list_models()}
    assert not listed["starter"].installed
    assert listed["echo"].installed
    assert listed["uniform"].installed
    socrates = [model for model in listed.values() if model.kind == "hub"]
    assert len(socrates) == 4
    for model in socrates:
        assert "170" in model.seen
        assert ("distributions" if model.name.endswith("-sft") else "individuals") in model.advice


def test_a_model_folder_is_listed_with_its_card_and_opened_by_its_name(home: Path) -> None:
    path = make_tiny_model(home / "models" / "mine", "single-digit")
    card = {"title": "My model", "base": "org/base", "saw": {"note": "Two studies.", "studies": ["a", "b"]}}
    (path / "card.json").write_text(json.dumps(card))
    listed = {model.name: model for model in list_models()}["mine"]
    assert (listed.title, listed.seen, listed.context_limit, listed.installed) == (
        "My model",
        "Two studies.",
        1024,
        True,
    )
    assert listed.size_bytes > 10_000
    assert open_responder("mine").card.model == "org/base"


def test_a_damaged_model_folder_is_listed_with_its_cause(home: Path) -> None:
    (home / "models" / "broken").mkdir(parents=True)
    listed = {model.name: model for model in list_models()}["broken"]
    assert not listed.installed
    assert "config.json" in listed.advice
