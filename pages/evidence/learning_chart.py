"""A learning curve: how a measure changes with the share of people trained on, between its base and baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import QUIET_AXIS, cast, finish, interval, legend_name
from pages.view.charts.palette import BASELINES
from pages.view.charts.plotly_text import plain_text, wrapped

HEIGHT, BELOW = 300, 66
DASHES = {"uniform": "solid", "condition-blind": "dash", "half-sample": "dot", "oracle": "longdash"}


def figure(frame: pd.DataFrame, *, title: str, axis: str, per_cell: int, theme: str | None) -> go.Figure:
    """The finetuned models over their share of people on a logarithmic axis; the base and baselines as lines.

    The share is of the at most `per_cell` people of each cell that are trained on.

    Columns of `frame`: who, role ("base", "finetuned" or "baseline"), share in (0, 1] and n_examples (NaN but for
    finetuned), value, low, high (NaN without). A row without a value is left out.
    """
    told = frame.dropna(subset=["value"])
    tuned = told[told["role"] == "finetuned"].sort_values("share")
    lines = told[told["role"] != "finetuned"]
    last = str(tuned["who"].iloc[-1])
    players = cast([last, *lines["who"]], theme)
    made, shares = go.Figure(), 100 * tuned["share"]
    for row in lines.to_dict("records"):
        who, text = str(row["who"]), _figures(row)
        made.add_scatter(
            x=[shares.min(), shares.max()],
            y=[row["value"]] * 2,
            mode="lines",
            name=legend_name(who),
            line={
                "color": players.colours[who],
                "width": 1.5 if who in BASELINES else 2,
                "dash": DASHES.get(who, "dash"),
            },
            hovertemplate=f"{wrapped(who, 46)}<br>{plain_text(text)}<extra></extra>",
        )
    colour = players.colours[last]
    made.add_scatter(
        x=shares,
        y=tuned["value"],
        mode="lines+markers",
        name="Finetuned",
        line={"color": colour, "width": 2},
        error_y={
            "array": tuned["high"] - tuned["value"],
            "arrayminus": tuned["value"] - tuned["low"],
            "symmetric": False,
            "color": colour,
            "thickness": 2,
            "width": 0,
        },
        marker={"symbol": "circle-open", "size": 10, "color": colour, "line": {"width": 2}},
        cliponaxis=False,
        customdata=[_hover(row) for row in tuned.to_dict("records")],
        hovertemplate="%{customdata}<extra></extra>",
    )
    ticks = [f"{share:g}%" for share in shares]
    span = [float(np.log10(shares.min())) - 0.06, float(np.log10(shares.max())) + 0.06]
    made.update_xaxes(
        **QUIET_AXIS,
        type="log",
        range=span,
        tickvals=shares,
        ticktext=ticks,
        title_text=f"Share of the people trained on,<br>of at most {per_cell:,} a cell (logarithmic)",
    )
    made.update_yaxes(**QUIET_AXIS, title_text=plain_text(axis), nticks=6)
    margin = {"l": 58, "r": 14, "b": BELOW}
    return finish(made, players, title=title, note="", height=HEIGHT + BELOW, margin=margin, annotations=[])


def _hover(row: Mapping[Any, Any]) -> str:
    n = float(row["n_examples"])
    examples = f"{n:,.0f} examples" if np.isfinite(n) else "examples not known"
    told = [f"{100 * float(row['share']):g}% of the people, {examples}", _figures(row)]
    return "<br>".join([wrapped(row["who"], 46), *map(plain_text, told)])


def _figures(row: Mapping[Any, Any]) -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    return f"{value:.3f}".replace("-", "−") + interval(low, high)
