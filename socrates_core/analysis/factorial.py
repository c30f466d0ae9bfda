"""Main effects and interactions of crossed conditions, as weighted sums of the conditions' means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Literal

import numpy as np

from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Factor, Floats

Kind = Literal["main effect", "interaction"]


@dataclass(frozen=True)
class Contrast:
    """A question to crossed conditions: `weights` [conditions] sum to 0, and so does the answer where nothing differs.

    The positive weights of a main effect sum to 1: it is a difference of two averages of conditions. An interaction is
    a difference of two such differences. `factors` are those it is about, `levels` what is compared of each:
    (level, reference level).
    """

    kind: Kind
    factors: tuple[str, ...]
    levels: tuple[tuple[str, str], ...]
    weights: Floats

    @property
    def name(self) -> str:
        """Such as "tone: warm − cold" and "tone (warm − cold) × party (own − other)"."""
        if self.kind == "main effect":
            return f"{self.factors[0]}: {self.levels[0][0]} − {self.levels[0][1]}"
        return " × ".join(
            f"{factor} ({level} − {reference})"
            for factor, (level, reference) in zip(self.factors, self.levels, strict=True)
        )


@dataclass(frozen=True)
class ContrastEstimate:
    """A contrast of people's means, in the outcome's units: t interval (95%), two-sided `p` of no difference.

    `n` people count. All but `estimate` and `n` are NaN where the answers support no interval.
    """

    estimate: float
    low: float
    high: float
    p: float
    se: float
    df: float
    n: int


def contrasts(factors: Sequence[Factor], reference: int = 0) -> list[Contrast]:
    """All main effects and two-way interactions, against the levels of condition `reference`.

    Conditions are compared where they agree in all other factors, and every combination of those counts the same
    (unweighted means; Maxwell, Delaney and Kelley 2018, Designing Experiments, chapter 7). So a comparison that the
    conditions do not allow is left out and cannot be confounded. A level that can be compared with no other one, as
    that of a control group outside the crossing, is no reference: the first level that can be then is.
    """
    conditions = list(zip(*(factor.level_of_condition for factor in factors), strict=True))
    compared = [_compared_levels(conditions, f, conditions[reference][f]) for f in range(len(factors))]
    of_one_and_two: tuple[tuple[int, Kind], ...] = ((1, "main effect"), (2, "interaction"))
    return [
        Contrast(kind, tuple(factors[f].name for f in chosen), pairs, weights)
        for size, kind in of_one_and_two
        for chosen in combinations(range(len(factors)), size)
        for pairs in product(*(compared[f] for f in chosen))
        if (weights := _weights(conditions, chosen, pairs)) is not None
    ]


def _compared_levels(
    conditions: Sequence[tuple[str, ...]], factor: int, reference: str
) -> list[tuple[str, str]]:
    """Each level of a factor with its reference level: `reference`, or the first level that can be compared."""
    levels = list(dict.fromkeys(condition[factor] for condition in conditions))
    for base in [reference, *levels]:
        pairs = [(level, base) for level in levels if level != base]
        comparable = [pair for pair in pairs if _weights(conditions, (factor,), (pair,)) is not None]
        if comparable:
            return comparable
    return []


def _weights(
    conditions: Sequence[tuple[str, ...]], chosen: tuple[int, ...], pairs: tuple[tuple[str, str], ...]
) -> Floats | None:
    """The weight of each condition; None if no combination of the other factors has all that is compared."""
    others = [f for f in range(len(conditions[0])) if f not in chosen]
    by_rest: dict[tuple[str, ...], dict[tuple[str, ...], list[int]]] = {}
    for number, condition in enumerate(conditions):
        rest = tuple(condition[f] for f in others)
        here = tuple(condition[f] for f in chosen)
        by_rest.setdefault(rest, {}).setdefault(here, []).append(number)
    corners = list(product(*pairs))
    weights = np.zeros(len(conditions))
    complete = [cells for cells in by_rest.values() if all(corner in cells for corner in corners)]
    for cells in complete:
        for corner in corners:
            sign = math.prod(1 if level == pair[0] else -1 for level, pair in zip(corner, pairs, strict=True))
            for number in cells[corner]:
                weights[number] += sign / len(cells[corner]) / len(complete)
    return weights if complete else None


def between_people(weights: Floats, answers: Sequence[Floats]) -> ContrastEstimate:
    """The contrast of separate groups, `answers` [conditions][people], with unequal variances.

    Degrees of freedom are Welch's (1947) for any linear combination of means. Answers that are not finite leave.
    """
    groups = [
        (weight, given[np.isfinite(given)])
        for weight, given in zip(weights, answers, strict=True)
        if weight != 0
    ]
    n = sum(given.size for _, given in groups)
    if any(given.size == 0 for _, given in groups):
        return _estimate(math.nan, math.nan, math.nan, n)
    estimate = float(sum(weight * given.mean() for weight, given in groups))
    if any(given.size < 2 for _, given in groups):
        return _estimate(estimate, math.nan, math.nan, n)
    parts = np.array([weight**2 * given.var(ddof=1) / given.size for weight, given in groups])
    freedom = np.array([given.size - 1 for _, given in groups])
    variance = float(parts.sum())
    df = variance**2 / float((parts**2 / freedom).sum()) if variance > 0 else math.nan
    return _estimate(estimate, math.sqrt(variance), df, n)


def within_people(weights: Floats, answers: Floats) -> ContrastEstimate:
    """The contrast of each person's own answers, `answers` [people, conditions], with the t interval of their mean.

    People without an answer in a condition that counts leave.
    """
    counted = np.asarray(weights) != 0
    complete = answers[np.isfinite(answers[:, counted]).all(axis=1)][:, counted]
    per_person = complete @ np.asarray(weights)[counted]
    n = per_person.size
    if n < 2:
        return _estimate(float(per_person.mean()) if n else math.nan, math.nan, math.nan, n)
    return _estimate(float(per_person.mean()), float(per_person.std(ddof=1)) / math.sqrt(n), n - 1, n)


def _estimate(estimate: float, se: float, df: float, n: int) -> ContrastEstimate:
    if not se > 1e-12:  # without spread there is nothing to test
        return ContrastEstimate(estimate, math.nan, math.nan, math.nan, math.nan, math.nan, n)
    from scipy.stats import t  # takes most of a second to import

    half = float(t.ppf((1 + CONFIDENCE) / 2, df)) * se
    p = 2 * float(t.sf(abs(estimate) / se, df))
    return ContrastEstimate(estimate, estimate - half, estimate + half, p, se, df, n)
