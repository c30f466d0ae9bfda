"""Files of every kind: SAS and portable files, encodings, sheets, codebooks, and a second line of names."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import openpyxl
import pandas as pd
import pyreadstat
import pytest

from socrates_core.errors import UserError
from socrates_core.importing.codebook import parse_codes
from socrates_core.importing.encodings import guess_encoding, named_encoding
from socrates_core.importing.mapping import load_mapping, parse_mapping, save_mapping
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.read_table import read_table
from socrates_core.importing.table import Format
from socrates_core.importing.uploads import keep_files
from tests.support.commands import said
from tests.support.import_page import said as on_the_page
from tests.support.import_page import shown


def written(folder: Path, text: str, name: str = "data.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


# SPSS, Stata, and SAS


@pytest.mark.parametrize("kind", ["por", "xpt 5", "xpt 8"])
def test_portable_and_transport_files_are_read_with_their_labels(tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"ID": [1.0, 2, 3], "Q1": [1.0, 2, 5], "T": ["a", "b", "c"]})
    path = tmp_path / "data.bin"
    if kind == "por":
        pyreadstat.write_por(frame, path, column_labels=["Id", "How warm?", "T"])
    else:
        version: Literal[5, 8] = 5 if kind == "xpt 5" else 8
        pyreadstat.write_xport(
            frame, path, column_labels=["Id", "How warm?", "T"], file_format_version=version
        )
    table = read_table(path)
    assert table.frame.to_dict("list") == {
        "ID": ["1", "2", "3"],
        "Q1": ["1", "2", "5"],
        "T": ["a", "b", "c"],
    }
    assert table.labels["Q1"] == "How warm?"


def test_the_formats_of_a_sas_data_set_are_not_taken_for_the_data(tmp_path: Path) -> None:
    start = bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf" + bytes(136) + b"CATALOG " + bytes(900)
    (tmp_path / "formats.sas7bcat").write_bytes(start)
    with pytest.raises(UserError, match="only the formats of a SAS data set"):
        read_table(tmp_path / "formats.sas7bcat")


@pytest.mark.parametrize("kind", ["sav", "dta"])
@pytest.mark.parametrize(
    ("label", "encoding"),
    [
        ("Полностью согласен", "cp1251"),
        ("とても満足", "cp932"),
        ("매우 만족", "cp949"),
        ("Viel zu früh", "cp1252"),
    ],
)
def test_labels_in_an_encoding_that_the_file_does_not_declare_are_guessed_and_can_be_named(
    tmp_path: Path, kind: str, label: str, encoding: str
) -> None:
    path = tmp_path / f"old.{kind}"
    content = label.encode(encoding)
    frame = pd.DataFrame({"q": [1.0, 2.0]})
    labels: list[str | None] = ["X" * len(content)]
    if kind == "sav":
        pyreadstat.write_sav(frame, path, column_labels=labels)
    else:
        pyreadstat.write_dta(frame, path, column_labels=labels, version=12)
    path.write_bytes(path.read_bytes().replace(b"X" * len(content), content))
    table = read_table(path)
    assert table.labels == {"q": label}
    by_default = kind == "dta" and encoding == "cp1252"
    assert ("another encoding than it declares" in " ".join(table.warnings)) != by_default
    named = read_table(path, format_=Format(encoding))
    assert named.labels == {"q": label} and not named.warnings


# encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Très satisfait\nPlutôt d'accord\nNe sait pas"),
        ("cp1252", "Muy satisfecho\nAño 2001"),
        ("cp1250", "Zdecydowanie się zgadzam\nTrudno powiedzieć"),
        ("cp1250", "Rozhodně souhlasím\nNevím, těžko říci"),
        ("cp1251", "Полностью согласен\nда\nнет"),
        ("koi8_r", "Полностью согласен\nЗатрудняюсь ответить"),
        ("cp1253", "Συμφωνώ απόλυτα\nΔιαφωνώ"),
        ("cp1254", "Kesinlikle katılıyorum\nDeğişmez görüş"),
        ("cp1255", "מסכים מאוד\nלא יודע"),
        ("cp1256", "موافق بشدة\nلا أعرف"),
        ("cp874", "เห็นด้วยอย่างยิ่ง\nไม่ทราบ"),
        ("cp932", "はい\nいいえ\nどちらともいえない"),
        ("euc_jp", "とても満足\nどちらともいえない\n不満"),
        ("iso2022_jp", "とても満足\n不満"),
        ("gb18030", "非常满意\n不知道\n男\n女"),
        ("big5", "非常滿意\n不知道\n拒答"),
        ("cp949", "매우 만족\n모름\n전혀 그렇지 않다"),
        ("mac_roman", "Très satisfait\nPlutôt d'accord"),
        ("cp850", "großer Ärger\nüberhaupt nicht"),
    ],
)
def test_a_text_in_an_older_encoding_is_read_with_a_warning(tmp_path: Path, encoding: str, text: str) -> None:
    answers = text.splitlines()
    path = written(
        tmp_path, "id,q\n" + "".join(f'{n},"{a}"\n' for n, a in enumerate(answers)), encoding=encoding
    )
    table = read_table(path)
    assert table.frame["q"].tolist() == answers
    assert "name another encoding" in " ".join(table.warnings)
    assert not read_table(path, format_=Format(encoding)).warnings


def test_a_few_damaged_characters_do_not_make_utf_8_another_encoding(tmp_path: Path) -> None:
    rows = "".join(f"{n},großer Ärger\n" for n in range(60)).encode()
    (tmp_path / "data.csv").write_bytes(b"id,q\n" + rows + b"61,gro\xc3\n")
    table = read_table(tmp_path / "data.csv")
    assert table.frame["q"].tolist()[0] == "großer Ärger" and "damaged" in " ".join(table.warnings)


def test_an_encoding_that_is_named_wrongly_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = written(tmp_path, "id,q\n1,été\n2,b\n", encoding="cp1252")
    with pytest.raises(UserError, match="not text in the encoding 'utf-8'"):
        read_table(path, format_=Format("utf-8"))
    for name in ("klingon", "rot13"):
        with pytest.raises(UserError, match="no text encoding"):
            named_encoding(name)
    assert guess_encoding(b"plain") is None


# sheets


def workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


WAVES: Mapping[str, Sequence[Sequence[object]]] = {
    "Wave 1": [["id", "q"], *[[n, n % 5 + 1] for n in range(8)]],
    "Wave 2": [["id", "r"], *[[n, n % 7 + 1] for n in range(9)]],
}


def test_a_sheet_can_be_named_and_comes_back_with_the_mapping(home: Path, tmp_path: Path) -> None:
    path = workbook(tmp_path / "waves.xlsx", WAVES)
    printed, complaints, _ = said("import", str(path))
    assert "'Wave 2'" in complaints and [o.column for o in parse_mapping(printed, "it").outcomes] == ["q"]
    mapping = parse_mapping(said("import", str(path), "--sheet", "Wave 2")[0], "it")
    assert (mapping.sheet, [o.column for o in mapping.outcomes]) == ("Wave 2", ["r"])
    asked = mapping.outcomes[0].model_copy(update={"question": "How?"})
    saved = written(tmp_path, "", "mapping.yaml")
    save_mapping(mapping.model_copy(update={"outcomes": (asked,)}), saved)
    assert "9 people and 9 answers" in said("import", str(path), "--mapping", str(saved))[0]
    assert "no sheet 'Wave 3'" in said("import", str(path), "--sheet", "Wave 3")[1]
    assert "is not a workbook" in said("import", str(written(tmp_path, "a,b\n1,2\n")), "--sheet", "x")[1]


def test_the_page_reads_another_sheet_and_keeps_the_choice(home: Path, tmp_path: Path) -> None:
    upload = keep_files([("waves.xlsx", io.BytesIO(workbook(tmp_path / "w.xlsx", WAVES).read_bytes()))])
    app = shown(upload.upload_id)
    next(box for box in app.selectbox if box.label == "Sheet").select("Wave 2").run()
    assert not app.exception and "9 rows" in on_the_page(app)
    assert load_mapping(upload.mapping_path).sheet == "Wave 2"
    assert "9 rows" in on_the_page(shown(upload.upload_id))


# codebooks


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("1 = Yes; 2 = No", {"1": "Yes", "2": "No"}),
        (
            "1=Never, 2=Now and then, at home, 3=Always",
            {"1": "Never", "2": "Now and then, at home", "3": "Always"},
        ),
        ("1, Yes | 2, No, never", {"1": "Yes", "2": "No, never"}),
        ("1: Yes\n2: No", {"1": "Yes", "2": "No"}),
        ("(1) not at all (2) very", {}),
        ('{"1": "Yes", "2": "No"}', {"1": "Yes", "2": "No"}),
        ("{1: 'Yes', 2: 'No'}", {"1": "Yes", "2": "No"}),
        ("1 = not at all ... 7 = very much", {"1": "not at all", "7": "very much"}),
        ("-1 = less, 0 = same, 1 = more", {"-1": "less", "0": "same", "1": "more"}),
        ("a number from 1 to 7", {}),
        ("text", {}),
    ],
)
def test_the_codes_of_a_codebook_are_read(text: str, codes: dict[str, str]) -> None:
    assert parse_codes(text) == codes


DATA = (
    "id,q1,q2,age\n" + "".join(f"{n},{n % 5 + 1},{n % 2 + 1},{20 + n}\n" for n in range(20)) + "20,99,1,40\n"
)
CODEBOOKS = {
    "a row for each column": "Variable,Label,Values,Missing\nq1,How warm?,1 = cold; 5 = warm,99\n"
    "q2,Would you go?,1=Yes;2=No,\nage,Your age,,\n",
    "a row for each code": "variable,question,value,label\nq1,How warm?,1,cold\n,,5,warm\n"
    "q2,Would you go?,1,Yes\n,,2,No\n",
    "a data dictionary of REDCap": '"Variable / Field Name","Field Label","Choices, Calculations, OR Slider Labels"\n'
    'q1,How warm?,"1, cold | 5, warm"\nq2,Would you go?,"1, Yes | 2, No"\nage,Your age,\n',
}


def outcomes(opened: Opened) -> dict[str, tuple[str, dict[object, str]]]:
    return {o.column: (o.question, dict(o.scale.scale().labels)) for o in opened.suggested.outcomes}


@pytest.mark.parametrize("kind", CODEBOOKS)
def test_a_codebook_next_to_a_csv_gives_it_questions_and_labels(tmp_path: Path, kind: str) -> None:
    files = [written(tmp_path, DATA), written(tmp_path, CODEBOOKS[kind], "about.csv")]
    for paths in (files, files[::-1]):
        found = outcomes(open_files(paths))
        assert found["q1"] == ("How warm?", {1: "cold", 5: "warm"})
        assert found["q2"] == ("Would you go?", {1: "Yes", 2: "No"})
    opened = open_files(files)
    assert any("'about.csv' was read as a codebook" in warning for warning in opened.warnings)
    assert opened.table.frame["q1"].isna().sum() == (kind == "a row for each column")


def test_a_codebook_can_be_a_sheet_of_the_workbook(tmp_path: Path) -> None:
    rows: list[list[object]] = [list(line.split(",")) for line in DATA.splitlines()]
    book: list[list[object]] = [["variable", "label", "values"], ["q1", "How warm?", "1 = cold; 5 = warm"]]
    book += [["q2", "Would you go?", "1=Yes;2=No"], ["age", "Your age", ""]]
    path = workbook(tmp_path / "data.xlsx", {"Data": rows, "Codebook": book})
    assert outcomes(open_files([path]))["q2"] == ("Would you go?", {1: "Yes", 2: "No"})


def test_two_files_of_which_none_is_a_codebook_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="alone or with its codebook"):
        open_files([written(tmp_path, DATA), written(tmp_path, DATA, "other.csv")])


# a second line of names


def test_options_below_the_questions_of_surveymonkey_are_read(tmp_path: Path) -> None:
    text = (
        "Respondent ID,Start Date,How warm is it?,Which pets?,,,Rate these,\n"
        ",,Response,Cats,Dogs,Other (please specify),Tea,Coffee\n"
    )
    pets = [("Cats", "", ""), ("", "Dogs", "a fish"), ("Cats", "Dogs", ""), ("", "", ""), ("", "Dogs", "")]
    for n in range(10):
        cat, dog, other = pets[n % 5]
        text += f"{1000 + n},2020-01-01,{n % 5 + 1},{cat},{dog},{other},{n % 4 + 1},{n % 3 + 1}\n"
    opened = open_files([written(tmp_path, text)])
    assert len(opened.table.frame) == 10
    assert opened.table.labels["Rate these: Tea"] == "Rate these\nTea"
    assert opened.table.frame["Which pets?: Cats"].fillna("-").tolist()[:5] == ["1", "0", "1", "-", "0"]
    found = outcomes(opened)
    assert found["Which pets?: Dogs"][0].endswith("Is this among your answers: “Dogs”?")
    assert {"How warm is it?", "Rate these: Coffee"} <= set(found)


def test_questions_below_short_names_become_the_questions(tmp_path: Path) -> None:
    text = "CASE,A101,A102_01\nInterview number,How warm is it?,Trust: police\n"
    opened = open_files(
        [written(tmp_path, text + "".join(f"{n},{n % 5 + 1},{n % 7 + 1}\n" for n in range(20)))]
    )
    assert outcomes(opened)["A102_01"][0] == "Trust: police" and len(opened.table.frame) == 20


@pytest.mark.parametrize(
    "text",
    [
        "a,b\nnone,none\n1,2\n3,4\n",  # the same words twice are cells
        "a,b\nx,1\n1,2\n3,4\n",
        "name,q\nann,1\nbob,2\ncleo,3\n",
    ],
)
def test_a_first_row_of_answers_stays_a_row(tmp_path: Path, text: str) -> None:
    assert len(open_files([written(tmp_path, text)]).table.frame) == 3


def test_the_command_line_remarks_on_a_suggestion_as_the_page_does(home: Path, tmp_path: Path) -> None:
    text = (
        "id,arm,weight,q\n"
        + "".join(f"{n},{'ab'[n % 2]},1.5,{n % 7 + 1}\n" for n in range(30))
        + "31,a,1,99\n"
    )
    complaints = said("import", str(written(tmp_path, text)))[1]
    page = on_the_page(shown(keep_files([("data.csv", io.BytesIO(text.encode()))]).upload_id))
    for sentence in (
        "looks like people's weights (weight)",
        "Do 99 in q mean",
        "1 of 31 answers to 'q' are off",
    ):
        assert sentence in complaints and sentence in page
