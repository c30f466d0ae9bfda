"""The topic map as a chart: a point a study or a question, coloured by a facet."""

from collections.abc import Sequence
from itertools import product

import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.palette import ink
from pages.view.charts.plotly_text import plain_text, wrapped
from pages.view.charts.template import template

# Okabe and Ito (2008) without black; what comes after six is grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OTHER = "all others"
MOST_LABELS = 20  # studies that are labelled one by one, where there is room; of more, the groups are
# Pixels: a unit of the map on a screen 390 wide, a letter and a line of a label, and what a point takes around it.
UNIT, LETTER, LINE, POINT = 160, 6.6, 15, 9
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")


def topic_map(points: pd.DataFrame, *, title: str, theme: str | None) -> go.Figure:
    """Points with columns x, y, kind, title, group, corpus, kept, size, hover and place; a click returns its place.

    The six most frequent groups have a colour each, the others are grey; points that are not `kept` are faint and
    cannot be clicked. Corpora have symbols of their own. Of up to MOST_LABELS studies those are named that have room;
    of more studies, or questions, the groups are named where most of their points are.
    """
    neutral = ink(theme)
    corpora = sorted(points["corpus"].unique())
    symbol = {name: SYMBOLS[at % len(SYMBOLS)] for at, name in enumerate(corpora)}
    kept = points[points["kept"]]
    common = list(kept["group"].value_counts().index)
    named = sorted(common[: len(COLOURS)])
    figure = go.Figure()
    faint = points[~points["kept"]]
    if len(faint):
        figure.add_scatter(
            x=faint["x"],
            y=faint["y"],
            mode="markers",
            hoverinfo="skip",
            showlegend=False,
            marker={"size": 5, "color": neutral.faint, "opacity": 0.25},
        )
    groups = kept["group"].where(kept["group"].isin(named), OTHER)
    labelled = len(kept) <= MOST_LABELS and (kept["kind"] == "study").all()
    labels = pd.Series([wrapped(title, 22, most=1) for title in kept["title"]], index=kept.index)
    positions = label_places(kept["x"].tolist(), kept["y"].tolist(), labels.tolist()) if labelled else []
    places = pd.Series(positions or [""] * len(kept), index=kept.index, dtype=object)
    for name in [*named, *([OTHER] if (groups == OTHER).any() else [])]:
        of_group = kept[groups == name]
        colour = neutral.faint if name == OTHER else COLOURS[named.index(name)]
        figure.add_scatter(
            x=of_group["x"],
            y=of_group["y"],
            mode="markers+text" if labelled else "markers",
            text=labels[of_group.index].where(places[of_group.index] != "", ""),
            textposition=places[of_group.index].where(places[of_group.index] != "", "top center"),
            textfont={"size": 12},
            name=f"{wrapped(name, 34, most=1)} ({len(of_group):,})",
            customdata=of_group[["place", "hover"]].to_numpy(),
            hovertemplate="%{customdata[1]}<extra></extra>",
            marker={
                "size": of_group["size"],
                "color": colour,
                "opacity": 0.85,
                "symbol": [symbol[corpus] for corpus in of_group["corpus"]],
                "line": {"width": 0.6, "color": neutral.line},
            },
        )
    if not labelled:
        for name in named:
            of_group = kept[groups == name]
            figure.add_annotation(
                x=of_group["x"].median(),
                y=of_group["y"].median(),
                text=f"<b>{wrapped(name, 24)}</b>",
                showarrow=False,
                font={"size": 13, "color": neutral.text},
            )
    quiet = {"visible": False, "range": [-1.1, 1.1], "fixedrange": False}
    return figure.update_layout(
        template=template(theme),
        xaxis=quiet,
        yaxis={**quiet, "scaleanchor": "x"},
        height=640,
        margin={"l": 0, "r": 0, "t": 8, "b": 8, "autoexpand": True},
        legend={"y": 0},
        dragmode="pan",
        showlegend=True,
        clickmode="event+select",
        meta=title,
    )


def label_places(x: Sequence[float], y: Sequence[float], labels: Sequence[str]) -> list[str]:
    """The position of each point's label, such as "top center"; empty if there is no room for it.

    On a narrow screen no label covers another label or a point, or leaves the map. A wide screen has more room.
    """
    points = [(UNIT * here, UNIT * there) for here, there in zip(x, y, strict=True)]
    taken = [(px - POINT, py - POINT, px + POINT, py + POINT) for px, py in points]
    positions = []
    for (px, py), label in zip(points, labels, strict=True):
        width = LETTER * len(label)
        begins = {"center": px - width / 2, "right": px, "left": px - width}
        bottoms = {"top": py + POINT, "bottom": py - POINT - LINE}
        boxes = {
            f"{up} {side}": (begins[side], bottoms[up], begins[side] + width, bottoms[up] + LINE)
            for up, side in product(bottoms, begins)
        }
        free = (
            place
            for place, (left, low, right, high) in boxes.items()
            if abs(left) <= 1.1 * UNIT >= abs(right)
            and not any(
                left < r and other_left < right and low < h and b < high for other_left, b, r, h in taken
            )
        )
        place = next(free, "")
        if place:
            taken.append(boxes[place])
        positions.append(place)
    return positions


def hover(title: str, label: str, group: str) -> str:
    """The hover text of a point: its study, its question if it is one, and its group."""
    lines = [f"<b>{wrapped(title, 46)}</b>"]
    if label != title:
        lines.append(wrapped(label, 46, most=5))
    return "<br>".join([*lines, plain_text(group)])
