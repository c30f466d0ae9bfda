"""Reports of comparisons: scripts compute every number again and find what was changed; the page shows no other."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import comparison as script
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation
from socrates_core.models.seen import Seen
from socrates_core.records import Scale
from socrates_core.reporting.comparison_measures import MEASURES, PAIRED, TABLES
from socrates_core.reporting.comparison_report import write_comparison_report
from socrates_core.reporting.page import number_label
from socrates_core.verdicts.published import published_scores
from tests.support.commands import as_json, command
from tests.support.comparisons import compared
from tests.support.jobs import evaluate_now
from tests.support.report_pages import HOSTILE, Page, change
from tests.support.waiting import PATIENCE

# Of the quick tests, those of the page of evaluations write and pack a report.
pytestmark = [pytest.mark.usefixtures("no_worker"), pytest.mark.slow]

STUDIES = ("framing", "garcia", "kakadu", "talor", "weather")
RSCRIPT = shutil.which("Rscript")
needs_r = pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine, so comparison.R is not run")
Written = tuple[Comparison, Path]


@pytest.fixture(scope="module")
def written(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Written]:
    """Enough studies for intervals, on lists, ranges and batteries."""
    with compared(STUDIES, prepared, tmp_path_factory.mktemp("compared")) as told:
        yield told


def recompute(folder: Path, name: str = "comparison.py") -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-s", "-E"] if name.endswith(".py") else [str(RSCRIPT)]
    command = [*program, str(folder / name)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd="/")


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def test_the_python_script_computes_every_number_again_without_this_project(written: Written) -> None:
    done = recompute(written[1])
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = pd.read_csv(written[1] / "numbers.csv")
    assert f"{len(numbers)} numbers, 0 differences" in done.stdout and len(numbers) > 5000
    quantities = set(numbers["quantity"])
    assert set(MEASURES) | {f"{name}_low" for name in MEASURES} <= quantities
    assert {
        "worth_low",
        "paired_log_score_p_holm",
        "effects_r_high",
        "paired_brier_low",
        "study_log_score",
        "cell_sd_ratio",
    } <= quantities
    for path in written[1].glob("*.py"):
        assert "socrates" not in path.read_text().casefold()


def test_the_numbers_are_the_comparisons_own(written: Written) -> None:
    comparison, folder = written
    numbers = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    for p, row in enumerate(comparison.table().to_dict("records")):
        for name in ("wasserstein_observed", "log_score_low", "wasserstein_exact_stated_high", "n_dropped"):
            if not np.isnan(row[name]):
                assert numbers[f"{name}/{p}"] == pytest.approx(row[name], rel=1e-12)
    assert numbers["effects_slope/0"] == comparison.agreements["echo (stand-in)"].slope.value
    first, last = comparison.ladder[0], comparison.ladder[-1]
    assert numbers["ladder_spearman/0"] == first.spearman and numbers["ladder_rmse//2"] == last.rmse
    assert numbers["ladder_overlap/0"] == pytest.approx(comparison.shapes["echo (stand-in)"]["overlap"])
    assert numbers["ladder_direction//0"] == 0.5 and np.isnan(numbers["ladder_slope//0"])  # no effect
    assert numbers["worth_high/1"] == comparison.worths["uniform (stand-in)"].high
    paired = comparison.paired("brier", "echo (stand-in)", "uniform", lower_is_better=True)
    assert numbers["paired_brier_n_second_better/0/2"] == paired.n_second_better
    worst = comparison.scores["log_score"].iloc[3]
    assert numbers["cell_log_score/0/3"] == pytest.approx(worst, rel=1e-12)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("data/rows.csv value", "/0"),
        ("data/rows.csv response", "wasserstein_observed"),
        ("data/predicted_wide.csv drawn", "accuracy_draw"),
        ("data/predicted_wide.csv valid_mass", "valid_mass"),
        ("data/predicted_long.csv probability", "wasserstein_exact_observed/0"),
        ("data/people_differences.csv n", "human"),
        ("data/studies.csv n_left_out", "rows"),
        ("data/predictors.csv seconds", "seconds"),
        ("numbers.csv number", "in numbers.csv"),
    ],
)
def test_a_changed_cell_is_found(
    written: Written, tmp_path: Path, place: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copied(written[1], tmp_path / "out")
    name, column = place.split()
    change(folder / name, column)
    assert script.main(folder) == 1
    assert told in capsys.readouterr().out


@pytest.mark.r
@needs_r
def test_the_r_script_agrees_and_finds_a_changed_cell(written: Written, tmp_path: Path) -> None:
    folder = copied(written[1], tmp_path / "with a blank")
    done = recompute(folder, "comparison.R")
    assert done.returncode == 0 and " 0 differences" in done.stdout, done.stdout + done.stderr
    change(folder / "data" / "predicted_long.csv", "probability")
    done = recompute(folder, "comparison.R")
    assert done.returncode == 1 and "wasserstein_exact_observed/0" in done.stdout, done.stdout + done.stderr


@pytest.fixture(params=["comparison.py", pytest.param("comparison.R", marks=[pytest.mark.r, needs_r])])
def agrees(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], None]:
    """Asserts that one of the two scripts agrees with the numbers of a folder."""

    def recomputed(folder: Path) -> None:
        if request.param == "comparison.py":
            assert script.main(folder) == 0, capsys.readouterr().out
        else:
            done = recompute(folder, request.param)
            assert done.returncode == 0, done.stdout + done.stderr

    return recomputed


def test_the_scripts_agree_where_people_left_out_in_turn_give_the_interval_and_answers_are_missing(
    starter_home: Path, tmp_path: Path, agrees: Callable[[Path], None]
) -> None:
    """Within people, off the scale, batteries; every fourth answer of the model is missing."""
    found = evaluate_now("echo", studies=["abortion", "apple", "garcia"], cap=4)
    rows = found.rows.copy()
    missing = rows.index % 4 == 1
    rows.loc[missing, ["mean", "drawn", "valid_mass"]] = np.nan
    rows["probabilities"] = rows["probabilities"].where(~missing, None)
    vars(found)["rows"] = rows
    comparison = Comparison([found])
    assert comparison.worths["echo (stand-in)"].interval_over == "people"
    assert comparison.summaries[0].n_dropped == missing.sum() > 20
    agrees(write_comparison_report(comparison, tmp_path / "out"))


def test_the_scripts_agree_where_answers_are_drawn_and_each_model_has_its_own_numbers(
    starter_home: Path, tmp_path: Path, agrees: Callable[[Path], None]
) -> None:
    comparison = Comparison(
        [evaluate_now(model, studies=["kakadu", "talor"], cap=6) for model in ("echo", "uniform")]
    )
    for model, cells in enumerate(comparison.cells):
        for place, cell in enumerate(cells):
            if cell.study_id == "talor":
                values = sorted({*cell.values, *([99.5] if model else [])})
                shares = np.pad(cell.probabilities, ((0, 0), (0, len(values) - len(cell.values))))
                scale = Scale("enum_labels", labels=tuple((value, "") for value in values))
                cells[place] = replace(
                    cell,
                    is_drawn=True,
                    scale=scale,
                    values=np.array(scale.values, float),
                    probabilities=shares,
                )
    folder = write_comparison_report(comparison, tmp_path / "out")
    scores = comparison.scores.query("study_id == 'talor'")
    assert (
        scores["wasserstein_exact_stated"].isna().all() and scores["wasserstein_exact_observed"].notna().any()
    )
    agrees(folder)


def test_groups_are_compared_where_a_field_is_asked_for(
    starter_home: Path, tmp_path: Path, agrees: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    comparison = Comparison([evaluate_now("echo", studies=["kakadu"], cap=100)])
    folder = write_comparison_report(comparison, tmp_path / "out", field="gender")
    numbers = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    assert numbers["parity/0"] == comparison.parity("echo (stand-in)", "gender").difference.value > 0
    assert numbers["parity_high/0"] > 0 and "parity gap" in Page(folder / "report.html").text
    agrees(folder)
    for name, column, told in (
        ("people_left_out", "turn", "worth_low"),
        ("people_groups", "group", "group_score"),
    ):
        change(folder / "data" / f"{name}.csv", column)
        assert script.main(folder) == 1 and told in capsys.readouterr().out


def test_what_a_model_saw_is_left_out_and_counted(
    starter_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, agrees: Callable[[Path], None]
) -> None:
    seen = {"tuned": Seen(studies=("talor",)), "all": Seen(studies=("kakadu", "talor"))}
    monkeypatch.setattr("socrates_core.evaluations.comparison.seen_of", seen.__getitem__)
    found = evaluate_now("echo", studies=["kakadu", "talor"], cap=4)

    def saw(name: str) -> Comparison:
        tuned = Evaluation(replace(found.spec, model=ModelRequest(name)), found.manifest)
        vars(tuned)["rows"] = found.rows
        return Comparison([tuned])

    folder = write_comparison_report(saw("tuned"), tmp_path / "out")
    studies = pd.read_csv(folder / "data" / "studies.csv")
    assert dict(zip(studies["study_id"], studies["n_left_out"], strict=True)) == {
        "kakadu": 0,
        "talor": (found.rows["study_id"] == "talor").sum(),
    }
    prompts = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    assert {each["study_id"] for each in prompts} == {"kakadu"} and len(prompts) == 2
    told = " ".join(Page(folder / "report.html").text.split())
    assert f"{studies['n_left_out'].sum()} of {len(found.rows)} rows were in the training" in told
    agrees(folder)
    with pytest.raises(UserError, match="nothing to report"):
        write_comparison_report(saw("all"), tmp_path / "none")


def test_every_number_of_the_page_is_in_numbers_csv_as_it_is_rounded(written: Written) -> None:
    html, page = (written[1] / "report.html").read_text(), Page(written[1] / "report.html")
    known = pd.read_csv(written[1] / "numbers.csv").set_index("key")["number"]
    assert len(page.numbers) > 400
    styles = ("count", "percent", "signed", "w", "plain")
    for key, value, shown in page.numbers:
        assert known[key] == pytest.approx(value, rel=1e-12, abs=1e-15)
        assert shown in {number_label(value, style) for style in styles}
    results = html[html.index("<h2>Scores") : html.index("<h2>Limits")]
    assert not re.findall(r"<td[^>]*>\s*[−-]?\d", results)  # no bare figure in a cell of a result
    assert {key.split("/")[0] for key, _, _ in page.numbers} >= {
        *MEASURES,
        "wasserstein_observed_low",
        "worth",
        "effects_sign",
        "human",
        "predicted",
        "n_off_scale",
        "ladder_spearman",
        "ladder_rmse_adjusted",
        *(f"paired_{name}" for name in PAIRED),
        "study_wasserstein_observed",
        "cell_wasserstein_exact_stated",
    }


def test_the_page_loads_nothing_and_says_its_conventions_and_limits_where_the_numbers_are(
    written: Written,
) -> None:
    html, page = (written[1] / "report.html").read_text(), Page(written[1] / "report.html")
    assert not {"script", "link", "iframe", "object", "embed", "base", "form", "img"} & {
        t for t, _ in page.tags
    }
    assert "url(" not in html and "@import" not in html and "default-src 'none'" in html
    for section in ("Scores", "Studies", "Worst cells", "Effects"):
        start = html.index(f"<h2>{section}</h2>")
        assert "Screening, not a replacement for people" in html[start : start + 800]
    for told in (
        *TABLES,
        *(measure.meaning for measure in MEASURES.values()),
        "carry no interval",
        "arXiv:2509.05830",
    ):
        assert told in page.text
    assert "Published on the same 40 studies" not in page.text


def test_published_rows_are_shown_where_they_may_be_and_are_no_numbers_of_the_folder(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The starter studies are not those 40, so the rule is replaced here; its own test is with the page."""
    rows = pd.DataFrame([vars(row) for row in published_scores()])
    monkeypatch.setattr("socrates_core.reporting.comparison_report.published_beside", lambda comparison: rows)
    page = Page(write_comparison_report(written[0], tmp_path / "out") / "report.html")
    assert "Published on the same 40 studies" in page.text and "GPT-4o 5-shot" in page.text
    ours, mine = Page(written[1] / "report.html").numbers, page.numbers
    assert mine == ours


