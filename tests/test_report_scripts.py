"""The scripts of a report: they compute its numbers again without this project, and find what was changed."""

import itertools
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from socrates_core.analysis.baselines import expected_half_sample
from socrates_core.analysis.metrics import wasserstein
from socrates_core.corpus.store import find_study
from socrates_core.populations.panel import PanelSpec
from socrates_core.projects.run_results import SimulationRun
from socrates_core.reporting.run_numbers import SeenInTraining, run_numbers
from socrates_core.reporting.run_report import write_report
from socrates_core.surveys.start import draft_from_study
from tests.support.jobs import run_now
from tests.support.report_pages import change
from tests.support.reports import RSCRIPT, open_run, recompute, reported, run_of

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture(scope="module")
def written(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulationRun, Path]]:
    """A report of a study with five outcomes on three kinds of scale, people's answers beside."""
    with reported("framing", prepared, tmp_path_factory.mktemp("report")) as told:
        yield told


@pytest.mark.slow
def test_the_python_script_computes_every_number_again_without_this_project(
    written: tuple[SimulationRun, Path],
) -> None:
    run, folder = written
    done = recompute(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = pd.read_csv(folder / "numbers.csv")
    assert f"{len(numbers)} numbers, 0 differences" in done.stdout and len(numbers) > 500
    assert "socrates" not in (folder / "analysis.py").read_text().casefold()
    assert all(cell.counts is not None for cell in run.cells) and all(effect.people for effect in run.effects)


@pytest.mark.parametrize("study", ["abortion", "apple", "garcia"])
def test_the_script_agrees_within_people_off_the_scale_and_for_batteries(
    starter_home: Path, tmp_path: Path, study: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_report(run_of(study, n=3), tmp_path / "out")
    assert analysis.main(folder) == 0, capsys.readouterr().out


def test_the_script_agrees_where_answers_are_drawn_and_some_are_missing(
    starter_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = open_run()
    assert [cell.n for cell in run.cells] == [2, 2]  # three people with an answer have two profiles
    assert analysis.main(write_report(run, tmp_path / "out")) == 0, capsys.readouterr().out


def weighted_run() -> SimulationRun:
    """Six profiles with the weights .28, .28, .14, .12, .12 and .06, asked what a study asked."""
    shares = {
        "gender": {"Female": 70.0, "Male": 30.0},
        "party_id": {"Democrat": 0.4, "Republican": 0.4, "Independent": 0.2},
    }
    draft = draft_from_study(find_study("garcia"), "garcia")
    panel = PanelSpec(kind="describe", describe=shares, every_profile=True)
    return run_now(draft.model_copy(update={"panel": panel}))


def test_the_script_agrees_on_weighted_profiles_and_notices_without_weights(
    starter_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_report(weighted_run(), tmp_path / "out")
    assert analysis.main(folder) == 0, capsys.readouterr().out
    wide = pd.read_csv(folder / "data" / "predicted_wide.csv")
    wide.assign(weight=1.0).to_csv(folder / "data" / "predicted_wide.csv", index=False)
    assert analysis.main(folder) == 1 and "share/" in capsys.readouterr().out


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not here")
def test_the_r_script_agrees_on_weighted_profiles(starter_home: Path, tmp_path: Path) -> None:
    done = recompute(write_report(weighted_run(), tmp_path / "out"), "analysis.R")
    assert done.returncode == 0 and " 0 differences" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("data/predicted_wide.csv p_1", "share/"),
        ("data/predicted_wide.csv weight", "share/"),
        ("data/people_counts.csv n", "people_share/"),
        ("data/people_differences.csv n", "people_effect"),
        ("data/people_units.csv n", "squared/"),
        ("data/predicted_long.csv probability", "disagree"),
        ("data/predicted_wide.csv mean", "mean is not that"),
        ("numbers.csv number", "in numbers.csv"),
    ],
)
def test_a_changed_cell_is_found(
    written: tuple[SimulationRun, Path],
    tmp_path: Path,
    place: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = Path(shutil.copytree(written[1], tmp_path / "out"))
    name, column = place.split()
    change(folder / name, column)
    assert analysis.main(folder) == 1
    assert told in capsys.readouterr().out


def tamper_page(folder: Path) -> None:
    """Adds one to a number that the page shows, not to its attribute."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    mark = re.search(r'(<data data-key="n_people" value="[^"]*">)(\d+)(</data>)', page)
    assert mark
    changed = f"{mark[1]}{int(mark[2]) + 1}{mark[3]}"
    (folder / "report.html").write_text(page.replace(mark[0], changed, 1), encoding="utf-8")


def test_a_number_changed_by_hand_on_the_page_is_found(
    written: tuple[SimulationRun, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(written[1], tmp_path / "out"))
    tamper_page(folder)
    assert analysis.main(folder) == 1
    assert "n_people:" in capsys.readouterr().out


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine, so analysis.R is not run")
@pytest.mark.parametrize("place", ["page", "predicted_wide mean", "predicted_long probability"])
def test_the_r_script_finds_changes_of_the_page_and_of_predictions(
    written: tuple[SimulationRun, Path], tmp_path: Path, place: str
) -> None:
    folder = Path(shutil.copytree(written[1], tmp_path / "out"))
    if place == "page":
        tamper_page(folder)
    else:
        name, column = place.split()
        change(folder / "data" / f"{name}.csv", column)
    done = recompute(folder, "analysis.R")
    assert done.returncode == 1 and " 1 differences" in done.stdout, done.stdout + done.stderr


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine, so analysis.R is not run")
def test_the_r_script_agrees_and_finds_a_changed_cell(
    written: tuple[SimulationRun, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(written[1], tmp_path / "with a blank"))
    done = recompute(folder, "analysis.R")
    assert done.returncode == 0 and " 0 differences" in done.stdout, done.stdout + done.stderr
    change(folder / "data" / "people_counts.csv", "n")
    done = recompute(folder, "analysis.R")
    assert done.returncode == 1 and "people_n/" in done.stdout, done.stdout + done.stderr


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine, so analysis.R is not run")
@pytest.mark.parametrize("study", ["abortion", "apple", ""])
def test_the_r_script_agrees_within_people_and_for_draws(
    starter_home: Path, tmp_path: Path, study: str
) -> None:
    run = run_of(study, n=3) if study else open_run()
    done = recompute(write_report(run, tmp_path / "out"), "analysis.R")
    assert done.returncode == 0, done.stdout + done.stderr


def test_cells_seen_in_training_enter_no_mean(starter_home: Path, tmp_path: Path) -> None:
    run, seen = run_of("kakadu"), SeenInTraining("partly", frozenset({(0, 0)}))
    numbers = run_numbers(run, seen)
    assert numbers.get("n_w_observed") == 1 and numbers.get("w_observed") == numbers.get("w_observed", 0, 1)
    assert analysis.main(write_report(run, tmp_path / "out", seen=seen)) == 0


def test_the_half_sample_is_the_mean_over_all_halvings() -> None:
    """Against every halving of six and of seven people, and against drawn ones of many."""
    values = np.array([1.0, 2.0, 4.0, 9.0])
    for few in ([2, 1, 3, 0], [0, 3, 3, 1]):
        people = np.repeat(values, few)
        half, every = len(people) // 2, range(len(people))
        scores = [
            wasserstein(people[list(first)], people[list(second)]) / np.ptp(people)
            for first in itertools.combinations(every, half)
            for second in itertools.combinations([i for i in every if i not in first], half)
        ]
        found = expected_half_sample(np.array(few, dtype=float), values)
        assert found == pytest.approx(np.mean(scores), abs=1e-12)
    counts = np.array([300.0, 45.0, 200.0, 77.0])
    people, generator = np.repeat(values, counts.astype(int)), np.random.default_rng(1)
    drawn = []
    for _ in range(4000):
        shuffled = generator.permutation(people)
        drawn.append(wasserstein(shuffled[:311], shuffled[311:]) / 8)
    found = expected_half_sample(counts, values, scale_range=8.0)
    assert found == pytest.approx(np.mean(drawn), rel=0.03)  # sd of W over halvings is about half of it
    assert np.isnan(expected_half_sample(np.array([3.0, 0, 0, 0]), values))
    assert np.isnan(expected_half_sample(np.array([9.0, 0, 0, 0]), values))
