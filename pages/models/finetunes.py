"""Finetunes while they learn: one or several in the same charts, with figures, settings, and logs."""

import streamlit as st

from pages.models import training_courses as parts
from pages.view import state
from pages.view.fields.live import live
from socrates_core.finetuning.overview import list_finetunes

title, action = st.columns([4, 1], vertical_alignment="bottom")
title.title("Finetunes", anchor=False)
if action.button("New finetune", type="primary", icon=":material/add:", width="stretch", key="finetunes_new"):
    state.go_to(state.PAGES.launch)
rows = list_finetunes()
if not rows:
    st.info(
        "A finetune trains a model on what people answered in past experiments. Watch it learn here: the loss, "
        "and how close its answers come to those of people whom it is not trained on. There is none yet: choose "
        "**New finetune**.",
        icon=":material/show_chart:",
    )
    st.stop()
ids = parts.choose_finetunes(rows)
if not ids:
    st.caption("Choose a finetune.")
    st.stop()
finetunes = parts.labelled(ids)
parts.show_states(finetunes)
view = st.segmented_control(
    "What to show",
    list(parts.VIEWS),
    default="Learning",
    required=True,
    key="finetunes_view",
    label_visibility="collapsed",
    bind="query-params",
)
if any(finetune.active for finetune in finetunes.values()):
    live(parts.show_view, "5s", view, *ids)
else:
    parts.show_view(view, *ids)
