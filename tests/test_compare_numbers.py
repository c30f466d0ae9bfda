"""What the page Evidence shows: tables and charts with the comparison's numbers, nothing published out of place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pages.evidence import comparison_charts, comparison_rows
from pages.view.charts.palette import LIGHT
from socrates_core.corpus import open_corpus
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import OFFICIAL, read_official
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.published import published_beside
from socrates_core.evaluations.results import Evaluation
from socrates_core.files import write_json
from socrates_core.reporting.comparison_measures import MEASURES
from tests.support.evaluations import evaluate, open_compare
from tests.support.pages import fine
from tests.support.splits import made_up

pytestmark = pytest.mark.usefixtures("no_worker")


def test_the_table_holds_the_comparisons_numbers_and_no_valid_mass_of_a_baseline(starter_home: Path) -> None:
    comparison = Comparison([evaluate()])
    table = comparison_rows.measures_table(comparison).set_index("Who")
    measures = comparison.summaries[0].measures
    for name, shown in MEASURES.items():
        assert (
            table.loc["echo (stand-in)", shown.label] == f"{measures[name].value:.3f}"
        )  # three studies: no interval
    assert table.loc["Uniform guess", "Valid mass"] == "–"
    assert list(comparison_rows.headline(comparison, "valid_mass")["name"]) == ["echo (stand-in)"]
    assert "Half of the people against the other half" in set(
        comparison_rows.headline(comparison, "wasserstein_exact_stated")["name"]
    )


@pytest.mark.parametrize("measure", ["wasserstein_exact_stated", "log_score"])
def test_cells_are_in_order_from_the_worst(starter_home: Path, measure: str) -> None:
    comparison = Comparison([evaluate()])
    table = comparison_rows.cells_table(comparison, measure, "echo (stand-in)")
    worse = np.diff(table[measure]) * (1 if measure == "log_score" else -1)
    assert (worse >= 0).all() and len(table) == len(comparison.cells[0])
    for row in table.to_dict("records"):
        cell = comparison.cells[0][row["at"]]
        assert (cell.outcome, cell.condition) == (row["outcome"], row["condition"])
        assert row["human_mean"] == pytest.approx(cell.everybody.mean())


def test_the_answers_of_an_item_are_the_people_and_the_mean_predictions_of_its_conditions(
    starter_home: Path,
) -> None:
    comparison = Comparison([evaluate("echo"), evaluate("uniform")])
    at = next(at for at, cell in enumerate(comparison.cells[0]) if cell.study_id == "kakadu")
    places = comparison_rows.cells_of_item(comparison, at)
    frame = comparison_rows.answers(comparison, places)
    assert places[0] == at and len(places) == frame["condition"].nunique() == 2
    cell = comparison.cells[0][at]
    own = frame[frame["condition"] == cell.condition]
    expected = {
        "people": cell.counts / cell.counts.sum(),
        "echo (stand-in)": cell.probabilities.mean(axis=0),
        "uniform (stand-in)": np.full(len(cell.values), 1 / len(cell.values)),
    }
    assert set(own["who"]) == set(expected)
    for who, shares in expected.items():
        assert own.loc[own["who"] == who, "share"].to_numpy() == pytest.approx(shares)


def test_conditions_of_one_name_are_told_apart(home: Path) -> None:
    made_up([(3, 1, 9, False)])
    comparison = Comparison([evaluate(studies=["s0"], corpus="made")])
    frame = comparison_rows.answers(comparison, comparison_rows.cells_of_item(comparison, 0))
    assert set(frame["condition"]) == {"c (0)", "c (1)", "c (2)"}
    assert (frame.groupby(["condition", "who"])["share"].sum().round(9) == 1).all()


@pytest.mark.slow
def test_published_rows_stand_beside_the_whole_official_split_alone(home: Path) -> None:
    corpus = made_up([(2, 1, 4, False)] * 42)
    ids = sorted(corpus.study_ids())
    write_json(corpus.path / "metadata" / OFFICIAL["studies"], {"seen": ids[:2], "unseen": ids[2:]})
    save_split(read_official(open_corpus("made"), "studies", name="official"))
    found = evaluate("uniform", split="official", studies=(), cap=2)
    assert published_beside(Comparison([found])).empty  # somebody's own 40 studies
    write_json(corpus.path / "manifest.json", {**corpus.manifest, "title": "SocSci210"})
    rows = published_beside(Comparison([found]))
    assert rows.set_index("name").loc["Socrates-Qwen-14B SFT", "wasserstein_observed"] == 0.151
    by_hand = Evaluation(replace(found.spec, split=None, split_digest=None), found.manifest)
    fewer = Evaluation(found.spec, found.manifest)
    vars(fewer)["rows"] = found.rows[found.rows["study_id"] != ids[2]]
    for other in (by_hand, fewer):
        assert published_beside(Comparison([other])).empty
    app = open_compare(found)
    fine(app)
    app.selectbox(key="measure:compare").set_value("wasserstein_observed").run()
    assert "Reported on these 40 studies" in fine(app)
    app.selectbox(key="measure:compare").set_value("wasserstein_exact_stated").run()
    assert "Reported on these 40 studies" not in fine(app)


def test_intervals_are_drawn_where_there_are_some_and_baselines_are_grey() -> None:
    frame = pd.DataFrame(
        [
            ("m (bf16)", "model", 0.2, 0.1, 0.3),
            ("Uniform guess", "baseline", 0.3, np.nan, np.nan),
            ("GPT-4o", "published", 0.17, np.nan, np.nan),
        ],
        columns=["name", "kind", "value", "low", "high"],
    )
    figure = comparison_charts.scores(frame, title="Scores", axis="W", theme="light")
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [line.x for line in lines] == [(0.1, 0.3, None)]
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert [dot.marker.color == LIGHT.faint for dot in dots] == [False, True, True]
    assert [shape.x0 for shape in figure.layout.shapes if shape.line.dash == "dot"] == [0.17, 0.17]


def test_effects_stand_over_predictions_with_people_s_intervals_and_a_calibration_line() -> None:
    row = {"predictor": "m", "study": "S", "outcome": "O", "condition": "C", "reference": "R", "n_human": 10}
    told = [
        {"human": 10.0, "human_se": 2.0, "predicted": 30.0},
        {"human": -5.0, "human_se": 1.0, "predicted": 8.0},
    ]
    frame = pd.DataFrame([{**row, **each, "n_predicted": 4} for each in told])
    figure = comparison_charts.effects_scatter(frame, title="Effects", theme=None, slopes={"m": 0.5})
    points, line = figure.data
    assert list(points.x) == [30, 8] and list(points.y) == [10, -5]
    assert list(points.error_y.array) == pytest.approx([3.92, 1.96])
    assert list(line.y) == pytest.approx(list(0.5 * np.array(line.x)))
    identity = figure.layout.shapes[0]
    assert (identity.x0, identity.x1) == (identity.y0, identity.y1) and identity.x1 >= 30


def test_groups_are_rows_models_are_columns_and_n_stands_in_the_cell() -> None:
    frame = pd.DataFrame(
        [
            ("18-29", "a", 0.1, 40),
            ("60+", "a", 0.2, 50),
            ("18-29", "b", 0.3, 40),
            ("60+", "b", 0.4, 50),
        ],
        columns=["group", "model", "value", "n"],
    )
    [heat] = comparison_charts.group_heat(frame, title="Groups", theme=None).data
    assert np.array(heat.z).tolist() == [[0.1, 0.3], [0.2, 0.4]]
    assert heat.text[1][0] == "0.200<br>n = 50"
