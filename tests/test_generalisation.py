"""Finetunes against their base on what training held out: the table, parity before and after, learning curves."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.stats import t, wasserstein_distance
from typer.testing import CliRunner

from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.parity import parity, parity_change
from socrates_core.cli.generalise import generalise
from socrates_core.corpus.splits import load_split, save_split, split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.results import Evaluation
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.files import write_json
from socrates_core.finetuning.generalisation import (
    Pair,
    find_pairs,
    generalisation_table,
    open_finetune,
    relative_improvement,
    submit_missing,
)
from socrates_core.finetuning.learning_curve import curve_table, learning_curves
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.models.seen import Seen, training_of
from socrates_core.records import Floats
from tests.support.adapters import make_adapter
from tests.support.jobs import start_no_worker
from tests.support.pages import fine, open_page
from tests.support.splits import made_up
from tests.support.tiny_models import make_tiny_model

pytestmark = pytest.mark.slow

STATED = "wasserstein_exact_stated"
SHARES = (0.1, 1.0)


@pytest.fixture(scope="module")
def tuned_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A base, two finetunes that differ in their share of people, one by people; the first two evaluated."""
    home = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(home))
        start_no_worker(patch)
        corpus = made_up([(2, 1, 8, False)] * 12)
        for kind in ("studies", "participants"):
            save_split(make_split(corpus, kind, name=kind, share=0.5, seed=1))
        base = make_tiny_model(home / "models" / "base", "single-digit")
        for seed, share in enumerate(SHARES):
            tune(base, f"grown-{100 * share:g}", seed, people_share=share)
            evaluate_missing(f"grown-{100 * share:g}")
        tune(base, "by-people", 7, split="participants")
        yield home


@pytest.fixture(scope="module")
def table(tuned_home: Path) -> pd.DataFrame:
    return generalisation_table([pair for pair in find_pairs() if pair.kind == "studies"])


def named(finetune: str) -> Pair:
    return next(pair for pair in find_pairs() if pair.finetune.name == finetune)


def tune(base: Path, name: str, seed: int, **settings: Any) -> Path:
    """A random adapter with the card of a finetune on the training side of a split."""
    spec = TrainingSpec(**({"name": name, "base": "base", "split": "studies"} | settings))
    path = make_adapter(base, base.parents[1] / "adapters" / name, seed)
    corpus = open_corpus("made")
    split = load_split(spec.split)
    saw = Seen(trainings=(training_of(corpus, split, split_rows(corpus, split, "train")),))
    training = {"id": name, "spec": spec.model_dump(mode="json"), "n_examples": round(50 * spec.people_share)}
    write_json(path / "card.json", {"saw": saw.as_dict(), "lineage": ["base", name], "training": training})
    return path


def evaluate_missing(name: str, cap: int | None = 6) -> list[str]:
    """Works the missing evaluations of a finetune off; the models that were asked."""
    jobs = submit_missing(open_finetune(name), cap=cap)
    for _ in jobs:
        claimed = store.claim_next()
        assert claimed is not None
        store.finish(claimed, "done", result=run_evaluation(claimed.args["evaluation_id"], Reporter(claimed)))
    return [job.title.partition(" · ")[2] for job in jobs]


def by_hand(evaluation: Evaluation, human: pd.DataFrame) -> dict[str, float]:
    """W on the stated scale 1 to 5 by study: scipy's, of the mean distribution of each cell."""
    rows = evaluation.rows.merge(human, on=["study_id", "sample_id"])
    found: dict[str, list[float]] = {}
    for (study, _, _), cell in rows.groupby(["study_id", "condition_num", "task_num"]):
        shares = np.mean(np.stack(cell["probabilities"].tolist()), axis=0)
        far = wasserstein_distance([1, 2, 3, 4, 5], cell["given"], shares, np.ones(len(cell)))
        found.setdefault(str(study), []).append(far / 4)
    return {study: float(np.mean(values)) for study, values in found.items()}


def test_improvement_is_one_minus_the_ratio_of_means_with_studies_left_out_in_pairs() -> None:
    rng = np.random.default_rng(3)
    before = rng.uniform(0.1, 0.3, 30)
    after = 0.7 * before + rng.normal(0, 0.005, 30)
    found = relative_improvement(before, after)
    # The delta method's error of a ratio of paired means (Cochran 1977, Sampling Techniques, section 6.4).
    left = after - after.mean() / before.mean() * before
    reach = t.ppf(0.975, 29) * left.std(ddof=1) / np.sqrt(30) / before.mean()
    assert found.value == pytest.approx(1 - after.mean() / before.mean())
    assert [found.low, found.high] == pytest.approx([found.value - reach, found.value + reach], abs=0.001)
    alone = relative_improvement(np.append(before, np.nan), np.append(after, 9.0))
    assert alone == found
    assert np.isnan(relative_improvement(before[:4], after[:4]).low)


