"""Orders of answers in words that a person says once, ages from years of birth, and traits shown before the import."""

import datetime
import io
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyreadstat
import pytest

from socrates_core.errors import UserError
from socrates_core.importing.build import preview, trait_examples
from socrates_core.importing.mapping import DemographicSpec, Mapping, load_mapping, parse_mapping
from socrates_core.importing.mapping_tables import demographic_table
from socrates_core.importing.orders import led_numbers, ordered, parse_order, save_order
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest_table
from socrates_core.importing.traits import are_birth_years, is_birth_named, year_in
from socrates_core.importing.uploads import keep_files
from tests.support.commands import said
from tests.support.import_page import said as on_the_page
from tests.support.import_page import shown
from tests.support.qualtrics_files import choice, question
from tests.support.qualtrics_surveys import seen as imported
from tests.support.qualtrics_surveys import two_arms
from tests.support.small_tables import scale_of, suggested, table


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["Always", "Never", "Sometimes"], ["Never", "Sometimes", "Always"]),
        (["JA", "Nein"], ["Nein", "JA"]),
        (["trifft zu", "Trifft eher nicht zu"], ["Trifft eher nicht zu", "trifft zu"]),
        (["D’accord", "Pas d'accord"], ["Pas d'accord", "D’accord"]),
        (["同意", "非常不同意"], ["非常不同意", "同意"]),
        (["Very good", "Poor", "Excellent"], ["Poor", "Very good", "Excellent"]),
        (["Red", "Blue"], []),
        (["Never"], []),
        (["Never", "never"], []),
    ],
)
def test_answers_of_many_languages_have_an_order(home: Path, cells: list[str], order: list[str]) -> None:
    assert ordered(cells) == order


def test_an_order_that_a_person_says_is_kept_for_later_files(home: Path) -> None:
    cells = ["Hardly so", "Mostly so", "Fully so"]
    assert ordered(cells) == []
    save_order(parse_order("Hardly so < Mostly so < Fully so"))
    assert ordered(["Fully so", "Hardly so"]) == ["Hardly so", "Fully so"]
    save_order(["Fully so", "Mostly so", "Hardly so"])  # said again, the other way round
    assert ordered(cells) == ["Fully so", "Mostly so", "Hardly so"]
    for wrong in (["one"], ["a", "A"], []):
        with pytest.raises(UserError, match="2 to 20 different answers"):
            save_order(wrong)


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1 - Never", "2", "3", "5 - Always"], [1, 2, 3, 5]),
        (["(1) low", "(2) high"], [1, 2]),
        (["1 (not at all)", "2", "3 (very)"], [1, 2, 3]),
        (["7: Agree", "1: Disagree"], [7, 1]),
        (["-1 less", "0 same", "1 more"], [-1, 0, 1]),
        (["18-24", "25-34"], []),
        (["1st", "2nd"], []),
        (["1", "2"], []),
        (["3 days", "5 days"], []),
        (["1 a", "1 b"], []),
    ],
)
def test_answers_that_begin_with_numbers_are_in_their_order(cells: list[str], numbers: list[int]) -> None:
    assert [number for number, _ in led_numbers(cells).values()] == numbers


def test_numbered_answers_become_a_scale_with_the_labels_of_its_ends(home: Path) -> None:
    cells = ["1 - not at all", "2", "3", "4 - very", "2", "Don't know", "3"]
    found = suggested(q=cells)
    assert scale_of(found.mapping).labels == ((1, "not at all"), (4, "very"))
    outcome = found.mapping.outcomes[0]
    assert outcome.missing == ("Don't know",)
    answers = preview(table(q=cells), found.mapping).frames["responses"]["response"].tolist()
    assert answers == [1, 2, 3, 4, 2, 3]


TEXTS = "id,trust,mood,q\n" + "".join(
    f"{n},{('Hardly so', 'Mostly so', 'Fully so')[n % 3]},{('Mostly so', 'Fully so', 'Hardly so')[n % 3]},{n % 5 + 1}\n"
    for n in range(30)
)


