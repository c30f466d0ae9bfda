"""Which words belong to which cells of a Qualtrics export: ticks, numbers, rows, header lines, arms, traits."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from socrates_core.importing.build import Preview, preview
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.qualtrics.responses import ticked_in
from tests.support.qualtrics_files import (
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
from tests.support.qualtrics_surveys import answers, seen, two_arms

LETTERS = ("Letters", "Letters, by post", "Phone; text", "None")


def ticks(*choices: str) -> Json:
    return choice(11, "Which do you use?", *choices, selector="MAVR")


def one_block(folder: Path, asked: Sequence[Json], columns: Columns) -> Files:
    numbers = [int(str(payload["QuestionID"])[3:]) for payload in asked]
    return Files(folder, survey(asked, [block("Main", *numbers)], [step("Main")]), columns)


def plain(folder: Path, asked: Sequence[Json], rows: Sequence[Sequence[object]]) -> Opened:
    """A survey with an export as it is given, line by line."""
    files = one_block(folder, asked, {})
    with files.csv.open("w", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return open_files([files.qsf, files.csv])


def shares(found: Preview) -> list[list[float]]:
    """The answers of everyone, outcome by outcome."""
    return [answers(found, n, 0) + answers(found, n, 1) for n in range(len(found.outcomes))]


# several ticks in one cell


@pytest.mark.parametrize(
    ("cell", "keys"),
    [
        ("Letters", "1"),
        ("Letters, by post", "2"),
        ("Letters,Letters, by post", "12"),
        ("Phone; text", "3"),
        ("Letters; Phone; text", "13"),
        ("Letters, by post,Phone; text,None", "234"),
        ("None,", "4"),
    ],
)
def test_ticks_are_read_by_the_surveys_own_choices(cell: str, keys: str) -> None:
    names = {text: str(n) for n, text in enumerate(LETTERS, start=1)}
    assert ticked_in(cell, names) == frozenset(keys)


@pytest.mark.parametrize("cell", ["24", "Letters by post", "Post", "1,9", "Letters,", "", "A, B"])
def test_a_cell_that_is_no_list_of_choices_or_two_lists_at_once_is_none(cell: str) -> None:
    names = {"1": "1", "2": "2", "4": "4", "A": "5", "B": "6", "A, B": "7"}
    assert ticked_in(cell, names) is None or (cell, ticked_in(cell, names)) == ("", frozenset())


def test_a_comma_in_a_choice_is_no_second_tick(tmp_path: Path) -> None:
    cells = ["Letters, by post", "Letters", "Letters,Phone; text", "Letters, by post,Phone; text"]
    found = seen(two_arms(tmp_path, [ticks(*LETTERS)], {"Q11": ("QID11", cells)}))
    assert shares(found) == [[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]]


def test_a_cell_that_names_no_choice_is_unread_and_counted(tmp_path: Path) -> None:
    files = two_arms(tmp_path, [ticks("A", "B", "C")], {"Q11": ("QID11", ["1,3", "13", "2", "7"])})
    assert [len(given) for given in shares(seen(files))] == [2, 2, 2]
    (warning,) = [text for text in files.responses().warnings if "Q11" in text]
    assert "2 cells" in warning and "'13', '7'" in warning


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("spoken", [True, False])
def test_ticks_of_choices_that_are_numbers_are_ticks(tmp_path: Path, apart: bool, spoken: bool) -> None:
    ten, nothing = ("10", "0") if spoken else ("1", "2")
    done: Columns = {"Finished": ("finished", ["True" if spoken else "1"] * 4)}
    columns: Columns = {
        "Q11_1": ("QID11_1", [ten if spoken else 1, "", "", ten if spoken else 1]),
        "Q11_2": ("QID11_2", ["", nothing if spoken else 1, nothing if spoken else 1, ""]),
    }
    together: Columns = {"Q11": ("QID11", [ten, nothing, nothing, ten])}
    found = seen(two_arms(tmp_path, [ticks("10", "0")], {**(columns if apart else together), **done}))
    assert shares(found) == [[1, 0, 0, 1], [0, 1, 1, 0]]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_list_of_codes_in_a_file_with_semicolons_is_no_decimal_number(tmp_path: Path, mark: str) -> None:
    files = one_block(tmp_path, [ticks("A", "B", "C"), question(12, "TE", "How long?")], {})
    lines = [
        "Q11;Q12",
        "x;x",
        '{""ImportId"": ""QID11""};{""ImportId"": ""QID12""}',
        "1,3;2,5",
        "3;4",
        "2,3;0,5",
    ]
    lines[2] = ";".join(f'"{cell}"' for cell in lines[2].split(";"))
    files.csv.write_text(mark + "\n".join(lines), encoding="utf-8")
    opened = open_files([files.qsf, files.csv])
    assert opened.table.frame["Q11_1"].tolist() == ["1", "0", "0"]
    assert opened.table.frame["Q11_3"].tolist() == ["1", "1", "1"]
    assert opened.table.frame["Q12"].tolist() == ["2.5", "4", "0.5"]


# choices that are numbers


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("texts", [("0", "10", "20", "30"), ("90", "5", "1", "3"), ("4", "3", "2", "1")])
def test_choice_texts_that_are_numbers_are_texts(
    tmp_path: Path, finished: bool, texts: tuple[str, ...]
) -> None:
    columns: dict[str, tuple[str, list[object]]] = {
        "Q11": ("QID11", [texts[0], texts[1], texts[2], texts[3]]),
        "Q12": ("QID12", ["Yes", "No", "No", "Yes"]),
    }
    if finished:
        columns["Finished"] = ("finished", ["True"] * 4)
    asked = [choice(11, "How sure?", *texts), choice(12, "Cats?", "Yes", "No")]
    found = seen(two_arms(tmp_path, asked, columns))
    labels = dict(found.outcomes[0].scale.labels)
    numbers = shares(found)[0]
    assert [str(labels.get(int(n), n if float(n) != int(n) else int(n))) for n in numbers] == list(texts)


def test_codes_stay_codes_in_an_export_of_codes(tmp_path: Path) -> None:
    asked = [choice(11, "How sure?", "3", "10", "2"), choice(12, "Cats?", "Yes", "No")]
    columns: Columns = {"Q11": ("QID11", [1, 2, 3, 3]), "Q12": ("QID12", [1, 2, 2, 1])}
    found = seen(two_arms(tmp_path, asked, columns))
    assert [dict(found.outcomes[0].scale.labels)[int(n)] for n in shares(found)[0]] == ["3", "10", "2", "2"]


# rows


def rows_of(*keys: str) -> Json:
    drinks = dict(zip(keys, ({"Display": text} for text in ("Tea", "Coffee", "Milk")), strict=True))
    asked = matrix(20, "How good?", answers=("Bad", "Good"), DataExportTag="Q13")
    return {**asked, "Choices": drinks, "ChoiceOrder": list(keys)}


def by_drink(opened: Opened) -> dict[str, str]:
    """The words that belong to each column, as the suggestion has them."""
    return {outcome.column: outcome.question.rsplit("\n", 1)[-1] for outcome in opened.suggested.outcomes}


CELLS = [[1, 1, 2], [1, 2, 2], [1, 2, 1]]


@pytest.mark.parametrize(
    ("keys", "header", "words"),
    [
        (("3", "7", "9"), ("1", "2", "3"), ("Tea", "Coffee", "Milk")),  # places
        (("3", "7", "9"), ("3", "7", "9"), ("Tea", "Coffee", "Milk")),  # ids
        (("1", "2", "3"), ("3", "1", "2"), ("Milk", "Tea", "Coffee")),  # both at once
        (("4", "5", "6"), ("6", "5", "4"), ("Milk", "Coffee", "Tea")),
    ],
)
def test_a_columns_number_is_a_place_or_an_id_as_the_numbers_tell(
    tmp_path: Path, keys: tuple[str, ...], header: tuple[str, ...], words: tuple[str, ...]
) -> None:
    names = [f"Q13_{number}" for number in header]
    assert by_drink(plain(tmp_path, [rows_of(*keys)], [names, *CELLS])) == dict(
        zip(names, words, strict=True)
    )


def test_where_a_number_may_be_either_the_columns_are_left_out_with_the_reason(tmp_path: Path) -> None:
    asked = [rows_of("2", "3", "1"), choice(21, "Cats?", "Yes", "No")]
    rows = [[*row, 1 + n % 2] for n, row in enumerate(CELLS)]
    opened = plain(tmp_path, asked, [["Q13_1", "Q13_2", "Q13_3", "Q21"], *rows])
    assert list(by_drink(opened)) == ["Q21"]
    assert all("place or the id of a row" in opened.left_out[f"Q13_{n}"] for n in (1, 2, 3))


def test_the_question_line_tells_where_a_number_does_not(tmp_path: Path) -> None:
    lines = [["Finished", "Status", "Q13_1", "Q13_2", "Q13_3"]]
    lines.append(["Finished", "Response Type", "How good? - Milk", "How good? - Tea", "How good? - Coffee"])
    opened = plain(tmp_path, [rows_of("2", "3", "1")], [*lines, *([1, 0, *row] for row in CELLS)])
    assert by_drink(opened) == {"Q13_1": "Milk", "Q13_2": "Tea", "Q13_3": "Coffee"}
    assert len(opened.table.frame) == 3


@pytest.mark.parametrize("blank", ["", "&nbsp;", "<br>"])
def test_a_slider_or_a_row_without_a_text_is_read(tmp_path: Path, blank: str) -> None:
    slider = question(11, "Slider", "How warm?", "HSLIDER", Choices=listed([blank]))
    columns: Columns = {"Q11_1": ("QID11_1", [50, 20, 90, 0]), "Q12_1": ("QID12_1", [1, 2, 3, 3])}
    found = seen(two_arms(tmp_path, [slider, matrix(12, "Rate it", blank)], columns))
    assert shares(found) == [[50, 20, 90, 0], [1, 2, 3, 3]]
    assert found.frames["stimuli"]["question"].tolist()[:2] == ["How warm?", "Rate it"]


def test_a_rank_without_a_text_is_left_out_with_the_true_reason(tmp_path: Path) -> None:
    ranks = question(11, "RO", "Rank", "DND", Choices=listed(["", "Cats"]))
    columns: Columns = {"Q11_1": ("QID11_1", [1, 2, 1, 2]), "Q11_2": ("QID11_2", [2, 1, 2, 1])}
    files = two_arms(tmp_path, [ranks], columns)
    assert files.understood().left_out["Q11_1"] == "an item without a text"


# header lines


@pytest.mark.parametrize(
    ("names", "line"),
    [
        (["V1", "V8", "V10"], ["ResponseID", "Status", "Finished"]),
        (["ResponseId", "StartDate", "Finished"], ["Response ID", "Start Date", "Finished"]),
        (["ResponseId", "StartDate", "Finished"], ["Antwort-ID", "Startdatum", "Beendet"]),
    ],
    ids=["V columns", "names", "German"],
)
@pytest.mark.parametrize("with_survey", [True, False])
def test_a_line_of_questions_is_no_person(
    tmp_path: Path, names: list[str], line: list[str], with_survey: bool
) -> None:
    dated = ["R_1", "2015-01-01" if "StartDate" in names else "0", "1"]
    rows: list[list[object]] = [
        [*names, "Q11"],
        [*line, "Cats?"],
        *([f"R_{n}", *dated[1:], 1 + n % 2] for n in range(4)),
    ]
    opened = plain(tmp_path, [choice(11, "Cats?", "Yes", "No")], rows)
    if not with_survey:
        opened = open_files([tmp_path / "responses.csv"])
    assert len(opened.table.frame) == 4
    assert opened.suggested.participant
    assert [keep.reason for keep in opened.suggested.keep][-1] == "not finished"


def test_a_second_line_of_column_names_as_surveymonkey_has_is_no_person(tmp_path: Path) -> None:
    people = "".join(f"{n},9,a,{n % 5 + 1}\n" for n in range(1, 8))
    (tmp_path / "data.csv").write_text(f"Respondent ID,Collector ID,group,How warm?\n,,,Response\n{people}")
    opened = open_files([tmp_path / "data.csv"])
    assert opened.table.frame["How warm?"].tolist() == ["2", "3", "4", "5", "1", "2", "3"]
    assert "second line of column names" in " ".join(opened.warnings)


def test_a_first_person_is_no_line_of_questions(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(
        "id,name,about,q\n1,Status,Progress,1\n2,Status,Name,2\n3,Email,Finished,3\n"
    )
    assert len(open_files([tmp_path / "data.csv"]).table.frame) == 3


# arms and wordings


def nested(folder: Path, *inner: Json) -> Files:
    flow = [
        randomiser(
            "FL_2",
            step("A"),
            {"Type": "Group", "FlowID": "FL_9", "Description": "Short", "Flow": list(inner)},
        ),
        step("End"),
    ]
    asked = [choice(n, f"Fair, {n}?", "Disagree", "Neutral", "Agree") for n in (1, 2, 3)]
    columns: Columns = {
        "Q1": ("QID1", [1, 2, "", "", "", ""]),
        "Q2": ("QID2", ["", "", 1, 2, "", ""]),
        "Q3": ("QID3", ["", "", "", "", 3, 1]),
        "Q4": ("QID4", [2, 1, 2, 1, 1, 2]),
    }
    blocks = [block("A", 1), block("B", 2), block("C", 3), block("End", 4)]
    return Files(folder, survey([*asked, choice(4, "Vote?", "No", "Yes")], blocks, flow), columns)


def test_people_of_an_arm_are_those_of_all_its_inner_arms(tmp_path: Path) -> None:
    found = seen(nested(tmp_path, randomiser("FL_10", step("B"), step("C"))))
    vote = [outcome.name for outcome in found.outcomes].index("Q4: Vote?")
    assert [answers(found, vote, arm) for arm in (0, 1)] == [[2, 1], [2, 1, 1, 2]]


def test_an_arm_that_one_question_tells_needs_no_column_of_its_own(tmp_path: Path) -> None:
    flow = [randomiser("FL_2", step("A"), step("B")), step("End")]
    asked = [
        choice(1, "Dogs?", "Yes", "No"),
        choice(2, "Cats?", "Yes", "No"),
        choice(4, "Vote?", "No", "Yes"),
    ]
    columns: Columns = {
        "Q1": ("QID1", [1, 2, "", ""]),
        "Q2": ("QID2", ["", "", 1, 2]),
        "Q4": ("QID4", [2, 1, 2, 1]),
    }
    files = Files(tmp_path, survey(asked, [block("A", 1), block("B", 2), block("End", 4)], flow), columns)
    assert list(files.responses().frame) == ["Q1", "Q2", "Q4"]
    assert [condition.when for condition in files.understood().mapping.conditions] == [
        {"Q1": ("1", "2")},
        {"Q2": ("1", "2")},
    ]


def test_a_question_met_twice_in_other_words_is_left_out_and_one_met_twice_alike_is_not(
    tmp_path: Path,
) -> None:
    asked = [
        descriptive(1, "Hello."),
        choice(11, "Do you like ${e://Field/pet}?", "Yes", "No"),
        choice(12, "Ok?", "Yes", "No"),
    ]
    columns: Columns = {"Q11": ("QID11", [1, 2, 1, 2]), "Q12": ("QID12", [1, 2, 2, 1])}
    blocks = [block("Hello", 1), block("Pet", 11), block("Same", 12)]
    flow = [
        step("Hello"),
        sets("FL_3", pet="cats"),
        step("Pet"),
        sets("FL_4", pet="dogs"),
        step("Pet"),
        step("Same"),
    ]
    files = Files(tmp_path, survey(asked, blocks, [*flow, step("Same")]), columns)
    found = files.understood()
    assert [outcome.column for outcome in found.mapping.outcomes] == ["Q12"]
    assert found.left_out == {"Q11": "asked in several wordings, and the export does not say who saw which"}


# traits


def test_judgements_are_outcomes_and_the_persons_own_party_is_a_trait(tmp_path: Path) -> None:
    asked = [
        choice(
            11,
            "Is the speaker a Democrat or a Republican, do you think?",
            "A Democrat",
            "Unclear",
            "A Republican",
        ),
        choice(
            12, "How liberal or conservative is the speaker?", "Very liberal", "Moderate", "Very conservative"
        ),
        choice(
            13,
            "Do you call yourself a Democrat, a Republican or neither?",
            "Democrat",
            "Republican",
            "Neither",
        ),
        choice(14, "Do you think gender roles are natural?", "Disagree", "Neutral", "Agree"),
    ]
    columns: Mapping[str, tuple[str, Sequence[object]]] = {
        f"Q{n}": (f"QID{n}", [1 + (n + k) % 3 for k in range(4)]) for n in (11, 12, 13, 14)
    }
    found = two_arms(tmp_path, asked, columns).understood().mapping
    assert {name: each.column for name, each in found.demographics.items()} == {"party_id": "Q13"}
    assert [outcome.column for outcome in found.outcomes] == ["Q11", "Q12", "Q14"]


def test_a_year_of_birth_is_no_age_and_no_answer_is_no_trait(tmp_path: Path) -> None:
    asked = [
        choice(11, "What is your age?", "1983", "2001", "1999"),
        choice(12, "What is your gender?", "Male", "Female", "Prefer not to say"),
        choice(13, "Cats?", "Yes", "No"),
    ]
    columns: Columns = {
        "Q11": ("QID11", [1, 2, 3, 1]),
        "Q12": ("QID12", [1, 2, 3, 1]),
        "Q13": ("QID13", [1, 2, 1, 1]),
    }
    files = two_arms(tmp_path, asked, columns)
    people = preview(files.responses(), files.understood().mapping).frames["participants"]
    assert people["age"].isna().all()
    assert people["gender"].tolist()[:2] == ["Male", "Female"] and people["gender"].isna().tolist()[2]


def test_choices_that_speak_of_refusing_are_answers_and_whole_refusals_are_not(tmp_path: Path) -> None:
    asked = choice(
        11, "What do you do?", "Accept the offer", "Refuse the offer", "Prefer not to trade", "Refused"
    )
    found = seen(two_arms(tmp_path, [asked], {"Q11": ("QID11", [1, 2, 3, 4])}))
    assert [label for _, label in found.outcomes[0].scale.labels] == [
        "Accept the offer",
        "Refuse the offer",
        "Prefer not to trade",
    ]
    assert shares(found) == [[1, 2, 3]]
