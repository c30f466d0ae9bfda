"""Reports of real runs: the page shows what the folder holds, loads nothing, and hostile text stays text."""

import hashlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

import analysis
from socrates_core.errors import UserError
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.projects.run_spec import asked_cells
from socrates_core.reporting.page import number_label
from socrates_core.reporting.run_numbers import NOT_KNOWN, SeenInTraining, run_numbers
from socrates_core.reporting.run_report import write_report
from socrates_core.spreadsheets import guarded
from socrates_core.surveys.draft import ConditionSpec, OutcomeSpec, ScaleSpec
from tests.support.commands import as_json
from tests.support.drafts import make_draft
from tests.support.jobs import run_now
from tests.support.report_pages import HOSTILE, Page
from tests.support.reports import reported, run_of
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture(scope="module")
def written(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulationRun, Path]]:
    """A report of a study with five outcomes on three kinds of scale, people's answers beside."""
    with reported("framing", prepared, tmp_path_factory.mktemp("report")) as told:
        yield told


def test_every_number_of_the_page_is_in_numbers_csv_as_it_is_rounded(
    written: tuple[SimulationRun, Path],
) -> None:
    page, table = Page(written[1] / "report.html"), pd.read_csv(written[1] / "numbers.csv")
    known = dict(zip(table["key"], table["number"], strict=True))
    assert len(page.numbers) > 200
    styles = ("count", "percent", "signed", "w", "plain")
    for key, value, shown in page.numbers:
        assert known[key] == pytest.approx(value, rel=1e-12, abs=1e-15)
        assert shown in {number_label(value, style) for style in styles}
    html = (written[1] / "report.html").read_text()
    results = html[html.index("<h2>Distributions") : html.index("<h2>Limits")]
    assert not re.findall(r"<td[^>]*>\s*[−-]?\d", results)  # no bare figure in a cell of a result
    assert {key.split("/")[0] for key, _, _ in page.numbers} >= {
        "n_people",
        "valid_mass",
        "share",
        "people_share",
        "mean",
        "effect",
        "people_effect_low",
        "w_observed",
        "w_stated_half_sample",
        "w_observed_condition_blind",
        "n_w_observed",
        "squared",
        "squared_uniform",
    }


def test_the_numbers_are_the_runs_own(written: tuple[SimulationRun, Path]) -> None:
    run, numbers = written[0], run_numbers(written[0], NOT_KNOWN)
    for cell in run.cells:
        place, scores = (cell.outcome, cell.condition), cell.scores()
        for name in (
            "w_observed",
            "w_stated_uniform",
            "w_observed_condition_blind",
            "w_observed_half_sample",
        ):
            assert numbers.get(name, *place) == scores[name]
    effect = run.effects[0]
    assert effect.people is not None and numbers.get("people_effect_low", 0, 1) == effect.people.low
    with pytest.raises(KeyError):
        numbers.get("no_such_number")


def test_the_page_loads_nothing_and_forbids_it(written: tuple[SimulationRun, Path]) -> None:
    html, page = (written[1] / "report.html").read_text(), Page(written[1] / "report.html")
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for tag, told in page.tags:
        assert not any(name.startswith("on") for name in told)
        loaded = [
            value or "" for name, value in told.items() if name in ("src", "srcset", "data", "background")
        ]
        assert all(value.startswith("data:image/svg+xml;base64,") for value in loaded)
        assert "href" not in told or (tag == "a" and str(told["href"]).startswith("https://"))
    assert "url(" not in html and "@import" not in html
    policy = next(told for told in page.attributes("meta") if told.get("http-equiv"))
    assert str(policy["content"]).startswith("default-src 'none'")


