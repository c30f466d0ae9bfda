"""A study at a glance: design and main finding in a sentence, the finding as a picture, conditions, source."""

import pandas as pd
import streamlit as st

from pages.view import cached
from pages.view.charts import answer_charts, frames
from pages.view.charts.show import show_chart, theme
from pages.view.words import escape, show_text
from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.studies.answers import Outline
from socrates_core.studies.overview import StudyOverview


def show_overview(corpus: Corpus, record: StudyRecord, plan: Outline) -> None:
    stamp = cached.stamp(corpus.name)
    overview = cached.study_in_a_sentence(corpus.name, record.study_id, stamp)
    st.markdown(f"#### {escape(overview.sentence)}")
    if overview.worked_out:
        st.caption(
            f"Worked out from the texts and answers, not stated by the source: {', '.join(overview.worked_out)}."
        )
    _show_finding(corpus, record, overview)
    st.markdown("**Conditions**")
    # A source that names a reference does not say that it is a control group.
    role = "probably the control" if "the control" in overview.worked_out else "reference"
    rows = [
        {
            "condition": label,
            "role": role if number == overview.control else "",
            "text": " ".join(plan.texts[number].split()) or "no text before the questions",
        }
        for number, label in overview.labels.items()
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="overview_conditions",
        alt="The study's conditions with what people read",
        column_order=["condition", *(["role"] if overview.control is not None else []), "text"],
        column_config={
            "condition": st.column_config.TextColumn("Condition", width="medium"),
            "role": st.column_config.TextColumn("Role", width="small"),
            "text": st.column_config.TextColumn("What people read", width="large"),
        },
    )
    st.markdown("**Source**")
    show_text(record.source + (f"\n{record.url}" if record.url else ""))


def _show_finding(corpus: Corpus, record: StudyRecord, overview: StudyOverview) -> None:
    """How far each condition moved the outcome of the main finding."""
    if overview.headline is None:
        return
    compared = cached.study_effects(
        corpus.name, record.study_id, overview.reference, cached.stamp(corpus.name)
    )
    effects = [
        {**vars(row), "who": "people", **vars(row.effect), "condition": overview.labels[row.condition_num]}
        for row in compared.effects
        if (row.task_num, row.part) == overview.headline
    ]
    if effects:
        drawn, unit = frames.in_one_unit(pd.DataFrame(effects).drop(columns="effect"))
    else:
        unit = "percentage points"
        drawn = pd.DataFrame(
            [
                {
                    "outcome": row.outcome,
                    "condition": f"{overview.labels[row.condition_num]}: {option['label'] or option['value']}",
                    "who": "people",
                    "n": row.shares.n,
                    **{name: 100 * option[name] for name in ("difference", "low", "high")},
                }
                for row in compared.options
                if (row.task_num, row.part) == overview.headline
                for option in row.as_dict()["options"]
            ]
        )
    if drawn.empty:
        return
    title = f"“{drawn['outcome'].iloc[0]}”: how far each condition is from “{overview.labels[overview.reference]}”"
    show_chart(
        answer_charts.effects_forest(drawn, title=title, unit=unit, theme=theme()), drawn, "overview_effects"
    )
    st.caption("Lines are 95% intervals. All outcomes are under Effects.")
