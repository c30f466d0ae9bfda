"""The numbers of a report, each under one key: the page shows no others, and the scripts compute all of them again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

import pandas as pd

from socrates_core.reporting.tables import Column, DataTable


class Key(NamedTuple):
    """What a number is, and the places it belongs to: positions of an outcome, a condition, a predictor and so on."""

    quantity: str
    places: tuple[float | None, ...] = ()

    @classmethod
    def at(cls, quantity: str, *places: float | None) -> Self:
        """The key without empty places at its end, so that equal keys have one form."""
        while places and places[-1] is None:
            places = places[:-1]
        return cls(quantity, places)

    def __str__(self) -> str:
        return "/".join([self.quantity, *("" if place is None else f"{place:.15g}" for place in self.places)])


@dataclass(frozen=True)
class Numbers:
    """The numbers of a report by key; NaN where the data give none.

    `quantities` says what each quantity is, `places` what each part of a key after the quantity is, in order.
    """

    by_key: Mapping[Key, float]
    quantities: Mapping[str, str]
    places: Mapping[str, Column]

    def get(self, quantity: str, *places: float | None) -> float:
        """A number, NaN if it is missing. Raises KeyError for an unknown quantity."""
        if quantity not in self.quantities:
            raise KeyError(quantity)
        return self.by_key.get(Key.at(quantity, *places), math.nan)

    def has(self, quantity: str, *places: float | None) -> bool:
        """Whether there is such a number. Raises KeyError for an unknown quantity."""
        return not math.isnan(self.get(quantity, *places))

    def table(self) -> DataTable:
        """A row a number: key, quantity, a column for each place, number."""
        rows = [
            {
                "key": str(key),
                "quantity": key.quantity,
                # A key has no empty places at its end, so it may be shorter.
                **dict(zip(self.places, key.places, strict=False)),
                "number": number,
            }
            for key, number in self.by_key.items()
        ]
        table = pd.DataFrame(rows, columns=["key", "quantity", *self.places, "number"])
        # Every place is a position, except a value on a scale, which may be a fraction.
        types = {name: "Float64" if name == "value" else "Int64" for name in self.places}
        columns = {
            "key": Column("/".join(["quantity", *self.places])),
            "quantity": Column(
                "what it is",
                "",
                "; ".join(f"{name} = {meaning}" for name, meaning in self.quantities.items()),
            ),
            **self.places,
            "number": Column("the number; empty where the data give none", "see quantity"),
        }
        return DataTable("numbers", "every number of report.html", table.astype(types), columns)
