"""Three ways to get a distribution from a served model; each asks differently and so has its own fingerprint.

"logprobs" reads the probabilities of the first token. That needs options that the first token identifies with any
tokenizer: at most 20, of which no two begin with the same character. A scale such as 0 to 10, where "1" may be half of
"10", is sampled: a second request after "1" would need a server that continues a begun answer, which not all can.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models.served.ask import Refused, Reply
from socrates_core.models.served.prices import find_price, most_tokens, rough_tokens
from socrates_core.models.served.read import (
    Unlisted,
    Unreadable,
    first_token_answer,
    missing_answer,
    read_first_token,
    read_texts,
    read_usage,
    sampled_answer,
    verbalised_answer,
)
from socrates_core.models.served.server import Elicitation, Service, served_model
from socrates_core.records import PAPER_TEMPERATURE, PAPER_TOP_P, Answer, Decoding, Prompt, Question

MOST_LISTED = 20  # first tokens that servers list
FEWER_LISTED = 5  # the limit of servers that refuse to list so many
THINKING = "chat_template_kwargs"  # of vLLM, SGLang and llama.cpp; other servers may refuse an unknown field
# Fields that may be left out where a server refuses them: what a request means stays the same.
DISPENSABLE = (THINKING, "seed", "temperature", "top_p")
LIMITS = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}  # two names of one field
DRAW_TOKENS = 16  # per draw: room for a number and for "My answer is"
OPTION_TOKENS, OBJECT_TOKENS = 16, 64  # per entry of a verbalised distribution, and around all entries
VERBALISED_TEMPLATE = "verbalised-v1"
VERBALISED = """

