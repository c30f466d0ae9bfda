"""The table that opens the results of a run: means, spreads, differences, groups, units, and the reference."""

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study
from socrates_core.projects.run_means import (
    MeanRow,
    in_unit,
    means,
    means_by_group,
    option_shares,
    sentences,
)
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.reporting.run_report import write_report
from socrates_core.studies.answers import compare_conditions
from socrates_core.surveys.draft import OutcomeSpec, ScaleSpec
from socrates_core.surveys.start import draft_from_study
from socrates_core.verdicts.verdict import Verdict
from tests.support.commands import command
from tests.support.drafts import make_draft
from tests.support.jobs import run_now
from tests.support.pages import PAGES, fine, open_page
from tests.support.reports import open_run, run_of
from tests.support.uploads import small, table

pytestmark = pytest.mark.usefixtures("no_worker")


@pytest.fixture
def weather(starter_home: object) -> SimulationRun:
    return run_of("weather", n=12)


@pytest.fixture
def framing(starter_home: object) -> SimulationRun:
    """A run whose people have an age, a gender, and an education."""
    return run_of("framing", n=40)


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
    assert any(
        "no interval, because how wrong" in sentence for sentence in sentences(means(weather), weather)
    )


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
    run = load_run(run.spec.run_id)
    believed = next(row for row in means(run) if row.who == "predicted" and math.isfinite(row.difference))
    calibrated = run.effects[0].calibrated
    assert calibrated is not None and believed.difference == predicted.difference
    assert (believed.expected, believed.low) == (calibrated.difference, calibrated.low[-1])
    assert any("to expect of people " in sentence for sentence in sentences(means(run), run))


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
    points, percent = in_unit(means(weather), weather, "points"), in_unit(means(weather), weather, "percent")
    assert str(points) == str(means(weather)) and {row.unit for row in percent} == {"% of the scale"}
    for before, after in zip(points, percent, strict=True):
        assert after.mean == pytest.approx(100 * (before.mean - low) / span)
        assert after.sd == pytest.approx(100 * before.sd / span)
        if math.isfinite(before.difference):
            assert after.difference == pytest.approx(100 * before.difference / span)


def test_two_options_are_in_percentage_points_whatever_their_numbers(home: object) -> None:
    scale = ScaleSpec(kind="enum_labels", labels={1: "No", 3: "Yes"})
    run = run_now(make_draft(outcomes=(OutcomeSpec(name="Vote", question="Would you?", scale=scale),)))
    for cell, row in zip(run.cells, in_unit(means(run), run, "points"), strict=True):
        assert row.unit == "percentage points"
        assert row.mean == pytest.approx(100 * cell.predicted[1])  # the share of Yes
    rows = in_unit(means(run), run, "points")
    assert rows[1].difference == pytest.approx(rows[1].mean - rows[0].mean)


def test_an_open_number_stays_in_its_own_points(starter_home: object) -> None:
    run = open_run()
    assert str(in_unit(means(run), run, "percent")) == str(means(run))  # NaN is not itself


def test_a_sentence_is_what_an_article_says() -> None:
    base = MeanRow("Support", "Time", "predicted", 9, 3.9, 1.2, 0.4)
    row = MeanRow("Support", "Space", "predicted", 9, 4.2, 1.1, 0.5, difference=0.3, why="nobody knows")
    assert row.sentence(base) == (
        "Support was higher in Space (M = 4.20, SD = 1.10) than in Time (M = 3.90, SD = 1.20), difference 0.30; "
        "predicted, no interval, because nobody knows."
    )
    same = replace(row, difference=-0.001)
    assert "was the same in Space" in same.sentence(base) and "difference 0.00" in same.sentence(base)
    people = replace(row, who="people", difference=-0.3, low=-0.5, high=-0.1, level=0.95, why="")
    assert "was lower in Space" in people.sentence(base)
    assert people.sentence(base).endswith("difference -0.30; people's answers, 95% interval [-0.50, -0.10].")


