"""What a served model costs: the user's prices, then a dated table, and rough counts of tokens."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from socrates_core.errors import UserError
from socrates_core.models.served.server import Service
from socrates_core.records import Prompt
from socrates_core.settings import home

CHARACTERS_A_TOKEN = 4  # in English text, by OpenAI's rule of thumb
TOKENS_A_MESSAGE = 4  # for the marks around a message
MOST_TOKENS_A_MESSAGE = 32


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens `read` and `written`; `source` says where they are from, and when."""

    read: float
    written: float
    source: str

    def usd(self, n_read: float, n_written: float) -> float:
        return (n_read * self.read + n_written * self.written) / 1e6


def find_price(service: Service, model: str) -> Price | None:
    """The price of `model` at its server: from SOCRATES_HOME/prices.yaml, then from our table, and 0 on this machine.

    None if it is not known. Raises UserError if the user's table cannot be read.
    """
    for path in (home() / "prices.yaml", Path(__file__).with_name("prices.yaml")):
        price = _read_price(path, service.host, model) if path.exists() else None
        if price is not None:
            return price
    return Price(0.0, 0.0, "runs on this machine") if service.is_loopback else None


def _read_price(path: Path, host: str, model: str) -> Price | None:
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
        priced = (table["hosts"].get(host) or {}).get(model)
        if priced is None:
            return None
        read, written = (float(value) for value in priced)
        if not (0 <= read < float("inf") and 0 <= written < float("inf")):
            raise ValueError(f"{priced!r} are not prices")
        return Price(read, written, f"{table['source']}, {table['checked']}")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise UserError(
            f"The prices in {str(path)!r} cannot be read ({type(error).__name__}: {error}). The form is: "
            "checked: 'DATE', source: 'TEXT', hosts: {HOST: {MODEL: [read, written]}}, in dollars per million tokens."
        ) from error


def rough_tokens(prompt: Prompt) -> int:
    """An estimate of the tokens that a served model reads, whose tokenizer is not here: a quarter of the characters."""
    contents = [message["content"] for message in prompt.messages()]
    return sum(-(-len(text) // CHARACTERS_A_TOKEN) + TOKENS_A_MESSAGE for text in contents)


def most_tokens(prompt: Prompt) -> int:
    """An upper bound of the tokens that a served model reads for `prompt`: a token is at least one byte of text."""
    contents = [message["content"] for message in prompt.messages()]
    return sum(len(text.encode("utf-8", "replace")) + MOST_TOKENS_A_MESSAGE for text in contents)
