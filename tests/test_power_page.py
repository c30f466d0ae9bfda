"""Planning an experiment on the page and on the command line: the analysis' numbers, and a link that holds them."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestIndPower, TTestPower
from statsmodels.stats.proportion import proportion_effectsize
from streamlit.testing.v1 import AppTest

from pages.project.power_chart import power_curve
from socrates_core.analysis.arms import fieldings
from socrates_core.analysis.layout import Layout
from socrates_core.analysis.power import assurance, design_errors, minimum_detectable, sample_size
from socrates_core.calibrations import ModelCalibration
from socrates_core.errors import UserError
from socrates_core.evaluations.results import Evaluation
from socrates_core.projects.power import (
    Belief,
    arms_to_field,
    calibrated_belief,
    find_effect,
    plan,
    span_of,
    spread_of,
)
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.verdicts.verdict import Verdict
from tests.support.commands import command
from tests.support.pages import fine, fine_words, open_page
from tests.support.reports import run_of

pytestmark = pytest.mark.usefixtures("no_worker")

PAGE, RESULTS = "pages/project/power.py", "pages/project/results.py"


def metrics(app: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in app.metric}


def with_number(app: AppTest, start: str) -> Any:
    return next(each for each in app.number_input if each.label.startswith(start))


@pytest.fixture(scope="module")
def plain() -> Belief:
    return Belief(0.3, 0.15, 1.2, 0.3)  # the smallest effect that matters is the expected one


def test_a_plan_holds_the_numbers_of_the_analysis(plain: Belief) -> None:
    found = plan(plain, n=150, target=0.9)
    assert found.needed == sample_size(mean=0.3, sd=0.15, spread=1.2, target=0.9)
    theirs = TTestIndPower().solve_power(effect_size=0.25, power=0.9, alpha=0.05)
    assert found.needed_smallest == math.ceil(theirs) and found.needed is not None and found.needed > theirs
    assert found.power == pytest.approx(float(assurance(150, mean=0.3, sd=0.15, spread=1.2)))
    assert found.detectable == pytest.approx(float(minimum_detectable(150, spread=1.2, target=0.9)))
    errors = design_errors(150, mean=0.3, sd=0.15, spread=1.2)
    assert (found.as_dict()["type_s"], found.as_dict()["type_m"]) == (errors.sign, errors.size)
    row = found.curve.iloc[30]
    assert row["assurance"] == pytest.approx(float(assurance(row["n"], mean=0.3, sd=0.15, spread=1.2)))
    one_sided = TTestIndPower().power(0.25, row["n"], 0.025, alternative="larger")  # the expected direction
    assert row["power_of_smallest"] == pytest.approx(one_sided, abs=1e-6)
    assert found.curve["n"].max() > found.needed and found.curve["n"].is_unique


def test_no_effect_is_said_to_need_more_people_than_there_are() -> None:
    told = plan(Belief(0.0, 0.0, 1.0, 1e-4)).sentences()
    assert told["Sample size"].startswith("No plan up to 1,000,000 people")
    assert "any number of times" in told["Type M error"] and told["Assurance"].startswith(
        "No number up to 1,000,000"
    )


def test_a_prediction_that_knows_nothing_asks_for_no_number_of_people() -> None:
    """Effect 0.01, give or take 5: needed was 6 a group. The chance of its direction is Phi(0.002) = 50.1%."""
    found = plan(Belief(0.01, 5.0, 1.0, 0.5))
    assert found.needed is None and found.needed_smallest == math.ceil(
        TTestIndPower().solve_power(0.5, power=0.8, alpha=0.05)
    )
    assert "expected direction at all is 50%" in found.sentences()["Assurance"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: Belief(0.1, -1, 1, 0.1), "uncertainty of the effect is -1"),
        (lambda: Belief(0.1, 0, 0, 0.1), "spread of answers is 0"),
        (lambda: Belief(math.nan, 0, 1, 0.1), "effect is nan"),
        (lambda: Belief(0.1, 0, 1, 0.0), "smallest effect that would matter is 0"),
        (lambda: plan(Belief(0.1, 0, 1, 0.1), n=1), "1 people in each condition"),
        (lambda: plan(Belief(0.1, 0, 1, 0.1), target=1.0), "target power is 1.0"),
    ],
)
def test_what_cannot_be_planned_with_is_a_sentence(wrong: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        wrong()


def test_people_spread_as_their_answers_do_and_predictions_are_corrected(evaluated: Evaluation) -> None:
    run = run_of("weather", n=4)
    (outcome,) = {each.outcome for each in run.effects}
    people = [(cell.values, cell.counts) for cell in run.cells if cell.counts is not None]
    means = [np.average(values, weights=counts) for values, counts in people]
    squares = sum(((v - mean) ** 2 @ n) for (v, n), mean in zip(people, means, strict=True))
    found = spread_of(run, outcome)
    assert found.value == pytest.approx(math.sqrt(squares / (sum(n.sum() for _, n in people) - 4)))
    assert "people's own, over 4 conditions" in found.sentence
    for cell in run.cells:
        object.__setattr__(cell, "counts", None)
    assert isinstance(run.calibration, ModelCalibration)
    predicted = math.sqrt(np.mean([cell.sd**2 for cell in run.cells]))
    assert spread_of(run, outcome).value == pytest.approx(predicted / run.calibration.sd_ratio)
    vars(run)["calibration"] = "There is none."
    found = spread_of(run, outcome)
    assert found.value == pytest.approx(predicted) and "is not known" in found.sentence


@pytest.mark.parametrize("turn", [1, -1])
def test_conditions_to_field_are_the_ones_with_least_regret(evaluated: Evaluation, turn: int) -> None:
    run = run_of("weather", n=4)
    assert isinstance(run.calibration, ModelCalibration)
    share = np.array([each.predicted.share for each in run.effects])
    arms = run.calibration.arms(share, span=1.0)
    table = arms_to_field(run, run.effects[0].outcome, higher_is_better=turn == 1)
    span = run.effects[0].predicted.difference / share[0]
    for row in table.to_dict("records"):
        mean = turn * arms.mean
        best = fieldings(mean, arms.scale, size=row["n_conditions"], seed=0, freedom=arms.freedom)[0]
        assert row["conditions"] == [run.effects[place].condition for place in best.arms]
        assert row["regret"] == pytest.approx(best.regret * span, abs=4 * row["regret_se"])
    assert len(table) == 3 and table["regret"].iloc[-1] == 0 and table["regret"].is_monotonic_decreasing


def test_without_a_run_the_page_plans_with_a_guess_that_is_in_the_link(home: Path) -> None:
    app = open_page(PAGE)
    told = fine(app)
    assert "go without one" in told and "Type the smallest effect" in told and not metrics(app)
    with_number(app, "Smallest effect").set_value(0.25).run()
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=0.25):,}"
    assert f"Plan {sample_size(mean=0.25):,} people in each condition" in fine(app)
    assert "For the expected effect" not in metrics(app) and app.query_params["smallest"] == "0.25"
    with_number(app, "Effect that").set_value(0.5).run()
    assert metrics(app)["For the expected effect"] == f"{sample_size(mean=0.5, sd=0.1):,}"
    with_number(app, "People in each").set_value(90).run()
    assert {"mean": "0.5", "n": "90"}.items() <= dict(app.query_params).items()
    again = open_page(PAGE, mean="0.5", n="90", target="0.9", smallest="0.3")
    fine(again)
    assert metrics(again)["Needed for 90%"] == f"{sample_size(mean=0.3, target=0.9):,}"
    assert metrics(again)["For the expected effect"] == f"{sample_size(mean=0.5, sd=0.1, target=0.9):,}"
    assert metrics(again)["Detectable with 90"] == f"{float(minimum_detectable(90, target=0.9)):.3g}"


@pytest.mark.parametrize(
    "link",
    [
        {"mean": "nan", "n": "-5"},
        {"sd": "abc", "target": "7"},
        {"run": "gone", "unit": "x", "smallest": "-2"},
    ],
)
def test_a_link_that_makes_no_sense_still_opens(home: Path, link: dict[str, str]) -> None:
    fine(open_page(PAGE, **link))


def test_a_guess_in_scale_points_needs_a_spread_above_zero(home: Path) -> None:
    app = open_page(PAGE, unit="points", mean="1", sd="0", spread="2", smallest="1")
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=0.5):,}"
    with_number(app, "Standard deviation").set_value(0.0).run()
    assert not app.exception and "spread of answers is 0" in app.error[0].value


def filled_page(run: SimulationRun, **link: str) -> AppTest:
    return open_page(PAGE, run=run.spec.run_id, **link)


def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the stand-in had been found to tell conditions apart on other studies."""
    monkeypatch.setattr(Verdict, "tells_conditions_apart", property(lambda _: True))


