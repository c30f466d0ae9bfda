"""A researcher's data file as a table of text, whatever the program that wrote it."""

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A data file as it was read.

    `frame`: every cell as text, whole numbers without decimals, missing as NA; column names are unique.
    `labels`: column -> the question or label that the file has for it. `value_labels`: column -> {cell -> its
    label}. `warnings`: sentences about what a reader of the file should check.
    """

    frame: pd.DataFrame
    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
