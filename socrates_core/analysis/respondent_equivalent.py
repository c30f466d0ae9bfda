"""How many real people a simulation is worth.

A simulation is worth n people where its distribution predicts a cell as well as the answers of n people drawn from
that cell do. Both are scored on the rest of the cell by the ranked probability score of the cell's distribution: the
squared distance of cumulative shares, over the scale in shares of its range.

That needs no drawing. Let F be the cumulative shares of all N people, M the simulation's, and let V and E sum
F(1 - F) and (M - F)^2 over the scale (F(1 - F) is the variance of one person's cumulative share; where answers lie
between two values and count for both, that variance takes its place). Averaged over every way to draw n of the N people
without replacement, the drawn people miss the rest by V(N/n)(N/(N-n))/(N-1), the simulation by E + V(n/(N-n))/(N-1)
(the variance of a mean drawn from a finite set; Cochran 1977, Sampling Techniques, ch. 2). The difference is A/n - B
with A = V N/(N-1), what one person's answer misses by, and B = E - V/(N-1), what the simulation misses by without the
luck of these N people. They are equal at n = A/B.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from socrates_core.analysis.bootstrap import MIN_STUDIES, bootstrap, ratio
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

LEAST = 2  # the smallest pilot that is told apart
GROUPS = 20  # of people, left out in turn


@dataclass(frozen=True)
class PredictedCell:
    """A cell's answers `human` [n] by `participants` [n] beside its predicted distribution [k] over `values` [k]."""

    values: Floats
    predicted: Floats
    human: Floats
    participants: NDArray[np.int64]


@dataclass(frozen=True)
class Worth:
    """The number of people a cell that a simulation is worth, with its 95% interval.

    Cells are averaged within studies, then studies, before the two errors are divided. Numbers are never
    extrapolated: LEAST means "less than 2", and `most`, the people there are in the middle cell, "more than that".
    `interval_over` says what the interval lets vary. NaN where no cell could be scored or people all gave one answer.
    """

    respondents: float
    low: float
    high: float
    most: int
    interval_over: Literal["studies", "people"]
    n_studies: int
    n_cells: int
    n_skipped: int
    n_rows: int
    n_dropped: int

    def describe(self) -> str:
        """As "about 12 respondents a cell (95% interval 8 to 20)"."""
        if math.isnan(self.respondents):
            return "no known number of respondents"
        about = self._told(self.respondents)
        about = about if about.startswith(("less", "more")) else f"about {about}"
        ends = dict.fromkeys((self._told(self.low), self._told(self.high)))  # once where both are told alike
        interval = f" (95% interval {' to '.join(ends)})"
        return f"{about} respondents a cell{'' if math.isnan(self.low) else interval}"

    def _told(self, people: float) -> str:
        if people <= LEAST:
            return f"less than {LEAST}"
        return f"more than {self.most:,}" if people >= self.most else f"{people:,.0f}"


def worth_in_respondents(studies: Sequence[str], cells: Sequence[PredictedCell], *, seed: int) -> Worth:
    """The worth of the simulation that predicted `cells`, each of the study that `studies` names.

    A cell with fewer than two answers on the scale, without a prediction or with a scale of one value is skipped;
    answers that are none of `values` are dropped. The interval is of B/A, whose divisor is never near 0: the study
    bootstrap, or, with fewer than MIN_STUDIES, the t interval of a jackknife that leaves out GROUPS seeded groups
    of every study's people in turn (Kott 2001, J Off Stat 17), which holds for these studies alone.
    """
    on_scale = [_on_scale(cell) for cell in cells]
    by_study: dict[str, list[PredictedCell]] = {}
    for study, cell in zip(studies, on_scale, strict=True):
        if _can_be_scored(cell):
            by_study.setdefault(study, []).append(cell)
    sizes = [cell.human.size for of_study in by_study.values() for cell in of_study]
    most = int(np.median(sizes)) if sizes else 0
    over_studies = len(by_study) >= MIN_STUDIES
    share = bootstrap(_study_errors(by_study), ratio, seed=seed)
    margin = math.nan if over_studies else _margin(ratio(_without_people(by_study, seed)))
    low, high = (share.low, share.high) if over_studies else (share.value - margin, share.value + margin)
    return Worth(
        respondents=_people(share.value, most),
        low=_people(high, most),
        high=_people(low, most),
        most=most,
        interval_over="studies" if over_studies else "people",
        n_studies=len(by_study),
        n_cells=len(sizes),
        n_skipped=len(cells) - len(sizes),
        n_rows=sum(sizes),
        n_dropped=sum(cell.human.size for cell in cells) - sum(cell.human.size for cell in on_scale),
    )


def cell_errors(cell: PredictedCell) -> tuple[float, float]:
    """A and B, as this file begins, of one cell with two answers or more: a person's error and the model's."""
    gaps = np.diff(cell.values) / np.ptp(cell.values)
    n = cell.human.size
    below = np.cumsum(memberships(cell.human, cell.values), axis=1)[:, :-1]
    people = below.mean(axis=0)
    predicted = np.cumsum(cell.predicted)[:-1] / cell.predicted.sum()
    spread = float(
        gaps @ (below**2).mean(axis=0) - gaps @ people**2
    )  # F(1 - F) where nobody is between two values
    return spread * n / (n - 1), float(gaps @ (predicted - people) ** 2) - spread / (n - 1)


def _on_scale(cell: PredictedCell) -> PredictedCell:
    kept = memberships(cell.human, cell.values).sum(axis=1) > 0
    return PredictedCell(cell.values, cell.predicted, cell.human[kept], cell.participants[kept])


def _can_be_scored(cell: PredictedCell) -> bool:
    return cell.human.size >= 2 and cell.values.size >= 2 and bool(cell.predicted.sum() > 0)


def _study_errors(by_study: dict[str, list[PredictedCell]]) -> Floats:
    """Each study's mean of `cell_errors` [s, 2]."""
    means = [np.mean([cell_errors(cell) for cell in cells], axis=0) for cells in by_study.values()]
    return np.array(means, dtype=float).reshape(-1, 2)


def _without_people(by_study: dict[str, list[PredictedCell]], seed: int) -> Floats:
    """The errors [g, 2] over studies without each group of every study's people."""
    generator, groups = np.random.default_rng(seed), {}
    for study, cells in by_study.items():
        ids = np.unique(np.concatenate([cell.participants for cell in cells]))
        groups[study] = np.array_split(generator.permutation(ids), GROUPS)
    found = []
    for turn in range(GROUPS):
        rest = {study: _without(cells, groups[study][turn]) for study, cells in by_study.items()}
        found.append(_study_errors({study: cells for study, cells in rest.items() if cells}).sum(axis=0))
    return np.array(found)


def _without(cells: Sequence[PredictedCell], people: NDArray[np.int64]) -> list[PredictedCell]:
    kept = [(cell, ~np.isin(cell.participants, people)) for cell in cells]
    rest = [PredictedCell(c.values, c.predicted, c.human[k], c.participants[k]) for c, k in kept]
    return [cell for cell in rest if cell.human.size >= 2]


def _margin(left_out: Floats) -> float:
    count = left_out.size
    if count < 2:
        return math.nan
    error = math.sqrt((count - 1) / count * float(((left_out - left_out.mean()) ** 2).sum()))
    return error * float(stdtrit(count - 1, 0.5 + CONFIDENCE / 2))


def _people(share: float, most: int) -> float:
    if math.isnan(share):
        return math.nan
    return float(min(max(1 / share, LEAST), most)) if share > 0 else float(most)
