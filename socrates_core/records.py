"""The values that everything else passes around. They import nothing and know nothing but their own shape."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_LISTED = 100_000
MAX_SCORED = 1_001  # values whose probabilities are worked out one by one
Number = int | float
Floats = NDArray[np.float64]
ScaleKind = Literal["range", "enum_labels", "open_integer", "multiple", "if_upto"]
Precision = Literal["auto", "fp32", "bf16", "nf4"]
Decoding = Literal["exact", "paper"]
PAPER_TEMPERATURE = 0.6  # the decoding "paper" (arXiv 2509.05830): this temperature, then this nucleus
PAPER_TOP_P = 0.9

DEMOGRAPHICS: tuple[str, ...] = (
    "age",
    "gender",
    "ethnicity",
    "education",
    "employment",
    "marital_status",
    "housing_ownership",
    "housing_type",
    "location",
    "metro_status",
    "income",
    "internet_access",
    "household_size",
    "party_id",
    "ideology",
    "phone_service",
)


@dataclass(frozen=True)
class Scale:
    """The answers a stimulus allows.

    `low` and `high` are None only for open scales. `labels` are (value, text) pairs in order of value.
    `enum_labels` allows exactly its labelled values, `multiple` the multiples of `step` from low to high;
    the others every `step` from low. `ordered` says whether higher values mean more of something; None where nobody
    has said so (`scales.order.is_ordered` then decides). It is no part of what is asked, so scales that differ in it
    alone are equal.
    """

    kind: ScaleKind
    low: Number | None = None
    high: Number | None = None
    step: Number = 1
    labels: tuple[tuple[Number, str], ...] = ()
    ordered: bool | None = field(default=None, compare=False)

    @property
    def values(self) -> tuple[Number, ...]:
        """Every value in order; empty for an open scale and for one with too many values to list."""
        if self.kind == "enum_labels":
            return tuple(value for value, _ in self.labels)
        if self.low is None or self.high is None:
            return ()
        low = math.ceil(self.low / self.step - 1e-9) * self.step if self.kind == "multiple" else self.low
        count = int((self.high - low) / self.step + 1e-9) + 1
        return tuple(plain(low + index * self.step) for index in range(count)) if count <= MAX_LISTED else ()

    @property
    def options(self) -> tuple[str, ...]:
        """The values as the text a person would answer."""
        return tuple(str(value) for value in self.values)

    @property
    def is_open(self) -> bool:
        return not self.values

    @property
    def is_drawn(self) -> bool:
        """True where answers are drawn from a model, since the values are open or too many to score."""
        return not 1 <= len(self.values) <= MAX_SCORED

    def label(self, value: Number) -> str:
        """The label of `value`, or an empty text."""
        return dict(self.labels).get(value, "")

    def as_dict(self) -> dict[str, Any]:
        """As JSON; `ordered` is named only where somebody has set it, so that stored digests stay what they are."""
        known = {} if self.ordered is None else {"ordered": self.ordered}
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "step": self.step,
            "labels": {str(value): text for value, text in self.labels},
            **known,
        }

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Scale":
        labels = sorted((parse_number(key), str(text)) for key, text in (stored.get("labels") or {}).items())
        kind, low, high, step = stored["kind"], stored["low"], stored["high"], stored.get("step", 1)
        return Scale(kind, low, high, step, tuple(labels), stored.get("ordered"))


def parse_number(text: str | Number) -> Number:
    """An int where the text is whole, else a float. Raises ValueError."""
    return plain(float(text)) if not isinstance(text, int) else text


def plain(value: Number) -> Number:
    """An int where the number is whole to nine decimals, else a float of nine decimals."""
    rounded = round(value, 9)
    return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True)
class Participant:
    """One person: demographics by the names in DEMOGRAPHICS, missing ones left out."""

    participant: int
    demographics: Mapping[str, str | int]


@dataclass(frozen=True)
class Stimulus:
    """One thing that people of one condition were shown and asked, word for word, with its scale.

    `condition_text` and `question` are the parts of `stimulus` where the text can be split; else
    `condition_text` is the whole text and `question` is empty.
    """

    stimulus_id: int
    study_id: str
    condition_num: int
    task_num: int
    stimulus: str
    condition_name: str
    outcome_name: str
    condition_text: str
    question: str
    scale: Scale


@dataclass(frozen=True)
class Prompt:
    """What a model is asked: the system text and the user text, before any chat template.

    `shots` are turns before it: what others were asked and what they answered.
    """

    system: str
    user: str
    shots: tuple[tuple[str, str], ...] = ()

    def messages(self) -> list[dict[str, str]]:
        said = [("system", self.system)]
        for asked, answered in self.shots:
            said += [("user", asked), ("assistant", answered)]
        return [{"role": role, "content": text} for role, text in (*said, ("user", self.user))]


@dataclass(frozen=True)
class Question:
    """A prompt with the option texts that count as answers to it.

    Without options it is open: numbers are drawn, and read as answers on `scale` where it is given.
    """

    prompt: Prompt
    options: tuple[str, ...]
    scale: Scale | None = None


LOW_MASS = 0.5  # a valid mass below it is pointed out wherever it is shown: most of the answer was no answer


@dataclass(frozen=True)
class Answer:
    """A distribution over a question's options.

    `probabilities` [k] sums to 1; `valid_mass` in [0, 1] is the probability the model put on any of
    the options before it was normalised; `n_tokens` is the length of the prompt (0 without a tokenizer).
    An answer from `n_samples` draws has shares as `probabilities` [k], NaN where no draw was an answer, and the share
    of draws that are answers at all as `valid_mass`; that to an open question belongs to the `values` [k] drawn.
    """

    probabilities: Floats
    valid_mass: float
    n_tokens: int = 0
    values: Floats | None = None
    n_samples: int = 0


SCORING_VERSION = (
    2  # raised with every change that can alter an answer; scoring/versions.py says what was wrong
)
_ADDED = ("deterministic", "server", "elicitation")  # to cards of an earlier version


@dataclass(frozen=True)
class ResponderCard:
    """What answered: enough to key the cache and to tell a reader which model spoke.

    `server` and `elicitation` are where and how a served model was asked; empty for others. `scoring` is the version of
    our own scoring; cards of version 1 do not name it.
    """

    name: str
    model: str
    revision: str
    precision: str
    decoding: Decoding
    template: str
    deterministic: bool = False
    server: str = ""
    elicitation: str = ""
    scoring: int = SCORING_VERSION

    def as_dict(self) -> dict[str, Any]:
        """As JSON; the three of _ADDED are named only where they are set."""
        return {name: value for name, value in vars(self).items() if value or name not in _ADDED}


@dataclass(frozen=True)
class Effect:
    """A difference in means of one outcome, condition minus reference, with its 95% interval.

    On the scale's own units; `share` is the difference over the scale's range; `d` is Cohen's d (NaN
    without spread). `n` and `n_reference` people answered in the two conditions. `low`, `high`, `p` of the two-sided
    test of no difference, and the standard error `se` are NaN where no interval is earned.
    """

    difference: float
    low: float
    high: float
    n: int
    n_reference: int
    share: float
    d: float
    p: float = math.nan
    se: float = math.nan