def test_a_model_that_does_not_beat_no_effect_gets_no_headline(evaluated: Evaluation) -> None:
    run = run_of("weather", n=4)
    effect = run.effects[1]
    spread = spread_of(run, effect.outcome).value
    assert isinstance(run.calibration, ModelCalibration) and not run.verdict.tells_conditions_apart
    app = filled_page(run, condition="1", smallest="5")
    told = fine(app)
    assert "says nothing reliable about your effect" in told and run.verdict.sentence in told.replace(
        "\\", ""
    )
    assert "For the expected effect" not in metrics(app)
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=5, spread=spread):,}"
    assert not any("regret" in each.value for each in app.dataframe)


def test_a_run_is_planned_for_from_its_calibrated_effect(
    evaluated: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    believed(monkeypatch)
    run = run_of("weather", n=4)
    effect = run.effects[1]
    app = filled_page(run, condition="1", smallest="5")
    told = fine(app)
    assert effect.calibrated is not None
    spread = spread_of(run, effect.outcome).value
    assert isinstance(run.calibration, ModelCalibration)
    freedom = run.calibration.calibration.n_studies - 2
    scale = (effect.calibrated.high[2] - effect.calibrated.difference) / stats.t.ppf(0.95, freedom)
    needed = sample_size(mean=effect.calibrated.difference, sd=scale, freedom=freedom, spread=spread)
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=5, spread=spread):,}"
    assert metrics(app)["For the expected effect"] == ("no number" if needed is None else f"{needed:,}")
    assert "Type S error" in told and "Type M error" in told and "studies that the model has not seen" in told
    arms = next(each.value for each in app.dataframe if "regret" in each.value)
    assert (
        arms["regret"].tolist()
        == arms_to_field(run, effect.outcome, higher_is_better=True)["regret"].tolist()
    )
    assert arms["by_chance"].tolist() == pytest.approx([100 / 3, 200 / 3, 100])
    with_number(app, "Smallest").set_value(0.9).run()
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=0.9, spread=spread):,}"
    assert app.query_params["smallest"] == "0.9"
    app.selectbox(key=f"condition:{run.spec.run_id}:0").set_value("2").run()
    assert "smallest" not in app.query_params and fine(app)


