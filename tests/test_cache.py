"""The answer cache: what it holds of whom, how it is pruned, and answers that were drawn."""

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from socrates_core.asking.cache import answer_key, open_cache
from socrates_core.asking.request import ModelRequest
from socrates_core.cli.cache import cache as forget
from socrates_core.errors import UserError
from socrates_core.jobs.progress import Reporter
from socrates_core.jobs.store import read_job
from socrates_core.models import open_responder
from socrates_core.populations.panel import PanelSpec
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_export import people_table
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.records import Answer, Prompt, Question, Scale
from socrates_core.settings import folder
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec
from tests.support.tiny_models import make_tiny_model

OLD = """
create table answers (
    key text primary key, fingerprint text not null, probabilities blob not null,
    valid_mass real not null, n_tokens integer not null, created text not null default (datetime('now'))
) without rowid
"""


def test_what_is_stored_is_told_for_each_responder_and_can_be_forgotten(home: Path) -> None:
    echo, uniform = open_responder("echo"), open_responder("uniform")
    asked = [Question(Prompt("", f"Question {n}?"), ("1", "2")) for n in range(5)]
    with open_cache() as cache:
        for responder, n in ((echo, 5), (uniform, 2)):
            cache.introduce(responder)
            answers = {
                answer_key(responder.fingerprint, question): Answer(np.array([0.5, 0.5]), 1.0)
                for question in asked[:n]
            }
            cache.write(answers, responder.fingerprint)
        assert [(shelf.model, shelf.n_answers) for shelf in cache.by_model()] == [
            ("echo, none, exact", 5),
            ("uniform, none, exact", 2),
        ]
        assert cache.prune(before="2000-01-01") == 0
        assert cache.prune(echo.fingerprint) == 5
        assert [shelf.model for shelf in cache.by_model()] == ["uniform, none, exact"]


def test_a_drawn_answer_comes_back_bit_for_bit(home: Path) -> None:
    answer = Answer(np.array([0.1, 0.9]), 0.35, 20, np.array([-3.5, 1e9 + 0.25]), 20)
    with open_cache() as cache:
        cache.write({"k": answer}, "f")
        back = cache.read(["k"])["k"]
    assert back.values is not None and answer.values is not None
    assert back.values.tobytes() == answer.values.tobytes()
    assert back.probabilities.tobytes() == answer.probabilities.tobytes()
    assert (back.valid_mass, back.n_samples, back.n_tokens) == (0.35, 20, 20)


def test_a_cache_of_the_version_before_keeps_its_answers(home: Path) -> None:
    with sqlite3.connect(folder("cache") / "answers.sqlite") as connection:
        connection.execute(OLD)
        probabilities = np.array([0.25, 0.75]).tobytes()
        connection.execute(
            "insert into answers (key, fingerprint, probabilities, valid_mass, n_tokens) values ('k', 'f', ?, 0.5, 7)",
            (probabilities,),
        )
    connection.close()
    with open_cache() as cache:
        found = cache.read(["k"])["k"]
        assert [shelf.model for shelf in cache.by_model()] == ["unknown"]
    assert found.probabilities.tobytes() == probabilities
    assert (found.values, found.n_samples) == (None, 0)


def open_draft() -> Draft:
    return Draft(
        title="Fees",
        conditions=(ConditionSpec(name="A", text="A park."), ConditionSpec(name="B", text="A fee.")),
        outcomes=(
            OutcomeSpec(name="Worth", question="How many dollars?", scale=ScaleSpec(kind="open_integer")),
            OutcomeSpec(name="Support", question="Support it?", scale=ScaleSpec(low=1, high=7)),
        ),
        panel=PanelSpec(kind="describe", describe={"gender": {"Female": 0.5, "Male": 0.5}}, n=4, seed=2),
    )


def test_a_run_with_an_open_outcome_is_drawn_stored_and_said_to_be_drawn(home: Path) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit", initializer_range=0.15)
    job = submit_simulation(open_draft(), ModelRequest("tiny", "fp32"))
    run_simulation(job.id, Reporter(read_job(job.id)))
    run = load_run(job.id)
    cells = {(cell.outcome_name, cell.condition_name): cell for cell in run.cells}
    assert {name: cell.n_samples for (name, _), cell in cells.items()} == {"Worth": 20, "Support": 0}
    for (name, _), cell in cells.items():
        if name == "Worth" and cell.n:
            assert cell.predicted.sum() == pytest.approx(1)
            assert cell.mean == pytest.approx(float(cell.predicted @ cell.values))
            assert cell.distance(cell.predicted, "stated") is None
    assert len(people_table(run)) == 16
    assert json.loads(json.dumps(run.as_dict(), default=str))["cells"]


@pytest.mark.parametrize("name", ["echo", "uniform"])
def test_a_stand_in_is_not_asked_open_questions(name: str, home: Path) -> None:
    with pytest.raises(UserError, match="'Worth' has an open scale"):
        submit_simulation(open_draft(), ModelRequest(name))


def test_the_scale_of_an_open_question_is_part_of_its_key() -> None:
    prompt = Prompt("", "How many?")
    plain, scaled = Question(prompt, ()), Question(prompt, (), Scale("open_integer"))
    assert answer_key("f", plain) != answer_key("f", scaled)


def test_nothing_is_forgotten_while_a_job_may_need_it(home: Path) -> None:
    draft = open_draft()
    submit_simulation(draft.model_copy(update={"outcomes": draft.outcomes[1:]}), ModelRequest("echo"))
    with pytest.raises(UserError, match="may need these answers"):
        forget(before="2999-01-01")
