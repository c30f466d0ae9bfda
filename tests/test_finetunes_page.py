"""The page Finetunes: histories that are drawn as they were written, and what can be done with each finetune."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import save_file
from streamlit.testing.v1 import AppTest

from pages.models import training_charts as charts
from pages.models import training_courses as parts
from pages.view.charts.palette import LIGHT, model_colours
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.evaluations.spec import evaluation_ids, load_spec
from socrates_core.files import write_json
from socrates_core.finetuning.overview import load_finetune
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.spec import training_path
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from tests.support.made_finetunes import VALIDATION, make_finetune
from tests.support.pages import HOSTILE, fine, open_page
from tests.support.splits import made_up

pytestmark = pytest.mark.usefixtures("no_worker")

PAGE, JOBS = "pages/models/finetunes.py", "pages/settings/jobs.py"


def publish_tuned(training_id: str, step: int) -> None:
    """Makes the finetune's step `step` a model, its weights apart."""
    best = training_path(training_id) / f"best-{step}"
    best.mkdir()
    settings = {"base_model_name_or_path": "starter", "peft_type": "LORA", "r": 16}
    write_json(best / "adapter_config.json", settings)
    layer = {"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": np.zeros((16, 4), dtype=np.float32)}
    save_file(layer, best / "adapter_model.safetensors")
    publish(training_id)


def open_finetunes(*ids: str, **parameters: str) -> AppTest:
    return open_page(PAGE, trainings=",".join(ids), **parameters)


def drawn(app: AppTest) -> dict[str, Any]:
    """The charts of the page by their first word after "chart_training_"."""
    found = {}
    for chart in app.get("plotly_chart"):
        spec = json.loads(chart.proto.spec)
        found[spec["layout"]["yaxis"]["title"]["text"]] = spec["data"]
    return found


def frame(**columns: Any) -> pd.DataFrame:
    usual = {"run": "a", "step": [0, 25, 50], "examples": [0, 400, 800], "value": [0.27, 0.12, 0.15]}
    return pd.DataFrame({**usual, **columns})


def test_without_a_finetune_the_page_says_what_it_is_for_and_leads_to_launch(home: Path) -> None:
    app = open_page(PAGE)
    assert "whom it is not trained on" in fine(app) and "New finetune" in fine(app)
    assert app.button(key="finetunes_new").label == "New finetune"


def test_several_finetunes_of_a_link_are_overlaid_each_in_its_colour(home: Path) -> None:
    first, second = make_finetune("plain"), make_finetune("shares", method="distribution")
    app = open_finetunes(first, second)
    fine(app)
    assert app.query_params["trainings"] == f"{first},{second}"
    told, colours = drawn(app), model_colours(["plain", "shares"])
    assert set(told) == {
        "Loss",
        "W, share of the stated scale",
        "Valid mass",
        "Accuracy, %",
        "Log score, nats",
        "Correlation r",
    }
    for traces in told.values():
        named = {trace["name"]: trace["line"]["color"] for trace in traces if trace.get("name") in colours}
        assert named == colours


def test_the_newest_is_shown_where_the_link_names_none(home: Path) -> None:
    make_finetune("older")
    newest = make_finetune("newer")
    app = open_page(PAGE)
    assert "**newer**" in fine(app) and app.query_params["trainings"] == newest


def test_the_second_view_has_rate_speed_and_memory(home: Path) -> None:
    app = open_finetunes(make_finetune(), finetunes_view="Speed")
    fine(app)
    assert set(drawn(app)) == {"Learning rate", "Tokens a second", "Most so far, MB", "Norm"}


def test_the_base_the_best_step_and_the_uniform_row_are_marked() -> None:
    told = frame(uniform=0.13, mark=["base", "best", ""])
    uniform, own = charts.measure(told, title="W?", axis="W", over="step", form=".3f", theme="light").data
    assert tuple(own.marker.symbol) == ("diamond-open", "circle", "circle-open")
    assert tuple(own.x) == (0, 25, 50) and tuple(own.y) == (0.27, 0.12, 0.15)
    assert tuple(uniform.y) == (0.13, 0.13) and (uniform.line.width, uniform.line.color) == (1, LIGHT.faint)
    assert uniform.name == "Uniform guess"


