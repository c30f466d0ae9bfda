"""What a model's effects are worth, from its evaluations: only on studies it never saw, never on the draft's own."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from pages.view import run_charts
from pages.view.charts import answer_charts, frames
from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.calibration import Calibration, calibrate
from socrates_core.analysis.held_out import HeldOut, leave_one_study_out
from socrates_core.asking.request import ModelRequest
from socrates_core.calibrations import ModelCalibration, calibration_for, effect_pairs
from socrates_core.corpus.splits import split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.effects import effects_table as effect_rows
from socrates_core.evaluations.effects import error_covariances
from socrates_core.evaluations.results import Evaluation
from socrates_core.evaluations.spec import load_spec
from socrates_core.exposure import seals
from socrates_core.files import digest, read_json, write_json
from socrates_core.models.seen import training_of
from socrates_core.projects.run_export import effects_table
from socrates_core.reporting.run_report import write_report
from socrates_core.verdicts.verdict import Verdict
from tests.support.commands import command
from tests.support.jobs import evaluate_now
from tests.support.report_pages import change
from tests.support.reports import RSCRIPT, recompute, run_of

pytestmark = pytest.mark.usefixtures("no_worker")

ECHO = ModelRequest("echo")
ORDERED = 12  # studies of the starter corpus with effects: the options of healthcare's question have no order


def fingerprint(evaluation: Evaluation) -> str:
    return str(evaluation.manifest["fingerprint"])


def pairs_of(evaluation: Evaluation, *, without: str = "") -> EffectPairs:
    """The evaluation's effects with the covariance of their errors."""
    corpus = open_corpus("starter")
    effects = effect_rows(corpus, evaluation.rows)
    pairs = effect_pairs(effects, "study_id", errors=error_covariances(corpus, evaluation.rows, effects))
    return pairs.where(pairs.study != without)


def earned(evaluation: Evaluation, excluding: Sequence[str] = ()) -> ModelCalibration:
    found = calibration_for(fingerprint(evaluation), excluding=excluding)
    assert isinstance(found, ModelCalibration), found
    return found


def fitted(pairs: EffectPairs) -> Calibration:
    found = calibrate(pairs)
    assert isinstance(found, Calibration)
    return found


def same(ours: Calibration, theirs: Calibration) -> None:
    assert ours.as_dict() == pytest.approx(theirs.as_dict(), rel=1e-4, abs=1e-7)


def as_if(evaluation: Evaluation, *, model: str = "echo", shots: int = 0) -> None:
    """The evaluation as if another model had given its answers, or its prompts had shown answers of others."""
    path = evaluation.spec.path / "spec.json"
    stored = read_json(path)
    write_json(path, {**stored, "model": {**stored["model"], "name": model}, "shots": shots})
    manifest = {**evaluation.manifest, "content": load_spec(evaluation.id).content_digest()}
    write_json(evaluation.spec.path / "manifest.json", manifest)


