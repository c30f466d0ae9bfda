"""The page Experiments: before, during and after, with hostile texts and the curve's own marks."""

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from pages.project import specification_chart
from pages.view.text import escape
from socrates_core.jobs import store
from socrates_core.projects import drafts
from socrates_core.projects.experiments import cross, experiment_ids, load_experiment, stop, submit_experiment
from socrates_core.projects.run_spec import load_spec
from socrates_core.projects.specification_curves import load_curves
from tests.support.drafts import kakadu, make_draft
from tests.support.experiments import BOTH, worded, work
from tests.support.pages import HOSTILE, fine, open_page, table_of

pytestmark = pytest.mark.usefixtures("no_worker")

PAGE = "pages/project/experiment.py"


def metrics(app: AppTest) -> dict[str, str]:
    return {each.label: each.value for each in app.metric}


def test_an_empty_page_says_where_an_experiment_starts(home: Path) -> None:
    told = fine(open_page(PAGE))
    assert "New draft" in told and "Draft from this study" in told


def test_the_form_counts_what_it_will_ask_and_starts_it(home: Path) -> None:
    draft_id = drafts.create(make_draft())
    app = open_page(PAGE, draft=draft_id)
    app.multiselect(key="experiment_models").set_value(["echo", "uniform"]).run()
    app.button_group(key="experiment_orders").set_value(["as written", "reversed"]).run()
    app.number_input(key=f"wordings:{draft_id}").set_value(1).run()
    assert "2 specifications" not in fine(app) and "4 specifications × 4 people" in fine(app)
    app.text_area(key=f"wording:{draft_id}:1:o:Support").set_value("Are you for it?").run()
    assert "8 specifications × 4 people × 2 conditions × 1 outcome \\= 64 answers" in fine(app)
    app.selectbox(key="chosen:8").set_value(2).run()
    app.button(key="experiment_start").click().run()
    made = load_experiment(experiment_ids()[0])
    assert made.specifications[made.chosen].wording == "wording 1" and made.draft_id == draft_id
    asked = [load_spec(run_id).draft.outcomes[0].question for run_id in made.run_ids]
    assert asked == ["How much?", "How much?", "Are you for it?", "Are you for it?"] * 2
    assert len(store.list_jobs()) == 8 and len(drafts.versions(draft_id)) == 1


def test_what_cannot_be_run_is_said_and_cannot_be_started(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page(PAGE, draft=drafts.create(make_draft()))
    app.multiselect(key="experiment_models").set_value([]).run()
    assert app.button(key="experiment_start").disabled and "choose from 1 to 200" in fine(app)
    app.multiselect(key="experiment_models").set_value(["no_such"]).run()
    assert app.button(key="experiment_start").disabled and "no_such" in app.error[0].value.replace("\\", "")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET")
    app.multiselect(key="experiment_models").set_value(["api:gpt-4o"]).run()
    app.button(key="experiment_start").click().run()
    assert "8 questions leave this machine" in fine(app).replace("\\", "") and store.list_jobs() == []
    unfinished = open_page(PAGE, draft=drafts.create(make_draft(outcomes=())))
    assert "things to mend" in fine(unfinished)


def test_a_filled_page_marks_the_chosen_specification_and_tells_the_curves_own_numbers(
    starter_home: Path,
) -> None:
    made = submit_experiment(kakadu(3), cross(["echo", "uniform"], orders=BOTH), chosen=1)
    work()
    app = open_page(PAGE, experiment=made.experiment_id)
    told, found, shown = fine(app), load_curves(made)[0], metrics(app)
    assert shown["Chosen"] == f"{100 * found.curve.chosen:.1f}%"
    assert shown["Median"] == f"{100 * found.curve.median:.1f}%"
    assert shown["Same sign as chosen"] == f"{found.curve.n_like_chosen} of 3 others"
    assert found.people is not None and shown["People"] == f"{100 * found.people.share:.1f}%"
    assert "Predicted effects carry no interval" in told.replace("\\", "")
    table = table_of(app, "specifications_table")
    assert list(table["chosen"]) == [number == 2 for number in table["specification"]]
    assert sorted(table["run_id"]) == sorted(made.run_ids)


def test_a_partial_page_shows_what_is_there_and_resumes_the_rest(home: Path) -> None:
    made = submit_experiment(make_draft(), cross(["echo"], orders=BOTH), chosen=1)
    assert "first one starts the curve" in fine(open_page(PAGE, experiment=made.experiment_id))
    work(1)
    app = open_page(PAGE, experiment=made.experiment_id)
    assert metrics(app)["Chosen"] == "–" and "Same sign as chosen" not in metrics(app)
    stop(made)
    app = open_page(PAGE, experiment=made.experiment_id)
    assert "1 specification of 2 did not finish (cancelled)" in fine(app)
    app.button(key="experiment_resume").click().run()
    work()
    assert metrics(open_page(PAGE, experiment=made.experiment_id))["Same sign as chosen"].endswith(
        "of 1 others"
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_text_on_the_page_and_in_the_figure(home: Path, text: str) -> None:
    draft = make_draft(title=text)
    hostile = draft.model_copy(update={"outcomes": (draft.outcomes[0].model_copy(update={"name": text}),)})
    other = worded(f"{text}!", outcomes={text: "Well?"})
    drafts.create(hostile)
    made = submit_experiment(hostile, cross(["echo"], paraphrases=[other]), paraphrases=[other])
    work()
    fine(open_page(PAGE))
    told = fine(open_page(PAGE, experiment=made.experiment_id))
    assert escape(text) in told
    drawn = str(specification_chart.figure(load_curves(made)[0], title="How far?").to_plotly_json())
    assert "<script>" not in drawn and "<img" not in drawn


def test_the_figure_sorts_effects_draws_people_as_a_band_and_gives_predictions_no_interval(
    starter_home: Path,
) -> None:
    made = submit_experiment(kakadu(3), cross(["echo", "uniform"], orders=BOTH), chosen=3)
    work()
    found = load_curves(made)[0]
    figure = specification_chart.figure(found, title="How far?", theme="light")
    dots = [trace for trace in figure.data if trace.mode == "markers" and trace.yaxis != "y2"]
    heights = [
        y for _, y in sorted({(x, y) for trace in dots for x, y in zip(trace.x, trace.y, strict=True)})
    ]
    assert len(heights) == 4 and (np.diff(heights) >= 0).all()
    chosen = next(trace for trace in dots if trace.marker.symbol == "diamond")
    assert list(chosen.y) == [0.0] and chosen.showlegend is False
    assert not any(trace.error_y.visible for trace in dots)
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert found.people is not None
    assert (band.y0, band.y1) == pytest.approx((100 * found.people.low, 100 * found.people.high))
    labels = {each.text for each in figure.layout.annotations}
    assert {"chosen", "<b>Model</b>", "<b>Order of answers</b>", "reversed"} <= labels
    assert "<b>Decoding</b>" not in labels  # all are alike in it
    below = next(trace for trace in figure.data if trace.yaxis == "y2")
    assert len(below.x) == 4 * 2  # each specification has one level in each of the two dimensions
