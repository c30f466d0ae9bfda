"""The page of models: the table, a card, merging, deleting with a way back, and a hub that does not answer."""

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.finetuning import library
from socrates_core.finetuning.model_jobs import submit_merge
from socrates_core.jobs import store
from socrates_core.keeping import kinds
from tests.support.kept_models import make_base, make_mine
from tests.support.pages import HOSTILE, fine, fine_words, open_page, table_of

pytestmark = pytest.mark.usefixtures("no_worker")

MODELS = "pages/models/models.py"


@pytest.fixture
def kept(home: Path) -> Path:
    make_mine(make_base(home))
    return home


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def test_the_table_shows_each_models_verdict_and_no_figure_of_its_validation(kept: Path) -> None:
    app = open_page(MODELS)
    table = table_of(app, "models_table").set_index("model")
    assert table.loc["Mine"]["verdict"] == "Not measured yet." and table.columns[0] == "verdict"
    assert not table.select_dtypes("number").isin([0.148, 0.274, 0.131]).any(axis=None)
    assert (table.loc["Mine"]["base"], table.loc["Mine"]["saw"]) == ("base", "2 studies")
    assert table.loc["Socrates Qwen2.5 14B SFT"]["saw"] == "170 studies"
    assert (table["kind"] == "on the hub").sum() == 4 and "there is no model" not in fine_words(app).lower()


def test_an_empty_home_offers_the_starter_and_the_hub(home: Path) -> None:
    table = table_of(open_page(MODELS), "models_table").set_index("model")
    assert table.loc["SmolLM2 135M Instruct"]["kind"] == "cannot be used" and len(table) == 5
    assert "socrates_core setup" in fine_words(open_page(MODELS, model="starter"))


def test_a_card_tells_the_chain_what_it_saw_and_the_measures_before_and_after(kept: Path) -> None:
    app = open_page(MODELS, model="mine")
    told = fine_words(app)
    assert all(part in told for part in ("org/first", "Two studies.", "in 1 of them only 2 conditions"))
    seen, measures, settings, environment = (each.value for each in app.dataframe)
    assert dict(zip(seen["study_id"], seen["conditions"], strict=True)) == {"whole": "all", "part": "2: 0, 2"}
    assert "Not measured yet" in app.markdown[0].value and "Validation during training" in told
    assert measures.iloc[0][["before", "after", "uniform"]].tolist() == [0.274, 0.148, 0.131]
    assert "lora" in settings["value"].tolist() and "torch" in environment["name"].tolist()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_card_and_a_folder_are_text_whatever_they_say(text: str, kept: Path) -> None:
    name = text.replace("/", "_")
    path = kept / "adapters" / "mine"
    card = json.loads((path / "card.json").read_text())
    card |= {"title": text, "lineage": [text, "mine"], "saw": {"note": text, "studies": [text]}}
    card["training"] |= {"leaks_accepted": text, "leaks": [text], "doubts": [text], "machine": text}
    card["training"]["spec"] = {text: text}
    (path / "card.json").write_text(json.dumps(card))
    path.rename(path.with_name(name))
    fine(open_page(MODELS))
    app = open_page(MODELS, model=name)
    for kind in ("title", "warning", "subheader"):
        assert not any(text == each.value for each in getattr(app, kind))
    fine(app)


def test_a_link_to_a_model_that_is_gone_says_so(kept: Path) -> None:
    assert "There is no model 'gone' here" in fine_words(open_page(MODELS, model="gone"))


def test_deleting_a_base_warns_and_the_bin_brings_it_back(kept: Path) -> None:
    app = open_page(MODELS, model="base")
    assert "these adapters cannot answer: mine" in fine_words(app)
    app = press(app, "model_delete")
    assert "is in the bin" in fine_words(app) and "Bin (1)" in [each.label for each in app.expander]
    assert "Base" not in table_of(app, "models_table")["model"].tolist()
    press(app, "restore_base")
    assert not kinds.deleted_models() and library.look_up("base").card.installed


def test_merging_queues_a_job_and_what_a_job_uses_cannot_be_deleted(kept: Path) -> None:
    app = open_page(MODELS, model="mine")
    app.text_input(key="merge_name").set_value("whole").run()
    press(app, "merge_start")
    (job,) = store.list_jobs()
    assert (job.kind, dict(job.args)) == ("merge", {"model": "mine", "output": "whole"})
    assert submit_merge("mine", "whole").id == job.id
    app = open_page(MODELS, model="base")
    assert app.button(key="model_delete").disabled and "In use by Merge mine as whole" in fine_words(app)


def test_using_a_model_opens_the_drafts_with_it_in_the_link(kept: Path) -> None:
    app = press(open_page(MODELS, model="mine"), "model_use")
    assert app.query_params["model"] in ("mine", ["mine"]) and "Drafts" in fine_words(app)


def test_a_hub_that_cannot_be_reached_is_a_sentence_and_queues_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    app = press(open_page(MODELS, model="socratesft/socrates-llama3-8b-dpo"), "model_fetch")
    assert not app.exception and "Could not reach Hugging Face for" in app.error[0].value.replace("\\", "")
    assert any("16 GB" in each.value for each in app.caption) and store.list_jobs() == []
