"""What the power page shows: the plan in numbers, a curve and sentences, and which conditions to field."""

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.view.charts.layout import QUIET_AXIS, SMALL, Cast, finish
from pages.view.charts.palette import GRID, ZERO, ink, model_colours
from pages.view.text import counted, escape, figure_text, visible
from pages.view.widgets import linked_select, show_chart, theme
from socrates_core.projects.power import MOST_ARMS, SamplePlan, arms_to_field, why_doubted
from socrates_core.projects.run_results import RunEffect, SimulationRun, load_run
from socrates_core.spreadsheets import csv_text

BETTER = {"higher": "higher answers are better", "lower": "lower answers are better"}
COLUMNS = {
    "assurance": "The effect with its uncertainty (assurance)",
    "power_of_smallest": "The smallest effect that would matter",
}


def show_plan(found: SamplePlan, model: str) -> None:
    """The plan's main numbers, its curve, and what every number means."""
    if found.belief.doubted:
        st.warning(escape(found.belief.doubted), icon=":material/block:")
    needed = "over a million" if found.needed_smallest is None else f"{found.needed_smallest:,}"
    told = [
        (f"Needed for {found.target:.0%}", needed),
        (f"Smallest found by {found.n:,}", f"{found.detectable:.3g}"),
        ("Wrong sign (type S)", f"{found.errors_smallest.sign[0]:.1%}"),
        ("Too large (type M)", f"× {figure_text(float(found.errors_smallest.size[0]))}"),
    ]
    if not found.belief.doubted:
        told.insert(
            1, ("For the expected effect", "no number" if found.needed is None else f"{found.needed:,}")
        )
    with st.container(horizontal=True):
        for label, value in told:
            st.metric(label, value, width=150)
    show_chart(power_curve(found, model=model, theme=theme()), found.curve, "power")
    sentences = found.sentences()
    sentences.pop("Not planned from the prediction", None)  # it is the warning above
    for name, sentence in sentences.items():
        st.markdown(f"**{name}.** {escape(sentence)}", width=720)


def power_curve(found: SamplePlan, *, model: str, theme: str | None) -> go.Figure:
    """The chance of a significant result in the expected direction over the people in each condition.

    For the smallest effect that would matter and, unless it is doubted, the expected effect with its uncertainty; the
    target and what can be afforded are marked.
    """
    neutral = ink(theme)
    colours = {
        "assurance": model_colours([model])[model] if model else neutral.text,
        "power_of_smallest": neutral.faint,
    }
    made = go.Figure()
    shown_columns = {
        c: name for c, name in COLUMNS.items() if c == "power_of_smallest" or not found.belief.doubted
    }
    for column, name in shown_columns.items():
        made.add_scatter(
            x=found.curve["n"],
            y=found.curve[column],
            mode="lines",
            name=name,
            line={"color": colours[column], "width": 3, "dash": "solid" if column == "assurance" else "dash"},
            hovertemplate="%{x:,} in each condition: %{y:.0%}<extra></extra>",
        )
    low, high = float(found.curve["n"].min()), float(found.curve["n"].max())
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5) if low <= step * 10**power <= high]
    shown = ticks if high / low < 3000 else [tick for tick in ticks if str(tick)[0] == "1"]
    made.update_xaxes(
        **QUIET_AXIS,
        type="log",
        range=np.log10([low, high]).tolist(),
        tickvals=shown,
        ticktext=[f"{tick:,}" for tick in shown],
        showgrid=False,
        title_text="People in each condition",
    )
    made.update_yaxes(
        **QUIET_AXIS, range=[0, 1.02], tickformat=".0%", title_text="Chance of a significant result"
    )
    line = {"type": "line", "layer": "below", "line": {"color": ZERO, "width": 1, "dash": "dot"}}
    across = {"xref": "paper", "x0": 0, "x1": 1, "y0": found.target, "y1": found.target}
    down = {"x0": found.n, "x1": found.n, "yref": "paper", "y0": 0, "y1": 1}
    noted = {
        "text": f"{found.n:,} afforded",
        "x": math.log10(found.n),
        "y": 0,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": "left",
        "xshift": 4,
        "showarrow": False,
        "font": SMALL,
        "bgcolor": GRID,
    }
    players = Cast(
        tuple(shown_columns.values()),
        {name: colours[column] for column, name in shown_columns.items()},
        neutral,
    )
    return finish(
        made,
        players,
        title="How many people find the effect?",
        note="",
        height=340,
        margin={"l": 56, "r": 16, "b": 52},
        annotations=[noted],
        shapes=[{**line, **across}, {**line, **down}],
    )


def show_arms(run: SimulationRun, effect: RunEffect) -> None:
    """Which conditions of the outcome to field beside the reference, for every number of them."""
    if isinstance(run.calibration, str) or effect.calibrated is None or why_doubted(run):
        return
    st.subheader("Which conditions to field", anchor=False)
    better = linked_select("For this outcome", BETTER, "better", run.spec.run_id)
    with st.spinner("Trying every choice"):
        table = _arms(run.spec.run_id, effect.outcome, better, run.calibration.written)
    if table.empty:
        st.caption("There is one condition beside the reference, so there is nothing to choose.")
        return
    st.dataframe(
        table,
        hide_index=True,
        key="arms",
        alt="Conditions to field with the regret to expect",
        column_config={
            "n_conditions": st.column_config.NumberColumn("How many", width="small"),
            "conditions": st.column_config.ListColumn("Which", width="large"),
            "regret": st.column_config.NumberColumn("Expected regret, scale points", format="%.3g"),
            "regret_se": None,
            "holds_best": st.column_config.ProgressColumn(
                "Chance to hold the best", format="%.0f%%", min_value=0, max_value=100, color="gray"
            ),
        },
    )
    st.caption(
        f"Beside “{escape(effect.reference)}”. Regret is by how much the best true effect of all "
        f"{counted(len({each.condition for each in run.effects}), 'condition')} exceeds the best of those fielded, on "
        f"average over what the calibration leaves open; by chance alone one of {len(table)} conditions is the best in "
        f"{1 / len(table):.0%} of the cases; simulated, give or take {table['regret_se'].max():.1g}."
        + (f" At most {MOST_ARMS} are chosen." if len(table) == MOST_ARMS else "")
    )
    told = table.assign(conditions=["; ".join(names) for names in table["conditions"]])
    st.download_button(
        "Table as CSV",
        csv_text(told).encode(),
        "conditions_to_field.csv",
        "text/csv",
        key="data_arms",
        type="tertiary",
        icon=":material/download:",
        on_click="ignore",
    )


@st.cache_data(show_spinner=False, max_entries=50)
def _arms(run_id: str, outcome: str, better: str, _written: str) -> pd.DataFrame:
    table = arms_to_field(load_run(run_id), outcome, higher_is_better=better == "higher")
    named = table["conditions"].map(lambda names: [visible(name) for name in names])
    return table.assign(conditions=named, holds_best=100 * table["holds_best"])
