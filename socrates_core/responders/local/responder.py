"""A model on this machine as a responder: plans the questions, runs the batches, backs off when memory is short."""

from collections.abc import Iterator, Sequence
from itertools import chain

import torch

from socrates_core.errors import UserError
from socrates_core.files import digest, read_json
from socrates_core.records import Answer, Decoding, Precision, Question, ResponderCard
from socrates_core.responders.chat import Chat
from socrates_core.responders.folder import check_folder, context_length, find_model, revision
from socrates_core.responders.local.engine import Engine
from socrates_core.responders.local.load import load_model
from socrates_core.scoring.plan import Item, merge_identical, plan_batches
from socrates_core.scoring.tree import Distribution

MOST_TOKENS = 65536  # a batch
CPU_WORK = 3e11  # parameters times tokens a batch: a few seconds on two cores, so that cancelling is quick


class LocalResponder:
    """Answers by the exact probability that a local model gives every option."""

    def __init__(
        self,
        name: str,
        precision: Precision = "auto",
        decoding: Decoding = "exact",
        *,
        share_prefixes: bool = True,
    ) -> None:
        """Without `share_prefixes` every prompt is read in full: slower, for comparison.

        Raises UserError where the model is unknown, unsafe, damaged or does not fit.
        """
        path = find_model(name)
        config = check_folder(path)
        self.chat = Chat(path)
        self._limit = context_length(config)
        loaded = load_model(path, precision)
        self._engine = Engine(loaded, self.chat.vocabulary, decoding, shared=share_prefixes)
        on_cpu = loaded.device.type == "cpu"
        self._budget = min(int(CPU_WORK / loaded.n_parameters), MOST_TOKENS) if on_cpu else MOST_TOKENS
        card = path / "card.json"
        self.card = ResponderCard(
            name=path.name if path.parent.name == "models" else name,
            model=read_json(card).get("base", path.name) if card.exists() else name,
            revision=revision(path), precision=loaded.precision, decoding=decoding, template=self.chat.template,
        )  # fmt: skip
        self.fingerprint = digest(self.card.as_dict())

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        """The answers of each batch as it finishes. Raises UserError for a prompt beyond the model's limit."""
        prompts = list(self.chat.encode([question.prompt for question in questions]))
        items = merge_identical(prompts, [self.chat.tree(question.options) for question in questions])
        for item in items:
            self._check_length(item)
        waiting = self._plan(items)
        while waiting:
            batch = waiting.pop(0)
            try:
                found = self._engine.distributions(batch)
            except RuntimeError as error:
                waiting = self._smaller_batches(error, batch, waiting)
                continue
            yield {
                position: _answer(item, distribution)
                for item, distribution in zip(batch, found, strict=True)
                for position in item.positions
            }

    def _smaller_batches(
        self, error: RuntimeError, batch: list[Item], waiting: list[list[Item]]
    ) -> list[list[Item]]:
        """What is left to do, with half the tokens a batch, after running out of memory.

        Raises `error` where it is about something else, and UserError where one prompt alone is too much.
        """
        if not (isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)):
            raise error
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if len(batch) == 1:
            raise UserError(
                f"A prompt of {len(batch[0].prompt):,} tokens does not fit in this machine's memory. "
                "Shorten it, or open the model with precision 'nf4'."
            ) from error
        self._budget = self._engine.lay_out(batch).tokens.size // 2
        return self._plan([*batch, *chain(*waiting)])

    def _plan(self, items: list[Item]) -> list[list[Item]]:
        return plan_batches(items, token_budget=self._budget, shared=self._engine.shared)

    def _check_length(self, item: Item) -> None:
        needed = len(item.prompt) + int(item.tree.depth[item.tree.inner].max())
        if self._limit is not None and needed > self._limit:
            raise UserError(
                f"The model {self.card.name!r} takes at most {self._limit:,} tokens, but a prompt has "
                f"{len(item.prompt):,}. Shorten the condition or the question."
            )


def _answer(item: Item, distribution: Distribution) -> Answer:
    return Answer(distribution.probabilities, distribution.valid_mass, len(item.prompt))
