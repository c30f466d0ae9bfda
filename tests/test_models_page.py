"""The page of models: the table, a card, merging, deleting with a way back, and a hub that does not answer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.asking.resources import PROBES, probe_key
from socrates_core.files import write_json
from socrates_core.finetuning import library
from socrates_core.finetuning.model_jobs import Download, submit_merge
from socrates_core.jobs import store
from socrates_core.keeping import kinds
from socrates_core.models.catalog import released
from socrates_core.models.machine import Machine
from socrates_core.records import Loaded
from socrates_core.settings import folder
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
    page = fine_words(app)
    assert all(part in page for part in ("org/first", "Two studies.", "in 1 of them only 2 conditions"))
    seen, measures, settings, environment = (each.value for each in app.dataframe)
    assert dict(zip(seen["study_id"], seen["conditions"], strict=True)) == {"whole": "all", "part": "2: 0, 2"}
    assert "Not measured yet" in app.markdown[0].value and "Validation during training" in page
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


def keep_speed(name: str) -> None:
    """The speed of a released model here, as an earlier probe found it: 100 tokens a second in any precision."""
    model = released(name)
    assert model is not None
    keys = [probe_key(model.base.config, precision, "processor") for precision in get_args(Loaded)]
    write_json(folder("models") / PROBES, dict.fromkeys(keys, 100.0))


def lines_of(app: AppTest) -> str:
    return "\n".join(line.value for line in app.markdown).replace("\\", "")


RELEASED = "socratesft/socrates-llama3-8b-dpo"
LARGE = Machine("cpu", "processor", "bf16", 64 * 10**9, 60 * 10**9)


def test_a_hub_that_cannot_be_reached_is_a_sentence_and_queues_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_speed(RELEASED)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    app = press(open_page(MODELS, model=RELEASED), "model_fetch")
    assert not app.exception and "Could not reach Hugging Face for" in app.error[0].value.replace("\\", "")
    assert store.list_jobs() == []


def test_before_the_click_the_card_says_size_memory_speed_licence_and_score(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socrates_core.asking.resources.this_machine", lambda: LARGE)
    keep_speed(RELEASED)
    words = lines_of(open_page(MODELS, model=RELEASED))
    assert "Size: 16.1 GB in bf16" in words and "In bf16, about 18.6 GB of memory; 60.0 GB are free" in words
    assert "16.1 GB are fetched first" in words and "about 20 questions of 300 tokens a minute" in words
    assert "Meta Llama 3 Community License" in words and "Published by its authors" in words


def test_a_model_that_does_not_fit_in_4_bits_is_a_sentence_on_its_card(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(LARGE, total=4 * 10**9, free=3 * 10**9)
    monkeypatch.setattr("socrates_core.asking.resources.this_machine", lambda: small)
    words = lines_of(open_page(MODELS, model=RELEASED))
    assert "takes about 7.0 GB in 4 bits, more than the 4.0 GB" in words


def test_one_click_fetches_a_released_model_and_goes_on_to_the_drafts(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_speed(RELEASED)
    plan = Download(RELEASED, 9, 16 * 10**9, 10**12, commit="a" * 40)
    monkeypatch.setattr("pages.models.fetch_model.plan_download", lambda name: plan)  # no hub is here
    app = press(open_page(MODELS, model=RELEASED), "model_fetch")
    (job,) = store.list_jobs()
    assert job.kind == "fetch" and job.args["commit"] == "a" * 40
    assert app.query_params["model"] in (RELEASED, [RELEASED])


def test_the_list_says_what_models_run_on(home: Path) -> None:
    assert "Models run here on the processor" in fine_words(open_page(MODELS))
