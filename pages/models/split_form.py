"""The split of a finetune: choose one, or make one here."""

from typing import Any

import streamlit as st

from pages.view import state
from pages.view.fields.link import linked_box, linked_multiselect, listed
from pages.view.words import escape
from socrates_core.corpus.splits import KINDS, SPLITS, Kind, load_split, save_split
from socrates_core.corpus.splits_make import make_split, official_kinds, read_official
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.errors import UserError

HELD_OUT: dict[Kind, str] = {
    "studies": "studies that it never saw",
    "conditions": "new conditions of studies that it knows",
    "outcomes": "new outcomes of studies that it knows",
    "participants": "new people of studies that it knows",
}
OFFICIAL = "official "


def choose_split() -> str | None:
    """The split that is trained on, or None if there is no split yet. Below it is the form that makes one."""
    known = SPLITS.ids()
    chosen = None
    if known:
        names = {name: name for name in known}
        linked = state.parameter("split")
        chosen = linked_box("Split", names, linked, lambda name: {"split": name}, key="train:split")
        _describe(chosen)
    else:
        st.info(
            "A model is measured on what it was not trained on, so a finetune starts from a split. There is none yet; "
            "make one here.",
            icon=":material/call_split:",
        )
    with st.expander("Make a split", icon=":material/call_split:", expanded=not known):
        _make(corpora())
    return chosen


def choose_studies(split: str) -> list[str]:
    """The studies on the split's training side to learn from; none chosen means all. Kept in the link."""
    try:
        opened = load_split(split)
    except UserError:
        return []
    held = set(opened.held_out) if opened.kind == "studies" else set()
    known = [study for study in opened.studies if study not in held]
    strange = [study for study in listed("studies") if study not in known]
    if strange:
        st.warning(
            escape(f"{', '.join(map(repr, strange))}: not on the training side of this split, so left out."),
            icon=":material/help:",
        )
    return linked_multiselect(
        "Only these studies",
        {study: study for study in known},
        "studies",
        key=f"train:studies:{split}",
        placeholder=f"All {len(known)} studies of the training side",
    )


def _describe(name: str) -> None:
    try:
        split = load_split(name)
    except UserError:
        return  # said where the rows are drawn
    st.caption(escape(f"Of {split.corpus}: {split.source}. Held out are {HELD_OUT[split.kind]}."))


def _make(known: list[str]) -> None:
    left, middle, right, last = st.columns(4)
    corpus = left.selectbox("Corpus", known, key="split_corpus", bind="query-params")
    published = _published(corpus)
    kind = middle.selectbox(
        "Hold out",
        [*KINDS, *published],
        key="split_kind",
        bind="query-params",
        help="What the data's own authors hold out is offered where its file came with the corpus.",
    )
    fixed = kind in published
    share: Any = right.number_input(
        "Share held out", 0.01, 0.99, 0.25, step=0.05, key="split_share", bind="query-params", disabled=fixed
    )
    seed: Any = last.number_input(
        "Seed of the split", 0, value=0, step=1, key="split_seed", bind="query-params", disabled=fixed
    )
    usual = f"{corpus}-{kind}" if fixed else f"{corpus}-{kind}-{round(100 * share)}-seed{seed}"
    usual = usual.replace(" ", "-").lower()
    name = st.text_input("Name of the split", usual, key=f"split_name:{usual}")
    if st.button("Make this split", icon=":material/add:", key="split_make"):
        try:
            if name in SPLITS.ids():
                raise UserError(f"There is a split {name!r} already. Choose another name.")
            opened = open_corpus(corpus)
            if fixed:
                split = read_official(opened, kind.removeprefix(OFFICIAL), name=name)
            else:
                split = make_split(opened, kind, name=name, share=share, seed=seed)
        except UserError as error:
            st.error(escape(str(error)), icon=":material/error:")
            return
        save_split(split)
        state.set_parameters(split=name)
        st.rerun()


def _published(corpus: str) -> list[str]:
    """What the authors' own splits hold out, if their files came with the corpus; none for a damaged corpus."""
    try:
        return [OFFICIAL + kind for kind in official_kinds(open_corpus(corpus))]
    except UserError:
        return []
