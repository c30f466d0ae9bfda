"""Does a model predict some people worse than others: scores by group, and the gap between groups.

The paper (arXiv 2509.05830) reports a demographic parity difference without its formula. Ours: in each cell, W on the
stated scale between the answers of a group's people and the mean of the exact distributions predicted for these same
people; then the mean over cells within studies, and over studies; then the highest group's score minus the lowest
group's. On the stated scale, because the observed range of a small group is narrower than that of a large one.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from socrates_core.analysis.bootstrap import Measure, resamples
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.effects import CONFIDENCE
from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats

MINIMUM = 30
DRAWS = 400
# The part of the noise in the W of perfect predictions that the bootstrap shows: resampling adds the same variance once
# more, and a mean distance grows with the root of the variance.
SEEN_OF_NOISE = float(np.sqrt(2) - 1)
SMALL = 0.25  # of the largest group's people: with fewer, a group's noise is more than twice as large
LEADING = 0.1  # two groups count if they are the furthest apart in this share of the draws


@dataclass(frozen=True)
class Subgroup:
    """One group's score W in [0, 1] (lower is better), and the mean answers in shares of the scale.

    `n` different people are behind it.
    """

    group: str
    n: int
    score: Measure
    human_mean: float
    predicted_mean: float


@dataclass(frozen=True)
class Parity:
    """The gap between the groups with the highest and the lowest W, and the groups that are compared.

    `left_out` names groups with too few people and how many they are; `n_unknown` people have no known group;
    `n_cells` cells are compared, in `n_skipped` some compared group has too few people.
    """

    difference: Measure
    subgroups: tuple[Subgroup, ...]
    left_out: tuple[tuple[str, int], ...]
    n_unknown: int
    n_cells: int
    n_skipped: int

    @property
    def small(self) -> tuple[Subgroup, ...]:
        """The compared groups with less than SMALL of the largest one's people: their W is mostly larger by noise."""
        most = max((subgroup.n for subgroup in self.subgroups), default=0)
        return tuple(subgroup for subgroup in self.subgroups if subgroup.n < SMALL * most)


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
    are. A small group's W is larger by its noise, so that the raw gap lies above any true one: the gap is that of
    scores freed of their bootstrap bias, and lies inside its interval. The interval is simultaneous over all pairs of
    groups. It reaches down to the gap that is left when all of the noise of perfect predictions is taken off, of
    which the bootstrap sees a part alone. In simulations of no gap and groups of 30 to 1,000 people it held 75% to
    100% of the time, and the gap still shown was .02 to .03 where predictions are perfect and groups of 30 are
    compared with hundreds: `Parity.small` names such groups.
    """
    return _scored(cells, seed, minimum)[0]


def parity_change(
    before: Sequence[PeopleCell], after: Sequence[PeopleCell], *, seed: int, minimum: int = MINIMUM
) -> ParityChange:
    """How the parity gap changes from one model to another, both predicting the same cells in the same order.

    People whom either model did not predict are left out of both; groups and intervals of the gaps are those of
    `parity`. The interval of the change redraws the same people for both models. It is simultaneous over the pairs
    of groups that lead in LEADING of the draws, since which two groups lie furthest apart is itself uncertain, around
    the change of scores freed of their bootstrap bias. In simulations it held 93% to 99% of the time.
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
    """Score, human mean and predicted mean [draws, g, 3] of one cell under people's `weights` [draws, n]."""
    places = (cell.values - cell.values.min()) / np.ptp(cell.values)
    gaps = np.diff(places)
    answered = memberships(cell.human, cell.values)
    scores = np.full((len(weights), len(kept), 3), np.nan)
    for i, name in enumerate(kept):
        rows = np.array([group == name for group in cell.groups])
        mass = weights[:, rows].sum(axis=1, keepdims=True)
        # A resample may have nobody of a small group: 0/0, whose NaN leaves the gap without an interval.
        with np.errstate(invalid="ignore"):
            human = weights[:, rows] @ answered[rows] / mass
            predicted = weights[:, rows] @ cell.probabilities[rows] / mass
        scores[:, i, 0] = np.abs(np.cumsum(human - predicted, axis=1)[:, :-1]) @ gaps
        scores[:, i, 1], scores[:, i, 2] = human @ places, predicted @ places
    return scores


def _gap(scores: Floats) -> Measure:
    """The largest difference between groups of `scores` [1 + draws, g], with its simultaneous interval."""
    if scores.shape[1] < 2 or not np.isfinite(scores).all():
        value = float(np.ptp(scores[0])) if scores.shape[1] > 1 else float("nan")
        return Measure(value, float("nan"), float("nan"))
    expected = scores[1:].mean(axis=0)
    noise = expected - scores[0]
    value, without_noise = float(np.ptp(scores[0] - noise)), float(np.ptp(scores[0] - noise / SEEN_OF_NOISE))
    reach = float(np.quantile(np.ptp(scores[1:] - expected, axis=1), CONFIDENCE))
    low, high = min(value, without_noise) - reach, max(value, without_noise) + reach
    return Measure(min(value, 1.0), max(low, 0.0), min(high, 1.0))


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
    return Measure(min(max(centre, -1.0), 1.0), max(centre - reach, -1.0), min(centre + reach, 1.0))


def _leading(scores: Floats) -> tuple[float, Floats]:
    """The gap of scores [1 + draws, g] freed of bias, and by how much the pairs that may have it move [draws, p]."""
    expected = scores[1:].mean(axis=0)
    centre = _between(2 * scores[0] - expected)
    moved = _between(scores[1:] - expected)
    leads = np.bincount((centre + moved).argmax(axis=1), minlength=centre.size) >= LEADING * len(moved)
    leads[centre.argmax()] = True
    return float(centre.max()), moved[:, leads]


def _between(scores: Floats) -> Floats:
    """The difference of every ordered pair of groups [..., g * g] of scores [..., g]."""
    differences: Floats = scores[..., :, None] - scores[..., None, :]
    return differences.reshape(*scores.shape[:-1], -1)


def _basic(values: Floats) -> Measure:
    """The first of `values` [1 + draws] with the basic bootstrap interval from the others, within [0, 1].

    2 x value - percentiles (Davison & Hinkley 1997, section 2.4): resampling adds noise to a distance,
    which would push a percentile interval above it.
    """
    value = float(values[0])
    drawn = values[1:]
    if not np.isfinite(values).all():
        return Measure(value, float("nan"), float("nan"))
    low, high = np.clip(2 * value - np.quantile(drawn, [(1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2]), 0, 1)
    return Measure(value, float(low), float(high))
