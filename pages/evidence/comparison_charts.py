"""Charts of comparisons: scores with intervals, people's effects against predicted ones, groups by models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import LABEL, QUIET_AXIS, SMALL, Cast, cast, finish, interval
from pages.view.charts.palette import GRID, LIGHT, ZERO, ink, model_colours
from pages.view.charts.plotly_text import plain_text, wrapped

ROW, LABEL_LINE, HEADING = 44, 22, 30
SHADES = ["#F4F8FC", "#6FA8DC"]
PUBLISHED = "Published on the same 40 studies"
MARKS = {"model": "circle-open", "baseline": "line-ns-open", "published": "diamond-tall-open"}


def scores(frame: pd.DataFrame, *, title: str, axis: str, theme: str | None) -> go.Figure:
    """One measure of every model, baseline and published model: a dot with its interval under each name.

    Columns of `frame`: name, kind ("model", "baseline" or "published"), value, low, high (NaN without). Published
    values are also dotted lines through the dots of all others.
    """
    neutral = ink(theme)
    colours = model_colours(frame.loc[frame["kind"] == "model", "name"])
    made, texts, shapes, depth = go.Figure(), list[dict[str, Any]](), list[dict[str, Any]](), 4.0
    published = frame.loc[frame["kind"] == "published", "value"].tolist()
    reference = {"color": neutral.faint, "width": 1, "dash": "dot"}
    for kind, rows in frame.groupby("kind", sort=False):
        if kind == "published":
            texts.append(_at_left(f"<b>{PUBLISHED}</b>", depth))
            depth += HEADING
        for row in rows.to_dict("records"):
            colour = colours.get(row["name"], neutral.faint)
            told = f"{row['value']:.3f}".replace("-", "−") + interval(row["low"], row["high"])
            texts.append(_at_left(wrapped(row["name"], 46, most=1), depth))
            y = depth + LABEL_LINE + 8
            texts.append(
                {**_at_left(plain_text(told), y), "x": 1, "xshift": 8, "yanchor": "middle", "font": SMALL}
            )
            made.add_traces(_dot(row, y, colour, f"{wrapped(row['name'], 46)}<br>{plain_text(told)}"))
            across = {"type": "line", "layer": "below", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y}
            shapes.append({**across, "line": {"color": GRID, "width": 1}})
            shapes += [
                {
                    "type": "line",
                    "layer": "below",
                    "x0": x,
                    "x1": x,
                    "y0": y - 12,
                    "y1": y + 12,
                    "line": reference,
                }
                for x in (published if kind != "published" else [])
            ]
            depth += ROW
    made.update_yaxes(range=[depth, 0], visible=False, fixedrange=True)
    made.update_xaxes(**QUIET_AXIS, showgrid=False, title_text=plain_text(axis), nticks=6, range=_room(frame))
    made.update_traces(showlegend=False)
    margin = {"l": 12, "r": 150, "b": 52}
    return finish(
        made,
        Cast((), {}, neutral),
        title=title,
        note="",
        height=int(depth) + 52,
        margin=margin,
        annotations=texts,
        shapes=shapes,
    )


def _at_left(text: str, depth: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": depth,
        "yanchor": "top",
        "align": "left",
        "showarrow": False,
        "font": LABEL,
    }


def _dot(row: Mapping[Any, Any], y: float, colour: str, hover: str) -> list[go.Scatter]:
    width = 2.5 if row["kind"] == "model" else 1.5
    line = {"color": colour, "width": width}
    span = go.Scatter(x=[row["low"], row["high"]], y=[y, y], mode="lines", line=line, hoverinfo="skip")
    marker = {"symbol": MARKS[row["kind"]], "size": 11, "color": colour, "line": {"width": width}}
    dot = go.Scatter(
        x=[row["value"]],
        y=[y],
        mode="markers",
        marker=marker,
        customdata=[hover],
        cliponaxis=False,
        hovertemplate="%{customdata}<extra></extra>",
    )
    return [span, dot] if np.isfinite([row["low"], row["high"]]).all() else [dot]


def _room(frame: pd.DataFrame) -> list[float]:
    ends = frame[["value", "low", "high"]].to_numpy(dtype=float)
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))
    room = 0.08 * ((high - low) or 1)
    return [low - room, high + room]


def effects_scatter(
    frame: pd.DataFrame, *, title: str, theme: str | None, slopes: Mapping[str, float] | None = None
) -> go.Figure:
    """People's effects over predicted ones, a point an effect and model, around the line where they are equal.

    Columns of `frame`: predictor, study, outcome, condition, reference, human, human_se, predicted, n_human,
    n_predicted; effects in percent of the scale's range. Vertical lines are people's 95% intervals. `slopes` are
    models' calibration lines: people's effect = slope x predicted effect.
    """
    players = cast(list(frame["predictor"]), theme)
    made = go.Figure()
    ends = np.abs(frame["human"]) + 1.96 * frame["human_se"].fillna(0)
    reach = 1.05 * float(max(ends.max(), frame["predicted"].abs().max()) or 1)
    for name, own in frame.groupby("predictor", sort=False):
        who, colour = str(name), players.colours[str(name)]
        error = {"array": 1.96 * own["human_se"], "color": colour, "thickness": 1, "width": 0}
        made.add_scatter(
            x=own["predicted"],
            y=own["human"],
            mode="markers",
            name=wrapped(f"Predicted by {who}", 40, most=1),
            legendgroup=who,
            error_y=error,
            customdata=[_effect_text(row) for row in own.to_dict("records")],
            hovertemplate="%{customdata}<extra></extra>",
            marker={"symbol": "circle-open", "size": 9, "color": colour, "line": {"width": 2}},
        )
        if slopes and who in slopes:
            ends = np.array([-reach, reach])
            made.add_scatter(
                x=ends,
                y=slopes[who] * ends,
                mode="lines",
                line={"color": colour, "width": 2, "dash": "dash"},
                legendgroup=who,
                showlegend=False,
                hoverinfo="skip",
            )
    line = {"type": "line", "layer": "below"}
    shapes = [
        {
            **line,
            "x0": -reach,
            "x1": reach,
            "y0": -reach,
            "y1": reach,
            "line": {"color": ZERO, "dash": "dot"},
        },
        {**line, "x0": 0, "x1": 0, "y0": -reach, "y1": reach, "line": {"color": GRID}},
        {**line, "x0": -reach, "x1": reach, "y0": 0, "y1": 0, "line": {"color": GRID}},
    ]
    both: dict[str, Any] = {**QUIET_AXIS, "showgrid": False, "nticks": 7, "range": [-reach, reach]}
    made.update_xaxes(**both, title_text="Predicted effect, % of the scale’s range")
    made.update_yaxes(**both, title_text="People’s effect, % of the scale’s range")
    return finish(
        made,
        players,
        title=title,
        note="Dotted: prediction and people agree",
        height=480,
        margin={"l": 56, "r": 12, "b": 56},
        annotations=[],
        shapes=shapes,
    )


def _effect_text(row: Mapping[Any, Any]) -> str:
    reach = 1.96 * row["human_se"]
    people = f"{row['human']:+.1f}%" + interval(row["human"] - reach, row["human"] + reach)
    return "<br>".join(
        [
            wrapped(row["study"], 46),
            wrapped(row["outcome"], 46),
            wrapped(f"{row['condition']} against {row['reference']}", 46),
            plain_text(f"People: {people}, n = {row['n_human']:,}"),
            plain_text(
                f"Predicted by {row['predictor']}: {row['predicted']:+.1f}%, n = {row['n_predicted']:,}"
            ),
        ]
    )


def group_heat(frame: pd.DataFrame, *, title: str, theme: str | None) -> go.Figure:
    """W of every group (rows) and model (columns), with how many people are behind it in the cell.

    Columns of `frame`: group, model, value, n.
    """
    names, models = list(dict.fromkeys(frame["group"])), list(dict.fromkeys(frame["model"]))
    wide = {
        column: frame.pivot(index="group", columns="model", values=column).loc[names, models].to_numpy()
        for column in ("value", "n")
    }
    rows = zip(wide["value"], wide["n"], strict=True)
    told = [[f"{value:.3f}<br>n = {n:,.0f}" for value, n in zip(*row, strict=True)] for row in rows]
    made = go.Figure(
        go.Heatmap(
            z=wide["value"],
            x=list(range(len(models))),
            y=list(range(len(names))),
            customdata=told,
            text=told,
            texttemplate="%{text}",
            hovertemplate="%{text}<extra></extra>",
            colorscale=SHADES,
            showscale=False,
            textfont={"color": LIGHT.text},
            xgap=3,
            ygap=3,
            zmin=0,
            zmax=float(np.nanmax(wide["value"])),
        )
    )
    made.update_xaxes(
        **QUIET_AXIS,
        showgrid=False,
        tickvals=list(range(len(models))),
        side="bottom",
        ticktext=[wrapped(name, 14) for name in models],
    )
    made.update_yaxes(
        **QUIET_AXIS,
        showgrid=False,
        tickvals=list(range(len(names))),
        autorange="reversed",
        ticktext=[wrapped(name, 17) for name in names],
    )
    return finish(
        made,
        Cast((), {}, ink(theme)),
        title=title,
        note="",
        height=52 * len(names) + 64,
        margin={"l": 128, "r": 12, "b": 64},
        annotations=[],
    )
