"""The values that all other rooms pass around. They import nothing of this project."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MAX_LISTED = 100_000
MAX_SCORED = 1_001  # values of a scale whose probabilities a model computes one by one
Number = int | float
Floats = NDArray[np.float64]
ScaleKind = Literal["range", "enum_labels", "open_integer", "multiple", "if_upto"]
# fp16 is for graphics cards without bf16; int8 (LLM.int8) and nf4 are bitsandbytes' 8 and 4 bits.
Loaded = Literal["fp32", "bf16", "fp16", "int8", "nf4"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8", "nf4"]
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
    the others allow every `step` from low. `ordered` says whether higher values mean more of something; None if nobody
    has set it (`scales.order.is_ordered` then decides). People are not shown it, so scales that differ only in
    `ordered` are equal.
    """

    kind: ScaleKind
    low: Number | None = None
    high: Number | None = None
    step: Number = 1
    labels: tuple[tuple[Number, str], ...] = ()
    ordered: bool | None = field(default=None, compare=False)

    @property
    def values(self) -> tuple[Number, ...]:
        """Every value in order; empty for an open scale or more than MAX_LISTED values."""
        if self.kind == "enum_labels":
            return tuple(value for value, _ in self.labels)
        if self.low is None or self.high is None:
            return ()
        # 1e-9 absorbs rounding: 0.7 / 0.1 is 6.999999999999999 in floating point.
        low = self.low
        if self.kind == "multiple":
            low = math.ceil(self.low / self.step - 1e-9) * self.step
        count = int((self.high - low) / self.step + 1e-9) + 1
        return tuple(plain(low + index * self.step) for index in range(count)) if count <= MAX_LISTED else ()

    @property
    def options(self) -> tuple[str, ...]:
        """The values as the texts that a person would answer."""
        return tuple(str(value) for value in self.values)

    @property
    def is_open(self) -> bool:
        return not self.values

    @property
    def is_drawn(self) -> bool:
        """True if answers have to be drawn from a model: the scale is open or has too many values to score."""
        return not 1 <= len(self.values) <= MAX_SCORED

    def label(self, value: Number) -> str:
        """The label of `value`, or an empty text."""
        return dict(self.labels).get(value, "")

    def as_dict(self) -> dict[str, Any]:
        """As JSON. `ordered` is included only if somebody set it, so that digests of older scales stay the same."""
        order = {} if self.ordered is None else {"ordered": self.ordered}
        return {
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "step": self.step,
            "labels": {str(value): text for value, text in self.labels},
            **order,
        }

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Scale":
        labels = sorted((parse_number(key), str(text)) for key, text in (stored.get("labels") or {}).items())
        return Scale(
            stored["kind"],
            stored["low"],
            stored["high"],
            stored.get("step", 1),
            tuple(labels),
            stored.get("ordered"),
        )


def parse_number(text: str | Number) -> Number:
    """An int if the text is a whole number, else a float. Raises ValueError."""
    return plain(float(text)) if not isinstance(text, int) else text


def plain(value: Number) -> Number:
    """An int if the number is whole to nine decimals, else a float rounded to nine decimals."""
    rounded = round(value, 9)
    return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True)
class Participant:
    """One person: demographics by the names in DEMOGRAPHICS, without missing ones."""

    participant: int
    demographics: Mapping[str, str | int]


@dataclass(frozen=True)
class Stimulus:
    """What people in one condition read and were asked, word for word, with its scale.

    `condition_text` and `question` are the two parts of `stimulus`. If the text cannot be split, `condition_text` is
    the whole text and `question` is empty.
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

    `shots` are earlier turns: questions to other people, each with the answer.
    """

    system: str
    user: str
    shots: tuple[tuple[str, str], ...] = ()

    def messages(self) -> list[dict[str, str]]:
        turns = [("system", self.system)]
        for question, answer in self.shots:
            turns += [("user", question), ("assistant", answer)]
        turns.append(("user", self.user))
        return [{"role": role, "content": text} for role, text in turns]


@dataclass(frozen=True)
class Question:
    """A prompt with the option texts that count as answers to it.

    Without options it is open: numbers are drawn, and read as answers on `scale` if there is one.
    """

    prompt: Prompt
    options: tuple[str, ...]
    scale: Scale | None = None


