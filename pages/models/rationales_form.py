"""The source of a finetune's rationales, and the form that lets a model write new ones."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from pages.models import finetune_form
from pages.view import cached, state
from pages.view.words import escape, show_error
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.splits import load_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.finetuning.rationales import NOTE, OWN, rationales_origin, submit_rationales
from socrates_core.jobs.store import Job
from socrates_core.models.catalog import list_models

COMMAND = "python -m socrates_core rationales NAME --config FILE.yaml --model api:MODEL --server URL"


def show_rationales(values: Mapping[str, Any]) -> None:
    """The source of the rationales in the form's `values`, and the form below it."""
    st.markdown("**Rationales**")
    st.caption(escape(f"{_source(values)}{NOTE}"))
    with st.expander("Let a model write rationales", icon=":material/edit_note:"):
        _offer_writing(values)


def _source(values: Mapping[str, Any]) -> str:
    """Who wrote the chosen rationales, in a sentence; empty if they are missing, which `checked` reports."""
    name = str(values["rationales"])
    try:
        corpus = load_split(values["split"]).corpus
        writer = _writer(cached.stamp(corpus), corpus, name)
    except UserError:
        return ""
    return f"The rationales {writer}. " if name == OWN else f"The rationales “{name}” are by {writer}. "


@st.cache_data(ttl=60, show_spinner=False)
def _writer(stamp: str, corpus: str, name: str) -> str:
    return rationales_origin(open_corpus(corpus), name)["writer"]


def _offer_writing(values: Mapping[str, Any]) -> None:
    """A form for local models. For served models, the command, which asks for consent."""
    models = [card.name for card in list_models() if card.kind in ("local", "hub") and card.installed]
    with st.form("rationales_form", border=False):
        left, right = st.columns(2)
        name = left.text_input(
            "Name of the rationales",
            "written",
            key="rationales_name",
            help="It stands under Rationales in the expert settings once they are written.",
        )
        model = right.selectbox("Model that writes them", models, key="rationales_model")
        submitted = st.form_submit_button("Write them", icon=":material/edit_note:", disabled=not models)
    st.caption(
        "One for every row that this form chooses. A model of a server is asked by a command with a finetune’s file, "
        "which says what would leave this machine and asks for consent:"
    )
    st.code(COMMAND, language="bash", wrap_lines=True)
    if submitted and model:
        try:
            job = _submit(name.strip(), model, values)
        except UserError as error:
            show_error(error)
            return
        state.go_to(state.PAGES.jobs, job=job.id)


def _submit(name: str, model: str, values: Mapping[str, Any]) -> Job:
    spec = finetune_form.checked({**values, "name": "rationales", "rationales": name})
    return submit_rationales(ModelRequest(model), spec)
