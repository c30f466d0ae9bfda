"""Ordered bars: how answers are spread over a scale, a panel a condition on shared axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pages.view.layout import (
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
)
from pages.view.palette import BASELINES, PEOPLE, who_label
from pages.view.plain import plain_text, wrapped
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.records import Floats, Number, Scale

MOST_BARS = 21
PANEL, GAP = 130, 46


@dataclass(frozen=True)
class Slots:
    """Where answers stand on the x axis: the place [b] and hover name [b] of each bar.

    `of_value` gives the slot of a value; `ticks` are the places and texts under the lowest panel.
    """

    places: Floats
    names: tuple[str, ...]
    of_value: dict[Number, int]
    ticks: tuple[Sequence[float], Sequence[str]]
    axis: str

    @property
    def binned(self) -> bool:
        return len(self.of_value) > len(self.names)


def figure(rows: pd.DataFrame, *, scale: Scale, title: str, note: str, theme: str | None) -> go.Figure:
    """The panels of `charts.distribution`."""
    slots = _slots(scale, sorted(set(rows["value"])))
    players = cast(list(rows["who"]), theme)
    conditions = list(dict.fromkeys(rows["condition"]))
    bottom = 44 + 15 * max((text.count("<br>") + 1 for text in slots.ticks[1]), default=1)
    height = max(len(conditions), 1) * (PANEL + GAP) - GAP
    made = make_subplots(rows=max(len(conditions), 1), shared_xaxes=True, vertical_spacing=GAP / height)
    for number, condition in enumerate(conditions):
        panel = rows[rows["condition"] == condition]
        for who in players.who:
            own = panel[panel["who"] == who]
            if not own.empty:
                made.add_traces(
                    _traces(own, who, condition, slots, players, first=number == 0), rows=number + 1, cols=1
                )
        _panel_head(made, number, condition, panel)
    _axes(made, rows, slots, len(conditions))
    margin = {"l": 52, "r": 12, "b": bottom}
    return finish(made, players, title=title, note=note, height=height + bottom, margin=margin, above=26)


def _slots(scale: Scale, found: list[Number]) -> Slots:
    values: list[Number] = list(scale.values) or found
    if len(values) > MOST_BARS:
        return _bins(values, scale)
    ends = (values[0], values[-1]) if values else ()
    labelled = values if len(scale.labels) <= 2 or len(values) <= 7 else ends
    room = 14 if len(scale.labels) <= 2 else max(54 // len(values), 6)
    names = [f"{value:g}" + (f" = {scale.label(value)}" if scale.label(value) else "") for value in values]
    ticks = [_tick(value, scale.label(value) if value in labelled else "", room) for value in values]
    places = np.arange(len(values), dtype=np.float64)
    return Slots(
        places, tuple(names), {value: at for at, value in enumerate(values)}, (list(places), ticks), "Answer"
    )


def _bins(values: list[Number], scale: Scale) -> Slots:
    """At most 20 bins of a round width; the highest value falls into the last."""
    low, high = float(values[0]), float(values[-1])
    widths = (lead * 10.0**power for power in range(-3, 10) for lead in (1, 2, 2.5, 5))
    width = next(width for width in widths if (high - low) / width <= 20 and width >= scale.step)
    n_bins = math.ceil((high - low) / width - 1e-9)
    of_value = {value: min(int((value - low) / width + 1e-9), n_bins - 1) for value in values}
    members = [[value for value in values if of_value[value] == each] for each in range(n_bins)]
    names = [f"{inside[0]:g} to {inside[-1]:g}" if inside else "none" for inside in members]
    at = [low + (high - low) * part / 4 for part in (range(5) if (high - low) % 4 == 0 else (0, 2, 4))]
    ticks = [_tick(value, scale.label(value), 14) for value in at]
    places: Floats = np.array([low + width * (each + 0.5) for each in range(n_bins)])
    return Slots(places, tuple(names), of_value, (at, ticks), f"Answer, in bins of {width:g}")


def _tick(value: Number, label: str, room: int) -> str:
    return f"{value:g}<br>{wrapped(label, room)}" if label else f"{value:g}"


def _traces(
    own: pd.DataFrame, who: str, condition: str, slots: Slots, players: Cast, *, first: bool
) -> list[go.Bar | go.Scatter]:
    share, low, high, n = _by_slot(own, who, slots)
    told = [wrapped(condition, LABEL_WIDTH), plain_text(who_label(who))]
    hover = [
        "<br>".join(
            [
                *told,
                f"{wrapped(name, LABEL_WIDTH)}: {plain_text(percent(s) + interval(100 * a, 100 * b))}",
                people_text(who, n),
            ]
        )
        for name, s, a, b in zip(slots.names, share, low, high, strict=True)
    ]
    shared = {
        "x": slots.places, "y": share, "name": legend_name(who), "legendgroup": who, "showlegend": first,
        "customdata": hover, "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip
    colour = players.colours[who]
    if who in BASELINES:
        dash = ["dot", "dash", "dashdot"][list(BASELINES).index(who)]
        return [go.Scatter(**shared, mode="lines", line={"color": colour, "width": 1.5, "dash": dash})]
    if who == PEOPLE:
        error = {
            "array": np.nan_to_num(high - share), "arrayminus": np.nan_to_num(share - low), "symmetric": False,
            "color": players.ink.line, "thickness": 1.4, "width": 0,
        }  # fmt: skip
        return [go.Bar(**shared, marker={"color": colour, "line": {"width": 0}}, error_y=error)]
    marker = {"color": _faded(colour), "line": {"color": colour, "width": 1.6}}
    return [go.Bar(**shared, marker=marker)]


def _by_slot(own: pd.DataFrame, who: str, slots: Slots) -> tuple[Floats, Floats, Floats, float]:
    """Share, low and high [b] of each slot, and n; the intervals of bins are worked out from their counts."""
    share = np.full(len(slots.names), np.nan)
    low, high = share.copy(), share.copy()
    n = float(own["n"].max())
    at = [slots.of_value[value] for value in own["value"]]
    if not slots.binned:
        share[at], low[at], high[at] = own["share"], own["low"], own["high"]
        return share, low, high, n
    share = np.bincount(at, weights=own["share"], minlength=len(share)).astype(float)
    if who == PEOPLE:
        found = shares_with_intervals(np.round(share * n))
        low, high = found.low, found.high
    return share, low, high, n


def _panel_head(made: go.Figure, number: int, condition: str, panel: pd.DataFrame) -> None:
    """The condition above its panel on the left, how many people on the right."""
    people = panel[panel["who"] == PEOPLE]["n"]
    name = f"x{number + 1 if number else ''} domain", f"y{number + 1 if number else ''} domain"
    place = {"xref": "paper", "yref": name[1], "y": 1, "yanchor": "bottom", "showarrow": False, "yshift": 4}
    made.add_annotation(
        text=f"<b>{wrapped(condition, 38, most=1)}</b>", x=0, xanchor="left", font=LABEL, **place
    )
    if not people.empty:
        made.add_annotation(text=f"n = {people.max():,.0f}", x=1, xanchor="right", font=SMALL, **place)


def _axes(made: go.Figure, rows: pd.DataFrame, slots: Slots, n_panels: int) -> None:
    made.update_xaxes(**QUIET_AXIS, showgrid=False, tickmode="array", tickvals=slots.ticks[0], tickangle=0)
    made.update_xaxes(ticktext=[text.split("<br>")[0] for text in slots.ticks[1]], showticklabels=True)
    made.update_xaxes(ticktext=slots.ticks[1], title_text=slots.axis, row=n_panels)
    made.update_yaxes(**QUIET_AXIS, tickformat=".0%", nticks=4, rangemode="tozero", matches="y")
    made.update_yaxes(title_text="Share of answers", row=(n_panels + 1) // 2)


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.22)"
