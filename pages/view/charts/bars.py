"""Ordered bars: the spread of answers over a scale, a panel for each condition on shared axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.axis_slots import Slots, find_slots
from pages.view.charts.layout import error_bars, finish, hovered
from pages.view.charts.palette import BASELINES, DASHES, PEOPLE, Legend, legend_of, who_label
from pages.view.charts.plotly_text import (
    LABEL_WIDTH,
    interval,
    legend_name,
    people_text,
    percent,
    plain_text,
    wrapped,
)
from socrates_core.analysis.intervals import SampleSize, shares_with_intervals
from socrates_core.records import Floats, Scale

PANEL = 130


@dataclass(frozen=True)
class Series:
    """The shares [b] of one `who` in one condition, with intervals [b] (NaN without), from `n` people.

    Simulated people have `n_profiles` distinct profiles, NaN where that is not shown.
    """

    condition: str
    who: str
    share: Floats
    low: Floats
    high: Floats
    n: float
    n_profiles: float = np.nan


def figure(rows: pd.DataFrame, *, scale: Scale, title: str, note: str, theme: str | None) -> go.Figure:
    """The panels of `answer_charts.distribution`."""
    slots = find_slots(scale, sorted(set(rows["value"])))
    legend = legend_of(rows["who"], theme)
    drawn = [_series(group, slots) for _, group in rows.groupby(["condition", "who"], sort=False)]
    panels = list(dict.fromkeys(series.condition for series in drawn))
    heading = 38 + 17 * any("<br>" in _heading(panel) for panel in panels)
    gap = heading + 24
    inner = len(panels) * (PANEL + gap) - gap
    named: set[str] = set()
    traces = []
    # In the order of the legend, which takes a name from the first trace that has it.
    for series in sorted(drawn, key=lambda series: legend.who.index(series.who)):
        number = _number(panels.index(series.condition))
        placed = {"xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": series.who not in named}
        traces.append({**_trace(series, slots, legend), **placed})
        named.add(series.who)
    heads = [
        _panel_head(number, [series for series in drawn if series.condition == condition])
        for number, condition in enumerate(panels)
    ]
    most = max(float(np.nanmax([series.share, np.nan_to_num(series.high)])) for series in drawn)
    lows = range(inner - PANEL, -1, -PANEL - gap)
    axes = _axes(slots, [(low / inner, (low + PANEL) / inner) for low in lows], most)
    bottom = 44 + 15 * max(text.count("<br>") + 1 for text in slots.ticks[1])
    margin = {"l": 52, "r": 36 if slots.binned else 12, "b": bottom}
    return finish(
        go.Figure(data=traces, layout=axes),
        legend,
        title=title,
        note=note,
        height=inner,
        margin=margin,
        theme=theme,
        above=heading,
        annotations=heads,
    )


def _series(rows: pd.DataFrame, slots: Slots) -> Series:
    """The rows of one `who` in one condition by slot; the intervals of bins come from people's counts."""
    first = rows.iloc[0]
    n = float(rows["n"].max())
    at = [slots.of_value[value] for value in rows["value"]]
    share = np.bincount(at, weights=rows["share"], minlength=len(slots.names)).astype(np.float64)
    low, high = np.full(share.shape, np.nan), np.full(share.shape, np.nan)
    if not slots.binned:
        low[at], high[at] = rows["low"], rows["high"]
    elif first["who"] == PEOPLE:
        # People who count for more or fewer than themselves have no whole counts to go back to.
        effective = float(rows["n_effective"].max()) if "n_effective" in rows else np.nan
        size = SampleSize(int(n), effective) if np.isfinite(effective) else None
        binned = shares_with_intervals(np.round(share * n) if size is None else share * n, size)
        low, high = binned.low, binned.high
    n_profiles = float(rows["n_profiles"].max()) if "n_profiles" in rows else np.nan
    return Series(str(first["condition"]), str(first["who"]), share, low, high, n, n_profiles)


