"""Who answers: draws a panel's people, the same ones for the same spec and seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.corpus.store import open_corpus
from socrates_core.drafts.spec import PanelSpec
from socrates_core.errors import UserError
from socrates_core.records import DEMOGRAPHICS


@dataclass(frozen=True)
class Person:
    """One member of a panel; `source` is "corpus/study/participant" or "described"."""

    person: int
    source: str
    demographics: Mapping[str, str | int]


def draw_panel(spec: PanelSpec) -> list[Person]:
    """The panel's people in order. Raises UserError where there are too few to draw from."""
    if spec.kind == "describe":
        return _described(spec)
    pool = eligible(spec)
    if pool.empty:
        raise UserError(
            f"No participant of corpus {spec.corpus!r} passes the filters {_render_filters(spec)}. "
            "Widen or remove a filter."
        )
    if spec.n > len(pool):
        raise UserError(
            f"The panel asks for {spec.n:,} people, but only {len(pool):,} are there to draw from. "
            f"Choose at most {len(pool):,} or widen the filters."
        )
    chosen = np.random.default_rng(spec.seed).choice(len(pool), size=spec.n, replace=False)
    rows = pool.iloc[chosen].to_dict("records")
    return [
        Person(index, f"{spec.corpus}/{row['study_id']}/{row['participant']}", present(row))
        for index, row in enumerate(rows)
    ]


def eligible(spec: PanelSpec) -> pd.DataFrame:
    """Everyone that a sampled panel can be drawn from, in a stable order."""
    people = open_corpus(spec.corpus).participants(spec.studies or None, spec.filters or None)
    return people.sort_values(["study_id", "participant"], ignore_index=True)


def _described(spec: PanelSpec) -> list[Person]:
    """People whose fields are drawn independently of each other; joint patterns are not described."""
    generator = np.random.default_rng(spec.seed)
    columns: dict[str, list[str]] = {}
    for field, shares in spec.describe.items():
        weights = np.array(list(shares.values()), dtype=float)
        drawn = generator.choice(len(weights), size=spec.n, p=weights / weights.sum())
        columns[field] = [list(shares)[index] for index in drawn]
    return [
        Person(index, "described", {field: _whole(values[index]) for field, values in columns.items()})
        for index in range(spec.n)
    ]


def present(row: Mapping[Any, Any]) -> dict[str, str | int]:
    """The demographics that a row of participants has, missing ones left out."""
    found: dict[str, str | int] = {}
    for field in DEMOGRAPHICS:
        value = row.get(field)
        if value is not None and not pd.isna(value):
            found[field] = value if isinstance(value, str) else int(value)
    return found


def _whole(text: str) -> str | int:
    return int(text) if text.isdecimal() and text.isascii() else text


def _render_filters(spec: PanelSpec) -> str:
    told = [
        f"{field} from {allowed[0]} to {allowed[1]}"
        if isinstance(allowed, tuple)
        else f"{field} in {allowed}"
        for field, allowed in spec.filters.items()
    ]
    return "; ".join(told) or "(none)"
