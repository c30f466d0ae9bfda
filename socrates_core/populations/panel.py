"""Who is asked: a panel as a record, and its people, the same ones for the same record and seed."""

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.personas import Person
from socrates_core.populations.bands import BANDS, draw_number
from socrates_core.records import DEMOGRAPHICS, Floats


class PanelSpec(BaseModel):
    """Who answers: people sampled from corpora, or people with described shares.

    `describe` has the shares of a field's values, as fractions or in percent. With `every_profile` each combination
    of values is asked once and counts by the product of its shares; `n` is then not used. Otherwise `n` people are
    drawn in quotas.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    kind: Literal["sample", "describe"] = "sample"
    corpus: str = "starter"
    studies: tuple[str, ...] = ()
    filters: dict[str, list[str] | tuple[int, int]] = Field(default_factory=dict)
    describe: dict[str, dict[str, float]] = Field(default_factory=dict)
    n: int = 50
    seed: int = 0
    every_profile: bool = False

    @model_serializer(mode="wrap")
    def _without_unused_mode(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`every_profile` is written only where it was chosen, so that digests of stored drafts stay what they are."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "every_profile" or value}

    @property
    def is_weighted(self) -> bool:
        """Whether each described profile is asked once, with a weight."""
        return self.kind == "describe" and self.every_profile

    @property
    def size(self) -> int:
        """How many people are asked."""
        return self.n_profiles if self.is_weighted else self.n

    @property
    def n_profiles(self) -> int:
        """How many combinations of described values there are."""
        return math.prod(len(shares) for shares in self.describe.values())


def draw_panel(spec: PanelSpec) -> list[Person]:
    """The panel's people in order. Raises UserError if there are too few to draw from."""
    if spec.kind == "describe":
        return _every_profile(spec) if spec.is_weighted else _described(spec)
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
    numbers = _numbers_of(spec)
    return [
        Person(
            index,
            "described",
            {field: _answer(values[index], field, numbers) for field, values in columns.items()},
        )
        for index in range(spec.n)
    ]


def _every_profile(spec: PanelSpec) -> list[Person]:
    """Each combination of described values once; the weights are products of shares and sum to 1."""
    numbers = _numbers_of(spec)
    wholes = [sum(shares.values()) for shares in spec.describe.values()]
    people = []
    for index, values in enumerate(product(*spec.describe.values())):
        chosen = dict(zip(spec.describe, values, strict=True))
        parts = [
            spec.describe[field][value] / whole
            for (field, value), whole in zip(chosen.items(), wholes, strict=True)
        ]
        demographics = {field: _answer(value, field, numbers) for field, value in chosen.items()}
        people.append(Person(index, "described", demographics, math.prod(parts)))
    return people


def _numbers_of(spec: PanelSpec) -> np.random.Generator:
    """Where numbers within bands come from. Quotas have a generator of their own: a band changes no other field."""
    return np.random.default_rng([spec.seed, 1])


def _answer(value: str, field: str, numbers: np.random.Generator) -> str | int:
    """A described value as a profile says it: a single number for a band such as "18-29", else the text."""
    drawn = draw_number(value, field, numbers) if field in BANDS else None
    if drawn is not None:
        return drawn
    return int(value) if value.isdecimal() and value.isascii() else value


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


def profiles_text(n_people: int, n_profiles: int) -> str:
    """Both sizes of a panel: "50 simulated people, 1 distinct profile"."""
    people = "1 simulated person" if n_people == 1 else f"{n_people:,} simulated people"
    return f"{people}, {n_profiles:,} distinct {'profile' if n_profiles == 1 else 'profiles'}"


def profiles_sentence(people: Sequence[Person]) -> str:
    """How many people and profiles a panel has, and how they count."""
    n_profiles = len(set(profiles(people)))
    sentence = f"{profiles_text(len(people), n_profiles)}."
    if n_profiles < len(people):
        sentence += (
            " People with one profile share a prompt: it is asked once, weighted by their number, and counts once "
            "in n."
        )
    if any(person.weight != people[0].weight for person in people):
        sentence += " Profiles are weighted by their share of the population."
    return sentence


def present(row: Mapping[Any, Any]) -> dict[str, str | int]:
    """The demographics that a row of participants has, missing ones left out."""
    demographics: dict[str, str | int] = {}
    for field in DEMOGRAPHICS:
        value = row.get(field)
        if value is not None and not pd.isna(value):
            demographics[field] = value if isinstance(value, str) else int(value)
    return demographics


def _render_filters(spec: PanelSpec) -> str:
    filters = [
        f"{field} from {allowed[0]} to {allowed[1]}"
        if isinstance(allowed, tuple)
        else f"{field} in {allowed}"
        for field, allowed in spec.filters.items()
    ]
    return "; ".join(filters) or "(none)"
