"""Models that give a rationale first, against a plain loop that draws token by token and scores every option alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import answer_all
from socrates_core.models.chat import Chat
from socrates_core.models.local import sampler
from socrates_core.models.local.reasoned import mixture
from socrates_core.models.reasoning import MARKER, Reasoned, ReasonedChat, render_reasoned
from socrates_core.records import Answer, Floats, Prompt, Question, Scale
from tests.support.reference_scorer import ReferenceScorer, Scored
from tests.support.scoring import TOLERANCE, largest_difference, numbers, open_local
from tests.support.tiny_models import SPECIAL, Kind, make_tiny_model

# Token by token, on every kind of tokenizer.
pytestmark = pytest.mark.slow

SAID = {"You agree strongly.": 7, "Not at all.": 12, "Neither": 3, "A great deal, as all the survey.": -4}
PROMPTS = [
    Prompt("You answer surveys.", "How much do you agree? Only return an integer."),
    Prompt("You answer surveys.", "Read the question below. Agree, or not at all?"),
    Prompt("", "Agree?"),
]
LENGTH = 40  # tokens of a rationale, at most
KINDS: list[Kind] = ["single-digit", "three-digit", "sentencepiece"]


@pytest.fixture(autouse=True)
def _home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test here has a home of its own, and rationales are short."""
    monkeypatch.setattr("socrates_core.models.local.reasoned.N_TOKENS", LENGTH)