def test_without_a_calibration_the_page_says_why_and_takes_a_guess(starter_home: Path) -> None:
    run = run_of("weather", n=4)
    app = filled_page(run, smallest="4")
    told = fine(app)
    assert "No calibrated effects" in told and "Evaluate it on at least 6" in told
    spread = spread_of(run, run.effects[0].outcome).value
    assert metrics(app)["Needed for 80%"] == f"{sample_size(mean=4, spread=spread):,}"
    assert "For the expected effect" not in metrics(app)
    with_number(app, "Effect that").set_value(2.0).run()
    assert (
        metrics(app)["For the expected effect"] == f"{sample_size(mean=2, sd=0.1 * spread, spread=spread):,}"
    )
    app.selectbox(key=f"condition:{run.spec.run_id}:0").set_value("1").run()
    assert "smallest" not in app.query_params and fine(app)  # it was typed for the first condition
    effects = open_page(RESULTS, run=run.spec.run_id)
    effects.segmented_control(key="results_view").set_value("Effects").run()
    assert "Evaluate it on at least 6" in fine(effects)


def test_the_results_page_says_how_the_calibration_held(evaluated: Evaluation) -> None:
    run = run_of("talor", n=4)
    app = open_page(RESULTS, run=run.spec.run_id)
    app.segmented_control(key="results_view").set_value("Effects").run()
    told = fine(app).replace("\\", "")
    assert isinstance(run.calibration, ModelCalibration)
    assert run.calibration.held_out.sentence() in told and "of the scale wide on average" in told
    table = app.dataframe[0].value
    assert table["in 90%"].iloc[0] == pytest.approx(run.calibration.held_out.rows[0].coverage[2], abs=5e-4)


