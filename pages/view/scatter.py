"""The topic map as a chart: a point a study or a question, coloured by a facet."""

import pandas as pd
import plotly.graph_objects as go

from pages.view.layout import FONT, SMALL
from pages.view.palette import ink
from pages.view.plain import plain_text, wrapped

# Okabe and Ito (2008) without black; what comes after six is grey.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
OTHER = "all others"
MOST_LABELS = 20
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "x")


def topic_map(points: pd.DataFrame, *, title: str, theme: str | None) -> go.Figure:
    """Points with columns x, y, kind, title, group, corpus, kept, size, hover and place; a click tells its place.

    The six most frequent groups have a colour each, the others are grey; points that are not `kept` are faint and
    cannot be clicked. Corpora have symbols of their own; up to 20 studies are named.
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
            x=faint["x"], y=faint["y"], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"size": 5, "color": neutral.faint, "opacity": 0.25},
        )  # fmt: skip
    told = kept["group"].where(kept["group"].isin(named), OTHER)
    labelled = len(kept) <= MOST_LABELS and (kept["kind"] == "study").all()
    for name in [*named, *([OTHER] if (told == OTHER).any() else [])]:
        own = kept[told == name]
        colour = neutral.faint if name == OTHER else COLOURS[named.index(name)]
        figure.add_scatter(
            x=own["x"], y=own["y"], mode="markers+text" if labelled else "markers",
            text=[wrapped(title, 22, most=1) for title in own["title"]],
            textposition="top center", textfont={"size": 11},
            name=f"{wrapped(name, 34, most=1)} ({len(own):,})",
            customdata=own[["place", "hover"]].to_numpy(), hovertemplate="%{customdata[1]}<extra></extra>",
            marker={
                "size": own["size"], "color": colour, "opacity": 0.85,
                "symbol": [symbol[corpus] for corpus in own["corpus"]], "line": {"width": 0.6, "color": neutral.line},
            },
        )  # fmt: skip
    quiet = {"visible": False, "range": [-1.1, 1.1]}
    return figure.update_layout(
        xaxis=quiet, yaxis={**quiet, "scaleanchor": "x"}, height=640, margin={"l": 0, "r": 0, "t": 8, "b": 8},
        font={"color": neutral.text, "family": FONT}, paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 0, "yanchor": "top", "x": 0, "font": SMALL, "itemsizing": "constant"},
        dragmode="pan", hovermode="closest", hoverlabel={"align": "left"}, showlegend=True, clickmode="event+select",
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": neutral.faint}, meta=title,
    )  # fmt: skip


def hover(title: str, label: str, group: str) -> str:
    """What a point tells: its study, the question where it is one, its group."""
    lines = [f"<b>{wrapped(title, 46)}</b>"]
    if label != title:
        lines.append(wrapped(label, 46, most=5))
    return "<br>".join([*lines, plain_text(group)])
