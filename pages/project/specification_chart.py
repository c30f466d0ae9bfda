"""A specification curve: one predicted effect in every specification, sorted, over a dashboard of what each one is."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import (
    LABEL,
    LABEL_WIDTH,
    QUIET_AXIS,
    SMALL,
    cast,
    finish,
    interval,
    legend_name,
    people_text,
    signed,
)
from pages.view.charts.palette import GRID, PEOPLE, ZERO
from pages.view.charts.plotly_text import plain_text, wrapped
from socrates_core.projects.specification_curves import EffectCurve

DIMENSIONS = {
    "model": "Model",
    "precision": "Number format",
    "decoding": "Decoding",
    "order": "Order of answers",
    "wording": "Wording",
}
TOP, GAP, HEAD, LABEL_LINE, LEVEL = 240, 26, 26, 24, 38


def figure(told: EffectCurve, *, title: str, theme: str | None = None) -> go.Figure:
    """The curve over its dashboard, in percent of the outcome's scale.

    The dashboard has the models, and what differs between specifications of one model. People's effect is a line with
    its interval as a band; the chosen specification is a filled diamond, named, with a line down through the dashboard.
    """
    rows = told.drawn.reset_index(drop=True)
    players = cast([*([PEOPLE] if told.people else []), *rows["model"]], theme)
    texts, places, depth = _dashboard(rows)
    whole = TOP + GAP + depth
    made = go.Figure()
    if told.people:
        made.add_trace(_people_line(told, len(rows), players.colours[PEOPLE]))
    for model in players.who[bool(told.people) :]:
        own = rows[rows["model"] == model]
        made.add_trace(_effects(own, players.colours[model], symbol="circle-open", size=_size(len(rows))))
    for model in rows["model"][rows["chosen"]]:
        made.add_trace(_effects(rows[rows["chosen"]], players.colours[model], symbol="diamond", size=14))
    made.add_trace(_dots(rows, places, players.ink.text))
    shapes, marked = list(_guides(told, places, players.colours[PEOPLE])), rows[rows["chosen"]]
    for at in marked.index:
        shapes.append(_down(at, players.ink.text))
        texts.append(_named(at, 100 * rows["effect"][at], len(rows)))
    made.update_xaxes(
        **QUIET_AXIS, showgrid=False, showticklabels=False, range=[0.3, len(rows) + 0.7], anchor="y2"
    )
    made.update_layout(
        yaxis={
            **QUIET_AXIS,
            "domain": [1 - TOP / whole, 1],
            "title_text": "% of the scale",
            "nticks": 6,
            "range": _span(told),
        },
        yaxis2={"domain": [0, depth / whole], "range": [depth, 0], "visible": False, "fixedrange": True},
    )
    note = f"{len(rows)} specifications, from the lowest effect to the highest"
    return finish(
        made,
        players,
        title=title,
        note=note,
        height=whole + 12,
        margin={"l": 52, "r": 14, "b": 12},
        annotations=texts,
        shapes=shapes,
    )


def _dashboard(rows: pd.DataFrame) -> tuple[list[dict[str, Any]], dict[tuple[str, str], float], int]:
    """Labels of the dimensions and levels, the depth in pixels of each level's line of dots, and the whole depth."""
    texts: list[dict[str, Any]] = []
    places: dict[tuple[str, str], float] = {}
    depth = 0
    for name, label in DIMENSIONS.items():
        levels = list(dict.fromkeys(rows.sort_values("specification")[name]))
        told_by_model = name != "model" and rows.groupby("model")[name].nunique().max() < 2
        if len(levels) < 2 or told_by_model:
            continue
        texts.append(_label(f"<b>{label}</b>", depth + 4))
        depth += HEAD
        for level in levels:
            texts.append(_label(wrapped(level, LABEL_WIDTH, most=1), depth))
            places[name, level] = depth + LABEL_LINE
            depth += LEVEL
    return texts, places, depth


def _label(text: str, depth: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": depth,
        "yref": "y2",
        "yanchor": "top",
        "align": "left",
        "showarrow": False,
        "font": LABEL,
        "borderpad": 0,
    }


