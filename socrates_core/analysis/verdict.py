"""The statistics behind a verdict: is a model better than guessing, does it tell conditions apart, are its sizes right.

All three are judged on studies that the model has not seen. Two paired differences by study decide, each with the t
interval over studies (Student 1908; it holds its level from five studies on, see benchmarks/numbers/studies.py):

* shares: the squared distance of predicted shares to people's, minus that of a uniform guess. The sampling noise of
  the people is in both distances alike, so that it cancels.
* effects: the squared error of calibrated effects, each study predicted from the others, minus that of expecting no
  effect. The sampling noise of people's effects cancels in the same way.

The intervals hold 95% together (Bonferroni).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.bootstrap import Measure, mean_over_studies
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.records import Floats

Level = Literal["not measured", "worse", "guessing", "shares", "conditions", "sizes"]
Sign = Literal["worse", "same", "better"]
Kind = Literal["yes or no", "scale", "long scale", "unordered"]

MIN_STUDIES_FOR_VERDICT = 6
# A slope within these is called a right size: effects are at most half as large again as predicted, or two thirds.
RIGHT_SIZE = (0.67, 1.5)
LONG_SCALE = 20  # more values than these make a long scale, such as 0 to 100


@dataclass(frozen=True)
class Judged:
    """A paired difference over studies, the model minus its rival: below 0 the model is better.

    `n_better` of `n_studies` studies have a difference below 0. `difference` has the interval that decides.
    """

    difference: Measure
    n_better: int
    n_studies: int

    @property
    def sign(self) -> Sign:
        """Better or worse where the interval leaves out 0."""
        if self.difference.high < 0:
            return "better"
        return "worse" if self.difference.low > 0 else "same"


@dataclass(frozen=True)
class Finding:
    """What evaluations say about a model, on studies that it has not seen.

    `shares` compares it with a uniform guess, `effects` its calibrated effects with expecting none; None where there
    are too few effects to calibrate. `slope` is people's effects per predicted one, NaN without a calibration.
    `kinds` are the shares again by kind of question, where enough studies have it.
    """

    shares: Judged
    effects: Judged | None
    slope: float
    kinds: tuple[tuple[Kind, Judged], ...]

    @property
    def level(self) -> Level:
        """The rung of the ladder that the model has reached."""
        if self.shares.n_studies < MIN_STUDIES_FOR_VERDICT:
            return "not measured"
        if self.shares.sign == "worse":
            return "worse"
        if self.effects is not None and self.effects.sign == "better":
            return "sizes" if RIGHT_SIZE[0] <= self.slope <= RIGHT_SIZE[1] else "conditions"
        return "shares" if self.shares.sign == "better" else "guessing"


@dataclass(frozen=True)
class SharesOfStudies:
    """Squared distances to people's shares, a row for each study and kind of question.

    `model` and `uniform` [r] are means over the row's `n_cells` cells, `study` and `kind` [r] name it.
    """

    study: NDArray[np.str_]
    kind: NDArray[np.str_]
    n_cells: NDArray[np.int64]
    model: Floats
    uniform: Floats

    def where(self, rows: NDArray[np.bool_]) -> "SharesOfStudies":
        return SharesOfStudies(
            self.study[rows], self.kind[rows], self.n_cells[rows], self.model[rows], self.uniform[rows]
        )


@dataclass(frozen=True)
class EffectErrors:
    """Squared errors [s] by study, the mean over its effects: of calibrated effects and of expecting none."""

    calibrated: Floats
    none: Floats
    slope: float


def find(shares: SharesOfStudies, effects: EffectErrors | None) -> Finding:
    """The finding from distances by study and kind, and from squared errors of effects by study."""
    n_judged = 1 if effects is None else 2
    of_kinds = [kind for kind in KINDS if _n_studies(shares, kind) >= MIN_STUDIES_FOR_VERDICT]
    return Finding(
        shares=judge(_by_study(shares), n_judged=n_judged),
        effects=None if effects is None else judge(effects.calibrated - effects.none, n_judged=n_judged),
        slope=math.nan if effects is None else effects.slope,
        kinds=tuple(
            (kind, judge(_by_study(shares.where(shares.kind == kind)), n_judged=len(of_kinds)))
            for kind in of_kinds
        ),
    )


KINDS: Sequence[Kind] = ("yes or no", "scale", "long scale", "unordered")


def judge(differences: Floats, *, n_judged: int) -> Judged:
    """The mean of one difference a study [s], with the t interval that holds 95% over `n_judged` such intervals."""
    given = np.asarray(differences, dtype=float)
    given = given[np.isfinite(given)]
    mean = mean_over_studies(given, confidence=1 - (1 - CONFIDENCE) / max(n_judged, 1))
    return Judged(mean, int((given < 0).sum()), given.size)


def kind_of(n_values: int, *, is_ordered: bool) -> Kind:
    """The kind of a question whose scale lists `n_values` values."""
    if n_values == 2:
        return "yes or no"
    if not is_ordered:
        return "unordered"
    return "long scale" if n_values > LONG_SCALE else "scale"


def _n_studies(shares: SharesOfStudies, kind: Kind) -> int:
    return np.unique(shares.study[shares.kind == kind]).size


def _by_study(shares: SharesOfStudies) -> Floats:
    """The differences [s] of the model from a uniform guess, every study's mean over its cells."""
    names, position = np.unique(shares.study, return_inverse=True)
    if not names.size:
        return np.array([])
    n_cells = np.bincount(position, shares.n_cells)
    return np.asarray(np.bincount(position, (shares.model - shares.uniform) * shares.n_cells) / n_cells)
