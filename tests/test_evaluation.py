"""Evaluations from the split to the table: who is asked, what is scored, what survives a stop."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import popfidelity.metrics
import pytest
from scipy.stats import wasserstein_distance

from socrates_core.asking.cache import open_cache
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.splits import load_split, save_split, split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation, list_evaluations, load_evaluation
from socrates_core.evaluations.rows import asked_rows, questions_of
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.spec import load_spec, plan_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.jobs import store
from socrates_core.jobs.progress import Cancelled, Reporter, read_progress
from socrates_core.models.seen import training_of
from socrates_core.populations.bands import group
from socrates_core.prompts import render_prompt
from tests.support.jobs import evaluate_now

pytestmark = pytest.mark.usefixtures("no_worker")

STUDIES = ("framing", "kakadu", "talor")
ECHO, UNIFORM = ModelRequest("echo"), ModelRequest("uniform")


def evaluated(
    model: ModelRequest, *, cap: int | None = 6, seed: int = 0, split: str | None = None
) -> Evaluation:
    return evaluate_now(model, split=split, studies=() if split else STUDIES, cap=cap, seed=seed)


def test_everyone_is_asked_in_the_cell_that_they_were_in(starter_home: Path) -> None:
    spec = plan_evaluation(ECHO, studies=["kakadu"], cap=None)
    rows = asked_rows(spec)
    corpus = open_corpus("starter")
    assert len(rows) == corpus.study("kakadu").n_responses
    told = corpus.ask("SELECT * FROM read_parquet($responses) WHERE study_id = 'kakadu' ORDER BY sample_id")
    ours = rows.sort_values("sample_id", ignore_index=True)
    assert ours["participant"].tolist() == told["participant"].tolist()
    assert ours["stimulus_id"].tolist() == told["stimulus_id"].tolist()
    first = rows.iloc[0]
    question = next(questions_of(corpus, "kakadu", rows.iloc[:1], spec))
    assert corpus.stimulus("kakadu", int(first["stimulus_id"])).stimulus in question.prompt.user
    age = corpus.participant("kakadu", int(first["participant"])).demographics.get("age")
    assert age is None or f"- Age: {age}\n" in question.prompt.user


def test_a_larger_cap_keeps_the_people_of_a_smaller_one(starter_home: Path) -> None:
    few, more = (asked_rows(plan_evaluation(ECHO, studies=STUDIES, cap=cap)) for cap in (3, 9))
    assert set(few["sample_id"]) < set(more["sample_id"])
    people = few.groupby(["study_id", "condition_num", "task_num"])["participant"].nunique()
    assert (people == 3).all()
    other = asked_rows(plan_evaluation(ECHO, studies=STUDIES, cap=3, seed=1))
    assert set(other["sample_id"]) != set(few["sample_id"])


def test_a_split_asks_its_held_out_side_alone(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    save_split(
        make_split(corpus, "studies", name="held", share=0.3, seed=1, studies=[*STUDIES, "weather", "garcia"])
    )
    rows = asked_rows(plan_evaluation(ECHO, split="held", cap=5))
    split = load_split("held")
    assert set(rows["study_id"]) == set(split.held_out)
    trained = split_rows(corpus, split, "train")[["study_id", "sample_id"]]
    assert rows.merge(trained, on=["study_id", "sample_id"]).empty


def test_an_evaluation_repeated_comes_from_the_cache_bit_for_bit(starter_home: Path) -> None:
    first, second = evaluated(ECHO), evaluated(ECHO)
    assert first.id != second.id and second.manifest["n_tokens"] == 0
    pd.testing.assert_frame_equal(first.rows, second.rows)


def test_a_cancelled_evaluation_keeps_its_answers_and_says_that_it_is_partial(starter_home: Path) -> None:
    job = submit_evaluation(ECHO, studies=STUDIES, cap=6)
    claimed = store.claim_next()
    assert claimed is not None

    class Stopping(Reporter):
        def advance(self, computed: int) -> None:
            super().advance(computed)
            if computed >= 20:
                raise Cancelled

    with pytest.raises(Cancelled):
        run_evaluation(job.id, Stopping(claimed))
    found = load_evaluation(job.id)
    assert found.partial and found.manifest["n_answered"] == 20
    with open_cache() as cache:
        assert cache.count() == 20
    run_evaluation(job.id, Reporter(claimed))
    whole = load_evaluation(job.id)
    assert not whole.partial and whole.manifest["n_answered"] == whole.manifest["n_rows"]
    progress = read_progress(claimed)
    assert progress is not None and progress.cached == 20 and progress.done == progress.total


def test_the_published_measures_are_scipy_s_and_popfidelity_s(starter_home: Path) -> None:
    found = evaluated(ECHO)
    cells = []
    for (study, *_), cell in found.rows.groupby(["study_id", "condition_num", "task_num"]):
        human, drawn = cell["response"].to_numpy(dtype=float), cell["drawn"].to_numpy(dtype=float)
        low, high = human.min(), human.max()
        if high > low:
            clipped = np.clip(drawn, low, high)
            places = np.unique([*human, *clipped])
            ours, theirs = ([np.mean(each == place) for place in places] for each in (human, clipped))
            w = wasserstein_distance(
                (places - low) / (high - low), (places - low) / (high - low), ours, theirs
            )
            if np.allclose(np.diff(places), 1):  # popfidelity's is of equally spaced answers
                assert popfidelity.metrics.distance([ours], [theirs], "nemd")[0] == pytest.approx(
                    w, abs=1e-12
                )
            cells.append((study, float(w), 1 - np.abs(drawn - human).mean() / (high - low)))
    by_study = pd.DataFrame(cells, columns=["study", "w", "accuracy"]).groupby("study").mean()
    scored = Comparison([found]).summaries[0].measures
    assert scored["wasserstein_observed"].value == pytest.approx(by_study["w"].mean(), abs=1e-12)
    assert scored["accuracy_draw"].value == pytest.approx(by_study["accuracy"].mean(), abs=1e-12)


def test_models_baselines_and_halves_stand_on_the_same_rows(starter_home: Path) -> None:
    both = Comparison([evaluated(ECHO), evaluated(UNIFORM, cap=9)])
    table = both.table().set_index("name")
    names = [
        "echo (stand-in)",
        "uniform (stand-in)",
        "uniform",
        "condition-blind",
        "pooled",
        "majority",
        "pilot of 6 to 30 people",
        "half-sample",
        "oracle",
    ]
    assert list(table.index) == names
    n_rows = dict(zip(table.index, table["n_rows"], strict=True))
    assert n_rows["echo (stand-in)"] == n_rows["uniform (stand-in)"]
    exact = dict(zip(table.index, table["wasserstein_exact_stated"], strict=True))
    assert exact["uniform"] == pytest.approx(
        exact["uniform (stand-in)"], abs=1e-12
    )  # two ways to the same row
    assert (
        exact["pooled"] < exact["uniform"] and exact["pooled"] < exact["condition-blind"]
    )  # it knows the answers
    assert exact["oracle"] == pytest.approx(exact["half-sample"] / 2, rel=0.05)
    paired = both.paired("wasserstein_exact_stated", "echo (stand-in)", "uniform", lower_is_better=True)
    difference = exact["echo (stand-in)"] - exact["uniform"]
    assert paired.n_studies == 3 and paired.difference.value == pytest.approx(difference)


def test_effects_are_differences_of_the_means_beside_everybody_s(starter_home: Path) -> None:
    found = evaluated(ECHO)
    effects = Comparison([found]).effects
    one = effects[effects["study_id"] == "talor"].iloc[0]
    rows = found.rows[(found.rows["study_id"] == "talor") & (found.rows["task_num"] == one["task_num"])]
    mean = rows.groupby("condition_num")["mean"].mean()
    span = one["span"]
    assert one["predicted"] == pytest.approx((mean[one["condition_num"]] - mean[one["reference_num"]]) / span)
    everybody = open_corpus("starter").responses("talor")
    everybody = everybody[everybody["task_num"] == one["task_num"]].dropna()
    people = everybody.groupby("condition_num")["response"].agg(["mean", "var", "size"])
    treated, base = people.loc[one["condition_num"]], people.loc[one["reference_num"]]
    assert one["human"] == pytest.approx((treated["mean"] - base["mean"]) / span)
    error = np.sqrt(treated["var"] / treated["size"] + base["var"] / base["size"]) / span
    assert one["human_se"] == pytest.approx(error)


def test_rows_that_a_model_saw_never_enter_the_headline(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    split = make_split(corpus, "studies", name="held", share=0.4, seed=0, studies=STUDIES)
    save_split(split)
    training = training_of(corpus, split, split_rows(corpus, split, "train"))
    base = starter_home / "models" / "tuned"
    base.mkdir()
    for file in (starter_home / "models" / "starter").iterdir():
        if file.name != "card.json":
            (base / file.name).symlink_to(file.resolve())
    card = json.loads((starter_home / "models" / "starter" / "card.json").read_text())
    saw = {"trainings": [training.model_dump(mode="json")]}
    (base / "card.json").write_text(json.dumps({**card, "saw": saw}))
    found = evaluated(ECHO)
    tuned = Evaluation(
        found.spec.__class__(**{**vars(found.spec), "model": ModelRequest("tuned")}), found.manifest
    )
    vars(tuned)["rows"] = found.rows
    comparison = Comparison([tuned])
    seen = found.rows["study_id"].isin([study for study in STUDIES if study not in split.held_out])
    assert comparison.n_left_out == int(seen.sum()) > 0
    assert set(comparison.summaries[0].by_study.index) == set(split.held_out)


def test_an_edited_evaluation_is_not_believed(starter_home: Path) -> None:
    found = evaluated(ECHO)
    path = found.spec.path / "spec.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match="changed or damaged"):
        load_evaluation(found.id)
    path.write_text("{")
    assert list_evaluations()[0]["state"] == "damaged"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"studies": ["nowhere"]}, "There is no study 'nowhere'"),
        ({}, "Nothing is asked"),
        ({"studies": ["talor"], "cap": 1}, "Give at least 2"),
        ({"split": "nowhere"}, "There is no split 'nowhere'"),
    ],
)
def test_a_wrong_request_is_refused_in_a_sentence(
    asked: dict[str, object], sentence: str, starter_home: Path
) -> None:
    with pytest.raises(UserError, match=sentence):
        submit_evaluation(ECHO, **asked)  # type: ignore[arg-type]  # what the command line could pass


def test_ages_are_compared_in_bands() -> None:
    ages = pd.Series([17, 19, 30, 59, 60, None])
    assert group(ages, "age").tolist() == ["0-17", "18-29", "30-44", "45-59", "60+", None]
    assert group(pd.Series(["Ohio", None]), "location").tolist() == ["Ohio", None]


def test_a_prompt_is_the_one_that_a_study_page_shows(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    spec = plan_evaluation(ECHO, studies=["talor"], cap=2)
    rows = asked_rows(spec)
    for question, row in zip(questions_of(corpus, "talor", rows, spec), rows.itertuples(), strict=True):
        person = corpus.participant("talor", int(row.participant))  # type: ignore[arg-type]
        shown = corpus.stimulus("talor", int(row.stimulus_id)).stimulus  # type: ignore[arg-type]
        assert question.prompt == render_prompt(person.demographics, shown)


def test_examples_are_answers_of_people_who_are_not_asked(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    spec = plan_evaluation(ECHO, studies=["kakadu"], cap=4, shots=3)
    rows = asked_rows(spec)
    told = corpus.responses("kakadu")
    others = told[~told["participant"].isin(rows["participant"])]
    for question, row in zip(
        questions_of(corpus, "kakadu", rows, spec), rows.to_dict("records"), strict=True
    ):
        assert len(question.prompt.shots) == 3
        shown = corpus.stimulus("kakadu", int(row["stimulus_id"])).stimulus
        answers = set(others.loc[others["stimulus_id"] == row["stimulus_id"], "value"].dropna())
        for asked, answered in question.prompt.shots:
            assert asked.endswith(shown) and float(answered) in answers
    plain = plan_evaluation(ECHO, studies=["kakadu"], cap=4)
    assert plain.content_digest() != spec.content_digest()
    everybody = plan_evaluation(ECHO, studies=["kakadu"], cap=None, shots=3)
    with pytest.raises(UserError, match="3 examples are requested"):
        list(questions_of(corpus, "kakadu", asked_rows(everybody), everybody))


def test_nothing_leaves_this_machine_without_consent(starter_home: Path) -> None:
    served = ModelRequest("api:gpt-4o")
    with pytest.raises(UserError, match=r"16 questions leave this machine .* 16 real participants"):
        submit_evaluation(served, studies=["kakadu"], cap=8)
    assert not list_evaluations()
    job = submit_evaluation(served, studies=["kakadu"], cap=8, consent=True)
    spec = load_spec(job.id)
    assert spec.permission is not None and spec.permission["n_people"] == 16 and spec.allowed_usd() is None