def _effects(own: pd.DataFrame, colour: str, *, symbol: str, size: float) -> go.Scatter:
    """The effects of one model, or the chosen one, which the legend does not name again."""
    return go.Scatter(
        x=own.index + 1,
        y=100 * own["effect"],
        mode="markers",
        name=legend_name(own["model"].iloc[0]),
        showlegend=symbol != "diamond",
        legendgroup=own["model"].iloc[0],
        marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}},
        customdata=[_hover(row) for row in own.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
        cliponaxis=False,
    )


def _hover(row: dict[Any, Any]) -> str:
    told = [f"{label}: {row[name]}" for name, label in DIMENSIONS.items()]
    effect = (
        f"{signed(100 * row['effect'])}% of the scale{' (the chosen specification)' if row['chosen'] else ''}"
    )
    lines = [f"Specification {row['specification']}", *told, f"valid mass {row['valid_mass']:.0%}"]
    return "<br>".join(
        [plain_text(effect), *(wrapped(line, LABEL_WIDTH) for line in lines), people_text("", row["n"])]
    )


def _people_line(told: EffectCurve, n: int, colour: str) -> go.Scatter:
    people = told.people
    assert people is not None
    text = (
        f"People: {signed(100 * people.share)}% of the scale{interval(100 * people.low, 100 * people.high)}"
    )
    numbers = f"n = {people.n:,} and {people.n_reference:,} people"
    return go.Scatter(
        x=[0.3, n + 0.7],
        y=[100 * people.share] * 2,
        mode="lines",
        line={"color": colour, "width": 3},
        name=legend_name(PEOPLE),
        hovertemplate=f"{plain_text(text)}<br>{numbers}<extra></extra>",
    )


def _dots(rows: pd.DataFrame, places: dict[tuple[str, str], float], colour: str) -> go.Scatter:
    at = [
        (place + 1, places[name, level])
        for name, level in places
        for place in rows.index[rows[name] == level]
    ]
    return go.Scatter(
        x=[x for x, _ in at],
        y=[y for _, y in at],
        yaxis="y2",
        mode="markers",
        showlegend=False,
        hoverinfo="skip",
        marker={"size": _size(len(rows)) - 2, "color": colour, "opacity": 0.75},
        cliponaxis=False,
    )


def _guides(told: EffectCurve, places: dict[tuple[str, str], float], colour: str) -> Iterator[dict[str, Any]]:
    """The zero line, people's interval as a band, and a hairline along each level's dots."""
    across = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    yield {**across, "type": "line", "y0": 0, "y1": 0, "line": {"color": ZERO, "width": 1.5}}
    people = told.people
    if people and np.isfinite([people.low, people.high]).all():
        band = {"y0": 100 * people.low, "y1": 100 * people.high, "fillcolor": colour, "opacity": 0.22}
        yield {**across, "type": "rect", **band, "line": {"width": 0}}
    for y in places.values():
        yield {**across, "type": "line", "yref": "y2", "y0": y, "y1": y, "line": {"color": GRID, "width": 1}}


def _down(at: int, colour: str) -> dict[str, Any]:
    whole = {"x0": at + 1, "x1": at + 1, "yref": "paper", "y0": 0, "y1": 1, "opacity": 0.5}
    return {"type": "line", "layer": "below", **whole, "line": {"color": colour, "width": 1, "dash": "dot"}}


def _named(at: int, effect: float, n: int) -> dict[str, Any]:
    """The word "chosen" over its diamond, inside the panel."""
    side = {0: "left", n - 1: "right"}.get(at, "center")
    return {
        "text": "chosen",
        "x": at + 1,
        "y": effect,
        "xanchor": side,
        "yshift": 9,
        "yanchor": "bottom",
        "showarrow": False,
        "font": SMALL,
    }


def _size(n: int) -> float:
    """A marker that leaves its neighbours room on a narrow screen."""
    return float(np.clip(300 / max(n, 1), 4, 10))


def _span(told: EffectCurve) -> list[float]:
    people = told.people
    ends = [0.0, *told.drawn["effect"], *((people.share, people.low, people.high) if people else ())]
    low, high = 100 * float(np.nanmin(ends)), 100 * float(np.nanmax(ends))
    room = 0.1 * ((high - low) or 1.0)
    return [low - room, high + room]
