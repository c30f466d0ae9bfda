"""Start a finetune: choose its base model, data, and settings, and see what it will learn from."""

from functools import cache
from typing import Any

import streamlit as st

from pages.models import after_training, base_model, before_start, finetune_form, rationales_form, split_form
from pages.models.after_training import Plan
from pages.models.base_model import Base
from pages.view import cached, state
from pages.view.words import show_error
from socrates_core.corpus.splits import load_split, splits_stamp
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import with_precision
from socrates_core.finetuning.learning_curve import check_names
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TrainingSpec


def show_form(action: st.delta_generator.DeltaGenerator) -> None:
    """The fields from top to bottom. What they mean for the data appears among them as soon as it is known."""
    base = base_model.choose_base()
    method = finetune_form.choose_method()
    st.subheader("What is held out", anchor=False)
    split = split_form.choose_split()
    if split is None:
        return
    picture = st.container()  # drawn later, when the rows are known, but shown here
    st.subheader("Rows", anchor=False)
    studies = split_form.choose_studies(split)
    rows = st.container()
    st.subheader("Training", anchor=False)
    values: dict[str, Any] = {"base": base.name, "method": method, "split": split, "studies": studies}
    values |= finetune_form.choose_settings(base.name, base.n_parameters, method, rows=rows)
    named = st.container()
    plan = after_training.choose_plan()
    name = finetune_form.free_name(base.name, method, split, plan.shares)
    scope = f"{base.name}:{method}:{split}:{len(plan.shares)}"
    values["name"] = finetune_form.field("name", name, scope, where=named)
    if plan.shares:
        values["people_share"] = max(plan.shares)
    if method == "reasoning":
        rationales_form.show_rationales(values)
    st.subheader("Before it starts", anchor=False)
    try:
        ready = show_what_it_does(with_precision(finetune_form.checked(values)), base, plan, picture)
    except UserError as error:
        show_error(error)
        ready = None
    start = action.button(
        "Start",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=ready is None,
        key="train_start",
    )
    if start and ready:
        state.go_to(state.PAGES.finetunes, trainings=",".join(job.id for job in plan.submit(ready)))


def show_what_it_does(
    spec: TrainingSpec, base: Base, plan: Plan, picture: st.delta_generator.DeltaGenerator
) -> TrainingSpec | None:
    """Sides, leaks, examples, cost and file; returns the spec once it may start. Raises UserError if it cannot."""
    stamp = f"{cached.stamp(load_split(spec.split).corpus)} {splits_stamp()}"
    # Sides, leaks and examples share the rows. They are chosen once, and not at all if all three are cached.
    rows = cache(lambda: choose_rows(spec))
    with picture:
        before_start.show_sides(spec, rows, stamp)
    base_model.check(base, spec)
    accepted = before_start.show_leaks(spec, rows, stamp)
    insight = before_start.show_insight(spec, rows, stamp)
    before_start.show_cost(spec, insight, plan)
    before_start.show_file(accepted or spec, plan)
    check_names(spec.name, plan.shares)
    return None if insight.n_too_long or base.lacking else accepted


title, corner = st.columns([4, 1], vertical_alignment="bottom")
title.title("Launch a finetune", anchor=False)
st.caption(
    "A model learns from what individual people answered in past experiments, and is measured on what was held out. "
    "Everything chosen here is in this page’s link."
)
if corpora():
    show_form(corner)
else:
    st.info(
        "There are no studies to learn from yet. Run `make setup`, then reload.", icon=":material/download:"
    )
