"""Cells of an outcome's column as numbers on its scale."""

import math
from collections.abc import Mapping

import pandas as pd

from socrates_core.records import Number, Scale
from socrates_core.scales import read_answer

MAX_LABELS = 1_000  # different texts that are read as labels; more is a column of free text


def as_numbers(cells: pd.Series, values: Mapping[str, Number], scale: Scale) -> pd.Series:
    """Each cell [n] as a number; NaN where it is none.

    A cell is what `values` says it is, else the number that it is, else the value of the scale whose label it
    is ("Agree", "7 - Agree").
    """
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    numbers = numbers.where(numbers.abs() < math.inf)
    told = cells.map({cell: float(value) for cell, value in values.items()})
    numbers = told.astype(float).fillna(numbers)
    texts = cells[numbers.isna()].unique()
    if scale.labels and 0 < len(texts) <= MAX_LABELS:
        read = {text: read_answer(str(text), scale).value for text in texts}
        numbers = numbers.fillna(
            cells.map({text: value for text, value in read.items() if value is not None})
        )
    return numbers
