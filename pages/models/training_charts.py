"""Charts of finetunes, each in its own color: every step, and the measures on rows that are kept back."""

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import finish
from pages.view.charts.palette import BASELINES, DASHES, Legend, legend_of
from pages.view.charts.plotly_text import plain_text, wrapped

HEIGHT = 240
OVER = {"step": "Step", "examples": "Examples"}


def course(
    frame: pd.DataFrame, *, title: str, axis: str, over: str, form: str, theme: str | None, note: str = ""
) -> go.Figure:
    """A quantity of every step, a line for each finetune. If it is smoothed, its own values are faint behind the line.

    Columns of `frame`: run, step, examples, value, smoothed (the same as value where it is not). `over` is the column
    along the axis; `form` is how d3 writes a value.
    """
    legend = legend_of(frame["run"], theme)
    figure = go.Figure()
    for who in legend.who:
        steps = frame[frame["run"] == who]
        colour = legend.colours[who]
        if not steps["value"].equals(steps["smoothed"]):
            figure.add_scatter(
                x=steps[over],
                y=steps["value"],
                mode="lines",
                line={"color": colour, "width": 1},
                opacity=0.3,
                showlegend=False,
                hoverinfo="skip",
            )
        figure.add_scatter(
            x=steps[over],
            y=steps["smoothed"],
            mode="lines",
            line={"color": colour, "width": 2},
            **_named(who, over, form),
        )
    return _finish(figure, legend, title=title, axis=axis, over=over, form=form, theme=theme, note=note)


def measure(
    frame: pd.DataFrame, *, title: str, axis: str, over: str, form: str, theme: str | None
) -> go.Figure:
    """A measure at every validation, a line for each finetune, with its base model and its best step marked.

    Columns of `frame`: run, step, examples, value, uniform (the uniform row's value, a thin gray line; NaN without
    one), mark ("base", "best" or ""). `over` is the column along the axis; `form` is how d3 writes a value.
    """
    guessed = frame.dropna(subset=["uniform"])
    legend = legend_of([*frame["run"], *(["uniform"] if len(guessed) else [])], theme)
    figure = go.Figure()
    for at, value in enumerate(guessed["uniform"].unique()):
        steps = guessed[guessed["uniform"] == value]
        figure.add_scatter(
            x=[steps[over].min(), steps[over].max()],
            y=[value, value],
            mode="lines",
            line={"color": legend.colours["uniform"], "width": 1, "dash": DASHES["uniform"]},
            **_named("uniform", over, form, first=at == 0),
        )
    for who in (who for who in legend.who if who not in BASELINES):
        steps = frame[frame["run"] == who]
        colour = legend.colours[who]
        figure.add_scatter(
            x=steps[over],
            y=steps["value"],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            cliponaxis=False,
            marker={
                "symbol": steps["mark"].map({"base": "diamond-open", "best": "circle", "": "circle-open"}),
                "size": steps["mark"].map({"base": 12, "best": 13, "": 7}),
                "color": colour,
                "opacity": 1,
                "line": {"width": 2, "color": colour},
            },
            **_named(who, over, form),
        )
    note = "Diamond: the base model. Filled: the best step."
    return _finish(figure, legend, title=title, axis=axis, over=over, form=form, theme=theme, note=note)


def _named(who: str, over: str, form: str, *, first: bool = True) -> dict[str, Any]:
    """The line's name, once in the legend and always in the hover, with the figures."""
    name = plain_text(BASELINES[who]) if who in BASELINES else wrapped(who, 40, most=1)
    hover = f"{name}<br>{OVER[over]} %{{x:,}}: %{{y:{form}}}<extra></extra>"
    return {"name": name, "legendgroup": who, "showlegend": first, "hovertemplate": hover}


def _ticks(form: str) -> str:
    """The number format of an axis: up to two digits more than the figures have, so that no two ticks look alike."""
    head, _, digits = form[:-1].rpartition(".")
    return f"{head}.{int(digits) + 2}~{form[-1]}"


def _finish(
    figure: go.Figure,
    legend: Legend,
    *,
    title: str,
    axis: str,
    over: str,
    form: str,
    theme: str | None,
    note: str,
) -> go.Figure:
    most = max(max(trace.x, default=0) for trace in figure.data) or 1
    span = [-0.03 * most, 1.03 * most]  # room for the marks at both ends
    figure.update_xaxes(title_text=OVER[over], range=span, nticks=7, tickformat=",")
    figure.update_yaxes(title_text=axis, tickformat=_ticks(form))
    margin = {"l": 58, "r": 14, "b": 46}
    return finish(figure, legend, title=title, note=note, height=HEIGHT, margin=margin, theme=theme)