def test_hostile_text_stays_text_everywhere(starter_home: Path, tmp_path: Path) -> None:
    hostile_scale = ScaleSpec(kind="range", low=1, high=3, labels={1: "<b>low</b>", 3: "high & low"})
    draft = make_draft(
        title=HOSTILE,
        conditions=(ConditionSpec(name=f"a {HOSTILE}", text=HOSTILE), ConditionSpec(name="=1+1", text="B")),
        outcomes=(OutcomeSpec(name=f"o {HOSTILE}", question=HOSTILE, scale=hostile_scale),),
    )
    run = run_now(draft)
    manifest = json.loads((run.spec.path / "manifest.json").read_text())
    manifest["card"]["name"] = manifest["card"]["model"] = f"m {HOSTILE}"
    (run.spec.path / "manifest.json").write_text(json.dumps(manifest))
    folder = write_report(load_run(run.spec.run_id), tmp_path / "out", seen=SeenInTraining(f"seen {HOSTILE}"))
    page = Page(folder / "report.html")
    assert "script" not in {tag for tag, _ in page.tags} and "b" not in {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, told in page.tags for name in told)
    shown = " ".join(page.text.split())
    for part in ("", "a ", "o ", "m ", "seen "):
        assert part + " ".join(HOSTILE.split()) in shown
    assert "<b>low</b>" in shown and analysis.main(folder) == 0
    osf = (folder / "preregistration_osf.md").read_text()
    assert f"````text\n{HOSTILE}\n````" in osf


def test_csv_cells_that_a_spreadsheet_would_run_are_guarded_and_numbers_are_not(
    starter_home: Path, tmp_path: Path
) -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "fine", "5"]
    table = guarded(pd.DataFrame({"text": texts, "number": [-1.5] * 8}))
    assert [text.startswith("'") for text in table["text"]] == [True] * 6 + [False] * 2
    assert table["number"].tolist() == [-1.5] * 8
    arms = (ConditionSpec(name="=1+1", text="@A"), ConditionSpec(name="-B", text="B"))
    folder = write_report(run_now(make_draft(conditions=arms)), tmp_path / "out")
    for path in folder.rglob("*.csv"):
        columns = pd.read_csv(path, keep_default_na=False, dtype=str)
        for cell in itertools.chain.from_iterable(columns.to_numpy().tolist()):
            assert not cell.startswith(("=", "+", "@", "\t")) and not re.match(r"-[^\d.]", cell), path
    assert pq.read_table(folder / "data/conditions.parquet")["condition_name"].to_pylist() == ["=1+1", "-B"]


