"""Rarer kinds of Qualtrics question: side by side, drill-down, best and worst, profiles; what is no answer at all."""

from pathlib import Path

import pytest

from socrates_core.importing.build import preview
from socrates_core.importing.opening import open_files
from socrates_core.records import Scale
from tests.support.qualtrics_files import (
    Columns,
    Files,
    Json,
    block,
    choice,
    descriptive,
    listed,
    question,
    randomiser,
    step,
    survey,
)
from tests.support.qualtrics_surveys import SHOWN, YES_NO, answers, seen, two_arms

FREQUENCY = ("Never", "Sometimes", "Always")


def column(text: str, selector: str, sub: str, *options: str) -> Json:
    return {
        "QuestionType": "Matrix",
        "Selector": selector,
        "SubSelector": sub,
        "QuestionText": text,
        "Answers": listed(options),
        "AnswerOrder": [str(n) for n, _ in enumerate(options, start=1)],
    }


def side_by_side(qid: int) -> Json:
    columns = {
        "1": column("How often?", "Likert", "SingleAnswer", *FREQUENCY),
        "2": column("Where?", "Likert", "MultipleAnswer", "Home", "Work"),
        "3": column("Hours a week", "TE", "Short", "Hours"),
        "4": column("Why?", "TE", "Medium", "Why"),
    }
    return question(
        qid,
        "SBS",
        "About pets.",
        "SBSMatrix",
        Choices=listed(["Cats", "Dogs"]),
        ChoiceOrder=["1", "2"],
        NumberOfQuestions=4,
        AdditionalQuestions=columns,
    )


def test_every_column_of_a_side_by_side_question_is_read_as_its_own_matrix(tmp_path: Path) -> None:
    columns: Columns = {
        "Q11#1_1": ("QID11#1_1", [1, 2, 3, 3]),
        "Q11#1_2": ("QID11#1_2", [3, "", 1, 1]),
        "Q11#2_1_1": ("QID11#2_1_1", [1, "", "", 1]),
        "Q11#2_1_2": ("QID11#2_1_2", ["", 1, "", ""]),
        "Q11#3_1_1": ("QID11#3_1_1", [4, 5, 0, 40]),
        "Q11#4_1_1": ("QID11#4_1_1", ["soft", "so", "why", "no"]),
    }
    files = two_arms(tmp_path, [side_by_side(11)], columns)
    found = seen(files)
    often = Scale("range", 1, 3, labels=tuple(enumerate(FREQUENCY, start=1)))
    assert [each.scale for each in found.outcomes[:4]] == [often, often, YES_NO, YES_NO]
    assert [each.scale.is_open for each in found.outcomes[4:]] == [True]
    questions = found.frames["stimuli"]["question"].tolist()[:5]
    assert questions[0] == "About pets.\nHow often?\nCats" and "“Home”" in questions[2]
    assert questions[4] == "About pets.\nHours a week\nCats: Hours"
    assert [answers(found, n, 0) for n in range(5)] == [[1, 2], [3], [1, 0], [0, 1], [4, 5]]
    assert files.understood().left_out == {"Q11#4_1_1": "open text"}


def test_a_drill_down_is_an_outcome_a_level(tmp_path: Path) -> None:
    cities = {"1": "Ohio", "2": "Utah", "3": "Columbus", "4": "Dayton", "5": "Provo"}
    asked = question(
        11,
        "DD",
        "Where would you move?",
        "DL",
        Choices=listed(["State", "City"]),
        ChoiceOrder=[1, 2],
        Answers={key: {"Display": name} for key, name in cities.items()},
        AnswerMap={"1": None, "2": None, "3": "1", "4": "1", "5": "2"},
    )
    columns: Columns = {"Q11_1": ("QID11_1", [1, 1, 2, 2]), "Q11_2": ("QID11_2", [3, 4, 5, ""])}
    found = seen(two_arms(tmp_path, [asked], columns))
    assert [each.scale.labels for each in found.outcomes] == [
        ((1, "Ohio"), (2, "Utah")),
        ((1, "Columbus"), (2, "Dayton"), (3, "Provo")),
    ]
    assert [answers(found, n, c) for n in (0, 1) for c in (0, 1)] == [[1, 1], [2, 2], [1, 2], [3]]


