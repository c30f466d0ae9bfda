"""Bars and dots as inline SVG without text: words are part of the page, so they stay readable at every width."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.bootstrap import Measure
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.projects.run_results import RunCell, RunEffect

TOPS = (0.1, 0.25, 0.5, 0.75, 1.0)
MOST_WHISKERS = 30
_SVG = Markup('<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>')
_RECT = Markup('<rect class="{}" x="{:.3f}" y="{:.3f}" width="{:.3f}" height="{:.3f}"/>')
_LINE = Markup('<line class="{}" x1="{:.3f}" y1="{:.3f}" x2="{:.3f}" y2="{:.3f}"/>')


def top_share(cells: Sequence[RunCell]) -> float:
    """The share at the top of the axis, which is the same in all panels of an outcome."""
    highest = 0.0
    for cell in cells:
        if cell.n:
            highest = max(highest, float(np.max(cell.predicted, initial=0)))
        if cell.counts is not None and cell.n_people:
            highest = max(
                highest, float(np.nanmax(np.append(shares_with_intervals(cell.counts, cell.size).high, 0)))
            )
    return next((top for top in TOPS if top >= highest), 1.0)


def draw_shares(cell: RunCell, top: float) -> Markup:
    """Two bars per answer: people filled, with 95% intervals, the prediction outlined."""
    k = len(cell.values)
    slot = 100 / max(k, 1)
    drawn = Markup()
    if cell.counts is not None and cell.n_people:
        people = shares_with_intervals(cell.counts, cell.size)
        for at, share in enumerate(people.share):
            drawn += _RECT.format(
                "people", (at + 0.12) * slot, 100 * (1 - share / top), 0.36 * slot, 100 * share / top
            )
            if k <= MOST_WHISKERS:
                x, ends = (at + 0.3) * slot, 100 * (1 - np.array([people.low[at], people.high[at]]) / top)
                drawn += _LINE.format("whisker", x, ends[0], x, ends[1])
    for at, share in enumerate(cell.predicted if cell.n else []):
        drawn += _RECT.format(
            "model", (at + 0.52) * slot, 100 * (1 - share / top), 0.36 * slot, 100 * share / top
        )
    return _SVG.format(f"Shares of the answers in {cell.condition_name}", drawn)


def draw_effect(effect: RunEffect, reach: float) -> Markup:
    """A zero line, people's dot with its 95% interval above it, the hollow dot of the prediction below.

    A calibrated effect is a bar at the bottom, its 90% interval, with a tick in the middle.
    """
    drawn = _LINE.format("zero", 50, 0, 50, 100)
    people, calibrated = effect.people, effect.shown
    if calibrated is not None:
        low, middle, high = (
            _place(end, reach) for end in (calibrated.low[-1], calibrated.difference, calibrated.high[-1])
        )
        drawn += _LINE.format("calibrated", low, 92, high, 92) + _LINE.format(
            "calibrated", middle, 85, middle, 99
        )
    if people is not None and np.isfinite(people.difference):
        if np.isfinite([people.low, people.high]).all():
            drawn += _LINE.format("interval", _place(people.low, reach), 30, _place(people.high, reach), 30)
        drawn += _dot("people", _place(people.difference, reach), 30)
    if np.isfinite(effect.predicted.difference):
        place = _place(effect.predicted.difference, reach)
        drawn += _dot("model", place, 72) + _dot("hole", place, 72)
    return _SVG.format(f"Effect of {effect.condition}", drawn)


def reach_of(effects: Sequence[RunEffect]) -> float:
    """How far the axis of these effects goes on either side of zero: 1, 2 or 5 times a power of ten."""
    ends = [
        abs(end)
        for effect in effects
        for estimate in (effect.predicted, effect.people)
        if estimate is not None
        for end in (estimate.difference, estimate.low, estimate.high)
    ]
    ends += [
        abs(end)
        for effect in effects
        if effect.shown
        for end in (effect.shown.low[-1], effect.shown.high[-1])
    ]
    return round_reach(ends)


def round_reach(ends: Sequence[float]) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that no end exceeds; 1 without a positive end."""
    furthest = max((end for end in ends if np.isfinite(end)), default=0.0) or 1.0
    power = 10.0 ** np.floor(np.log10(furthest))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= furthest))


def _place(value: float, reach: float) -> float:
    return 50 + 50 * value / reach


def _dot(name: str, x: float, y: float) -> Markup:
    """A line without length: its round ends stay round when the drawing is stretched, unlike a circle."""
    return _LINE.format(f"dot {name}", x, y, x, y)


def draw_measure(name: str, measure: Measure, *, axis: tuple[float, float], kind: str) -> Markup:
    """A dot with its 95% interval on an `axis` (low end, high end). Baselines look like people."""
    low, high = axis

    def place(value: float) -> float:
        return 2 + 96 * (value - low) / (high - low)

    drawn = _LINE.format("zero", place(0), 0, place(0), 100) if low <= 0 <= high else Markup()
    if np.isfinite([measure.low, measure.high]).all():
        drawn += _LINE.format(f"interval {kind}", place(measure.low), 50, place(measure.high), 50)
    drawn += _dot("model" if kind == "model" else "people", place(measure.value), 50)
    if kind == "model":
        drawn += _dot("hole", place(measure.value), 50)
    return _SVG.format(name, drawn)


def draw_scatter(name: str, pairs: EffectPairs, reach: float) -> Markup:
    """People's effects (upward, with 95% intervals) over predicted ones, both from -`reach` to `reach`."""
    drawn = _LINE.format("zero", 50, 0, 50, 100) + _LINE.format("zero", 0, 50, 100, 50)
    drawn += _LINE.format("same", 0, 100, 100, 0)
    for human, error, predicted in zip(pairs.human, pairs.human_se, pairs.predicted, strict=True):
        if np.isfinite([human, predicted]).all():
            x, y = _place(predicted, reach), 100 - _place(human, reach)
            if np.isfinite(error):
                half = 50 * 1.96 * error / reach
                drawn += _LINE.format("whisker faint", x, max(y - half, 0), x, min(y + half, 100))
            drawn += _dot("model small", x, y)
    return _SVG.format(name, drawn)
