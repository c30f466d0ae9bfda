"""Every study at hand: search, narrow down, open."""

import pandas as pd
import streamlit as st

from pages.view import data, state
from pages.view.parts import chosen_row

COLUMNS = [
    "title", "n_participants", "n_conditions", "n_outcomes", "scales", "topic", "source", "design", "wording", "corpus",
]  # fmt: skip

KINDS = {
    "range": "numbers", "enum_labels": "listed answers", "multiple": "multiples", "if_upto": "numbers",
    "open_integer": "open numbers",
}  # fmt: skip


def matching(studies: pd.DataFrame, words: str, topics: list[str], designs: list[str]) -> pd.DataFrame:
    """The studies that hold every word of the search and pass the filters."""
    text = (
        studies[["study_id", "title", "source", "topic", "scales"]]
        .astype(str)
        .agg(" ".join, axis=1)
        .str.lower()
    )
    keep = pd.Series(True, index=studies.index)
    for word in words.lower().split():
        keep &= text.str.contains(word, regex=False)
    if topics:
        keep &= studies["topic"].isin(topics)
    if designs:
        keep &= studies["design"].isin(designs)
    return studies[keep].reset_index(drop=True)


st.title("Studies")
studies = data.catalogue()
if studies.empty:
    st.info(
        "This page lists real experiments with the answers of the people who took part. There are none yet: "
        "run `make setup` (or `python -m socrates_core setup`) and reload this page.",
        icon=":material/download:",
    )
    st.stop()

studies["scales"] = studies["scale_kinds"].map(
    lambda kinds: ", ".join(sorted(KINDS.get(kind, kind) for kind in kinds))
)
search, topic, design = st.columns([3, 2, 2])
words = search.text_input("Search", placeholder="title, author, topic …", key="studies_search")
topics = topic.multiselect("Topic", sorted(studies["topic"].dropna().unique()), key="studies_topic")
designs = design.multiselect("Design", sorted(studies["design"].unique()), key="studies_design")
found = matching(studies, words, topics, designs)
people = int(found["n_participants"].sum())
st.caption(f"{len(found)} of {len(studies)} studies · {people:,} people. Choose a row to open the study.")
if found.empty:
    st.info("No study matches. Use fewer words or clear a filter.", icon=":material/search_off:")
    st.stop()
chosen = st.dataframe(
    found,
    column_order=COLUMNS,
    hide_index=True,
    on_select="rerun",
    selection_mode=["single-row", "single-cell"],
    key="studies_table",
    height=min(620, 38 + 35 * len(found)),
    alt="Studies with title, topic, numbers of people, conditions and outcomes",
    column_config={
        "title": st.column_config.TextColumn("Study", width=330),
        "topic": "Topic",
        "source": st.column_config.TextColumn("Source", width="medium"),
        "n_participants": st.column_config.NumberColumn("People", format="localized"),
        "n_conditions": "Conditions",
        "n_outcomes": "Outcomes",
        "scales": "Scales",
        "design": st.column_config.TextColumn("Design", help="between: each person saw one condition"),
        "wording": st.column_config.TextColumn("Wording", help="the instrument's own, partly, or rebuilt"),
        "corpus": "Corpus",
    },
)
row = chosen_row(chosen)
if row is not None:
    study = found.iloc[row]
    state.go_to(state.PAGES.study, corpus=str(study["corpus"]), study=str(study["study_id"]))