def test_the_loss_stands_faint_behind_its_running_mean(home: Path) -> None:
    found = parts.labelled([make_finetune(w=(0.2,) * 11)])
    told = parts.step_frame(found, "loss", smoothed=True)
    value, decay = told["value"].to_numpy(), 1 - 2 / (10 + 1)  # a span of 10
    weights = [decay ** np.arange(at + 1)[::-1] for at in range(len(value))]
    expected = [np.average(value[: at + 1], weights=each) for at, each in enumerate(weights)]
    assert len(value) == 50 and told["smoothed"].to_numpy() == pytest.approx(expected)
    faint, thick = charts.course(told, title="Loss?", axis="Loss", over="step", form=".3f", theme=None).data
    assert (faint.opacity, faint.line.width, thick.line.width) == (0.3, 1, 2)
    assert tuple(faint.y) == pytest.approx(value) and tuple(thick.y) == pytest.approx(expected)


def test_a_quantity_that_is_not_smoothed_is_one_line() -> None:
    made = charts.course(
        frame(smoothed=[0.27, 0.12, 0.15]), title="?", axis="?", over="step", form=".1e", theme=None
    )
    assert len(made.data) == 1


def test_a_long_history_is_thinned_after_it_was_smoothed(home: Path) -> None:
    found = parts.labelled([make_finetune(w=(0.2,) * 501)])
    told = parts.step_frame(found, "loss", smoothed=True)
    assert told["step"].tolist() == list(range(1, 2501, 3))
    whole = found["tuned"].history[0]["loss"].ewm(span=100).mean()
    assert told["smoothed"].tolist() == pytest.approx(whole[::3].tolist())


def test_steps_of_different_sizes_are_laid_along_the_examples(home: Path) -> None:
    ids = [make_finetune("small", batch_size=16), make_finetune("large", batch_size=64)]
    app = open_finetunes(*ids)
    fine(app)
    specs = [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]
    assert {spec["layout"]["xaxis"]["title"]["text"] for spec in specs} == {"Examples"}
    told = parts.measure_frame(parts.labelled(ids), "w_stated")
    assert told.groupby("run")["examples"].max().to_dict() == {"small": 15 * 16, "large": 15 * 64}


def test_the_figures_are_those_of_the_base_and_of_the_step_that_is_kept(home: Path) -> None:
    app = open_finetunes(make_finetune(w=(0.25, 0.12, 0.1, 0.15)))
    table = next(each.value for each in app.dataframe if "W stated" in each.value)
    assert table["Model"].tolist() == ["base", "best, step 10"]
    assert table["W stated"].tolist() == [0.25, 0.1] and table["W against base"].iloc[1] == pytest.approx(-60)
    assert table["Effect r"].isna().tolist() == [True, False] and table["Cells"].tolist() == [12, 12]


def test_finetunes_that_were_validated_on_different_cells_are_not_to_be_compared(home: Path) -> None:
    first = make_finetune("one")
    other = dataclasses.replace(VALIDATION, n_cells=20)
    assert "do not compare" not in fine(open_finetunes(first, make_finetune("two")))
    assert "do not compare" in fine(open_finetunes(first, make_finetune("three", validation=other)))


def test_only_settings_that_differ_are_listed(home: Path) -> None:
    ids = [make_finetune("one", seed=1), make_finetune("two", seed=2, learning_rate=5e-4)]
    app = open_finetunes(*ids, finetunes_view="Settings")
    fine(app)
    table = app.dataframe[0].value.set_index("Setting")
    assert table["one"].to_dict() == {"seed": "1", "learning_rate": "0.0001"}
    assert table["two"].to_dict() == {"seed": "2", "learning_rate": "0.0005"}
    alone = open_finetunes(ids[0], finetunes_view="Settings")
    assert alone.code[0].value == load_finetune(ids[0]).spec.as_yaml().strip()


