"""Every model: where it comes from, what it saw, how good it is; fetch, merge, export, delete."""

import streamlit as st

from pages.models import fetch_model, model_cards
from pages.view import state
from pages.view.this_machine import show_machine
from pages.view.verdict_line import show_verdict
from pages.view.words import escape
from socrates_core.finetuning.library import LibraryModel, library
from socrates_core.verdicts.verdict import verdict_of


def show_list(models: list[LibraryModel]) -> None:
    st.title("Models", anchor=False)
    st.caption(
        "Available models: models and adapters on this machine, checkpoints of finetunes under way, and the released "
        "Socrates models, which are fetched from the hub on request."
    )
    show_machine()
    model_cards.show_table(models)
    model_cards.show_bin()


def show_one(model: LibraryModel, known: set[str]) -> None:
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title(escape(model.card.title), anchor=False)
    if model.kind == "hub" and not model.card.installed:
        fetch_model.show_button(model, action)
    elif action.button(
        "Use in a draft",
        type="primary",
        icon=":material/edit_note:",
        width="stretch",
        key="model_use",
        disabled=not model.card.installed,
    ):
        state.go_to(state.PAGES.draft, model=model.name)
    show_verdict(verdict_of(model.name))
    with st.container(horizontal=True, gap="small"):
        st.badge(model_cards.KINDS[model.kind], icon=":material/smart_toy:")
        if model.card.size_bytes:
            st.badge(f"{model.card.size_bytes / 10**6:,.0f} MB", color="gray")
        if model.card.context_limit:
            st.badge(f"reads up to {model.card.context_limit:,} tokens", color="gray")
        st.badge(escape(model.name), color="gray")
    if model.problem:
        st.warning(escape(model.problem), icon=":material/help:")
    if model.kind == "hub":
        fetch_model.show_facts(model)
    model_cards.show_uses(model)
    st.subheader("Where it comes from", anchor=False)
    model_cards.show_lineage(model, known)
    st.subheader("What it saw", anchor=False)
    model_cards.show_saw(model)
    if model.trained is None:
        return
    if model.trained.leaks_accepted:
        sentence = f"A leak was accepted: {model.trained.leaks_accepted} {' '.join(model.trained.leaks)}"
        st.warning(escape(sentence), icon=":material/water_drop:")
    if model.trained.doubts:
        st.warning(escape(" ".join(model.trained.doubts)), icon=":material/help:")
    st.subheader("Validation during training", anchor=False)
    model_cards.show_metrics(model.trained)
    st.subheader("How it was trained", anchor=False)
    model_cards.show_training(model.trained)


flash = state.pop_flash()
if flash:
    st.success(escape(flash), icon=":material/check:")
models = library()
by_name = {model.name: model for model in models}
linked = state.parameter("model")
if linked and linked not in by_name:
    st.warning(escape(f"There is no model {linked!r} here; choose one."), icon=":material/help:")
if linked in by_name:
    if st.button("All models", icon=":material/list:", type="tertiary", key="models_list"):
        state.go_to(state.PAGES.models)
    show_one(by_name[linked], set(by_name))
else:
    show_list(models)
