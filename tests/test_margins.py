"""Populations to stand a study's people beside: files that are read, refused, compared."""

from pathlib import Path

import pandas as pd
import pytest

from socrates_core.errors import UserError
from socrates_core.populations import margins
from socrates_core.records import DEMOGRAPHICS
from tests.support.margins import SHARES

YAML = "gender: {Female: 0.51, Male: 0.49}\nage: {18-34: 30, 35+: 70}\n"


def test_a_population_is_the_same_from_csv_and_yaml(home: Path) -> None:
    kept = [
        margins.keep_margins("us csv.csv", SHARES.encode()),
        margins.keep_margins("us yaml.yml", YAML.encode()),
    ]
    told = [margins.read_margins(margins.margin_files()[name]) for name in kept]
    assert told[0] == told[1]
    assert told[0]["gender"]["Female"] == pytest.approx(0.51) and told[0]["age"]["35+"] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1,2\n", "lacks the column 'field'"),
        ("field,category,share\n", "no rows"),
        ("field,category,share\nage,18+,none\n", "'none' is no share"),
        ("field,category,share\nage,18+,nan\n", "no number from 0 up"),
        ("field,category,share\nage,18+,0.5\n", "sum to 0.5"),
        ("field,category,share\nshoes,red,1\n", "no demographic field 'shoes'"),
    ],
)
def test_a_population_that_cannot_be_is_refused_with_a_sentence(home: Path, text: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        margins.keep_margins("mine.csv", text.encode())
    assert margins.margin_files() == {}


def test_a_populations_name_stays_in_its_folder(home: Path) -> None:
    assert margins.keep_margins("../../<b>evil.csv", SHARES.encode()) not in ("", ".", "..")
    (file,) = margins.margin_files().values()
    assert file.parent == home / "margins"


def test_shares_are_compared_as_worked_by_hand() -> None:
    people = pd.DataFrame({field: [None] * 5 for field in DEMOGRAPHICS})
    genders = pd.Series(["Female"] * 3 + ["Male", None], dtype=object)
    people = people.assign(gender=genders, age=pd.Series([20, 34, 35, 90, None], dtype="Int64"))
    gender, age = margins.compare(
        people, {"gender": {"Female": 0.5, "Male": 0.5}, "age": {"18-34": 0.4, "35+": 0.6}}
    )
    assert gender.rows["share"].tolist() == [0.75, 0.25] and gender.distance == 0.25 and gender.n_missing == 1
    assert age.rows["n"].tolist() == [2, 2] and age.distance == pytest.approx(0.1)
