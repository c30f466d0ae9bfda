"""How many real people a simulation is worth.

A simulation is worth n people where its distribution predicts a cell as well as the answers of n people drawn from
that cell do. Both are scored on the rest of the cell by the ranked probability score of the cell's distribution: the
squared distance of cumulative shares, over the scale in shares of its range.

That needs no drawing. Let F be the cumulative shares of all N people, M the simulation's, and let V and E sum F(1 -
F) and (M - F)^2 over the scale (F(1 - F) is the variance of one person's cumulative share; where answers lie between
two values and count for both, or people gave several, that variance takes its place). Averaged over every way to draw
n of the N people
without replacement, the drawn people miss the rest by V(N/n)(N/(N-n))/(N-1), the simulation by E + V(n/(N-n))/(N-1)
(the variance of a mean drawn from a finite set; Cochran 1977, Sampling Techniques, ch. 2). The difference is A/n - B
with A = V N/(N-1), what one person's answer misses by, and B = E - V/(N-1), what the simulation misses by without the
luck of these N people. They are equal at n = A/B.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from socrates_core.analysis.bootstrap import MIN_STUDIES_FOR_INTERVAL, over_studies, ratio
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.corrected import Ints, corrected_distance, variance_of_mean
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

LEAST = 2  # people in the smallest pilot that is reported
GROUPS = 20  # of people, left out in turn
_Scored = tuple[PeopleCell, Floats]  # with its predicted shares [k]


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
        about = self._in_words(self.respondents)
        about = about if about.startswith(("less", "more")) else f"about {about}"
        ends = dict.fromkeys(
            (self._in_words(self.low), self._in_words(self.high))
        )  # one end where both read the same
        interval = f" (95% interval {' to '.join(ends)})"
        return f"{about} respondents a cell{'' if math.isnan(self.low) else interval}"

    def _in_words(self, people: float) -> str:
        if people <= LEAST:
            return f"less than {LEAST}"
        return f"more than {self.most:,}" if people >= self.most else f"{people:,.0f}"


def worth_in_respondents(cells: Sequence[PeopleCell], *, seed: int) -> Worth:
    """The worth of the simulation that predicted `cells`.

    A cell with fewer than two people on the scale, without a prediction or with a scale of one value is skipped;
    answers that are none of `values` are dropped. The interval is of B/A, whose divisor is never near 0, over
    studies or, with fewer than MIN_STUDIES_FOR_INTERVAL, the t interval of a jackknife that leaves out GROUPS
    seeded groups of every study's people in turn (Kott 2001, J Off Stat 17), which holds for these studies alone.
    """
    on_scale = [cell.where(memberships(cell.human, cell.values).sum(axis=1) > 0) for cell in cells]
    by_study: dict[str, list[_Scored]] = {}
    for cell, kept in zip(cells, on_scale, strict=True):
        predicted = cell.predicted  # of everybody: it stays the same when people are left out
        if _n_people(kept) >= 2 and kept.values.size >= 2 and predicted.sum() > 0:
            by_study.setdefault(cell.study_id, []).append((kept, predicted))
    sizes = [cell.human.size for scored in by_study.values() for cell, _ in scored]
    most = (
        int(np.median([_n_people(cell) for scored in by_study.values() for cell, _ in scored]))
        if sizes
        else 0
    )
    enough_studies = len(by_study) >= MIN_STUDIES_FOR_INTERVAL
    share = over_studies(_study_errors(by_study), ratio)
    if enough_studies:
        low, high = share.low, share.high
    else:
        margin = _margin(ratio(_without_people(by_study, seed)))
        low, high = share.value - margin, share.value + margin
    return Worth(
        respondents=_people(share.value, most),
        # A smaller ratio is worth more people, so the ends change places.
        low=_people(high, most),
        high=_people(low, most),
        most=most,
        interval_over="studies" if enough_studies else "people",
        n_studies=len(by_study),
        n_cells=len(sizes),
        n_skipped=len(cells) - len(sizes),
        n_rows=sum(sizes),
        n_dropped=sum(cell.human.size for cell in cells) - sum(cell.human.size for cell in on_scale),
    )


def cell_errors(values: Floats, predicted: Floats, human: Floats, people: Ints) -> tuple[float, float]:
    """A and B, as this file begins, of one cell: what a person's answers miss by, and what the model misses by.

    `predicted` [k] are shares over `values` [k], `human` [n] answers on them, `people` [n] who gave them: two or more.
    """
    gaps = np.diff(values) / np.ptp(values)
    below = np.cumsum(memberships(human, values), axis=1)[:, :-1]
    one_person = float(gaps @ variance_of_mean(below, people)) * np.unique(people).size
    return one_person, corrected_distance(values, predicted, human, people, is_ordered=True)


def _study_errors(by_study: Mapping[str, Sequence[_Scored]]) -> Floats:
    """Each study's mean of `cell_errors` [s, 2]."""
    means = [
        np.mean(
            [
                cell_errors(cell.values, predicted, cell.human, cell.participants)
                for cell, predicted in scored
            ],
            axis=0,
        )
        for scored in by_study.values()
    ]
    return np.array(means, dtype=float).reshape(-1, 2)


def _without_people(by_study: Mapping[str, Sequence[_Scored]], seed: int) -> Floats:
    """The errors [g, 2] over studies without each group of every study's people."""
    # reporting/comparison_data.py draws these groups again for the scripts: keep the order of draws the same.
    generator = np.random.default_rng(seed)
    groups = {}
    for study, scored in by_study.items():
        ids = np.unique(np.concatenate([cell.participants for cell, _ in scored]))
        groups[study] = np.array_split(generator.permutation(ids), GROUPS)
    errors = []
    for turn in range(GROUPS):
        rest: dict[str, list[_Scored]] = {}
        for study, scored in by_study.items():
            for cell, predicted in scored:
                kept = cell.where(~np.isin(cell.participants, groups[study][turn]))
                if _n_people(kept) >= 2:
                    rest.setdefault(study, []).append((kept, predicted))
        errors.append(_study_errors(rest).sum(axis=0))
    return np.array(errors)


def _n_people(cell: PeopleCell) -> int:
    return int(np.unique(cell.participants).size)


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
