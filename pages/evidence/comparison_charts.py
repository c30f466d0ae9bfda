"""Charts of comparisons: scores with intervals, people's effects against predicted ones, groups by models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts import dots
from pages.view.charts.dots import Dot, Mark, Row
from pages.view.charts.layout import across, error_bars, finish, hovered, span, upright
from pages.view.charts.palette import LIGHT, ZERO, Legend, ink, legend_of, model_colours
from pages.view.charts.plotly_text import (
    LABEL_WIDTH,
    interval,
    legend_name,
    plain_text,
    three_digits,
    wrapped,
)

SHADES = ["#F4F8FC", "#6FA8DC"]
PUBLISHED = "Published on the same 40 studies"
MARKS = {
    "model": Mark("circle-open"),
    "baseline": Mark("line-ns-open", outline=1.5, interval=1.5),
    "published": Mark("diamond-tall-open", outline=1.5, interval=1.5),
}


def scores(frame: pd.DataFrame, *, title: str, axis: str, theme: str | None) -> go.Figure:
    """One measure of every model, baseline and published model: a dot with its interval under each name.

    Columns of `frame`: name, kind ("model", "baseline" or "published"), value, low, high (NaN without). Published
    values are also dotted lines through the dots of all others.
    """
    neutral = ink(theme)
    colours = model_colours(frame.loc[frame["kind"] == "model", "name"])
    published = tuple(frame.loc[frame["kind"] == "published", "value"])
    rows = []
    for record in frame.to_dict("records"):
        name = str(record["name"])
        values = (record["value"], record["low"], record["high"])
        text = three_digits(*values)
        is_published = record["kind"] == "published"
        dot = Dot(name, *values, text, f"{wrapped(name, LABEL_WIDTH)}<br>{plain_text(text)}")
        heading, guides = (PUBLISHED, ()) if is_published else ("", published)
        rows.append(Row(heading, name, (dot,), guides))
    names = tuple(map(str, frame["name"]))
    return dots.draw(
        rows,
        Legend(names, {name: colours.get(name, neutral.faint) for name in names}, neutral, visible=False),
        {name: MARKS[kind] for name, kind in zip(names, frame["kind"], strict=True)},
        title=title,
        axis={"title_text": plain_text(axis), "range": span(frame[["value", "low", "high"]])},
        guide={"color": neutral.faint, "width": 1, "dash": "dot"},
        theme=theme,
    )


def effects_scatter(
    frame: pd.DataFrame, *, title: str, theme: str | None, slopes: Mapping[str, float] | None = None
) -> go.Figure:
    """People's effects over predicted ones, a point an effect and model, around the line where they are equal.

    Columns of `frame`: predictor, study, outcome, condition, reference, human, human_se, predicted, n_human,
    n_predicted; effects in percent of the scale's range. Vertical lines are people's 95% intervals. `slopes` are
    models' calibration lines: people's effect = slope x predicted effect.
    """
    legend = legend_of(frame["predictor"], theme)
    ends = np.abs(frame["human"]) + 1.96 * frame["human_se"].fillna(0)
    reach = 1.05 * float(max(ends.max(), frame["predicted"].abs().max()) or 1)
    figure = go.Figure()
    for who, effects in frame.groupby("predictor", sort=False):
        name = str(who)
        colour = legend.colours[str(who)]
        half = 1.96 * effects["human_se"]
        human = effects["human"]
        figure.add_scatter(
            x=effects["predicted"],
            y=human,
            mode="markers",
            name=legend_name(name),
            legendgroup=name,
            error_y=error_bars(human, human - half, human + half, colour=colour, thickness=1),
            marker={"symbol": "circle-open", "size": 9, "color": colour, "line": {"width": 2}},
            **hovered([_effect_text(record) for record in effects.to_dict("records")]),
        )
        if slopes and name in slopes:
            figure.add_scatter(
                x=[-reach, reach],
                y=[-slopes[name] * reach, slopes[name] * reach],
                mode="lines",
                line={"color": colour, "width": 2, "dash": "dash"},
                legendgroup=name,
                showlegend=False,
                hoverinfo="skip",
            )
    both: dict[str, Any] = {"showgrid": False, "nticks": 7, "range": [-reach, reach]}
    figure.update_xaxes(**both, title_text="Predicted effect, % of the scale’s range")
    figure.update_yaxes(**both, title_text="People’s effect, % of the scale’s range")
    agreement = {"x0": -reach, "x1": reach, "y0": -reach, "y1": reach, "line": {"color": ZERO, "dash": "dot"}}
    return finish(
        figure,
        legend,
        title=title,
        note="Dotted: prediction and people agree",
        height=424,
        margin={"l": 56, "r": 12, "b": 56},
        theme=theme,
        shapes=[agreement, upright(0, -reach, reach), across(0)],
    )


def _effect_text(record: Mapping[Any, Any]) -> str:
    half = 1.96 * record["human_se"]
    people = f"{record['human']:+.1f}%" + interval(record["human"] - half, record["human"] + half)
    predicted = f"{record['predicted']:+.1f}%, n = {record['n_predicted']:,}"
    return "<br>".join(
        [
            wrapped(record["study"], LABEL_WIDTH),
            wrapped(record["outcome"], LABEL_WIDTH),
            wrapped(f"{record['condition']} against {record['reference']}", LABEL_WIDTH),
            plain_text(f"People: {people}, n = {record['n_human']:,}"),
            plain_text(f"Predicted by {record['predictor']}: {predicted}"),
        ]
    )


def group_heat(frame: pd.DataFrame, *, title: str, theme: str | None) -> go.Figure:
    """W of every group (rows) and model (columns), with the number of people behind it in the cell.

    Columns of `frame`: group, model, value, n.
    """
    groups = list(dict.fromkeys(frame["group"]))
    models = list(dict.fromkeys(frame["model"]))
    values, numbers = (
        frame.pivot(index="group", columns="model", values=column).loc[groups, models].to_numpy()
        for column in ("value", "n")
    )
    texts = [
        [f"{value:.3f}<br>n = {n:,.0f}" for value, n in zip(*row, strict=True)]
        for row in zip(values, numbers, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(range(len(models))),
            y=list(range(len(groups))),
            text=texts,
            texttemplate="%{text}",
            hovertemplate="%{text}<extra></extra>",
            colorscale=SHADES,
            showscale=False,
            textfont={"color": LIGHT.text},
            xgap=3,
            ygap=3,
            zmin=0,
            zmax=float(np.nanmax(values)),
        )
    )
    figure.update_xaxes(
        showgrid=False,
        tickvals=list(range(len(models))),
        ticktext=[wrapped(name, 14) for name in models],
    )
    figure.update_yaxes(
        showgrid=False,
        tickvals=list(range(len(groups))),
        ticktext=[wrapped(name, 17) for name in groups],
        autorange="reversed",
    )
    return finish(
        figure,
        Legend((), {}, ink(theme), visible=False),
        title=title,
        height=52 * len(groups),
        margin={"l": 128, "r": 12, "b": 64},
        theme=theme,
    )
