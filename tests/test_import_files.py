"""Hostile files: a sentence, no crash, nothing half-read."""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from socrates_core.errors import UserError
from socrates_core.importing.build import preview
from socrates_core.importing.mapping import render_mapping
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest
from socrates_core.importing.table import MAX_BYTES


def written(folder: Path, content: bytes | str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read_table(path)
    return str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_text_in_any_usual_encoding_is_read(encoding: str, tmp_path: Path) -> None:
    found = read_table(written(tmp_path, "né;wert\nÄrger;3,5\nb;NA\n".encode(encoding)))
    assert list(found.frame) == ["né", "wert"]
    assert found.frame.iloc[0].tolist() == ["Ärger", "3.5"]
    assert found.frame["wert"].isna().tolist() == [False, True]
    assert bool(found.warnings) == (encoding == "cp1252")


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_the_separator_is_found(separator: str, tmp_path: Path) -> None:
    text = '"a, b"?c\n"1;2|3"?4\n'.replace("?", separator)
    assert read_table(written(tmp_path, text, "x.bin")).frame.shape == (1, 2)


def test_repeated_and_missing_column_names_are_made_unique_and_said(tmp_path: Path) -> None:
    found = read_table(written(tmp_path, "a,a,,a\n1,2,3,4\n"))
    assert list(found.frame) == ["a", "a (2)", "column 3", "a (3)"]
    assert len(found.warnings) == 2


def test_formulas_stay_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": ["=1+1", '=HYPERLINK("http://x")'], "b": [1, 2.5]})
    frame.to_csv(tmp_path / "x.csv", index=False)
    frame.to_excel(tmp_path / "x.xlsx", index=False)
    for name in ("x.csv", "x.xlsx"):
        found = read_table(tmp_path / name)
        assert found.frame["a"].tolist() == frame["a"].tolist()
        assert found.frame["b"].tolist() == ["1", "2.5"]
    assert any("formulas" in warning for warning in found.warnings)


def test_a_workbook_that_unpacks_to_too_much_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(60):
                sheet.write(b"0" * 10_000_000)
    assert path.stat().st_size < 1_000_000
    assert "unpacks to 600 MB" in refused(path)


def test_a_workbook_whose_xml_grows_without_end_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_excel(tmp_path / "good.xlsx", index=False)
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "0123456789">{entities}]><x>&e11;</x>'
    with zipfile.ZipFile(tmp_path / "good.xlsx") as good, zipfile.ZipFile(tmp_path / "bad.xlsx", "w") as bad:
        for member in good.infolist():
            replaced = "sheet1" in member.filename or "sharedStrings" in member.filename
            bad.writestr(member, bomb if replaced else good.read(member))
    assert refused(tmp_path / "bad.xlsx")


def test_a_cell_at_the_far_end_of_a_sheet_costs_a_sentence(tmp_path: Path) -> None:
    from openpyxl import Workbook

    workbook = Workbook()
    workbook.active["A1"] = "a"
    workbook.active["XFD1048576"] = 1
    workbook.save(tmp_path / "far.xlsx")
    assert "16,384 columns" in refused(tmp_path / "far.xlsx")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"   \n ", "is empty"),
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2,3\n", "Expected 2 fields"),
        (b'a,b\n"1,2\n3,4\n', "quotation mark"),
        (bytes(range(256)) * 20, "neither text nor a known data file"),
        (b"PK\x03\x04 no archive", "damaged"),
        (b"$FL2@(#) nothing", "damaged"),
        (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!" + b"\0 " * 200, "damaged"),
        (bytes(12) + b"\xc2\xea\x81\x60\xb3\x14\x11\xcf\xbd\x92\x08\x00" + bytes(300), "damaged"),
        (b"ASCII SPSS PORT FILE" * 30, "damaged"),
        (b"<stata_dta>", "damaged"),
        (b"\xd0\xcf\x11\xe0old", "save it as .xlsx"),
        (b"PAR1", "Parquet"),
        (b"%PDF-1.7", "PDF"),
        (b"r\x01\x01\x00", "damaged"),
        (b"PK\x05\x06" + b"\0" * 18, "not an Excel workbook"),
        (b"a" * 1_200_000, "longer than a million"),
        (b",".join(b"c%d" % n for n in range(6000)) + b"\n1\n", "6,000 columns"),
        (b",".join(b"c%d" % n for n in range(4000)) + b"\n1" * 30_000, "At most 100,000,000 cells"),
        (b"a,b\n" + b"x" * 200_000 + b",1\n", "200,000 characters"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    assert sentence in refused(written(tmp_path, content))


def test_a_file_beyond_500_mb_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n")
        file.truncate(MAX_BYTES + 1)
    assert "At most 500 MB" in refused(path)


@pytest.mark.parametrize("kind", ["dta", "sav", "xlsx"])
def test_damaged_files_are_refused_or_read_but_never_crash(kind: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(30), "q": [1.0, 7.0, 3.0] * 10, "t": ["word"] * 30})
    good = tmp_path / f"good.{kind}"
    if kind == "xlsx":
        frame.to_excel(good, index=False)
    else:
        (pyreadstat.write_sav if kind == "sav" else pyreadstat.write_dta)(frame, good)
    content, random = good.read_bytes(), np.random.default_rng(0)
    for trial in range(60 if kind == "xlsx" else 2):
        broken = bytearray(content[: random.integers(10, len(content))] if trial % 3 == 0 else content)
        for place in random.integers(4, len(broken), 5):
            broken[place] = random.integers(256)
        try:
            read_table(written(tmp_path, bytes(broken), f"bad.{kind}"))
        except UserError as error:
            assert "bad" in str(error) or "cell" in str(error) or "columns" in str(error)


def test_a_file_that_ends_its_reader_ends_no_other_process(tmp_path: Path) -> None:
    """The labels claim to belong to a variable far outside the file, which the C library follows."""
    good = tmp_path / "good.sav"
    frame = pd.DataFrame({"p": [1.0], "q": [7.0]})
    pyreadstat.write_sav(frame, good, variable_value_labels={"q": {1: "a", 7: "b"}})
    target = b"\x04\0\0\0\x01\0\0\0\x02\0\0\0"
    content = good.read_bytes()
    assert content.count(target) == 1
    assert "damaged" in refused(written(tmp_path, content.replace(target, target[:-1] + b"\x45"), "bad.sav"))


def test_a_column_of_different_texts_is_neither_listed_nor_read_as_answers(tmp_path: Path) -> None:
    n = 100_000
    lines = "\n".join(f"p{i},{'ab'[i % 2]},{i % 7 + 1},free text {i}" for i in range(n))
    found = read_table(written(tmp_path, f"id,arm,q,words\n{lines}\n"))
    suggested = suggest(found, "Large")
    assert len(render_mapping(suggested)) < 3_000 and suggested.participant == "id"
    outcome = suggested.outcomes[0].model_copy(update={"question": "?", "column": "words"})
    seen = preview(found, suggested.model_copy(update={"outcomes": (outcome,)}))
    assert "No answers are left" in seen.problems[0]
