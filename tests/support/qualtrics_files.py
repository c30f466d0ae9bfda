"""Writes small Qualtrics surveys and exports, in the shape in which Qualtrics writes them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from socrates_core.importing.qualtrics.responses import Responses
from socrates_core.importing.qualtrics.suggest import (
    SurveySuggestion,
    read_responses,
    read_survey,
    suggest_survey,
)

Json = dict[str, Any]
Columns = Mapping[str, tuple[str, Sequence[object]]]
LIKERT = ("Strongly disagree", "Disagree", "Neither", "Agree", "Strongly agree")


def listed(texts: Sequence[str]) -> Json:
    return {str(n): {"Display": text} for n, text in enumerate(texts, start=1)}


def question(qid: int, kind: str, text: str, selector: str = "", tag: str = "", **more: Any) -> Json:
    return {
        "QuestionID": f"QID{qid}",
        "QuestionType": kind,
        "Selector": selector,
        "QuestionText": text,
        "DataExportTag": tag or f"Q{qid}",
        **more,
    }


def choice(qid: int, text: str, *choices: str, selector: str = "SAVR", **more: Any) -> Json:
    return question(qid, "MC", text, selector, Choices=listed(choices), **more)


def matrix(qid: int, text: str, *items: str, answers: Sequence[str] = LIKERT, **more: Any) -> Json:
    filled = {"SubSelector": "SingleAnswer", **more}
    return question(qid, "Matrix", text, "Likert", Choices=listed(items), Answers=listed(answers), **filled)


def descriptive(qid: int, text: str, **more: Any) -> Json:
    return question(qid, "DB", text, "TB", **more)


def block(key: str, *qids: int, **options: Any) -> Json:
    elements = [{"Type": "Question", "QuestionID": f"QID{qid}"} for qid in qids]
    return {"Type": "Standard", "ID": key, "Description": key, "BlockElements": elements, "Options": options}


def step(key: str) -> Json:
    return {"Type": "Standard", "ID": key, "FlowID": f"FL_{key}"}


def randomiser(key: str, *steps: Json, shown: int = 1) -> Json:
    return {"Type": "BlockRandomizer", "FlowID": key, "SubSet": shown, "Flow": list(steps)}


def sets(key: str, **fields: str) -> Json:
    data = [{"Field": name, "Type": "Custom", "Value": value} for name, value in fields.items()]
    return {"Type": "EmbeddedData", "FlowID": key, "EmbeddedData": data}


def survey(questions: Sequence[Json], blocks: Sequence[Json], flow: Sequence[Json]) -> Json:
    elements: list[Json] = [{"Element": "SQ", "Payload": payload} for payload in questions]
    elements.append({"Element": "BL", "Payload": {str(n): each for n, each in enumerate(blocks)}})
    elements.append({"Element": "FL", "Payload": {"Type": "Root", "FlowID": "FL_1", "Flow": list(flow)}})
    return {"SurveyEntry": {"SurveyID": "SV_1", "SurveyName": "A test"}, "SurveyElements": elements}


class Files:
    """A survey and an export in a folder. `columns`: name -> (import id, cells); "ID|choice" names a choice too."""

    def __init__(self, folder: Path, definition: Json, columns: Columns) -> None:
        self.qsf, self.csv = folder / "survey.qsf", folder / "responses.csv"
        self.qsf.write_text(json.dumps(definition))
        ids = [key.split("|") for key, _ in columns.values()]
        named = [json.dumps({"ImportId": i[0], **({"choiceId": i[1]} if i[1:] else {})}) for i in ids]
        with self.csv.open("w", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerows([list(columns), [f"Text of {name}" for name in columns], named])
            writer.writerows(zip(*(cells for _, cells in columns.values()), strict=True))

    def responses(self) -> Responses:
        return read_responses(self.csv, read_survey(self.qsf))

    def understood(self) -> SurveySuggestion:
        return suggest_survey(read_survey(self.qsf), self.responses())
