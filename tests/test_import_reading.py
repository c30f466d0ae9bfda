"""Cells as their file has them: all digits of a number, the sheet that people see, texts in old encodings."""

import re
import zipfile
from pathlib import Path

import openpyxl
import pandas as pd
import pyreadstat
import pytest

from socrates_core.errors import UserError
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest


def workbook(path: Path, sheets: dict[str, list[list[object]]], hidden: tuple[str, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        sheet.sheet_state = "hidden" if name in hidden else "visible"
    book.save(path)
    return path


def with_numbers(path: Path, numbers: dict[str, str]) -> None:
    """Replaces the numbers in the sheets of a workbook, as another program would have written them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name).decode() for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, re.sub(r"<v>\d+</v>", lambda cell: numbers.get(cell[0], cell[0]), text))


@pytest.mark.parametrize("digits", ["123456789012345{}", "1234567890123456{}0", "1.234567890123{}7E+16"])
def test_people_whose_numbers_differ_in_the_last_digits_stay_apart(tmp_path: Path, digits: str) -> None:
    people: list[list[object]] = [[7770 + n, n % 5] for n in range(6)]
    path = workbook(tmp_path / "long.xlsx", {"Data": [["respondent_id", "q"], *people]})
    numbers = {f"<v>{7770 + n}</v>": f"<v>{digits.format(n)}</v>" for n in range(6)}
    with_numbers(path, numbers)  # openpyxl itself writes no more than 16 digits
    found = suggest(read_table(path), "Long numbers")
    assert (found.participant, found.layout) == ("respondent_id", "wide")


def test_long_numbers_in_a_workbook_or_cut_short_in_a_text_get_a_warning_that_names_their_column(
    tmp_path: Path,
) -> None:
    book = workbook(tmp_path / "long.xlsx", {"Data": [["id", "q"], [10**16, 1], [10**16 + 2, 2]]})
    (tmp_path / "cut.csv").write_text("q,worker\n1,1.23457E+16\n2,1.23457E+16\n")
    (tmp_path / "fine.csv").write_text("id,q\n12345678901234567,1\n12345678901234568,1e3\n")
    assert "'id'" in " ".join(read_table(book).warnings)
    assert "'worker'" in " ".join(read_table(tmp_path / "cut.csv").warnings)
    assert not read_table(tmp_path / "fine.csv").warnings


def test_single_precision_numbers_read_as_they_were_typed_and_double_ones_keep_their_digits(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"dose": [0.1, 2.3, -7.7, 40.0], "exact": [0.1, 0.2, 7.123456789, 3.0]})
    single = frame.astype({"dose": "float32"})
    pyreadstat.write_dta(single, tmp_path / "stata.dta")
    pyreadstat.write_sav(single.astype("float64"), tmp_path / "through_spss.sav")
    for name in ("stata.dta", "through_spss.sav"):
        cells = read_table(tmp_path / name).frame
        assert cells["dose"].tolist() == ["0.1", "2.3", "-7.7", "40"]
        assert cells["exact"].tolist() == ["0.1", "0.2", "7.123456789", "3"]


def test_the_first_visible_sheet_is_read_and_a_hidden_one_where_no_other_has_rows(tmp_path: Path) -> None:
    rows: list[list[object]] = [["id", "q"], [1, 2], [2, 3]]
    sheets: dict[str, list[list[object]]] = {"meta": [["key", "value"], ["a", "b"]], "Data": rows}
    assert list(read_table(workbook(tmp_path / "a.xlsx", sheets, ("meta",))).frame) == ["id", "q"]
    assert list(read_table(workbook(tmp_path / "b.xlsx", sheets)).frame) == ["key", "value"]
    alone = workbook(tmp_path / "c.xlsx", {"Data": rows, "Empty": []}, ("Data",))
    assert list(read_table(alone).frame) == ["id", "q"]


@pytest.mark.parametrize(
    "first",
    ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "\ufeffsep=;\n"],
    ids=["plain", "capitals", "quoted", "mark"],
)
def test_a_first_line_that_names_the_separator_is_no_header(tmp_path: Path, first: str) -> None:
    (tmp_path / "data.csv").write_text(f"{first}id;q\n1;2,5\n2;3\n", encoding="utf-8")
    assert read_table(tmp_path / "data.csv").frame.to_dict("list") == {"id": ["1", "2"], "q": ["2.5", "3"]}


def test_lists_of_codes_in_a_file_with_semicolons_are_no_decimal_numbers(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("mean;ticks\n2,5;1,3\n-0,25;1,2,3\n4;2\n")
    cells = read_table(tmp_path / "data.csv").frame
    assert cells["mean"].tolist() == ["2.5", "-0.25", "4"]
    assert cells["ticks"].tolist() == ["1,3", "1,2,3", "2"]


@pytest.mark.parametrize(
    ("cells", "read"),
    [
        (["1,3", "2,4", "2"], ["1,3", "2,4", "2"]),  # may be lists
        (["1,3", "3,2"], ["1.3", "3.2"]),
        (["1,3", "0,5"], ["1.3", "0.5"]),
        (["1,3", "2,75", "1,50"], ["1.3", "2.75", "1.50"]),
        (["-1,3", "2,4"], ["-1.3", "2.4"]),
        (["1,3", "2,40"], ["1.3", "2.40"]),
        (["1,5", "2,5", "2", "4,5"], ["1.5", "2.5", "2", "4.5"]),
        (["2,5", "3"], ["2.5", "3"]),
        (["1,3", "1,2,3"], ["1,3", "1,2,3"]),
    ],
)
def test_decimal_commas_are_read_only_where_the_column_says_so(
    tmp_path: Path, cells: list[str], read: list[str]
) -> None:
    (tmp_path / "data.csv").write_text("id;q\n" + "".join(f"{n};{cell}\n" for n, cell in enumerate(cells)))
    table = read_table(tmp_path / "data.csv")
    assert table.frame["q"].tolist() == read
    assert any("may be decimal numbers or lists" in w for w in table.warnings) == (
        cells[0] == "1,3" and cells[1] == "2,4"
    )


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"**COMPRESSED** **COMPRESSED** **COMPRESSED**" + bytes(200), "SAS transport file"),
        (b"RDX3\nX\n" + bytes(200), "R file"),
        (b"SQLite format 3\0" + bytes(200), "SQLite"),
    ],
)
def test_a_file_of_another_program_is_named_with_what_to_save_it_as(
    tmp_path: Path, start: bytes, what: str
) -> None:
    (tmp_path / "data").write_bytes(start)
    with pytest.raises(UserError, match=rf"{what}.*; save it as CSV"):
        read_table(tmp_path / "data")


def test_bytes_with_zeros_here_and_there_are_no_text_in_utf_16(tmp_path: Path) -> None:
    noise = bytes((7 * n * n) % 251 for n in range(4096)) + b"\0" * 40 + b"abc\0\n" * 30
    (tmp_path / "data").write_bytes(b"MATLAB 5.0" + noise + b"\0")
    with pytest.raises(UserError, match="neither text nor a known data file"):
        read_table(tmp_path / "data")
    for encoding in ("utf-16-le", "utf-16-be"):
        (tmp_path / "data.csv").write_bytes("id,q\n1,été\n2,b\n".encode(encoding))
        assert read_table(tmp_path / "data.csv").frame["q"].tolist() == ["été", "b"]


def test_texts_in_another_encoding_than_an_spss_file_declares_are_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "old.sav"
    labels: dict[str, dict[float, str]] = {"q": {1.0: "trXs tXt", 2.0: "jamais"}}
    pyreadstat.write_sav(
        pd.DataFrame({"q": [1.0, 2.0]}), path, column_labels=["TrXs souvent"], variable_value_labels=labels
    )
    path.write_bytes(path.read_bytes().replace(b"X", b"\xe8"))
    table = read_table(path)
    assert table.labels == {"q": "Très souvent"}
    assert table.value_labels == {"q": {"1": "très tèt", "2": "jamais"}}
    assert "encoding" in " ".join(table.warnings)


def test_labels_of_codes_that_the_file_declares_missing_are_no_options(tmp_path: Path) -> None:
    frame = pd.DataFrame({"q": [1.0, 2.0, 3.0, 99.0, -5.0, 8.0, 2.0]})
    labels: dict[float, str] = {
        1: "Never",
        2: "Rarely",
        3: "Always",
        8: "other",
        98: "n.a.",
        99: "?",
        -5: "split",
    }
    pyreadstat.write_sav(
        frame,
        tmp_path / "q.sav",
        variable_value_labels={"q": labels},
        missing_ranges={"q": [{"lo": 90, "hi": 99}, -5]},
    )
    table = read_table(tmp_path / "q.sav")
    assert table.value_labels["q"] == {"1": "Never", "2": "Rarely", "3": "Always", "8": "other"}
    assert table.frame["q"].dropna().tolist() == ["1", "2", "3", "8", "2"]
