"""Who took part in a study, compared with a population: another study, a corpus, or a file."""

import numpy as np
import pandas as pd
import streamlit as st

from pages.view import cached
from pages.view.charts import dots
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import linked_select
from pages.view.words import counted, escape, figure_text, interval_text
from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.personas import label
from socrates_core.populations.margins import (
    FieldComparison,
    Margins,
    compare,
    keep_margins,
    margin_files,
    margins_of,
    read_margins,
)

MOST_CATEGORIES = 12


def show_takers(corpus: Corpus, record: StudyRecord) -> None:
    """The shares of people in each demographic category, and those of the chosen population."""
    people = cached.people_of(corpus.name, record.study_id, cached.stamp(corpus.name))
    scope = f"{corpus.name}/{record.study_id}"
    left, right, button = st.columns([4, 3, 2], vertical_alignment="bottom")
    name = linked_select("Compare with", _populations(corpus, record), "beside", scope, where=left)
    with button:
        _bring_file()
    margins = _margins(name)
    margins_here = margins_of(people)
    if not margins_here:
        st.info("Nothing is known about the people of this study.", icon=":material/group_off:")
        return
    compared = {comparison.field: comparison for comparison in compare(people, margins or margins_here)}
    fields = {"": "all fields, as a table"} | {field: label(field) for field in compared}
    field = linked_select("Field", fields, "field", scope, where=right)
    if field:
        _show_field(compared[field], beside=bool(margins))
    else:
        _show_table(list(compared.values()), beside=bool(margins))
    missing = [label(field).lower() for field in margins_here if margins and field not in margins]
    if missing:
        st.caption(escape(f"The chosen population says nothing about {', '.join(missing)}."))
    st.caption(
        "People who did not say, or whose age is in no band, are left out of a field. 95% intervals are Wilson's."
    )


def _populations(corpus: Corpus, record: StudyRecord) -> dict[str, str]:
    studies = cached.catalogue()
    files = {f"file:{name}": f"your file {name}" for name in margin_files()}
    whole = {f"corpus:{name}": f"everybody in the corpus {name}" for name in cached.corpora_of(studies)}
    others = studies[(studies["corpus"] != corpus.name) | (studies["study_id"] != record.study_id)]
    named = {
        f"study:{name}/{study}": f"the study “{title}”"
        for name, study, title in zip(others["corpus"], others["study_id"], others["title"], strict=True)
    }
    return {"": "nobody: this study alone"} | files | whole | named


def _margins(name: str) -> Margins:
    kind, _, rest = name.partition(":")
    if kind == "file":
        return read_margins(margin_files()[rest])
    if kind == "corpus":
        return cached.corpus_margins(rest, None, cached.stamp(rest))
    if kind == "study":
        corpus, study_id = rest.split("/", 1)
        return cached.corpus_margins(corpus, study_id, cached.stamp(corpus))
    return {}


def _bring_file() -> None:
    with st.popover("Bring a population", icon=":material/upload_file:", width="stretch"):
        st.markdown(
            "A CSV file with the columns `field`, `category` and `share`, or YAML `{field: {category: share}}`. "
            "Fields and categories are named as in this study; ages may be bands of your own such as `18-24`. "
            "No census ships with this program: the margin is yours, for the place and year you mean."
        )
        file = st.file_uploader("Population file", type=["csv", "yaml", "yml"], key="margin_file")
        if file is not None:
            st.success(
                escape(f"Kept as {keep_margins(file.name, file.getvalue())}. Choose it under “Compare with”.")
            )


def _show_table(compared: list[FieldComparison], *, beside: bool) -> None:
    """A table of every field's categories, with the shares of people and of the population."""
    table = pd.concat(
        [comparison.rows.assign(field=label(comparison.field)) for comparison in compared], ignore_index=True
    )
    bounds = zip(100 * table["low"], 100 * table["high"], strict=True)
    table = table.assign(
        interval=[interval_text(low, high, 1) for low, high in bounds], gap=table["share"] - table["margin"]
    )
    share = {"min_value": 0, "max_value": 1, "format": "percent"}
    columns = ["field", "category", "n", "share", "interval", *(["margin", "gap"] if beside else [])]
    st.dataframe(
        table,
        hide_index=True,
        column_order=columns,
        key="people_table",
        height=min(620, 38 + 35 * len(table)),
        alt="Shares of demographic categories",
        column_config={
            "field": "Field",
            "category": st.column_config.TextColumn("Category", width=260),
            "n": "n",
            "share": st.column_config.ProgressColumn("This study", color="gray", **share),  # type: ignore[arg-type]
            "interval": st.column_config.TextColumn("95% interval, %"),
            "margin": st.column_config.ProgressColumn("Population", color="#B9BDC6", **share),  # type: ignore[arg-type]
            "gap": st.column_config.NumberColumn(
                "Gap", format="percent", help="this study minus the population"
            ),
        },
    )


def _show_field(comparison: FieldComparison, *, beside: bool) -> None:
    rows = comparison.rows.head(MOST_CATEGORIES)
    met = beside and (rows["margin"].gt(0) & rows["n"].gt(0)).any()
    if beside and not met:
        rows = comparison.rows[comparison.rows["n"] > 0].head(MOST_CATEGORIES)
    people = rows.assign(condition=rows["category"], who="people", n=comparison.n)
    population = people.assign(who="population", share=rows["margin"], low=np.nan, high=np.nan)
    frame = pd.concat([people, population.dropna(subset=["share"])]) if met else people
    title = label(comparison.field)
    figure = dots.figure(
        dots.share_rows(frame), title=title, note="", axis="Share of people", theme=theme(), share=True
    )
    figure.for_each_trace(
        lambda trace: trace.update(name="People of this study"), selector={"legendgroup": "people"}
    )
    show_chart(figure, frame, f"people_{comparison.field}")
    parts = [counted(comparison.n, "person", "people")]
    if comparison.n_missing:
        parts.append(f"{comparison.n_missing:,} did not say")
    cut = int((comparison.rows["n"] > 0).sum() - (rows["n"] > 0).sum())
    if cut:
        parts.append(f"{counted(cut, 'smaller category', 'smaller categories')} not drawn")
    if met:
        parts.append(f"{figure_text(100 * comparison.distance, 0)}% would have to be somebody else to match")
    elif beside:
        parts.append("the chosen population has other categories")
    st.caption(" · ".join(parts))
