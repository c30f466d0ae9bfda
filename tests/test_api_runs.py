"""Runs of served models: consent, money, secrets, examples, and what a kill in the middle costs."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from socrates_core.asking.cache import answer_key
from socrates_core.asking.consent import PERMISSION
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.store import find_study
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.models import answer_all, open_responder
from socrates_core.models.served.asking import Unanswered
from socrates_core.models.served.prices import find_price
from socrates_core.models.served.responder import ApiResponder
from socrates_core.models.served.server import Elicitation, Service
from socrates_core.models.served.shots import Answered, pick_shots, with_shots
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_estimate import estimate
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import load_spec, submit_simulation
from socrates_core.prompts import render_prompt
from socrates_core.records import Prompt, Question, Scale
from socrates_core.surveys.draft import Draft, render_draft
from socrates_core.surveys.start import draft_from_study
from tests.support.api_server import ApiServer, FixedVoice, serving
from tests.support.commands import as_json
from tests.support.drafts import make_draft
from tests.support.jobs import run_now
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("no_worker")

REMOTE = "https://models.invalid/v1"
SECRET = "sk-SECRET0123456789abcdef"
WORKER = [sys.executable, "-m", "socrates_core", "worker", "--idle-seconds", "1"]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(FixedVoice({"2": 0.5, "6": 0.3, "Well": 0.2})) as found:
        yield found


def model(server: ApiServer, elicitation: Elicitation = "auto", key_variable: str = "") -> ModelRequest:
    return ModelRequest("api:fixed", service=Service(server.url, key_variable, elicitation))


def people(n: int) -> Draft:
    draft = make_draft()
    ages = {str(age): 1 / 60 for age in range(20, 80)}
    described = {"age": ages, "income": {str(step): 1 / 40 for step in range(40)}}
    return draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": n, "describe": described})})


def set_price(home: Path, host: str, read: float, written: float) -> None:
    home.mkdir(exist_ok=True)
    (home / "prices.yaml").write_text(
        f"checked: '2026-11'\nsource: a test\nhosts: {{'{host}': {{fixed: [{read}, {written}]}}}}\n"
    )


def test_a_served_run_is_complete_and_says_who_answered_at_what_cost(home: Path, server: ApiServer) -> None:
    set_price(home, server.url.split("/")[2], 2.0, 10.0)
    run = run_now(make_draft(), model(server))
    told = run.manifest["api"]
    assert run.manifest["state"] == "complete" and len(server.asked) == told["n_requests"]
    assert told["served"] == ["fixed-2026"] and told["price"]["source"] == "a test, 2026-11"
    assert told["usd"] == pytest.approx((told["n_read"] * 2 + told["n_written"] * 10) / 1e6)
    assert told["n_unlisted_options"] == 5 * len(server.asked)
    assert run.manifest["card"]["server"] == server.url and run.manifest["card"]["elicitation"].startswith(
        "auto"
    )
    assert run.cells[0].predicted == pytest.approx([0, 0.625, 0, 0, 0, 0.375, 0])
    assert run.cells[0].valid_mass == pytest.approx(0.8)


def test_an_unanswered_question_leaves_the_run_partial_and_is_asked_again_on_resume(
    home: Path, server: ApiServer
) -> None:
    server.troubles.append("no-logprobs")
    run = run_now(people(6), model(server, "logprobs"))
    n = run.manifest["n_cells"]
    assert (run.manifest["state"], run.manifest["n_answered"]) == ("partial", n - 1)
    assert run.people["probabilities"].isna().sum() == 1 and run.people["mean"].isna().sum() == 1
    assert "1 of" in store.read_job(run.spec.run_id).message
    kept = [json.loads(line) for line in (run.spec.path / "failures.jsonl").read_text().splitlines()]
    assert len(kept) == 1 and "log-probabilities" in kept[0]["cause"] and '"choices"' in kept[0]["raw"]
    asked = len(server.asked)
    store.resume(run.spec.run_id)
    claimed = store.claim_next()
    assert claimed is not None
    run_simulation(run.spec.run_id, Reporter(claimed))
    assert load_run(run.spec.run_id).manifest["state"] == "complete"
    assert len(server.asked) == asked + 1


def test_a_spending_limit_is_never_exceeded_and_a_higher_one_goes_on_from_there(
    home: Path, server: ApiServer
) -> None:
    set_price(home, server.url.split("/")[2], 10.0, 10.0)
    draft, request = people(30), model(server, "logprobs")
    first = run_now(draft, request, limit_usd=0.05)
    spent, n_first = first.manifest["api"]["usd"], len(server.asked)
    assert first.manifest["state"] == "partial" and 0 < spent <= 0.05
    assert "spending limit of $0.05 is reached" in store.read_job(first.spec.run_id).message
    store.resume(first.spec.run_id)
    again = store.claim_next()
    assert again is not None
    with pytest.raises(Unanswered, match="spending limit"):
        run_simulation(first.spec.run_id, Reporter(again))
    assert load_run(first.spec.run_id).manifest["api"]["usd"] <= 0.05
    store.finish(again, "failed")
    second = run_now(draft, request, limit_usd=5.0)
    assert second.manifest["state"] == "complete" and second.manifest["n_cached"] >= n_first
    assert max(Counter(body["messages"][-1]["content"] for body in server.asked).values()) == 1


def test_a_limit_without_a_price_and_a_broken_price_file_are_sentences(home: Path) -> None:
    remote = ModelRequest("api:new", service=Service(REMOTE))
    with pytest.raises(UserError, match="needs the model's price"):
        submit_simulation(make_draft(), remote, consent=True, limit_usd=1.0)
    home.mkdir(exist_ok=True)
    for text in (
        "hosts: [",
        "hosts: {models.invalid: {new: [1]}}",
        "[]",
        "hosts: {models.invalid: {new: [-1, 2]}}",
    ):
        (home / "prices.yaml").write_text(text)
        with pytest.raises(UserError, match="cannot be read"):
            find_price(Service(REMOTE), "new")


def test_the_built_in_prices_have_a_date_and_a_source(home: Path) -> None:
    price = find_price(Service(), "gpt-4o")
    assert price is not None and (price.read, price.written) == (2.5, 10.0)
    assert "2026" in price.source and "https://" in price.source
    assert find_price(Service(), "gpt-nobody-knows") is None
    assert price.usd(1_000_000, 100_000) == 3.5


def test_the_estimate_before_is_near_the_bill_after(home: Path, server: ApiServer) -> None:
    set_price(home, server.url.split("/")[2], 5.0, 10.0)
    draft = people(10)
    before = estimate(draft, draw_panel(draft.panel), model(server)).usd
    after = run_now(draft, model(server)).manifest["api"]["usd"]
    assert before is not None and 0.7 < before / after < 1.4


def test_the_key_is_nowhere_on_disk_even_where_the_server_repeats_it(
    home: Path, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", SECRET)
    server.key = SECRET
    server.troubles.extend(["500", "429", "malformed"])
    server.troubles.extend("400" for _ in range(20))
    server.troubles.append("no-logprobs")
    job = submit_simulation(people(12), model(server, "logprobs", "MY_KEY"))
    assert subprocess.run(WORKER, check=False, timeout=PATIENCE).returncode == 0
    server.key, server.troubles = "another", type(server.troubles)()
    store.resume(job.id)
    assert subprocess.run(WORKER, check=False, timeout=PATIENCE).returncode == 0
    assert "refuses the key in 'MY_KEY'" in store.read_job(job.id).message
    assert "[key]" in (home / "runs" / job.id / "failures.jsonl").read_text()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 8 and any("MY_KEY" in path.read_text(errors="ignore") for path in files)
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_nothing_is_sent_to_another_machine_without_consent_for_that_run(
    starter_home: Path, tmp_path: Path
) -> None:
    draft = draft_from_study(find_study("kakadu"), "kakadu")
    remote = ModelRequest("api:gpt", service=Service(REMOTE))
    with pytest.raises(
        UserError, match=r"models\.invalid.*real participants \(age.*Nothing was sent"
    ) as told:
        submit_simulation(draft, remote)
    assert f"{draft.panel.n:,} real participants" in str(told.value) and store.list_jobs() == []
    with pytest.raises(UserError, match="described people"):
        submit_simulation(make_draft(), remote)  # unpublished texts leave, too
    with pytest.raises(UserError, match="Nothing was sent"):
        open_responder("api:gpt", service=Service(REMOTE))
    job = submit_simulation(draft, remote, consent=True)
    given = load_spec(job.id).permission
    assert given is not None and given["host"] == "models.invalid" and given["n_people"] == draft.panel.n
    path = tmp_path / "draft.yaml"
    path.write_text(render_draft(make_draft()))
    command = ["simulate", str(path), "--model", "api:gpt", "--server", REMOTE]
    done = subprocess.run(
        [sys.executable, "-m", "socrates_core", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "models.invalid" in done.stderr and "--consent" in done.stderr


def test_a_run_whose_permission_was_taken_out_sends_nothing(home: Path) -> None:
    job = submit_simulation(make_draft(), ModelRequest("api:gpt", service=Service(REMOTE)), consent=True)
    (load_spec(job.id).path / PERMISSION).unlink()
    claimed = store.claim_next()
    assert claimed is not None
    with pytest.raises(UserError, match="Nothing was sent"):
        run_simulation(job.id, Reporter(claimed))


def test_a_killed_run_goes_on_without_asking_what_was_answered(home: Path, server: ApiServer) -> None:
    server.seconds = 0.02
    job = submit_simulation(people(150), model(server))
    worker = subprocess.Popen(WORKER)
    wait_until(lambda: len(server.asked) >= 60)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert store.read_job(job.id).state == "lost"
    store.resume(job.id)
    assert subprocess.run(WORKER, check=False, timeout=PATIENCE).returncode == 0
    run = load_run(job.id)
    times = Counter(body["messages"][-1]["content"] for body in server.asked)
    assert run.manifest["state"] == "complete" and run.manifest["n_cached"] >= 40
    assert (
        max(times.values()) <= 2 and sum(n - 1 for n in times.values()) <= 10
    )  # what was under way at the kill


def test_models_are_stored_as_they_were_before_there_were_servers(server: ApiServer) -> None:
    plain = ModelRequest("starter")
    assert plain.as_dict() == {"name": "starter", "precision": "auto", "decoding": "exact"}
    served = model(server, "samples")
    assert ModelRequest(**json.loads(json.dumps(served.as_dict()))) == served


SCALE = Scale("range", 1, 7)
EVERYBODY = [Answered(n, {"age": 20 + n}, 1 + n % 7 if n % 5 else 99) for n in range(40)]


def test_examples_are_never_of_the_person_asked_of_held_out_people_or_off_the_scale() -> None:
    held_out = set(range(0, 40, 2))
    shown = set()
    for n in range(40):
        shots = pick_shots(EVERYBODY, "How?", SCALE, participant=n, held_out=held_out, k=5, seed=3)
        assert len(set(shots)) == 5
        prompts = {render_prompt(each.demographics, "How?").user: each for each in EVERYBODY}
        for text, said in shots:
            assert prompts[text].participant not in held_out | {n} and said == str(prompts[text].response)
            shown.add(prompts[text].participant)
    assert shown == {n for n in range(1, 40, 2) if n % 5}
    with pytest.raises(UserError, match="Only 16 other people"):
        pick_shots(EVERYBODY, "How?", SCALE, participant=0, held_out=held_out, k=17, seed=3)


def test_examples_are_drawn_by_seed_and_person_and_not_by_the_order_of_the_data() -> None:
    def drawn(answered: list[Answered], participant: int, seed: int) -> object:
        return pick_shots(answered, "How?", SCALE, participant=participant, held_out=(), k=5, seed=seed)

    assert drawn(EVERYBODY, 1, 3) == drawn(EVERYBODY[::-1], 1, 3)
    assert len({drawn(EVERYBODY, 1, 3), drawn(EVERYBODY, 2, 3), drawn(EVERYBODY, 1, 4)}) == 3


def test_examples_are_turns_before_the_question_and_have_answers_of_their_own(
    home: Path, server: ApiServer
) -> None:
    question = Question(Prompt("You answer surveys.", "How?"), SCALE.options)
    shown = with_shots(question, [("How was it?", "5"), ("How is it?", "2")])
    answer_all(ApiResponder("api:fixed", Service(server.url)), [shown])
    said = [(message["role"], message["content"]) for message in server.asked[0]["messages"]]
    assert said == [
        ("system", "You answer surveys."),
        ("user", "How was it?"),
        ("assistant", "5"),
        ("user", "How is it?"),
        ("assistant", "2"),
        ("user", "How?"),
    ]
    assert answer_key("f", shown) != answer_key("f", question)


def test_the_command_line_asks_a_service_by_its_own_arguments(
    home: Path, server: ApiServer, tmp_path: Path
) -> None:
    line = {"id": 1, "prompt": "Warm?", "instruction": "Only return an integer from 1 to 7, nothing else."}
    (tmp_path / "in.jsonl").write_text(json.dumps(line))
    service = Service(server.url, elicitation="samples", n_samples=7)
    files = ["--input", str(tmp_path / "in.jsonl"), "--output", str(tmp_path / "out.parquet")]
    card = as_json("score", "--model", "api:fixed", *service.arguments(), *files)["card"]
    assert card["server"] == server.url and card["elicitation"] == "samples, 7 samples"
    assert server.asked[0]["n"] == 7
    assert "--consent" not in [*Service(REMOTE).arguments(), *service.arguments()]  # it is asked for again
