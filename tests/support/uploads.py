"""A researcher's own small files, and the page that imports them."""

import pandas as pd

from socrates_core.importing.mapping import (
    Mapping,
    mapping_from_dict,
)
from socrates_core.importing.table import Table

SEVEN = (
    "Only return an integer from 1 to 7, where 1 means 'not at all' and 7 means 'very much', nothing else."
)


def small(**changed: object) -> Mapping:
    """A mapping of columns id, arm (a, b) and q (1-7)."""
    stored = {
        "study": {"study_id": "small", "title": "Small"},
        "participant": "id",
        "conditions": [
            {"name": "A", "text": "Text a.", "when": {"arm": "a"}},
            {"name": "B", "text": "Text b.", "when": {"arm": "b"}},
        ],
        "outcomes": [{"name": "q", "question": "How much?", "scale": SEVEN, "column": "q"}],
    }
    return mapping_from_dict({**stored, **changed}, "the mapping")


def table(**columns: list[object]) -> Table:
    return Table(pd.DataFrame({name: pd.Series(cells, dtype="str") for name, cells in columns.items()}))
