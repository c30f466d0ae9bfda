"""Everything that answers questions, behind one protocol and opened by name."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from socrates_core.errors import UserError
from socrates_core.models.served.server import PREFIX, Service, served_model
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Answer, Decoding, Precision, Prompt, Question, ResponderCard

STAND_INS = ("echo", "uniform")


class Responder(Protocol):
    """Answers questions with distributions over their options.

    `fingerprint` changes with everything that can change an answer, so that answers can be stored under it.
    """

    card: ResponderCard
    fingerprint: str

    def answer(self, questions: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        """Yields the answers of each batch as it finishes, by position in `questions`, each position once.

        The caller may stop at any time; answers that were yielded stay valid.
        """
        ...


def answer_all(responder: Responder, questions: Sequence[Question]) -> list[Answer]:
    """Every answer, in the order of `questions`."""
    answers: dict[int, Answer] = {}
    for batch in responder.answer(questions):
        answers |= batch
    return [answers[position] for position in range(len(questions))]


def open_responder(
    name: str,
    *,
    precision: Precision = "auto",
    decoding: Decoding = "exact",
    deterministic: bool = False,
    service: Service | None = None,
    consent: bool = False,
) -> Responder:
    """The responder of that name: "echo", "uniform", "starter", a model or adapter folder, a hub id "org/name", or
    "api:MODEL" for a model of an OpenAI-compatible `service` (by default the real OpenAI API).

    With `deterministic` an answer is the same to the last bit whatever else is asked, but takes longer. Without
    `consent` nothing is sent to a server on another machine.

    Raises UserError if there is no such responder, or if its model cannot be used.
    """
    if is_served(name):
        from socrates_core.models.served.responder import ApiResponder

        if deterministic:
            raise UserError(
                f"{name!r} is a served model, which cannot be made to answer the same to the last bit. Leave out "
                "--deterministic."
            )
        return ApiResponder(name, service or Service(), decoding, consent=consent)
    if is_stand_in(name):
        from socrates_core.models.stand_ins import Echo, Uniform

        return Echo(decoding) if name == "echo" else Uniform(decoding)
    try:
        # Not at the top: torch loads slowly and may not be installed, and only local models need it.
        from socrates_core.models.local.responder import LocalResponder
    except ModuleNotFoundError as error:
        raise UserError(
            f"A local model needs {error.name!r}. Run: pip install -r requirements.txt"
        ) from error

    return LocalResponder(name, precision, decoding, deterministic=deterministic)


def is_stand_in(name: str) -> bool:
    """Whether the name is not a language model's but that of a stand-in, which answers by a rule."""
    return name in STAND_INS


def is_served(name: str) -> bool:
    """Whether the model is asked over HTTP."""
    return name.startswith(PREFIX)


def count_tokens(name: str, prompt: Prompt) -> int:
    """How many tokens the model reads for `prompt`, chat template included; 0 for a stand-in.

    For a served model, whose tokenizer is not on this machine, it is an estimate. Loads no weights. Raises UserError if
    there is no such model.
    """
    if is_stand_in(name):
        return 0
    if is_served(name):
        from socrates_core.models.served.prices import rough_tokens

        return rough_tokens(prompt)
    from socrates_core.models.chat import open_chat
    from socrates_core.models.model_folder import open_folder

    return len(next(open_chat(open_folder(name, weights=False)).encode([prompt])))


def context_limit(name: str) -> int | None:
    """The most tokens that the model takes; None without a limit, or if only its server knows. Raises UserError."""
    if is_stand_in(name) or (is_served(name) and served_model(name)):
        return None
    from socrates_core.models.model_folder import context_length, open_folder, read_config

    return context_length(read_config(open_folder(name, weights=False).base))


def model_revision(name: str) -> str:
    """A digest of what the model is made of, so that a changed folder is opened again. Raises UserError."""
    if is_stand_in(name) or is_served(name):
        return "1"
    from socrates_core.models.model_folder import open_folder, revision

    return revision(open_folder(name))


def prompt_template(name: str) -> str:
    """The prompt template to use with the model: SocSci210's, unless it was finetuned with another."""
    if is_stand_in(name) or is_served(name):
        return TEMPLATE
    from socrates_core.models.model_folder import open_folder

    return open_folder(name, weights=False).template
