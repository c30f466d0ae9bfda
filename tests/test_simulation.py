"""Runs from submission to export, with the deterministic stand-in and real worker processes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from socrates_core.asking.answer import OpenModel
from socrates_core.asking.cache import answer_key, open_cache
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import Cancelled, Reporter
from socrates_core.models.stand_ins import Echo
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import load_spec, questions, submit_simulation
from socrates_core.projects.run_tables import PersonAnswer, write_run
from socrates_core.prompts import render_prompt
from socrates_core.records import Answer, Prompt, Question
from socrates_core.reporting.run_report import write_report
from tests.support.commands import process
from tests.support.drafts import ECHO, kakadu, make_draft
from tests.support.jobs import run_now
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("no_worker")


def test_a_run_answers_every_person_condition_and_outcome_once(home: Path) -> None:
    run = run_now(make_draft())
    people = run.people
    assert len(people) == 4 * 2 * 1 and not people.duplicated(["person", "condition", "outcome"]).any()
    assert np.allclose([p.sum() for p in people["probabilities"]], 1)
    assert run.manifest["state"] == "complete" and run.manifest["n_answered"] == 8


def test_a_second_identical_run_comes_from_the_cache_bit_for_bit(home: Path) -> None:
    first, second = run_now(make_draft()), run_now(make_draft())
    assert first.spec.run_id != second.spec.run_id
    assert second.manifest["n_cached"] == 8 and second.manifest["n_tokens"] == 0
    for ours, theirs in zip(first.people["probabilities"], second.people["probabilities"], strict=True):
        assert ours.tobytes() == theirs.tobytes()


def test_changing_one_condition_scores_only_its_cells(home: Path) -> None:
    draft = make_draft()
    run_now(draft)
    changed = draft.conditions[1].model_copy(update={"text": "Another word."})
    run = run_now(draft.model_copy(update={"conditions": (draft.conditions[0], changed)}))
    cached = run.people.groupby("condition")["cached"].all()
    assert cached.tolist() == [True, False]


def test_people_stand_beside_the_prediction_only_where_the_text_is_theirs(starter_home: Path) -> None:
    draft = kakadu()
    same = run_now(draft)
    assert all(cell.counts is not None for cell in same.cells)
    counts = {cell.condition_name: cell.n_people for cell in same.cells}
    assert sorted(counts.values()) == [909, 918]
    edited = draft.conditions[0].model_copy(update={"text": draft.conditions[0].text + " Really."})
    changed = run_now(draft.model_copy(update={"conditions": (edited, *draft.conditions[1:])}))
    assert [cell.counts is not None for cell in changed.cells] == [False, True]
    kept = changed.cells[1]
    assert kept.counts is not None and kept.condition_blind is not None
    # the other conditions, not the cell itself
    assert not np.allclose(kept.condition_blind, kept.counts / kept.n_people)
    assert all(effect.people is None for effect in changed.effects)


def test_human_effects_in_a_run_are_the_studys_own(starter_home: Path) -> None:
    effect = run_now(kakadu()).effects[0]
    assert effect.people is not None
    assert abs(effect.people.difference) == pytest.approx(0.18, abs=0.005)
    assert np.isnan(effect.predicted.low)


def test_scores_name_both_conventions_and_every_baseline(starter_home: Path) -> None:
    scores = run_now(kakadu()).cells[0].scores()
    for convention in ("observed", "stated"):
        for row in ("", "_uniform", "_condition_blind", "_half_sample"):
            value = scores[f"w_{convention}{row}"]
            assert value is not None and 0 <= value <= 1


def test_an_active_identical_run_is_joined_and_leaves_no_second_folder(home: Path) -> None:
    first, second = submit_simulation(make_draft(), ECHO), submit_simulation(make_draft(), ECHO)
    assert first.id == second.id and len(list_runs()) == 1


def test_a_cancelled_run_keeps_its_answers_and_says_that_it_is_partial(home: Path) -> None:
    job = submit_simulation(make_draft(), ECHO)
    claimed = store.claim_next()
    assert claimed is not None
    store.cancel(job.id)
    with pytest.raises(Cancelled):
        run_simulation(job.id, Reporter(claimed))
    run = load_run(job.id)
    # the first prompt's answer is that of everybody with the same profile: two of four are women, two men
    assert run.manifest["state"] == "partial" and run.manifest["n_answered"] == 2
    assert run.people["probabilities"].notna().sum() == 2
    store.finish(claimed, "cancelled")
    store.resume(job.id)
    again = store.claim_next()
    assert again is not None
    run_simulation(job.id, Reporter(again))
    assert load_run(job.id).manifest["n_cached"] == 2


def test_a_run_killed_with_minus_nine_is_lost_then_resumed_without_repeating_answers(
    starter_home: Path,
) -> None:
    draft = kakadu(n=1500)
    job = submit_simulation(draft, ECHO)
    command = [sys.executable, "-m", "socrates_core", "worker", "--idle-seconds", "1"]
    worker = subprocess.Popen(command)
    progress = job.path / "progress.jsonl"
    wait_until(lambda: progress.exists() and '"answering", "done": ' in progress.read_text())
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert store.read_job(job.id).state == "lost"
    with open_cache() as cache:
        kept = cache.count()
    store.resume(job.id)
    assert subprocess.run(command, check=False, timeout=PATIENCE).returncode == 0
    assert store.read_job(job.id).state == "done"
    run = load_run(job.id)
    assert run.manifest["state"] == "complete" and run.manifest["n_answered"] == 3000
    assert not run.people.duplicated(["person", "condition", "outcome"]).any()
    distinct = {
        answer_key(run.manifest["fingerprint"], a.question) for a in questions(draft, run.spec.people)
    }
    with open_cache() as cache:
        assert cache.count() == len(distinct) >= kept


def test_the_cache_returns_what_was_written_and_the_first_writer_wins(home: Path) -> None:
    question = Question(Prompt("s", "u"), ("1", "2"))
    key = answer_key("f", question)
    with open_cache() as one, open_cache() as two:
        one.write({key: Answer(np.array([0.1, 0.9]), 0.123456789012345, 7)}, "f")
        two.write({key: Answer(np.array([0.5, 0.5]), 0.5, 7)}, "f")
        found = two.read([key])[key]
    assert found.probabilities.tolist() == [0.1, 0.9] and found.valid_mass == 0.123456789012345


def test_a_damaged_cache_is_a_sentence(home: Path) -> None:
    (home / "cache").mkdir(parents=True)
    (home / "cache" / "answers.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="answer cache"), open_cache():
        pass


def test_an_answer_without_any_valid_option_is_missing_and_not_a_guess(home: Path) -> None:
    draft = make_draft()
    spec = load_spec(submit_simulation(draft, ECHO).id)
    asked = list(questions(draft, spec.people))
    nothing = Answer(np.full(7, np.nan), 0.0, 5)
    known = Answer(np.full(7, 1 / 7), 1.0, 5)
    cells = [PersonAnswer(each, nothing if each.person == 0 else known, False) for each in asked]
    write_run(spec, cells, OpenModel(spec.model, Echo(), None, 0.0), seconds=1.0)
    run = load_run(spec.run_id)
    assert [(cell.n, cell.valid_mass) for cell in run.cells] == [
        (2, 0.75),
        (2, 0.75),
    ]  # two profiles have an answer
    assert np.allclose(run.cells[0].predicted, 1 / 7)
    assert run.people["mean"].isna().sum() == 2
    assert run.effects[0].predicted.n == 2


@pytest.mark.parametrize("content", ["[]", "null", "{}", "{", '{"card": 1}'])
def test_one_damaged_manifest_is_a_sentence_and_hides_no_other_run(home: Path, content: str) -> None:
    broken, fine = run_now(make_draft()).spec.run_id, run_now(make_draft(title="Fine")).spec.run_id
    (load_spec(broken).path / "manifest.json").write_text(content)
    assert {row["run_id"] for row in list_runs()} == {broken, fine}
    with pytest.raises(UserError):
        load_run(broken)


def test_an_edited_spec_is_not_shown_with_the_old_numbers(home: Path) -> None:
    run_id = run_now(make_draft()).spec.run_id
    path = load_spec(run_id).path / "spec.json"
    spec = json.loads(path.read_text())
    spec["draft"]["conditions"].reverse()
    path.write_text(json.dumps(spec))
    with pytest.raises(UserError, match="changed or damaged"):
        load_run(run_id)


def test_a_prompt_that_the_model_cannot_read_is_refused_before_anything_is_queued(starter_home: Path) -> None:
    long = make_draft().conditions[0].model_copy(update={"text": "The river is long. " * 3000})
    with pytest.raises(UserError, match="takes at most 8,192"):
        submit_simulation(make_draft(conditions=(long,)), ModelRequest("starter"))
    assert store.list_jobs() == []


def test_the_key_tells_prompts_options_and_models_apart() -> None:
    question = Question(Prompt("s", "u"), ("1", "2"))
    others = [
        answer_key("g", question),
        answer_key("f", Question(Prompt("s", "v"), ("1", "2"))),
        answer_key("f", Question(Prompt("s", "u"), ("1", "3"))),
    ]
    assert answer_key("f", question) not in others and len(set(others)) == 3


def test_the_draft_in_a_report_reproduces_the_run(home: Path, tmp_path: Path) -> None:
    run = run_now(make_draft())
    path = str(write_report(run, tmp_path / "out") / "draft.yaml")
    words = [path if part == "draft.yaml" else part for part in run.command]
    assert words[:3] == ["python", "-m", "socrates_core"]
    repeated = load_run(json.loads(process(*words[3:], "--json"))["run_id"])
    assert repeated.people.drop(columns="cached").equals(run.people.drop(columns="cached"))


def test_a_panel_is_the_same_for_the_same_seed_and_another_for_another(starter_home: Path) -> None:
    panel = kakadu(n=20).panel
    assert draw_panel(panel) == draw_panel(panel)
    assert draw_panel(panel) != draw_panel(panel.model_copy(update={"seed": 1}))


def test_filters_that_leave_nobody_and_panels_larger_than_the_corpus_are_sentences(
    starter_home: Path,
) -> None:
    panel = kakadu().panel
    with pytest.raises(UserError, match="Widen or remove a filter"):
        draw_panel(panel.model_copy(update={"filters": {"age": (1, 2)}}))
    with pytest.raises(UserError, match="only 1,827 are there"):
        draw_panel(panel.model_copy(update={"n": 5000}))


def test_described_people_follow_their_shares(home: Path) -> None:
    panel = make_draft().panel.model_copy(
        update={"n": 4000, "describe": {"gender": {"Female": 0.25, "Male": 0.75}}}
    )
    people = draw_panel(panel)
    share = np.mean([person.demographics["gender"] == "Female" for person in people])
    assert share == pytest.approx(0.25, abs=4 * (0.25 * 0.75 / 4000) ** 0.5)


def test_questions_are_the_exact_prompts_of_the_panel(home: Path) -> None:
    draft = make_draft()
    spec = load_spec(submit_simulation(draft, ECHO).id)
    first = next(iter(questions(spec.draft, spec.people)))
    stimulus = draft.stimulus(draft.conditions[0], draft.outcomes[0])
    assert first.question.prompt == render_prompt(spec.people[0].demographics, stimulus)


def test_a_foreign_parquet_file_in_a_run_is_a_sentence(home: Path) -> None:
    run_id = run_now(make_draft()).spec.run_id
    path = load_spec(run_id).path / "people.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match="changed or damaged"):
        load_run(run_id)
    assert pq.read_table(path.with_name("cells.parquet")).num_rows == 2