def test_a_drill_down_whose_cells_are_other_answers_is_left_out_with_the_reason(tmp_path: Path) -> None:
    asked = question(11, "DD", "Country?", "DL", Choices=listed(["Choose"]), Answers=listed(["Chad", "Peru"]))
    own: Columns = {"Q11_1": ("QID11_1", ["Ohio ~ Dayton", 1, 2, 2]), "Q12": ("QID12", [1, 2, 1, 1])}
    files = two_arms(tmp_path, [asked, choice(12, "Cats?", "Yes", "No")], own)
    assert files.understood().left_out == {"Q11_1": "a drill-down whose cells are not the survey's answers"}


def test_a_drill_down_of_one_level_can_be_a_demographic(tmp_path: Path) -> None:
    asked = question(
        11,
        "DD",
        "What country do you live in?",
        "DL",
        Choices=listed(["Choose"]),
        Answers=listed(["Chad", "Peru"]),
    )
    own: Columns = {"Q11_1": ("QID11_1", [1, 1, 2, 2]), "Q12": ("QID12", [1, 2, 1, 1])}
    found = seen(two_arms(tmp_path, [asked, choice(12, "Cats?", "Yes", "No")], own))
    assert found.frames["participants"]["location"].tolist() == ["Chad", "Chad", "Peru", "Peru"]


@pytest.mark.parametrize("spoken", [False, True])
def test_best_and_worst_make_every_statement_a_scale_from_worst_to_best(tmp_path: Path, spoken: bool) -> None:
    ends = ["Most important", "Least important"]
    asked = question(
        11,
        "Matrix",
        "Which matters?",
        "MaxDiff",
        Choices=listed(["Price", "Taste", "Looks"]),
        Answers=listed(ends),
    )
    most, least = ends if spoken else (1, 2)
    columns: Columns = {
        "Q11_1": ("QID11_1", [most, "", least, ""]),
        "Q11_2": ("QID11_2", [least, most, most, ""]),
        "Q11_3": ("QID11_3", ["", least, "", ""]),
        **({"Finished": ("finished", ["True"] * 4)} if spoken else {}),
    }
    found = seen(two_arms(tmp_path, [asked], columns))
    labels = ((-1, "Least important"), (0, "neither"), (1, "Most important"))
    assert [each.scale for each in found.outcomes] == [Scale("range", -1, 1, labels=labels)] * 3
    assert [answers(found, n, 0) for n in range(3)] == [[1, 0], [-1, 1], [0, -1]]
    assert [answers(found, n, 1) for n in range(3)] == [
        [-1],
        [1],
        [0],
    ]  # the last person put nothing anywhere


def test_a_profile_s_rows_have_answers_of_their_own(tmp_path: Path) -> None:
    asked = question(
        11,
        "Matrix",
        "Pick",
        "Profile",
        SubSelector="SingleAnswer",
        Choices=listed(["Colour", "Size"]),
        Answers={"1": listed(["Red", "Blue"]), "2": listed(["Small", "Large", "Huge"])},
        AnswerOrder=[1, 2],
    )
    columns: Columns = {"Q11_1": ("QID11_1", [1, 2, 2, 2]), "Q11_2": ("QID11_2", [3, 1, 2, 2])}
    labels = [dict(each.scale.labels) for each in seen(two_arms(tmp_path, [asked], columns)).outcomes]
    assert labels == [{1: "Red", 2: "Blue"}, {1: "Small", 2: "Large", 3: "Huge"}]


