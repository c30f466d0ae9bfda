"""How far predicted answers are from people's: one Wasserstein distance, two conventions that never mix.

Observed range: the paper's (arXiv 2509.05830). A cell's range is the lowest to the highest answer that
its people gave, predictions are clipped into it, and every person has one drawn answer. Stated scale: the
range is the scale's own, whoever used it. The same predictions score lower on the stated scale, so
numbers of the two conventions cannot be compared.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from socrates_core.records import Floats

Convention = Literal["observed", "stated"]


@dataclass(frozen=True)
class CellScore:
    """One cell's score: NaN where it cannot be scored.

    `n_rows` people have both an answer and a prediction; `n_dropped` lack one of them (a prediction that
    could not be read) or, on the stated scale, gave an answer outside it.
    """

    value: float
    n_rows: int
    n_dropped: int


@dataclass(frozen=True)
class Score:
    """The unweighted mean over studies of each study's mean over its cells.

    `n_rows` counts the people behind the `n_cells` scored cells, `n_skipped` the cells that could not be
    scored, `n_dropped` the rows without an answer or a prediction in any cell.
    """

    value: float
    n_studies: int
    n_cells: int
    n_skipped: int
    n_rows: int
    n_dropped: int


def draw_answers(probabilities: Floats, values: Floats, *, seed: int) -> Floats:
    """One answer [n] a person, drawn from the rows of `probabilities` [n, k] over `values` [k].

    Rows are normalised; a row without any probability gives NaN. The same seed gives the same answers on
    every machine.
    """
    levels = np.random.default_rng(seed).random((len(probabilities), 1))
    return draw_with(probabilities, values, levels)[:, 0]


def draw_with(probabilities: Floats, values: Floats, levels: Floats) -> Floats:
    """The answers [n, d] at `levels` [n, d] from 0 to 1 of the rows of `probabilities` [n, k] over `values` [k]."""
    rows = np.asarray(probabilities, dtype=float)
    choices = np.asarray(values, dtype=float)
    cumulative = np.cumsum(rows, axis=1)
    total = cumulative[:, -1:]
    usable = np.isfinite(total) & (total > 0)
    passed = (cumulative[:, None, :] <= (levels * total)[:, :, None]).sum(axis=2)
    # A row of zeros would point past the last value. Its draw is replaced by NaN below.
    drawn = choices[np.minimum(passed, len(choices) - 1)]
    return np.where(usable, drawn, np.nan)


def wasserstein(
    first: Floats, second: Floats, first_weights: Floats | None = None, second_weights: Floats | None = None
) -> float:
    """W1 between two weighted sets of values, in their own units: the area between their distributions.

    Weights need no normalisation and default to one a value. NaN where a set is empty or weighs nothing.
    """
    ours, our_steps = _sorted(first, first_weights)
    theirs, their_steps = _sorted(second, second_weights)
    if our_steps[-1] <= 0 or their_steps[-1] <= 0:
        return float("nan")
    places = np.sort(np.concatenate([ours, theirs]))
    our_share = our_steps[np.searchsorted(ours, places[:-1], side="right")] / our_steps[-1]
    their_share = their_steps[np.searchsorted(theirs, places[:-1], side="right")] / their_steps[-1]
    return float(np.sum(np.abs(our_share - their_share) * np.diff(places)))


def _sorted(values: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """The values in order, and the weight below each of the n + 1 gaps between them."""
    places = np.asarray(values, dtype=float).ravel()
    mass = np.ones_like(places) if weights is None else np.asarray(weights, dtype=float).ravel()
    order = np.argsort(places, kind="stable")
    return places[order], np.concatenate([[0.0], np.cumsum(mass[order])])


def observed_wasserstein(human: Floats, predicted: Floats) -> CellScore:
    """The paper's W of one cell, in [0, 1]: answers [n] and one drawn prediction [n] for each person.

    People without an answer or with an unreadable prediction (NaN) leave. NaN for fewer than two people or
    where all of them gave one answer.
    """
    h, m, n_dropped = _paired(human, predicted)
    value = float("nan")
    if h.size >= 2 and h.max() > h.min():
        value = _scaled_wasserstein(h, m, float(h.min()), float(h.max()))
    return CellScore(value, h.size, n_dropped)


def stated_wasserstein(human: Floats, predicted: Floats, *, low: float, high: float) -> CellScore:
    """W of one cell in shares of the scale from `low` to `high`, in [0, 1].

    Answers [n] outside the scale are dropped with their predictions [n]; predictions outside it are clipped.
    NaN for fewer than two people or without a range.
    """
    h, m, n_dropped = _paired(human, predicted)
    on_scale = (h >= low) & (h <= high)
    n_dropped += int((~on_scale).sum())
    h, m = h[on_scale], m[on_scale]
    value = _scaled_wasserstein(h, m, low, high) if h.size >= 2 and high > low else float("nan")
    return CellScore(value, h.size, n_dropped)


def exact_wasserstein(
    values: Floats, probabilities: Floats, counts: Floats, *, convention: Convention
) -> float:
    """W in [0, 1] between an exact distribution and people's `counts`, all [k] over the scale's `values`.

    It has no sampling noise, so it scores lower than one draw a person: never put the two in one column.
    NaN under the same rules as `observed_wasserstein` and `stated_wasserstein`.
    """
    places = np.asarray(values, dtype=float)
    people = np.asarray(counts, dtype=float)
    used = places[people > 0] if convention == "observed" else places
    if people.sum() < 2 or used.size < 2:
        return float("nan")
    low, high = float(used.min()), float(used.max())
    guessed = np.asarray(probabilities, dtype=float)
    return wasserstein((places - low) / (high - low), _placed(places, low, high), people, guessed)


def accuracy(
    human: Floats, predicted: Floats, *, clipped: bool, everybody: Floats | None = None
) -> CellScore:
    """The paper's accuracy of one cell: 1 minus the mean distance of draws from the people's answers.

    A share of the observed range, not of exact matches; below 0 where predictions leave that range, unless
    they are `clipped` into it, which adds several points: always say which. Where few people of a cell were asked,
    the range is that of `everybody` in it. Rules for NaN and for dropping as in `observed_wasserstein`.
    """
    h, m, n_dropped = _paired(human, predicted)
    value = float("nan")
    within = h if everybody is None else everybody
    if h.size and within.size >= 2 and within.max() > within.min():
        m = np.clip(m, within.min(), within.max()) if clipped else m
        value = 1 - float(np.mean(np.abs(m - h)) / (within.max() - within.min()))
    return CellScore(value, h.size, n_dropped)


def mean_score(studies: Sequence[str], cells: Sequence[CellScore]) -> Score:
    """The paper's averaging order: cells within their study, then studies, all unweighted.

    `studies` names the study of each of `cells`. NaN where no cell could be scored.
    """
    scored: dict[str, list[float]] = {}
    for study, cell in zip(studies, cells, strict=True):
        if not np.isnan(cell.value):
            scored.setdefault(study, []).append(cell.value)
    n_cells = sum(map(len, scored.values()))
    return Score(
        value=float(np.mean([np.mean(of_study) for of_study in scored.values()])) if scored else float("nan"),
        n_studies=len(scored),
        n_cells=n_cells,
        n_skipped=len(cells) - n_cells,
        n_rows=sum(cell.n_rows for cell in cells if not np.isnan(cell.value)),
        n_dropped=sum(cell.n_dropped for cell in cells),
    )


def _paired(human: Floats, predicted: Floats) -> tuple[Floats, Floats, int]:
    """The answers and predictions of people who have both, and how many people lack one."""
    h, m = np.asarray(human, dtype=float), np.asarray(predicted, dtype=float)
    if h.shape != m.shape:
        raise ValueError(f"one prediction a person is needed: {h.shape} answers and {m.shape} predictions")
    both = np.isfinite(h) & np.isfinite(m)
    return h[both], m[both], int((~both).sum())


def _scaled_wasserstein(h: Floats, m: Floats, low: float, high: float) -> float:
    return wasserstein((h - low) / (high - low), _placed(m, low, high))


def _placed(predicted: Floats, low: float, high: float) -> Floats:
    """Where predictions lie between `low` (0) and `high` (1), clipped."""
    return np.clip((predicted - low) / (high - low), 0, 1)
