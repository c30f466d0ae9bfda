"""Panel experiments: reversed orders, other wordings, the same people throughout, and the curve's numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.analysis.specification_curve import describe_curve
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.populations.panel import PanelSpec, draw_panel
from socrates_core.projects.experiments import (
    EXPERIMENTS,
    Experiment,
    Specification,
    cross,
    estimate_cost,
    load_experiment,
    one_order,
    resume,
    stop,
    submit_experiment,
)
from socrates_core.projects.paraphrases import load_paraphrases, paraphrased
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import asked_cells, load_spec, submit_simulation
from socrates_core.projects.specification_curves import EffectCurve, list_experiments, load_curves, run_states
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec, render_draft
from socrates_core.surveys.originals import texts_of
from tests.support.commands import as_json, command
from tests.support.drafts import ASKED, draft_of, kakadu, make_draft
from tests.support.experiments import BOTH, worded, work
from tests.support.jobs import ended
from tests.support.processes import end_worker
from tests.support.tiny_models import make_tiny_model

AGREE = ScaleSpec(low=1, high=7, labels={1: "Never", 7: "Always"})


def two_outcomes(**changes: Any) -> Draft:
    outcomes = (
        OutcomeSpec(name="Support", question="How much?", scale=AGREE),
        OutcomeSpec(name="Trust", question="How far?"),
    )
    return make_draft(outcomes=outcomes, **changes)


def curve_of(experiment: Experiment, outcome: str) -> EffectCurve:
    return next(each for each in load_curves(experiment) if each.outcome == outcome)


def test_the_curve_counts_signs_as_worked_out_by_hand() -> None:
    # sorted: -0.2 -0.1 0 0.1 0.3 -> median 0; of the others (-0.2, -0.1, 0, 0.3) only 0.3 has the sign of 0.1
    found = describe_curve(np.array([0.1, -0.2, np.nan, 0.0, 0.3, -0.1]), chosen=0, people=-0.05)
    assert (found.n, found.n_dropped, found.median, found.low, found.high) == (5, 1, 0.0, -0.2, 0.3)
    assert (found.chosen, found.n_others, found.n_like_chosen, found.n_like_people) == (0.1, 4, 1, 2)


def test_an_effect_of_zero_or_none_has_no_sign_to_share() -> None:
    found = describe_curve(np.array([0.0, 0.2]), chosen=0)
    assert found.n_like_chosen is None and found.n_like_people is None and found.n_others == 1
    empty = describe_curve(np.array([np.nan, np.nan]), chosen=1, people=0.1)
    assert empty.n == 0 and math.isnan(empty.median) and empty.n_like_people == 0


def test_the_cross_has_every_combination_once_and_formats_only_where_there_are_weights() -> None:
    found = cross(
        ["starter", "uniform", "api:x"],
        precisions=["auto", "fp32"],
        decodings=["exact", "paper"],
        orders=BOTH,
        paraphrases=[worded("plain"), worded("long")],
    )
    by_model = {
        name: sum(each.model.name == name for each in found) for name in ("starter", "uniform", "api:x")
    }
    assert by_model == {"starter": 2 * 2 * 2 * 3, "uniform": 2 * 3, "api:x": 2 * 2 * 3}
    assert len(set(found)) == len(found)
    assert found[0] == Specification(ModelRequest("starter"))
    assert {each.model.precision for each in found if each.model.name != "starter"} == {"auto"}


def test_one_command_asks_the_same_people_in_every_specification(home: Path, tmp_path: Path) -> None:
    draft = two_outcomes(
        panel=PanelSpec(kind="describe", describe={"age": {"30": 0.5, "60": 0.5}}, n=50, seed=3)
    )
    (tmp_path / "draft.yaml").write_text(
        render_draft(draft)
    )  # 50 people x 2 conditions x 2 outcomes = 200 cells
    (tmp_path / "other.yaml").write_text("- {name: plainer, outcomes: {Support: 'Are you for it?'}}")
    asked = [
        "experiment",
        str(tmp_path / "draft.yaml"),
        "--models",
        "echo,uniform",
        "--orders",
        "as written,reversed",
        "--paraphrases",
        str(tmp_path / "other.yaml"),
    ]
    try:
        told = as_json(*asked, "--wait")
        again = submit_experiment(draft, load_experiment(told["experiment_id"]).specifications[:1])
        assert ended(again.run_ids[0]).state == "done"
        shown = command("experiments", told["experiment_id"])
    finally:
        end_worker()
    assert len(told["specifications"]) == 8 and told["chosen"] == 0
    runs = [load_run(run_id) for run_id in told["run_ids"]]
    assert all(run.spec.people == tuple(draw_panel(draft.panel)) for run in runs)
    assert [run.manifest["n_answered"] for run in runs] == [200] * 8
    assert load_run(again.run_ids[0]).manifest["n_cached"] == 200
    curve = next(each for each in told["curves"] if each["outcome"] == "Support")
    by_number = {row["specification"]: row for row in curve["specifications"]}
    people = runs[0].people  # the effect worked out anew: 7 values, so the scale spans 6
    means = people[people["outcome"] == 0].groupby("condition")["mean"].mean()
    assert by_number[1]["effect"] == pytest.approx((means[1] - means[0]) / 6, abs=1e-12)
    assert [row["effect"] for row in curve["specifications"] if row["model"] == "uniform"] == [0] * 4
    assert len({by_number[n]["effect"] for n in (1, 2, 3, 4)}) == 4
    assert curve["n"] == 8 and curve["people"] is None
    assert sorted(each["n_complete"] for each in list_experiments()) == [1, 8]
    assert "8 of 8 specifications" in shown and "Chosen: 1, echo" in shown


@pytest.mark.usefixtures("no_worker")
def test_what_a_wording_of_another_question_leaves_alone_is_not_counted_twice(home: Path) -> None:
    other = worded("other trust", outcomes={"Trust": "Do you trust them?"})
    made = submit_experiment(
        two_outcomes(), cross(["echo"], paraphrases=[other], orders=BOTH), chosen=2, paraphrases=[other]
    )
    work()
    support, trust = curve_of(made, "Support"), curve_of(made, "Trust")
    assert trust.curve.n == 4 and trust.rows["same_as"].isna().all()
    assert support.curve.n == 2 and support.curve.n_others == 1
    doubles = support.rows.set_index("specification")["same_as"].dropna()
    assert dict(doubles) == {1: 3, 4: 2}  # the chosen third is the one that stays
    assert support.drawn["chosen"].sum() == 1


@pytest.mark.usefixtures("no_worker")
def test_a_model_reads_the_reversed_order_and_its_number_formats_are_told_apart(home: Path) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit")
    made = submit_experiment(
        two_outcomes(),
        cross(["tiny"], precisions=["fp32", "bf16"], orders=BOTH),
    )
    work()
    written, turned = (load_run(run_id) for run_id in made.run_ids[:2])
    for one, other in zip(asked_cells(written.spec), asked_cells(turned.spec), strict=True):
        assert one.question.options == other.question.options
        assert "from 1 to 7" in one.question.prompt.user and "from 7 to 1" in other.question.prompt.user
    assert np.allclose([sum(p) for p in turned.people["probabilities"]], 1)
    rows = curve_of(made, "Support").rows
    assert dict(zip(rows["specification"], rows["precision"], strict=True)) == {
        1: "fp32",
        2: "fp32",
        3: "bf16",
        4: "bf16",
    }
    effects = dict(zip(rows["specification"], rows["effect"], strict=True))
    assert effects[1] != effects[2]
    own = {each.outcome: each.predicted.share for each in turned.effects}
    assert effects[2] == own["Support"]


@pytest.mark.usefixtures("no_worker")
def test_people_stand_beside_the_curve_with_the_interval_of_their_own_words(starter_home: Path) -> None:
    made = submit_experiment(kakadu(3), cross(["echo"], orders=BOTH))
    work()
    found = load_curves(made)[0]
    assert found.people is not None and {found.people.n, found.people.n_reference} == {909, 918}
    effect = load_run(made.run_ids[0]).effects[0].people
    assert (
        effect is not None and load_run(made.run_ids[1]).effects[0].people is None
    )  # nobody read it reversed
    assert found.people.share == pytest.approx(effect.difference / 2)  # three options: a span of 2
    assert found.people.low == pytest.approx(effect.low / 2)
    signs = np.sign(found.drawn["effect"]) == np.sign(effect.difference)
    assert found.curve.n_like_people == signs.sum()


@pytest.mark.usefixtures("no_worker")
def test_a_run_shows_the_studys_own_words_and_an_experiment_reverses_them(home: Path) -> None:
    draft = draft_of("fees", ASKED)
    alone = load_spec(submit_simulation(draft, ModelRequest("echo")).id)
    assert alone.shown == texts_of(draft) and alone.shown[0, 0].startswith("Please look at this")
    made = submit_experiment(draft, cross(["echo"], orders=["reversed"]))
    shown = load_spec(made.run_ids[0]).shown
    assert shown == {
        cell: text.replace("from 1 to 7", "from 7 to 1") for cell, text in texts_of(draft).items()
    }


@pytest.mark.usefixtures("no_worker")
def test_a_partial_experiment_shows_what_is_there_and_takes_up_the_rest(home: Path) -> None:
    made = submit_experiment(make_draft(), cross(["echo", "uniform"], orders=BOTH), chosen=3)
    work(2)
    stop(made)
    assert run_states(made) == ["complete", "complete", "cancelled", "cancelled"]
    found = curve_of(made, "Support")
    assert found.curve.n == 2 and found.curve.n_dropped == 2 and math.isnan(found.curve.chosen)
    assert list_experiments()[0]["n_complete"] == 2
    resume(made)
    work()
    assert curve_of(made, "Support").curve.chosen == 0


@pytest.mark.usefixtures("no_worker")
def test_nothing_is_queued_where_one_specification_cannot_be_run(home: Path) -> None:
    upto = ScaleSpec(kind="if_upto", low=1, high=2, labels={1: "a", 2: "b"})
    fixed = make_draft(outcomes=(OutcomeSpec(name="O", question="q", scale=upto),))
    assert one_order(fixed) == ["O"]
    plain = worded("plain", outcomes={"Support": "Well?"})
    for draft, specifications, paraphrases, told in (
        (make_draft(), cross(["echo", "no_such_model"]), [], "no_such_model"),
        (fixed, cross(["echo"], orders=BOTH), [], "can be reversed"),
        (make_draft(), cross(["echo"], paraphrases=[plain]), [], "no wording 'plain'"),
        (make_draft(), cross(["echo"], paraphrases=[plain] * 2), [plain] * 2, "name of its own"),
        (make_draft(), cross(["echo", "api:gpt-4o"]), [], "--consent"),
        (make_draft(), [], [], "Choose 1 to 200"),
    ):
        with pytest.raises(UserError, match=told):
            submit_experiment(draft, specifications, paraphrases=paraphrases)
    assert store.list_jobs() == [] and list_experiments() == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{a: 1}", "holds no list"),
        ("- {name: x, question: y}", "question"),
        ("- [", "not valid YAML"),
    ],
)
def test_a_file_of_paraphrases_is_refused_in_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        load_paraphrases(path)


def test_a_paraphrase_must_name_and_change_a_text_of_the_draft() -> None:
    draft = make_draft()
    changed = paraphrased(draft, worded("x", conditions={"New": "In other words."}))
    assert changed.conditions == (draft.conditions[0], ConditionSpec(name="New", text="In other words."))
    for wrong, told in (
        (worded("x", conditions={"Nobody": "y"}), "Known: Control, New"),
        (worded("x", outcomes={"Support": " "}), "empty"),
        (worded("x", outcomes={"Support": "How much?"}), "the draft's own"),
    ):
        with pytest.raises(UserError, match=told):
            paraphrased(draft, wrong)


@pytest.mark.usefixtures("no_worker")
def test_an_experiment_that_was_edited_ends_in_a_sentence(home: Path) -> None:
    made = submit_experiment(make_draft(), cross(["echo"]))
    assert load_experiment(made.experiment_id) == made
    path = EXPERIMENTS.root / made.experiment_id / "experiment.json"
    path.write_text(path.read_text().replace('"chosen": 0', '"chosen": 1'))
    with pytest.raises(UserError, match="edited or damaged"):
        load_experiment(made.experiment_id)
    assert "edited or damaged" in list_experiments()[0]["title"]
    with pytest.raises(UserError, match="There is no experiment 'no'"):
        load_experiment("no")


def test_the_cost_counts_every_answer_and_knows_a_rough_time_before_a_first_run(home: Path) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit")
    draft = make_draft()
    people = draw_panel(draft.panel)
    cost = estimate_cost(draft, people, cross(["echo"], orders=BOTH))
    assert (cost.n_runs, cost.n_answers, cost.seconds, cost.usd) == (2, 16, 0, 0)
    rough = estimate_cost(draft, people, cross(["echo", "tiny"])).seconds
    assert rough is not None and 0 < rough < 60
