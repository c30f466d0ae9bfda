"""Exports a study or a corpus for colleagues: SocSci210's columns as Parquet or CSV, or a labelled SPSS or Stata file.

Every file comes with its codebook, `<name>.codebook.md`.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from socrates_core.corpus.codebook import render_codebook
from socrates_core.corpus.labelled import read_responses, write_labelled
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.tables import WHOLE_NUMBERS
from socrates_core.errors import unknown
from socrates_core.files import replacing, write_text
from socrates_core.prompts import render_prompt
from socrates_core.records import DEMOGRAPHICS
from socrates_core.spreadsheets import csv_text

Kind = Literal["parquet", "csv", "sav", "dta"]
KINDS: tuple[Kind, ...] = ("parquet", "csv", "sav", "dta")
PERSON = pa.struct([(name, pa.int64() if name in WHOLE_NUMBERS else pa.string()) for name in DEMOGRAPHICS])


def export_study(corpus: Corpus, study_id: str, kind: str, path: Path) -> Path:
    """Writes a study to `path` and its codebook next to it; returns the codebook's path.

    Raises UserError for an unknown study or kind, or if the files cannot be written.
    """
    if kind in ("sav", "dta"):
        write_labelled(corpus, study_id, kind, path)
        return _write_codebook(corpus, [study_id], kind, path)
    return export_corpus(corpus, kind, path, [study_id])


def export_corpus(corpus: Corpus, kind: str, path: Path, study_ids: Sequence[str] | None = None) -> Path:
    """Writes some studies (all by default) to `path`, with one codebook; returns the codebook's path.

    For the kinds sav and dta, `path` is a folder that gets a file and a codebook for each study, since their variables
    differ; it is returned. Raises UserError for an unknown study or kind, or if the files cannot be written.
    """
    if kind not in KINDS:
        raise unknown("file kind", kind, KINDS)
    chosen = [corpus.study(study).study_id for study in study_ids or corpus.study_ids()]
    if kind in ("sav", "dta"):
        for study in chosen:
            export_study(corpus, study, kind, path / f"{study}.{kind}")
        return path
    write = _write_parquet if kind == "parquet" else _write_csv
    with replacing(path) as aside:
        write(aside, (study_rows(corpus, study) for study in chosen), _whole(corpus, chosen))
    return _write_codebook(corpus, chosen, kind, path)


def study_rows(corpus: Corpus, study_id: str) -> pd.DataFrame:
    """A study in SocSci210's columns, a row for each answer as observed; `demographic` is a dict with None if unknown.

    `prompt` is the user text that a model gets; `reasoning` is missing.
    """
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study_id)}
    people = _people(corpus, study_id)
    rows = read_responses(corpus, study_id)
    profiles = rows["participant"].map(people)
    texts = [stimuli[number].stimulus for number in rows["stimulus_id"]]
    prompts = [
        render_prompt({key: value for key, value in person.items() if value is not None}, text).user
        for person, text in zip(profiles, texts, strict=True)
    ]
    return pd.DataFrame(
        {
            "sample_id": rows["sample_id"],
            "participant": rows["participant"],
            "demographic": profiles,
            "stimuli": texts,
            "response": rows["response"],
            "condition_num": [stimuli[number].condition_num for number in rows["stimulus_id"]],
            "task_num": [stimuli[number].task_num for number in rows["stimulus_id"]],
            "prompt": prompts,
            "reasoning": None,
            "study_id": study_id,
        }
    )


def _people(corpus: Corpus, study_id: str) -> dict[int, dict[str, Any]]:
    frame = corpus.participants([study_id]).astype(object)
    fields = frame[list(DEMOGRAPHICS)].where(frame[list(DEMOGRAPHICS)].notna(), None).to_dict("records")
    return dict(zip(frame["participant"], fields, strict=True))


def _whole(corpus: Corpus, study_ids: Sequence[str]) -> bool:
    """Whether every answer is a whole number, as SocSci210's are."""
    chosen = [("study_id", "in", list(study_ids))]
    file = pq.read_table(corpus.path / "responses.parquet", columns=["response"], filters=chosen)
    answers = file["response"].to_numpy()
    return bool((answers == answers.round()).all())


def _write_parquet(path: Path, studies: Iterator[pd.DataFrame], whole: bool) -> None:
    number, text = pa.int64(), pa.string()
    schema = pa.schema(
        [
            ("sample_id", number),
            ("participant", number),
            ("demographic", PERSON),
            ("stimuli", text),
            ("response", number if whole else pa.float64()),
            ("condition_num", number),
            ("task_num", number),
            ("prompt", text),
            ("reasoning", text),
            ("study_id", text),
        ]
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for rows in studies:
            file.write_table(pa.Table.from_pandas(rows, schema=schema, preserve_index=False))


def _write_csv(path: Path, studies: Iterator[pd.DataFrame], whole: bool) -> None:
    """In a CSV file `demographic` is JSON text, and texts that a spreadsheet would run get an apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for number, rows in enumerate(studies):
            people = rows["demographic"].map(lambda person: json.dumps(person, ensure_ascii=False))
            response = rows["response"].astype("int64") if whole else rows["response"]
            file.write(csv_text(rows.assign(demographic=people, response=response), header=not number))


def _write_codebook(corpus: Corpus, study_ids: Sequence[str], kind: str, path: Path) -> Path:
    codebook = path.with_name(f"{path.stem}.codebook.md")
    write_text(codebook, render_codebook(corpus, study_ids, wide=kind in ("sav", "dta")))
    return codebook