LOW_MASS = 0.5  # a valid mass below it is pointed out wherever it is shown: most of the answer was no answer


@dataclass(frozen=True)
class Answer:
    """A distribution over a question's options.

    `probabilities` [k] sums to 1. `valid_mass` in [0, 1] is the probability that the model put on all options together
    before normalization. `n_tokens` is the length of the prompt (0 without a tokenizer). For an answer from
    `n_samples` draws, `probabilities` [k] are the shares of the draws, NaN if no draw could be read, and `valid_mass`
    is the share of draws that could be read. For an open question, `probabilities` belong to the `values` [k] drawn.
    """

    probabilities: Floats
    valid_mass: float
    n_tokens: int = 0
    values: Floats | None = None
    n_samples: int = 0


# Raised with every change that can alter an answer. scoring/versions.py says what was wrong before.
SCORING_VERSION = 2
_ADDED = (
    "deterministic",
    "server",
    "elicitation",
    "adapter_precision",
)  # fields that cards of earlier versions do not have


@dataclass(frozen=True)
class ResponderCard:
    """What answered: enough to key the cache and to show a reader which model it was.

    `server` and `elicitation` say where and how a served model was asked; empty for others. `scoring` is the version
    of our own scoring; cards of version 1 do not have it. `adapter_precision` is the number format in which an adapter
    answers; empty for fp32, in which all adapters answered earlier, and without an adapter.
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
    adapter_precision: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON. The fields in _ADDED are included only if they are set, so that earlier digests stay the same."""
        return {name: value for name, value in vars(self).items() if value or name not in _ADDED}


@dataclass(frozen=True)
class Factor:
    """One of the things that conditions vary: its levels, in the order of the study's conditions."""

    name: str
    level_of_condition: tuple[str, ...]


def factors_of(levels: Sequence[Mapping[str, str]]) -> tuple[Factor, ...]:
    """The factors that cross conditions, from the level of each factor in each condition.

    Empty unless every condition has a level of the same factors, at least two of these vary, and no two conditions have
    the same levels: anything else is not crossed, and main effects would mix up what conditions differ in.
    """
    names = list(dict.fromkeys(name for condition in levels for name in condition))
    if not all(condition.get(name, "").strip() for condition in levels for name in names):
        return ()
    varied = [name for name in names if len({condition[name] for condition in levels}) > 1]
    cells = {tuple(condition[name] for name in varied) for condition in levels}
    if len(varied) < 2 or len(cells) < len(levels):
        return ()
    return tuple(Factor(name, tuple(condition[name] for condition in levels)) for name in varied)


def crossing_sentence(factors: Sequence[Factor]) -> str:
    """Such as "2 x 3: tone (warm, cold) x party (own, other, none)."; empty where conditions are not crossed."""
    levels = [list(dict.fromkeys(factor.level_of_condition)) for factor in factors]
    sizes = " x ".join(str(len(names)) for names in levels)
    named = " x ".join(
        f"{factor.name} ({', '.join(names)})" for factor, names in zip(factors, levels, strict=True)
    )
    return f"{sizes}: {named}." if factors else ""


@dataclass(frozen=True)
class Design:
    """How people were assigned to conditions. All inference about people reads it.

    `assignment` is mixed where some people were in several conditions and others in one. `cluster`, `block` and
    `weight` name what the study calls groups that were assigned together, groups within which people were randomized,
    and what each person counts; empty without. `factors` are empty where conditions are not crossed.
    """

    assignment: Literal["between", "within", "mixed"] = "between"
    cluster: str = ""
    block: str = ""
    weight: str = ""
    factors: tuple[Factor, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether people were assigned one by one and count alike."""
        return not (self.cluster or self.block or self.weight)


@dataclass(frozen=True)
class Effect:
    """A difference in means of one outcome, condition minus reference, with its 95% interval.

    In the scale's own units. `share` is the difference divided by the scale's range, `d` is Cohen's d (NaN without
    spread). `n` and `n_reference` people answered in the two conditions. `low`, `high`, `p` of the two-sided test of
    no difference, and the standard error `se` are NaN if the data do not support an interval. `n_clusters` and
    `n_clusters_reference` count the groups that were assigned together; 0 where people were assigned one by one.
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
    n_clusters: int = 0
    n_clusters_reference: int = 0
