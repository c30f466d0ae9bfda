"""Qualtrics surveys of every kind of question, flow and export, written for these tests; and hostile ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.records import Scale
from tests.support.qualtrics_files import (
    LIKERT,
    Columns,
    Files,
    Json,
    block,
    choice,
    descriptive,
    listed,
    matrix,
    question,
    randomiser,
    sets,
    step,
    survey,
)
from tests.support.qualtrics_surveys import ARMS, SHOWN, TEXTS, YES_NO, answers, seen, two_arms

AGREE = Scale("range", 1, 5, labels=tuple(enumerate(LIKERT, start=1)))


def test_texts_of_randomised_blocks_are_the_conditions(tmp_path: Path) -> None:
    files = two_arms(
        tmp_path, [choice(11, "Do you like cats?", "Yes", "No")], {"Q11": ("QID11", [1, 2, 1, 1])}
    )
    mapping = files.understood().mapping
    assert [(c.name, c.text) for c in mapping.conditions] == [
        ("Control", "You see nothing."),
        ("Treated", "You see a cat."),
    ]
    assert mapping.study.reference == "Control"
    assert mapping.study.wording == "instrument"
    stimuli = seen(files).frames["stimuli"]["stimulus"].tolist()
    assert stimuli[1].startswith(
        'You read "You see a cat." and then were asked: "Do you like cats? Only return 1'
    )


def test_a_matrix_is_an_outcome_a_statement(tmp_path: Path) -> None:
    asked = matrix(11, "How much do you agree?", "Cats are kind.", "Cats are <i>wild</i>.")
    files = two_arms(
        tmp_path, [asked], {"Q11_1": ("QID11_1", [1, 5, 4, 4]), "Q11_2": ("QID11_2", [2, "", 3, 3])}
    )
    found = seen(files)
    assert [outcome.scale for outcome in found.outcomes] == [AGREE, AGREE]
    assert found.outcomes[1].name == "Q11: Cats are wild."
    assert "How much do you agree?\nCats are wild." in found.frames["stimuli"]["question"].tolist()
    assert [answers(found, 1, 0), answers(found, 1, 1)] == [[2.0], [3.0, 3.0]]


def test_choice_texts_mean_what_numbers_mean(tmp_path: Path) -> None:
    asked = [
        matrix(11, "Agree?", "Cats are kind."),
        choice(12, "How often?", "1 = Never", "2", "3 = Always", RecodeValues={"1": "1", "2": "2", "3": "3"}),
        choice(13, "Which?", "A shirt with 5 buttons", "A shirt with 2 pockets", "Prefer not to say"),
    ]
    both = []
    for folder, cells in (
        ("numbers", ([1, 5, 4, 4], [1, 2, 3, 3], [1, 2, 3, 1], [1, 1, 1, 1])),
        (
            "texts",
            (
                [LIKERT[0], LIKERT[4], "Agree", "Agree"],
                ["1 = Never", 2, "3 = Always", "3 = Always"],
                [
                    "A shirt with 5 buttons",
                    "A shirt with 2 pockets",
                    "Prefer not to say",
                    "A shirt with 5 buttons",
                ],
                ["True"] * 4,
            ),
        ),
    ):
        (tmp_path / folder).mkdir()
        columns = {
            "Q11_1": ("QID11_1", cells[0]),
            "Q12": ("QID12", cells[1]),
            "Q13": ("QID13", cells[2]),
            "Finished": ("finished", cells[3]),
        }
        both.append(seen(two_arms(tmp_path / folder, asked, columns)))
    for outcome in range(3):
        for condition in range(2):
            numbers = answers(both[0], outcome, condition)
            assert numbers == answers(both[1], outcome, condition)
    assert answers(both[0], 2, 1) == [1.0]
    assert both[0].outcomes[1].scale == Scale("range", 1, 3, labels=((1, "Never"), (3, "Always")))
    assert both[0].outcomes[2].scale.kind == "enum_labels"


def test_codes_are_the_authors_or_places_where_they_are_only_ids(tmp_path: Path) -> None:
    words = {str(n): {"Display": text} for n, text in zip((18, 4, 5), ("Low", "Middle", "High"), strict=True)}
    ids = question(11, "MC", "How high?", "SAVR", Choices=words, ChoiceOrder=["18", "4", "5"])
    own = choice(12, "Own?", "Yes", "No", RecodeValues={"1": "1", "2": "0"})
    files = two_arms(tmp_path, [ids, own], {"Q11": ("QID11", [18, 4, 5, 5]), "Q12": ("QID12", [1, 0, 0, 0])})
    found = seen(files)
    assert [outcome.scale.labels for outcome in found.outcomes] == [
        ((1, "Low"), (2, "Middle"), (3, "High")),
        ((0, "No"), (1, "Yes")),
    ]
    assert answers(found, 0, 0) + answers(found, 0, 1) == [1.0, 2.0, 3.0, 3.0]


def test_sliders_ranks_bipolar_rows_and_typed_numbers(tmp_path: Path) -> None:
    slider = question(
        11,
        "Slider",
        "How warm?",
        "HSLIDER",
        Choices=listed(["Cats"]),
        Labels=listed(["Cold", "Warm"]),
        Configuration={"CSSliderMin": 0, "CSSliderMax": 100, "NumDecimals": "0"},
    )
    rank = question(12, "RO", "Rank them.", "DND", Choices=listed(["Cats", "Dogs"]))
    bipolar = question(
        13, "Matrix", "Cats are", "Bipolar", Choices=listed(["Bad:Good"]), Answers=listed([""] * 7)
    )
    typed = question(14, "TE", "How many cats?", "SL")
    essay = question(15, "TE", "Why?", "ML")
    columns: Columns = {
        "Q11_1": ("QID11_1", [0, 50, 100, 70]),
        "Q12_1": ("QID12_1", [1, 2, 1, 1]),
        "Q13_1": ("QID13_1", [7, 1, 4, 4]),
        "Q14": ("QID14_TEXT", [0, 1, 2, 30]),
        "Q15": ("QID15_TEXT", ["so", "so", "why", "not"]),
    }
    files = two_arms(tmp_path, [slider, rank, bipolar, typed, essay], columns)
    scales = [outcome.scale for outcome in seen(files).outcomes]
    assert scales[0] == Scale("range", 0, 100, labels=((0, "Cold"), (100, "Warm")))
    assert (scales[1].low, scales[1].high) == (1, 2)
    assert scales[2] == Scale("range", 1, 7, labels=((1, "Bad"), (7, "Good")))
    assert scales[3].is_open
    assert files.understood().left_out == {"Q15": "open text"}


@pytest.mark.parametrize("apart", [True, False])
def test_of_multiple_answers_each_is_ticked_or_not(tmp_path: Path, apart: bool) -> None:
    asked = choice(11, "Which do you own?", "A cat", "A dog", "A fish", selector="MAVR")
    columns: Columns = {"Q11": ("QID11", ["1,3", "2", "", "1"])}
    if apart:
        columns = {
            "Q11_1": ("QID11_1", [1, "", "", 1]),
            "Q11_2": ("QID11_2", ["", 1, "", ""]),
            "Q11_3": ("QID11_3", [1, "", "", ""]),
        }
    found = seen(two_arms(tmp_path, [asked], columns))
    assert [outcome.scale for outcome in found.outcomes] == [YES_NO] * 3
    assert [answers(found, n, 0) for n in range(3)] == [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    assert [answers(found, n, 1) for n in range(3)] == [[1.0], [0.0], [0.0]]
    assert "Is this among your answers: “A fish”?" in found.frames["stimuli"]["question"].iloc[2]


def test_a_loop_asks_once_a_round_with_its_words(tmp_path: Path) -> None:
    asked = choice(11, "How is ${lm://Field/1}?", "Bad", "Good")
    columns: Columns = {
        "1_Q11": ("1_QID11", [1, 2, 2, 2]),
        "2_Q11": ("2_QID11", [2, 2, 1, 1]),
    }
    looping = {"Looping": "Static", "LoopingOptions": {"Static": {"1": {"1": "a cat"}, "2": {"1": "a dog"}}}}
    files = two_arms(tmp_path, [asked], columns, **looping)
    assert [outcome.question for outcome in files.understood().mapping.outcomes] == [
        "How is a cat?",
        "How is a dog?",
    ]
    assert answers(seen(files), 1, 1) == [1.0, 1.0]


def test_display_order_timing_and_strange_questions_are_left_out_by_name(tmp_path: Path) -> None:
    asked = [choice(11, "Cats?", "Yes", "No"), question(12, "HotSpot", "Where?", "OnOff")]
    columns: Columns = {
        "Q11": ("QID11", [1, 1, 2, 2]),
        "Q11_DO_1": ("QID11_DO|1", [1, 2, 1, 2]),
        "Q12_1": ("QID12_1", [1, 1, 1, 1]),
        "mood": ("mood", ["a", "b", "c", "d"]),
        "StartDate": ("startDate", [1, 2, 3, 4]),
    }
    understood = two_arms(tmp_path, asked, columns).understood()
    assert understood.left_out == {
        "Q11_DO_1": "display order",
        "Q12_1": "clicks on a picture, no answer on a scale",
        "mood": "no question of this survey",
        "StartDate": "recorded by Qualtrics itself",
    }
    assert "Left out: Q11_DO_1 (display order)." in understood.warnings


def test_previews_unfinished_rows_and_refusals_are_dropped_with_reasons(tmp_path: Path) -> None:
    asked = [
        choice(11, "Cats?", "Yes", "No"),
        choice(12, "Do you consent to take part?", "I agree", "I do not agree"),
    ]
    columns: Columns = {
        "Status": ("status", ["IP Address", "Survey Preview", "IP Address", "IP Address"]),
        "Finished": ("finished", ["True", "True", "False", "True"]),
        "Q11": ("QID11", ["Yes", "Yes", "Yes", "No"]),
        "consent": ("QID12", ["I agree", "", "I agree", "I do not agree"]),
        "ResponseId": ("_recordId", ["R_a", "R_b", "R_c", "R_d"]),
    }
    found = seen(two_arms(tmp_path, asked, columns))
    assert found.dropped == [
        ("rows: a preview, test or spam", 1),
        ("rows: not finished", 1),
        ("rows: did not consent", 1),
    ]


def test_demographics_are_recognised_by_their_questions(tmp_path: Path) -> None:
    asked = [
        choice(11, "Cats?", "Yes", "No"),
        choice(12, "What is your gender?", "Man", "Woman"),
        question(13, "TE", "How old are you?", "SL"),
        choice(14, "Income", "Low", "High", DataExportTag="income"),
    ]
    columns: Columns = {
        "Q11": ("QID11", [1, 2, 1, 2]),
        "Q12": ("QID12", [1, 2, 2, 2]),
        "Q13": ("QID13_TEXT", [20, 30, 40, 50]),
        "income": ("QID14", [1, 2, 2, 1]),
    }
    files = two_arms(tmp_path, asked, columns)
    found = seen(files)
    assert found.frames["participants"]["gender"].tolist() == ["Man", "Woman", "Woman", "Woman"]
    assert found.frames["participants"]["age"].tolist() == [20, 30, 40, 50]
    assert set(files.understood().mapping.demographics) == {"gender", "age", "income"}
    assert len(found.outcomes) == 1


def by_field(folder: Path) -> Files:
    return Files(
        folder,
        field_survey(),
        {"mood": ("mood", ["sad", "sad", "glad", "glad"]), "Q2": ("QID2", [1, 2, 2, 2])},
    )


def field_survey() -> Json:
    flow = [randomiser("FL_2", sets("FL_3", mood="sad"), sets("FL_4", mood="glad")), step("Main")]
    asked = [
        descriptive(1, "They felt ${e://Field/mood}."),
        choice(2, "Are you ${e://Field/mood} too?", "Yes", "No"),
    ]
    return survey(asked, [block("Main", 1, 2)], flow)


def by_one_column(folder: Path) -> Files:
    return Files(
        folder,
        field_survey(),
        {"FL_2_DO": ("FL_2_DO", ["FL_3", "FL_3", "FL_4", "FL_4"]), "Q2": ("QID2", [1, 2, 2, 2])},
    )


@pytest.mark.parametrize("written", [by_field, by_one_column])
def test_embedded_data_tells_conditions_and_fills_their_texts(
    written: Callable[[Path], Files], tmp_path: Path
) -> None:
    files = written(tmp_path)
    mapping = files.understood().mapping
    assert [(c.name, c.text) for c in mapping.conditions] == [
        ("sad", "They felt sad."),
        ("glad", "They felt glad."),
    ]
    assert mapping.outcomes[0].text_by_condition == {"sad": "Are you sad too?", "glad": "Are you glad too?"}
    assert answers(seen(files), 0, 0) == [1.0, 2.0]


def test_answers_tell_the_condition_where_nothing_else_does(tmp_path: Path) -> None:
    asked = [
        choice(n, f"{who} stole a bike.<br>How bad?", "1 = fine", "2", "3 = bad")
        for n, who in ((1, "Ann"), (2, "Bob"))
    ]
    flow = [randomiser("FL_2", step("A"), step("B"))]
    columns: Columns = {
        "Q1": ("QID1", [1, 2, "", ""]),
        "Q2": ("QID2", ["", "", 3, 3]),
    }
    files = Files(tmp_path, survey(asked, [block("A", 1), block("B", 2)], flow), columns)
    mapping = files.understood().mapping
    assert [condition.text for condition in mapping.conditions] == ["Ann stole a bike.", "Bob stole a bike."]
    assert mapping.outcomes[0].question == "How bad?"
    assert mapping.outcomes[0].column_by_condition == {"A": "Q1", "B": "Q2"}
    assert [answers(seen(files), 0, n) for n in range(2)] == [[1.0, 2.0], [3.0, 3.0]]


def test_two_randomisers_side_by_side_are_a_factorial_design(tmp_path: Path) -> None:
    second = randomiser("FL_5", step("Long"), step("Short"))
    asked = [*TEXTS, descriptive(3, "Long."), descriptive(4, "Short."), choice(5, "Cats?", "Yes", "No")]
    blocks = [block("Control", 1), block("Treated", 2), block("Long", 3), block("Short", 4), block("Main", 5)]
    columns: Columns = {
        **SHOWN,
        "FL_5_DO_Long": ("FL_5_DO|Long", [1, "", 1, ""]),
        "FL_5_DO_Short": ("FL_5_DO|Short", ["", 1, "", 1]),
        "Q5": ("QID5", [1, 2, 1, 2]),
    }
    files = Files(tmp_path, survey(asked, blocks, [ARMS, second, step("Main")]), columns)
    texts = {condition.name: condition.text for condition in files.understood().mapping.conditions}
    assert texts["Treated · Short"] == "You see a cat.\nShort."
    assert answers(seen(files), 0, 3) == [2.0]


def test_a_block_that_shows_one_of_its_questions_is_a_randomiser(tmp_path: Path) -> None:
    rule = {"Advanced": {"RandomSubSet": ["QID1", "QID2"], "TotalRandSubset": 1}}
    blocks = [block("Vignette", 1, 2, RandomizeQuestions="Advanced", Randomization=rule), block("Main", 5)]
    columns: Columns = {
        "Vignette_DO_Q1": ("Vignette_DO|QID1", [1, 1, "", ""]),
        "Vignette_DO_Q2": ("Vignette_DO|QID2", ["", "", 1, 1]),
        "Q5": ("QID5", [1, 2, 1, 2]),
    }
    flow = [step("Vignette"), step("Main")]
    files = Files(tmp_path, survey([*TEXTS, choice(5, "Cats?", "Yes", "No")], blocks, flow), columns)
    assert [condition.text for condition in files.understood().mapping.conditions] == [
        "You see nothing.",
        "You see a cat.",
    ]


def test_an_export_without_header_rows_is_read_by_its_names(tmp_path: Path) -> None:
    files = two_arms(tmp_path, [matrix(11, "Agree?", "Cats.")], {"Q11_1": ("QID11_1", [1, 5, 4, 4])})
    lines = files.csv.read_text().splitlines()
    files.csv.write_text("\n".join([lines[0], *lines[3:]]))
    assert answers(seen(files), 0, 0) == [1.0, 5.0]


def test_responses_of_another_survey_are_refused(tmp_path: Path) -> None:
    files = two_arms(tmp_path, [choice(11, "Cats?", "Yes", "No")], {"Q11": ("QID11", [1, 1, 2, 2])})
    files.csv.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="No column of the responses belongs to the survey 'A test'"):
        files.understood()


def test_a_field_that_chance_filled_elsewhere_tells_conditions(tmp_path: Path) -> None:
    seen_by = {"LogicType": "EmbeddedField", "LeftOperand": "die", "Operator": "EqualTo", "RightOperand": "2"}
    branch = {
        "Type": "Branch",
        "FlowID": "FL_3",
        "BranchLogic": {"0": {"0": seen_by, "Type": "If"}},
        "Flow": [step("Treated")],
    }
    flow = [sets("FL_2", die="${rand://int/1:2}"), branch, step("Main")]
    asked = [*TEXTS, choice(5, "Cats?", "Yes", "No")]
    columns: Columns = {"die": ("die", [1, 2, 2, 1]), "Q5": ("QID5", [1, 2, 1, 2])}
    files = Files(tmp_path, survey(asked, [block("Treated", 2), block("Main", 5)], flow), columns)
    texts = [(condition.name, condition.text) for condition in files.understood().mapping.conditions]
    assert texts == [("die = 1", ""), ("die = 2", "You see a cat.")]
    assert answers(seen(files), 0, 1) == [2.0, 1.0]


def test_questions_about_consent_elsewhere_keep_their_answers(tmp_path: Path) -> None:
    asked = [choice(11, "Should vaccination be voluntary, with consent?", "Yes", "No")]
    files = two_arms(tmp_path, asked, {"Q11": ("QID11", [1, 2, 1, 2])})
    assert not files.understood().mapping.keep
    assert answers(seen(files), 0, 0) == [1.0, 2.0]


def test_texts_that_stand_in_no_condition_are_named(tmp_path: Path) -> None:
    asked = [choice(11, "Cats?", "Yes", "No"), descriptive(12, "Thank you.", DataExportTag="bye")]
    files = two_arms(tmp_path, asked, {"Q11": ("QID11", [1, 2, 1, 2])})
    assert "Texts that belong to no condition: bye." in files.understood().warnings