Do not give one answer now. Estimate how likely this person is to give each of the possible answers {options}. \
Return only a JSON object with every possible answer as a key and its probability as a number, summing to 1: \
{{{first}: 0.0, ...}}"""
Way = Literal["logprobs", "samples", "verbalised"]
Ask = Callable[[Mapping[str, Any]], Reply]


@dataclass(frozen=True)
class Oddity:
    """A text that is not an answer, and why not."""

    cause: str
    raw: str


@dataclass(frozen=True)
class Elicited:
    """The answer to a question, the texts that could not be read, and how many options no listed token begins."""

    answer: Answer
    oddities: tuple[Oddity, ...] = ()
    n_unlisted: int = 0


def choose_elicitation(elicitation: Elicitation, options: Sequence[str], decoding: Decoding) -> Way:
    """How a question with these options is asked; "auto" is logprobs if they fit, else samples.

    Raises UserError if the elicitation cannot distinguish the options, or does not go with the paper's decoding.
    """
    starts = {option[:1].casefold() for option in options}
    fits = 0 < len(options) == len(starts) and len(options) <= MOST_LISTED
    if elicitation == "auto":
        return "logprobs" if fits and decoding == "exact" else "samples"
    if elicitation != "samples" and decoding != "exact":
        raise UserError(
            f"The decoding {decoding!r} is a way to draw answers, so it goes with the elicitation 'samples' or 'auto', "
            f"not with {elicitation!r}."
        )
    if elicitation == "logprobs" and not fits:
        raise UserError(
            f"A first token cannot tell the options {', '.join(options[:12]) or '(open)'} apart. "
            "Choose the elicitation 'samples', or 'auto', which samples only such scales."
        )
    if elicitation == "verbalised" and not options:
        raise UserError(
            "An open outcome has no options to give a distribution over. Choose 'samples' or 'auto'."
        )
    return elicitation


def estimate_usd(
    name: str, service: Service, decoding: Decoding, questions: Iterable[Question]
) -> float | None:
    """An estimate of what asking `questions` costs, by rough counts of tokens; None if the price is not known.

    Raises UserError if a question cannot be asked in the service's elicitation.
    """
    price = find_price(service, served_model(name))
    if price is None:
        return None
    total = 0.0
    for question in questions:
        way = choose_elicitation(service.elicitation, question.options, decoding)
        written = {"logprobs": 1, "samples": 2 * service.n_samples, "verbalised": 8 * len(question.options)}
        prompt = _verbalised(question) if way == "verbalised" else question.prompt
        total += price.usd(rough_tokens(prompt), written[way])
    return total


def most_used(way: Way, question: Question, service: Service) -> tuple[int, int]:
    """An upper bound of the tokens that one question takes, read and written.

    A server may read the prompt again for each draw, and "auto" may draw after first tokens were of no use.
    """
    read = most_tokens(_verbalised(question) if way == "verbalised" else question.prompt)
    drawn = read * (1 if service.is_official else service.n_samples), DRAW_TOKENS * service.n_samples
    if way == "samples":
        return drawn
    if way == "verbalised":
        return read, _room(question)
    return (read + drawn[0], 1 + drawn[1]) if service.elicitation == "auto" else (read, 1)


class Elicitor:
    """Asks one model questions, each in its way."""

    def __init__(self, model: str, service: Service, decoding: Decoding) -> None:
        self._model, self._service, self._decoding = model, service, decoding
        self._one_by_one = False  # after a server refused to draw several at a time
        self._lists_too_few = False  # after a server listed fewer first tokens than the options need, or none
        self._n_listed = MOST_LISTED
        # Fields that the server refused, and that made the difference; OpenAI's API has no thinking to switch off.
        self._left_out: frozenset[str] = frozenset({THINKING} if service.is_official else ())
        self._limit_name = "max_completion_tokens" if service.is_official else "max_tokens"

    def elicit(self, question: Question, ask: Ask) -> Elicited:
        """The answer to `question` through `ask`, which may raise. Raises Unreadable for a reply without an answer."""
        way = choose_elicitation(self._service.elicitation, question.options, self._decoding)
        free = self._service.elicitation == "auto"
        if way == "logprobs" and not (free and self._lists_too_few):
            try:
                reply = self._list(ask, question.prompt)
                tokens = read_first_token(reply.body)
                answer, n_unlisted = first_token_answer(tokens, question.options, _n_read(reply))
                return Elicited(answer, n_unlisted=n_unlisted)
            except Unlisted as unlisted:
                if not free:
                    raise
                self._lists_too_few = unlisted.n_listed < MOST_LISTED
            except Refused as refused:
                if refused.for_all or (not free and "logprobs" not in refused.reply):
                    raise
                if not free:
                    sentence = f"{str(refused).rstrip('.')}. Ask this server for samples instead."
                    raise Refused(sentence, for_all=False, reply=refused.reply) from refused
                elicited = self._sample(question, ask)
                # Only after draws: if they are refused too, the log-probabilities were not the cause.
                self._lists_too_few = self._lists_too_few or "logprobs" in refused.reply
                return elicited
        if way == "verbalised":
            reply = self._ask(ask, _verbalised(question), _room(question), temperature=0.0)
            text = read_texts(reply.body)[0]
            try:
                return Elicited(verbalised_answer(text, question.options, _n_read(reply)))
            except Unreadable as error:
                missing = missing_answer(len(question.options), _n_read(reply))
                return Elicited(missing, (Oddity(str(error), text),))
        return self._sample(question, ask)

    def _sample(self, question: Question, ask: Ask) -> Elicited:
        texts: list[str] = []
        n_read = 0
        one_by_one = self._one_by_one
        while len(texts) < self._service.n_samples:
            wanted = 1 if one_by_one else self._service.n_samples - len(texts)
            # With the number of texts so far: one seed for all requests could draw the same text each time.
            seed = int(digest([question.prompt.messages(), len(texts)])[:7], 16)
            try:
                reply = self._draw(ask, question.prompt, wanted, seed)
            except Refused as refused:
                if refused.for_all or wanted == 1:
                    raise
                one_by_one = True
                continue
            self._one_by_one = one_by_one  # only after a reply: the request may be refused for another reason
            # A server may send more texts than it was asked for.
            texts += read_texts(reply.body)[:wanted]
            n_read = n_read or _n_read(reply)
        answer, unread = sampled_answer(texts, question, n_read)
        return Elicited(answer, tuple(Oddity(reason, text) for reason, text in unread))

    def _draw(self, ask: Ask, prompt: Prompt, n: int, seed: int) -> Reply:
        paper = self._decoding == "paper"
        sampling = {"temperature": PAPER_TEMPERATURE, "top_p": PAPER_TOP_P} if paper else {}
        return self._ask(ask, prompt, DRAW_TOKENS, seed=seed, n=n, **sampling)

    def _list(self, ask: Ask, prompt: Prompt) -> Reply:
        """The reply with the likeliest first tokens, fewer of them if the server refuses to list so many."""
        try:
            return self._ask(ask, prompt, 1, logprobs=True, top_logprobs=self._n_listed)
        except Refused as refused:
            if refused.for_all or "logprobs" not in refused.reply or self._n_listed == FEWER_LISTED:
                raise
        reply = self._ask(ask, prompt, 1, logprobs=True, top_logprobs=FEWER_LISTED)
        self._n_listed = FEWER_LISTED
        return reply

    def _ask(self, ask: Ask, prompt: Prompt, n_tokens: int, **more: Any) -> Reply:
        """The reply to a request, which is sent again without a field that the server refuses.

        A field is left out if the refusal names it, and the one for thinking also if it names none. What was left out
        is remembered only after a reply: if the request fails without the field as well, the field was not the cause.
        """
        left_out, limit_name = self._left_out, self._limit_name
        while True:
            request = self._request(prompt, {limit_name: n_tokens}, **more)
            try:
                reply = ask({key: value for key, value in request.items() if key not in left_out})
            except Refused as refused:
                named = [
                    key for key in DISPENSABLE if key in refused.reply and _says_nothing_new(key, request)
                ]
                field = next((key for key in [*named, THINKING] if key not in left_out), None)
                if refused.for_all:
                    raise
                if LIMITS[limit_name] in refused.reply and limit_name != LIMITS[self._limit_name]:
                    limit_name = LIMITS[limit_name]
                elif field is not None and "logprobs" not in refused.reply:
                    left_out |= {field}
                else:
                    raise
            else:
                self._left_out, self._limit_name = left_out, limit_name
                return reply

    def _request(self, prompt: Prompt, limit: Mapping[str, int], **more: Any) -> dict[str, Any]:
        """The body of a chat completion."""
        messages = [
            {**message, "content": message["content"].encode("utf-8", "replace").decode()}
            for message in prompt.messages()
        ]
        # Stated outright, since a server may have other defaults.
        sampling = {"temperature": 1.0, "top_p": 1.0}
        thinking = {THINKING: {"enable_thinking": False}}
        return {"model": self._model, "messages": messages, **sampling, **limit, **thinking, **more}


def _says_nothing_new(field: str, request: Mapping[str, Any]) -> bool:
    """Whether a request means the same without the field: a temperature of 0.6 does not, one of 1 does."""
    return field not in ("temperature", "top_p") or request[field] == 1.0


def _verbalised(question: Question) -> Prompt:
    """The question followed by a request for a distribution: a wording that the responder's card names."""
    request = VERBALISED.format(options=", ".join(question.options), first=f'"{question.options[0]}"')
    return Prompt(question.prompt.system, question.prompt.user + request, question.prompt.shots)


def _room(question: Question) -> int:
    return OBJECT_TOKENS + OPTION_TOKENS * len(question.options)


def _n_read(reply: Reply) -> int:
    usage = read_usage(reply.body)
    return usage[0] if usage else 0
