"""The metrics command: every score that a file of answers and drawn predictions can tell, or a sentence."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import wasserstein_distance

from socrates_core.cli.metrics import metrics
from socrates_core.errors import UserError
from tests.support.commands import command

# Two cells of one outcome on 1..5. Cell 0: people 2, 4, 4; predictions 2, 3, 9. Cell 1: people 1, 3; predictions 3, 3.
ROWS = {
    "study_id": ["abcde"] * 6,
    "condition_num": [0, 0, 0, 1, 1, 1],
    "task_num": [1] * 6,
    "human": [2, 4, 4, 1, 3, 2],
    "predicted": [2.0, 3, 9, 3, 3, None],
    "low": [1] * 6,
    "high": [5] * 6,
}


def written(folder: Path, **changes: Any) -> Path:
    columns = {name: value for name, value in {**ROWS, **changes}.items() if value is not None}
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "rows.parquet"


def scored(path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    metrics(path, as_json=True)
    return json.loads(capsys.readouterr().out)


def test_the_command_scores_a_file_as_worked_out_by_hand(tmp_path: Path) -> None:
    found = json.loads(command("metrics", str(written(tmp_path)), "--json"))
    # observed: cell 0 on 2..4 has people 0, 1, 1 and predictions 0, .5, 1: W 1/6; cell 1 on 1..3 0, 1 and 1, 1: W 1/2
    assert found["wasserstein_observed"] == pytest.approx((1 / 6 + 1 / 2) / 2)
    # stated: W 1 of 3 people times (|3 - 4| + |5 - 4|) of 4, and 1 of 2 people times 2 of 4
    assert found["wasserstein_stated"] == pytest.approx((2 / 3 / 4 + 1 / 4) / 2)
    # draws: 1 - (0 + 1 + 5)/3/2 = 0 and 1 - (2 + 0)/2/2 = 1/2; clipped: 1 - (0 + 1 + 0)/3/2
    assert found["accuracy_draw"] == pytest.approx(0.25)
    assert found["accuracy_draw_clipped"] == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert {name: found[name] for name in ("n_studies", "n_cells", "n_skipped", "n_rows", "n_dropped")} == {
        "n_studies": 1,
        "n_cells": 2,
        "n_skipped": 0,
        "n_rows": 5,
        "n_dropped": 1,
    }
    assert (found["n_rows_stated"], found["n_dropped_stated"], found["n_answers"]) == (5, 1, 6)
    assert found["share_valid"] == pytest.approx(5 / 6)
    # spreads: cell 0 has predictions 2, 3, 9 and people 2, 4, 4; cell 1 has 3, 3
    assert found["sd_ratio"] == pytest.approx(np.std([2, 3, 9]) / np.std([2, 4, 4]) / 2)
    assert all(0 < found["baselines"][name] < 1 for name in ("uniform", "condition_blind"))
    # people are 2 - 10/3 apart, predictions 3 - (2 + 3 + 5)/3: the one difference has the same sign
    assert (found["effects"]["n_effects"], found["effects"]["sign"]["value"]) == (1, 1)
    assert "wasserstein_observed" in command("metrics", str(tmp_path / "rows.parquet"))


def test_scores_are_the_oracles_over_studies_in_the_papers_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(8)
    rows = pd.DataFrame(
        {
            "study_id": random.choice(["a", "b", "c"], 600, p=[0.6, 0.3, 0.1]),
            "condition_num": random.integers(2, size=600),
            "task_num": random.integers(3, size=600),
            "human": random.integers(1, 8, 600),
            "predicted": random.integers(0, 12, 600),
            "low": 1,
            "high": 7,
        }
    )
    cells = rows.groupby(["study_id", "condition_num", "task_num"])
    expected = cells.apply(
        lambda cell: wasserstein_distance((cell.human - 1) / 6, (cell.predicted.clip(1, 7) - 1) / 6)
    )
    path = tmp_path / "rows.parquet"
    rows.sample(frac=1, random_state=1).to_parquet(path)
    found = scored(path, capsys)
    assert found["wasserstein_stated"] == pytest.approx(expected.groupby("study_id").mean().mean(), abs=1e-9)
    rows.to_parquet(path)
    again = scored(path, capsys)
    assert again == found


def test_without_ends_of_the_scale_there_is_no_stated_distance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scored(written(tmp_path, low=None, high=None), capsys)
    assert found["wasserstein_stated"] is None and found["baselines"]["uniform"] is None
    assert any("no low and high" in note for note in found["notes"])
    assert found["wasserstein_observed"] == pytest.approx((1 / 6 + 1 / 2) / 2)
    # on 1..4, which people used, the prediction 9 is a 4: no predicted difference, which counts one half
    assert found["effects"]["sign"]["value"] == 0.5


def test_each_row_is_on_its_own_scale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # the same answers in other units: a battery whose items have scales of their own
    human = pa.array([Decimal(each) for each in (2, 4, 31, 1, 3, 2)])
    low, high, predicted = [1, 1, 1, 1, 1, 1], [5, 5, 41, 5, 5, 5], [2.0, 3, 41, 3, 3, None]
    found = scored(written(tmp_path, human=human, low=low, high=high, predicted=predicted), capsys)
    assert found["wasserstein_stated"] == pytest.approx((2 / 3 / 4 + 1 / 4) / 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("human", [[3] * 6, [None] * 6], ids=["one answer", "no answer"])
def test_a_file_without_a_cell_to_score_has_missing_scores(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], human: list[Any]
) -> None:
    found = scored(written(tmp_path, human=human), capsys)
    assert found["wasserstein_observed"] is None and found["accuracy_draw"] is None
    assert (found["n_cells"], found["n_skipped"]) == (0, 2)


@pytest.mark.filterwarnings("error")
def test_one_wild_prediction_cannot_run_away_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = scored(written(tmp_path, predicted=[2, 1e28, float("inf"), -1997, 3, 2]), capsys)
    assert 0 <= found["wasserstein_observed"] <= 1 and 0 <= found["wasserstein_stated"] <= 1
    assert 0 <= found["accuracy_draw_clipped"] <= 1
    assert found["n_dropped"] == 1


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"human": None, "task_num": None}, "lacks the columns task_num, human. It has study_id"),
        (
            {"predicted": ["2", "3", "I am aged 34", "1", "2", "3"]},
            "'predicted' holds string, such as '2', not",
        ),
        ({"human": [True] * 6}, "'human' holds bool"),
        ({"task_num": [1, 1, None, 1, 1, 1]}, "1 rows of 'rows.parquet' lack one of"),
        ({"study_id": [None, *["a"] * 5]}, "1 rows of 'rows.parquet' lack one of"),
        ({"low": None}, "one of low and high"),
        ({"low": [1, 1, 1, 1, 1, 5]}, "A scale from 5 to 5 has no range"),
        (
            {"sample_id": [1, 2, 3, 4, 4, 4]},
            "2 rows of 'rows.parquet' repeat another, first study_id 'abcde', sample_id 4",
        ),
        (
            {"stimulus_id": [7] * 6, "participant": [1, 2, 1, 1, 2, 3]},
            "1 rows of 'rows.parquet' repeat another",
        ),
    ],
)
def test_a_file_that_cannot_be_scored_is_a_sentence(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError) as error:
        metrics(written(tmp_path, **changes))
    assert told in str(error.value)


def test_no_rows_two_columns_of_one_name_and_no_parquet_are_sentences(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = pq.read_table(path)
    for table, told in (
        (whole.slice(0, 0), "holds no rows"),
        (whole.append_column("human", whole["human"]), "has the column 'human' twice"),
    ):
        pq.write_table(table, path)
        with pytest.raises(UserError, match=told):
            metrics(path)
    path.write_text("study_id,human\n")
    assert "not a Parquet file" in command("metrics", str(path), code=2)
    assert "is missing" in command("metrics", str(tmp_path / "none.parquet"), code=2)