def test_the_curve_marks_the_target_and_what_can_be_afforded(plain: Belief) -> None:
    figure = power_curve(plan(plain, n=60), model="starter", theme="dark")
    assert [trace.name for trace in figure.data] == [
        "The effect with its uncertainty (assurance)",
        "The smallest effect that would matter",
    ]
    assert {shape.y0 for shape in figure.layout.shapes} >= {0.8}
    assert {shape.x0 for shape in figure.layout.shapes} >= {60}


def test_the_command_gives_the_same_numbers(evaluated: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    believed(monkeypatch)
    run = run_of("weather", n=4)
    names = run.effects[1].outcome, run.effects[1].condition
    told = json.loads(
        command(
            "power",
            run.spec.run_id,
            "--outcome",
            names[0],
            "--condition",
            names[1],
            "--smallest",
            "5",
            "--json",
        )
    )
    effect = find_effect(load_run(run.spec.run_id), *names)
    assert effect.calibrated is not None
    expected = plan(
        calibrated_belief(run, effect, spread=told["belief"]["spread"], smallest=5.0) or Belief(0, 0, 1, 1)
    )
    assert "It rests on the model's calibrated effect, from" in told["told"]["Assurance"]
    assert told["needed"] == expected.needed and told["detectable"] == pytest.approx(expected.detectable)
    assert [row["n_conditions"] for row in told["arms"]] == [1, 2, 3]
    assert "Type M error" in command("power", run.spec.run_id, "--lower-is-better", "--smallest", "5")
    shown = json.loads(command("run", run.spec.run_id, "--json"))
    assert shown["effects"][1]["calibrated_high_90"] == pytest.approx(effect.calibrated.high[2])
    # 13 studies, but not healthcare, whose options have no order, nor the draft's own
    assert "11 studies" in shown["calibration"]["told"] and "11 studies" in command("run", run.spec.run_id)


def test_the_command_takes_a_guess_and_says_what_is_missing(
    starter_home: Path,
) -> None:
    told = json.loads(command("power", "--guess", "0.2", "--guess-sd", "0.1", "--smallest", "0.3", "--json"))
    assert (told["needed"], told["needed_smallest"]) == (sample_size(mean=0.2, sd=0.1), sample_size(mean=0.3))
    assert "Give --smallest" in command("power", "--guess", "0.2", code=2)
    alone = json.loads(command("power", "--smallest", "0.3", "--json"))
    assert (alone["needed"], alone["needed_smallest"]) == (None, sample_size(mean=0.3))
    assert "Give --spread" in command("power", "--smallest", "0.3", "--unit", "share", code=2)
    assert "no unit 'x'" in command("power", "--smallest", "0.3", "--unit", "x", code=2)
    run = run_of("weather", n=4)
    spread = spread_of(run, run.effects[0].outcome).value
    doubted = command("power", run.spec.run_id, "--smallest", "1")
    assert "Evaluate it on at least 6" in doubted and f"{sample_size(mean=1, spread=spread):,}" in doubted
    of_scale = json.loads(
        command("power", run.spec.run_id, "--smallest", "0.1", "--unit", "share", "--target", "80", "--json")
    )
    span = span_of(run, run.effects[0].outcome)
    assert span and of_scale["needed_smallest"] == sample_size(mean=0.1 * span, spread=spread)
    in_d = json.loads(command("power", run.spec.run_id, "--smallest", "0.3", "--unit", "d", "--json"))
    assert in_d["needed_smallest"] == sample_size(mean=0.3)
    assert "There is no outcome 'x'" in command(
        "power", run.spec.run_id, "--outcome", "x", "--guess", "1", "--smallest", "1", code=2
    )
    planned = command("power", run.spec.run_id, "--guess", "2", "--smallest", "0.3")
    assert (
        "people's own" in planned
        and f"{sample_size(mean=0.3, spread=spread_of(run, run.effects[0].outcome).value):,}" in planned
    )


def test_every_design_has_its_fields_and_its_sentence(home: Path) -> None:
    within = open_page(PAGE, smallest="0.4", assigned="paired", correlation="0.7")
    needed = TTestPower().solve_power(0.4 / math.sqrt(0.6), power=0.8, alpha=0.05)
    assert f"Plan {math.ceil(needed)} people, who are in both conditions" in fine_words(within)
    clusters = open_page(PAGE, smallest="0.4", assigned="clusters", cluster_size="10", icc="0.1")
    layout = Layout(cluster_size=10, icc=0.1)
    assert (
        f"Plan {sample_size(mean=0.4, layout=layout):,} people in each condition (groups of 10)"
        in fine_words(clusters)
    )
    unequal = open_page(PAGE, smallest="0.4", ratio="2", comparisons="3", r2="0.2")
    layout = Layout(ratio=2, n_comparisons=3, r2=0.2)
    first = sample_size(mean=0.4, layout=layout) or 0
    told = fine_words(unequal)
    assert f"Plan {first} people in the condition and {2 * first} in the reference" in told
    assert "Holm finds at least as much" in told and "Not covered: yes or no answers" in told


def test_yes_or_no_answers_are_planned_in_shares(home: Path) -> None:
    asked = open_page(PAGE, smallest="0.1", assigned="shares", base="0.3")
    fine(asked)
    assert not metrics(asked) and any("Choose shares of the scale" in each.value for each in asked.info)
    app = open_page(PAGE, smallest="0.1", assigned="shares", base="0.3", unit="share", n="150")
    fine(app)
    # the side that needs more people is the one towards one half
    h = proportion_effectsize(0.4, 0.3)
    needed = NormalIndPower().solve_power(h, power=0.8, alpha=0.05)
    assert metrics(app)["Needed for 80%"] == f"{math.ceil(needed):,}"
    found = NormalIndPower().solve_power(nobs1=150, power=0.8, alpha=0.05)
    share = math.sin(math.asin(math.sqrt(0.3)) + found / 2) ** 2 - 0.3
    assert metrics(app)["Detectable with 150"] == f"{share:.3g}"
    with pytest.raises(UserError, match="is not a share"):
        plan(Belief(None, 0, 1, 0.8), layout=Layout(base_share=0.5))


def test_the_command_plans_every_design(home: Path) -> None:
    told = command("power", "--smallest", "0.4", "--paired", "0.7")
    assert "who are in both conditions" in told and "Paired t test" in told
    layout = Layout(cluster_size=10, icc=0.1, ratio=2, n_comparisons=3, r2=0.2)
    answer = json.loads(
        command(
            *("power", "--smallest", "0.4", "--cluster-size", "10", "--icc", "0.1", "--ratio", "2"),
            *("--comparisons", "3", "--r2", "0.2", "--json"),
        )
    )
    needed = sample_size(mean=0.4, layout=layout) or 0
    assert (answer["needed_smallest"], answer["needed_reference"]) == (needed, 2 * needed)
    shares = json.loads(command("power", "--smallest", "0.1", "--share", "0.3", "--json"))
    assert shares["belief"]["unit"] == "shares of the scale" and shares["needed_smallest"] == 356


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--paired", "1.5"), "give a number from -0.99 to 0.99"),
        (("--paired", "0.5", "--ratio", "2"), "leave the ratio at 1"),
        (("--icc", "2"), "give a number from 0 to 1"),
        (("--comparisons", "0"), "give a number from 1 to 10,000"),
        (("--share", "1.2"), "share of yes in the reference is 1.2"),
    ],
)
def test_a_layout_that_makes_no_sense_is_a_sentence(
    home: Path, options: tuple[str, ...], sentence: str
) -> None:
    assert sentence in command("power", "--guess", "0.3", "--smallest", "0.3", *options, code=2)


@pytest.mark.parametrize("freedom", [4.0, math.inf])
def test_more_doubt_never_needs_fewer_people_for_yes_or_no(freedom: float) -> None:
    plans = [
        plan(Belief(0.15, sd, 1.0, 0.1, freedom=freedom), layout=Layout(base_share=0.2))
        for sd in (0.0, 0.02, 0.05, 0.1, 0.5)
    ]
    needed = [math.inf if planned.needed is None else planned.needed for planned in plans]
    assert needed == sorted(needed) and needed[0] < needed[1] and needed[-1] == math.inf
    assert len({planned.needed_smallest for planned in plans}) == 1
