"""Tables that a spreadsheet opens hold no formula: read by LibreOffice itself, in comma and in semicolon countries."""

import csv
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from socrates_core.importing.read_table import read_table
from socrates_core.spreadsheets import csv_text, guarded, unguarded_text
from tests.support.waiting import PATIENCE

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\u00a0=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    "\u2028=1+1",
    "\u202e=1+1",
    "\u3000=1+1",
    "\uff1d1+1",
    "\uff0b1+1",
    "\uff0d1+1",
    "\uff20SUM(1)",
    "\ufe661+1",
    "safe\r=1+1",
    "safe\n=1+1",
    "safe\r\n =1+1",
    'safe"\n"=1+1',
    "x;=1+1",
    ";=1",
    "x; \uff1d1+1",
    "x\t=1+1",
    '=HYPERLINK("http://localhost/?"&A1,"more")',
    "=cmd|' /C calc'!A0",
    'x;=HYPERLINK("a")',
    "a\n- cmd|' /C calc'!A0",
    "a; + SUM(1)",
]
HARMLESS = [
    "plain",
    "a = b",
    "1-2",
    "5 - 7",
    "e-mail",
    "",
    "O'Neill",
    'say "so"',
    "two\nlines",
    "a; b",
    "50% + more",
    "You are\n- Age: 30\n- Gender: Female",
]


def test_every_cell_is_quoted_and_reads_as_one_row_whatever_breaks_lines() -> None:
    text = csv_text(pd.DataFrame({"text": [*FORMULAS, *HARMLESS], "n": range(len(FORMULAS) + len(HARMLESS))}))
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == ["text", "n"] and [int(n) for _, n in rows] == list(range(len(rows)))
    assert [cell for cell, _ in rows[len(FORMULAS) :]] == HARMLESS
    assert text.count('"') >= 4 * len(rows)


@given(
    st.lists(
        st.sampled_from(["'", "=", "-", "- ", "+", "@", "x", ";", "\t", "\n", " ", "\u00a0", "a: 1", "("])
    )
)
def test_every_guarded_text_reads_back_as_it_was(parts: list[str]) -> None:
    text = "".join(parts)
    assert unguarded_text(guarded(pd.DataFrame({"t": [text]}))["t"][0]) == text


def test_texts_that_a_spreadsheet_would_run_come_back_from_an_export(tmp_path: Path) -> None:
    texts = ["-5", "=1+1", "+1 for it", "@home", "'=quoted", "- Age: 30", "x;=1", "O'Neill", "'tis"]
    (tmp_path / "out.csv").write_text(csv_text(pd.DataFrame({"=text": texts, "n": range(len(texts))})))
    back = read_table(tmp_path / "out.csv").frame
    assert list(back) == ["=text", "n"] and back["=text"].tolist() == texts


def test_two_columns_of_one_name_names_of_several_levels_lists_and_numbers() -> None:
    twice = pd.DataFrame([["=1", "=2", -1.5, None]], columns=["=a", "=a", "n", "missing"])
    assert csv_text(twice) == '"\'=a","\'=a","n","missing"\n"\'=1","\'=2","-1.5",""\n'
    levels = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("=a", "b"), ("c", "@d")]))
    assert [*guarded(levels)] == [("'=a", "b"), ("c", "'@d")]
    listed = guarded(pd.DataFrame({"cell": [["=1"], ("x;=1",), {"=a": 1}]}))["cell"]
    assert listed.tolist() == ["['=1']", "('x;'=1',)", "{'=a': 1}"]
    kinds = pd.Categorical(["=1", "b"])
    assert guarded(pd.DataFrame({"kind": kinds}))["kind"].tolist() == ["'=1", "b"]
    numbers = pd.DataFrame(
        {"n": np.array([-1.0, np.nan, 1e300]), "i": pd.array([1, None, -2], dtype="Int64")}
    )
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv_text(numbers))), numbers.astype(float))
    assert csv_text(pd.DataFrame()) == "\n" or csv_text(pd.DataFrame()) == '""\n'


@pytest.mark.office
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_libreoffice_finds_no_formula_in_a_table_whatever_its_list_separator(
    tmp_path: Path, separator: str
) -> None:
    assert SOFFICE, "LibreOffice is missing; tests/libreoffice.sh installs it"
    texts = [*FORMULAS, *HARMLESS]
    table = pd.DataFrame({f"={n}": texts[n:] + texts[:n] for n in range(3)} | {"number": range(len(texts))})
    unguarded = table.to_csv(index=False)
    assert "table:formula" in opened(tmp_path / "raw.csv", unguarded, separator)  # the proof can fail
    assert "table:formula" not in opened(tmp_path / "safe.csv", csv_text(table), separator)


def opened(path: Path, text: str, separator: str) -> str:
    """What LibreOffice has in its cells, as the XML of an OpenDocument table, formulas of texts being evaluated."""
    path.write_text(text, encoding="utf-8", newline="")
    filter_options = (
        f"{ord(separator)},34,76,1,,0,false,true,false,false,false,-1,true"  # the last: read formulas
    )
    subprocess.run(
        [
            str(SOFFICE),
            f"-env:UserInstallation={(path.parent / 'profile').as_uri()}",
            "--headless",
            f"--infilter=CSV:{filter_options}",
            "--convert-to",
            "ods",
            "--outdir",
            str(path.parent),
            str(path),
        ],
        check=True,
        capture_output=True,
        timeout=PATIENCE,
    )
    with zipfile.ZipFile(path.with_suffix(".ods")) as archive:
        return archive.read("content.xml").decode()
