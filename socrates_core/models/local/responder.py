"""A model on this machine as a responder: it reads the trees of options, and draws where there are none."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from itertools import chain
from typing import TypeVar

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models.chat import Chat
from socrates_core.models.local.budget import require_out_of_memory
from socrates_core.models.local.forest_reader import ForestReader
from socrates_core.models.local.network import Network, open_network
from socrates_core.models.local.reasoned import PROMPTS_AT_ONCE, ROOM, answer_behind, draw_rationales, mixture
from socrates_core.models.local.sampler import AT_ONCE, N_TOKENS, Tokens, sample_answers
from socrates_core.models.model_folder import (
    KINDS,
    ModelFolder,
    check_folder,
    context_length,
    open_folder,
    revision,
)
from socrates_core.models.reasoning import DIFFERENCE, ReasonedChat
from socrates_core.models.tree_answers import answer_by_trees, windows
from socrates_core.records import Answer, Decoding, Precision, Prompt, Question, ResponderCard

T = TypeVar("T")
Draw = Callable[[Network, Chat, Sequence[Question], Sequence[Tokens], Decoding], list[T]]


class LocalResponder:
    """Answers with the exact probability that a local model gives every option; open questions by sampling.

    A model that was finetuned to give a rationale first, by its card, draws several and answers after each.
    """

    def __init__(
        self,
        name: str,
        precision: Precision = "auto",
        decoding: Decoding = "exact",
        *,
        deterministic: bool = False,
        share_prefixes: bool = True,
    ) -> None:
        """With `deterministic` every prompt runs alone, so that an answer never depends on its neighbours.

        Without `share_prefixes` every prompt is read in full, but still in batches. Both are slower. Raises UserError
        if the model is unknown, unsafe, damaged or does not fit.
        """
        self._folder = open_folder(name)
        self._limit = context_length(check_folder(self._folder.base))
        self.chat = Chat(self._folder.chat, self._folder.base)
        self._base_revision = revision(ModelFolder(self._folder.base))
        self._precision = precision
        self._decoding = decoding
        self._deterministic = deterministic
        self._shared = share_prefixes and not deterministic
        folder = self._folder.own
        folder_revision = revision(self._folder)
        self._adapter = (self._folder.adapter, folder_revision) if self._folder.adapter else None
        reasons = self._folder.card.get("reasoning") is True
        model = self._folder.card.get("base")
        if not (isinstance(model, str) and model):
            model = self._folder.base.name if self._folder.adapter else name
        self.card = ResponderCard(
            name=folder.name if folder.parent.name in KINDS else name,
            model=model,
            revision=folder_revision,
            precision=self._network().precision,
            decoding=decoding,
            template=self._folder.template + self.chat.difference + DIFFERENCE * reasons,
            deterministic=deterministic,
            adapter_precision=self._network().adapter_precision if self._adapter else "",
        )
        self.fingerprint = digest(self.card.as_dict())
        self._behind: LocalResponder | None = None
        if reasons:
            # Copied while `_behind` is still None, so the copy answers without a rationale of its own.
            self._behind = copy(self)
            self._behind.chat = ReasonedChat(self._folder.chat, self._folder.base)

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        """The answers of each batch as it finishes. Raises UserError for a prompt beyond the model's limit."""
        places: dict[Question, list[int]] = {}
        for place, question in enumerate(questions):
            places.setdefault(question, []).append(place)
        self._check_longest(places, ROOM if self._behind else 0)
        if self._behind:
            yield from self._reason(self._behind, places)
            return
        with_options = [question for question in places if question.options]
        for batch in answer_by_trees(with_options, self.chat, self._reader(), self._check_length):
            yield {place: answer for question, answer in batch.items() for place in places[question]}
        yield from self._sample([question for question in places if not question.options], places)

    def _reader(self) -> ForestReader:
        # A budget of 1 puts every prompt alone: the order of sums in a matrix product depends on its number of rows.
        return ForestReader(
            self._ready_network,
            self.chat.vocabulary,
            self._decoding,
            shared=self._shared,
            budget=1 if self._deterministic else None,
        )

    def write(self, prompts: Sequence[Prompt]) -> Iterator[dict[int, str]]:
        """One seeded continuation of each prompt, some sentences long, by position, as they are written.

        Raises UserError for a prompt beyond the model's limit.
        """
        places: dict[Question, list[int]] = {}
        for place, prompt in enumerate(prompts):
            places.setdefault(Question(prompt, ()), []).append(place)
        self._check_longest(places, ROOM)
        one = partial(draw_rationales, n_draws=1)
        for batch in self._drawn(_by_length(places), PROMPTS_AT_ONCE, ROOM, one):
            yield {place: texts[0] for question, _, texts in batch for place in places[question]}

    def _reason(
        self, behind: "LocalResponder", places: Mapping[Question, Sequence[int]]
    ) -> Iterator[dict[int, Answer]]:
        """The answers that `behind` gives after rationales drawn here."""
        ordered = list(chain(*windows(list(places))))
        for batch in self._drawn(ordered, PROMPTS_AT_ONCE, ROOM, draw_rationales):
            questions, lengths, rationales = zip(*batch, strict=True)
            answers_of = answer_behind(behind.answer, questions, rationales)
            yield {
                place: mixture(answers, length)
                for question, length, answers in zip(questions, lengths, answers_of, strict=True)
                for place in places[question]
            }

    def _sample(
        self, questions: Sequence[Question], places: Mapping[Question, Sequence[int]]
    ) -> Iterator[dict[int, Answer]]:
        for batch in self._drawn(_by_length(questions), AT_ONCE, N_TOKENS, sample_answers):
            yield {place: answer for question, _, answer in batch for place in places[question]}

    def _drawn(
        self, questions: Sequence[Question], at_once: int, n_more: int, draw: Draw[T]
    ) -> Iterator[list[tuple[Question, int, T]]]:
        """Each question with its prompt's length and what is drawn for it, in order, `at_once` at a time."""
        most = 1 if self._deterministic else at_once
        waiting = [questions[start : start + most] for start in range(0, len(questions), most)]
        while waiting:
            batch = waiting.pop(0)
            prompts = list(self.chat.encode([question.prompt for question in batch]))
            lengths = [len(prompt) for prompt in prompts]
            self._check_length(max(lengths), n_more)
            network = self._ready_network()
            try:
                drawn = draw(network, self.chat, batch, prompts, self._decoding)
            except RuntimeError as error:
                require_out_of_memory(error, lengths, network.precision)
                half = len(batch) // 2
                waiting = [batch[:half], batch[half:], *waiting]
                continue
            yield list(zip(batch, lengths, drawn, strict=True))

    def _network(self) -> Network:
        # Fetched again for every batch, since another responder may have replaced the model in memory.
        return open_network(self._folder.base, self._base_revision, self._precision)

    def _ready_network(self) -> Network:
        network = self._network()
        network.use(self._adapter)
        return network

    def _check_longest(self, questions: Iterable[Question], n_more: int) -> None:
        """Raises UserError for a prompt that is too long before the others are answered, not hours later."""
        longest = max(
            (question.prompt for question in questions), key=lambda prompt: len(prompt.user), default=None
        )
        if longest is not None:
            self._check_length(len(next(self.chat.encode([longest]))), n_more)

    def _check_length(self, n_tokens: int, n_more: int) -> None:
        if self._limit is not None and n_tokens + n_more > self._limit:
            more = f" and needs room for {n_more:,} more" if n_tokens <= self._limit else ""
            raise UserError(
                f"The model {self.card.name!r} takes at most {self._limit:,} tokens, but a prompt has "
                f"{n_tokens:,}{more}. Shorten the condition or the question."
            )


def _by_length(questions: Iterable[Question]) -> list[Question]:
    # Batches of draws are padded to their longest prompt.
    return sorted(questions, key=lambda question: len(question.prompt.user))
