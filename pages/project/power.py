"""How many people a study needs for the smallest effect of interest, and what a run's effect or a guess adds."""

import streamlit as st

from pages.project import power_form, power_results
from pages.view.calibration_words import show_calibration
from pages.view.verdict_line import show_verdict
from socrates_core.projects.power import plan

st.title("Power", anchor=False)
st.caption(
    "How many people you need, and how far to trust a significant result. Choose a run, or go without one."
)
run = power_form.choose_run()
if run:
    show_verdict(run.verdict)
effect = power_form.choose_effect(run) if run else None
st.subheader("The smallest effect that would matter", anchor=False)
smallest = power_form.choose_smallest(run, effect)
st.subheader("The design", anchor=False)
design = power_form.choose_design(run)
belief = power_form.choose_belief(run, effect, smallest, design.layout)
model = run.model if run and effect and effect.calibrated else ""
if belief is not None:
    st.subheader("The sample size", anchor=False)
    planned = plan(belief, n=design.n, target=design.target, layout=design.layout)
    power_results.show_plan(planned, model)
if run and effect:
    power_results.show_arms(run, effect)
    if effect.calibrated is not None:
        st.subheader("How good the calibration is", anchor=False)
        show_calibration(run.calibration)