def test_figures_are_all_there_drawn_here_or_by_a_browser(
    written: tuple[SimulationRun, Path], tmp_path: Path
) -> None:
    run, folder = written
    page = Page(folder / "report.html")
    assert len(page.attributes("svg")) == len(run.cells) + len(run.effects)
    bars = [told["class"] for told in page.attributes("rect")]
    n_values = sum(len(cell.values) for cell in run.cells)
    assert bars.count("model") == bars.count("people") == n_values
    assert "without a browser" in page.text
    names = [f"outcome_{o + 1}.svg" for o in range(5)] + ["effects.svg", "effects.png"]
    given = dict.fromkeys(names, b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    drawn = Page(write_report(run, tmp_path / "out", figures=given) / "report.html")
    assert len(drawn.attributes("img")) == 6 and not drawn.attributes("svg")
    assert all(told["alt"] for told in drawn.attributes("img"))
    assert (tmp_path / "out" / "figures" / "effects.png").exists() and "without a browser" not in drawn.text


def test_the_page_says_what_it_is_worth_where_the_numbers_are(written: tuple[SimulationRun, Path]) -> None:
    html, text = (written[1] / "report.html").read_text(), Page(written[1] / "report.html").text
    for section in ("Distributions", "Effects", "Scores against people"):
        start = html.index(f"<h2>{section}</h2>")
        assert "Screening, not a replacement for people" in html[start : start + 800]
    for told in (
        "Predicted effects carry no interval",
        "Seen in training",
        "arXiv:2509.05830",
        "GPL: R package mediation",
        written[0].manifest["fingerprint"],
        written[0].spec.content_digest(),
        "simulate draft.yaml",
    ):
        assert told in text


def test_the_codebook_describes_every_column_and_the_sums_cover_every_file(
    written: tuple[SimulationRun, Path],
) -> None:
    folder = written[1]
    codebook = pd.read_csv(folder / "codebook.csv", keep_default_na=False)
    assert (codebook["meaning"].str.len() > 3).all()
    described = set(zip(codebook["file"], codebook["column"], strict=True))
    for path in [folder / "numbers.csv", *(folder / "data").glob("*.csv")]:
        table = pd.read_csv(path)
        assert {(path.stem, name) for name in table} == {each for each in described if each[0] == path.stem}
        assert list(pq.read_schema(path.with_suffix(".parquet")).names) == list(table)
    lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = {name: digest for digest, name in lines}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert sums.keys() == files.keys() - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest


def test_long_wide_and_prompts_hold_the_run(written: tuple[SimulationRun, Path]) -> None:
    run, folder = written
    long = pd.read_parquet(folder / "data" / "predicted_long.parquet")
    sums = long.groupby(["person", "condition", "outcome"])["probability"].sum()
    assert len(sums) == len(run.people) and np.allclose(sums, 1)
    prompts = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    asked = list(asked_cells(run.spec))
    assert [row["messages"] for row in prompts] == [each.question.prompt.messages() for each in asked]
    assert [tuple(row["options"]) for row in prompts] == [each.question.options for each in asked]


def test_the_same_run_gives_the_same_files(written: tuple[SimulationRun, Path], tmp_path: Path) -> None:
    again = write_report(load_run(written[0].spec.run_id), tmp_path / "again")
    assert (again / "SHA256SUMS").read_text() == (written[1] / "SHA256SUMS").read_text()


def test_preregistration_drafts_fill_what_is_known_and_leave_decisions_to_the_person(
    written: tuple[SimulationRun, Path],
) -> None:
    run, folder = written
    osf = (folder / "preregistration_osf.md").read_text()
    fields = {part.split("\n")[0]: part for part in osf.split("\n## ")[1:]}
    assert len(fields) == 24 and {"Hypotheses", "Stopping rule", "Inference criteria"} <= set(fields)
    assert "**[YOU WRITE: each hypothesis" in fields["Hypotheses"] and "+0." not in fields["Hypotheses"]
    assert all(condition.text.strip() in osf for condition in run.spec.draft.conditions)
    assert all(outcome.question.strip() in osf for outcome in run.spec.draft.outcomes)
    predicted = run_numbers(run, NOT_KNOWN).get("effect", 0, 1)
    assert f"| 1 | 2 | {predicted:+.2f} |" in fields["Exploratory analysis"]
    assert "power analysis" in fields["Sample size"] and "not new" in fields["Existing data"]
    asked = (folder / "preregistration_aspredicted.md").read_text()
    assert [f"## {number})" in asked for number in range(1, 10)] == [True] * 9


def test_a_folder_that_is_not_empty_is_a_sentence(written: tuple[SimulationRun, Path]) -> None:
    with pytest.raises(UserError, match="not empty"):
        write_report(written[0], written[1])
    with pytest.raises(UserError, match="not empty"):
        write_report(written[0], written[1] / "README.md")


def test_the_command_writes_the_report(home: Path, tmp_path: Path) -> None:
    run = run_now(make_draft())
    assert Path(as_json("report", run.spec.run_id, "--output", str(tmp_path / "out"))["report"]).exists()
    page = Page(tmp_path / "out" / "report.html")
    assert "no people here answered these exact texts" in " ".join(page.text.split())


def test_the_export_view_packs_the_report_and_says_why_no_browser_drew(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_browser(run: SimulationRun) -> dict[str, bytes]:
        raise UserError("Neither Chrome nor Chromium was found.")

    monkeypatch.setattr("pages.view.run_charts.figures", no_browser)
    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=PATIENCE)
    app.query_params["run"] = run_of("kakadu").spec.run_id
    app.switch_page("pages/project/results.py").run()
    app.segmented_control(key="results_view").set_value("Export").run()
    app.button(key="export_prepare").click().run()
    assert not app.exception and not app.error
    assert any("bars and dots of its own" in warning.value for warning in app.warning)
    assert {"Download the folder", "Download the page alone"} <= {
        getattr(each, "label", "") for each in app.get("download_button")
    }
