"""Questions with options, answered by reading the trees of their options.

This is what must be read and what the readings mean. Who reads is a `TreeReader`: a model on this machine, or whatever
else reads token ids.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from socrates_core.models.chat import Chat
from socrates_core.records import Answer, Question
from socrates_core.scoring.plan import Item
from socrates_core.scoring.reading import TreeReader
from socrates_core.scoring.tree import NodeReadings, Vocabulary, read_distribution

WINDOW = 1024  # questions that are tokens at the same time
NEIGHBOURS = 64  # questions next to each other in order of their text that stay together

CheckLength = Callable[[int, int], None]  # the tokens of a prompt, and how many more its answers take


def answer_by_trees(
    questions: Sequence[Question], chat: Chat, reader: TreeReader, check_length: CheckLength
) -> Iterator[dict[Question, Answer]]:
    """The answers to distinct questions with options, of each batch as the reader finishes it.

    `check_length` raises UserError for a prompt that is too long.
    """
    to_read = windows(questions)
    with ThreadPoolExecutor(1) as pool:  # a window is tokenised while the one before it is read
        coming = pool.submit(_items, to_read[0], chat, check_length) if to_read else None
        # Not strict: without any window there is no last one, after which nothing follows.
        for window, following in zip(to_read, [*to_read[1:], None], strict=False):
            items = coming.result() if coming else []
            coming = pool.submit(_items, following, chat, check_length) if following else None
            for batch in reader.read(items):
                yield {
                    window[place]: tree_answer(items[place], readings, chat.vocabulary)
                    for place, readings in batch.items()
                }


def tree_answer(item: Item, readings: NodeReadings, vocabulary: Vocabulary) -> Answer:
    """The answer to the question of `item` that its readings make."""
    distribution = read_distribution(item.tree, readings, vocabulary)
    return Answer(distribution.probabilities, distribution.valid_mass, len(item.prompt))


def windows(questions: Sequence[Question]) -> list[list[Question]]:
    """Distinct questions in the order of their text, cut into stretches, which are shuffled always in the same way.

    So a window holds whole neighbourhoods, whose beginnings can be shared, and the first answers do not all come from
    one kind of person.
    """
    ordered = sorted(questions, key=lambda question: (question.prompt.system, question.prompt.user))
    stretches = [ordered[start : start + NEIGHBOURS] for start in range(0, len(ordered), NEIGHBOURS)]
    shuffled = [stretches[place] for place in np.random.default_rng(0).permutation(len(stretches))]
    whole = WINDOW // NEIGHBOURS
    return [list(chain(*shuffled[start : start + whole])) for start in range(0, len(shuffled), whole)]


def _items(window: Sequence[Question], chat: Chat, check_length: CheckLength) -> list[Item]:
    """The prompts of a window as tokens, each with the tree of its options."""
    prompts = chat.encode([question.prompt for question in window])
    items = [
        Item(prompt, chat.tree(question.options), (place,))
        for place, (question, prompt) in enumerate(zip(window, prompts, strict=True))
    ]
    for item in items:
        check_length(len(item.prompt), int(item.tree.depth[item.tree.inner].max()))
    return items