def test_options_without_an_order_have_shares_instead(starter_home: object) -> None:
    run = run_of("healthcare", n=4)
    assert means(run) == []
    table = option_shares(run)
    sums = table.groupby(["outcome", "condition", "who"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(np.ones(len(sums)))
    assert {"people", "predicted"} == set(table["who"])
    assert "Shares of options without an order" in command("run", run.spec.run_id)
    shown = open_page(PAGES[3], run=run.spec.run_id)
    frame, _ = [each.value for each in shown.dataframe]
    assert frame[table["option"].unique()].sum(axis=1).to_numpy() == pytest.approx(100)
    people = frame[frame["who"] == "people"].set_index("condition")
    for row in table[table["who"] == "people"].to_dict("records"):
        assert people.loc[row["condition"], row["option"]] == pytest.approx(100 * row["share"])
    assert "Unit" not in [box.label for box in shown.selectbox]  # shares have one unit


def test_predicted_groups_have_the_means_of_their_people(framing: SimulationRun) -> None:
    rows = [row for row in means_by_group(framing, 0, "gender") if row["who"] == "predicted"]
    people = framing.people[(framing.people["outcome"] == 0) & (framing.people["valid_mass"] > 0)]
    assert rows
    for row in rows:
        members = [
            at for at, one in enumerate(framing.spec.people) if one.demographics.get("gender") == row["group"]
        ]
        number = [condition.name for condition in framing.spec.draft.conditions].index(row["condition"])
        of_group = people[people["person"].isin(members) & (people["condition"] == number)]
        assert row["mean"] == pytest.approx(np.average(of_group["mean"], weights=of_group["weight"]))
        assert row["n_profiles"] >= 5


def test_people_s_groups_are_those_of_their_answers(framing: SimulationRun) -> None:
    corpus = open_corpus("starter")
    people = corpus.participants(["framing"]).set_index("participant")["gender"]
    responses = corpus.responses("framing").query("value == value and task_num == 0")
    responses = responses.assign(group=responses["participant"].map(people))
    rows = [row for row in means_by_group(framing, 0, "gender", "percent") if row["who"] == "people"]
    names = [condition.name for condition in framing.spec.draft.conditions]
    scale = framing.scales[0]
    assert {row["group"] for row in rows} == set(people.dropna()) and len(rows) > len(names)
    for row in rows:
        cells = responses[responses["group"] == row["group"]].groupby("condition_num")["response"]
        average = cells.mean()
        number = names.index(row["condition"])
        span = scale.values[-1] - scale.values[0]
        assert row["mean"] == pytest.approx(100 * (average[number] - scale.values[0]) / span)
        assert row["n"] == cells.size()[number]
        if number == framing.spec.draft.reference_index:
            assert math.isnan(row["difference"])
        else:
            base = average[framing.spec.draft.reference_index]
            assert row["difference"] == pytest.approx(100 * (average[number] - base) / span)


def test_small_groups_have_no_mean(starter_home: object) -> None:
    run = run_of("framing", n=4)
    rows = means_by_group(run, 0, "gender")
    assert {row["who"] for row in rows} == {"people"}


def test_the_page_opens_with_the_table_and_all_of_it_follows_the_link(framing: SimulationRun) -> None:
    names = [condition.name for condition in framing.spec.draft.conditions]
    against = framing.against(names[1])
    app = open_page(PAGES[3], run=framing.spec.run_id, reference=names[1], unit="percent", by="gender")
    words = fine(app)
    table, groups = (frame.value for frame in app.dataframe)
    outcome = against.spec.draft.outcomes[0].name
    expected = in_unit([row for row in means(against) if row.outcome == outcome], against, "percent")
    assert table["difference"].tolist() == pytest.approx([row.difference for row in expected], nan_ok=True)
    assert "no interval, because" in " ".join(table["interval"])
    assert all(sentence in words for sentence in sentences(expected, against))
    rows = means_by_group(against, 0, "gender", "percent")
    assert groups["difference"].tolist() == pytest.approx([row["difference"] for row in rows], nan_ok=True)
    assert "Groups are less certain" in words and "were not measured here" in words
    app.segmented_control(key="results_view").set_value("Effects").run()
    assert f"from “{names[1]}”" in fine(app) + str(app.get("plotly_chart")[0].proto)
    chosen = {box.label: box.value for box in app.selectbox}
    assert chosen["Compared with"] == names[1] and chosen["Unit"] == "percent"


def test_downloads_follow_the_reference(
    weather: SimulationRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = weather.spec.draft.conditions[1].name
    tables = {}
    monkeypatch.setattr(
        "pages.view.fields.table.csv_button", lambda _, table, file, **__: tables.update({file: table})
    )
    app = open_page(PAGES[3], run=weather.spec.run_id, reference=name, results_view="Export")
    fine(app)
    assert set(tables[f"{weather.spec.run_id}_effects"]()["reference"]) == {name}
    folder = write_report(weather.against(name), tmp_path / "out")
    assert analysis.main(folder) == 0
    conditions = pd.read_csv(folder / "data" / "conditions.csv").set_index("condition_name")
    assert conditions.loc[name, "reference"] == 1


def test_the_command_prints_the_table_against_any_condition(weather: SimulationRun) -> None:
    names = [condition.name for condition in weather.spec.draft.conditions]
    printed = json.loads(command("run", weather.spec.run_id, "--reference", names[1], "--json"))
    rows = {(row["condition"], row["who"]): row for row in printed["means"]}
    expected = {(row.condition, row.who): row for row in means(weather.against(names[1]))}
    assert rows[names[0], "people"]["difference"] == pytest.approx(expected[names[0], "people"].difference)
    assert rows[names[0], "people"]["study"] == "weather" and rows[names[0], "predicted"]["study"] == ""
    assert printed["effects"][0]["reference"] == names[1]
    words = command("run", weather.spec.run_id)
    assert "no interval, because how wrong this model's effects are has not been measured" in words
    assert re.search(r"people +weather +\d", words)
    assert "There is no condition 'x'" in command("run", weather.spec.run_id, "--reference", "x", code=2)


def test_the_report_opens_with_the_table(weather: SimulationRun, tmp_path: Path) -> None:
    folder = write_report(weather, tmp_path / "out")
    html = (folder / "report.html").read_text()
    opening = html[html.index("<h2>Means</h2>") : html.index("<h2>What was asked</h2>")]
    assert html.index("<h2>") == html.index("<h2>Means</h2>")
    numbers = pd.read_csv(folder / "numbers.csv").set_index("key")["number"]
    assert opening.count("no interval, because how wrong") == len(weather.effects)
    rows = {(row.condition, row.who): row for row in means(weather)}
    for place, condition in enumerate(weather.spec.draft.conditions):
        for who, quantities in (
            ("people", ("people_n", "people_mean", "people_sd", "people_above", "people_effect")),
            ("predicted", ("n_simulated", "mean", "sd", "above", "effect")),
        ):
            row = rows[condition.name, who]
            for quantity, number in zip(
                quantities, (row.n, row.mean, row.sd, row.above, row.difference), strict=True
            ):
                key = f"{quantity}/0/{place}"
                if math.isfinite(number):
                    assert f'data-key="{key}"' in opening and numbers[key] == pytest.approx(number)
    assert analysis.main(folder) == 0


def test_a_changed_share_above_the_midpoint_is_found(
    weather: SimulationRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_report(weather, tmp_path / "out")
    numbers = pd.read_csv(folder / "numbers.csv")
    numbers.loc[numbers["key"] == "people_above/0/1", "number"] += 0.01
    numbers.to_csv(folder / "numbers.csv", index=False)
    assert analysis.main(folder) == 1 and "people_above/0/1" in capsys.readouterr().out


def test_the_study_of_a_draft_is_shown_even_if_another_has_more_of_its_texts(home: object) -> None:
    import_study(table(id=["1", "2"], arm=["a", "b"], q=["7", "6"]), small())
    draft = draft_from_study(open_corpus("small"), "small")
    changed = draft.conditions[1].model_copy(update={"text": "Text c."})
    draft = draft.model_copy(update={"conditions": (draft.conditions[0], changed)})
    conditions = [
        {"name": "First", "text": "Text a.", "when": {"arm": "a"}},
        {"name": "Third", "text": "Text c.", "when": {"arm": "c"}},
    ]
    study = {"study_id": "other", "title": "Other"}
    rows = table(id=["1", "2", "3"], arm=["a", "a", "c"], q=["1", "2", "3"])
    import_study(rows, small(study=study, conditions=conditions))
    run = run_now(draft)
    assert [cell.n_people for cell in run.cells] == [1, 0] and run.people_study == "small"
    assert "(small, corpus small)" in run.people_sentence
    alone = run_now(draft.model_copy(update={"study": None}))
    assert [cell.n_people for cell in alone.cells] == [2, 1] and alone.people_study == "other"


def test_options_without_an_order_differ_in_percentage_points(starter_home: Path) -> None:
    run = run_of("healthcare", n=4)
    compared = compare_conditions(open_corpus("starter"), "healthcare").options
    assert len(run.option_effects) == len(compared) > 0
    for options, theirs in zip(run.option_effects, compared, strict=True):
        rows = options.rows()
        assert options.people is not None and [row["n"] for row in rows] == [theirs.shares.n] * len(rows)
        for name, expected in (("people", theirs.shares.difference), ("low", theirs.shares.low)):
            assert [row[name] for row in rows] == pytest.approx((100 * expected).tolist(), nan_ok=True)
        here, there = (
            np.stack(run.people.query("condition_name == @name")["probabilities"].tolist()).mean(axis=0)
            for name in (options.condition, options.reference)
        )
        assert [row["predicted"] for row in rows] == pytest.approx(100 * (here - there))
    assert "Their differences from the reference in percentage points" in command("run", run.spec.run_id)
    _, shown = (frame.value for frame in open_page(PAGES[3], run=run.spec.run_id).dataframe)
    assert shown["low"].tolist() == [row["low"] for options in run.option_effects for row in options.rows()]


def test_the_corrected_distance_of_a_run_is_that_of_its_people(starter_home: Path) -> None:
    run = run_of("kakadu", n=4)
    responses = open_corpus("starter").responses("kakadu").dropna(subset=["value"])
    for cell in run.cells:
        answers = responses.loc[responses["condition_num"] == cell.condition, "value"].to_numpy()
        gaps = np.diff(cell.values) / np.ptp(cell.values)
        reached = (answers[:, None] <= cell.values[:-1]).mean(axis=0)
        missed = (np.cumsum(cell.predicted)[:-1] - reached) ** 2 - reached * (1 - reached) / (
            answers.size - 1
        )
        assert cell.as_dict()["corrected_distance"] == pytest.approx(float(gaps @ missed), rel=1e-9)
        assert cell.as_dict()["corrected_distance_uniform"] == cell.corrected(
            np.full(cell.values.size, 1 / cell.values.size)
        )
