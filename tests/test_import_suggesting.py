"""What a table's suggestion takes for answers, for no answer, and for traits of people; and what it leaves out."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from socrates_core.importing.build import preview
from socrates_core.importing.mapping import mapping_from_dict, parse_mapping, save_mapping
from socrates_core.importing.no_answer import is_no_answer
from socrates_core.importing.suggest import suggest, suggest_table
from socrates_core.importing.table import Table
from socrates_core.importing.traits import is_own_trait
from socrates_core.records import Scale
from tests.support.commands import said
from tests.support.small_tables import scale_of, suggested, table

# no answer


@pytest.mark.parametrize(
    "label",
    [
        "Refused",
        "97. Don't know",
        "(Don’t know)",
        "DK / Refused",
        "Prefer not to say",
        "I'd rather not say",
        "N/A",
        "[No answer]",
        "-9 - No answer",
        "keine Angabe",
        "Weiß nicht",
        "weiss nicht",
        "No sabe / No contesta",
        "NS/NC",
        "Ne sait pas",
        "Não sabe",
        "Vet ej",
        "Geen antwoord",
        "不知道",
        "Not applicable",
        "n. a.",
        "Don't know / Not sure",
        "Refused (VOL.)",
        "Not applicable (N/A)",
        "Don't know/Can't choose",
        "NIU (not in universe)",
        "Logical skip",
        "Don´t know [DON'T READ]",
        "-8. Don't know (FTF only)",
        "-6. No post-election interview",
        "Missing; Unknown",
        "DK/NA/Ref",
        "Not asked in survey",
        "TNZ: Split",
        "Keine Meinung / weiß nicht",
        "Ne souhaite pas répondre",
        "Δεν ξέρω",
        "לא יודע",
        "لا أعرف",
        "Nu răspunde",
        "Tidak tahu",
        "ไม่ทราบ",
        "わからない・無回答",
        "잘 모르겠다",
        "不清楚",
    ],
)
def test_a_whole_label_says_that_there_is_no_answer(label: str) -> None:
    assert is_no_answer(label)


@pytest.mark.parametrize(
    "label",
    [
        "Refuse the offer",
        "Refuse",
        "Not sure",
        "I don't know anyone",
        "Prefer not to buy",
        "Missing out",
        "Skip",
        "trifft nicht zu",
        "Does not apply",
        "No",
        "None",
        "Never",
        "No opinion",
        "NC",
        "Accept or refuse",
        "No (refused)",
        "Not sure / no opinion",
        "Blank",
        "Filter",
        "Declined the gift",
        "No answer is right",
        "Did not vote",
        "Unknown artist",
        "No (not asked)",
        "7",
        "",
    ],
)
def test_a_word_inside_a_label_does_not(label: str) -> None:
    assert not is_no_answer(label)


def test_a_label_of_no_answer_is_missing_and_two_answers_always_remain() -> None:
    three = {"q": {"1": "Yes", "2": "No", "8": "Refused"}}
    assert suggest(table(three, q=["1", "2", "8", "1"]), "x").outcomes[0].missing == ("8",)
    two = {"q": {"1": "Accepted", "2": "Refused"}}
    found = suggest(table(two, q=["1", "2", "2", "1"]), "x").outcomes[0]
    assert found.missing == () and found.scale.scale().labels == ((1, "Accepted"), (2, "Refused"))


@pytest.mark.parametrize(
    ("cells", "scale"),
    [
        ([2, 10, 98, 97, 30, 45], (0, 100)),
        ([3, 40, 168, 99, 12], (3, 168)),
        ([3, 4, 60, -1, 25], (-1, 60)),
        ([5, 250, 998, 640], (5, 998)),
    ],
)
def test_codes_without_a_label_are_values_of_a_number(cells: list[object], scale: tuple[int, int]) -> None:
    (outcome,) = suggested(q=cells).mapping.outcomes
    assert outcome.missing == () and (outcome.scale.low, outcome.scale.high) == scale


def test_a_code_that_lies_apart_is_asked_about_and_kept_off_a_usual_scale(home: Path) -> None:
    found = suggested(q=[1, 2, 3, 4, 5, 6, 7, 99, 99], r=[1, 2, 3, -8, 4, 5, 5, 1, 2])
    assert scale_of(found.mapping) == Scale("range", 1, 7)
    assert scale_of(found.mapping, "r") == Scale("range", 1, 5)
    assert any("Do 99 in q mean" in question for question in found.questions)
    assert any("Do -8 in r mean" in question for question in found.questions)
    answers = table(q=[1, 2, 3, 4, 5, 6, 7, 99, 99], r=[1, 2, 3, -8, 4, 5, 5, 1, 2])
    seen = preview(answers, found.mapping)
    assert any("2 of 9 answers to 'q' are off its scale" in remark for remark in seen.remarks)
    assert not seen.dropped


def test_a_negative_code_with_a_label_that_is_not_known_is_asked_about() -> None:
    labels = {
        "q": {"-10": "Split", "-9": "Filtro", "1": "Nie", "2": "Oft"},
        "r": {"-1": "Less", "0": "Same", "1": "More"},
    }
    questions = suggest_table(
        table(labels, q=["1", "2", "-9", "-10"], r=["-1", "0", "1", "1"]), "x"
    ).questions
    assert len(questions) == 1
    assert "-10 ('Split'), -9 ('Filtro') in q" in questions[0]


def test_two_options_with_one_label_can_be_told_apart() -> None:
    labels = {"q": {"1": "office", "2": "Office", "3": "home"}}
    cells = table(labels, q=["1", "2", "3", "1"])
    assert scale_of(suggest(cells, "x")).labels == ((1, "office (1)"), (2, "Office (2)"), (3, "home"))
    assert not [p for p in preview(cells, suggest(cells, "x")).problems if "scale" in p]


# rows


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ({"1": "False", "2": "True"}, ("2",)),
        ({"0": "Nein", "1": "Ja"}, ("1",)),
        ({"1": "Completed", "2": "Not completed"}, ("1",)),
        ({}, ("1",)),
    ],
)
def test_finished_is_what_its_label_says(labels: dict[str, str], kept: tuple[str, ...]) -> None:
    cells: list[object] = ["1", *(["0"] if "2" not in labels else ["2"])] * 4
    mapping = suggest(table({"Finished": labels}, Finished=cells, q=[1, 2, 3, 4, 5, 1, 2, 3]), "x")
    assert [keep.values for keep in mapping.keep] == [kept]


@pytest.mark.parametrize("cells", [["lõpetatud", "pooleli"] * 3, [1, 2] * 3, [0, 1, 2] * 2])
def test_a_finished_column_that_does_not_say_which_is_yes_is_asked_about(cells: list[object]) -> None:
    found = suggested(Finished=cells, q=[1, 2, 3, 4, 5, 1])
    assert not found.mapping.keep
    assert any("Which rows are finished?" in question for question in found.questions)


def test_previews_of_an_export_without_its_survey_are_no_people() -> None:
    found = suggested(Status=["IP Address", "Survey Preview", "IP Address", "Spam"], q=[1, 2, 3, 4])
    assert [(keep.column, keep.values) for keep in found.mapping.keep] == [("Status", ("IP Address",))]
    assert not suggested(Status=["married", "single"] * 2, q=[1, 2, 3, 4]).mapping.keep


# traits


def test_what_the_platform_records_is_neither_a_trait_nor_an_outcome() -> None:
    names = ["LocationLatitude", "Q3_First Click", "Q3_Click Count", "Q3_Page Submit", "UserLanguage"]
    columns: dict[str, list[object]] = {name: [1, 2, 3, 4] for name in names}
    found = suggested(**columns, q=[1, 2, 3, 5])
    assert [outcome.name for outcome in found.mapping.outcomes] == ["q"]
    assert not found.mapping.demographics and set(found.left_out) == set(names)


def test_what_limesurvey_records_is_no_answer_and_unfinished_rows_are_asked_about() -> None:
    found = suggested(
        id=range(6),
        submitdate=["2024-01-01 10:00:00"] * 5 + [""],
        seed=range(1000, 1006),
        lastpage=[4, 4, 4, 4, 4, 2],
        interviewtime=[10.5, 11, 12, 13, 14, 15],
        q=[1, 2, 3, 5, 4, 1],
    )
    assert [outcome.name for outcome in found.mapping.outcomes] == ["q"]
    missing = table(submitdate=["2024-01-01", "2024-01-01", "2024-01-02"], q=[1, 2, 3])
    missing.frame.loc[1, "submitdate"] = None
    questions = suggest_table(missing, "x").questions
    assert any("1 rows have no 'submitdate'" in question for question in questions)


def test_numbers_without_labels_are_no_location_and_no_party() -> None:
    found = suggested(State=[1, 2, 3, 4], party=[1, 2, 1, 2], region=["North", "South", "North", "East"])
    assert {name: each.column for name, each in found.mapping.demographics.items()} == {"location": "region"}


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ({"1": "2002", "2": "1983"}, False),
        ({"1": "18 to 24", "2": "25 to 34"}, False),
        ({"1": "19", "2": "44"}, True),
    ],
)
def test_an_age_is_a_number_of_years_by_its_labels(labels: dict[str, str], taken: bool) -> None:
    mapping = suggest(table({"age": labels}, age=["1", "2", "2", "1"], q=[1, 2, 3, 5]), "x")
    assert ("age" in mapping.demographics) == taken
    assert [outcome.name for outcome in mapping.outcomes] == ["q"]


def test_no_persona_is_older_than_120_whatever_the_mapping_says(home: Path) -> None:
    cells = table(born=["1983", "44", "0", "x"], q=["1", "2", "3", "5"])
    mapping = mapping_from_dict(
        {
            "study": {"study_id": "old", "title": "Old"},
            "demographics": {"age": {"column": "born"}},
            "conditions": [{"name": "Everyone"}],
            "outcomes": [
                {
                    "name": "q",
                    "question": "How?",
                    "scale": "Only return an integer from 1 to 5.",
                    "column": "q",
                }
            ],
        },
        "the mapping",
    )
    seen = preview(cells, mapping)
    assert seen.frames["participants"]["age"].dropna().tolist() == [44]
    assert any("3 cells of 'born'" in remark and "120" in remark for remark in seen.remarks)


@pytest.mark.parametrize(
    ("field", "question", "answers", "own"),
    [
        (
            "party_id",
            "Do you think of yourself as a Republican or a Democrat?",
            ["Republican", "Democrat"],
            True,
        ),
        ("party_id", "What is your party affiliation?", ["Labour", "Green"], True),
        ("party_id", "party_id", ["D", "R"], True),
        (
            "party_id",
            "Is the author a Democrat or a Republican, do you think?",
            ["Surely a Democrat", "Either"],
            False,
        ),
        (
            "party_id",
            "Would you vote for the Democrat or the Republican?",
            ["The Democrat", "The Republican"],
            False,
        ),
        ("party_id", "Do you consider the senator a Republican?", ["Republican", "Democrat"], False),
        ("ideology", "How would you describe your political views?", ["Very liberal", "Conservative"], True),
        (
            "ideology",
            "Schools should teach political views",
            ["Strongly disagree", "Neither", "Strongly agree"],
            False,
        ),
        ("ideology", "How liberal or conservative is the candidate?", ["Liberal", "Conservative"], False),
        ("gender", "Do you think gender roles are natural?", ["Disagree", "Neutral", "Agree"], False),
        ("gender", "What is the gender of the applicant?", ["Male", "Female"], False),
        ("gender", "Was ist Ihr Geschlecht?", ["männlich", "weiblich"], True),
    ],
)
def test_a_judgement_of_somebody_else_is_no_trait(
    field: str, question: str, answers: list[str], own: bool
) -> None:
    assert is_own_trait(field, question, answers) == own


# what is left out


def test_every_column_is_used_or_left_out_with_a_reason() -> None:
    columns: dict[str, list[object]] = {
        "ResponseId": ["a", "b", "c", "d"],
        "trust": ["Mostly so", "Hardly", "Mostly so", "Hardly"],
        "score": [1.5, 2.25, 3.5, 4],
        "all": [1, 1, 1, 1],
        "IPAddress": ["1.1.1.1", "x", "y", "z"],
        "q": [1, 2, 3, 5],
    }
    found = suggested(**columns)
    assert set(found.left_out) | set(found.mapping.columns()) == set(columns)
    assert "order" in found.left_out["trust"] and "decimals" in found.left_out["score"]
    assert all(found.left_out.values())


def test_more_outcomes_than_a_suggestion_holds_are_named() -> None:
    found = suggested(**{f"q{n}": [1, 2, 3, 5] for n in range(130)})
    assert len(found.mapping.outcomes) == 100
    assert len(found.left_out) == 30 and "q129" in found.left_out


def test_the_printed_mapping_names_the_columns_that_it_leaves_out_and_can_still_be_read(
    home: Path, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_text("id,trust,q\n1,Hardly,1\n2,Mostly,2\n3,Hardly,99\n4,Mostly,3\n")
    printed, complaints, _ = said("import", str(tmp_path / "data.csv"))
    assert "#   trust: texts whose order is not known" in printed
    assert "Do 99 in q mean" in complaints
    assert [outcome.name for outcome in parse_mapping(printed, "the mapping").outcomes] == ["q"]


# weights and groups


def built(cells: Table, **more: object) -> list[str]:
    """The remarks about a study of columns arm and q."""
    stored = {
        "study": {"study_id": "small", "title": "Small"},
        "conditions": [{"name": name, "text": f"Text {name}.", "when": {"arm": name}} for name in "ab"],
        "outcomes": [
            {"name": "q", "question": "How?", "scale": "Only return an integer from 1 to 5.", "column": "q"}
        ],
    }
    seen = preview(cells, mapping_from_dict({**stored, **more}, "the mapping"))
    assert not seen.problems
    return seen.remarks


ROOMS: dict[str, Sequence[object]] = {
    "arm": ["a", "a", "b", "b", "a", "a", "b", "b"],
    "q": [1, 2, 3, 4, 5, 1, 2, 3],
}


@pytest.mark.parametrize(
    "name", ["weight", "WEIGHT", "survey_weight", "wt", "wtssall", "pweight", "weight_final2"]
)
def test_a_column_of_weights_gets_a_warning(name: str) -> None:
    remarks = built(table(None, **ROOMS, **{name: [1.5] * 8}))
    assert any(f"looks like people's weights ({name})" in remark for remark in remarks)


@pytest.mark.parametrize("name", ["wtp", "weighted opinion", "pwned", "swt1ch"])
def test_another_column_gets_none(name: str) -> None:
    assert not built(table(None, **ROOMS, **{name: [1.5] * 8}))


@pytest.mark.parametrize("name", ["classroom", "school_id", "cluster", "village no"])
def test_groups_that_were_assigned_together_get_a_warning_and_others_do_not(name: str) -> None:
    together = built(table(None, **ROOMS, **{name: [1, 1, 2, 2, 3, 3, 4, 4]}))
    assert any(f"assigned together ({name})" in remark for remark in together)
    assert not built(table(None, **ROOMS, **{name: [1, 2, 1, 2, 3, 4, 3, 4]}))


@pytest.mark.parametrize("name", ["block", "strata", "stratum_id", "Block no"])
def test_a_column_of_blocks_gets_a_warning(name: str) -> None:
    assert any(f"blocks ({name})" in remark for remark in built(table(None, **ROOMS, **{name: [1, 2] * 4})))


def test_a_mapping_that_names_clusters_blocks_and_weights_says_who_lacks_them() -> None:
    cells = table(
        None,
        **ROOMS,
        classroom=[1, 1, 2, 2, 3, 3, 4, " "],
        weight=[1, 0, 1, -1, 1, 1, 1, "none"],
        block=[1, 2] * 4,
    )
    remarks = built(cells, cluster="classroom", block="block", weight="weight")
    assert not any("looks like" in remark for remark in remarks)
    assert any(remark.startswith("3 people have no weight above 0 in 'weight'") for remark in remarks)
    assert "1 person has no value in 'classroom'. Each of them counts as a cluster alone." in remarks


def test_a_code_that_a_mapping_settles_is_not_asked_about_again(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("q\n1\n2\n3\n4\n5\n99\n")
    outcome = {"name": "q", "question": "How?", "scale": "Only return an integer from 1 to 5.", "column": "q"}
    mapping = {
        "study": {"study_id": "s", "title": "S"},
        "conditions": [{"name": "Everyone"}],
        "outcomes": [{**outcome, "missing": ["99"]}],
    }
    save_mapping(mapping_from_dict(mapping, "the mapping"), tmp_path / "mapping.yaml")
    arguments = ("import", str(tmp_path / "data.csv"), "--mapping", str(tmp_path / "mapping.yaml"), "--json")
    assert json.loads(said(*arguments)[0])["warnings"] == ["Dropped: 1 answers: empty or a missing code."]


def test_the_command_line_says_what_the_window_remarks_on(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("arm,q\na,1\na,98\nb,2\nb,3\n")
    mapping = {
        "study": {"study_id": "s", "title": "S"},
        "conditions": [{"name": name, "text": f"Text {name}.", "when": {"arm": name}} for name in "abc"],
        "outcomes": [
            {"name": "q", "question": "How?", "scale": "Only return an integer from 1 to 7.", "column": "q"}
        ],
    }
    save_mapping(mapping_from_dict(mapping, "the mapping"), tmp_path / "mapping.yaml")
    arguments = ("import", str(tmp_path / "data.csv"), "--mapping", str(tmp_path / "mapping.yaml"), "--json")
    warnings = " ".join(json.loads(said(*arguments)[0])["warnings"])
    assert "1 of 4 answers to 'q' are off its scale" in warnings
    assert "The condition 'c' has no answers." in warnings
