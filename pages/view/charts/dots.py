"""Dots with intervals on one axis: shares of a yes/no answer, and effects around a zero line."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import (
    LABEL,
    LABEL_WIDTH,
    QUIET_AXIS,
    SMALL,
    Cast,
    cast,
    finish,
    interval,
    legend_name,
    people_text,
    percent,
    signed,
)
from pages.view.charts.palette import BASELINES, GRID, PEOPLE, ZERO, who_label
from pages.view.charts.plotly_text import plain_text, wrapped

LINE, LABEL_LINE, BETWEEN = 20, 17, 14
CALIBRATED = "calibrated"  # stands beside the one model of its chart, in its colour
INNER = ("50", "80")  # its intervals inside the one of 90%
_CALIBRATED = "Calibrated, 90% interval for people’s true effect"


@dataclass(frozen=True)
class Dot:
    """One figure of one `who`: where it stands, its interval (NaN without one), how it reads.

    `inner` are intervals inside that one, the narrowest first.
    """

    who: str
    value: float
    low: float
    high: float
    text: str
    n: float
    inner: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Row:
    """The dots of one condition under its label; a new `group` starts with a heading."""

    group: str
    label: str
    dots: tuple[Dot, ...]


def share_rows(frame: pd.DataFrame) -> list[Row]:
    """A row a condition from columns condition, who, share, low, high, n."""
    return [
        Row(
            "",
            str(condition),
            tuple(_dot(told, "share", percent, scale=100) for told in own.to_dict("records")),
        )
        for condition, own in frame.groupby("condition", sort=False)
    ]


def effect_rows(frame: pd.DataFrame) -> list[Row]:
    """A row an outcome and condition from columns outcome, condition, who, difference, low, high, n."""
    return [
        Row(
            str(outcome),
            str(condition),
            tuple(_dot(told, "difference", signed) for told in own.to_dict("records")),
        )
        for (outcome, condition), own in frame.groupby(["outcome", "condition"], sort=False)
    ]


def _dot(told: dict[Hashable, Any], column: str, render: Callable[[float], str], *, scale: float = 1) -> Dot:
    low, high = float(told["low"]), float(told["high"])
    value = float(told[column])
    ends = [
        (float(told.get(f"low_{name}", np.nan)), float(told.get(f"high_{name}", np.nan))) for name in INNER
    ]
    inner = tuple(pair for pair in ends if np.isfinite(pair).all())
    text = render(value) + interval(low * scale, high * scale)
    return Dot(str(told["who"]), value, low, high, text, told["n"], inner)


def figure(
    rows: list[Row], *, title: str, note: str, axis: str, theme: str | None, share: bool = False
) -> go.Figure:
    """Rows from top to bottom, labelled above their dots, with their figures in a column on the right."""
    players = _cast([dot.who for row in rows for dot in row.dots], theme)
    made = go.Figure()
    texts: list[dict[str, Any]] = []
    depth = 4.0
    placed: list[tuple[float, Row, Dot]] = []
    groups = list(dict.fromkeys(row.group for row in rows))
    group = "" if len(groups) > 1 else (groups[0] if groups else "")
    for row in rows:
        if row.group != group:
            group = row.group
            depth = _label(texts, f"<b>{wrapped(group, LABEL_WIDTH - 4, most=2)}</b>", depth) + 4
        depth = _label(texts, wrapped(row.label, LABEL_WIDTH, most=2), depth)
        for dot in sorted(row.dots, key=lambda dot: players.who.index(dot.who)):
            placed.append((depth + LINE / 2, row, dot))
            depth += LINE
        depth += BETWEEN
    for who in players.who:
        made.add_traces(list(_traces([each for each in placed if each[2].who == who], who, players)))
    shapes = list(_guides([[y for y, of, _ in placed if of is row] for row in rows], share=share))
    for y, _, dot in placed:
        texts.append(
            {
                "text": plain_text(dot.text),
                "x": 1,
                "xref": "paper",
                "xanchor": "left",
                "xshift": 8,
                "y": y,
                "yanchor": "middle",
                "showarrow": False,
                "font": SMALL,
            }
        )
    _axes(made, [dot for _, _, dot in placed], depth, axis, share=share)
    margin = {"l": 12, "r": 128, "b": 52}
    return finish(
        made,
        players,
        title=title,
        note=note,
        height=int(depth) + 52,
        margin=margin,
        annotations=texts,
        shapes=shapes,
    )


def _cast(who: list[str], theme: str | None) -> Cast:
    """Everybody in the chart; calibrated effects come after their model and share its colour."""
    players = cast([name for name in who if name != CALIBRATED], theme)
    if CALIBRATED not in who:
        return players
    model = players.who[-1]
    return Cast(
        (*players.who, CALIBRATED), {**players.colours, CALIBRATED: players.colours[model]}, players.ink
    )


def _label(texts: list[dict[str, Any]], text: str, depth: float) -> float:
    """Writes a label at the left edge; the depth below it."""
    texts.append(
        {
            "text": text,
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "y": depth,
            "yanchor": "top",
            "align": "left",
            "showarrow": False,
            "font": LABEL,
            "borderpad": 0,
        }
    )
    return depth + LABEL_LINE * (text.count("<br>") + 1) + 4


def _traces(placed: list[tuple[float, Row, Dot]], who: str, players: Cast) -> Iterator[go.Scatter]:
    """The intervals of one `who` as lines, then its dots."""
    colour = players.colours[who]
    spans = [(y, dot) for y, _, dot in placed if np.isfinite([dot.low, dot.high]).all()]
    if spans:
        yield _lines(
            [(y, dot.low, dot.high) for y, dot in spans], who, colour, width=1.5 if who == CALIBRATED else 2.5
        )
    for place, width in enumerate((10, 5)):
        inner = [(y, *dot.inner[place]) for y, _, dot in placed if len(dot.inner) > place]
        if inner:
            yield _lines(inner, who, colour, width=width, opacity=0.45)
    yield go.Scatter(
        x=[dot.value for _, _, dot in placed],
        y=[y for y, _, _ in placed],
        mode="markers",
        marker=_marker(who, colour),
        name=_CALIBRATED if who == CALIBRATED else legend_name(who),
        legendgroup=who,
        customdata=[_hover(row, dot) for _, row, dot in placed],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
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


def _marker(who: str, colour: str) -> dict[str, Any]:
    if who == PEOPLE:
        return {"symbol": "circle", "size": 11, "color": colour}
    symbol = "line-ns-open" if who in BASELINES else "diamond-open" if who == CALIBRATED else "circle-open"
    return {
        "symbol": symbol,
        "size": 11,
        "color": colour,
        "line": {"width": 1.5 if who in BASELINES else 2.5},
    }


def _hover(row: Row, dot: Dot) -> str:
    named = [wrapped(text, LABEL_WIDTH) for text in (row.group, row.label) if text]
    if dot.who == CALIBRATED:
        inner = [f"{name}%{interval(*ends)}" for name, ends in zip(INNER, dot.inner, strict=False)]
        told = [f"Calibrated: {plain_text(dot.text)} (90%)", plain_text(", ".join(inner))]
    else:
        told = [f"{plain_text(who_label(dot.who))}: {plain_text(dot.text)}"]
    return "<br>".join([*named, *told, people_text(dot.who, dot.n)])


def _axes(made: go.Figure, dots: list[Dot], depth: float, axis: str, *, share: bool) -> None:
    made.update_yaxes(range=[depth, 0], visible=False, fixedrange=True)
    made.update_xaxes(**QUIET_AXIS, showgrid=False, title_text=plain_text(axis))
    if share:
        made.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
        return
    ends = np.array([[dot.value, dot.low, dot.high] for dot in dots] or [[0.0]], dtype=float)
    low, high = min(0.0, float(np.nanmin(ends))), max(0.0, float(np.nanmax(ends)))
    room = 0.08 * ((high - low) or 1.0)
    made.update_xaxes(range=[low - room, high + room], nticks=6)


def _guides(rows: list[list[float]], *, share: bool) -> Iterator[dict[str, Any]]:
    """A hairline along every dot and, for effects, the zero line of every row; labels stay uncrossed."""
    line = {"type": "line", "layer": "below"}
    for heights in rows:
        for y in heights:
            across = {"xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
            yield {**line, **across, "line": {"color": GRID, "width": 1}}
        if not share and heights:
            down = {"x0": 0, "x1": 0, "y0": heights[0] - LINE / 2, "y1": heights[-1] + LINE / 2}
            yield {**line, **down, "line": {"color": ZERO, "width": 1.5}}
