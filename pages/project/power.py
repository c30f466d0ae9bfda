"""How many people a study needs for an effect that is not known: a run's calibrated effect, or a guess."""

import streamlit as st

from pages.project import power_form, power_results
from pages.view.calibration_words import show_calibration
from pages.view.verdict_line import show_verdict
from socrates_core.projects.power import plan

st.title("Power", anchor=False)
st.caption(
    "Plan a study of two groups before it is paid for: how many people find an effect that is only guessed at, and "
    "what significant results would then be worth. Choose a run, or go without one."
)
run = power_form.choose_run()
if run:
    show_verdict(run.verdict)
effect = power_form.choose_effect(run) if run else None
belief = power_form.choose_belief(run, effect)
design = power_form.choose_design()
model = run.model if run and effect and effect.calibrated else ""
if belief is not None:
    power_results.show_plan(plan(belief, n=design.n, target=design.target, layout=design.layout), model)
if run and effect:
    power_results.show_arms(run, effect)
    if effect.calibrated is not None:
        st.subheader("How good the calibration is", anchor=False)
        show_calibration(run.calibration)
