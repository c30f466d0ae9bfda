"""The base model on the page Launch: what cannot be trained as asked, and what is still on a hub."""

import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import streamlit as st

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.submission import submit_training
from tests.support.adapters import make_adapter
from tests.support.hub import Hub, HubAnswers
from tests.support.launch_page import PAGE, error, field, split
from tests.support.pages import fine, open_page
from tests.support.tiny_models import make_tiny_model

RELEASED = "socratesft/socrates-llama3-8b-sft"


def test_an_adapter_is_not_offered_to_be_trained_whole(starter_home: Path) -> None:
    base = make_tiny_model(starter_home / "models" / "base", "single-digit")
    make_adapter(base, starter_home / "adapters" / "tuned", 1)
    app = open_page(PAGE, split=split(), base="tuned", tuning="full")
    assert app.button(key="train_start").disabled and "is an adapter, and tuning" in error(app)


class HubThatCounts(HubAnswers):
    """Gives its model under the name of a released one too, and keeps what was asked of it."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.path = self.path.replace(RELEASED, "org/name")
        super().do_GET()


@pytest.fixture
def hub(starter_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    serving = Hub(make_tiny_model(starter_home / "models" / "base", "single-digit"))
    serving.RequestHandlerClass = HubThatCounts
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", serving.address)
    files = f"{serving.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    st.cache_data.clear()
    yield serving
    serving.shutdown()


def test_a_base_whose_weights_are_on_the_hub_cannot_start_and_leads_to_their_fetch(hub: Hub) -> None:
    app = open_page(PAGE, split=split(), base=RELEASED)
    told = fine(app).replace("\\", "")
    assert f"The weights of '{RELEASED}' are not on this machine" in told
    assert app.button(key="train_start").disabled and not any("safetensors" in each for each in hub.asked)
    assert [parse_qs(each.proto.query_string) for each in app.get("page_link")] == [{"model": [RELEASED]}]


def test_a_base_of_the_hub_that_nobody_lists_is_fetched_by_a_command(hub: Hub) -> None:
    app = open_page(PAGE, split=split(), base="org/name")
    assert "python -m socrates_core models fetch org/name" in fine(app).replace("\\", "")
    assert app.button(key="train_start").disabled


def test_an_adapter_over_a_base_of_the_hub_waits_for_it_too(hub: Hub, starter_home: Path) -> None:
    adapter = make_adapter(starter_home / "models" / "base", starter_home / "adapters" / "tuned", 1)
    settings = read_json(adapter / "adapter_config.json")
    write_json(adapter / "adapter_config.json", {**settings, "base_model_name_or_path": "org/name"})
    app = open_page(PAGE, split=split(), base="tuned")
    assert "The weights of 'org/name' are not on this machine" in fine(app).replace("\\", "")
    assert app.button(key="train_start").disabled


def test_a_hub_that_has_no_such_model_is_asked_once(hub: Hub) -> None:
    app = open_page(PAGE, split=split(), base="org/other")
    asked = len(hub.asked)
    field(app, "Learning rate").set_value("2e-4").run()
    assert "could not be fetched from the hub" in error(app) and app.button(key="train_start").disabled
    assert len(hub.asked) == asked > 0


def test_a_command_does_not_fetch_a_base_either(hub: Hub) -> None:
    spec = TrainingSpec(name="tuned", base="org/name", split=split())
    with pytest.raises(UserError, match="python -m socrates_core models fetch org/name"):
        submit_training(spec)
    assert not hub.asked
