"""Launch: a finetune from its base model to its first step, with what it will learn from shown before it starts."""

from typing import Any

import streamlit as st

from pages.view import data, launching, readiness, splitting, state
from pages.view.text import show_error
from socrates_core.corpus.splits import load_split, splits_stamp
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.submission import check_name, submit_training


def show_form(action: st.delta_generator.DeltaGenerator) -> None:
    """The fields from top to bottom; what they ask for is shown in their midst as soon as it is known."""
    before = launching.chosen_so_far()
    base, size = launching.choose_base()
    method = launching.choose_method()
    st.subheader("What is held out", anchor=False)
    split = splitting.choose_split()
    if split is None:
        return
    picture = st.container()
    st.subheader("Rows", anchor=False)
    studies = splitting.choose_studies(split)
    rows = st.container()
    st.subheader("Training", anchor=False)
    values: dict[str, Any] = {"base": base, "method": method, "split": split, "studies": studies}
    values |= launching.choose_settings(base, size, method, before=before, rows=rows)
    name = launching.free_name(base, method, split)
    values["name"] = launching.field("name", name, f"{base}:{method}:{split}")
    evaluate = launching.choose_evaluation()
    st.subheader("Before it starts", anchor=False)
    try:
        spec = launching.checked(values)
        ready = show_what_it_does(spec, picture)
    except UserError as error:
        show_error(error)
        ready = None
    start = action.button(
        "Start", type="primary", icon=":material/play_arrow:", width="stretch", disabled=ready is None,
        key="train_start",
    )  # fmt: skip
    if start and ready:
        state.go_to(state.PAGES.finetunes, trainings=submit_training(ready, evaluate=evaluate).id)


def show_what_it_does(spec: TrainingSpec, picture: st.delta_generator.DeltaGenerator) -> TrainingSpec | None:
    """Sides, leaks, examples, cost and file; the spec once it may start. Raises UserError where it cannot."""
    stamp = f"{data.stamp(load_split(spec.split).corpus)} {splits_stamp()}"
    with picture:
        readiness.show_sides(spec, stamp)
    accepted = readiness.show_leaks(spec, stamp)
    insight = readiness.show_insight(spec, stamp)
    readiness.show_cost(spec, insight)
    readiness.show_file(accepted or spec)
    check_name(spec.name)
    return None if insight.n_too_long else accepted


title, corner = st.columns([4, 1], vertical_alignment="bottom")
title.title("Launch a finetune", anchor=False)
st.caption(
    "A model learns from what single people answered in past experiments, and is measured on what was held out. "
    "Everything chosen here is in this page’s link."
)
if corpora():
    show_form(corner)
else:
    st.info(
        "There are no studies to learn from yet. Run `make setup`, then reload.", icon=":material/download:"
    )
