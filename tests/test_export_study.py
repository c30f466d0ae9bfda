"""Studies as files for colleagues: SocSci210's columns, labelled SPSS and Stata files, a codebook."""

import json
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pyreadstat
import pytest

from socrates_core.cli.exports import export
from socrates_core.corpus import Corpus, open_corpus
from socrates_core.corpus.export import PERSON, export_corpus, export_study
from socrates_core.corpus.labelled import read_responses
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study
from socrates_core.importing.mapping import mapping_from_dict
from socrates_core.importing.table import Table
from socrates_core.prompts import render_prompt
from socrates_core.spreadsheets import csv_text
from tests.support.small_corpora import small_corpus, two_arms

COLUMNS = [
    "sample_id",
    "participant",
    "demographic",
    "stimuli",
    "response",
    "condition_num",
    "task_num",
    "prompt",
    "reasoning",
    "study_id",
]


@pytest.fixture
def small(home: Path) -> Corpus:
    """Two conditions; an agreement of two labels with a refusal code, and a number whose scale differs."""
    cells = {
        "id": ["1", "2", "3", "4"],
        "arm": ["a", "a", "b", "b"],
        "sex": ["Female", None, "Male", "Male"],
        "age": ["30", "41", None, "52"],
        "q": ["1", "2", "2", "99"],
        "n": ["0", "3", "4", "2"],
    }
    mapping = mapping_from_dict(
        {
            "study": {"study_id": "small", "title": "A small study", "source": "Us (2026)", "reference": "A"},
            "participant": "id",
            "demographics": {"gender": {"column": "sex"}, "age": {"column": "age"}},
            "conditions": [
                {"name": "A", "text": 'Text, with "quotes"\nand a line.', "when": {"arm": "a"}},
                {"name": "B", "text": "=2+2", "when": {"arm": "b"}},
            ],
            "outcomes": [
                {
                    "name": "Agreement!",
                    "question": "Do you agree?",
                    "column": "q",
                    "scale": "Only return 1 for No or 2 for Yes, nothing else.",
                },
                {
                    "name": "How many",
                    "question": "How many?",
                    "column": "n",
                    "scale": "Only return an integer from 0 to 4, nothing else.",
                    "scale_by_condition": {"A": "Only return an integer from 0 to 3, nothing else."},
                },
            ],
        },
        "the mapping",
    )
    frame = pd.DataFrame({name: pd.Series(column, dtype="str") for name, column in cells.items()})
    return open_corpus(import_study(Table(frame), mapping))


def test_parquet_has_the_columns_and_types_of_socsci210(small: Corpus, tmp_path: Path) -> None:
    export_study(small, "small", "parquet", tmp_path / "small.parquet")
    schema = pq.read_schema(tmp_path / "small.parquet")
    assert schema.names == COLUMNS
    assert schema.field("demographic").type == PERSON and str(schema.field("response").type) == "int64"
    rows = pd.read_parquet(tmp_path / "small.parquet")
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in small.stimuli("small")}
    stored = read_responses(small, "small")
    assert (
        rows[["sample_id", "participant", "response"]]
        .astype(float)
        .equals(stored[["sample_id", "participant", "response"]].astype(float))
    )
    for row, number in zip(rows.to_dict("records"), stored["stimulus_id"], strict=True):
        stimulus = stimuli[int(number)]
        assert (row["condition_num"], row["task_num"]) == (stimulus.condition_num, stimulus.task_num)
        person = small.participant("small", int(row["participant"])).demographics
        assert row["stimuli"] == stimulus.stimulus
        assert row["prompt"] == render_prompt(person, stimulus.stimulus).user


def test_csv_holds_the_same_rows_with_people_as_json(small: Corpus, tmp_path: Path) -> None:
    export_study(small, "small", "parquet", tmp_path / "small.parquet")
    export_study(small, "small", "csv", tmp_path / "small.csv")
    rows, parquet = pd.read_csv(tmp_path / "small.csv"), pd.read_parquet(tmp_path / "small.parquet")
    same = [name for name in COLUMNS if name not in ("demographic", "reasoning")]
    pd.testing.assert_frame_equal(rows[same], parquet[same], check_dtype=False)
    assert [json.loads(text) for text in rows["demographic"]] == [
        {k: None if pd.isna(v) else v for k, v in person.items()} for person in parquet["demographic"]
    ]


@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_labelled_files_carry_questions_labels_and_missing_codes(
    kind: str, small: Corpus, tmp_path: Path
) -> None:
    export_study(small, "small", kind, tmp_path / f"small.{kind}")
    read = pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta
    frame, about = read(tmp_path / f"small.{kind}")
    assert list(frame) == ["participant", "condition", "age", "gender", "agreement", "how_many"]
    assert about.column_names_to_labels["agreement"] == "Do you agree?"
    assert about.variable_value_labels == {"condition": {0: "A", 1: "B"}, "agreement": {1: "No", 2: "Yes"}}
    assert frame["how_many"].tolist() == [0, 3, 4, 2]
    assert frame["agreement"].isna().tolist() == [False, False, False, kind == "sav"]
    if kind == "sav":
        raw, told = pyreadstat.read_sav(tmp_path / "small.sav", user_missing=True)
        assert raw["agreement"].tolist() == [1, 2, 2, 99]
        assert told.missing_ranges == {"agreement": [{"lo": 99, "hi": 99}]}


