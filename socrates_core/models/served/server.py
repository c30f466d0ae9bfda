"""A server with OpenAI's chat completions: its address, the variable with its key, and how it is asked.

The key itself is read when a request is made and is never stored.
"""

import os
import re
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from socrates_core.errors import UserError, unknown

PREFIX = "api:"
OFFICIAL = "https://api.openai.com/v1"
OFFICIAL_KEY = "OPENAI_API_KEY"
N_SAMPLES = 20
_TOKEN_OF_OTHERS = re.compile(r"SOCRATES_|HF_|HUGGING_?FACE")
Elicitation = Literal["auto", "logprobs", "samples", "verbalised"]


@dataclass(frozen=True)
class Service:
    """How a served model is reached and asked.

    `url` is the part of the address before "/chat/completions". `key_variable` names the environment variable with the
    key; without it no key is sent, except that OpenAI's own API gets OPENAI_API_KEY, which no other server gets unless
    it is named. Elicitations: "logprobs" reads the first token's probabilities, "samples" draws `n_samples` answers,
    "verbalised" asks for the distribution in words, and "auto" is logprobs if the options allow it, else samples.

    Raises UserError for an invalid address or one with a password, and for a variable's name that looks like a key.
    """

    url: str = OFFICIAL
    key_variable: str = ""
    elicitation: Elicitation = "auto"
    n_samples: int = N_SAMPLES

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.strip().rstrip("/"))
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "@" in self.url or "?" in self.url or "#" in self.url:
            raise UserError(
                "The server's address must be like 'https://api.openai.com/v1' or 'http://localhost:8000/v1', "
                "without a name, password or key in it."
            )
        if self.is_official and not self.key_variable:
            object.__setattr__(self, "key_variable", OFFICIAL_KEY)
        if not re.fullmatch(r"([A-Z_][A-Z0-9_]{0,63})?", self.key_variable):
            raise UserError(
                f"The key's variable must be a name in capitals such as {OFFICIAL_KEY!r}, not the key itself: "
                "set the variable in the environment, where it is read and not stored."
            )
        if self.elicitation not in get_args(Elicitation):
            raise unknown("elicitation", self.elicitation, get_args(Elicitation))
        if not 1 <= self.n_samples <= 1000:
            raise UserError(f"The number of samples must be from 1 to 1000, got {self.n_samples!r}.")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def arguments(self) -> list[str]:
        """The command line options for this service; consent is not among them and must be given again."""
        key = ["--key-variable", self.key_variable] if self.key_variable else []
        elicitation = ["--elicitation", self.elicitation, "--samples", str(self.n_samples)]
        return ["--server", self.url, *key, *elicitation]

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def is_official(self) -> bool:
        return urlsplit(self.url).hostname == urlsplit(OFFICIAL).hostname

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine, unless the server there passes them on."""
        name = urlsplit(self.url).hostname or ""
        try:
            return name == "localhost" or ip_address(name).is_loopback
        except ValueError:
            return False

    @property
    def elicitation_details(self) -> str:
        """The elicitation with the settings that affect its answers, for the responder's card."""
        sampled = self.elicitation in ("auto", "samples")
        return f"{self.elicitation}, {self.n_samples} samples" if sampled else self.elicitation

    def check_key_variable(self) -> None:
        """Raises UserError if the variable belongs to the dashboard or the hub, whose tokens go to no server."""
        if _TOKEN_OF_OTHERS.match(self.key_variable):
            raise UserError(
                f"The variable {self.key_variable!r} belongs to the dashboard or to Hugging Face, and its value is "
                f"sent to no model server. Put the key for {self.host} into a variable of its own, such as "
                "'MY_SERVER_KEY', and name that one."
            )

    def read_key(self) -> str:
        """The key from the environment, empty if no variable is named. Raises UserError if it is unset or unusable."""
        self.check_key_variable()
        if not self.key_variable:
            return ""
        key = os.environ.get(self.key_variable, "").strip()
        if not key:
            raise UserError(
                f"The environment variable {self.key_variable!r} with the key for {self.host} is not set here. Set it, "
                "end a worker that was started without it, and try again."
            )
        if not key.isascii() or not key.isprintable() or " " in key:
            raise UserError(f"The key in {self.key_variable!r} has characters that no key has. Set it again.")
        return key


def served_model(name: str) -> str:
    """The model's name at its server: "gpt-4o" in "api:gpt-4o". Raises UserError if it is empty."""
    model = name.removeprefix(PREFIX).strip()
    if not model:
        raise UserError(f"Name the model that the server has, such as '{PREFIX}gpt-4o'; got {name!r}.")
    return model
