"""Fields of the draft form for the population: sampled people, or described ones with a table of shares for a field."""

import pandas as pd
import streamlit as st

from pages.project import draft_form
from pages.project.draft_fields import show_problems
from pages.view import cached, state
from pages.view.state import Editing
from pages.view.words import escape, visible
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.personas import label
from socrates_core.populations.bands import BANDS, OPEN_ENDS
from socrates_core.populations.panel import PanelSpec
from socrates_core.populations.remarks import population_name
from socrates_core.populations.shares import shares_table, sum_sentence
from socrates_core.records import DEMOGRAPHICS
from socrates_core.surveys.check import Problem


def population_fields(editing: Editing, problems: list[Problem]) -> None:
    """Who answers: sampled or described people, how many, and the seed."""
    panel = editing.draft.panel
    st.markdown(f"**{escape(population_name(panel))}**")
    kinds = ["sample", "describe"]
    kind = st.segmented_control(
        "Where the people come from",
        kinds,
        default=panel.kind,
        required=True,
        key=editing.key("panel", "kind"),
        format_func=lambda value: "Sample real participants" if value == "sample" else "Describe people",
    )
    if kind == "sample":
        _sample_fields(editing)
    else:
        _describe_fields(editing, problems)
    left, right = st.columns(2)
    if not panel.is_weighted:
        left.number_input("People", value=panel.n, min_value=1, step=10, key=editing.key("panel", "n"))
    (left if panel.is_weighted else right).number_input(
        "Seed",
        value=panel.seed,
        min_value=0,
        step=1,
        key=editing.key("panel", "seed"),
        help="The same seed draws the same people and the same ages within bands.",
    )
    show_problems(problems, "panel", "panel.n", "panel.describe")


def _sample_fields(editing: Editing) -> None:
    panel = editing.draft.panel
    known = corpora()
    if not known:
        st.info(
            "There is no corpus to sample from. Run `make setup`, or describe people.", icon=":material/info:"
        )
        return
    where, who = st.columns(2)
    index = known.index(panel.corpus) if panel.corpus in known else 0
    corpus = where.selectbox("Corpus", known, index=index, key=editing.key("panel", "corpus"))
    studies = cached.catalogue()
    titles = dict(zip(studies["study_id"], studies["title"], strict=True))
    ids = studies.loc[studies["corpus"] == corpus, "study_id"].tolist()
    who.multiselect(
        "Participants of (empty: all studies)",
        ids,
        default=[s for s in panel.studies if s in ids],
        format_func=lambda study_id: titles.get(study_id, study_id),
        key=editing.key("panel", "studies"),
    )
    chosen = editing.draft.panel.studies
    values = cached.demographic_values(corpus, tuple(chosen), cached.stamp(corpus))
    fields = st.multiselect(
        "Filter by",
        [f for f in DEMOGRAPHICS if f in values],
        format_func=label,
        default=[f for f in panel.filters if f in values],
        key=editing.key("panel", "fields"),
    )
    for field in fields:
        key = editing.key("panel", f"filter:{field}")
        now = panel.filters.get(field)
        if field in BANDS:
            ends = (int(min(values[field])), int(max(values[field])))
            # Streamlit refuses a value beyond a slider's ends, and another corpus or study has other ends.
            value = (max(now[0], ends[0]), min(now[1], ends[1])) if isinstance(now, tuple) else ends
            if ends[0] < ends[1]:
                st.slider(label(field), *ends, value=value, key=key)
        else:
            kept = [v for v in (now or ()) if v in values[field]]
            st.multiselect(label(field), values[field], default=kept, key=key)


def _describe_fields(editing: Editing, problems: list[Problem]) -> None:
    """A table of shares for each described field, and whether people are drawn in quotas or each profile is asked."""
    panel = editing.draft.panel
    fields = st.multiselect(
        "Fields to describe",
        DEMOGRAPHICS,
        default=list(panel.describe),
        format_func=label,
        key=editing.key("panel", "described"),
    )
    columns = st.columns(2)
    for number, field in enumerate(fields):
        with columns[number % 2], st.container(border=True):
            _share_table(editing, field, problems)
    st.segmented_control(
        "How they are asked",
        [False, True],
        default=panel.every_profile,
        required=True,
        key=editing.key("panel", "every_profile"),
        format_func=lambda chosen: "Every profile once, weighted" if chosen else "Quotas",
        help="Quotas: so many people, in the shares above; fields are combined at random. Every profile: each "
        "combination of values is asked once and counts by the product of its shares, without sampling error.",
    )


