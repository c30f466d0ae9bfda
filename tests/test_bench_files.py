"""The trial of a folder of files finds wrong counts, names refusals, and pairs a survey with its responses."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.files import Trial, attempt, differences, pairs, summary


def test_a_table_is_imported_and_its_counts_are_those_of_pandas(home: Path, tmp_path: Path) -> None:
    rows = "".join(f"{n},{'ab'[n % 2]},{n % 5 + 1},{1_000_000 + n}\n" for n in range(40))
    (tmp_path / "data.csv").write_text("id,arm,q,amount\n" + rows)
    trial = attempt([tmp_path / "data.csv"])
    assert (trial.state, trial.people, trial.outcomes, trial.cells) == ("asked", 40, 2, 4)
    assert trial.differing == [] and trial.source == "pandas, 4 of 4 columns"


def test_a_refusal_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n1,2,3\n")
    trial = attempt([tmp_path / "data.csv"])
    assert trial.state == "refused" and "as many cells as the first one" in trial.sentence


def test_a_cell_with_other_counts_differs() -> None:
    scale = {"kind": "range", "low": 1, "high": 5, "step": 1, "labels": {}}
    cell = {
        "condition": "a",
        "outcome": "q",
        "n": 3,
        "n_off_scale": 1,
        "counts": {"1": 2, "5": 1},
        "scale": scale,
    }
    counts = {("a", "q"): Counter({1.0: 2, 5.0: 1, 9.0: 1})}
    assert differences(counts, [cell]) == []
    assert differences({("a", "q"): Counter({1.0: 1, 5.0: 2, 9.0: 1})}, [cell])
    assert differences({("a", "q"): Counter({1.0: 2})}, [cell]) == ["('a', 'q'): 4 answers, counted 2"]
    assert differences({**counts, ("b", "q"): Counter({1.0: 2})}, [cell]) == [
        "('b', 'q'): no cell, counted 2"
    ]


def test_a_survey_is_paired_with_the_responses_whose_name_is_most_alike(tmp_path: Path) -> None:
    for name in ("fees.qsf", "fees_responses.csv", "jobs_responses.csv", "notes.md"):
        (tmp_path / name).write_text("x")
    names = [[path.name for path in files] for files in pairs(tmp_path)]
    assert names == [["fees_responses.csv"], ["jobs_responses.csv"], ["fees.qsf", "fees_responses.csv"]]
    assert "2 files: 1 imported, 0 asked, 0 refused, 1 crashed" in summary([Trial([], "imported"), Trial([])])


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_file_is_read_again_by_pandas(home: Path, tmp_path: Path, kind: str) -> None:
    frame = pd.DataFrame({"id": range(30), "q": [n % 7 + 1 for n in range(30)]})
    path = tmp_path / f"data.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_excel(path, index=False)
    trial = attempt([path])
    assert trial.differing == [] and trial.source.startswith("pandas")
