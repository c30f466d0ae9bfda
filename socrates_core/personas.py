"""Who answers, as the lines of a profile."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from socrates_core.records import DEMOGRAPHICS


def label(field: str) -> str:
    """A demographic field as a reader sees it: "marital_status" is "Marital Status"."""
    return field.replace("_", " ").title()


def render_profile(demographics: Mapping[str, str | int]) -> str:
    """One line a field, "- Age: 34", in the order of DEMOGRAPHICS and then of the mapping; missing fields left out."""
    fields = [*(field for field in DEMOGRAPHICS if field in demographics), *demographics]
    told = {label(field): _text(demographics[field]) for field in fields}
    return "\n".join(f"- {name}: {text}" for name, text in told.items() if text)


def _text(value: object) -> str:
    """A value as text; a missing one (None, NaN, blank) is empty, a whole number has no decimals."""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:g}"
    return "" if value is None else str(value).strip()


@dataclass(frozen=True)
class Person:
    """One member of a panel; `source` is "corpus/study/participant" or "described"."""

    person: int
    source: str
    demographics: Mapping[str, str | int]