@pytest.mark.parametrize(
    ("kind", "selector", "reason"),
    [
        ("HeatMap", "Image", "clicks on a picture"),
        ("HotSpot", "LikeDislike", "clicks on a picture"),
        ("FileUpload", "FileUpload", "a file that people sent"),
        ("Draw", "Signature", "a signature"),
        ("HL", "Text", "words marked in a text"),
        ("Meta", "Browser", "the browser that people used"),
        ("Captcha", "V2", "a test for robots"),
    ],
)
def test_what_is_no_answer_on_a_scale_is_left_out_with_the_reason(
    kind: str, selector: str, reason: str, tmp_path: Path
) -> None:
    asked = question(11, kind, "Do it.", selector, Choices=listed(["Somewhere"]))
    columns: Columns = {"Q11_1": ("QID11_1", [1, 2, 1, 2]), "Q12": ("QID12", [1, 2, 1, 1])}
    left = two_arms(tmp_path, [asked, choice(12, "Cats?", "Yes", "No")], columns).understood().left_out
    assert left == {"Q11_1": f"{reason}, no answer on a scale"}


def test_a_side_by_side_question_can_be_what_chance_draws(tmp_path: Path) -> None:
    rule = {"Advanced": {"RandomSubSet": ["QID1", "QID2"], "TotalRandSubset": 1}}
    drawn = block("Drawn", 1, 2, RandomizeQuestions="Advanced", Randomization=rule)
    asked = [descriptive(1, "You see a cat."), side_by_side(2), choice(5, "Cats?", "Yes", "No")]
    columns: Columns = {
        "Drawn_DO_Q1": ("Drawn_DO|QID1", [1, 1, "", ""]),
        "Drawn_DO_Q2": ("Drawn_DO|QID2", ["", "", 1, 1]),
        "Q2#1_1": ("QID2#1_1", ["", "", 3, 1]),
        "Q5": ("QID5", [1, 2, 1, 2]),
    }
    files = Files(tmp_path, survey(asked, [drawn, block("Main", 5)], [step("Drawn"), step("Main")]), columns)
    found = seen(files)
    assert files.understood().mapping.conditions[0].text == "You see a cat."
    often = [outcome.name for outcome in found.outcomes].index("Q2#1: Cats")
    assert (answers(found, often, 0), answers(found, often, 1)) == ([], [3.0, 1.0])


def test_the_randomisers_that_could_be_the_experiment_are_told_and_one_is_chosen(tmp_path: Path) -> None:
    inner = {"Type": "Group", "FlowID": "FL_8", "Flow": [randomiser("FL_5", step("Long"), step("Short"))]}
    asked = [
        descriptive(1, "Nothing."),
        descriptive(2, "A cat."),
        descriptive(3, "Long."),
        descriptive(4, "Short."),
        choice(5, "Cats?", "Yes", "No"),
    ]
    blocks = [block("Control", 1), block("Treated", 2), block("Long", 3), block("Short", 4), block("Main", 5)]
    columns: Columns = {
        **SHOWN,
        "FL_5_DO_Long": ("FL_5_DO|Long", [1, "", 1, ""]),
        "FL_5_DO_Short": ("FL_5_DO|Short", ["", 1, "", 1]),
        "Q5": ("QID5", [1, 2, 1, 2]),
    }
    flow = [randomiser("FL_2", step("Control"), step("Treated")), inner, step("Main")]
    files = Files(tmp_path, survey(asked, blocks, flow), columns)
    first = open_files([files.qsf, files.csv])
    assert first.randomisers == {"FL_2": "Control / Treated", "FL_5": "Long / Short"} and first.taken == (
        "FL_2",
    )
    other = open_files([files.qsf, files.csv], randomisers=["FL_5"])
    assert [condition.text for condition in other.suggested.conditions] == ["Long.", "Short."]
    assert other.taken == ("FL_5",) and preview(other.table, other.suggested).problems == []
