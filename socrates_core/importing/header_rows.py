"""A second line of column names: SurveyMonkey's options below its questions, or questions below short names."""

import re
from dataclasses import dataclass, replace

import pandas as pd

from socrates_core.importing.table import Table

_PEOPLE = ("respondentid", "responseid", "participantid", "recordid", "collectorid")
_WHOLE = ("response", "open-ended response", "open ended response", "")
_NAMELESS = re.compile(r"column \d+")
_MOST_LABEL = 2_000


@dataclass(frozen=True)
class _Group:
    """Columns below one question: the question and column -> its own words in the second line."""

    question: str
    columns: dict[str, str]


def with_second_header(table: Table) -> Table:
    """The table without its second line of names, which becomes the labels of the columns; unchanged if it has none."""
    if _has_options(table):
        return _with_options(table)
    if _has_questions(table):
        first = {str(column): str(cell) for column, cell in table.frame.iloc[0].items() if pd.notna(cell)}
        return replace(
            table,
            frame=table.frame.iloc[1:].reset_index(drop=True),
            labels={**first, **table.labels},
            warnings=(
                *table.warnings,
                "The second line of the file was read as the questions of its columns.",
            ),
        )
    return table


def _has_options(table: Table) -> bool:
    """Whether only the first row has no participant id, as in an export of SurveyMonkey."""
    frame = table.frame
    people = [column for column in frame if re.sub(r"[\W_]", "", str(column)).casefold() in _PEOPLE]
    return len(frame) > 2 and any(
        pd.isna(frame[column].iloc[0]) and frame[column].iloc[1:].notna().all() for column in people
    )


def _has_questions(table: Table) -> bool:
    """Whether the first row has words above numbers, in two columns or more and in every column of numbers."""
    if len(table.frame) < 3:
        return False
    later = table.frame.iloc[1:]
    numeric = [
        column
        for column in map(str, table.frame)
        if later[column].notna().any()
        and pd.to_numeric(later[column].dropna(), errors="coerce").notna().all()
    ]
    first = table.frame.iloc[0]
    words = [first[column] for column in numeric]
    return (
        len(numeric) >= 2
        and all(isinstance(word, str) and re.search(r"[^\W\d]{2}", word) for word in words)
        and len({word.casefold() for word in words}) == len(words)
        and max(len(word) for word in words) <= _MOST_LABEL
    )


def _with_options(table: Table) -> Table:
    first = table.frame.iloc[0]
    groups = list[_Group]()
    for column in map(str, table.frame):
        words = str(first[column]) if pd.notna(first[column]) else ""
        if _NAMELESS.fullmatch(column) and groups:
            groups[-1].columns[column] = words
        else:
            groups.append(_Group(column, {column: words}))
    frame = table.frame.iloc[1:].reset_index(drop=True)
    names = dict[str, str]()
    labels = dict(table.labels)
    value_labels = dict(table.value_labels)
    for group in groups:
        several = len(group.columns) > 1
        ticked = [
            column
            for column, words in group.columns.items()
            if words and set(frame[column].dropna()) == {words}
        ]
        answered = frame[list(group.columns)].notna().any(axis=1)
        for column, words in group.columns.items():
            alone = words.casefold() in _WHOLE
            name = (
                group.question
                if alone and column == group.question
                else f"{group.question}: {words or column}"
            )
            name = name if name not in {*names.values(), *table.frame.columns} or name == column else column
            names[column] = name
            if several and len(ticked) > 1 and column in ticked:
                # Only a tick is written; a person who ticked another option did not tick this one.
                frame[column] = frame[column].notna().map({True: "1", False: "0"}).where(answered)
                labels[name] = f"{group.question}\nIs this among your answers: “{words}”?"
                value_labels[name] = {"0": "No", "1": "Yes"}
            elif words:
                labels[name] = group.question if alone else f"{group.question}\n{words}"
    warning = "The first row has no participant id, so it was read as a second line of column names."
    return replace(
        table,
        frame=frame.rename(columns=names),
        labels=labels,
        value_labels=value_labels,
        warnings=(*table.warnings, warning),
    )
