"""Dots with intervals on one axis, a row under its label: shares of a yes/no answer, effects, and scores."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import (
    ZERO_LINE,
    across,
    at_right,
    depth_axis,
    finish,
    hovered,
    label,
    span,
    upright,
)
from pages.view.charts.palette import BASELINES, PEOPLE, Legend, legend_of, who_label
from pages.view.charts.plotly_text import (
    LABEL_WIDTH,
    interval,
    legend_name,
    people_text,
    percent,
    plain_text,
    signed,
    wrapped,
)

LINE, LABEL_LINE, BETWEEN = 20, 17, 14
CALIBRATED = "calibrated"  # comes after the one model of its chart, in its colour
INNER = ("50", "80")  # its intervals inside the one of 90%
_CALIBRATED = "Calibrated, 90% interval for people’s true effect"


@dataclass(frozen=True)
class Dot:
    """One figure of one `who`: its value, its interval (NaN without one), how it reads, and what the cursor shows.

    `inner` are intervals inside that one, the narrowest first.
    """

    who: str
    value: float
    low: float
    high: float
    text: str
    hover: str
    inner: tuple[tuple[float, float], ...] = ()

    @property
    def has_interval(self) -> bool:
        return bool(np.isfinite([self.low, self.high]).all())


@dataclass(frozen=True)
class Row:
    """The dots of one condition under its label, upright lines at `guides`; a new `group` starts with a heading."""

    group: str
    label: str
    dots: tuple[Dot, ...]
    guides: tuple[float, ...] = ()


@dataclass(frozen=True)
class Mark:
    """How the dots of one `who` look: plotly's symbol, and the width of its outline and of its interval."""

    symbol: str
    outline: float = 2.5
    interval: float = 2.5


def share_rows(frame: pd.DataFrame) -> list[Row]:
    """A row a condition from columns condition, who, share, low, high, n."""
    rows = []
    for condition, group in frame.groupby("condition", sort=False):
        dots = []
        for record in group.to_dict("records"):
            text = percent(record["share"]) + interval(100 * record["low"], 100 * record["high"])
            dots.append(_dot(record, record["share"], text, [str(condition)]))
        rows.append(Row("", str(condition), tuple(dots)))
    return rows


def effect_rows(frame: pd.DataFrame) -> list[Row]:
    """A row an outcome and condition from columns outcome, condition, who, difference, low, high, n."""
    rows = []
    for (outcome, condition), group in frame.groupby(["outcome", "condition"], sort=False):
        dots = []
        for record in group.to_dict("records"):
            text = signed(record["difference"]) + interval(record["low"], record["high"])
            dots.append(_dot(record, record["difference"], text, [str(outcome), str(condition)]))
        rows.append(Row(str(outcome), str(condition), tuple(dots), guides=(0.0,)))
    return rows


def _dot(record: Mapping[Hashable, Any], value: float, text: str, place: list[str]) -> Dot:
    """The dot of a record with columns who, low, high, n, and for a calibrated effect low_50, high_50, and so on."""
    who = str(record["who"])
    ends = [
        (float(record.get(f"low_{name}", np.nan)), float(record.get(f"high_{name}", np.nan)))
        for name in INNER
    ]
    inner = tuple(pair for pair in ends if np.isfinite(pair).all())
    lines = [wrapped(name, LABEL_WIDTH) for name in place if name]
    if who == CALIBRATED:
        narrower = [f"{name}%{interval(*pair)}" for name, pair in zip(INNER, inner, strict=False)]
        lines += [f"Calibrated: {plain_text(text)} (90%)", plain_text(", ".join(narrower))]
    else:
        lines.append(f"{plain_text(who_label(who))}: {plain_text(text)}")
    lines.append(people_text(who, record["n"], record.get("n_profiles", np.nan)))
    return Dot(
        who, float(value), float(record["low"]), float(record["high"]), text, "<br>".join(lines), inner
    )


def figure(
    rows: list[Row], *, title: str, note: str, axis: str, theme: str | None, share: bool = False
) -> go.Figure:
    """Rows of shares in [0, 1], or of effects around a zero line."""
    dots = [dot for row in rows for dot in row.dots]
    legend = _legend([dot.who for dot in dots], theme)
    settings: dict[str, Any] = {"title_text": plain_text(axis), "range": [0, 1]}
    if share:
        settings |= {"tickformat": ".0%", "dtick": 0.25}
    else:
        settings["range"] = span([0.0, *(end for dot in dots for end in (dot.value, dot.low, dot.high))])
    marks = {who: _mark(who) for who in legend.who}
    return draw(rows, legend, marks, title=title, note=note, axis=settings, guide=ZERO_LINE, theme=theme)


