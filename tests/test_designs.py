"""Studies whose people were assigned in groups or blocks, overlap, are weighted, or answer repeatedly, end to end."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from pages.view.charts import answer_charts, frames
from pages.view.words import escape
from socrates_core.analysis.intervals import SampleSize
from socrates_core.corpus import open_corpus
from socrates_core.evaluations.effects import effects_table
from socrates_core.records import Design, Scale
from socrates_core.reporting.run_report import write_report
from socrates_core.studies.answers import cells, human_effects, study_overview
from socrates_core.studies.assignment import design_sentence, share_sizes
from tests.support.pages import STUDY_PAGE, fine, open_page
from tests.support.report_pages import change
from tests.support.reports import RSCRIPT, recompute, run_of
from tests.support.small_corpora import SEVEN, answer, small_corpus

pytestmark = pytest.mark.usefixtures("no_worker")

DESIGNS = {
    "clusters": Design(cluster="classroom"),
    "blocks of clusters, weighted": Design(cluster="classroom", block="school", weight="w"),
    "weights": Design(weight="w"),
    "mixed": Design("mixed"),
    "within, weighted": Design("within", weight="w"),
}


RIDE = Scale("enum_labels", 1, 3, labels=((1, "car"), (2, "bus"), (3, "bike")))


ALONE = {"plain": Design(), "within": Design("within")}  # people who were assigned one by one and count alike


def studied(kind: str, scale: Scale = SEVEN) -> Design:
    """A corpus "mine" of 96 people in 16 classrooms of 4 schools with this design, who answered on a scale from 1."""
    design = (DESIGNS | ALONE)[kind]
    drawn = np.random.default_rng(0)
    rows = []
    top = len(scale.values)
    middle = (1 + top) / 2
    for person in range(96):
        room = person // 6
        sides = {"between": [room % 2], "mixed": [0, 1] if person % 3 else [person % 2], "within": [0, 1]}
        level = drawn.normal(0, 1)
        rows += [
            answer(person, side, int(np.clip(round(middle + level + drawn.normal()), 1, top)), scale=scale)
            for side in sides[design.assignment]
        ]
    assigned = pd.DataFrame({"participant": range(96)}).assign(
        cluster=lambda people: (people["participant"] // 6).map("room {}".format) if design.cluster else None,
        block=lambda people: (people["participant"] // 24).map("school {}".format) if design.block else None,
        weight=drawn.lognormal(0, 0.5, 96) if design.weight else np.nan,
    )
    assigned.loc[:1, "weight"] = np.nan
    small_corpus(
        "mine",
        rows,
        assigned_by=None if design.is_plain else design,
        assigned=None if design.is_plain else assigned,
        design=design.assignment,
    )
    return design


@pytest.mark.parametrize("kind", DESIGNS)
def test_the_python_script_of_a_report_computes_effects_and_shares_of_every_design(
    kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studied(kind)
    folder = write_report(run_of("one"), tmp_path / "out")
    assert analysis.main(folder) == 0, capsys.readouterr().out
    methods = set(pd.read_csv(folder / "data" / "people_differences.csv")["method"])
    assert methods == {"clustered"}
    keys = pd.read_csv(folder / "numbers.csv")["key"]
    assert keys.str.startswith("people_n_effective").any() == (kind != "mixed")


@pytest.mark.slow
@pytest.mark.skipif(RSCRIPT is None, reason="R is not installed")
@pytest.mark.parametrize("kind", DESIGNS)
def test_the_r_script_agrees_on_every_design(kind: str, home: Path, tmp_path: Path) -> None:
    studied(kind)
    done = recompute(write_report(run_of("one"), tmp_path / "out"), "analysis.R")
    assert done.returncode == 0, done.stdout + done.stderr


OPTIONS = pytest.mark.parametrize("kind", ["plain", "within", "clusters", "within, weighted", "mixed"])


@OPTIONS
def test_the_python_script_computes_effects_on_options_without_an_order(
    kind: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studied(kind, RIDE)
    run = run_of("one")
    folder = write_report(run, tmp_path / "out")
    numbers = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    (options,) = run.option_effects
    assert options.people is not None
    assert numbers["people_option_effect_low/0/1/2"] == pytest.approx(100 * options.people.low[1])
    assert 'data-key="option_effect/0/1/3"' in (folder / "report.html").read_text()
    assert analysis.main(folder) == 0, capsys.readouterr().out
    change(folder / "data" / "people_options.csv", "n")
    assert analysis.main(folder) == 1 and "people_option_effect" in capsys.readouterr().out


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not installed")
@OPTIONS
def test_the_r_script_computes_effects_on_options_without_an_order(
    kind: str, home: Path, tmp_path: Path
) -> None:
    studied(kind, RIDE)
    done = recompute(write_report(run_of("one"), tmp_path / "out"), "analysis.R")
    assert done.returncode == 0 and " 0 differences" in done.stdout, done.stdout + done.stderr


def test_a_changed_weight_cluster_or_answer_is_found(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studied("blocks of clusters, weighted")
    folder = write_report(run_of("one"), tmp_path / "out")
    for file, column in (
        ("people_differences", "weight"),
        ("people_differences", "cluster"),
        ("people_differences", "block"),
        ("people_answers", "weight"),
        ("people_answers", "cluster"),
    ):
        path = folder / "data" / f"{file}.csv"
        before = path.read_text()
        table = pd.read_csv(path)
        numbers = table[column].to_numpy(dtype=float).copy()
        numbers[0] = numbers[-1] + 1
        table[column] = numbers
        table.to_csv(path, index=False)
        assert analysis.main(folder) == 1, (file, column)
        path.write_text(before)
    assert "differences" in capsys.readouterr().out


def test_shares_and_means_are_weighted_and_count_as_kish_says(home: Path) -> None:
    studied("weights")
    corpus = open_corpus("mine")
    given = corpus.responses("one").merge(corpus.assignment("one"), left_on="participant", right_index=True)
    known = given[(given["condition_num"] == 0) & given["weight"].notna()]
    (cell,) = [each for each in cells(corpus, "one") if each["condition_num"] == 0]
    counts = {float(value): n for value, n in cell["counts"].items()}
    weighted = np.average(known["value"], weights=known["weight"])
    assert np.average(list(counts), weights=list(counts.values())) == pytest.approx(weighted)
    assert cell["n"] == cell["n_people"] == len(known)
    kish = known["weight"].sum() ** 2 / (known["weight"] ** 2).sum()
    assert cell["n_effective"] == pytest.approx(kish, rel=0.35) and cell["n_effective"] < cell["n"]
    tallies = corpus.tallies("one")
    here = tallies[tallies["condition_num"] == 0]
    assert np.average(here["value"], weights=here["n"]) == pytest.approx(weighted)


def test_a_study_without_repeats_clusters_or_weights_has_no_sizes_of_its_own(starter_home: Path) -> None:
    assert share_sizes(open_corpus("starter"), "framing") == {}


def test_a_cluster_of_one_arm_gives_a_sentence_and_no_interval(home: Path) -> None:
    rows = [answer(person, person % 2, 1 + person % 7) for person in range(20)]
    assigned = pd.DataFrame({"participant": range(20), "block": None, "weight": np.nan}).assign(
        cluster=lambda people: (people["participant"] % 2).map("village {}".format)
    )
    small_corpus("mine", rows, assigned_by=Design(cluster="village"), assigned=assigned)
    (effect,) = human_effects(open_corpus("mine"), "one")
    assert np.isnan(effect.effect.low) and np.isfinite(effect.effect.difference)
    assert effect.note == "No interval: one side has a single cluster."
    page = open_page(STUDY_PAGE, corpus="mine", study="one", study_view="Effects")
    assert "one side has a single cluster" in page.dataframe[0].value["note"].iloc[0]


def test_the_design_is_a_sentence_in_the_window_and_in_json(home: Path) -> None:
    studied("blocks of clusters, weighted")
    corpus = open_corpus("mine")
    sentence = design_sentence(corpus, "one")
    assert sentence.startswith("Assigned by classroom (16), within blocks by school (4).")
    assert escape(sentence) in fine(open_page(STUDY_PAGE, corpus="mine", study="one", study_view="Effects"))
    overview = json.loads(json.dumps(study_overview(corpus, "one")))
    assert overview["assignment"] == {
        "sentence": sentence,
        "cluster": "classroom",
        "block": "school",
        "weight": "w",
        "factors": [],
    }
    assert overview["effects"][0]["n_clusters"] == 8


def test_a_corpus_with_designs_opens_and_a_missing_table_is_reported(home: Path) -> None:
    studied("weights")
    path = open_corpus("mine").path
    shutil.move(path / "assignment.parquet", path / "away.parquet")
    with pytest.raises(Exception, match="mine"):
        human_effects(open_corpus("mine"), "one")


def test_evaluations_take_the_standard_error_of_the_design(home: Path) -> None:
    studied("clusters")
    corpus = open_corpus("mine")
    given = corpus.responses("one")
    rows = given.assign(study_id="one", mean=given["value"])
    effects = effects_table(corpus, rows)
    rooms = given.assign(room=given["participant"] // 6).groupby(["condition_num", "room"])["value"].mean()
    means = [rooms.loc[side].to_numpy() for side in (1, 0)]
    error = np.hypot(*(side.std(ddof=1) / np.sqrt(side.size) for side in means))
    assert effects["human_se"].tolist() == pytest.approx(
        [error / 6]
    )  # of the means of rooms, which are of one size


def test_charts_count_people_and_widen_intervals_in_bins_too() -> None:
    scale = Scale("range", 0, 100)
    counts = np.zeros(101)
    counts[[3, 97]] = 50
    size = SampleSize(10, 6.8)
    frame = frames.share_rows("Arm", "people", scale, counts, size=size)
    assert frame["n"].unique().tolist() == [10]
    figure = answer_charts.distribution(frame, scale=scale, title="How much?", theme="light")
    # The longest reach is that of a bin which nobody chose: z^2 / (n + z^2) by Wilson's formula.
    z2 = stats.norm.ppf(0.975) ** 2
    reach = max(max(trace.error_y.array) for trace in figure.data if trace.error_y.array is not None)
    assert reach == pytest.approx(z2 / (6.8 + z2))
