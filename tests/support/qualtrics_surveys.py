"""Surveys of two arms as Qualtrics exports them."""

from pathlib import Path

from socrates_core.importing.build import Preview, preview
from socrates_core.records import Scale
from tests.support.qualtrics_files import (
    Columns,
    Files,
    Json,
    block,
    choice,
    descriptive,
    matrix,
    question,
    randomiser,
    sets,
    step,
    survey,
)

FLOW = [
    sets("FL_9", greeting="Hello"),
    randomiser("FL_2", sets("FL_3", mood="sad"), sets("FL_4", mood="glad")),
    step("Main"),
]
QUESTIONS = [
    descriptive(1, "${e://Field/greeting}! They felt ${e://Field/mood}."),
    choice(2, "Are you ${e://Field/mood} too?", "Yes", "No", RecodeValues={"1": "1", "2": "0"}),
    matrix(
        3,
        "Agree?",
        "Cats.",
        DisplayLogic={
            "0": {
                "0": {
                    "LogicType": "EmbeddedField",
                    "LeftOperand": "mood",
                    "Operator": "EqualTo",
                    "RightOperand": "sad",
                },
                "Type": "If",
            }
        },
    ),
    question(
        4,
        "Slider",
        "How warm?",
        "HSLIDER",
        Choices={"1": {"Display": "Cats"}},
        Labels={"1": {"Display": "Cold"}, "2": {"Display": "Warm"}},
        Configuration={"CSSliderMin": 0, "CSSliderMax": 100},
    ),
    question(
        5,
        "TE",
        "How many?",
        "SL",
        Validation={"Settings": {"ContentType": "ValidNumber", "ValidNumber": {"Min": "0", "Max": "9"}}},
    ),
]
LOOP = {"Looping": "Static", "LoopingOptions": {"Static": {"1": {"1": "a"}, "2": {"1": "b"}}}}
SHOWN: dict[str, tuple[str, list[object]]] = {
    "FL_2_DO_Control": ("FL_2_DO|Control", [1, 1, "", ""]),
    "FL_2_DO_Treated": ("FL_2_DO|Treated", ["", "", 1, 1]),
}
YES_NO = Scale("enum_labels", 0, 1, labels=((0, "No"), (1, "Yes")))


def two_arms(folder: Path, asked: list[Json], columns: Columns, **options: object) -> Files:
    """Four people: two were told nothing, two of a cat, all were asked the questions 11, 12, .."""
    numbers = [int(str(payload["QuestionID"])[3:]) for payload in asked]
    blocks = [block("Control", 1), block("Treated", 2), block("Main", *numbers, **options)]
    return Files(folder, survey([*TEXTS, *asked], blocks, [ARMS, step("Main")]), {**SHOWN, **columns})


def answers(seen: Preview, outcome: int, condition: int) -> list[float]:
    rows = seen.frames["responses"].merge(seen.frames["stimuli"], on=["study_id", "stimulus_id"])
    chosen = rows[(rows["task_num"] == outcome) & (rows["condition_num"] == condition)]
    return [float(value) for value in chosen.sort_values("participant")["response"]]


def seen(files: Files) -> Preview:
    found = preview(files.responses(), files.understood().mapping)
    assert found.problems == []
    return found


ARMS = randomiser("FL_2", step("Control"), step("Treated"))
TEXTS = [descriptive(1, "<p>You see <b>nothing</b>.</p>"), descriptive(2, "<p>You see a cat.</p>")]
DEFINITION = survey(
    QUESTIONS, [block("Main", 1, 2, 3, 4, 5), block("Loop", 2, **LOOP)], [*FLOW, step("Loop")]
)
COLUMNS: dict[str, tuple[str, list[object]]] = {
    "mood": ("mood", ["sad", "glad"]),
    "Q2": ("QID2", [1, 0]),
    "Q3_1": ("QID3_1", [1, ""]),
    "Q4_1": ("QID4_1", [5, 70]),
    "Q5": ("QID5_TEXT", [1, 2]),
    "1_Q2": ("1_QID2", [1, 0]),
    "Finished": ("finished", [1, 1]),
}
