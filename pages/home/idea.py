"""Two texts and a question: three fields and a button from an idea to a number."""

import streamlit as st

from pages.home.recent import ON_THIS_MACHINE
from pages.view import cached, state
from pages.view.words import counted, escape
from socrates_core.asking.request import ModelRequest
from socrates_core.models.catalog import list_models
from socrates_core.projects import drafts
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.check import problems
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.start import IDEA_SCALES, draft_of_idea
from socrates_core.verdicts.verdict import most_trusted


def show_idea() -> None:
    """The form. It asks the most trusted model of this machine, as fifty people of the usual population."""
    models = [card.name for card in list_models() if card.installed and card.kind in ON_THIS_MACHINE]
    st.subheader("Try an idea", anchor=False)
    if not models:
        st.info("There is no model yet. Run `make setup`, then reload.", icon=":material/smart_toy:")
        return
    model = most_trusted(models)
    with st.form("idea"):
        left, right = st.columns(2)
        first = left.text_area("Text A: what one group reads", key="idea_first", height=110)
        second = right.text_area("Text B: what the other group reads", key="idea_second", height=110)
        question = st.text_input(
            "The question to both", key="idea_question", placeholder="How much do you support the proposal?"
        )
        answers, button = st.columns([3, 1], vertical_alignment="bottom")
        scale = answers.selectbox("Answers", list(IDEA_SCALES), key="idea_scale")
        pressed = button.form_submit_button(
            "Predict", type="primary", icon=":material/play_arrow:", width="stretch"
        )
    n = counted(
        len(cached.panel_of(draft_of_idea("", "", "", scale).panel)), "simulated person", "simulated people"
    )
    st.caption(
        f"The model {escape(model)} answers as {n}. Everything can be changed afterwards in the draft."
    )
    if pressed:
        start(draft_of_idea(first, second, question, scale), model)


def start(draft: Draft, model: str) -> None:
    """Keeps the draft, runs it and shows the results; says what is missing instead where something is."""
    wrong = list(dict.fromkeys(problem.message for problem in problems(draft)))
    if not any(condition.text.strip() for condition in draft.conditions):
        wrong = ["Write at least one of the two texts."]
    if wrong:
        st.error(escape(" ".join(wrong)), icon=":material/error:")
        return
    draft_id = drafts.create(draft)
    drafts.keep_version(draft_id, draft, f"run with {model}")
    job = submit_simulation(draft, ModelRequest(model), draft_id=draft_id)
    state.go_to(state.PAGES.results, run=job.id)
