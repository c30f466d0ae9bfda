"""The picture of a finetune's sides: for every study how much is trained on, kept back, held out and not used."""

import pandas as pd
import plotly.graph_objects as go

from pages.view.charts.layout import QUIET_AXIS, Cast, finish
from pages.view.charts.palette import ink
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
    """A stacked bar a study. Columns of `frame`: study_id, title and a count of `unit` for each of SIDES.

    Of more than 40 studies the largest are shown, which is said under the title.
    """
    whole = frame[list(SIDES)].sum(axis=1)
    shown = frame.loc[whole.nlargest(MOST_STUDIES).index].sort_values(
        ["trained", "validation", "held_out"], ascending=[False, False, True], kind="stable"
    )
    neutral = ink(theme)
    marks = {
        "trained": {"color": neutral.fill},
        "validation": {"color": neutral.fill, "pattern": {"shape": "/", "fillmode": "overlay", "size": 6}},
        "held_out": {
            "color": "rgba(0,0,0,0)",
            "line": {"color": neutral.line, "width": 1.6 * (shown["held_out"] > 0)},
        },
        "unused": {"color": neutral.faint, "opacity": 0.3},
    }
    made = go.Figure()
    for side in SIDES:
        if shown[side].any():
            made.add_trace(
                go.Bar(
                    y=list(range(len(shown))),
                    x=shown[side],
                    orientation="h",
                    name=NAMES[side],
                    marker=marks[side],
                    customdata=[
                        f"{wrapped(title, 50)}<br>{NAMES[side]}: {n:,} {unit}"
                        for title, n in zip(shown["title"], shown[side], strict=True)
                    ],
                    hovertemplate="%{customdata}<extra></extra>",
                )
            )
    labels = [wrapped(study, LABEL, most=1) for study in shown["study_id"]]
    made.update_yaxes(
        **QUIET_AXIS,
        showgrid=False,
        tickvals=list(range(len(labels))),
        ticktext=labels,
        range=[len(labels) - 0.5, -0.5],
    )
    made.update_xaxes(**QUIET_AXIS, title_text=plain_text(unit.capitalize()), nticks=6)
    note = f"The {len(shown)} largest of {len(frame):,} studies" if len(frame) > len(shown) else ""
    margin = {"l": 24 + 7 * max(len(label) for label in labels), "r": 16, "b": 52}
    room = Cast(
        ("Trained", "Held out"), {}, neutral
    )  # a legend of two rows, which four short names take at most
    finish(
        made,
        room,
        title=f"Which {unit} are trained on, and which are held out?",
        note=note,
        height=ROW * len(labels) + 52,
        margin=margin,
        annotations=[],
    )
    return made.update_layout(barmode="stack", bargap=0.3)
