"""Draws from a model: real generation converges to the exact answers, and open questions get seeded draws."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModelForCausalLM

from socrates_core.models import answer_all
from socrates_core.models.chat import Chat
from socrates_core.models.local.sampler import N_SAMPLES, sample_answers, sample_texts
from socrates_core.prompts import ask
from socrates_core.records import Floats, Prompt, Question, Scale
from tests.support.scoring import MODELS, open_local
from tests.support.tiny_models import make_tiny_model

# Thousands of draws by transformers' own generation.
pytestmark = pytest.mark.slow

N_DRAWS = 8_000
PROMPT = Prompt("Answer the survey.", "How warm? Only return an integer from 0 to 30, nothing else.")
OPTIONS = tuple(str(value) for value in range(31))


@pytest.fixture
def flat(home: Path) -> Path:
    """A tiny model that answers with digits much of the time, and now and then with anything."""
    path = make_tiny_model(home / "models" / "flat", "single-digit", initializer_range=0.15)
    chat = Chat(path)
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        prompt = torch.from_numpy(next(chat.encode([PROMPT])).astype(np.int64))[None]
        state = model(prompt, output_hidden_states=True).hidden_states[-1][0, -1]
        model.lm_head.weight[torch.from_numpy(chat.vocabulary.digits)] += 5 * state / state.square().sum()
    model.save_pretrained(path)
    return path


def read_by_hand(text: str, options: Sequence[str]) -> int:
    """The option that a continuation gives: digits to their end where a longer option goes on; -1 for none."""
    fitting = [
        place
        for place, option in enumerate(options)
        if text.startswith(option)
        and not (
            any(other != option and other.startswith(option) for other in options)
            and text[len(option) : len(option) + 1].isdigit()
        )
    ]
    return max(fitting, key=lambda place: len(options[place]), default=-1)


def generated(path: Path, paper: bool) -> list[str]:
    """Continuations by transformers' own generate, seeded."""
    model = open_local(path, precision="fp32")
    prompt = next(model.chat.encode([PROMPT]))
    torch.manual_seed(7)
    texts: list[str] = []
    with model._network().plain_attention() as network:
        for _ in range(N_DRAWS // 2000):
            rows = torch.from_numpy(np.tile(prompt.astype(np.int64), (2000, 1)))
            drawn = network.generate(
                rows,
                attention_mask=torch.ones_like(rows),
                do_sample=True,
                max_new_tokens=4,
                temperature=0.6 if paper else 1.0,
                top_p=0.9 if paper else 1.0,
                top_k=0,
                pad_token_id=0,
            )
            texts += [model.chat.decode(row) for row in drawn[:, len(prompt) :].tolist()]
    return texts


def distance(drawn: np.ndarray, expected: Floats) -> float:
    """Total variation between the shares of the drawn options, none included, and the expected ones."""
    counts = np.bincount(drawn + 1, minlength=len(expected))
    return float(np.abs(counts / len(drawn) - expected).sum() / 2)


@pytest.mark.parametrize("decoding", ["exact", "paper"])
def test_real_generation_converges_to_the_decoding_at_one_over_root_n(decoding: str, flat: Path) -> None:
    (answer,) = answer_all(open_local(flat, precision="fp32", decoding=decoding), [Question(PROMPT, OPTIONS)])
    expected = np.concatenate([[1 - answer.valid_mass], answer.probabilities * answer.valid_mass])
    drawn = np.array([read_by_hand(text, OPTIONS) for text in generated(flat, decoding == "paper")])
    assert answer.valid_mass > 0.1
    likely = expected * N_DRAWS > 5
    counts = np.bincount(drawn + 1, minlength=len(expected))
    assert counts[expected < 1e-9].sum() == 0
    chi = ((counts - expected * N_DRAWS) ** 2 / np.maximum(expected * N_DRAWS, 1e-9))[likely].sum()
    assert stats.chi2.sf(chi, int(likely.sum()) - 1) > 1e-4
    sizes = [160, 1_600, 8_000]
    errors = [np.mean([distance(part, expected) for part in drawn.reshape(-1, size)]) for size in sizes]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35


def test_our_draws_follow_the_same_distribution(flat: Path) -> None:
    model = open_local(flat, precision="fp32")
    (answer,) = answer_all(model, [Question(PROMPT, OPTIONS)])
    expected = np.concatenate([[1 - answer.valid_mass], answer.probabilities * answer.valid_mass])
    uniform = np.random.default_rng(3).random((2000, 4))
    (texts,) = sample_texts(
        model._network(), model.chat, list(model.chat.encode([PROMPT])), "exact", [uniform]
    )
    drawn = np.array([read_by_hand(text, OPTIONS) for text in texts])
    assert distance(drawn, expected) < 2.5 * np.sqrt(expected * (1 - expected) / 2000).sum() / 2


def test_an_open_question_gets_seeded_draws_that_neighbours_do_not_change(flat: Path) -> None:
    model = open_local(flat, precision="fp32")
    scale = Scale("open_integer")
    asked = [
        Question(Prompt("Count.", f"How many? {'So ' * n}Only return an integer."), (), scale)
        for n in range(11)
    ]
    together = answer_all(model, asked)
    alone = [answer_all(open_local(flat, precision="fp32"), [each])[0] for each in asked]
    for one, other in zip(together, alone, strict=True):
        assert one.values is not None and other.values is not None
        assert one.values.tolist() == other.values.tolist()
        assert one.probabilities.tolist() == other.probabilities.tolist()
        assert (one.n_samples, one.valid_mass * N_SAMPLES % 1) == (N_SAMPLES, 0)
        assert one.probabilities.sum() == pytest.approx(1 if one.valid_mass else 0)
    assert len({tuple(each.values.tolist()) for each in together if each.values is not None}) > 1


def test_listed_and_open_questions_are_answered_together(flat: Path) -> None:
    asked = [
        Question(PROMPT, OPTIONS),
        Question(PROMPT, (), Scale("open_integer")),
        Question(PROMPT, ("1", "2")),
    ]
    found = answer_all(open_local(flat, precision="fp32"), asked)
    assert [each.n_samples for each in found] == [0, N_SAMPLES, 0]


def test_running_out_of_memory_draws_fewer_at_a_time_and_loses_nothing(
    flat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_local(flat, precision="fp32")
    asked = [
        Question(Prompt("Count.", f"How many? {'So ' * n}"), (), Scale("open_integer")) for n in range(7)
    ]
    expected = answer_all(model, asked)
    sizes: list[int] = []

    def small_memory(network: Any, chat: Any, batch: Any, *others: Any) -> Any:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return sample_answers(network, chat, batch, *others)

    monkeypatch.setattr("socrates_core.models.local.responder.sample_answers", small_memory)
    found = answer_all(model, asked)
    assert max(sizes) == 7
    for one, other in zip(found, expected, strict=True):
        assert one.values is not None and other.values is not None
        assert one.values.tolist() == other.values.tolist()


def test_deterministic_draws_run_alone(flat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [
        Question(Prompt("Count.", f"How many? {'So ' * n}"), (), Scale("open_integer")) for n in range(5)
    ]
    sizes: list[int] = []

    def counted(network: Any, chat: Any, batch: Any, *others: Any) -> Any:
        sizes.append(len(batch))
        return sample_answers(network, chat, batch, *others)

    monkeypatch.setattr("socrates_core.models.local.responder.sample_answers", counted)
    model = open_local(flat, precision="fp32", deterministic=True)
    together = answer_all(model, asked)
    assert sizes == [1] * 5
    backwards = answer_all(model, asked[::-1])[::-1]
    for one, other in zip(together, backwards, strict=True):
        assert one.values is not None and other.values is not None
        assert one.values.tolist() == other.values.tolist()


def test_a_scale_of_more_values_than_can_be_scored_is_drawn_and_read_on_it(flat: Path) -> None:
    wide = Scale("range", 0, 2000)
    question = ask({"age": 34}, "How many? Only return an integer from 0 to 2000, nothing else.", wide)
    assert question.options == () and not ask({}, "1 to 3", Scale("range", 1, 3)).scale
    (found,) = answer_all(open_local(flat, precision="fp32"), [question])
    assert found.n_samples == N_SAMPLES and found.values is not None
    assert set(found.values) <= set(wide.values)


def test_every_architecture_draws(home: Path) -> None:
    for place, (model_type, kind, config) in enumerate(MODELS):
        path = make_tiny_model(home / "models" / f"{place}", kind, model_type, **config)
        asked = [
            Question(Prompt("", "How many? " + "Agree? " * n), (), Scale("open_integer")) for n in (1, 9)
        ]
        model = open_local(path, precision="fp32")
        together, alone = answer_all(model, asked), [answer_all(model, [each])[0] for each in asked]
        for one, other in zip(together, alone, strict=True):
            assert one.values is not None and other.values is not None
            assert one.values.tolist() == other.values.tolist()
