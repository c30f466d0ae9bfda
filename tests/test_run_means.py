"""The table that opens the results of a run: means, spreads, differences, groups, units, and the reference."""

import json
import math

import numpy as np
import pytest

from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.projects.run_means import in_unit, means, means_by_group, option_shares, sentences
from socrates_core.projects.run_results import SimulationRun
from socrates_core.verdicts.verdict import Verdict
from tests.support.commands import command
from tests.support.pages import PAGES, fine, open_page
from tests.support.reports import run_of

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def weather(starter_home: object) -> SimulationRun:
    return run_of("weather", n=12)


def test_people_s_rows_are_those_of_their_answers(weather: SimulationRun) -> None:
    responses = open_corpus("starter").responses("weather")
    scale = weather.scales[0]
    middle = (scale.values[0] + scale.values[-1]) / 2
    rows = [row for row in means(weather) if row.who == "people"]
    assert len(rows) == len(weather.spec.draft.conditions)
    for number, row in enumerate(rows):
        answers = responses.loc[
            (responses["condition_num"] == number) & responses["value"].notna(), "response"
        ]
        assert row.n == len(answers)
        assert row.mean == pytest.approx(answers.mean())
        # An answer between two values counts for both, which widens the spread a little.
        assert row.sd == pytest.approx(answers.std(ddof=1), rel=1e-3)
        assert row.above == pytest.approx(((answers > middle) + 0.5 * (answers == middle)).mean())
    assert math.isnan(rows[0].difference) and rows[1].level == 0.95 and rows[1].low < rows[1].difference


def test_predicted_differences_say_why_they_have_no_interval(weather: SimulationRun) -> None:
    rows = [row for row in means(weather) if row.who == "predicted"]
    assert rows[1].difference == pytest.approx(rows[1].mean - rows[0].mean)
    assert math.isnan(rows[1].low) and "has not been measured on enough studies" in rows[1].why
    assert any("no interval, because how wrong" in sentence for sentence in sentences(weather))


def test_an_interval_is_shown_where_the_verdict_has_earned_it(
    evaluated: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of("weather", n=12)
    predicted = next(row for row in means(run) if row.who == "predicted" and math.isfinite(row.difference))
    assert (
        math.isnan(predicted.low)
        and predicted.why == "this model has not been shown to tell conditions apart"
    )
    monkeypatch.setattr(Verdict, "tells_conditions_apart", property(lambda _: True))
    believed = next(row for row in means(run) if row.who == "predicted" and math.isfinite(row.difference))
    calibrated = run.effects[0].calibrated
    assert calibrated is not None and believed.difference == predicted.difference
    assert (believed.expected, believed.low) == (calibrated.difference, calibrated.low[-1])
    assert any("to expect of people:" in sentence for sentence in sentences(run))


def test_another_reference_moves_every_difference(weather: SimulationRun) -> None:
    names = [condition.name for condition in weather.spec.draft.conditions]
    against = weather.against(names[1])
    before = {(row.condition, row.who): row.difference for row in means(weather)}
    after = {(row.condition, row.who): row.difference for row in means(against)}
    for who in ("people", "predicted"):
        assert after[names[0], who] == pytest.approx(-before[names[1], who])
        assert math.isnan(after[names[1], who])
        assert after[names[2], who] == pytest.approx(before[names[2], who] - before[names[1], who])
    with pytest.raises(UserError, match="There is no condition 'x'"):
        weather.against("x")


def test_percent_are_of_the_scale(weather: SimulationRun) -> None:
    scale = weather.scales[0]
    low, span = scale.values[0], scale.values[-1] - scale.values[0]
    rows = means(weather)
    points, percent = in_unit(rows, weather, "points"), in_unit(rows, weather, "percent")
    assert percent["mean"].to_numpy() == pytest.approx(100 * (points["mean"].to_numpy() - low) / span)
    assert percent["difference"].dropna().to_numpy() == pytest.approx(
        100 * points["difference"].dropna().to_numpy() / span
    )


def test_options_without_an_order_have_shares_instead(starter_home: object) -> None:
    run = run_of("healthcare", n=4)
    assert means(run) == []
    table = option_shares(run)
    sums = table.groupby(["outcome", "condition", "who"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)))
    assert {"people", "predicted"} == set(table["who"])


def test_groups_have_the_means_of_their_people(weather: SimulationRun) -> None:
    table = means_by_group(weather, 0, "gender")
    people = weather.people[(weather.people["outcome"] == 0) & (weather.people["valid_mass"] > 0)]
    for row in table.to_dict("records"):
        members = [
            at for at, one in enumerate(weather.spec.people) if one.demographics.get("gender") == row["group"]
        ]
        number = [condition.name for condition in weather.spec.draft.conditions].index(row["condition"])
        of_group = people[people["person"].isin(members) & (people["condition"] == number)]
        assert row["mean"] == pytest.approx(np.average(of_group["mean"], weights=of_group["weight"]))
        assert row["n_profiles"] >= 5


def test_the_page_opens_with_the_table_and_follows_the_link(weather: SimulationRun) -> None:
    names = [condition.name for condition in weather.spec.draft.conditions]
    app = open_page(PAGES[3], run=weather.spec.run_id, reference=names[1], unit="percent")
    words = fine(app)
    (table,) = [frame.value for frame in app.dataframe if "above" in frame.value]
    expected = in_unit(means(weather.against(names[1])), weather, "percent")
    assert table["difference"].dropna().to_numpy() == pytest.approx(
        expected["difference"].dropna().to_numpy()
    )
    assert "no interval, because" in " ".join(table["interval"])
    assert "were lower in" in words or "were higher in" in words


def test_the_command_prints_the_table_against_any_condition(weather: SimulationRun) -> None:
    names = [condition.name for condition in weather.spec.draft.conditions]
    printed = json.loads(command("run", weather.spec.run_id, "--reference", names[1], "--json"))
    rows = {(row["condition"], row["who"]): row for row in printed["means"]}
    expected = {(row.condition, row.who): row for row in means(weather.against(names[1]))}
    assert rows[names[0], "people"]["difference"] == pytest.approx(expected[names[0], "people"].difference)
    assert printed["effects"][0]["reference"] == names[1]
    assert "no interval, because" in command("run", weather.spec.run_id)
    assert "There is no condition 'x'" in command("run", weather.spec.run_id, "--reference", "x", code=2)
