"""A Qualtrics response export: its header rows taken apart, every column with its place in the survey."""

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from socrates_core.importing.qualtrics_scales import BEST_WORST, UNSEEN, is_ticked
from socrates_core.importing.qualtrics_survey import Question, Survey, as_dict
from socrates_core.importing.record import WHOLE, Pace, Table, shortened
from socrates_core.importing.table import read_table

_PLACE = re.compile(r"(?:(\w{1,50}?)_)?(QID\d{1,9}(?:#\d{1,3})?)(.{0,200})", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a column belongs: the round of a loop, the question, and what of it ("_1", "_TEXT", "_DO")."""

    loop: str
    qid: str
    suffix: str


@dataclass(frozen=True)
class Responses(Table):
    """A response export. `ids`: column -> its import id, `choices`: column -> the choice that the id names too."""

    ids: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)

    def column(self, import_id: str) -> str:
        """The column with this import id or name, ignoring case; empty where there is none."""
        names = [*self.ids.items(), *((column, column) for column in map(str, self.frame))]
        return next((column for column, key in names if key.casefold() == import_id.casefold()), "")

    @property
    def spoken(self) -> bool:
        """Whether cells hold the choices' texts, not their codes."""
        told = {self.column("finished"), self.column("status")} - {""}
        words = {"True", "False", "TRUE", "FALSE", "IP Address", "Survey Preview", "Imported"}
        return any(self.frame[column].isin(words).any() for column in told)


def read_responses(path: Path, survey: Survey | None = None, pace: Pace = WHOLE) -> Responses:
    """The responses in an export, one row a person, without its header rows and empty columns.

    With its survey, an answer that a person left unticked is "0" wherever another of that question is ticked (and
    so is what is neither best nor worst), and ticks that share a cell get a column each. Raises UserError where the
    file cannot be read.
    """
    table = read_table(path, pace)
    frame, labels = table.frame, dict[str, str]()
    ids, choices = dict[str, str](), dict[str, str]()
    for row in range(min(3, len(frame))):
        named = {column: told for column, cell in frame.iloc[row].items() if (told := _import_id(cell))}
        if named:
            ids = {str(column): told[0] for column, told in named.items()}
            choices = {str(column): told[1] for column, told in named.items() if told[1]}
            labels = {str(c): str(cell) for c, cell in frame.iloc[max(0, row - 1)].items() if pd.notna(cell)}
            frame = frame.iloc[row + 1 :]
            break
    else:
        if "Start Date" in set(frame.iloc[0]):  # the older export has the questions, but no ids
            labels = {str(column): str(cell) for column, cell in frame.iloc[0].items() if pd.notna(cell)}
            frame = frame.iloc[1:]
    empty = [str(column) for column in frame if frame[column].isna().all()]
    warnings = [*table.warnings, *([f"Empty columns are left out: {shortened(empty)}."] if empty else [])]
    frame = frame.drop(columns=empty).reset_index(drop=True)
    ids = {column: key for column, key in ids.items() if column in frame}
    responses = Responses(
        frame, labels, table.value_labels, tuple(warnings), table.decimal_commas, ids=ids, choices=choices
    )
    return _ticks_apart(survey, responses) if survey else responses


def places(survey: Survey, responses: Responses) -> dict[str, Place]:
    """Column -> where it belongs, by its import id or else by its question's export tag."""
    tags = {question.tag: qid for qid, question in survey.questions.items()}
    by_length = sorted(tags, key=len, reverse=True)
    found = {}
    for column in map(str, responses.frame):
        match = _PLACE.fullmatch(responses.ids.get(column, ""))
        if match:
            found[column] = Place(match[1] or "", match[2], match[3])
        elif column not in responses.ids:
            loop, rest = (m[1], m[2]) if (m := re.fullmatch(r"(\d{1,4})_(.+)", column)) else ("", column)
            for told, name in ((loop, rest), ("", column)):
                tag = next((tag for tag in by_length if name == tag or name.startswith(f"{tag}_")), None)
                if tag:
                    found[column] = Place(told, tags[tag], name.removeprefix(tag))
                    break
    return {column: place for column, place in found.items() if place.qid in survey.questions}


def _import_id(cell: object) -> tuple[str, str] | None:
    if not isinstance(cell, str) or not cell.startswith("{") or "ImportId" not in cell:
        return None
    try:
        told = as_dict(json.loads(cell))
    except (ValueError, RecursionError):
        return None
    return str(told.get("ImportId", "")), str(told.get("choiceId", ""))


def _ticks_apart(survey: Survey, responses: Responses) -> Responses:
    frame, ids, groups = responses.frame.copy(), dict(responses.ids), dict[tuple[str, ...], list[str]]()
    for column, place in places(survey, responses).items():
        question = survey.questions[place.qid]
        if not is_ticked(question) or "_DO" in place.suffix or place.suffix.endswith("TEXT"):
            continue
        if question.kind == "MC" and not place.suffix:
            for key, ticked in _split(question, frame.pop(column)).items():
                name = f"{column}_{key}"
                frame[name] = ticked
                ids[name] = f"{place.loop}{'_' if place.loop else ''}{place.qid}_{key}"
        else:
            alone = question.kind == "Matrix" and question.selector != BEST_WORST
            row = place.suffix.split("_")[1] if alone else ""
            groups.setdefault((place.loop, place.qid, row), []).append(column)
    for columns in groups.values():
        seen = frame[columns].notna().any(axis=1)
        for column in columns:
            frame[column] = frame[column].mask(seen & (frame[column].isna() | (frame[column] == UNSEEN)), "0")
    return replace(responses, frame=frame, ids=ids)


def _split(question: Question, cells: pd.Series) -> dict[str, pd.Series]:
    """Choice -> "1", "0" or missing, from cells that list the ticked choices: "1,3" or their texts."""
    found = {}
    for choice in question.choices:
        told = "|".join(re.escape(told) for told in (choice.code, choice.text) if told)
        ticked = cells.str.contains(rf"(?:^|,)\s*(?:{told})\s*(?:,|$)", regex=True, na=False)
        found[choice.key] = ticked.map({True: "1", False: "0"}).where(cells.notna())
    return found
