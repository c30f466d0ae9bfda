"""Does a model predict some people worse than others: distances by group, and the gap between groups.

The paper (arXiv 2509.05830) reports a demographic parity difference of W without its formula. W cannot serve: its
sampling noise grows as a group gets smaller and as predictions get better, so unequal groups have a gap that is not
there. Ours is of squared distances, which can be freed of that noise: in each cell, the squared differences between the
cumulative shares of a group's answers and of the mean of the distributions predicted for these same people, over the
stated scale in shares of its range; then the mean over cells within studies, and over studies; then the highest group's
distance minus the lowest group's.

Each person's difference z is a draw, so the square of their mean is too large by the variance of that mean. The mean of
z_i z_j over pairs of different people has no such bias (Hoeffding 1948, Annals of Mathematical Statistics 19).
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.bootstrap import Measure, resamples
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

Ints = NDArray[np.int64]

MINIMUM = 30
DRAWS = 400
LEADING = 0.1  # two groups count if they are the furthest apart in this share of the draws


@dataclass(frozen=True)
class Subgroup:
    """One group's squared distance (lower is better; below 0 by luck), and the mean answers in shares of the scale.

    `n` different people are behind it.
    """

    group: str
    n: int
    score: Measure
    human_mean: float
    predicted_mean: float


@dataclass(frozen=True)
class Parity:
    """The gap between the groups with the highest and the lowest distance, and the groups that are compared.

    `left_out` names groups with too few people and how many they are; `n_unknown` people have no known group;
    `n_cells` cells are compared, in `n_skipped` some compared group has too few people.
    """

    difference: Measure
    subgroups: tuple[Subgroup, ...]
    left_out: tuple[tuple[str, int], ...]
    n_unknown: int
    n_cells: int
    n_skipped: int


@dataclass(frozen=True)
class ParityChange:
    """The parity of two models on the same people, and the gap `after` minus the gap `before`: below 0 is fairer."""

    before: Parity
    after: Parity
    change: Measure


def parity(cells: Sequence[PeopleCell], *, seed: int, minimum: int = MINIMUM) -> Parity:
    """The demographic parity difference of one attribute over `cells`, which name people's groups, with its subgroups.

    A group is compared where it has `minimum` people in at least half of the cells, and then only cells count in
    which every compared group has them: groups are scored on the same questions. NaN with fewer than two groups.
    Intervals are bootstraps over people within studies, one person's answers kept together, studies taken as they
    are. That of the gap is simultaneous over all pairs of groups, and the gap lies inside it. Without any true gap the
    largest of several differences is still above 0, so read the interval. `benchmarks/numbers/parity.py` simulates how
    often it holds the true gap.
    """
    return _scored(cells, seed, minimum)[0]


def parity_change(
    before: Sequence[PeopleCell], after: Sequence[PeopleCell], *, seed: int, minimum: int = MINIMUM
) -> ParityChange:
    """How the parity gap changes from one model to another, both predicting the same cells in the same order.

    People whom either model did not predict are left out of both; groups and intervals of the gaps are those of
    `parity`. The interval of the change redraws the same people for both models. It is simultaneous over the pairs
    of groups that lead in LEADING of the draws, since which two groups lie furthest apart is itself uncertain.
    """
    both = [_on_both(*pair) for pair in zip(before, after, strict=True)]
    first, of_before = _scored([pair[0] for pair in both], seed, minimum)
    second, of_after = _scored([pair[1] for pair in both], seed, minimum)
    return ParityChange(first, second, _change(of_before[..., 0], of_after[..., 0]))


def _on_both(before: PeopleCell, after: PeopleCell) -> tuple[PeopleCell, PeopleCell]:
    """The two cells without the answers of people whom either model did not predict."""
    human = np.where(before.has_prediction & after.has_prediction, before.human, np.nan)
    return replace(before, human=human), replace(after, human=human)


def _scored(cells: Sequence[PeopleCell], seed: int, minimum: int) -> tuple[Parity, Floats]:
    """The parity of `cells` with the scores [1 + DRAWS, g, 3] behind it."""
    # without people who lack an answer or a prediction
    usable = [cell.where(np.isfinite(cell.human) & cell.has_prediction) for cell in cells]
    names = sorted({group for cell in usable for group in cell.groups if group})
    n_in = np.array([[cell.groups.count(name) for name in names] for cell in usable])
    enough = n_in.reshape(len(cells), len(names)) >= minimum
    kept = [name for name, cells_with in zip(names, enough.T, strict=True) if cells_with.mean() >= 0.5]
    columns = [names.index(name) for name in kept]
    compared = [cell for cell, row in zip(usable, enough, strict=True) if kept and bool(row[columns].all())]
    everyone, counted = _n_people(usable), _n_people(compared)
    scores = _scores(compared, kept, seed)
    result = Parity(
        difference=_gap(scores[..., 0]),
        subgroups=tuple(
            Subgroup(name, counted.get(name, 0), _basic(scores[:, i, 0]), *map(float, scores[0, i, 1:]))
            for i, name in enumerate(kept)
        ),
        left_out=tuple((name, everyone[name]) for name in names if name not in kept),
        n_unknown=everyone.get("", 0),
        n_cells=len(compared),
        n_skipped=len(cells) - len(compared),
    )
    return result, scores


def _n_people(cells: Sequence[PeopleCell]) -> Counter[str]:
    """How many different people of each group are in any of the cells."""
    people = {
        (cell.study_id, participant, group)
        for cell in cells
        for participant, group in zip(cell.participants.tolist(), cell.groups, strict=True)
    }
    return Counter(group for _, _, group in people)


def _scores(cells: Sequence[PeopleCell], kept: Sequence[str], seed: int) -> Floats:
    """Score, human mean and predicted mean [1 + DRAWS, g, 3] of each kept group; first as observed, then resampled."""
    studies = []
    by_study = itertools.groupby(
        sorted(cells, key=lambda cell: cell.study_id), key=lambda cell: cell.study_id
    )
    for number, (_, of_study) in enumerate(by_study):
        together = list(of_study)
        people = np.unique(np.concatenate([cell.participants for cell in together]))
        # People of a study are drawn once for all of its cells, which keeps one person's answers together.
        drawn = resamples(people.size, seed=[seed, number], draws=DRAWS)
        weights = np.vstack([np.ones(people.size), drawn])
        scored = [
            _cell_scores(cell, kept, weights[:, np.searchsorted(people, cell.participants)])
            for cell in together
        ]
        studies.append(np.mean(scored, axis=0))
    return np.mean(studies, axis=0) if studies else np.full((1 + DRAWS, len(kept), 3), np.nan)


def _cell_scores(cell: PeopleCell, kept: Sequence[str], weights: Floats) -> Floats:
    """Distance, human mean and predicted mean [draws, g, 3] of one cell under people's `weights` [draws, n]."""
    places = (cell.values - cell.values.min()) / np.ptp(cell.values)
    gaps = np.diff(places)
    answered = memberships(cell.human, cell.values)
    apart = np.cumsum(answered - cell.probabilities, axis=1)[:, :-1] * np.sqrt(gaps)
    scores = np.full((len(weights), len(kept), 3), np.nan)
    for i, name in enumerate(kept):
        rows = np.array([group == name for group in cell.groups])
        mass = weights[:, rows].sum(axis=1, keepdims=True)
        # A resample may have nobody of a small group: 0/0, whose NaN leaves the gap without an interval.
        with np.errstate(invalid="ignore", divide="ignore"):
            scores[:, i, 0] = _pairs_apart(apart[rows], cell.participants[rows], weights[:, rows])
            scores[:, i, 1] = (weights[:, rows] @ (answered[rows] @ places)) / mass[:, 0]
            scores[:, i, 2] = (weights[:, rows] @ (cell.probabilities[rows] @ places)) / mass[:, 0]
    return scores


