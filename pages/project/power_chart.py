"""The power curve: the chance that a study finds an effect, by its number of people."""

import math

import numpy as np
import plotly.graph_objects as go

from pages.view.charts.layout import across, finish, upright
from pages.view.charts.palette import GRID, ZERO, Legend, ink, model_colours
from pages.view.charts.template import SMALL
from socrates_core.projects.power import SamplePlan

COLUMNS = {
    "assurance": "The effect with its uncertainty (assurance)",
    "power_of_smallest": "The smallest effect that would matter",
}


def power_curve(plan: SamplePlan, *, model: str, theme: str | None) -> go.Figure:
    """The chance of a significant result in the expected direction over the people in each condition.

    One line is for the smallest effect of interest, one for the expected effect with its uncertainty if one is
    planned with. The target and what can be afforded are marked.
    """
    neutral = ink(theme)
    colours = {
        "assurance": model_colours([model])[model] if model else neutral.text,
        "power_of_smallest": neutral.faint,
    }
    lines = {
        column: name
        for column, name in COLUMNS.items()
        if column == "power_of_smallest" or plan.errors is not None
    }
    figure = go.Figure()
    for column, name in lines.items():
        figure.add_scatter(
            x=plan.curve["n"],
            y=plan.curve[column],
            mode="lines",
            name=name,
            line={"color": colours[column], "width": 3, "dash": "solid" if column == "assurance" else "dash"},
            hovertemplate="%{x:,} in each condition: %{y:.0%}<extra></extra>",
        )
    low, high = float(plan.curve["n"].min()), float(plan.curve["n"].max())
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5) if low <= step * 10**power <= high]
    if high / low >= 3000:  # only powers of ten have room
        ticks = [tick for tick in ticks if str(tick)[0] == "1"]
    figure.update_xaxes(
        type="log",
        range=np.log10([low, high]).tolist(),
        tickvals=ticks,
        ticktext=[f"{tick:,}" for tick in ticks],
        showgrid=False,
        title_text="People in each condition",
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%", title_text="Chance of a significant result")
    line = {"color": ZERO, "width": 1, "dash": "dot"}
    afforded = {
        "text": f"{plan.n:,} afforded",
        "x": math.log10(plan.n),
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
        "xshift": 4,
        "font": SMALL,
        "bgcolor": GRID,
    }
    return finish(
        figure,
        Legend(tuple(lines.values()), {name: colours[column] for column, name in lines.items()}, neutral),
        title="Power by sample size",
        height=288,
        margin={"l": 56, "r": 16, "b": 52},
        theme=theme,
        annotations=[afforded],
        shapes=[across(plan.target, line), upright(plan.n, 0, 1, line, yref="paper")],
    )