def test_hostile_text_stays_text_everywhere(starter_home: Path, tmp_path: Path) -> None:
    found = evaluate_now("echo", studies=["talor"], cap=4)
    card = {**found.manifest["card"], "name": f"m {HOSTILE}", "revision": f"r {HOSTILE}"}
    hostile = Evaluation(found.spec, {**found.manifest, "card": card})
    comparison = Comparison([hostile])
    comparison.cells[0][:] = [
        replace(cell, condition=f"c {HOSTILE}", outcome="=1+1") for cell in comparison.cells[0]
    ]
    folder = write_comparison_report(comparison, tmp_path / "out")
    page = Page(folder / "report.html")
    assert "script" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, told in page.tags for name in told)
    shown = " ".join(page.text.split())
    assert all(part + " ".join(HOSTILE.split()) in shown for part in ("m ", "r ", "c "))
    assert (pd.read_csv(folder / "data" / "cells.csv")["outcome"] == "'=1+1").all()
    assert script.main(folder) == 0


def test_the_codebook_describes_every_column_and_the_same_comparison_gives_the_same_files(
    written: Written, tmp_path: Path
) -> None:
    comparison, folder = written
    codebook = pd.read_csv(folder / "codebook.csv", keep_default_na=False)
    assert (codebook["meaning"].str.len() > 2).all()
    described = set(zip(codebook["file"], codebook["column"], strict=True))
    for path in [folder / "numbers.csv", *(folder / "data").glob("*.csv")]:
        assert {(path.stem, name) for name in pd.read_csv(path)} == {
            each for each in described if each[0] == path.stem
        }
    again = write_comparison_report(Comparison(comparison.evaluations), tmp_path / "again")
    assert (again / "SHA256SUMS").read_text() == (folder / "SHA256SUMS").read_text()
    with pytest.raises(UserError, match="not empty"):
        write_comparison_report(comparison, folder)
    with pytest.raises(UserError, match="no demographic field 'height'"):
        write_comparison_report(comparison, tmp_path / "out", field="height")


def test_the_command_takes_evaluations(starter_home: Path, tmp_path: Path) -> None:
    ids = [evaluate_now(model, studies=["kakadu"], cap=4).id for model in ("echo", "uniform")]

    output = ("--output", str(tmp_path / "out"))
    refusal = command("report", ids[0], "20260101-000000-none-0000", *output, code=2)
    assert "There is no evaluation" in refusal
    assert Path(as_json("report", *ids, *output)["report"]).exists()
