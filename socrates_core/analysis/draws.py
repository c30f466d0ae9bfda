"""Every score of a file with one drawn prediction for each person's answer.

It knows no corpus: no list of answers, no probabilities, a scale (or none) for each row. So its baselines are drawn
and its effects come from the same people, unlike those of evaluations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from socrates_core.analysis.agreement import Agreement, EffectPairs, agreement
from socrates_core.analysis.baselines import expected_half_sample
from socrates_core.analysis.metrics import (
    CellScore,
    Score,
    accuracy,
    mean_score,
    observed_wasserstein,
    stated_wasserstein,
)
from socrates_core.records import Floats


@dataclass(frozen=True)
class DrawnCell:
    """One cell's answers and predictions with the ends of the scale of each, all [n], NaN without one."""

    study_id: str
    condition_num: int
    task_num: int
    human: Floats
    predicted: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class DrawScores:
    """Scores over cells, then studies, as `metrics.mean_score`; the paper's convention unless they say "stated".

    `uniform`, `condition_blind` and `half_sample` are W on the observed range. The first two draw one answer a
    person as well, in whole steps from low to high and from all people of the outcome. `sd_ratio` is the
    spread of the predictions over that of the answers. `share_valid` of the `n_answers` have a prediction.
    """

    observed: Score
    stated: Score
    accuracy: Score
    accuracy_clipped: Score
    sd_ratio: Score
    uniform: Score
    condition_blind: Score
    half_sample: Score
    effects: Agreement
    share_valid: float
    n_answers: int


def score_draws(cells: Sequence[DrawnCell], *, seed: int) -> DrawScores:
    """The scores of `cells`, each named once, conditions in order: an outcome's first is the reference of its effects.

    Effects are in shares of the scale, or of the outcome's observed range where no cell has a scale.
    """
    generator = np.random.default_rng(seed)
    outcomes = _outcomes(cells)
    answers, predictions = (
        np.concatenate([getattr(c, name) for c in cells]) for name in ("human", "predicted")
    )
    answered = np.isfinite(answers)

    def over(score: Callable[[DrawnCell], CellScore]) -> Score:
        return mean_score([cell.study_id for cell in cells], [score(cell) for cell in cells])

    def blind(cell: DrawnCell) -> Floats:
        people = np.concatenate([other.human for other in outcomes[cell.study_id, cell.task_num]])
        return _redrawn(people, cell.human.size, generator)

    return DrawScores(
        observed=over(lambda cell: observed_wasserstein(cell.human, cell.predicted)),
        stated=over(lambda cell: stated_wasserstein(*_on_unit(cell), low=0, high=1)),
        accuracy=over(lambda cell: accuracy(cell.human, cell.predicted, clipped=False)),
        accuracy_clipped=over(lambda cell: accuracy(cell.human, cell.predicted, clipped=True)),
        sd_ratio=over(_sd_ratio),
        uniform=over(lambda cell: observed_wasserstein(cell.human, _uniform(cell, generator))),
        condition_blind=over(lambda cell: observed_wasserstein(cell.human, blind(cell))),
        half_sample=over(_half_sample),
        effects=_effects(outcomes),
        share_valid=float(np.isfinite(predictions[answered]).mean()) if answered.any() else float("nan"),
        n_answers=int(answered.sum()),
    )


def _outcomes(cells: Sequence[DrawnCell]) -> dict[tuple[str, int], list[DrawnCell]]:
    outcomes: dict[tuple[str, int], list[DrawnCell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.condition_num):
        outcomes.setdefault((cell.study_id, cell.task_num), []).append(cell)
    return outcomes


def _on_unit(cell: DrawnCell) -> tuple[Floats, Floats]:
    """Answers and predictions in shares of the scale of each."""
    span = cell.high - cell.low
    return (cell.human - cell.low) / span, (cell.predicted - cell.low) / span


def _sd_ratio(cell: DrawnCell) -> CellScore:
    both = np.isfinite(cell.human) & np.isfinite(cell.predicted)
    h, m = cell.human[both], cell.predicted[both]
    value = float(m.std() / h.std()) if h.size > 1 and h.max() > h.min() else float("nan")
    return CellScore(value, h.size, int((~both).sum()))


def _uniform(cell: DrawnCell, generator: np.random.Generator) -> Floats:
    steps = np.floor(cell.high - cell.low) + 1
    return np.asarray(cell.low + np.floor(generator.random(cell.low.size) * steps), dtype=float)


def _redrawn(answers: Floats, n: int, generator: np.random.Generator) -> Floats:
    # In order, so that a seed draws the same answers however the rows of the file are sorted.
    people = np.sort(answers[np.isfinite(answers)])
    return generator.choice(people, n) if people.size else np.full(n, np.nan)


def _half_sample(cell: DrawnCell) -> CellScore:
    answers = cell.human[np.isfinite(cell.human)]
    values, counts = np.unique(answers, return_counts=True)
    return CellScore(
        expected_half_sample(counts.astype(float), values), answers.size, cell.human.size - answers.size
    )


def _effects(outcomes: dict[tuple[str, int], list[DrawnCell]]) -> Agreement:
    stated = any(np.isfinite(cell.low).any() for cells in outcomes.values() for cell in cells)
    study: list[str] = []
    effects: list[tuple[float, float, float]] = []
    for (name, _), cells in outcomes.items():
        first, *others = [_means(*each) for each in (map(_on_unit, cells) if stated else _on_range(cells))]
        effects += [(h - first[0], (v + first[1]) ** 0.5, m - first[2]) for h, v, m in others]
        study += [name] * len(others)
    human, error, predicted = np.array(effects, dtype=float).reshape(-1, 3).T
    return agreement(EffectPairs(np.array(study, dtype=str), human, error, predicted))


def _on_range(cells: Sequence[DrawnCell]) -> list[tuple[Floats, Floats]]:
    """Each cell's answers and predictions in shares of the range of all answers to the outcome."""
    people = np.concatenate([cell.human for cell in cells])
    people = people[np.isfinite(people)]
    low = people.min() if people.size else 0.0
    span = np.ptp(people) if people.size and np.ptp(people) > 0 else np.nan
    return [((cell.human - low) / span, (cell.predicted - low) / span) for cell in cells]


def _means(human: Floats, predicted: Floats) -> tuple[float, float, float]:
    """The mean of the answers on the scale, the variance of that mean and the mean of their clipped predictions."""
    both = (human >= 0) & (human <= 1) & np.isfinite(predicted)
    if both.sum() < 2:
        return float("nan"), float("nan"), float("nan")
    h, m = human[both], np.clip(predicted[both], 0, 1)
    return float(h.mean()), float(h.var(ddof=1) / h.size), float(m.mean())
