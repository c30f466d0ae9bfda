"""Runs side by side: what differs, differences of differences, and what should not matter."""

import math
from pathlib import Path

import pandas as pd
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.projects import drafts
from socrates_core.projects.run_changes import ComparedRuns, find_yardsticks, measure_yardsticks
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.surveys.draft import Draft
from tests.support.commands import as_json, command
from tests.support.drafts import kakadu, make_draft
from tests.support.jobs import finish_jobs, run_now
from tests.support.pages import fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")
PAGE = "pages/project/compare_runs.py"


def _reworded(draft: Draft, text: str) -> Draft:
    first = draft.conditions[0].model_copy(update={"text": text})
    return draft.model_copy(update={"conditions": (first, *draft.conditions[1:])})


def test_two_wordings_are_compared_cell_by_cell(starter_home: Path) -> None:
    draft = kakadu(4)
    before, after = run_now(draft), run_now(_reworded(draft, "Another text altogether."))
    compared = ComparedRuns([before, after])
    assert [(text.what, text.after) for text in compared.texts] == [
        (f"Condition “{draft.conditions[0].name}”", "Another text altogether.")
    ]
    # By hand from the exported tables of both runs.
    means = [run.people.groupby(["outcome", "condition"])["mean"].mean() for run in (before, after)]
    assert len(compared.changes) == len(before.cells)
    outcomes = [outcome.name for outcome in draft.outcomes]
    conditions = [condition.name for condition in draft.conditions]
    for change in compared.changes:
        at = outcomes.index(change.outcome), conditions.index(change.condition)
        assert change.difference == pytest.approx(means[1][at] - means[0][at])
        scale = draft.outcomes[at[0]].scale.scale()
        assert change.share == pytest.approx(change.difference / (max(scale.values) - min(scale.values)))
        assert 0 <= change.moved <= 1
    for effect in compared.effects:
        o, c = outcomes.index(effect.outcome), conditions.index(effect.condition)
        scale = draft.outcomes[o].scale.scale()
        span = max(scale.values) - min(scale.values)
        by_hand = [(mean[o, c] - mean[o, draft.reference_index]) / span for mean in means]
        assert (effect.first, effect.effect) == pytest.approx(tuple(by_hand))
        assert effect.change == pytest.approx(by_hand[1] - by_hand[0])


def test_what_should_not_matter_is_asked_found_and_held_against_the_change(starter_home: Path) -> None:
    draft = kakadu(4)
    run, changed = run_now(draft), run_now(_reworded(draft, "Another text altogether."))
    assert find_yardsticks(run) == []
    assert "is not known" in ComparedRuns([run, changed]).summary(ComparedRuns([run, changed]).names[1])
    jobs = measure_yardsticks(run)
    finish_jobs()
    found = {yardstick.what: yardstick for yardstick in find_yardsticks(run)}
    assert {yardstick.run_id for yardstick in found.values()} == {job.id for job in jobs}
    assert set(found) == {"answers listed in reverse", "other people of the same population"}
    for yardstick in found.values():
        other = ComparedRuns([run, load_run(yardstick.run_id)])
        sizes = [abs(change.share) for change in other.changes]
        assert yardstick.share == pytest.approx(sum(sizes) / len(sizes))
        assert yardstick.largest_share == pytest.approx(max(sizes))
        assert other.facts  # says in what the two differ
    compared = ComparedRuns([run, changed])
    summary = compared.summary(compared.names[1])
    # Cells of conditions that did not change were asked the same, so they say nothing of the change.
    sizes = [abs(change.share) for change in compared.changes if change.condition == draft.conditions[0].name]
    assert all(change.difference == 0 for change in compared.changes if change.asked_the_same)
    mean = sum(sizes) / len(sizes)
    beyond = mean > max(yardstick.share for yardstick in found.values())
    assert ("times what should not matter" in summary) == beyond
    assert ("do not read this as an effect" in summary) == (not beyond)