def _pairs_apart(apart: Floats, participants: Ints, weights: Floats) -> Floats:
    """The mean product [draws] of the differences `apart` [n, m] over pairs of answers of different people.

    The weights [draws, n] of one person's answers are equal. A pair counts as often as both of its people are drawn.
    """
    _, first, position = np.unique(participants, return_index=True, return_inverse=True)
    sums = np.zeros((first.size, apart.shape[1]))
    np.add.at(sums, position, apart)
    n_answers = np.bincount(position).astype(float)
    by_person = weights[:, first]
    # All pairs, without those of a person with themselves.
    products = ((by_person @ sums) ** 2).sum(axis=1) - by_person**2 @ (sums**2).sum(axis=1)
    return np.asarray(products / ((by_person @ n_answers) ** 2 - by_person**2 @ n_answers**2))


def _gap(scores: Floats) -> Measure:
    """The largest difference between groups of `scores` [1 + draws, g], with its simultaneous interval."""
    if scores.shape[1] < 2 or not np.isfinite(scores).all():
        value = float(np.ptp(scores[0])) if scores.shape[1] > 1 else float("nan")
        return Measure(value, float("nan"), float("nan"))
    value = float(np.ptp(scores[0]))
    reach = float(np.quantile(np.ptp(scores[1:] - scores[0], axis=1), CONFIDENCE))
    return Measure(value, max(value - reach, 0.0), value + reach)


def _change(before: Floats, after: Floats) -> Measure:
    """The gap of scores `after` minus that of scores `before`, both [1 + draws, g], with its interval."""
    if before.shape[1] < 2 or not np.isfinite([before, after]).all():
        value = float(np.ptp(after[0]) - np.ptp(before[0])) if before.shape[1] > 1 else float("nan")
        return Measure(value, float("nan"), float("nan"))
    gap_before, moved_before = _leading(before)
    gap_after, moved_after = _leading(after)
    further = moved_after.max(axis=1) - moved_before.min(axis=1)
    nearer = moved_before.max(axis=1) - moved_after.min(axis=1)
    centre = gap_after - gap_before
    reach = float(np.quantile(np.maximum(further, nearer), CONFIDENCE))
    return Measure(centre, centre - reach, centre + reach)


def _leading(scores: Floats) -> tuple[float, Floats]:
    """The gap of scores [1 + draws, g], and by how much the pairs that may have it move [draws, p]."""
    centre = _between(scores[0])
    moved = _between(scores[1:] - scores[0])
    leads = np.bincount((centre + moved).argmax(axis=1), minlength=centre.size) >= LEADING * len(moved)
    leads[centre.argmax()] = True
    return float(centre.max()), moved[:, leads]


def _between(scores: Floats) -> Floats:
    """The difference of every ordered pair of groups [..., g * g] of scores [..., g]."""
    differences: Floats = scores[..., :, None] - scores[..., None, :]
    return differences.reshape(*scores.shape[:-1], -1)


def _basic(values: Floats) -> Measure:
    """The first of `values` [1 + draws] with the basic bootstrap interval from the others.

    2 x value - percentiles (Davison & Hinkley 1997, section 2.4).
    """
    value = float(values[0])
    if not np.isfinite(values).all():
        return Measure(value, float("nan"), float("nan"))
    low, high = 2 * value - np.quantile(values[1:], [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2])
    return Measure(value, float(low), float(high))
