"""What an earlier version of the scoring answered is not used again, and says what may be wrong with it."""

from pathlib import Path

import pytest

from pages.view.state import PAGES as PATHS
from socrates_core.asking.answer import open_warm
from socrates_core.asking.request import ModelRequest
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.submission import evaluate_again, submit_evaluation
from socrates_core.files import read_json, write_json
from socrates_core.models.stand_ins import Uniform
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import run_again, submit_simulation
from socrates_core.records import SCORING_VERSION, ResponderCard
from socrates_core.scoring.versions import wrong_answers, wrong_training
from tests.support.commands import command
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs
from tests.support.pages import PAGES, fine, open_page
from tests.support.tiny_models import make_tiny_model

pytestmark = pytest.mark.usefixtures("no_worker")


def age(path: Path) -> None:
    """Makes the manifest of a run or an evaluation that of version 1, whose cards named no version."""
    manifest = read_json(path / "manifest.json")
    assert manifest["card"].pop("scoring") == SCORING_VERSION
    write_json(path / "manifest.json", manifest)


def test_the_version_is_part_of_the_card_and_so_of_every_fingerprint(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit")
    first = submit_simulation(make_draft(), ModelRequest("tiny"))
    finish_jobs()
    assert load_run(first.id).manifest["card"]["scoring"] == SCORING_VERSION
    second = run_again(first.id)
    finish_jobs()
    assert load_run(second.id).manifest["n_cached"] == load_run(second.id).manifest["n_cells"]
    monkeypatch.setattr(ResponderCard.__init__, "__defaults__", (False, "", "", SCORING_VERSION + 1))
    open_warm.cache_clear()
    third = run_again(first.id)
    finish_jobs()
    assert load_run(third.id).manifest["n_cached"] == 0


def test_cards_of_version_one_say_what_was_wrong_then() -> None:
    local, served = {"name": "mine"}, {"name": "api:x", "server": "http://localhost:1/v1"}
    assert "a blank before an answer" in wrong_answers(local) and "version 1 of the scoring" in wrong_answers(
        local
    )
    assert "counted as zero" in wrong_answers(served)
    assert "summed in 16 bits" in wrong_training({"id": "x"})
    for card in (local, served):
        assert wrong_answers(card | {"scoring": SCORING_VERSION}) == ""
    assert (
        wrong_training({"scoring": SCORING_VERSION})
        == wrong_answers(Uniform().card.as_dict() | {"scoring": 1})
        == ""
    )


def test_an_old_run_shows_a_badge_and_is_run_again_with_the_same_people_and_texts(home: Path) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit")
    job = submit_simulation(make_draft(), ModelRequest("tiny"))
    finish_jobs()
    assert "older scoring" not in fine(open_page(PAGES[3], run=job.id))
    age(home / "runs" / job.id)
    page = open_page(PAGES[3], run=job.id)
    assert "older scoring" in fine(page) and "a blank before an answer" in page.warning[0].value
    assert f"run {job.id} --again" in command("run", job.id)
    page.button(key="again_Run again").click().run()
    finish_jobs()
    (other,) = [path.name for path in (home / "runs").iterdir() if path.name != job.id]
    before, after = load_run(job.id), load_run(other)
    assert after.outdated == "" and after.spec.content() == before.spec.content()


def test_an_old_evaluation_says_so_and_is_evaluated_again(starter_home: Path) -> None:
    make_tiny_model(starter_home / "models" / "tiny", "single-digit")
    job = submit_evaluation(ModelRequest("tiny"), studies=["kakadu"], cap=2)
    finish_jobs()
    age(starter_home / "evaluations" / job.id)
    page = open_page(PATHS.compare, evaluations=job.id)
    assert "older scoring" in fine(page)
    again = evaluate_again(job.id)
    finish_jobs()
    found = load_evaluation(again.id)
    assert found.outdated == "" and found.spec.sample_digest() == load_evaluation(job.id).spec.sample_digest()
