"""One target: predictions of the people asked are compared with everybody in a cell, on the same cells in every row."""

import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_rel, wasserstein_distance
from statsmodels.stats.multitest import multipletests

from socrates_core.calibrations import ModelCalibration, calibration_for
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.scores import DRAWS, JUDGED
from socrates_core.evaluations.spec import studies_by_corpus
from socrates_core.files import write_json
from socrates_core.records import Scale
from tests.support.commands import as_json, command
from tests.support.jobs import evaluate_now
from tests.support.small_corpora import answer, small_corpus

pytestmark = pytest.mark.usefixtures("no_worker")

STUDIES = ("framing", "kakadu", "talor")
MANY = (*STUDIES, "garcia", "weather")


def test_few_people_asked_are_compared_with_everybody_who_answered(starter_home: Path) -> None:
    comparison = Comparison([evaluate_now("echo", studies=["kakadu"], cap=4)])
    everybody = open_corpus("starter").responses("kakadu")
    scores = comparison.scores.query("kind == 'model'").set_index("condition_num").to_dict("index")
    for condition, people in everybody.dropna().groupby("condition_num"):
        cell = next(cell for cell in comparison.cells[0] if cell.condition_num == condition)
        assert cell.human.size == 4 < cell.n_people == len(people)
        shares = cell.probabilities.mean(axis=0)
        by_hand = wasserstein_distance(people["value"], cell.values, None, shares) / np.ptp(cell.values)
        assert scores[condition]["wasserstein_exact_stated"] == pytest.approx(by_hand, rel=1e-12)
        assert scores[condition]["human_mean"] == pytest.approx(people["response"].mean())
    row = comparison.table().to_dict("records")[0]
    assert (row["n_rows"], row["n_people"]) == (8, len(everybody.dropna()))


def test_a_uniform_guess_scores_the_same_however_few_people_are_asked(starter_home: Path) -> None:
    few, more = (
        Comparison([evaluate_now("uniform", studies=MANY, cap=cap)])
        .table()
        .set_index("name")
        .to_dict("index")
        for cap in (4, 12)
    )
    for row in ("uniform", "condition-blind", "pooled", "half-sample", "oracle"):
        for measure in ("wasserstein_exact_stated", "wasserstein_exact_observed", "corrected_distance"):
            assert few[row][measure] == pytest.approx(more[row][measure], nan_ok=True), (row, measure)
    assert few["uniform"]["wasserstein_observed"] != more["uniform"]["wasserstein_observed"]


def test_every_row_of_a_table_is_scored_on_the_same_cells(starter_home: Path) -> None:
    """The model answers nobody in one condition: that cell leaves every row."""
    found = evaluate_now("echo", studies=MANY, cap=6)
    rows = found.rows.copy()
    silent = (rows["study_id"] == "kakadu") & (rows["condition_num"] == 1)
    rows.loc[silent, ["mean", "drawn", "valid_mass"]] = np.nan
    rows["probabilities"] = rows["probabilities"].where(~silent, None)
    vars(found)["rows"] = rows
    comparison = Comparison([found])
    assert comparison.n_unanswered == silent.sum() > 0
    scored = {
        name: set(of_row.dropna(subset=["wasserstein_exact_observed"]).index)
        for name, of_row in comparison.scores.set_index(
            ["study_id", "condition_num", "task_num", "part"]
        ).groupby("predictor")
    }
    assert len(scored) == 6 and len(set(map(frozenset, scored.values()))) == 1
    assert comparison.table()["wasserstein_exact_stated_n_studies"].nunique() == 1


def test_rows_of_people_count_the_same_studies_and_cells(starter_home: Path) -> None:
    """With a battery of several questions (garcia) and options without an order (healthcare)."""
    comparison = Comparison([evaluate_now("uniform", studies=[*MANY, "healthcare"], cap=6)])
    table = comparison.table()
    for count in ("n_studies", "n_cells", "n_skipped", "n_people"):
        assert table[count].nunique() == 1, table[["name", count]]
    assert table["n_studies"].iloc[0] == len(MANY) + 1
    assert len(comparison.cells[0]) > table["n_cells"].iloc[0]
    assert not any(table["note"])


def test_a_row_without_a_score_of_some_cell_says_why(home: Path) -> None:
    rows = [answer(n, n % 2, 1 + n % 5) for n in range(20)]
    small_corpus(
        "mine", [*rows, *(answer(n, 2, 1 + n % 5) for n in range(20, 23))]
    )  # three people in condition 2
    comparison = Comparison([evaluate_now("uniform", corpus="mine", studies=["one"], cap=6)])
    notes = comparison.table().set_index("name")["note"]
    expected = (
        "not on 1 question in one condition, where fewer than four people answered and cannot be halved"
    )
    assert notes["half-sample"] == notes["oracle"] == expected
    assert not notes["uniform"]
    assert f"half-sample: {expected}." in command("compare", comparison.evaluations[0].id)