def test_what_is_not_in_both_is_named_and_nothing_is_compared_by_place(starter_home: Path) -> None:
    draft = make_draft()
    renamed = draft.model_copy(
        update={
            "conditions": (
                draft.conditions[0],
                draft.conditions[1].model_copy(update={"name": "Renamed", "text": "N."}),
            ),
        }
    )
    compared = ComparedRuns([run_now(draft), run_now(renamed)])
    assert {change.condition for change in compared.changes} == {draft.conditions[0].name}
    assert any("“Renamed”" in sentence for sentence in compared.left_out)
    assert any(f"“{draft.conditions[1].name}”" in sentence for sentence in compared.left_out)


def test_a_changed_scale_is_not_compared(starter_home: Path) -> None:
    draft = make_draft()
    scale = draft.outcomes[0].scale.model_copy(update={"high": 5, "labels": {}})
    other = draft.model_copy(
        update={"outcomes": (draft.outcomes[0].model_copy(update={"scale": scale}), *draft.outcomes[1:])}
    )
    compared = ComparedRuns([run_now(draft), run_now(other)])
    assert draft.outcomes[0].name not in {change.outcome for change in compared.changes}
    assert any(draft.outcomes[0].name in sentence for sentence in compared.left_out)


def _named_pair() -> list[SimulationRun]:
    draft = make_draft()
    return [run_now(draft, ModelRequest("echo")), run_now(draft, ModelRequest("uniform"))]


def test_names_tell_runs_apart_by_what_differs(starter_home: Path) -> None:
    assert ComparedRuns(_named_pair()).names == ["A · echo", "B · uniform"]


@pytest.mark.parametrize(("n", "words"), [(1, "1 runs cannot be compared"), (7, "7 runs cannot be compared")])
def test_the_number_of_runs_has_bounds(starter_home: Path, n: int, words: str) -> None:
    run = run_now(make_draft())
    with pytest.raises(UserError, match=words):
        ComparedRuns([run] * n)
    with pytest.raises(UserError, match="with itself"):
        ComparedRuns([run, run])


def test_the_command_compares_versions_and_says_so_as_json(starter_home: Path) -> None:
    draft = make_draft()
    ids = [run_now(draft).spec.run_id, run_now(_reworded(draft, "Other words.")).spec.run_id]
    shown = command("compare", *ids)
    assert "means move by" in shown and "This is a stand-in" in shown
    numbers = as_json("compare", *ids)
    assert [run["run_id"] for run in numbers["runs"]] == ids
    assert all(run["verdict"]["sentence"] for run in numbers["runs"])
    assert {row["predictor"] for row in numbers["cells"]} >= {"A", "B"}
    command("compare", ids[0], "nonsense", code=2)


def test_the_page_offers_runs_and_shows_them_side_by_side(starter_home: Path) -> None:
    assert "Two runs with answers are needed" in fine(open_page(PAGE))
    draft = make_draft()
    draft_id = drafts.create(draft)
    first = run_now(draft)
    assert "Choose at least two" not in fine(open_page(PAGE))
    second = run_now(_reworded(draft, "Other <b>words</b>."))
    app = open_page(PAGE, runs=f"{first.spec.run_id},{second.spec.run_id}")
    shown = fine(app)
    assert "means move by" in shown and "Measure what should not matter" in [b.label for b in app.button]
    means = next(table.value for table in app.dataframe if "moved" in table.value)
    assert set(means["run"].str[0]) == {"A", "B"}
    assert isinstance(means, pd.DataFrame) and not math.isnan(means["mean"].iloc[0])
    app.button(key="measure_yardsticks").click().run()
    finish_jobs()
    again = fine(open_page(PAGE, runs=f"{first.spec.run_id},{second.spec.run_id}"))
    assert "should not matter" in again
    assert draft_id


def test_runs_that_share_nothing_are_a_sentence_and_nothing_is_offered(starter_home: Path) -> None:
    draft = make_draft()
    other = make_draft(
        title="Another " * 20,
        conditions=tuple(c.model_copy(update={"name": f"other {c.name}"}) for c in draft.conditions),
    )
    ids = [run_now(each).spec.run_id for each in (draft, other)]
    app = open_page(PAGE, runs=",".join(ids))
    assert not app.exception and "nothing to compare" in app.error[0].value
    assert not [button for button in app.button if button.key == "measure_yardsticks"]
    compared = ComparedRuns([load_run(run_id) for run_id in ids])
    assert (
        max(map(len, compared.names)) < 70 and "The condition “other New” is in B alone." in compared.left_out
    )