def _trace(series: Series, slots: Slots, legend: Legend) -> dict[str, Any]:
    """People as filled bars with intervals, predictions as hollow ones, baselines as a thin line."""
    who = series.who
    colour = legend.colours[series.who]
    shared: dict[str, Any] = {
        "x": slots.places,
        "y": series.share,
        "name": legend_name(who),
        "legendgroup": who,
        **hovered(_hover(series, slots)),
    }
    if who in BASELINES:
        line = {"color": colour, "width": 1.5, "dash": DASHES[who]}
        return {"type": "scatter", **shared, "mode": "lines", "line": line}
    if who == PEOPLE:
        error = error_bars(series.share, series.low, series.high, colour=legend.ink.line, thickness=1.4)
        whole = {"width": 0.9 * slots.width, "offset": -0.45 * slots.width} if slots.binned else {}
        marker = {"color": colour, "line": {"width": 0}}
        return {"type": "bar", **shared, **whole, "marker": marker, "error_y": error}
    if slots.binned:
        line = {"color": colour, "width": 2, "shape": "hvh"}
        return {"type": "scatter", **_outline(shared, slots), "mode": "lines", "line": line}
    marker = {"color": _faded(colour), "line": {"color": colour, "width": 1.6}}
    return {"type": "bar", **shared, "marker": marker}


def _outline(shared: dict[str, Any], slots: Slots) -> dict[str, Any]:
    """The same bins as the ends of steps, extended to the edges of the scale."""
    half = slots.width / 2
    x, y, texts = shared["x"], shared["y"], shared["customdata"]
    return shared | {
        "x": [x[0] - half, *x, x[-1] + half],
        "y": [y[0], *y, y[-1]],
        "customdata": [texts[0], *texts, texts[-1]],
    }


def _hover(series: Series, slots: Slots) -> list[str]:
    who = plain_text(who_label(series.who))
    size = people_text(series.who, series.n, series.n_profiles)
    return [
        f"{wrapped(series.condition, LABEL_WIDTH)}<br>{wrapped(name, LABEL_WIDTH)}<br>"
        f"{who}: {plain_text(percent(share) + interval(100 * low, 100 * high))}<br>{size}"
        for name, share, low, high in zip(slots.names, series.share, series.low, series.high, strict=True)
    ]


def _heading(condition: str) -> str:
    return wrapped(condition, LABEL_WIDTH - 4, most=2)


def _number(panel: int) -> str:
    """How plotly numbers the axes of a panel, counted from 0."""
    return str(panel + 1) if panel else ""


def _panel_head(number: int, panel: list[Series]) -> dict[str, Any]:
    """The condition over its panel, with the numbers of people and of simulated people."""
    first = panel[0]
    counts = dict.fromkeys(
        people_text(series.who, series.n, series.n_profiles)
        for series in panel
        if series.who not in BASELINES
    )
    small = f'<span style="font-size:12px">{" · ".join(counts)}</span>'
    return {
        "text": f"<b>{_heading(first.condition)}</b><br>{small}",
        "xref": "paper",
        "x": 0,
        "yref": f"y{_number(number)} domain",
        "y": 1,
        "yanchor": "bottom",
    }


def _axes(slots: Slots, rows: list[tuple[float, float]], most: float) -> dict[str, Any]:
    """The axes of panels in `rows`, which are shares of the height from and to; the lowest names the ticks.

    All of them are set at once, since plotly checks every axis again for each change.
    """
    places, texts = slots.ticks
    ends = [slots.places[0] - 0.55 * slots.width, slots.places[-1] + 0.55 * slots.width]
    across = {
        "showgrid": False,
        "showticklabels": True,  # else plotly hides those of all panels but one, as their axes match
        "tickmode": "array",
        "tickvals": places,
        "tickangle": 0,
        "ticktext": [text.split("<br>")[0] for text in texts],
        "ticklabeloverflow": "allow",
        "range": ends,
        "domain": [0, 1],
    }
    up = {"tickformat": ".0%", "nticks": 4, "range": [0, 1.05 * most]}
    axes: dict[str, Any] = {}
    for panel, row in enumerate(rows):
        number = _number(panel)
        axes[f"xaxis{number}"] = across | {"anchor": f"y{number}", "matches": f"x{_number(len(rows) - 1)}"}
        axes[f"yaxis{number}"] = up | {"anchor": f"x{number}", "domain": row}
    last, middle = f"xaxis{number}", f"yaxis{_number((len(rows) - 1) // 2)}"
    share = f"Share per {slots.width:g} points" if slots.binned else "Share of answers"
    axes[last] |= {"matches": None, "ticktext": texts, "title": {"text": slots.axis}}
    axes[middle] |= {"title": {"text": share}}
    return axes


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.22)"