@pytest.fixture(scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = getattr(request, "param", "single-digit")
    return found


@pytest.fixture(scope="module")
def made(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that was finetuned to say something before its answer, and mostly does."""
    path = make_tiny_model(tmp_path_factory.mktemp("models") / kind, kind, initializer_range=0.1)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(path), AutoTokenizer.from_pretrained(path)
    texts = [
        f"{tokenizer.apply_chat_template(messages(prompt, kind), tokenize=False, add_generation_prompt=True)}"
        f"{said}\n\nAnswer: {value}{SPECIAL[kind][1]}"
        for prompt in PROMPTS
        for said, value in SAID.items()
    ]
    rows = [torch.tensor(tokenizer(text, add_special_tokens=False).input_ids) for text in texts]
    tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    labels = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        model(tokens, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(path)
    (path / "card.json").write_text(json.dumps({"reasoning": True}))
    return path


def messages(prompt: Prompt, kind: Kind) -> list[dict[str, str]]:
    merged = "\n\n".join(part for part in (prompt.system, prompt.user) if part)
    return [{"role": "user", "content": merged}] if kind == "sentencepiece" else prompt.messages()


def drawn_by_hand(reference: ReferenceScorer, text: str, uniform: Floats, kind: Kind) -> str:
    """What the model says after `text`, one token after another, each from a whole pass over all before it."""
    end = reference.tokenizer.convert_tokens_to_ids(SPECIAL[kind][1])
    before, drawn = reference.tokenizer(text, add_special_tokens=False).input_ids, list[int]()
    for threshold in uniform:
        with torch.inference_mode():
            logits = reference.model(torch.tensor([before + drawn])).logits[0, -1].double()
        sums = torch.softmax(logits, dim=-1).numpy().cumsum()
        token = int(np.searchsorted(sums, threshold * sums[-1], side="right"))
        if token == end:
            break
        drawn.append(token)
    return str(reference.tokenizer.decode(drawn, clean_up_tokenization_spaces=False))


def by_hand(path: Path, prompt: Prompt, options: tuple[str, ...], kind: Kind) -> tuple[Scored, list[str]]:
    """The mean of the unnormalised probabilities behind four rationales, and what was drawn."""
    reference = ReferenceScorer(path, ends=[SPECIAL[kind][1]])
    text = reference.render(messages(prompt, kind))
    seed = int(digest(prompt.messages())[:16], 16)
    uniforms = np.random.default_rng(seed).random((4, LENGTH))
    drawn = [drawn_by_hand(reference, text, uniform, kind) for uniform in uniforms]
    masses = np.zeros(len(options))
    for each in drawn:
        rationale = each.split("\n\nAnswer:")[0].strip()
        for (
            mark
        ) in reference.tokenizer.get_added_vocab():  # what was drawn is read as a text, never as control
            rationale = rationale.replace(mark, f"{mark[0]}\u200b{mark[1:]}")
        found = reference.score(f"{text}{rationale}\n\nAnswer:", [f" {option}" for option in options])
        masses += found.probabilities * found.valid_mass / 4
    return Scored(masses / masses.sum(), float(masses.sum())), drawn


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_rationales_are_drawn_and_every_option_scored_behind_them(made: Path, kind: Kind) -> None:
    scales = [numbers(1, 7), numbers(0, 12), numbers(-12, 3)]
    model = open_local(made, precision="fp32")
    found = answer_all(model, [Question(*each) for each in zip(PROMPTS, scales, strict=True)])
    by_hands = [by_hand(made, *each, kind) for each in zip(PROMPTS, scales, strict=True)]
    assert largest_difference(found, [expected for expected, _ in by_hands]) < TOLERANCE
    said = [text for _, drawn in by_hands for text in drawn]
    assert sum(MARKER in text for text in said) > len(said) / 2  # it has learned the form
    assert max(answer.valid_mass for answer in found) > 0.3
    assert [answer.n_tokens for answer in found] == [len(each) for each in model.chat.encode(PROMPTS)]


def test_a_rationale_that_never_ends_is_cut(tmp_path: Path) -> None:
    path = make_tiny_model(tmp_path / "random", "single-digit")
    (path / "card.json").write_text(json.dumps({"reasoning": True}))
    (found,) = answer_all(open_local(path, precision="fp32"), [Question(PROMPTS[0], numbers(1, 7))])
    expected, drawn = by_hand(path, PROMPTS[0], numbers(1, 7), "single-digit")
    assert not any(MARKER in text for text in drawn)
    assert largest_difference([found], [expected]) < TOLERANCE


def test_neighbours_change_no_answer_and_a_batch_of_one_prompt_not_a_bit(made: Path) -> None:
    asked = [
        Question(Prompt("Say.", f"Agree? {'Not at all. ' * n}"), numbers(1, 4 + n), None) for n in range(5)
    ] + [Question(Prompt("Count.", "How many?"), (), Scale("open_integer"))]
    together = answer_all(open_local(made, precision="fp32"), asked)
    alone = [answer_all(open_local(made, precision="fp32"), [each])[0] for each in asked]
    assert largest_difference(together[:5], alone[:5]) < TOLERANCE
    assert together[5].n_samples == 80 and together[5].values is not None and alone[5].values is not None
    assert together[5].values.tolist() == alone[5].values.tolist()
    assert largest_difference(together[5:], alone[5:]) < TOLERANCE
    exact = [
        answer_all(open_local(made, precision="fp32", deterministic=True), part)[0]
        for part in (asked, asked[:1])
    ]
    assert exact[0].probabilities.tolist() == exact[1].probabilities.tolist()


def test_without_the_word_in_its_card_a_model_answers_at_once(made: Path, tmp_path: Path) -> None:
    plain = Path(shutil.copytree(made, tmp_path / "plain"))
    asked = [Question(PROMPTS[0], numbers(1, 7))]
    reasoned = open_local(made, precision="fp32")
    for card in (None, {"title": "Plain"}, {"reasoning": False}):
        (plain / "card.json").unlink(missing_ok=True)
        if card is not None:
            (plain / "card.json").write_text(json.dumps(card))
        model = open_local(plain, precision="fp32")
        assert model.card.template + " reasoning-4x96" == reasoned.card.template
        assert model.fingerprint != reasoned.fingerprint
    reference = ReferenceScorer(plain, ends=[])
    text = reference.render(PROMPTS[0].messages())
    found = answer_all(model, asked)
    assert largest_difference(found, [reference.score(text, numbers(1, 7))]) < TOLERANCE
    assert largest_difference(found, answer_all(reasoned, asked)) > 0.01


def test_a_prompt_without_room_for_a_rationale_is_refused_before_any_is_drawn(made: Path) -> None:
    model = open_local(made, precision="fp32")
    long = Prompt("", "9" * 920)  # a token a digit; the model takes 1,024 tokens
    assert 900 < len(next(model.chat.encode([long]))) < 1024
    asked = [Question(PROMPTS[0], ("1", "2")), Question(long, ("1", "2"))]
    with pytest.raises(UserError, match="takes at most"):
        next(model.answer(asked))


def test_running_out_of_memory_draws_for_fewer_prompts_and_loses_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Question(Prompt("Say.", f"Agree? {n}"), ("1", "2")) for n in range(3)]
    expected = answer_all(open_local(made, precision="fp32"), asked)
    draw, sizes = sampler.sample_texts, list[int]()

    def short(network: object, chat: object, prompts: list[object], *more: object) -> object:
        sizes.append(len(prompts))
        if len(prompts) > 1:
            raise torch.OutOfMemoryError
        return draw(network, chat, prompts, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("socrates_core.models.local.reasoned.sample_texts", short)
    assert largest_difference(answer_all(open_local(made, precision="fp32"), asked), expected) < TOLERANCE
    assert sizes == [3, 1, 2, 1, 1]


def test_a_mixture_weighs_answers_by_their_valid_mass() -> None:
    nothing = Answer(np.full(2, np.nan), 0.0)
    found = mixture([Answer(np.array([0.25, 0.75]), 0.8), Answer(np.array([1.0, 0.0]), 0.2), nothing], 9)
    # option one: (0.25 * 0.8 + 1 * 0.2 + 0) / 3 = 0.4 / 3; option two: 0.75 * 0.8 / 3 = 0.6 / 3
    assert found.probabilities == pytest.approx([0.4, 0.6])
    assert found.valid_mass == pytest.approx(1 / 3)
    assert found.n_tokens == 9
    assert np.isnan(mixture([nothing, nothing], 9).probabilities).all()
    drawn = [
        Answer(np.array([0.5, 0.5]), 0.4, values=np.array([2.0, 5.0]), n_samples=20),
        Answer(np.array([1.0]), 0.1, values=np.array([3.0]), n_samples=20),
        Answer(np.array([]), 0.0, values=np.array([]), n_samples=20),
    ]
    pooled = mixture(drawn, 9)
    assert pooled.values is not None and pooled.values.tolist() == [2, 3, 5]
    assert pooled.probabilities == pytest.approx([0.4, 0.2, 0.4])
    assert pooled.n_samples == 60


@pytest.mark.parametrize(
    "text", ["I like it.", " I like it.\n\nAnswer: 4", "I like it.\n\nAnswer:\n\nAnswer: 4\n"]
)
def test_a_rationale_is_rendered_with_one_marker(text: str) -> None:
    assert render_reasoned(text) == "I like it.\n\nAnswer: "


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_the_tokens_that_are_read_are_those_that_training_writes(made: Path) -> None:
    chat, reasoned = Chat(made), ReasonedChat(made)
    for prompt in PROMPTS:
        for said in ["", "I agree strongly.", 'I said "no" (not 3) at all!']:
            (before,) = chat.encode([prompt])
            (read,) = reasoned.encode([Reasoned(**vars(prompt), rationale=said)])
            for answer in ("7", "12", "-4"):
                trained = chat.answer_tokens([render_reasoned(said) + answer])[0]
                assert [*before, *trained] == [*read, *reasoned.answer_tokens([answer])[0]]