def test_the_log_is_the_jobs(home: Path) -> None:
    training_id = make_finetune()
    (store.read_job(training_id).path / "log.txt").write_text("step 1/15 loss 2.0\n")
    assert "step 1/15 loss 2.0" in fine(open_finetunes(training_id, finetunes_view="Log"))
    by_hand = make_finetune("alone", state=None)
    assert "started by hand" in fine(open_finetunes(by_hand, finetunes_view="Log"))


def test_a_running_finetune_tells_its_progress_and_can_be_stopped(home: Path) -> None:
    training_id = make_finetune(state="running")
    Reporter(store.read_job(training_id)).begin("training", 400, 100)
    app = open_finetunes(training_id)
    fine(app)
    assert "100 of 400" in app.get("progress")[0].proto.text
    stop = next(button for button in app.button if button.label == "Stop and keep the best")
    stop.click().run()
    assert store.cancel_requested(store.read_job(training_id))


def test_a_stopped_finetune_goes_on_where_it_was(home: Path) -> None:
    training_id = make_finetune(state="cancelled")
    app = open_finetunes(training_id)
    assert "the best is kept" in fine(app)
    app.button(key=f"resume_{training_id}").click().run()
    assert store.read_job(training_id).state == "queued"


def test_a_finished_finetune_is_used_and_evaluated_beside_its_base(starter_home: Path) -> None:
    corpus = made_up([(2, 1, 20, False)] * 3)
    save_split(make_split(corpus, "participants", name="held", share=0.2, seed=0))
    training_id = make_finetune()
    assert "Use in a draft" not in str(open_finetunes(training_id).get("page_link"))
    publish_tuned(training_id, 5)  # not the lowest W: the card is what counts
    assert load_finetune(training_id).best_step == 5
    app = open_finetunes(training_id)
    assert "It took" in fine(app) and "there was no estimate" in fine(app)
    assert [link.proto.query_string for link in app.get("page_link")] == ["model=tuned"] * 2
    app.button(key=f"evaluate_{training_id}").click().run()
    fine(app)
    asked = [load_spec(each) for each in evaluation_ids()]
    assert {(spec.model.name, spec.split) for spec in asked} == {("tuned", "held"), ("starter", "held")}


def test_a_damaged_finetune_is_a_sentence_and_hides_no_other(home: Path) -> None:
    sound, broken = make_finetune("sound"), make_finetune("broken")
    (training_path(broken) / "spec.yaml").write_text("name: broken\nrank: many\n")
    told = fine(open_finetunes(sound, broken, "gone")).replace("\\", "")
    assert "**sound**" in told and "'many'" in told and "no finetune 'gone'" in told
    assert "1 damaged finetune is not offered" in fine(open_page(PAGE))


def test_hostile_texts_stay_text(home: Path) -> None:
    ids = [
        make_finetune(f"n{at}", accept_leaks=text, base=HOSTILE[0], rationales=HOSTILE[3])
        for at, text in enumerate(HOSTILE)
    ]
    for view in parts.VIEWS:
        app = open_finetunes(*ids, finetunes_view=view)
        fine(app)
        for kind in ("markdown", "caption", "warning"):
            for element in getattr(app, kind):
                assert not re.search(r"(?<!\\)<(script|img)", element.value)


def test_a_job_leads_to_its_finetune(home: Path) -> None:
    training_id = make_finetune()
    links = open_page(JOBS, job=training_id).get("page_link")
    assert [link.proto.query_string for link in links] == [f"trainings={training_id}"]


def test_back_from_the_form_shows_the_finetune_that_was_open(home: Path) -> None:
    first, _ = make_finetune("older"), make_finetune("newer")
    app = open_finetunes(first)
    app.button(key="finetunes_new").click().run()
    assert "Finetunes" not in [each.value for each in app.title]
    app.query_params.clear()  # Back leads to the step that Streamlit left in the history: the page without its link
    app.switch_page(PAGE).run()
    assert app.multiselect(key="trainings_box").value == [first]