def test_the_table_has_the_numbers_that_scipy_finds_in_the_evaluations(table: pd.DataFrame) -> None:
    pair = named("grown-100")
    human = open_corpus("made").ask(
        "SELECT study_id, sample_id, response AS given FROM read_parquet($responses)"
    )
    base, tuned = (by_hand(each, human) for each in pair.evaluations)
    rows = table.set_index("who")
    assert list(base) == sorted(load_split("studies").held_out) and len(base) == 6
    assert rows.loc[pair.base.model, STATED] == pytest.approx(np.mean([*base.values()]))
    found = rows.loc[pair.tuned.model]
    improved = 1 - np.mean([*tuned.values()]) / np.mean([*base.values()])
    assert found[STATED] == pytest.approx(np.mean([*tuned.values()]))
    assert found["improvement"] == pytest.approx(improved)
    assert found["improvement_low"] < improved < found["improvement_high"]
    assert (
        set(table["n_rows"]) == {48} and set(table["n_left_out"]) == {0} and set(table["kind"]) == {"studies"}
    )


def test_finetunes_of_one_split_share_one_row_of_their_base_and_of_each_baseline(table: pd.DataFrame) -> None:
    assert [name.partition(" ")[0] for name in table["who"]] == [
        "base",
        "grown-10",
        "grown-100",
        "uniform",
        "condition-blind",
        "half-sample",
        "oracle",
    ]
    assert list(table["role"]) == ["base", *["finetuned"] * 2, *["baseline"] * 4]


def test_what_another_training_saw_enters_no_score(tuned_home: Path) -> None:
    pair = named("grown-100")
    card = tuned_home / "adapters" / "grown-100" / "card.json"
    told = json.loads(card.read_text())
    study = next(iter(load_split("studies").held_out))
    try:
        write_json(card, told | {"saw": told["saw"] | {"studies": [study]}})
        row = generalisation_table([pair]).iloc[1]
        assert (row["n_studies"], row["n_left_out"], row["n_rows"]) == (5, 8, 40)
        write_json(card, told | {"saw": told["saw"] | {"studies": list(load_split("studies").held_out)}})
        alone = generalisation_table([pair])
        assert alone["n_rows"].tolist() == [0] and STATED not in alone
    finally:
        write_json(card, told)


def test_only_what_is_missing_is_evaluated_and_a_changed_model_anew(tuned_home: Path) -> None:
    assert evaluate_missing("grown-100") == []
    weights = tuned_home / "adapters" / "grown-100" / "adapter_model.safetensors"
    kept = weights.read_bytes()
    try:
        make_adapter(tuned_home / "models" / "base", weights.parent, 99)
        assert "grown-100" not in {pair.finetune.name for pair in find_pairs()}
        (job,) = submit_missing(open_finetune("grown-100"), cap=6)
        claimed = store.claim_next()
        assert claimed is not None and claimed.id == job.id and job.title == "studies · grown-100"
        store.finish(claimed, "cancelled")
    finally:
        weights.write_bytes(kept)
    assert named("grown-100")


def test_the_command_queues_both_models_and_its_table_has_each_kind_of_split(tuned_home: Path) -> None:
    app = typer.Typer()
    app.command()(generalise)
    asked = ["by-people", "--cap", "3"]
    told = json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)
    titles = [store.read_job(each).title for each in told["queued"]]
    assert titles == ["participants · base", "participants · by-people"]
    assert {row["kind"] for row in told["rows"]} == {"studies"}
    for each in told["queued"]:
        claimed = store.claim_next()
        assert claimed is not None
        store.finish(claimed, "done", result=run_evaluation(each, Reporter(claimed)))
    shown = CliRunner().invoke(app, asked).stdout.splitlines()
    assert not store.claim_next()
    assert [line.split()[0] for line in shown[1:14]] == ["studies"] * 7 + ["participants"] * 6
    people = next(line.split() for line in shown if "by-people" in line)
    assert people[-4] == "12" and people[-1] == "0"  # studies, rows seen


def test_a_model_without_a_training_and_a_split_made_anew_are_sentences(tuned_home: Path) -> None:
    with pytest.raises(UserError, match="does not describe a finetuning"):
        open_finetune("base")
    split = load_split("studies")
    try:
        save_split(make_split(open_corpus("made"), "studies", name="studies", share=0.5, seed=2))
        with pytest.raises(UserError, match="made again after 'grown-100'"):
            submit_missing(open_finetune("grown-100"))
    finally:
        save_split(split)


def test_a_learning_curve_joins_finetunes_that_differ_in_their_share_of_people_alone(
    table: pd.DataFrame,
) -> None:
    pairs = find_pairs()
    (curve,) = learning_curves(pairs)
    assert [pair.finetune.spec.people_share for pair in curve.pairs] == list(SHARES)
    drawn = curve_table(curve, curve.compare())
    tuned = drawn[drawn["role"] == "finetuned"]
    assert tuned["share"].tolist() == list(SHARES) and tuned["n_examples"].tolist() == [5, 50]
    assert drawn.loc[drawn["role"] != "finetuned", "share"].isna().all() and drawn["role"].iloc[0] == "base"
    assert tuned[STATED].tolist() == pytest.approx(table.loc[table["role"] == "finetuned", STATED].tolist())
    assert learning_curves([pairs[0]]) == []


