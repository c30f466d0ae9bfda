"""Turns the data set that a starter study names into its people and their answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.corpus.starter_studies.record import Source, StarterStudy, Value, Values
from socrates_core.errors import UserError


@dataclass(frozen=True)
class Answers:
    """`people`: participant and any of the 16 demographics. `responses`: participant, condition_num,
    task_num, response; one row an answer that was given.
    """

    people: pd.DataFrame
    responses: pd.DataFrame


def read_answers(study: StarterStudy, frame: pd.DataFrame) -> Answers:
    """The people who answered anything, and all that they answered, from the rows of the study's data set.

    Raises UserError where the data set lacks a column, holds a value that the study's file does not name, or has a
    row that fits no condition or several.
    """
    try:
        rows = frame[_fitting(frame, study.keep)]
        return _answers(study, rows)
    except UserError as error:
        raise UserError(f"The data set {study.dataset} is not as its study says: {error}") from error


def _answers(study: StarterStudy, rows: pd.DataFrame) -> Answers:
    groups = [_fitting(rows, condition.when) for condition in study.conditions]
    if study.design == "between" and (np.sum(groups, axis=0) != 1).any():
        raise UserError("Some rows fit no condition, or several.")
    given = []
    for condition_num, condition in enumerate(study.conditions):
        members = rows[groups[condition_num]]
        for task_num, outcome in enumerate(study.outcomes):
            answers = _coded(_column(members, outcome.column_in(condition.name)), outcome.values)
            cell = {"condition_num": condition_num, "task_num": task_num, "response": answers * outcome.times}
            given.append(pd.DataFrame({"participant": _column(members, study.participant), **cell}))
    responses = pd.concat(given).astype({"response": float}).dropna(subset=["response"])
    known = {field: _known(field, sources, rows) for field, sources in study.people.items()}
    people = pd.DataFrame({"participant": _column(rows, study.participant), **known})
    return Answers(people[people["participant"].isin(responses["participant"])], responses)


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise UserError(f"It has no column {name!r}, but {', '.join(map(str, rows))}.")
    return rows[name]


def _fitting(rows: pd.DataFrame, when: Values) -> NDArray[np.bool_]:
    """Which rows [n] hold every value that `when` names."""
    fits = np.ones(len(rows), dtype=bool)
    for name, value in when.items():
        column = _column(rows, name)
        if isinstance(value, str):
            fits &= (column == value).to_numpy()
        else:  # prices are kept in single precision: 0.59 is 0.5899999737
            fits &= np.isclose(pd.to_numeric(column, errors="coerce"), value, rtol=1e-6, atol=0)
    return fits


def _coded(column: pd.Series, values: Mapping[Value, object]) -> pd.Series:
    """The column in the words or numbers of `values`, unchanged where there are none; missing stays missing."""
    if not values:
        return column
    unnamed = sorted(map(str, set(column.dropna()) - set(values)))
    if unnamed:
        raise UserError(f"The column {column.name!r} holds values that have no code: {', '.join(unnamed)}.")
    return column.map(dict(values))


def _known(field: str, sources: tuple[Source, ...], rows: pd.DataFrame) -> pd.Series:
    """What is known of a demographic field, from the first source that tells something of a person."""
    known = pd.Series(None, index=rows.index, dtype=object)
    for source in sources:
        known = known.where(known.notna(), _from_source(source, rows))
    # An age is a number of whole years; two data sets have halves.
    return pd.to_numeric(known) // 1 if field == "age" else known


def _from_source(source: Source, rows: pd.DataFrame) -> pd.Series:
    if not source.column:
        return pd.Series(source.text, index=rows.index, dtype=object)
    known = _coded(_column(rows, source.column), source.values)
    if not source.text:
        return known
    # A column with gaps holds its whole numbers as floats: 14.0 is written 14.
    written = known.map(
        lambda value: value if isinstance(value, str) else f"{value:.15g}", na_action="ignore"
    )
    return written.map(lambda value: source.text.replace("{}", value), na_action="ignore")