def test_the_order_is_asked_once_for_all_columns_and_then_used(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(TEXTS)
    printed, complaints, _ = said("import", str(tmp_path / "data.csv"))
    assert "trust, mood (Fully so / Hardly so / Mostly so)" in complaints
    assert "#   trust: texts whose order is not known" in printed
    order = "Hardly so < Mostly so < Fully so"
    printed, complaints, _ = said("import", str(tmp_path / "data.csv"), "--order", order)
    mapping = parse_mapping(printed, "it")
    assert [o.column for o in mapping.outcomes] == ["trust", "mood", "q"] and "Which order" not in complaints
    assert mapping.outcomes[0].scale.scale().labels == ((1, "Hardly so"), (2, "Mostly so"), (3, "Fully so"))


def test_the_page_asks_for_an_order_and_makes_outcomes_of_its_columns(home: Path) -> None:
    upload = keep_files([("data.csv", io.BytesIO(TEXTS.encode()))])
    app = shown(upload.upload_id)
    assert "Which order do these answers have?" in on_the_page(app)
    box = next(box for box in app.multiselect if box.label == "From the lowest to the highest")
    for answer in ("Hardly so", "Mostly so", "Fully so"):
        box.select(answer)
    app.run()
    next(button for button in app.button if button.label == "Use this order").click().run()
    assert not app.exception
    outcomes = {o.column: o.scale.scale().labels for o in load_mapping(upload.mapping_path).outcomes}
    assert outcomes["trust"] == outcomes["mood"] == ((1, "Hardly so"), (2, "Mostly so"), (3, "Fully so"))
    assert ordered(["Fully so", "Hardly so"]) == ["Hardly so", "Fully so"]


def test_names_comments_and_what_the_platform_records_are_not_asked_about(home: Path) -> None:
    comments = [f"comment {n}" for n in range(30)]
    found = suggested(comment=comments, UserLanguage=["EN", "DE", "FR"] * 10, q=[1, 2, 3, 4, 5] * 6)
    assert not found.questions


# ages


@pytest.mark.parametrize(
    ("name", "label", "born"),
    [
        ("yob", "", True),
        ("birthyr", "", True),
        ("birth_year", "", True),
        ("Q7", "In what year were you born?", True),
        ("d2", "In welchem Jahr sind Sie geboren?", True),
        ("geburtsjahr", "", True),
        ("Q8", "In which year was the candidate born?", False),
        ("newborn_weight", "", False),
        ("year", "", False),
    ],
)
def test_a_year_of_birth_is_told_by_its_name_or_its_question(name: str, label: str, born: bool) -> None:
    assert is_birth_named(name, label) == born


def test_years_of_birth_and_dates_are_read() -> None:
    assert are_birth_years(["1983", "2002", "1950"]) and not are_birth_years(["19", "44", "83"])
    dates = ["2020-03-01 10:00", "3/1/2021", "01.03.2019", "2018", "12345", "yesterday"]
    assert [year_in(cell) for cell in dates] == [2020, 2021, 2019, 2018, None, None]


def ages(cells: dict[str, Sequence[object]], mapping: Mapping) -> list[float]:
    seen = preview(table(None, **cells), mapping)
    return [float(age) for age in seen.frames["participants"]["age"].dropna()]


def test_an_age_is_worked_out_with_the_date_of_the_answers(home: Path) -> None:
    cells: dict[str, Sequence[object]] = {
        "StartDate": ["2020-05-01", "2021-06-01", "2020-01-01", "2020-02-02", "2020-02-03"],
        "yob": [1980, 1981, 2000, 1970, 1850],
        "q": [1, 2, 3, 5, 4],
    }
    mapping = suggest_table(table(None, **cells), "x").mapping
    assert mapping.demographics["age"] == DemographicSpec(column="yob", year="StartDate")
    assert ages(cells, mapping) == [40, 40, 20, 50]
    remarks = preview(table(None, **cells), mapping).remarks
    assert any("1 cells of 'yob' minus the year of birth are not numbers" in r for r in remarks)
    assert demographic_table(mapping)["year"].tolist() == ["StartDate"]


def test_without_a_date_the_year_is_asked_for_and_can_be_written(home: Path) -> None:
    cells: dict[str, Sequence[object]] = {"yob": [1980, 1981, 2000, 1950], "q": [1, 2, 3, 5]}
    found = suggest_table(table(None, **cells), "x")
    assert "age" not in found.mapping.demographics and found.left_out["yob"] == "years of birth"
    assert any("In which year were people asked?" in question for question in found.questions)
    born = {"age": DemographicSpec(column="yob", year="2020")}
    assert ages(cells, found.mapping.model_copy(update={"demographics": born})) == [40, 39, 20, 70]


def test_labels_of_codes_can_be_years_of_birth(home: Path) -> None:
    labels = {"born": {"1": "2002", "2": "1983"}}
    cells = table(
        labels, wave=["2020"] * 4, year=["2019"] * 4, born=["1", "2", "2", "1"], q=["1", "2", "3", "5"]
    )
    mapping = suggest_table(cells, "x").mapping
    assert mapping.demographics["age"].year == "year"
    assert preview(cells, mapping).frames["participants"]["age"].tolist() == [17, 36, 36, 17]


def test_a_survey_that_asks_for_the_year_of_birth_gives_ages(home: Path, tmp_path: Path) -> None:
    asked = [question(11, "TE", "In what year were you born?", "SL"), choice(12, "Cats?", "Yes", "No")]
    columns: dict[str, tuple[str, Sequence[object]]] = {
        "StartDate": ("startDate", ["2022-01-01"] * 4),
        "Q11": ("QID11_TEXT", [1990, 1980, 1992, 2000]),
        "Q12": ("QID12", [1, 2, 1, 1]),
    }
    found = imported(two_arms(tmp_path, asked, columns))
    assert found.frames["participants"]["age"].tolist() == [32, 42, 30, 22]


@pytest.mark.parametrize("kind", ["sav", "dta", "xpt", "por"])
def test_dates_of_statistical_files_are_dates(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame(
        {
            "DAY": [datetime.date(2020, 3, 1), datetime.date(1999, 12, 31)],
            "MOMENT": pd.to_datetime(["2020-03-01 10:20:30", "2021-04-05 00:00:00"]),
            "Q": [1.0, 2.0],
        }
    )
    getattr(pyreadstat, {"xpt": "write_xport"}.get(kind, f"write_{kind}"))(frame, tmp_path / "data")
    cells = read_table(tmp_path / "data").frame
    assert cells["DAY"].tolist() == ["2020-03-01", "1999-12-31"]
    assert cells["MOMENT"].tolist() == ["2020-03-01 10:20:30", "2021-04-05"]
    assert cells["Q"].tolist() == ["1", "2"]


# traits


def test_what_is_offered_as_a_trait_is_shown_with_three_examples(home: Path, tmp_path: Path) -> None:
    labels = {"sex": {"1": "Male", "2": "Female", "9": "Refused"}}
    cells = table(labels, sex=["1", "2", "2", "9"], age=["20", "30", "30", "41"], q=["1", "2", "3", "5"])
    mapping = suggest_table(cells, "x").mapping
    assert trait_examples(cells, mapping) == {"gender": ["Female", "Male"], "age": ["30", "20", "41"]}
    text = "id,gender,q\n" + "".join(f"{n},{('woman', 'man')[n % 3 == 0]},{n % 5 + 1}\n" for n in range(9))
    (tmp_path / "data.csv").write_text(text)
    assert "#   gender from gender: woman, man" in said("import", str(tmp_path / "data.csv"))[0]
    app = shown(keep_files([("data.csv", io.BytesIO(text.encode()))]).upload_id)
    assert any("woman, man" in sheet.value.to_string() for sheet in app.dataframe)
