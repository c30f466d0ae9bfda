"""The answers of the power page: the plan in numbers, a curve, and sentences, and which conditions to field."""

import pandas as pd
import streamlit as st

from pages.project.power_chart import power_curve
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import linked_select
from pages.view.fields.table import csv_button
from pages.view.words import counted, escape, figure_text, percent_text, visible
from socrates_core.projects.power import MOST_ARMS, SamplePlan, arms_to_field, why_doubted
from socrates_core.projects.run_results import RunEffect, SimulationRun, load_run

BETTER = {"higher": "higher answers are better", "lower": "lower answers are better"}


def show_plan(plan: SamplePlan, model: str) -> None:
    """The plan's main numbers, its curve, and what every number means."""
    if plan.belief.doubted:
        st.warning(escape(plan.belief.doubted), icon=":material/block:")
    st.markdown(f"### {escape(plan.answer())}")
    needed = "over a million" if plan.needed_smallest is None else f"{plan.needed_smallest:,}"
    metrics = [
        (f"Needed for {percent_text(plan.target)}", needed),
        (f"Detectable with {plan.n:,}", f"{plan.detectable:.3g}"),
        ("Wrong sign (type S)", percent_text(plan.errors_smallest.sign, 1)),
        ("Exaggeration (type M)", f"× {figure_text(plan.errors_smallest.size)}"),
    ]
    if plan.errors is not None:
        metrics.insert(
            1, ("For the expected effect", "no number" if plan.needed is None else f"{plan.needed:,}")
        )
    with st.container(horizontal=True):
        for label, value in metrics:
            st.metric(label, value, width=150)
    show_chart(power_curve(plan, model=model, theme=theme()), plan.curve, "power")
    sentences = plan.sentences()
    sentences.pop("Not planned from the prediction", None)  # it is the warning above
    for name, sentence in sentences.items():
        st.markdown(f"**{name}.** {escape(sentence)}", width=720)


def show_arms(run: SimulationRun, effect: RunEffect) -> None:
    """For every number of conditions, which ones to field next to the reference."""
    if isinstance(run.calibration, str) or effect.calibrated is None or why_doubted(run):
        return
    st.subheader("Which conditions to field", anchor=False)
    better = linked_select("For this outcome", BETTER, "better", run.spec.run_id)
    with st.spinner("Trying every choice"):
        table = _arms(run.spec.run_id, effect.outcome, better, run.calibration.written)
    if table.empty:
        st.caption("There is one condition next to the reference, so there is nothing to choose.")
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
            "by_chance": st.column_config.NumberColumn("By chance", format="%.0f%%", width="small"),
        },
    )
    st.caption(
        f"Compared with “{escape(effect.reference)}”. Regret is by how much the best true effect of all "
        f"{counted(len({other.condition for other in run.effects}), 'condition')} exceeds the best of those fielded, "
        f"on average over what the calibration leaves open; simulated, give or take {table['regret_se'].max():.1g}. "
        "By chance is how often as many conditions drawn by lot would hold the best."
        + (f" At most {MOST_ARMS} are chosen." if len(table) == MOST_ARMS else "")
    )
    one_line = table.assign(conditions=["; ".join(names) for names in table["conditions"]])
    csv_button("Table as CSV", lambda: one_line, "conditions_to_field", key="data_arms", type="tertiary")


@st.cache_data(show_spinner=False, max_entries=50)
def _arms(run_id: str, outcome: str, better: str, written: str) -> pd.DataFrame:
    table = arms_to_field(load_run(run_id), outcome, higher_is_better=better == "higher")
    named = table["conditions"].map(lambda names: [visible(name) for name in names])
    return table.assign(
        conditions=named, holds_best=100 * table["holds_best"], by_chance=100 * table["by_chance"]
    )
