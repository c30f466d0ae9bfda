"""The person whose answer is predicted, as the lines of a profile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from socrates_core.records import DEMOGRAPHICS


def label(field: str) -> str:
    """The name of a demographic field for readers: "Marital Status" for "marital_status"."""
    return field.replace("_", " ").title()


def render_profile(demographics: Mapping[str, str | int]) -> str:
    """One line per field, "- Age: 34": DEMOGRAPHICS first, then the others in their order. Skips missing fields."""
    fields = [*(field for field in DEMOGRAPHICS if field in demographics), *demographics]
    texts = {label(field): _text(demographics[field]) for field in fields}
    return "\n".join(f"- {name}: {text}" for name, text in texts.items() if text)


def _text(value: object) -> str:
    """A value as text: empty for a missing one (None, NaN, blank), without decimals for a whole number."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return "" if value is None else str(value).strip()


@dataclass(frozen=True)
class Person:
    """One member of a panel; `source` is "corpus/study/participant" or "described".

    `weight` is how much the person counts in means and shares, in proportion to the others.
    """

    person: int
    source: str
    demographics: Mapping[str, str | int]
    weight: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """The record as it is stored. A weight of 1 is left out, so that digests of stored runs stay what they are."""
        return {name: value for name, value in vars(self).items() if name != "weight" or value != 1.0}