def test_an_evaluation_that_ends_leaves_what_the_analysis_finds(evaluated: Evaluation) -> None:
    found, pairs = earned(evaluated), pairs_of(evaluated)
    assert found.calibration.n_studies == ORDERED and found.evaluations == (evaluated.id,)
    same(found.calibration, fitted(pairs))
    theirs = leave_one_study_out(pairs)
    assert isinstance(theirs, HeldOut)
    assert found.sentences[1].startswith(theirs.sentence())
    for ours, row in zip(found.held_out.rows, theirs.rows, strict=True):
        assert ours.method == row.method and ours.rmse == pytest.approx(row.rmse, rel=1e-4)
        assert ours.width == pytest.approx(row.width, rel=1e-4) and ours.coverage == pytest.approx(
            row.coverage
        )


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the stand-in had been shown to tell conditions apart, which its calibrated effects need to be shown."""
    monkeypatch.setattr(Verdict, "tells_conditions_apart", property(lambda _: True))


@pytest.mark.usefixtures("trusted")
def test_a_run_shows_the_intervals_of_a_fit_without_its_own_study(evaluated: Evaluation) -> None:
    run = run_of("weather", n=4)
    rest = fitted(pairs_of(evaluated, without="weather"))
    assert rest.n_studies == ORDERED - 1 and rest.slope != pytest.approx(
        earned(evaluated).calibration.slope, rel=1e-3
    )
    share = np.array([each.predicted.share for each in run.effects])
    span = run.effects[0].predicted.difference / share[0]
    expected = rest.calibrated(share)
    shown = run_charts.effects(run).query("who == 'calibrated'")
    assert len(shown) == len(run.effects) == 3
    assert shown["difference"].to_numpy() == pytest.approx(span * expected.effect, rel=1e-4)
    table = effects_table(run)
    for place, (low, high) in enumerate((("low_50", "high_50"), ("low_80", "high_80"), ("low", "high"))):
        for name, ends in ((low, expected.low[place]), (high, expected.high[place])):
            assert shown[name].to_numpy() == pytest.approx(span * ends, rel=1e-4)
            column = f"calibrated_{name}" if "_" in name else f"calibrated_{name}_90"
            assert table[column].to_numpy() == pytest.approx(shown[name].to_numpy())
    assert f"{ORDERED - 1} studies" in str(run.calibration)


@pytest.mark.usefixtures("trusted")
def test_the_chart_sets_calibrated_effects_apart_from_raw_ones_and_peoples(evaluated: Evaluation) -> None:
    run = run_of("weather", n=4)
    drawn, unit = frames.in_one_unit(run_charts.effects(run))
    figure = answer_charts.effects_forest(drawn, title="How far?", unit=unit, theme="light")
    names = [trace.name for trace in figure.data if trace.name]
    assert names == [
        "People’s answers",
        "Predicted by echo",
        "Calibrated, 90% interval for people’s true effect",
    ]
    human, raw, calibrated = (trace for trace in figure.data if trace.name)
    assert (human.marker.symbol, raw.marker.symbol, calibrated.marker.symbol) == (
        "circle",
        "circle-open",
        "diamond-open",
    )
    assert calibrated.marker.color == raw.marker.color != human.marker.color
    spans = [trace for trace in figure.data if trace.legendgroup == "calibrated" and not trace.name]
    first = drawn[drawn["who"] == "calibrated"].iloc[0]
    assert [tuple(span.x[:2]) for span in spans] == [
        (first["low"], first["high"]),
        (first["low_50"], first["high_50"]),
        (first["low_80"], first["high_80"]),
    ]
    assert not [trace for trace in figure.data if trace.legendgroup == "echo" and trace.mode == "lines"]


def test_without_a_verdict_calibrated_effects_are_numbers_and_not_shown(
    evaluated: Evaluation, tmp_path: Path
) -> None:
    run = run_of("weather", n=4)
    assert not run_charts.effects(run)["who"].eq("calibrated").any()
    printed = command("run", run.spec.run_id)
    assert "predictions none, because this model has not been shown to tell conditions apart" in printed
    assert "calibrated_low_90" not in printed
    folder = write_report(run, tmp_path / "out")
    page = (folder / "report.html").read_text()
    assert 'data-key="calibrated_low_90/0/1"' not in page and 'class="calibrated"' not in page
    assert "calibrated/0/1" in (folder / "numbers.csv").read_text()
    assert analysis.main(folder) == 0


@pytest.mark.usefixtures("trusted")
def test_a_report_holds_calibrated_effects_and_its_script_computes_them_again(
    evaluated: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of("weather", n=4)
    folder = write_report(run, tmp_path / "out")
    numbers = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    for c, effect in enumerate(run.effects, start=1):
        assert effect.calibrated is not None
        assert numbers[f"calibrated/0/{c}"] == effect.calibrated.difference
        assert numbers[f"calibrated_high_80/0/{c}"] == effect.calibrated.high[1]
    page = (folder / "report.html").read_text()
    assert 'data-key="calibrated_low_90/0/1"' in page and 'data-key="calibration_coverage_90"' in page
    assert page.count('class="calibrated"') == 2 * len(run.effects)
    pairs = pd.read_csv(folder / "data" / "pairs.csv")
    assert len(pairs) == numbers["calibration_n_effects"] and "starter/weather" not in set(pairs["study"])
    assert "effects, for the model's calibration" in (folder / "SOURCES.txt").read_text()
    assert analysis.main(folder) == 0
    change(folder / "data" / "pairs.csv", "human")
    capsys.readouterr()
    assert analysis.main(folder) == 1
    assert "calibration_slope: " in (printed := capsys.readouterr().out) and "calibrated/0/1: " in printed


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine, so analysis.R is not run")
@pytest.mark.usefixtures("trusted")
def test_the_r_script_fits_the_calibration_again_and_finds_changes(
    evaluated: Evaluation, tmp_path: Path
) -> None:
    folder = write_report(run_of("weather", n=4), tmp_path / "out")
    done = recompute(folder, "analysis.R")
    assert done.returncode == 0 and " 0 differences" in done.stdout, done.stdout + done.stderr
    page = (folder / "report.html").read_text(encoding="utf-8")
    mark = re.search(r'<data data-key="calibration_slope" value="[^"]*">([^<]*)</data>', page)
    assert mark
    changed = mark[0].replace(f">{mark[1]}<", ">0.98<")
    (folder / "report.html").write_text(page.replace(mark[0], changed), encoding="utf-8")
    done = recompute(folder, "analysis.R")
    assert done.returncode == 1 and "calibration_slope: 0.98 in report.html" in done.stdout
    assert analysis.main(folder) == 1
    (folder / "report.html").write_text(page, encoding="utf-8")
    change(folder / "data" / "pair_errors.csv", "covariance")
    done = recompute(folder, "analysis.R")
    assert done.returncode == 1 and "calibration_arm_sd: " in done.stdout, done.stdout + done.stderr


def test_effects_of_a_study_that_was_hidden_since_are_in_no_calibration(evaluated: Evaluation) -> None:
    assert "starter/talor" in set(earned(evaluated).pairs.study)
    rest = fitted(pairs_of(evaluated, without="talor"))
    seals.freeze(open_corpus("starter"), "talor")
    assert "starter/talor" not in set(earned(evaluated).pairs.study)
    same(earned(evaluated).calibration, rest)


def test_an_open_scale_has_no_calibrated_effect(evaluated: Evaluation) -> None:
    run = run_of("weather", n=4)
    assert run._calibrated(run.effects[0].predicted, None) is None


@pytest.mark.slow
def test_evaluations_add_up_and_no_effect_counts_twice(starter_home: Path) -> None:
    first = evaluate_now(studies=["framing", "garcia", "kakadu", "talor", "abortion"], cap=3)
    told = calibration_for(fingerprint(first))
    assert isinstance(told, str) and "here are 5 with" in told and "on 1 more study" in told
    second = evaluate_now(studies=["weather", "talor", "opportunity"], cap=5)
    found = earned(second)
    assert found.calibration.n_studies == 7 and set(found.evaluations) == {first.id, second.id}
    kept = pairs_of(first).where(pairs_of(first).study != "talor")
    more = pairs_of(second)
    columns = ("study", "human", "human_se", "predicted", "item")
    together = {name: np.concatenate([getattr(part, name) for part in (kept, more)]) for name in columns}
    joined = EffectPairs(**together, errors={**(kept.errors or {}), **(more.errors or {})})
    same(found.calibration, fitted(joined))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["studies", "participants"])
def test_a_study_that_the_model_saw_any_part_of_stays_out(
    evaluated: Evaluation, starter_home: Path, kind: str
) -> None:
    corpus = open_corpus("starter")
    split = make_split(
        corpus, kind, name="held", share=0.4, studies=["framing", "kakadu", "talor", "weather"]
    )
    training = training_of(corpus, split, split_rows(corpus, split, "train"))
    tuned = starter_home / "models" / "tuned"
    shutil.copytree(starter_home / "models" / "starter", tuned, symlinks=True)
    card = read_json(tuned / "card.json")
    write_json(tuned / "card.json", {**card, "saw": {"trainings": [training.model_dump(mode="json")]}})
    as_if(evaluated, model="tuned")
    keep_calibration(fingerprint(evaluated))
    found = earned(evaluated).calibration
    assert training.studies and found.n_studies == ORDERED - len(training.studies.keys() - {"healthcare"})
    unseen = pairs_of(evaluated)
    same(found, fitted(unseen.where(~np.isin(unseen.study, list(training.studies)))))


def test_it_is_said_where_nobody_knows_what_the_model_saw(evaluated: Evaluation) -> None:
    assert "has not seen" in str(earned(evaluated))
    as_if(evaluated, model="api:somebody")
    assert "may have seen" in keep_calibration(fingerprint(evaluated))


def test_frozen_answers_and_unfinished_evaluations_do_not_count(evaluated: Evaluation) -> None:
    seals.freeze(open_corpus("starter"), "talor")
    keep_calibration(fingerprint(evaluated))
    assert earned(evaluated).calibration.n_studies == ORDERED - 1
    write_json(evaluated.spec.path / "manifest.json", {**evaluated.manifest, "state": "partial"})
    assert "no evaluation of it" in keep_calibration(fingerprint(evaluated))


def test_evaluations_with_answers_of_others_in_the_prompt_do_not_count(evaluated: Evaluation) -> None:
    as_if(evaluated, shots=5)
    assert "no evaluation of it" in keep_calibration(fingerprint(evaluated))


def test_a_record_that_was_edited_or_damaged_counts_as_none(
    evaluated: Evaluation, starter_home: Path
) -> None:
    (path,) = (starter_home / "calibrations").iterdir()
    stored = json.loads(path.read_text())
    stored["calibration"]["slope"] = 1.0
    path.write_text(json.dumps(stored))
    for _ in range(2):
        told = calibration_for(fingerprint(evaluated))
        assert isinstance(told, str) and "edited or damaged" in told and "Evaluate the model again" in told
        path.write_text("{")
        assert "cannot be read" in str(calibration_for(fingerprint(evaluated)))
        path.write_text('{"digest": "x"}')
    keep_calibration(fingerprint(evaluated))
    earned(evaluated)


def test_a_record_holds_json_that_any_language_reads(evaluated: Evaluation, starter_home: Path) -> None:
    (path,) = (starter_home / "calibrations").iterdir()
    stored = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert stored["calibration"]["n_studies"] == ORDERED == len(stored["sd_ratios"])
    assert len(stored["effects"]["human"]) == stored["calibration"]["n_effects"]


def test_a_model_that_was_never_evaluated_has_a_reason(starter_home: Path) -> None:
    run = run_of("weather", n=4)
    assert isinstance(run.calibration, str) and "Evaluate it on at least 6" in run.calibration
    assert all(each.calibrated is None for each in run.effects)
    assert effects_table(run)["calibrated_low_90"].isna().all()


def test_a_calibration_of_an_earlier_version_says_so_and_counts_as_none(
    evaluated: Evaluation, starter_home: Path
) -> None:
    (path,) = (starter_home / "calibrations").iterdir()
    stored = read_json(path) | {"version": 1}
    del stored["digest"]
    write_json(path, stored | {"digest": digest(stored)})
    found = calibration_for(evaluated.manifest["fingerprint"])
    assert isinstance(found, str) and "by an earlier version" in found and "Evaluate the model again" in found


def test_the_spread_of_predicted_answers_is_held_against_peoples(
    evaluated: Evaluation, starter_home: Path
) -> None:
    (path,) = (starter_home / "calibrations").iterdir()
    rows = evaluated.rows[evaluated.rows["study_id"] == "kakadu"].dropna(subset=["value"])
    values = np.array(open_corpus("starter").stimuli("kakadu")[0].scale.values)
    predicted, people = [], []
    for _, cell in rows.groupby("condition_num"):
        shares = np.stack(cell["probabilities"].tolist()).mean(axis=0)
        predicted.append(shares @ values**2 - (shares @ values) ** 2)
        people.append(cell["value"].var())
    ratio = np.sqrt(np.sum(predicted) / np.sum(people))
    stored = read_json(path)["sd_ratios"]
    assert stored["starter/kakadu"] == pytest.approx(ratio)
    others = [value for study, value in stored.items() if study != "starter/kakadu"]
    found = earned(evaluated, ["starter/kakadu"])
    assert found.sd_ratio == pytest.approx(np.prod(others) ** (1 / len(others)))


def test_the_effect_to_plan_with_is_the_t_of_the_shown_intervals(evaluated: Evaluation) -> None:
    effect = earned(evaluated).effect(0.1, span=6.0)
    theirs = stats.t(effect.freedom, loc=effect.difference, scale=effect.scale)
    assert effect.freedom == ORDERED - 2
    assert effect.high == pytest.approx([theirs.ppf(share) for share in (0.75, 0.9, 0.95)])
    assert effect.probability_above(0.3) == pytest.approx(theirs.sf(0.3))
    drawn = effect.draws(20_000, np.random.default_rng(1))
    assert stats.kstest(drawn, theirs.cdf).pvalue > 0.001
    arms = earned(evaluated).arms(np.array([0.1, -0.2]), span=6.0)
    assert arms.spread[0] == pytest.approx(effect.scale)
