"""The chart of a finetune's sides: how much of each study is trained on, kept back, held out, or not used."""

import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import finish, hovered
from pages.view.charts.palette import CLEAR, Legend, ink
from pages.view.charts.plotly_text import plain_text, wrapped
from socrates_core.finetuning.rows import SIDES

NAMES = {
    "trained": "Trained on",
    "validation": "Validation",
    "held_out": "Held out",
    "unused": "Not used",
}
MOST_STUDIES, ROW, LABEL = 40, 24, 14


def figure(frame: pd.DataFrame, *, unit: str, theme: str | None) -> go.Figure:
    """A stacked bar for each study. Columns of `frame`: study_id, title and a count of `unit` for each of SIDES.

    Of more than 40 studies the largest are shown, and the chart says so under its title.
    """
    whole = frame[list(SIDES)].sum(axis=1)
    largest = frame.loc[whole.nlargest(MOST_STUDIES).index].sort_values(
        ["trained", "validation", "held_out"], ascending=[False, False, True], kind="stable"
    )
    neutral = ink(theme)
    marks = {
        "trained": {"color": neutral.fill},
        "validation": {"color": neutral.fill, "pattern": {"shape": "/", "fillmode": "overlay", "size": 6}},
        "held_out": {
            "color": CLEAR,
            "line": {"color": neutral.line, "width": 1.6 * (largest["held_out"] > 0)},
        },
        "unused": {"color": neutral.faint, "opacity": 0.3},
    }
    drawn = go.Figure()
    for side in SIDES:
        if largest[side].any():
            drawn.add_trace(
                go.Bar(
                    y=list(range(len(largest))),
                    x=largest[side],
                    orientation="h",
                    name=NAMES[side],
                    marker=marks[side],
                    **hovered(
                        [
                            f"{wrapped(title, 50)}<br>{NAMES[side]}: {n:,} {unit}"
                            for title, n in zip(largest["title"], largest[side], strict=True)
                        ]
                    ),
                )
            )
    labels = [wrapped(study, LABEL, most=1) for study in largest["study_id"]]
    drawn.update_yaxes(
        showgrid=False,
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.5, -0.5],
    )
    drawn.update_xaxes(title_text=plain_text(unit.capitalize()))
    note = f"The {len(largest)} largest of {len(frame):,} studies" if len(frame) > len(largest) else ""
    margin = {"l": 24 + 7 * max(len(label) for label in labels), "r": 16, "b": 52}
    # Four short names take two rows at most, like two names of models.
    legend = Legend(("Trained", "Held out"), {}, neutral)
    finish(
        drawn,
        legend,
        title=f"Which {unit} are trained on, and which are held out?",
        note=note,
        height=ROW * len(labels),
        margin=margin,
        theme=theme,
    )
    return drawn.update_layout(barmode="stack", bargap=0.3)