@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_names_that_stata_or_spss_keep_for_themselves_or_the_file_has_anyway_are_changed(
    kind: str, home: Path, tmp_path: Path
) -> None:
    names = ["if", "With", "str5", "byte", "and", "age", "condition", "fine"]
    cells = {"id": ["1", "2"], "years": ["30", "41"], **{name: ["1", "2"] for name in names}}
    scale = "Only return 1 for No or 2 for Yes, nothing else."
    mapping = mapping_from_dict(
        {
            "study": {"study_id": "words", "title": "Words"},
            "participant": "id",
            "demographics": {"age": {"column": "years"}},
            "conditions": [{"name": "Everyone"}],
            "outcomes": [{"name": name, "question": "Ok?", "column": name, "scale": scale} for name in names],
        },
        "the mapping",
    )
    frame = pd.DataFrame({name: pd.Series(column, dtype="str") for name, column in cells.items()})
    corpus = open_corpus(import_study(Table(frame), mapping))
    export_study(corpus, "words", kind, tmp_path / f"words.{kind}")
    written, _ = (pyreadstat.read_sav if kind == "sav" else pyreadstat.read_dta)(tmp_path / f"words.{kind}")
    assert list(written)[2:] == [
        "age",
        "if_",
        "with_",
        "str5_",
        "byte_",
        "and_",
        "age_2_",
        "condition_2_",
        "fine",
    ]
    assert written["if_"].tolist() == [1, 2] and written["age"].tolist() == [30, 41]


def test_the_codebook_tells_source_texts_scales_and_codes(small: Corpus, tmp_path: Path) -> None:
    codebook = export_study(small, "small", "sav", tmp_path / "small.sav").read_text()
    for told in (
        "A small study",
        "Us (2026)",
        "- 1 = B: =2+2",
        "`agreement`, Agreement!: Do you agree?",
        "scale: 1 to 2: 1 = No; 2 = Yes",
        "answered but off the scale: 99",
        "scale in condition 0: 0 to 3",
        "scale in condition 1: 0 to 4",
    ):
        assert told in codebook


def test_a_whole_corpus_is_one_file_or_a_file_a_study(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SOCRATES_HOME", str(prepared))
    starter = open_corpus("starter")
    chosen = ["framing", "weather"]
    export_corpus(starter, "parquet", tmp_path / "all.parquet", chosen)
    rows = pd.read_parquet(tmp_path / "all.parquet", columns=["study_id", "response"])
    assert rows.groupby("study_id").size().to_dict() == {
        name: starter.study(name).n_responses for name in chosen
    }
    assert rows["response"].dtype == "float64"  # limits of a probability, averaged: not whole
    export_corpus(starter, "sav", tmp_path / "all", chosen)
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "framing.codebook.md",
        "framing.sav",
        "weather.codebook.md",
        "weather.sav",
    ]


def test_the_command_tells_the_kind_by_the_name_and_refuses_others(small: Corpus, tmp_path: Path) -> None:
    export(tmp_path / "x.dta", study_id="small", corpus="", kind="")
    assert (tmp_path / "x.codebook.md").exists()
    with pytest.raises(UserError, match=r"no file kind 'xlsx'\. Known: parquet, csv, sav, dta"):
        export(tmp_path / "x.xlsx", study_id="small", corpus="", kind="")
    with pytest.raises(UserError, match="Say what to write"):
        export(tmp_path / "x.csv", study_id="", corpus="", kind="")
    assert not (tmp_path / "x.xlsx").exists()


def test_a_text_that_a_spreadsheet_would_run_stays_a_text_in_every_csv(home: Path, tmp_path: Path) -> None:
    formula = '=HYPERLINK("http://evil.invalid","x")'
    rows = [{**row, "text": formula, "question": "+1"} for row in two_arms(4)]
    small_corpus("mine", rows, title=formula)
    export_study(open_corpus("mine"), "one", "csv", tmp_path / "one.csv")
    told = pd.read_csv(tmp_path / "one.csv")
    assert set(told["stimuli"]) == {f"'{formula} +1"} and set(told["response"]) <= set(range(1, 8))
    table = pd.DataFrame({"@SUM(1)": ["-2+3", "plain", None], "n": [-1.5, 2.0, float("nan")]})
    assert csv_text(table) == '"\'@SUM(1)","n"\n"\'-2+3","-1.5"\n"plain","2.0"\n"",""\n'
