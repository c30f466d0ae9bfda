"""A learning curve: how a measure changes with the share of people trained on, compared with the base and baselines."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import error_bars, finish, hovered
from pages.view.charts.palette import BASELINES, DASHES, legend_of
from pages.view.charts.plotly_text import LABEL_WIDTH, legend_name, plain_text, three_digits, wrapped

HEIGHT = 300


def learning_curve(
    frame: pd.DataFrame, *, title: str, axis: str, per_cell: int, theme: str | None
) -> go.Figure:
    """The finetuned models over their share of people on a logarithmic axis; the base and baselines as lines.

    The share is of the people trained on, who are at most `per_cell` in each cell.

    Columns of `frame`: who, role ("base", "finetuned" or "baseline"), share in (0, 1] and n_examples (NaN but for
    finetuned), value, low, high (NaN without). A row without a value is left out.
    """
    known = frame.dropna(subset=["value"])
    tuned = known[known["role"] == "finetuned"].sort_values("share")
    lines = known[known["role"] != "finetuned"]
    last = str(tuned["who"].iloc[-1])
    shares = 100 * tuned["share"]
    legend = legend_of([last, *lines["who"]], theme)
    figure = go.Figure()
    for row in lines.to_dict("records"):
        who = str(row["who"])
        figure.add_scatter(
            x=[shares.min(), shares.max()],
            y=[row["value"]] * 2,
            mode="lines",
            name=legend_name(who),
            line={
                "color": legend.colours[who],
                "width": 1.5 if who in BASELINES else 2,
                "dash": DASHES.get(who, "dash"),
            },
            hovertemplate=f"{wrapped(who, LABEL_WIDTH)}<br>{plain_text(_score(row))}<extra></extra>",
        )
    colour = legend.colours[last]
    figure.add_scatter(
        x=shares,
        y=tuned["value"],
        mode="lines+markers",
        name="Finetuned",
        line={"color": colour, "width": 2},
        error_y=error_bars(tuned["value"], tuned["low"], tuned["high"], colour=colour, thickness=2),
        marker={"symbol": "circle-open", "size": 10, "color": colour, "line": {"width": 2}},
        cliponaxis=False,
        **hovered([_hover(row) for row in tuned.to_dict("records")]),
    )
    figure.update_xaxes(
        type="log",
        range=[float(np.log10(shares.min())) - 0.06, float(np.log10(shares.max())) + 0.06],
        tickvals=shares,
        ticktext=[f"{share:g}%" for share in shares],
        title_text=f"Share of the people trained on,<br>of at most {per_cell:,} a cell (logarithmic)",
    )
    figure.update_yaxes(title_text=plain_text(axis))
    margin = {"l": 58, "r": 14, "b": 66}
    return finish(figure, legend, title=title, height=HEIGHT, margin=margin, theme=theme)


def _hover(row: Mapping[Any, Any]) -> str:
    n = float(row["n_examples"])
    examples = f"{n:,.0f} examples" if np.isfinite(n) else "examples not known"
    people = f"{100 * float(row['share']):g}% of the people, {examples}"
    return "<br>".join([wrapped(row["who"], LABEL_WIDTH), plain_text(people), plain_text(_score(row))])


def _score(row: Mapping[Any, Any]) -> str:
    return three_digits(float(row["value"]), float(row["low"]), float(row["high"]))
