"""Options that several commands share, above all those that say which model answers and how."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Annotated, Any

import typer

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.models import is_served
from socrates_core.models.served.server import N_SAMPLES, OFFICIAL, OFFICIAL_KEY, Elicitation, Service
from socrates_core.records import Decoding, Precision

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines.")]
Corpus = Annotated[str | None, typer.Option(help="Look only in this corpus.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@dataclass(frozen=True)
class ModelOptions:
    """Which model answers and how. `with_model_options` makes each field an option of a command."""

    model: Annotated[
        str,
        typer.Option(
            "--model", help="starter, a folder, a hub id such as org/name, or api:MODEL at a --server."
        ),
    ] = "starter"
    precision: Annotated[Precision, typer.Option(help="Number format of the weights.")] = "auto"
    decoding: Annotated[
        Decoding, typer.Option(help="exact, or the paper's temperature 0.6 and top-p 0.9.")
    ] = "exact"
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic",
            help="Make an answer independent of the others in its batch, to the last bit. Slower.",
        ),
    ] = False
    server: Annotated[
        str,
        typer.Option(envvar="OPENAI_BASE_URL", help="Base address of the server of an api:MODEL, up to /v1."),
    ] = OFFICIAL
    key_variable: Annotated[
        str,
        typer.Option(
            help=f"Environment variable with the server's key. Default: {OFFICIAL_KEY} for the OpenAI API, else none."
        ),
    ] = ""
    elicitation: Annotated[
        Elicitation,
        typer.Option(
            help="How to ask a served model. auto: logprobs if the options allow it, otherwise samples."
        ),
    ] = "auto"
    samples: Annotated[int, typer.Option(help="Draws per question if a served model is sampled.")] = N_SAMPLES
    limit_usd: Annotated[
        float | None, typer.Option(help="Stop before a served model costs more than this many US dollars.")
    ] = None
    consent: Annotated[
        bool, typer.Option("--consent", help="Allow the questions to leave this machine, for this run only.")
    ] = False

    def server_settings(self) -> Service:
        """How a served model is reached and asked. Raises UserError if that cannot be."""
        return Service(self.server, self.key_variable, self.elicitation, self.samples)

    def request(self) -> ModelRequest:
        """The same as a request. Raises UserError if the options of a served model cannot be used."""
        service = self.server_settings() if is_served(self.model) else None
        return ModelRequest(self.model, self.precision, self.decoding, self.deterministic, service)


def with_model_options(
    *names: str, **defaults: object
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turns a command's parameter `options: ModelOptions` into the options called `names`, or into all of them.

    `defaults` replace defaults of ModelOptions; `inspect.Parameter.empty` makes an option required. Options that the
    command does not have keep the default of ModelOptions.
    """
    shared = [field for field in fields(ModelOptions) if not names or field.name in names]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def wrapper(**values: Any) -> None:
            chosen = {field.name: values.pop(field.name) for field in shared if field.name in values}
            return command(**values, options=ModelOptions(**chosen))

        expanded: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            if parameter.annotation is not ModelOptions:
                # Typer passes everything by name, and a required option may follow one with a default.
                expanded.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                continue
            expanded += [
                inspect.Parameter(
                    field.name,
                    inspect.Parameter.KEYWORD_ONLY,
                    default=defaults.get(field.name, field.default),
                    annotation=field.type,
                )
                for field in shared
            ]
        wrapper.__signature__ = inspect.Signature(expanded)  # type: ignore[attr-defined]
        return wrapper

    return decorate


def comma_list(text: str) -> list[str]:
    """The parts of a text between commas, without blanks around them or empty ones."""
    return [part.strip() for part in text.split(",") if part.strip()]


def confirm(question: str, refused: str, yes: bool) -> None:
    """Returns once the person agreed or gave --yes. Raises UserError with the sentence `refused` otherwise."""
    try:
        # On standard error, so that standard output holds only the result.
        agreed = yes or typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise UserError(f"{refused} To go on without being asked, add --yes.")
