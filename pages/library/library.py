"""All studies: search, filter, open."""

import streamlit as st

from pages.library import facets
from pages.view import state
from pages.view.fields.table import choose_row

FIRST = ["title", "passage", "n_participants", "n_conditions", "n_outcomes", "scales"]
LAST = ["topic", "source", "design", "split", "wording", "corpus"]

st.title("Studies")
studies = facets.catalogue()
if studies.empty:
    st.info(
        "This page lists real experiments with the answers of the people who took part. There are none yet: "
        "run `make setup` (or `python -m socrates_core setup`) and reload this page.",
        icon=":material/download:",
    )
    st.stop()

matching = facets.choose(studies)
st.caption(f"{facets.count_line(matching, studies)}. Choose a row to open the study.")
columns = [*FIRST, *(name for name in LAST if matching[name].nunique() > 1)]
chosen = choose_row(
    matching.assign(scales=[", ".join(kinds) for kinds in matching["facet_scale"]]),
    zip(matching["corpus"].map(str), matching["study_id"].map(str), strict=True),
    column_order=columns if matching["passage"].any() else [name for name in columns if name != "passage"],
    key="studies_table",
    height=min(620, 38 + 35 * len(matching)),
    alt="Studies with title, topic, numbers of people, conditions and outcomes",
    column_config={
        "title": st.column_config.TextColumn("Study", width=330),
        "passage": st.column_config.TextColumn("Found in", width=300),
        "topic": "Topic",
        "source": st.column_config.TextColumn("Source", width="medium"),
        "n_participants": st.column_config.NumberColumn("People", format="localized"),
        "n_conditions": "Conditions",
        "n_outcomes": "Outcomes",
        "scales": st.column_config.TextColumn("Scales", width="small"),
        "design": st.column_config.TextColumn("Design", help="between: each person saw one condition"),
        "split": st.column_config.TextColumn(
            "Split", help="of the published models: seen in training or not"
        ),
        "wording": st.column_config.TextColumn("Wording", help="the instrument's own, partly, or rebuilt"),
        "corpus": "Corpus",
    },
)
if chosen is not None:
    corpus, study_id = chosen
    state.go_to(state.PAGES.study, corpus=corpus, study=study_id)