def draw(
    rows: Sequence[Row],
    legend: Legend,
    marks: Mapping[str, Mark],
    *,
    title: str,
    axis: Mapping[str, Any],
    guide: Mapping[str, Any],
    theme: str | None,
    note: str = "",
) -> go.Figure:
    """Rows from top to bottom, labelled above their dots, with their figures in a column on the right.

    `axis` are plotly's settings of the x axis, `guide` those of the rows' upright lines.
    """
    texts: list[dict[str, Any]] = []
    shapes: list[dict[str, Any]] = []
    placed: list[tuple[float, Dot]] = []
    depth = 4.0
    groups = list(dict.fromkeys(row.group for row in rows))
    group = groups[0] if len(groups) == 1 else ""
    for row in rows:
        if row.group != group:
            group = row.group
            depth = _write(texts, f"<b>{wrapped(group, LABEL_WIDTH - 4, most=2)}</b>", depth) + 4
        depth = _write(texts, wrapped(row.label, LABEL_WIDTH, most=2), depth)
        bottom = depth + LINE * len(row.dots)
        # Guides go from the first dot of their row to the last, so that they cross no label.
        shapes += [upright(place, depth, bottom, guide) for place in row.guides if row.dots]
        for dot in sorted(row.dots, key=lambda dot: legend.who.index(dot.who)):
            placed.append((depth + LINE / 2, dot))
            depth += LINE
        depth += BETWEEN
    traces = [
        trace
        for who in legend.who
        for trace in _traces([(y, dot) for y, dot in placed if dot.who == who], who, legend, marks[who])
    ]
    return finish(
        go.Figure(data=traces, layout={"xaxis": {"showgrid": False, **axis}, "yaxis": depth_axis(depth)}),
        legend,
        title=title,
        note=note,
        height=int(depth),
        margin={"l": 12, "r": 128, "b": 52},
        theme=theme,
        annotations=[*texts, *(at_right(dot.text, y) for y, dot in placed)],
        shapes=[*(across(y) for y, _ in placed), *shapes],
    )


def _legend(who: list[str], theme: str | None) -> Legend:
    """Everybody in the chart; calibrated effects come after their model and share its colour."""
    legend = legend_of([name for name in who if name != CALIBRATED], theme)
    if CALIBRATED not in who:
        return legend
    colours = {**legend.colours, CALIBRATED: legend.colours[legend.who[-1]]}
    return replace(legend, who=(*legend.who, CALIBRATED), colours=colours)


def _mark(who: str) -> Mark:
    if who == PEOPLE:
        return Mark("circle", outline=0)
    if who in BASELINES:
        return Mark("line-ns-open", outline=1.5)
    return Mark("diamond-open", interval=1.5) if who == CALIBRATED else Mark("circle-open")


def _write(texts: list[dict[str, Any]], text: str, depth: float) -> float:
    """Writes a label at the left edge; the depth below it."""
    texts.append(label(text, depth))
    return depth + LABEL_LINE * (text.count("<br>") + 1) + 4


def _traces(placed: list[tuple[float, Dot]], who: str, legend: Legend, mark: Mark) -> Iterator[go.Scatter]:
    """The intervals of one `who` as lines, then its dots."""
    colour = legend.colours[who]
    spans = [(y, dot.low, dot.high) for y, dot in placed if dot.has_interval]
    if spans:
        yield _lines(spans, who, colour, width=mark.interval)
    for place, width in enumerate((10, 5)):
        inner = [(y, *dot.inner[place]) for y, dot in placed if len(dot.inner) > place]
        if inner:
            yield _lines(inner, who, colour, width=width, opacity=0.45)
    yield go.Scatter(
        x=[dot.value for _, dot in placed],
        y=[y for y, _ in placed],
        mode="markers",
        marker={
            "symbol": mark.symbol,
            "size": 11,
            "color": colour,
            "line": {"width": mark.outline},
        },
        name=_CALIBRATED if who == CALIBRATED else legend_name(who),
        legendgroup=who,
        cliponaxis=False,
        **hovered([dot.hover for _, dot in placed]),
    )


def _lines(
    spans: list[tuple[float, float, float]], who: str, colour: str, *, width: float, opacity: float = 1
) -> go.Scatter:
    """Intervals (depth, low, high) as lines of one thickness."""
    return go.Scatter(
        x=[end for _, low, high in spans for end in (low, high, None)],
        y=[end for y, _, _ in spans for end in (y, y, None)],
        mode="lines",
        line={"color": colour, "width": width},
        opacity=opacity,
        hoverinfo="skip",
        showlegend=False,
        legendgroup=who,
    )
