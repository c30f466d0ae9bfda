"""Models compared with people and baselines on whole studies, and the form that starts an evaluation."""

import streamlit as st

from pages.evidence import comparison_rows
from pages.evidence import comparison_views as parts
from pages.evidence.evaluation_choice import choose_evaluations, ready
from pages.evidence.evaluation_form import show_form
from pages.evidence.finetune_gains import show_finetunes
from pages.view import state
from pages.view.outdated import show_outdated
from pages.view.verdict_line import show_verdict
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation, list_evaluations
from socrates_core.evaluations.submission import evaluate_again, sending
from socrates_core.verdicts.verdict import verdict_for

OF_CHOSEN = {
    "Scores": parts.show_scores,
    "Cells": parts.show_cells,
    "Studies": parts.show_studies,
    "Effects": parts.show_effects,
    "Subgroups": parts.show_subgroups,
    "Downloads": parts.show_downloads,
}
VIEWS = ("Scores", "Cells", "Studies", "Effects", "Subgroups", "Finetunes", "Downloads")


def header(*, form: bool) -> None:
    """The title and the page's one action: open the form, or go back from it."""
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title("Evidence", anchor=False)
    if form and action.button("Back", width="stretch", key="compare_back"):
        state.go_to(state.PAGES.compare)
    if not form and action.button(
        "New evaluation", type="primary", icon=":material/add:", width="stretch", key="compare_new"
    ):
        state.go_to(state.PAGES.compare, new="1")


def show_view(evaluations: list[Evaluation]) -> None:
    """The verdicts, then the chosen view of the evaluations. The view of finetunes needs no evaluation."""
    for card in {evaluation.model: evaluation.manifest["card"] for evaluation in evaluations}.values():
        show_verdict(verdict_for(card), name=True)
    view = st.segmented_control(
        "What to show",
        VIEWS,
        default="Scores",
        required=True,
        key="compare_view",
        label_visibility="collapsed",
        bind="query-params",
    )
    if view == "Finetunes":
        show_finetunes()
    elif evaluations:
        for evaluation in evaluations:
            show_outdated_evaluation(evaluation)
        show_comparison(comparison_rows.compare(evaluations), view)
    else:
        st.caption("Choose an evaluation that has answers, or start a new one.")


def show_outdated_evaluation(evaluation: Evaluation) -> None:
    sentence = evaluation.outdated
    sent = sending(evaluation.spec) if evaluation.outdated else None
    show_outdated(
        f"{evaluation.model}: {sentence}" if sentence else "",
        f"Evaluate {evaluation.model} again",
        [sent] if sent else [],
        lambda agreed: evaluate_again(evaluation.id, consent=agreed),
        lambda job: state.go_to(state.PAGES.compare, evaluations=job.id),
    )


def show_comparison(comparison: Comparison, view: str) -> None:
    if comparison.seen_only:
        st.warning(
            "Every row here was in the training of one of these models, so there is nothing to score honestly. Choose "
            "studies that none of them has seen.",
            icon=":material/visibility:",
        )
        return
    OF_CHOSEN[view](comparison)


rows = list_evaluations()
if not rows:
    st.title("Evidence", anchor=False)
    st.info(
        "Models are compared here with people's own answers and simple baselines, over whole studies: how close their "
        "answers are, whether their effects agree, and for whom they fail. There are no evaluations yet.",
        icon=":material/compare_arrows:",
    )
    show_form()
elif state.parameter("new"):
    header(form=True)
    show_form()
else:
    header(form=False)
    show_view(ready(choose_evaluations(rows)))
