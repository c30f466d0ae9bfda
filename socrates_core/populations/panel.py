"""Who is asked: a panel as a record, and its people, the same ones for the same record and seed."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.personas import Person
from socrates_core.records import DEMOGRAPHICS, Floats


class PanelSpec(BaseModel):
    """Who answers: people sampled from corpora, or people drawn from described shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    kind: Literal["sample", "describe"] = "sample"
    corpus: str = "starter"
    studies: tuple[str, ...] = ()
    filters: dict[str, list[str] | tuple[int, int]] = Field(default_factory=dict)
    describe: dict[str, dict[str, float]] = Field(default_factory=dict)
    n: int = 50
    seed: int = 0


def draw_panel(spec: PanelSpec) -> list[Person]:
    """The panel's people in order. Raises UserError if there are too few to draw from."""
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
    """People in exactly the described shares. Fields are combined at random, independently of each other."""
    generator = np.random.default_rng(spec.seed)
    columns: dict[str, list[str]] = {}
    for field, shares in spec.describe.items():
        counts = quotas(np.array(list(shares.values()), dtype=float), spec.n, generator)
        everyone = np.repeat(np.arange(len(counts)), counts)
        columns[field] = [list(shares)[index] for index in generator.permutation(everyone)]
    return [
        Person(index, "described", {field: _whole(values[index]) for field, values in columns.items()})
        for index in range(spec.n)
    ]


def quotas(shares: Floats, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How many of `n` people have each value [k]: the shares of n rounded so that they add up (largest remainders).

    Nobody is more than one person off. Where remainders are equal, chance decides who has the last people.
    """
    wanted = n * np.asarray(shares, dtype=float) / np.sum(shares)
    # 90 people times .7 is 62.99999999999999.
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    order = generator.permutation(len(counts))
    remainders = np.round(wanted - counts, 9)[order]  # rounded, so that equal remainders are equal
    last = order[np.argsort(-remainders, kind="stable")]
    counts[last[: n - int(counts.sum())]] += 1
    return counts


def profiles(people: Sequence[Person]) -> list[int]:
    """The number of each person's profile: people with the same demographics have the same one.

    A model is asked the same about them and answers the same, so that they are one simulated person.
    """
    known: dict[tuple[tuple[str, str | int], ...], int] = {}
    return [known.setdefault(tuple(sorted(person.demographics.items())), len(known)) for person in people]


def profiles_sentence(people: Sequence[Person]) -> str:
    """A sentence for a panel in which people have equal profiles; empty if none have."""
    n = len(set(profiles(people)))
    if n == len(people):
        return ""
    return (
        f"The {len(people):,} simulated people have {n:,} different {'profile' if n == 1 else 'profiles'}. People with "
        "the same profile get the same answer, so they count once."
    )


def present(row: Mapping[Any, Any]) -> dict[str, str | int]:
    """The demographics that a row of participants has, missing ones left out."""
    demographics: dict[str, str | int] = {}
    for field in DEMOGRAPHICS:
        value = row.get(field)
        if value is not None and not pd.isna(value):
            demographics[field] = value if isinstance(value, str) else int(value)
    return demographics


def _whole(text: str) -> str | int:
    return int(text) if text.isdecimal() and text.isascii() else text


def _render_filters(spec: PanelSpec) -> str:
    filters = [
        f"{field} from {allowed[0]} to {allowed[1]}"
        if isinstance(allowed, tuple)
        else f"{field} in {allowed}"
        for field, allowed in spec.filters.items()
    ]
    return "; ".join(filters) or "(none)"
