"""Freezing a study's answers, sealing a run before they are seen, and revealing them: the buttons and what is told."""

import streamlit as st

from pages.view.text import escape
from socrates_core.corpus.hidden_answers import frozen_studies, hidden_sentence
from socrates_core.corpus.queries import Corpus
from socrates_core.exposure import seals
from socrates_core.projects.run_results import SimulationRun
from socrates_core.surveys.human_answers import study_behind


def show_frozen(corpus: Corpus, study_id: str) -> bool:
    """Says in the place of a frozen study's answers that they are hidden; False where they are not."""
    since = frozen_studies(corpus.path).get(study_id)
    if since:
        st.info(escape(hidden_sentence(study_id, since)), icon=":material/visibility_off:")
    return bool(since)


def freeze_button(corpus: Corpus, study_id: str) -> None:
    """Hides people's answers to a study, or shows them again."""
    with st.popover("Freeze and reveal", icon=":material/lock:"):
        if since := frozen_studies(corpus.path).get(study_id):
            st.markdown(escape(f"People's answers are hidden since {since}."))
            _reveal_button(corpus, study_id)
            return
        st.markdown(
            "Hide what people answered, here and in every export, until you reveal it: draft, run and **seal** your "
            "predictions first. When it was hidden and shown is recorded."
        )
        if st.button("Hide people's answers", icon=":material/visibility_off:", key="freeze"):
            seals.freeze(corpus, study_id)
            st.rerun()


def show_seal(run: SimulationRun) -> None:
    """The run's seal with what could be seen before, or the button that seals it; and the way to the answers."""
    behind = study_behind(run.spec.draft, run.spec.shown)
    frozen = behind is not None and behind.study_id in frozen_studies(behind.corpus.path)
    sealed = seals.seal_of(run.spec.run_id)
    if sealed is not None and sealed.record is not None:
        _show_sealed(sealed, sealed.record)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if frozen:
            st.badge("people's answers are hidden", icon=":material/visibility_off:", color="orange")
        if sealed is None and run.manifest["state"] == "complete":
            told = "Records the digest of these predictions and the time, so that a later change shows."
            if st.button("Seal these predictions", icon=":material/verified:", key="seal", help=told):
                seals.seal(run.spec.run_id)
                st.rerun()
        if sealed is not None and frozen and behind is not None:
            _reveal_button(behind.corpus, behind.study_id)


def _show_sealed(sealed: seals.Checked, record: seals.SealRecord) -> None:
    if sealed.problem:
        st.error(escape(f"Record {sealed.number} of the seals {sealed.problem}."), icon=":material/gpp_bad:")
        return
    st.badge("sealed", icon=":material/verified:", color="green")
    told = seals.describe(record, seals.read_chain())
    st.caption(escape(f"{told} Record {record.number}, digest {record.digest()[:16]}."))


def _reveal_button(corpus: Corpus, study_id: str) -> None:
    if st.button("Reveal people's answers", icon=":material/visibility:", key="reveal"):
        seals.reveal(corpus, study_id)
        st.rerun()
