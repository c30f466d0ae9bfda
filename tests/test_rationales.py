"""Rationales as training targets: the data's own, and those that a model writes after it was shown the true answer."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from socrates_core.__main__ import app
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.exposure import seals
from socrates_core.files import digest, read_json
from socrates_core.finetuning.library import jobs_using
from socrates_core.finetuning.rationale_writing import read_rationale, render_request
from socrates_core.finetuning.rationales import (
    load_rationales,
    rationale_names,
    run_rationales,
    submit_rationales,
)
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter, ShutDown
from socrates_core.models.local.responder import LocalResponder
from socrates_core.models.local.sampler import sample_texts
from socrates_core.models.served.server import Service
from socrates_core.records import Scale
from tests.support.api_server import ApiServer, FixedVoice, serving
from tests.support.jobs import finish_jobs, start_no_worker
from tests.support.socsci210_rows import imported, plain
from tests.support.tiny_models import make_tiny_model

pytestmark = pytest.mark.usefixtures("no_worker")

GOOD = "I do this at times. It matters to me."
SAID = {f"{GOOD} And then I": 0.6, "```json": 0.2, "People do so.": 0.2}
REMOTE = ModelRequest("api:fixed", service=Service("https://models.invalid/v1"))


@pytest.fixture(autouse=True)
def corpus(home: Path, tmp_path: Path) -> Corpus:
    """A corpus with rationales of its own and the split "mine"."""
    made = imported(tmp_path, [*plain("aaaaa", 24), *plain("bbbbb", 24)], reasoning=True)
    save_split(make_split(made, "participants", name="mine"))
    return made


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(FixedVoice(SAID)) as found:
        yield found


def spec(**changes: Any) -> TrainingSpec:
    told = {"name": "tuned", "method": "reasoning", "split": "mine", "rationales": "written", **changes}
    return TrainingSpec.model_validate(told)


def served(server: ApiServer) -> ModelRequest:
    return ModelRequest("api:fixed", service=Service(server.url))


def write(model: ModelRequest, asked: TrainingSpec, n_checks: int | None = None) -> str:
    """Runs a job to its end, or to the end of the worker at its check number `n_checks`; returns its state."""
    job = submit_rationales(model, asked)
    assert store.claim_next() is not None
    checks = iter(range(n_checks or 10**9))
    try:
        told = run_rationales(job.args, Reporter(job, lambda: next(checks, None) is None))
    except UserError as error:
        store.finish(job, "failed", str(error))
    except ShutDown:
        store.finish(job, "cancelled")
    else:
        store.finish(job, "done", result=told)
    return store.read_job(job.id).state


def asked_texts(server: ApiServer) -> list[str]:
    return [body["messages"][-1]["content"] for body in server.asked]


def test_the_data_brings_its_own(corpus: Corpus) -> None:
    own = load_rationales(corpus, "corpus")
    assert own.columns.tolist() == ["study_id", "sample_id", "reasoning"] and len(own) == 48
    assert own.loc[(own["study_id"] == "bbbbb") & (own["sample_id"] == 5), "reasoning"].tolist() == [
        "reasoning 5"
    ]


def test_rationales_of_a_frozen_study_are_hidden_like_its_answers(corpus: Corpus) -> None:
    seals.freeze(corpus, "aaaaa")
    assert set(load_rationales(corpus, "corpus")["study_id"]) == {"bbbbb"}


def test_what_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    bare = imported(tmp_path / "other", plain("ccccc"), name="bare")
    with pytest.raises(UserError, match="--reasoning, or let a model write some"):
        load_rationales(bare, "corpus")
    for name in ("nobody", "../corpora/bare", ""):
        with pytest.raises(UserError, match="no set of rationales"):
            load_rationales(bare, name)


def test_every_trained_row_is_asked_with_its_true_answer_and_usable_texts_are_kept(
    server: ApiServer, corpus: Corpus
) -> None:
    assert write(served(server), spec()) == "done"
    rows = choose_rows(spec()).train
    stimuli = {each.stimulus_id: each for each in corpus.stimuli("aaaaa")}
    assert len(asked_texts(server)) == len(rows) > 20
    for row in rows[rows["study_id"] == "aaaaa"].to_dict("records"):
        person = corpus.participant("aaaaa", row["participant"]).demographics
        stimulus = stimuli[row["stimulus_id"]]
        prompt = render_request(person, stimulus.stimulus, stimulus.scale, row["value"])
        assert prompt.user in asked_texts(server)
        assert f"- Age: {person['age']}\n" in prompt.user and stimulus.stimulus in prompt.user
        label = {1: " (Never)", 7: " (Always)"}.get(row["response"], "")
        assert f"You answered: {row['response']:g}{label}\n" in prompt.user
    kept = pq.read_table(_file("written", "parquet")).to_pandas().fillna("")
    assert set(zip(kept["study_id"], kept["sample_id"], strict=True)) == set(
        zip(rows["study_id"], rows["sample_id"], strict=True)
    )
    assert kept.groupby("fault")["raw"].unique().map(list).to_dict() == {
        "": [""],
        "holds a code fence": ["```json"],
        "is not in the first person": ["People do so."],
    }
    usable = load_rationales(corpus, "written")
    assert set(usable["reasoning"]) == {GOOD} and len(usable) == (kept["fault"] == "").sum()
    manifest = read_json(_file("written", "json"))
    assert manifest["n_usable"] == len(usable) and manifest["api"]["n_requests"] == len(rows)
    assert "shown each person's true answer" in manifest["note"]


def test_more_people_are_added_and_nobody_is_asked_twice(server: ApiServer, corpus: Corpus) -> None:
    assert write(served(server), spec(per_cell=2)) == "done"
    few = asked_texts(server)
    assert len(few) == 8
    assert write(served(server), spec(per_cell=5)) == "done"
    assert len(server.asked) == 20 and asked_texts(server)[:8] == few
    assert read_json(_file("written", "json"))["n_rows"] == 20


def test_what_a_killed_attempt_wrote_is_kept_and_a_torn_line_is_asked_again(
    server: ApiServer, corpus: Corpus
) -> None:
    server.seconds = 0.05
    assert write(served(server), spec(), n_checks=1) == "cancelled"
    n_asked = len(server.asked)
    first = pq.read_table(_file("written", "parquet")).to_pylist()
    rows = choose_rows(spec()).train
    assert 0 < len(first) <= n_asked < len(rows)
    lines = _file("written", "jsonl")  # as a kill leaves it: a line and the half of another
    pq.write_table(pq.read_table(_file("written", "parquet")).slice(0, 0), _file("written", "parquet"))
    lines.write_text("".join(json.dumps(line) + "\n" for line in first)[:-5])
    assert write(served(server), spec()) == "done"
    kept = pq.read_table(_file("written", "parquet")).to_pandas()
    assert len(kept) == len(rows) and not kept.duplicated(["study_id", "sample_id"]).any()
    assert len(server.asked) - n_asked == len(rows) - (len(first) - 1)
    assert not lines.exists()


def test_an_unanswered_row_is_asked_again_and_the_others_are_kept(server: ApiServer, corpus: Corpus) -> None:
    server.n_unwilling = 1
    assert write(served(server), spec(per_cell=2)) == "failed"
    assert read_json(_file("written", "json"))["n_rows"] == 7
    server.n_unwilling = 0
    server.unwilling.clear()
    assert write(served(server), spec(per_cell=2)) == "done"
    # The refused one was asked again without the field for thinking, and once more in the second job.
    assert len(server.asked) == 10 and read_json(_file("written", "json"))["n_rows"] == 8


def test_answers_leave_this_machine_only_with_consent(home: Path) -> None:
    with pytest.raises(
        UserError, match=r"each person's own answer with the profiles of \d+ real .*--consent"
    ):
        submit_rationales(REMOTE, spec())
    assert store.list_jobs() == []
    job = submit_rationales(REMOTE, spec(), consent=True)
    assert job.args["permission"]["host"] == "models.invalid"


@pytest.mark.parametrize(
    ("model", "changes", "sentence"),
    [
        ("echo", {}, "cannot write texts"),
        ("nobody", {}, "no model 'nobody'"),
        ("api:fixed", {"rationales": "corpus"}, "Rationales cannot be called"),
        ("api:fixed", {"rationales": "../a"}, "Rationales cannot be called"),
        ("api:fixed", {"split": "none"}, "no split"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_it_is_queued(
    model: str, changes: dict[str, str], sentence: str, server: ApiServer
) -> None:
    with pytest.raises(UserError, match=sentence):
        submit_rationales(ModelRequest(model, service=REMOTE.service), spec(**changes), consent=True)
    assert store.list_jobs() == []


def test_a_name_belongs_to_one_writer_and_one_corpus(
    server: ApiServer, corpus: Corpus, tmp_path: Path
) -> None:
    assert write(served(server), spec(per_cell=2)) == "done"
    other = ModelRequest("api:another", service=Service(server.url))
    assert write(other, spec(per_cell=3)) == "failed"
    assert "another writer" in store.list_jobs()[-1].message
    bare = imported(tmp_path / "other", plain("ccccc"), name="bare")
    with pytest.raises(UserError, match="written for the corpus 'socsci210'"):
        load_rationales(bare, "written")
    pq.write_table(pq.read_table(_file("written", "parquet")).slice(1), _file("written", "parquet"))
    with pytest.raises(UserError, match="changed since it was written"):
        load_rationales(corpus, "written")


def test_a_command_explains_the_rows_of_a_finetunes_own_file(
    home: Path, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_no_worker(monkeypatch)
    make_tiny_model(home / "models" / "tiny", "single-digit")
    file = tmp_path / "tuned.yaml"
    file.write_text(spec(per_cell=2, per_study=3, seed=5).as_yaml())
    asked = ["rationales", "mine", "--model", "tiny"]
    done = CliRunner().invoke(app, [*asked, "--config", str(file)])
    assert done.exit_code == 0, done.output
    told = store.list_jobs()[0].args["spec"]
    assert (told["per_study"], told["seed"], told["method"], told["rationales"]) == (
        3,
        5,
        "reasoning",
        "mine",
    )
    assert [job.id for job in jobs_using("tiny")] == [store.list_jobs()[0].id]  # so it cannot be deleted
    for wrong in (asked, [*asked, "--config", str(file), "--split", "mine"]):
        assert "Choose whose answers are explained" in str(CliRunner().invoke(app, wrong).exception)


def test_a_model_on_this_machine_writes_by_command_what_it_says_to_each_prompt_alone(
    home: Path, corpus: Corpus
) -> None:
    make_tiny_model(home / "models" / "tiny", "single-digit")
    command = [
        "rationales",
        "mine",
        "--split",
        "mine",
        "--model",
        "tiny",
        "--cap",
        "2",
        "--precision",
        "fp32",
    ]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    finish_jobs()
    (job,) = store.list_jobs()
    assert (job.id, job.state) == (done.stdout.strip(), "done"), job.message
    kept = pq.read_table(_file("mine", "parquet")).to_pandas().fillna("")
    rows = choose_rows(spec(per_cell=2)).train.merge(kept, on=["study_id", "sample_id"])
    assert rationale_names() == ["mine"] and len(rows) == len(kept) == 8
    local = LocalResponder("tiny", "fp32", "paper")
    stimuli = {each.stimulus_id: each for each in corpus.stimuli("aaaaa")}
    for row in rows[rows["study_id"] == "aaaaa"].to_dict("records"):
        stimulus = stimuli[row["stimulus_id"]]
        person = corpus.participant("aaaaa", row["participant"]).demographics
        prompt = render_request(person, stimulus.stimulus, stimulus.scale, row["value"])
        uniform = np.random.default_rng(int(digest(prompt.messages())[:16], 16)).random((1, 96))
        tokens = list(local.chat.encode([prompt]))
        ((said,),) = sample_texts(local._network(), local.chat, tokens, "paper", [uniform])
        reasoning, fault = read_rationale(said, row["value"])
        assert (row["reasoning"], row["fault"], row["raw"]) == (reasoning, fault, said if fault else "")


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("  I like it.\nIt helps my work. And th", 3, ("I like it. It helps my work.", "")),
        ("I am 34 and saw 30 of them, or 3.5.", 3, ("I am 34 and saw 30 of them, or 3.5.", "")),
        ("I would say 3.", 3, ("", "names the answer")),
        ("I lose: -3, surely.", -3, ("", "names the answer")),
        ("I lose 3 of them.", -3, ("I lose 3 of them.", "")),
        ("", 3, ("", "is empty")),
        (" ** ", 3, ("", "is empty")),
        ("I think that it", 3, ("", "has no whole sentence")),
        ("```\nI like it.\n```", 3, ("", "holds a code fence")),
        ("I like it. <|im_end|>", 3, ("", "holds marks of a chat template")),
        ("I like it.\n\nAnswer: 4", 3, ("", "holds the word that stands before an answer")),
        ("The respondent likes it.", 3, ("", "is not in the first person")),
        ("I do. I really do. I like it. I would say 3.", 3, ("I do. I really do. I like it.", "")),
        ("I like it. i like it. I do.", 3, ("", "repeats itself")),
        ("I am a survey respondent who likes it.", 3, ("", "speaks of the request")),
    ],
)
def test_what_of_a_text_can_be_used(text: str, value: float, found: tuple[str, str]) -> None:
    assert read_rationale(text, value) == found


def test_hostile_texts_change_nothing_of_the_request() -> None:
    scale = Scale("range", 1, 7)
    prompt = render_request({"age": 30, "gender": "{value}"}, "What? {answer} {profile}", scale, 4.0)
    assert "{value}" in prompt.user and "What? {answer} {profile}" in prompt.user
    assert "You answered: 4\n" in prompt.user


def _file(name: str, ending: str) -> Path:
    return open_corpus("socsci210").path.parents[1] / "rationales" / f"{name}.{ending}"
