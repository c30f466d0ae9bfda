"""The cell: what people of one condition answered to one item, next to what was predicted.

`Cell` counts people; `PeopleCell` has them one by one. Runs and evaluations add their own names and labels.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.baselines import expected_half_sample, expected_oracle, uniform
from socrates_core.analysis.corrected import corrected_distance
from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.intervals import SampleSize
from socrates_core.analysis.metrics import Convention, exact_wasserstein
from socrates_core.analysis.summary import mean_distribution
from socrates_core.records import Floats

CONVENTIONS: tuple[Convention, ...] = ("observed", "stated")


@dataclass(frozen=True)
class Answerers:
    """Who gave the `answers` [n] of a cell: the person, or the cluster (`unit` [n]), and the `weight` [n] of each."""

    answers: Floats
    unit: NDArray[np.int64]
    weight: Floats


@dataclass(frozen=True, kw_only=True)
class Cell:
    """People's `counts` [k] and the `predicted` shares [k] over the rising `values` [k] of a scale; None without any.

    An answer between two values counts for both in proportion, so counts may be no whole numbers. `n_off_scale` more
    people gave an answer that is not on the scale. `condition_blind` [k] is what people in the other conditions of
    the study answered to the same question on the same scale; None without such conditions. Options without an order
    have no mean and no W. Where answers are drawn, the values are all numbers that occurred: `is_drawn`. `size`
    says how many people answered and as how many they count; without it, every answer is another person's. `answerers`
    are the people one by one, where that is known.
    """

    values: Floats
    counts: Floats | None = None
    size: SampleSize | None = None
    answerers: Answerers | None = None
    predicted: Floats | None = None
    n_off_scale: int = 0
    condition_blind: Floats | None = None
    is_ordered: bool = True
    is_drawn: bool = False

    @property
    def n_people(self) -> int:
        """How many people gave an answer on the scale."""
        if self.size is not None:
            return self.size.people
        return 0 if self.counts is None else round(float(self.counts.sum()))

    def distance(self, shares: Floats | None, convention: Convention) -> float | None:
        """W in [0, 1] of `shares` [k] to the people; None where either is missing or has no distance."""
        if self.counts is None or shares is None or not self.has_distances(convention):
            return None
        return exact_wasserstein(self.values, shares, self.counts, convention=convention)

    def half_sample(self, convention: Convention) -> float | None:
        """W between two halves of the people, the mean over all halvings; None as in `distance`."""
        if self.counts is None or not self.has_distances(convention):
            return None
        span = float(np.ptp(self.values)) if convention == "stated" else None
        return expected_half_sample(self.counts, self.values, scale_range=span)

    def oracle(self, convention: Convention) -> float | None:
        """The expected W of the true distribution to as many people; None as in `distance`."""
        if self.counts is None or not self.has_distances(convention):
            return None
        span = float(np.ptp(self.values)) if convention == "stated" else None
        return expected_oracle(self.counts, self.values, scale_range=span)

    @property
    def guess(self) -> Floats | None:
        """The shares [k] of someone who knows nothing; None for an open cell that has no answer yet."""
        return uniform(len(self.values)) if self.values.size else None

    def corrected(self, shares: Floats | None) -> float | None:
        """The squared distance of `shares` [k] to all such people, without the luck of who answered.

        See `corrected_distance`. None for drawn answers, and where the people are not known one by one.
        """
        people = self.answerers
        if people is None or shares is None or self.is_drawn:
            return None
        return corrected_distance(
            self.values, shares, people.answers, people.unit, is_ordered=self.is_ordered, weight=people.weight
        )

    def scores(self) -> dict[str, float | None]:
        """W of the prediction and of every baseline, in both conventions."""
        scores: dict[str, float | None] = {}
        for convention in CONVENTIONS:
            scores[f"w_{convention}"] = self.distance(self.predicted, convention)
            scores[f"w_{convention}_uniform"] = self.distance(self.guess, convention)
            scores[f"w_{convention}_condition_blind"] = self.distance(self.condition_blind, convention)
            scores[f"w_{convention}_half_sample"] = self.half_sample(convention)
            scores[f"w_{convention}_oracle"] = self.oracle(convention)
        return scores

    def has_distances(self, convention: Convention) -> bool:
        """Whether distances between its values mean something."""
        # Drawn answers have no stated scale, only the numbers that happened to be drawn or given.
        return self.is_ordered and not (convention == "stated" and self.is_drawn)


@dataclass(frozen=True, kw_only=True)
class PeopleCell:
    """The people of one cell of a study, one by one, each with a prediction.

    `participants` [n] are their ids, `human` [n] their answers on the scale's `values` [k] (NaN off it; a mean of
    items lies between two values), `probabilities` [n, k] what was predicted for each, NaN without a prediction.
    `groups` [n] names each person's group of one demographic field, empty where it is unknown; without groups it is
    empty.
    """

    PERSON_BY_PERSON: ClassVar[tuple[str, ...]] = ("participants", "human", "probabilities")

    study_id: str
    values: Floats
    participants: NDArray[np.int64]
    human: Floats
    probabilities: Floats
    groups: tuple[str, ...] = ()

    @property
    def counts(self) -> Floats:
        """How many people gave each value [k]; an answer between two values counts for both in proportion."""
        return np.asarray(memberships(self.human, self.values).sum(axis=0), dtype=float)

    @property
    def predicted(self) -> Floats:
        """The predicted shares [k]: the mean over everybody with a prediction."""
        return mean_distribution(self.probabilities)

    @property
    def has_prediction(self) -> NDArray[np.bool_]:
        """For each person, whether there is a prediction."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    def where(self, kept: NDArray[np.bool_]) -> Self:
        """The cell with some of its people, as `kept` [n] says."""
        columns = {name: getattr(self, name)[kept] for name in self.PERSON_BY_PERSON}
        groups = tuple(group for group, is_kept in zip(self.groups, kept, strict=False) if is_kept)
        return replace(self, **columns, groups=groups)
