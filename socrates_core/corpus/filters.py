"""Filters on people's demographics as conditions of a query."""

from collections.abc import Mapping, Sequence
from typing import Any

from socrates_core.corpus.tables import WHOLE_NUMBERS
from socrates_core.errors import UserError, unknown
from socrates_core.records import DEMOGRAPHICS

Filters = Mapping[str, Sequence[Any]]


def as_condition(field: str, allowed: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """A filter as SQL with its bound values; only names from DEMOGRAPHICS enter the SQL text.

    Raises UserError for an unknown field or a value that cannot match.
    """
    if field not in DEMOGRAPHICS:
        raise unknown("demographic field", field, DEMOGRAPHICS)
    expected = (int, float) if field in WHOLE_NUMBERS else str
    wrong = [value for value in allowed if not isinstance(value, expected)]
    if wrong:
        kind = "numbers" if field in WHOLE_NUMBERS else "texts"
        raise UserError(f"The filter on {field!r} has the value {wrong[0]!r}. It takes {kind}.")
    if isinstance(allowed, tuple) and len(allowed) == 2 and field in WHOLE_NUMBERS:
        low, high = allowed
        return f"{field} BETWEEN ${field}_low AND ${field}_high", {f"{field}_low": low, f"{field}_high": high}
    return f"list_contains(${field}, {field})", {field: list(allowed)}
