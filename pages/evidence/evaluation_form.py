"""The form that starts an evaluation: the models, the people, and the cost."""

from typing import Any

import pandas as pd
import streamlit as st

from pages.view import cached, state
from pages.view.fields import consent
from pages.view.fields.model import model_requests
from pages.view.words import counted, escape
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import resources
from socrates_core.corpus.splits import SPLITS, splits_stamp
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.evaluations.rows import asked_rows
from socrates_core.evaluations.spec import CAP, EvaluationSpec, plan_evaluation
from socrates_core.evaluations.submission import estimate_cost, estimate_seconds, sending, submit_evaluation
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models import is_stand_in

KINDS = {"studies": "Studies of a corpus", "split": "The held-out side of a split"}


def show_form() -> None:
    """The fields from top to bottom, the number of questions, and the button that starts."""
    if not corpora():
        st.info("There are no studies yet. Run `make setup`, then reload.", icon=":material/download:")
        return
    st.subheader("New evaluation", anchor=False)
    st.markdown(
        "A model answers as people who really took part, each in the condition that they were in, so that its "
        "answers can be scored against theirs.",
        width=720,
    )
    people = _choose_people()
    models = model_requests("evaluate")
    limit_usd = consent.limit_field(models)
    plans = _plans(models, people) if people and models else []
    ready = bool(plans) and _show_cost(plans)
    if st.button(
        "Start", type="primary", icon=":material/play_arrow:", disabled=not ready, key="evaluate_start"
    ):
        consent.start_with_consent(
            [sent for plan in plans if (sent := sending(plan)) is not None],
            lambda agreed: _start(models, people, limit_usd, agreed=agreed),
        )


def _start(
    models: list[ModelRequest], people: dict[str, Any], limit_usd: float | None, *, agreed: bool
) -> None:
    """Queues an evaluation for each model and shows them."""
    jobs = [
        submit_evaluation(model, **people, consent=agreed, limit_usd=limit_usd if model.service else None)
        for model in models
    ]
    state.go_to(state.PAGES.compare, evaluations=",".join(job.id for job in jobs))


def _choose_people() -> dict[str, Any]:
    """Who is asked, as arguments of `submit_evaluation`; empty while a field is missing."""
    known = SPLITS.ids()
    kind = "studies"
    if known:
        kind = st.segmented_control(
            "What is asked",
            list(KINDS),
            default="split",
            required=True,
            format_func=KINDS.__getitem__,
            key="evaluate_kind",
        )
    if kind == "split":
        chosen: dict[str, Any] = {"split": st.selectbox("Split", known, key="evaluate_split")}
    else:
        chosen = _choose_studies()
    left, middle, right = st.columns(3)
    cap = left.number_input(
        "Most people per cell",
        min_value=2,
        value=CAP,
        step=1,
        key="evaluate_cap",
        placeholder="everybody",
        help="A cell is one outcome in one condition. Empty: everybody. More people include those of a smaller number.",
    )
    seed = middle.number_input(
        "Seed",
        min_value=0,
        value=0,
        step=1,
        key="evaluate_seed",
        help="Which people, and which draw of each answer.",
    )
    shots = right.number_input(
        "Examples",
        min_value=0,
        value=0,
        step=1,
        key="evaluate_shots",
        help="Few-shot: so many answers to the same question, by people who are not asked, stand before it.",
    )
    return {**chosen, "cap": cap, "seed": seed, "shots": shots} if chosen else {}


def _choose_studies() -> dict[str, Any]:
    known = corpora()
    corpus = st.selectbox("Corpus", known, key="evaluate_corpus") if len(known) > 1 else known[0]
    titles = {study: title for (name, study), title in cached.titles().items() if name == corpus}
    studies = st.multiselect(
        "Studies",
        list(titles),
        format_func=lambda study: titles.get(study, study),
        key="evaluate_studies",
        placeholder="Choose studies (5 or more for intervals)",
    )
    if not SPLITS.ids():
        st.caption("To hold studies out of training, make a split: `python -m socrates_core split make NAME`")
    return {"corpus": corpus, "studies": studies} if studies else {}


def _plans(models: list[ModelRequest], people: dict[str, Any]) -> list[EvaluationSpec]:
    """A spec for each model; empty, with the reason in red, if one of them cannot be evaluated."""
    try:
        return [plan_evaluation(model, **people) for model in models]
    except UserError as error:
        st.markdown(f":red[:material/error: {escape(str(error))}]")
        return []


def _show_cost(plans: list[EvaluationSpec]) -> bool:
    """The number of questions and the time. Returns False if they cannot be asked."""
    try:
        rows = _asked(plans[0].sample_digest(), f"{cached.stamp(plans[0].corpus)} {splits_stamp()}", plans[0])
    except UserError as error:
        st.markdown(f":red[:material/error: {escape(str(error))}]")
        return False
    cells = rows.groupby(["study_id", "condition_num", "task_num"]).ngroups
    people = rows.groupby(["study_id", "participant"]).ngroups
    st.markdown(
        f"**{len(rows):,} questions** a model: {counted(people, 'person', 'people')} in {counted(cells, 'cell')} of "
        f"{counted(rows['study_id'].nunique(), 'study', 'studies')}."
    )
    try:
        for plan in plans:
            if not is_stand_in(plan.model.name):
                st.markdown(escape(_cost_text(plan, rows)))
    except UserError as error:
        st.markdown(f":red[:material/error: {escape(str(error))}]")
        return False
    st.caption("Equal questions are asked once, and answers that are in the cache are used again.")
    return True


def _cost_text(plan: EvaluationSpec, rows: pd.DataFrame) -> str:
    with st.spinner(f"Looking how fast {escape(plan.model.name)} reads here"):
        needed = resources(plan.model)
        seconds = estimate_seconds(plan, rows)
    time = (
        "not known before its first run here" if seconds is None else f"at most {describe_seconds(seconds)}"
    )
    cost = consent.cost_text(plan.model, estimate_cost(plan, rows))
    return (
        f"{plan.model.name}: time on this machine {time}.{cost} {needed.sentence if needed else ''}".rstrip()
    )


# Keyed by the sample's digest and the stamp; Streamlit does not hash `_plan`.
@st.cache_data(show_spinner="Counting the questions", max_entries=4)
def _asked(sample: str, stamp: str, _plan: EvaluationSpec) -> pd.DataFrame:
    return asked_rows(_plan)
