"""A mapping as tables and fields to correct. Each function returns the corrected part."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.view.state import Importing
from pages.view.words import visible
from socrates_core.corpus.tables import DESIGNS, WORDINGS
from socrates_core.importing import mapping_tables
from socrates_core.personas import label
from socrates_core.records import DEMOGRAPHICS

_TEXT = st.column_config.TextColumn
_CHOICE = st.column_config.SelectboxColumn
_WORDINGS = {
    "instrument": "the instrument's own",
    "partly": "partly",
    "rebuilt": "rebuilt from a description",
}
_PROPOSED = st.column_config.CheckboxColumn(
    "Proposed",
    help="A model's words. Read them against the instrument, then take the tick off or write your own.",
)
_LONG, _TALL = 80, 96  # characters that do not fit on a line of a table; pixels of a row for such texts
EVERY_ROW = "every row is a person"
NO_COLUMN = "none"
MANY_ROWS = "several rows a person (long)"
ONE_ROW = "one row a person (wide)"


def study_fields(editing: Importing) -> dict[str, Any]:
    """The fields of the study; they do not change its reference condition."""
    study = editing.mapping.study
    title, study_id, topic = st.columns([3, 2, 2])
    source, url, licence = st.columns([3, 2, 2])
    wording, design, _ = st.columns([3, 2, 2])
    fields = {
        "title": title.text_input("Title", study.title, key=editing.key("title")),
        "study_id": study_id.text_input(
            "Study id",
            study.study_id,
            key=editing.key("study_id"),
            help="A short name for files and links: lower-case letters, digits, '-' and '_'.",
        ),
        "topic": topic.text_input("Topic", study.topic, key=editing.key("topic")),
        "source": source.text_input(
            "Source", study.source, key=editing.key("source"), placeholder="authors, year, where published"
        ),
        "url": url.text_input("Link", study.url, key=editing.key("url")),
        "licence": licence.text_input("Licence of the data", study.licence, key=editing.key("licence")),
        "wording": wording.selectbox(
            "The texts below are",
            WORDINGS,
            index=WORDINGS.index(study.wording),
            key=editing.key("wording"),
            format_func=_WORDINGS.__getitem__,
            help="Shown wherever the study is shown.",
        ),
        "design": design.selectbox(
            "Conditions differ",
            DESIGNS,
            index=DESIGNS.index(study.design),
            key=editing.key("design"),
            format_func=lambda value: f"{value} people",
        ),
    }
    return {**study.model_dump(), **fields}


def people_fields(editing: Importing, columns: list[str]) -> dict[str, Any]:
    """The layout of the file, and the columns of participants, clusters, blocks, and weights."""
    mapping = editing.mapping
    person, layout = st.columns([3, 4])
    choices = [EVERY_ROW, *columns]
    chosen = person.selectbox(
        "Participant ID",
        choices,
        key=editing.key("participant"),
        index=choices.index(mapping.participant) if mapping.participant in choices else 0,
    )
    rows = layout.segmented_control(
        "Rows",
        [ONE_ROW, MANY_ROWS],
        default=MANY_ROWS if mapping.layout == "long" else ONE_ROW,
        required=True,
        key=editing.key("layout"),
    )
    participant = None if chosen == EVERY_ROW else chosen
    return {
        "participant": participant,
        "layout": "long" if rows == MANY_ROWS else "wide",
        **_assignment_fields(editing, columns),
    }


def _assignment_fields(editing: Importing, columns: list[str]) -> dict[str, str | None]:
    """The columns of clusters, blocks, and weights."""
    asked = {
        "cluster": ("Groups assigned together (clusters)", "Such as classrooms, schools, or villages."),
        "block": (
            "Groups people were randomized within (blocks)",
            "Such as strata. Effects compare people within.",
        ),
        "weight": ("Weights of people", "How much each person counts in means, shares, and effects."),
    }
    chosen: dict[str, str | None] = {}
    choices = [NO_COLUMN, *columns]
    for place, (name, (title, why)) in zip(st.columns(3), asked.items(), strict=True):
        kept = getattr(editing.mapping, name)
        column = place.selectbox(
            title,
            choices,
            key=editing.key(name),
            index=choices.index(kept, 1) if kept in columns else 0,
            help=why,
        )
        chosen[name] = None if column == NO_COLUMN else column
    return chosen


def demographics_table(
    editing: Importing, columns: list[str], examples: Mapping[str, list[str]]
) -> pd.DataFrame:
    """The demographic fields; `examples`: field -> the values that most people would get, to look at."""
    sheet = mapping_tables.demographic_table(editing.mapping)
    shown_examples = [visible(", ".join(examples.get(name, ()))) for name in editing.mapping.demographics]
    sheet = sheet.assign(examples=pd.Series(shown_examples, dtype="str"))
    has_years = (sheet["year"] != "").any() or any("birth" in name.lower() for name in columns)
    edited = st.data_editor(
        sheet,
        num_rows="dynamic",
        hide_index=True,
        key=editing.key("demographics"),
        alt="Demographic fields, the columns that hold them, and examples",
        column_order=["field", "column", "examples", "words", *(["year"] if has_years else [])],
        disabled=["examples"],
        column_config={
            "field": _CHOICE("Field", options=[label(name) for name in DEMOGRAPHICS], required=True),
            "column": _CHOICE("Column", options=columns, required=True),
            "examples": _TEXT(
                "For example", help="What most people would be said to be. Check that it is theirs."
            ),
            "words": _TEXT("Value labels", width="large", help="For example: 1: Female, 2: Male"),
            "year": _TEXT(
                "Year of the data",
                help="For an age from years of birth: the year in which people were asked, or a column with dates.",
            ),
        },
    )
    return edited.drop(columns="examples")


def conditions_table(editing: Importing) -> pd.DataFrame:
    sheet = mapping_tables.condition_table(editing.mapping)
    return st.data_editor(
        sheet,
        num_rows="dynamic",
        hide_index=True,
        key=editing.key("conditions"),
        row_height=_TALL if (sheet["text"].str.len() > _LONG).any() else None,
        alt="Conditions, what their people read, and which rows were in them",
        column_order=["name", "text", *_marked(sheet), "rows"],
        column_config={
            "proposed": _PROPOSED,
            "name": _TEXT("Condition", required=True),
            "text": _TEXT("What its people read", width="large"),
            "rows": _TEXT(
                "Its rows", help="Column and cell, for example: arm: 1, wave: [1, 2]. Empty: all rows."
            ),
        },
    )


def reference_field(editing: Importing, conditions: pd.DataFrame) -> str:
    names = ["", *(str(name) for name in conditions["name"].dropna() if str(name).strip())]
    before = editing.mapping.study.reference
    if len(names) <= 2:
        return ""
    return str(
        st.selectbox(
            "Effects are measured against",
            names,
            index=names.index(before) if before in names else 0,
            key=editing.key("reference"),
            format_func=lambda name: name or "no condition in particular",
            width=360,
        )
    )


def outcomes_table(editing: Importing, columns: list[str]) -> pd.DataFrame:
    sheet = mapping_tables.outcome_table(editing.mapping)
    order = ["name", "column", "question", *_marked(sheet), "instruction", "missing", "numbers"]
    order += [
        name
        for name in ("rows", "by_condition")
        if (sheet[name] != "").any() or editing.mapping.layout == "long"
    ]
    return st.data_editor(
        sheet,
        num_rows="dynamic",
        hide_index=True,
        key=editing.key("outcomes"),
        column_order=order,
        row_height=_TALL if (sheet["question"].str.len() > _LONG).any() else None,
        alt="Outcomes with question, answer instruction and column",
        column_config={
            "name": _TEXT("Outcome", required=True),
            "question": _TEXT("Question, word for word", width="large"),
            "proposed": _PROPOSED,
            "instruction": _TEXT(
                "Answer instruction",
                width="large",
                default="Only return an integer from 1 to 7, nothing else.",
                help="Its scale is read from it; labels as in: where 1 means 'never' and 7 means 'always'.",
            ),
            "column": _CHOICE("Column", options=columns),
            "missing": _TEXT("No answers", help="Cells that are no answers: 98, 99"),
            "numbers": _TEXT("Cells as numbers", help="For example: Agree: 5, Disagree: 1"),
            "rows": _TEXT("Its rows", help="In files with a row an answer: item: 3"),
            "by_condition": _TEXT("Different by condition", width="medium"),
        },
    )


def _marked(sheet: pd.DataFrame) -> list[str]:
    """The column that marks a model's proposals, if there are any."""
    return ["proposed"] if sheet["proposed"].any() else []


def keep_table(editing: Importing, columns: list[str]) -> pd.DataFrame:
    return st.data_editor(
        mapping_tables.keep_table(editing.mapping),
        num_rows="dynamic",
        hide_index=True,
        key=editing.key("keep"),
        alt="Conditions that a row must meet to count",
        column_config={
            "column": _CHOICE("Column", options=columns, required=True),
            "cells": _TEXT("Must be one of", required=True, help="For example: 1, True"),
            "reason": _TEXT("Why others are left out", width="large"),
        },
    )