def _share_table(editing: Editing, field: str, problems: list[Problem]) -> None:
    """The values of a field and their shares, to type or to paste, with their sum."""
    shares = editing.draft.panel.describe.get(field, {})
    key = draft_form.shares_key(editing, field)
    if state.widget(key, None) is None:
        # The table keeps changes to the rows that it was first drawn with, until the page is left.
        editing.tables[key] = shares_table(shares)
    st.markdown(f"**{label(field)}**")
    numeric = "A number such as 45, or a band such as 18-29: a person gets one number drawn within it."
    st.data_editor(
        editing.tables[key],
        num_rows="dynamic",
        hide_index=True,
        key=key,
        alt=f"{label(field)}: values and shares",
        column_config={
            "value": st.column_config.TextColumn("Value", help=numeric if field in BANDS else None),
            "share": st.column_config.TextColumn("Share", help="In percent or as fractions: 40 or 0.4."),
        },
    )
    total, even = st.columns([2, 1], vertical_alignment="center")
    total.caption(sum_sentence(shares))
    even.button(
        "Even out",
        key=editing.key("panel", f"even:{field}"),
        type="tertiary",
        disabled=not shares,
        on_click=draft_form.change,
        args=(editing, lambda draft: draft_form.evened_out(draft, field)),
        help="Gives every value the same share.",
    )
    show_problems(problems, f"panel.describe.{field}")


def _of_bands(panel: PanelSpec) -> str:
    """How numbers within bands are drawn; empty if no field has bands."""
    sentences = [
        f" {label(field)} is drawn within a band, each number with the same chance; an open band ends at {end}."
        for field, end in OPEN_ENDS.items()
        if field in panel.describe
    ]
    return "".join(sentences)


def show_population(panel: PanelSpec) -> None:
    """How many people and profiles will be asked, what to know about them, and requested next to drawn shares.

    Raises UserError if the people cannot be drawn.
    """
    population = cached.population_of(panel)
    st.caption(escape(population["sentence"]))
    for warning in population["warnings"]:
        st.warning(escape(warning), icon=":material/warning:")
    show_shares(pd.DataFrame(population["shares"]))


def show_shares(shares: pd.DataFrame) -> None:
    """Requested next to drawn shares, in percent."""
    if shares.empty:
        return
    percent = {name: 100 * shares[name] for name in ("requested", "drawn")}
    st.dataframe(
        shares.assign(field=shares["field"].map(label), value=shares["value"].map(visible), **percent),
        hide_index=True,
        height=min(420, 38 + 35 * len(shares)),
        placeholder="–",
        key="population_shares",
        column_config={
            "field": "Field",
            "value": "Value",
            "requested": st.column_config.NumberColumn("Requested", format="%.1f%%"),
            "drawn": st.column_config.NumberColumn("Drawn", format="%.1f%%"),
            "n": st.column_config.NumberColumn("Simulated people", format="%d"),
        },
    )


def show_eligible(editing: Editing) -> None:
    """How many people a sample is drawn from, and what they are like."""
    panel = editing.draft.panel
    if panel.kind != "sample":
        st.caption(
            "Fields are combined independently of each other; joint patterns are not kept." + _of_bands(panel)
        )
        return
    try:
        count = cached.count_eligible(panel)
    except UserError as error:
        st.markdown(f":red[:material/error: {escape(str(error))}]")
        return
    sentence = f"{count:,} participants pass the filters"
    if panel.n <= count:
        st.caption(f"{sentence}; {panel.n:,} of them are drawn without replacement.")
    else:
        st.markdown(
            f":red[:material/error: {sentence}, but the panel asks for {panel.n:,}. "
            "Choose fewer people or widen the filters.]"
        )
