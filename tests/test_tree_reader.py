"""What must be read is apart from who reads: one contract for readers, and answers that any reader can give."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from socrates_core.models import answer_all
from socrates_core.models.chat import open_chat
from socrates_core.models.local.forest_reader import ForestReader
from socrates_core.models.local.load import load_model
from socrates_core.models.local.network import Network
from socrates_core.models.model_folder import open_folder
from socrates_core.models.tree_answers import answer_by_trees
from socrates_core.records import Question
from socrates_core.scoring.plan import Item
from socrates_core.scoring.reading import TreeReader
from socrates_core.scoring.tree import NodeReadings, Vocabulary
from tests.support.scoring import PROMPTS, SCALES, TOLERANCE, largest_difference, open_local
from tests.support.tiny_models import make_tiny_model


class PlainReader:
    """Reads every inner node in a forward pass of its own, the last item first."""

    def __init__(self, model: torch.nn.Module, vocabulary: Vocabulary) -> None:
        self._model, self._vocabulary = model, vocabulary

    def read(self, items: Sequence[Item]) -> Iterator[dict[int, NodeReadings]]:
        for place in reversed(range(len(items))):
            tree = items[place].tree
            rows = np.stack([self._after(items[place].prompt, tree.path(int(node))) for node in tree.inner])
            yield {
                place: NodeReadings(
                    rows[tree.step_source, tree.token[1:]],
                    np.exp(rows[:, self._vocabulary.digits]).sum(axis=1),
                    np.exp(rows[:, self._vocabulary.ends]).sum(axis=1),
                )
            }

    def _after(self, prompt: np.ndarray, path: list[int]) -> np.ndarray:
        tokens = torch.tensor([[*prompt.tolist(), *path]])
        with torch.inference_mode():
            logits = self._model(input_ids=tokens).logits[0, -1].double()
        log_probabilities: np.ndarray = torch.log_softmax(logits, dim=-1).numpy()
        return log_probabilities


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny", "single-digit")


def plain(path: Path, vocabulary: Vocabulary) -> TreeReader:
    return PlainReader(AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval(), vocabulary)


def forest(path: Path, vocabulary: Vocabulary) -> TreeReader:
    network = Network(load_model(path, "fp32"))
    return ForestReader(lambda: network, vocabulary)


def small_forest(path: Path, vocabulary: Vocabulary) -> TreeReader:
    network = Network(load_model(path, "fp32"))
    return ForestReader(lambda: network, vocabulary, shared=False, budget=100)


READERS = (plain, forest, small_forest)


def items_of(path: Path) -> list[Item]:
    chat = open_chat(open_folder(str(path)))
    pairs = [(prompt, scale) for prompt in PROMPTS for scale in ("1-7", "prefixed words", "0-10")]
    prompts = chat.encode([prompt for prompt, _ in pairs])
    # The positions are those of other questions, which must not matter to a reader.
    return [
        Item(tokens, chat.tree(SCALES[scale]), (99,))
        for tokens, (_, scale) in zip(prompts, pairs, strict=True)
    ]


@pytest.mark.parametrize("opening", READERS)
def test_a_reader_reads_every_item_once_whatever_their_order(
    opening: Callable[[Path, Vocabulary], TreeReader], tiny: Path
) -> None:
    vocabulary = open_chat(open_folder(str(tiny))).vocabulary
    reader = opening(tiny, vocabulary)
    items = items_of(tiny)
    items.append(items[0])  # the same object twice, at two places
    expected = {
        place: readings for batch in plain(tiny, vocabulary).read(items) for place, readings in batch.items()
    }
    for order in (list(range(len(items))), list(range(len(items)))[::-1]):
        pairs = [pair for batch in reader.read([items[n] for n in order]) for pair in batch.items()]
        assert sorted(place for place, _ in pairs) == list(range(len(items)))
        for place, readings in pairs:
            alone, tree = expected[order[place]], items[order[place]].tree
            np.testing.assert_allclose(readings.steps, alone.steps, atol=10 * TOLERANCE)
            if tree.stops.any():  # only there are the other two read
                np.testing.assert_allclose(readings.digits, alone.digits, atol=TOLERANCE)
                np.testing.assert_allclose(readings.ends, alone.ends, atol=TOLERANCE)
    assert list(reader.read([])) == []


@pytest.mark.parametrize("opening", READERS)
def test_answers_are_the_same_whoever_reads(
    opening: Callable[[Path, Vocabulary], TreeReader], tiny: Path, home: Path
) -> None:
    chat = open_chat(open_folder(str(tiny)))
    asked = [Question(prompt, options) for prompt in PROMPTS for options in SCALES.values()]
    expected = answer_all(open_local(tiny, precision="fp32"), asked)
    reader = opening(tiny, chat.vocabulary)
    given = {
        question: answer
        for batch in answer_by_trees(asked, chat, reader, lambda n_tokens, n_more: None)
        for question, answer in batch.items()
    }
    assert len(given) == len(asked)
    assert largest_difference([given[question] for question in asked], expected) < TOLERANCE