def grouped(moved: dict[str, float], n: int = 80) -> list[PeopleCell]:
    """Two studies with `n` people a group who answer alike; each group's share `moved` is predicted to answer 1."""
    names, truth = list(moved), np.array([0.1, 0.2, 0.4, 0.2, 0.1])
    scale: Floats = np.arange(1.0, 6.0)
    groups = names * n
    predicted = np.array([(1 - moved[name]) * truth + moved[name] * np.eye(5)[0] for name in groups])
    return [
        PeopleCell(
            study_id=study,
            values=scale,
            participants=np.arange(len(groups)),
            human=np.random.default_rng(seed).choice(scale, p=truth, size=len(groups)),
            probabilities=predicted.copy(),
            groups=tuple(groups),
        )
        for seed, study in enumerate(("a", "b"))
    ]


def test_the_change_of_the_parity_gap_is_after_minus_before_on_the_same_people() -> None:
    before, after = grouped({"x": 0.6, "y": 0.0}), grouped({"x": 0.1, "y": 0.0})
    found = parity_change(before, after, seed=1)
    gaps = [parity(cells, seed=1).difference.value for cells in (before, after)]
    assert found.change.value == pytest.approx(gaps[1] - gaps[0]) and found.change.value < -0.1
    assert found.change.low < found.change.value < found.change.high < 0
    assert (found.before, found.after) == (parity(before, seed=1), parity(after, seed=1))
    back = parity_change(after, before, seed=1).change
    assert [back.value, back.low, back.high] == pytest.approx(
        [-found.change.value, -found.change.high, -found.change.low]
    )


def test_the_interval_of_a_clear_change_is_that_of_a_plain_paired_bootstrap() -> None:
    before, after = grouped({"x": 0.8, "y": 0.0}), grouped({"x": 0.4, "y": 0.0})
    found = parity_change(before, after, seed=1).change
    rng = np.random.default_rng(11)
    drawn = []
    for _ in range(600):
        gaps = np.zeros((2, 2))
        for study, pair in enumerate(zip(before, after, strict=True)):
            at = rng.integers(len(pair[0].human), size=len(pair[0].human))
            for model, cell in enumerate(pair):
                far = {}
                for name in ("x", "y"):
                    own = at[[cell.groups[each] == name for each in at]]
                    answers = (cell.human[own, None] == cell.values).astype(float)
                    apart = np.cumsum(answers - cell.probabilities[own], axis=1)[:, :-1]
                    noise = apart.var(axis=0, ddof=1) / len(own)
                    far[name] = float((apart.mean(axis=0) ** 2 - noise).mean())
                gaps[model, study] = far["x"] - far["y"]
        drawn.append(gaps[1].mean() - gaps[0].mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_a_person_whom_one_model_did_not_predict_counts_for_neither() -> None:
    before, after = grouped({"x": 0.5, "y": 0.0}), grouped({"x": 0.2, "y": 0.0})
    after[0].probabilities[:60] = np.nan
    found = parity_change(before, after, seed=1)
    assert (
        [each.n for each in found.before.subgroups]
        == [each.n for each in found.after.subgroups]
        == [130, 130]
    )
    short = grouped({"x": 0.5, "y": 0.0}, n=20)
    assert np.isnan(parity_change(short, short, seed=1).change.value)


def test_the_page_says_what_would_stand_there_before_any_finetune(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_no_worker(monkeypatch)
    from tests.support.evaluations import evaluate

    made_up([(2, 1, 8, False)])
    evaluate(studies=["s0"], corpus="made")
    told = fine(open_page("pages/evidence/evidence.py", compare_view="Finetunes"))
    assert "once both were evaluated" in told and "No model was finetuned" in told


def test_the_page_shows_the_table_the_groups_and_the_learning_curve(table: pd.DataFrame) -> None:
    app = open_page(
        "pages/evidence/evidence.py", compare_view="Finetunes", finetune=named("grown-10").tuned.id
    )
    told = fine(app)
    row = table[table["finetune"] == "grown-10"].iloc[0]
    shown = app.dataframe[0].value.set_index("Who").loc[row["who"]]
    assert shown["Closer than the base"].startswith(f"{100 * row['improvement']:.0f}% [")
    assert "Nothing is known about the people" in told
    charts = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert [trace["name"] for trace in charts[-1]["data"]][-1] == "Finetuned"
    axis = charts[-1]["layout"]["xaxis"]["title"]["text"].replace("<br>", " ")
    assert axis == "Share of the people trained on, of at most 32 a cell (logarithmic)"
    app.selectbox(key="generalise").set_value("grown-100")
    n = len(EVALUATIONS.ids())
    app.button(key="generalise_start").click().run()
    fine(app)
    assert len(EVALUATIONS.ids()) == n + 2  # the page's cap is another than the tests' own
