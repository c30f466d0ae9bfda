"""An outcome's scale, set by hand where it could not be read from the text, or was read wrongly."""

import streamlit as st

from pages.view.text import escape
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.scale_overrides import clear_scales, read_overrides, set_by_hand, set_scales
from socrates_core.errors import UserError
from socrates_core.records import Stimulus
from socrates_core.scales import render_instruction
from socrates_core.studies.answers import StudyItem


def show_scale_by_hand(corpus: Corpus, study_id: str, item: StudyItem) -> None:
    """A field for the instruction, which holds for every text of the item; and the way back."""
    key = f"by_hand:{corpus.name}:{study_id}:{item.task_num}:{item.part}"
    with st.expander("Set the scale by hand", expanded=item.unread):
        known = item.one_scale
        text = st.text_input(
            "Response instruction",
            render_instruction(known) if known and not known.is_open else "",
            key=key,
            placeholder="Only return an integer from 1 to 7, where 1 means Never and 7 means Always, nothing else.",
            help="It replaces the scale that was read, here and for people's answers, also after a new import.",
        )
        keep, back = st.columns([1, 3])
        if keep.button("Set this scale", key=f"{key}:set", disabled=not text.strip()):
            try:
                set_scales(corpus, _stimuli(corpus, study_id, item), text)
            except UserError as error:
                st.error(escape(str(error)), icon=":material/error:")
                return
            st.rerun()
        changed = set_by_hand(corpus, _stimuli(corpus, study_id, item)) if read_overrides(corpus.path) else []
        if changed and back.button("Back to the scale that was read", key=f"{key}:clear", type="tertiary"):
            clear_scales(corpus, changed)
            st.rerun()


def _stimuli(corpus: Corpus, study_id: str, item: StudyItem) -> list[Stimulus]:
    """Everything that was shown for an item."""
    return [
        each
        for each in corpus.stimuli(study_id)
        if each.task_num == item.task_num and item.part in ("", each.question)
    ]
