"""Ordered bars: how answers are spread over a scale, a panel a condition on shared axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.view.layout import (
    LABEL,
    LABEL_WIDTH,
    QUIET_AXIS,
    Cast,
    cast,
    finish,
    interval,
    legend_name,
    people_text,
    percent,
)
from pages.view.palette import BASELINES, PEOPLE, who_label
from pages.view.plain import plain_text, wrapped
from pages.view.slots import Slots, find_slots
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.records import Floats, Scale

PANEL = 130


@dataclass(frozen=True)
class Series:
    """The shares [b] of one `who` in one condition, with intervals [b] (NaN without), from `n` people."""

    condition: str
    who: str
    share: Floats
    low: Floats
    high: Floats
    n: float


def figure(rows: pd.DataFrame, *, scale: Scale, title: str, note: str, theme: str | None) -> go.Figure:
    """The panels of `charts.distribution`."""
    slots = find_slots(scale, sorted(set(rows["value"])))
    players = cast(list(rows["who"]), theme)
    drawn = [_series(own, slots) for _, own in rows.groupby(["condition", "who"], sort=False)]
    panels = list(dict.fromkeys(series.condition for series in drawn))
    heading = 38 + 17 * any("<br>" in _heading(panel) for panel in panels)
    gap = heading + 24
    inner = len(panels) * (PANEL + gap) - gap
    made = make_subplots(
        rows=len(panels), shared_xaxes=True, vertical_spacing=gap / inner if len(panels) > 1 else 0
    )
    named: set[str] = set()
    for series in sorted(drawn, key=lambda series: players.who.index(series.who)):
        trace = _trace(series, slots, players).update(showlegend=series.who not in named)
        made.add_trace(trace, row=panels.index(series.condition) + 1, col=1)
        named.add(series.who)
    heads = [
        _panel_head(number, [series for series in drawn if series.condition == condition])
        for number, condition in enumerate(panels)
    ]
    most = max(float(np.nanmax([series.share, np.nan_to_num(series.high)])) for series in drawn)
    _axes(made, slots, len(panels), most)
    bottom = 44 + 15 * max(text.count("<br>") + 1 for text in slots.ticks[1])
    margin = {"l": 52, "r": 36 if slots.binned else 12, "b": bottom}
    return finish(
        made,
        players,
        title=title,
        note=note,
        height=inner + bottom,
        margin=margin,
        above=heading,
        annotations=heads,
    )


def _series(own: pd.DataFrame, slots: Slots) -> Series:
    """One group of rows by slot; the intervals of bins are worked out again from people's counts."""
    first, n = own.iloc[0], float(own["n"].max())
    at = [slots.of_value[value] for value in own["value"]]
    share = np.bincount(at, weights=own["share"], minlength=len(slots.names)).astype(np.float64)
    low, high = np.full(share.shape, np.nan), np.full(share.shape, np.nan)
    if not slots.binned:
        low[at], high[at] = own["low"], own["high"]
    elif first["who"] == PEOPLE:
        found = shares_with_intervals(np.round(share * n))
        low, high = found.low, found.high
    return Series(str(first["condition"]), str(first["who"]), share, low, high, n)


def _trace(series: Series, slots: Slots, players: Cast) -> go.Bar | go.Scatter:
    """People as filled bars with intervals, predictions as hollow ones, baselines as a thin line."""
    who, colour = series.who, players.colours[series.who]
    shared: dict[str, Any] = {
        "x": slots.places, "y": series.share, "customdata": _hover(series, slots), "name": legend_name(who),
        "legendgroup": who, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    if who in BASELINES:
        dash = ("dot", "dash", "dashdot", "longdash")[list(BASELINES).index(who)]
        return go.Scatter(**shared, mode="lines", line={"color": colour, "width": 1.5, "dash": dash})
    if who == PEOPLE:
        error = {
            "array": np.nan_to_num(series.high - series.share), "symmetric": False,
            "arrayminus": np.nan_to_num(series.share - series.low),
            "color": players.ink.line, "thickness": 1.4, "width": 0,
        }  # fmt: skip
        whole = {"width": 0.9 * slots.width, "offset": -0.45 * slots.width} if slots.binned else {}
        return go.Bar(**shared, **whole, marker={"color": colour, "line": {"width": 0}}, error_y=error)
    if slots.binned:
        return go.Scatter(
            **_outline(shared, slots), mode="lines", line={"color": colour, "width": 2, "shape": "hvh"}
        )
    return go.Bar(**shared, marker={"color": _faded(colour), "line": {"color": colour, "width": 1.6}})


def _outline(shared: dict[str, Any], slots: Slots) -> dict[str, Any]:
    """The same bins as the ends of steps, drawn out to the edges of the scale."""
    half = slots.width / 2
    x, y, told = shared["x"], shared["y"], shared["customdata"]
    return shared | {
        "x": [x[0] - half, *x, x[-1] + half], "y": [y[0], *y, y[-1]], "customdata": [told[0], *told, told[-1]],
    }  # fmt: skip


def _hover(series: Series, slots: Slots) -> list[str]:
    who = plain_text(who_label(series.who))
    return [
        f"{wrapped(series.condition, LABEL_WIDTH)}<br>{wrapped(name, LABEL_WIDTH)}<br>"
        f"{who}: {plain_text(percent(share) + interval(100 * low, 100 * high))}<br>{people_text(series.who, series.n)}"
        for name, share, low, high in zip(slots.names, series.share, series.low, series.high, strict=True)
    ]


def _heading(condition: str) -> str:
    return wrapped(condition, LABEL_WIDTH - 4, most=2)


def _panel_head(number: int, panel: list[Series]) -> dict[str, Any]:
    """The condition over its panel, with how many people and how many personas answered."""
    first = panel[0]
    counts = dict.fromkeys(
        people_text(series.who, series.n) for series in panel if series.who not in BASELINES
    )
    small = f'<span style="font-size:12px">{" · ".join(counts)}</span>'
    return {
        "text": f"<b>{_heading(first.condition)}</b><br>{small}", "font": LABEL, "showarrow": False, "align": "left",
        "xref": "paper", "x": 0, "xanchor": "left", "yref": f"y{number + 1 if number else ''} domain", "y": 1,
        "yanchor": "bottom",
    }  # fmt: skip


def _axes(made: go.Figure, slots: Slots, n_panels: int, most: float) -> None:
    places, texts = slots.ticks
    ends = [slots.places[0] - 0.55 * slots.width, slots.places[-1] + 0.55 * slots.width]
    made.update_xaxes(
        **QUIET_AXIS, showgrid=False, showticklabels=True, tickmode="array", tickvals=places, tickangle=0,
        ticktext=[text.split("<br>")[0] for text in texts], ticklabeloverflow="allow", range=ends,
    )  # fmt: skip
    made.update_xaxes(ticktext=texts, title_text=slots.axis, row=n_panels)
    made.update_yaxes(**QUIET_AXIS, tickformat=".0%", nticks=4, range=[0, 1.05 * most])
    made.update_yaxes(
        title_text=f"Share per {slots.width:g} points" if slots.binned else "Share of answers",
        row=(n_panels + 1) // 2,
    )


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.22)"