def test_the_people_of_a_pilot_are_predicted_from_a_second_pilot(starter_home: Path) -> None:
    comparison = Comparison([evaluate_now("uniform", studies=MANY, cap=12)])
    cells, pilot = next(pair for pair in comparison.predictors if pair[1].name.startswith("pilot"))
    assert all(np.isfinite(shares).all() for shares in pilot.probabilities)
    sizes = [
        min(30, np.unique(np.concatenate([c.participants for c in cells if c.study_id == study])).size // 2)
        for study in MANY
    ]
    assert pilot.name == f"pilot of {min(sizes)} to {max(sizes)} people"


def test_studies_are_counted_for_each_measure(home: Path) -> None:
    """Transport has no order: it has a log score and a squared distance, and no W."""
    bus = Scale("enum_labels", labels=((1, "Car"), (2, "Bus"), (3, "Bike")))
    rows = [answer(n, n % 2, 1 + n % 3, scale=bus) for n in range(24)]
    small_corpus("mine", rows)
    summary = Comparison([evaluate_now("uniform", corpus="mine", studies=["one"], cap=6)]).summaries[0]
    assert summary.n_scored["log_score"] == summary.n_scored["corrected_distance"] == 1
    assert summary.n_scored["wasserstein_exact_stated"] == 0


def test_the_mean_of_many_draws_is_what_one_draw_has_on_average(starter_home: Path) -> None:
    comparison = Comparison([evaluate_now("uniform", studies=STUDIES, cap=6)])
    summary, cells = comparison.summaries[0], comparison.cells[0]
    expected: dict[str, list[float]] = {}
    outcomes: dict[tuple[str, int, int], list[int]] = {}
    for place, cell in enumerate(cells):
        outcomes.setdefault((cell.study_id, cell.condition_num, cell.task_num), []).append(place)
    for (study, *_), places in outcomes.items():
        people = np.concatenate([cells[place].response for place in places])
        missed = np.concatenate(
            [
                (
                    cells[place].probabilities * np.abs(cells[place].values - cells[place].response[:, None])
                ).sum(axis=1)
                for place in places
            ]
        )
        if np.ptp(people) > 0:
            expected.setdefault(study, []).append(1 - missed.mean() / np.ptp(people))
    mean = np.mean([np.mean(scores) for scores in expected.values()])
    draws = summary.draws["accuracy_draw"]
    assert 0 < draws.sd < 0.1
    assert draws.mean == pytest.approx(mean, abs=4 * draws.sd / np.sqrt(DRAWS))
    single = summary.measures["accuracy_draw"].value
    assert abs(single - draws.mean) < 5 * draws.sd


def test_a_winner_survives_holm_over_all_pairs_and_measures(starter_home: Path) -> None:
    comparison = Comparison([evaluate_now(model, studies=MANY, cap=6) for model in ("echo", "uniform")])
    duels = comparison.duels
    assert len(duels) == len(JUDGED) * 3
    by_name = {summary.name: summary.by_study for summary in comparison.summaries}
    given = []
    for duel in duels:
        both = np.array([by_name[name][duel.measure].to_numpy() for name in (duel.first, duel.second)])
        both = both[:, np.isfinite(both).all(axis=0)]
        assert duel.paired.n_studies == both.shape[1] == 5
        same = np.allclose(both[0], both[1], atol=1e-9)
        given.append(1.0 if same else float(ttest_rel(*both).pvalue))
    assert [duel.paired.p for duel in duels] == pytest.approx(given)
    corrected = multipletests(given, method="holm")[1]
    assert [duel.p_holm for duel in duels] == pytest.approx(corrected)
    assert [bool(duel.winner) for duel in duels] == (corrected < 0.05).tolist()


@pytest.fixture
def two_corpora(starter_home: Path) -> dict[str, list[Evaluation]]:
    """Two models, each on studies of two corpora."""
    small_corpus("mine", [answer(n, n % 2, 1 + zlib.crc32(bytes([n])) % 7) for n in range(40)])
    return {
        model: [
            evaluate_now(model, studies=["kakadu", "talor"], cap=6),
            evaluate_now(model, corpus="mine", studies=["one"], cap=6),
        ]
        for model in ("echo", "uniform")
    }


def test_evaluations_of_several_corpora_are_one_comparison(two_corpora: dict[str, list[Evaluation]]) -> None:
    joined = Comparison([*two_corpora["echo"], *two_corpora["uniform"]])
    assert joined.names == ("echo (stand-in)", "uniform (stand-in)")
    by_study = joined.summaries[0].by_study["wasserstein_exact_stated"]
    assert list(by_study.index) == ["mine/one", "starter/kakadu", "starter/talor"]
    alone = [
        Comparison([two_corpora["echo"][place], two_corpora["uniform"][place]]).summaries[0].by_study
        for place in range(2)
    ]
    parts = pd.concat([alone[1], alone[0]])["wasserstein_exact_stated"]
    assert by_study.tolist() == pytest.approx(parts.tolist())
    assert joined.n_rows == sum(len(evaluation.rows) for evaluation in two_corpora["echo"])
    assert set(joined.effects["study_id"]) <= set(by_study.index) and len(joined.effects) >= 4
    assert joined.table().loc[0, "seconds"] == pytest.approx(
        sum(evaluation.manifest["seconds"] for evaluation in two_corpora["echo"])
    )
    assert joined.parity("echo (stand-in)", "gender").n_cells >= 0


def as_measured(evaluations: list[Evaluation], **changes: str) -> list[Evaluation]:
    """The evaluations as if a model had given the stand-in's answers: stand-ins have no verdict."""
    card = {**evaluations[0].manifest["card"], "precision": "bf16"}
    for evaluation in evaluations:
        write_json(evaluation.spec.path / "manifest.json", {**evaluation.manifest, "card": card, **changes})
    return [load_evaluation(evaluation.id) for evaluation in evaluations]


@pytest.mark.slow
def test_evaluations_of_two_corpora_give_one_calibration_and_one_verdict(
    two_corpora: dict[str, list[Evaluation]],
) -> None:
    starter = evaluate_now("echo", studies=[*MANY, "abortion", "opportunity"], cap=3)
    evaluations = as_measured([starter, *two_corpora["echo"][1:]])
    keep_calibration(starter.manifest["fingerprint"])
    found = calibration_for(starter.manifest["fingerprint"])
    assert isinstance(found, ModelCalibration)
    assert "mine/one" in found.pairs.study and found.calibration.n_studies == len(MANY) + 2 + 1
    for ids in ([each.id for each in evaluations], [evaluations[1].id]):
        compared = as_json("compare", *ids)
        (verdict,) = compared["verdicts"].values()
        assert verdict["n_studies"] == len(MANY) + 3 and verdict["source"] == "here"
        assert verdict["level"] != "not measured"
        printed = command("compare", *ids)
        assert verdict["sentence"] in printed
        assert "Spearman" in printed and "A second human sample" in printed


@pytest.mark.slow
def test_a_study_that_two_corpora_have_counts_once(starter_home: Path) -> None:
    shutil.copytree(starter_home / "corpora" / "starter", starter_home / "corpora" / "again")
    first = evaluate_now("echo", studies=[*MANY, "abortion"], cap=3)
    n_studies = calibration_for(first.manifest["fingerprint"]).calibration.n_studies  # type: ignore[union-attr]
    evaluate_now("echo", corpus="again", studies=["kakadu", "talor"], cap=5)
    found = calibration_for(first.manifest["fingerprint"])
    assert isinstance(found, ModelCalibration) and found.calibration.n_studies == n_studies == len(MANY) + 1
    assert {"again/kakadu", "again/talor"} <= set(found.pairs.study)  # of which more people were asked
    assert not {"starter/kakadu", "starter/talor"} & set(found.pairs.study)


def test_two_versions_of_a_model_are_not_one(two_corpora: dict[str, list[Evaluation]]) -> None:
    first, second = two_corpora["echo"]
    (changed,) = as_measured([second], fingerprint="f" * 64)
    with pytest.raises(
        UserError, match=r"echo \(bf16\) has changed between its evaluations on starter and mine"
    ):
        Comparison([*as_measured([first]), changed])


def test_a_model_without_an_evaluation_on_one_of_the_corpora_is_named(
    two_corpora: dict[str, list[Evaluation]],
) -> None:
    with pytest.raises(
        UserError, match=r"uniform \(stand-in\) has no evaluation here on the studies of 'mine'"
    ):
        Comparison([*two_corpora["echo"], two_corpora["uniform"][0]])


def test_a_command_evaluates_studies_of_several_corpora_and_compares_them_as_one(
    two_corpora: dict[str, list[Evaluation]],
) -> None:
    assert studies_by_corpus(["a", "mine/one", "b"], "starter") == {"starter": ["a", "b"], "mine": ["one"]}
    ids = [evaluation.id for evaluation in two_corpora["echo"]]
    compared = as_json("compare", *ids)
    assert compared["corpora"] == ["starter", "mine"]
    assert compared["table"][0]["corrected_distance_n_studies"] == 3
    refusal = command("evaluate", "--model", "echo", "--split", "s", "--studies", "mine/one", code=2)
    assert "A split is of one corpus" in refusal
