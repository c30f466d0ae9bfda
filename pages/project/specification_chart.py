"""A specification curve: the predicted effect in every specification, sorted, over a dashboard of their settings."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import ZERO_LINE, across, depth_axis, finish, hovered, label, span, upright
from pages.view.charts.palette import PEOPLE, legend_of
from pages.view.charts.plotly_text import (
    LABEL_WIDTH,
    interval,
    legend_name,
    people_text,
    plain_text,
    signed,
    wrapped,
)
from pages.view.charts.template import SMALL
from pages.view.words import percent_text
from socrates_core.projects.specification_curves import EffectCurve

DIMENSIONS = {
    "model": "Model",
    "precision": "Number format",
    "decoding": "Decoding",
    "order": "Order of answers",
    "wording": "Wording",
}
TOP, GAP, HEAD, LABEL_LINE, LEVEL = 240, 26, 26, 24, 38


def specification_curve(curve: EffectCurve, *, title: str, theme: str | None = None) -> go.Figure:
    """The curve over its dashboard, in percent of the outcome's scale.

    The dashboard shows the models, and the settings that differ between specifications of one model. People's effect is
    a line with its interval as a band. The chosen specification is a filled diamond with its name and a line downwards.
    """
    rows = curve.drawn.reset_index(drop=True)
    legend = legend_of([*([PEOPLE] if curve.people else []), *rows["model"]], theme)
    texts, places, depth = _dashboard(rows)
    height = TOP + GAP + depth
    people = [_people_line(curve, len(rows), legend.colours[PEOPLE])] if curve.people else []
    chosen = rows[rows["chosen"]]
    effects = [
        _effects(rows[rows["model"] == model], legend.colours[model], "circle-open", _size(len(rows)))
        for model in legend.who
        if model != PEOPLE
    ]
    effects += [_effects(chosen, legend.colours[model], "diamond", 14) for model in chosen["model"]]
    figure = go.Figure(data=[*people, *effects, _dots(rows, places, legend.ink.text)])
    shapes = list(_guides(curve, places, legend.colours[PEOPLE]))
    down = {"color": legend.ink.text, "width": 1, "dash": "dot"}
    for at in chosen.index:
        shapes.append({**upright(at + 1, 0, 1, down, yref="paper"), "opacity": 0.5})
        texts.append(_named(at, 100 * rows["effect"][at], len(rows)))
    figure.update_layout(
        xaxis={
            "showgrid": False,
            "showticklabels": False,
            "range": [0.3, len(rows) + 0.7],
            "anchor": "y2",
        },
        yaxis={
            "domain": [1 - TOP / height, 1],
            "title_text": "% of the scale",
            "range": _range(curve),
        },
        yaxis2={"domain": [0, depth / height], **depth_axis(depth)},
    )
    return finish(
        figure,
        legend,
        title=title,
        note=f"{len(rows)} specifications, from the lowest effect to the highest",
        height=height,
        margin={"l": 52, "r": 14, "b": 12},
        theme=theme,
        annotations=texts,
        shapes=shapes,
    )


def _dashboard(rows: pd.DataFrame) -> tuple[list[dict[str, Any]], dict[tuple[str, str], float], int]:
    """The labels, the depth in pixels of each level's line of dots, and the depth of the whole dashboard."""
    texts: list[dict[str, Any]] = []
    places: dict[tuple[str, str], float] = {}
    depth = 0
    for name, title in DIMENSIONS.items():
        levels = list(dict.fromkeys(rows.sort_values("specification")[name]))
        follows_model = name != "model" and rows.groupby("model")[name].nunique().max() < 2
        if len(levels) < 2 or follows_model:
            continue
        texts.append(label(f"<b>{title}</b>", depth + 4, yref="y2"))
        depth += HEAD
        for level in levels:
            texts.append(label(wrapped(level, LABEL_WIDTH, most=1), depth, yref="y2"))
            places[name, level] = depth + LABEL_LINE
            depth += LEVEL
    return texts, places, depth


def _effects(rows: pd.DataFrame, colour: str, symbol: str, size: float) -> go.Scatter:
    """The effects of one model; or the chosen effect, which has no legend entry of its own."""
    return go.Scatter(
        x=rows.index + 1,
        y=100 * rows["effect"],
        mode="markers",
        name=legend_name(rows["model"].iloc[0]),
        showlegend=symbol != "diamond",
        legendgroup=rows["model"].iloc[0],
        marker={"symbol": symbol, "size": size, "color": colour, "line": {"width": 2, "color": colour}},
        cliponaxis=False,
        **hovered([_hover(row) for row in rows.to_dict("records")]),
    )


def _hover(row: dict[Any, Any]) -> str:
    levels = [f"{title}: {row[name]}" for name, title in DIMENSIONS.items()]
    chosen = " (the chosen specification)" if row["chosen"] else ""
    effect = f"{signed(100 * row['effect'])}% of the scale{chosen}"
    lines = [
        f"Specification {row['specification']}",
        *levels,
        f"valid mass {percent_text(row['valid_mass'])}",
    ]
    return "<br>".join(
        [plain_text(effect), *(wrapped(line, LABEL_WIDTH) for line in lines), people_text("", row["n"])]
    )


def _people_line(curve: EffectCurve, n: int, colour: str) -> go.Scatter:
    people = curve.people
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


def _guides(
    curve: EffectCurve, places: dict[tuple[str, str], float], colour: str
) -> Iterator[dict[str, Any]]:
    """The zero line, people's interval as a band, and a hairline along each level's dots."""
    yield across(0, ZERO_LINE)
    people = curve.people
    if people and np.isfinite([people.low, people.high]).all():
        band = {"type": "rect", "fillcolor": colour, "opacity": 0.22, "line": {"width": 0}}
        yield {**across(0), **band, "y0": 100 * people.low, "y1": 100 * people.high}
    for y in places.values():
        yield across(y, yref="y2")


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
        "font": SMALL,
    }


def _size(n: int) -> float:
    """A marker size that leaves room between neighbors on a narrow screen."""
    return float(np.clip(300 / max(n, 1), 4, 10))


def _range(curve: EffectCurve) -> list[float]:
    people = curve.people
    ends = [0.0, *curve.drawn["effect"], *((people.share, people.low, people.high) if people else ())]
    return span([100 * end for end in ends], room=0.1)
