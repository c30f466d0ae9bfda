"""Bars and dots as inline SVG without any text, so that words stay words of the page at every width."""

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
    """The share at the top of the axis that all panels of an outcome have."""
    highest = 0.0
    for cell in cells:
        told = [cell.predicted] if cell.n else []
        told += [shares_with_intervals(cell.counts).high] if cell.counts is not None and cell.n_people else []
        highest = max([highest, *(float(np.max(shares, initial=0)) for shares in told)])
    return next((top for top in TOPS if top >= highest), 1.0)


def draw_shares(cell: RunCell, top: float) -> Markup:
    """Two bars an answer: people filled with their 95% intervals, the prediction outlined."""
    k = len(cell.values)
    slot, drawn = 100 / max(k, 1), Markup()
    if cell.counts is not None and cell.n_people:
        people = shares_with_intervals(cell.counts)
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

    A calibrated effect is the bar under all, its 90% interval, with a tick in its middle.
    """
    drawn = _LINE.format("zero", 50, 0, 50, 100)
    people, earned = effect.people, effect.calibrated
    if earned is not None:
        low, middle, high = (
            _place(end, reach) for end in (earned.low[-1], earned.difference, earned.high[-1])
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
    """How far the axis of some effects goes on either side of zero: 1, 2 or 5 times a power of ten."""
    ends = [
        abs(end)
        for effect in effects
        for told in (effect.predicted, effect.people)
        if told is not None
        for end in (told.difference, told.low, told.high)
    ]
    ends += [
        abs(end) for e in effects if e.calibrated for end in (e.calibrated.low[-1], e.calibrated.high[-1])
    ]
    return round_reach(ends)


def round_reach(ends: Sequence[float]) -> float:
    """The least of 1, 2 or 5 times a power of ten that no positive end exceeds; 1 without any."""
    furthest = max((end for end in ends if np.isfinite(end)), default=0.0) or 1.0
    power = 10.0 ** np.floor(np.log10(furthest))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= furthest))


def _place(value: float, reach: float) -> float:
    return 50 + 50 * value / reach


def _dot(name: str, x: float, y: float) -> Markup:
    """A line without length, whose round ends stay round however the drawing is stretched."""
    return _LINE.format(f"dot {name}", x, y, x, y)


def draw_measure(name: str, found: Measure, *, axis: tuple[float, float], kind: str) -> Markup:
    """A dot with its 95% interval on an `axis` from its low to its high end; baselines look like people."""
    low, high = axis

    def place(value: float) -> float:
        return 2 + 96 * (value - low) / (high - low)

    drawn = _LINE.format("zero", place(0), 0, place(0), 100) if low <= 0 <= high else Markup()
    if np.isfinite([found.low, found.high]).all():
        drawn += _LINE.format(f"interval {kind}", place(found.low), 50, place(found.high), 50)
    told = "model" if kind == "model" else "people"
    drawn += _dot(told, place(found.value), 50)
    return _SVG.format(name, drawn + (_dot("hole", place(found.value), 50) if kind == "model" else ""))


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
