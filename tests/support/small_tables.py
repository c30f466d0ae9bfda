"""Small tables as an import reads them, and what is suggested for their columns."""

from collections.abc import Sequence

import pandas as pd

from socrates_core.importing.mapping import Mapping
from socrates_core.importing.suggest import Suggestion, suggest_table
from socrates_core.importing.table import Table
from socrates_core.records import Scale


def table(labels: dict[str, dict[str, str]] | None = None, /, **columns: Sequence[object]) -> Table:
    frame = pd.DataFrame(
        {name: pd.Series(list(map(str, cells)), dtype="str") for name, cells in columns.items()}
    )
    return Table(frame, {name: f"Your {name}" for name in columns}, labels or {})


def suggested(**columns: Sequence[object]) -> Suggestion:
    return suggest_table(table(None, **columns), "Small")


def scale_of(mapping: Mapping, name: str = "q") -> Scale:
    return next(outcome.scale.scale() for outcome in mapping.outcomes if outcome.name == name)
