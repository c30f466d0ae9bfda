"""Served models asked over real HTTP: what is read from a reply, and what happens when a server fails."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.errors import UserError
from socrates_core.models import answer_all, open_responder
from socrates_core.models.served import ask, read
from socrates_core.models.served.account import Account
from socrates_core.models.served.asking import PATIENCE, Unanswered
from socrates_core.models.served.elicit import choose_elicitation
from socrates_core.models.served.prices import Price
from socrates_core.models.served.responder import ApiResponder
from socrates_core.models.served.server import Elicitation, Service
from socrates_core.prompts import render_prompt
from socrates_core.records import Decoding, Prompt, Question, Scale
from tests.support.api_server import ApiServer, FixedVoice, ModelVoice, Trouble, serving

SEVEN = tuple("1234567")
WARM = "How warm do you feel towards dogs? Only return an integer from 1 to 7, nothing else."
WORDS = {"5": 0.4, " 5": 0.2, "3": 0.1, "▁2": 0.05, "10": 0.1, "The": 0.15}
SECRET = "sk-SECRET0123456789abcdef"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Short pauses between tries."""
    monkeypatch.setattr(ask, "FIRST_PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(FixedVoice(WORDS)) as found:
        yield found


def about(name: str, options: tuple[str, ...] = SEVEN) -> Question:
    return Question(Prompt("You answer surveys.", f"{name}? {WARM}"), options)


def responder(server: ApiServer, elicitation: Elicitation = "auto", **more: Any) -> ApiResponder:
    service = Service(server.url, elicitation=elicitation, n_samples=more.pop("n_samples", 20))
    return ApiResponder("api:fixed", service, **{"n_tries": 3, "timeout": 0.5, **more})


def answered(found: ApiResponder, questions: list[Question]) -> tuple[dict[int, Any], str]:
    """The answers by position, and the sentence at the end."""
    answers: dict[int, Any] = {}
    try:
        for batch in found.answer(questions):
            answers |= batch
    except UserError as error:
        return answers, str(error)
    return answers, ""


def failures(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]


@pytest.mark.model
def test_listed_probabilities_are_the_exact_scorers_up_to_the_twenty_that_are_listed(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        read, "UNKNOWN_SHARE", 1.0
    )  # a small model leaves more open than a scientist would accept
    path = prepared / "models" / "starter"
    people: list[dict[str, str | int]] = [{"age": 34}, {"age": 71, "party_id": "Strong Republican"}]
    asked = [Question(render_prompt(person, WARM), SEVEN) for person in people]
    with serving(ModelVoice(path)) as server:
        served = answer_all(ApiResponder("api:starter", Service(server.url)), asked)
    local = answer_all(open_responder(str(path), precision="fp32"), asked)
    for ours, exact in zip(served, local, strict=True):
        mass, expected = ours.probabilities * ours.valid_mass, exact.probabilities * exact.valid_mass
        assert (mass > 0).all() and (mass > mass.min()).sum() >= 5
        np.testing.assert_allclose(mass, expected, atol=1e-4 + mass.min(), rtol=0.05)


def test_spaces_before_a_token_are_merged_and_what_is_no_option_lowers_the_valid_mass(
    server: ApiServer,
) -> None:
    (answer,) = answer_all(responder(server), [about("Dogs")])
    assert answer.valid_mass == pytest.approx(0.75)
    assert answer.probabilities == pytest.approx(np.array([0, 0.05, 0.1, 0, 0.6, 0, 0]) / 0.75)
    assert answer.n_samples == 0 and answer.n_tokens > 10


def test_draws_converge_on_the_models_shares_and_unreadable_ones_lower_the_valid_mass() -> None:
    with serving(FixedVoice({"1": 0.2, "I would say 2.": 0.5, "5": 0.2, "Who knows": 0.1})) as server:
        (answer,) = answer_all(responder(server, "samples", n_samples=1000), [about("Dogs")])
        assert len(server.asked) == 1  # all draws from one request, so that the prompt is paid for once
    expected = np.array([0.2, 0.5, 0, 0, 0.2, 0, 0]) / 0.9
    np.testing.assert_allclose(answer.probabilities, expected, atol=4 * 0.5 / 900**0.5)
    assert answer.valid_mass == pytest.approx(0.9, abs=4 * 0.3 / 1000**0.5)
    assert answer.n_samples == 1000


def test_draws_can_be_labels_and_open_numbers() -> None:
    agree = Prompt("", 'Parks? Only return 1 for "Agree" or 2 for "Disagree", nothing else.')
    with serving(FixedVoice({"Agree": 1.0})) as server:
        (answer,) = answer_all(responder(server, "samples", n_samples=3), [Question(agree, ("1", "2"))])
        assert answer.probabilities.tolist() == [1, 0]
    with serving(FixedVoice({"1,250": 0.5, "none of it": 0.5})) as server:
        asked = [Question(Prompt("", "How many?"), (), Scale("open_integer"))]
        (answer,) = answer_all(responder(server, n_samples=40), asked)
        assert answer.values is not None and answer.values.tolist() == [1250]
        assert answer.probabilities.tolist() == [1] and 0 < answer.valid_mass < 1


@pytest.mark.parametrize(
    ("options", "way"),
    [
        (SEVEN, "logprobs"),
        (("Yes", "No"), "logprobs"),
        (tuple(map(str, range(11))), "samples"),
        (("-1", "-2"), "samples"),
        (("Agree", "agree strongly"), "samples"),
        ((), "samples"),
    ],
)
def test_first_tokens_are_read_only_where_they_tell_the_options_apart(
    options: tuple[str, ...], way: str
) -> None:
    assert choose_elicitation("auto", options, "exact") == way
    if way == "samples":
        with pytest.raises(UserError, match="cannot tell the options"):
            choose_elicitation("logprobs", options, "exact")


def test_the_papers_decoding_is_drawn_at_its_temperature_and_top_p(server: ApiServer) -> None:
    answer_all(responder(server, decoding="paper"), [about("Dogs")])
    assert (server.asked[0]["temperature"], server.asked[0]["top_p"], server.asked[0]["n"]) == (0.6, 0.9, 20)
    decoding: Decoding = "paper"
    with pytest.raises(UserError, match="way to draw"):
        responder(server, "logprobs", decoding=decoding)


def test_a_told_distribution_is_read_strictly_and_one_that_is_none_is_missing(tmp_path: Path) -> None:
    told = '```json\n{"1": 0.25, "2": 0.75, "3": 0}\n```'
    found = []
    for text in (told, '{"1": 25, "2": 75, "3": 0}', '{"1": 0.5, "2": 0.5}', "I cannot say.", '{"1": NaN}'):
        with serving(FixedVoice({text: 1.0})) as server:
            opened = responder(server, "verbalised")
            opened.account = Account(None, folder=tmp_path)
            found += answer_all(opened, [about("Dogs", ("1", "2", "3"))])
            assert "JSON object" in server.asked[0]["messages"][-1]["content"]
    assert found[0].probabilities.tolist() == [0.25, 0.75, 0] and found[0].valid_mass == 1
    for missing in found[1:]:
        assert np.isnan(missing.probabilities).all() and missing.valid_mass == 0
    assert [line["raw"] for line in failures(tmp_path)][2] == "I cannot say."


FEW = {"4": 0.3, "5": 0.25, "3": 0.2, "6": 0.1}  # the likeliest of a list that a server cuts short


def test_what_a_server_does_not_list_is_drawn_or_missing_and_never_zero(server: ApiServer) -> None:
    with serving(FixedVoice(FEW)) as short:
        (drawn,) = answer_all(responder(short, "auto", n_samples=400), [about("Dogs")])
        assert drawn.n_samples == 400 and [bool(body.get("logprobs")) for body in short.asked] == [
            True,
            False,
        ]
        answer_all(responder(short, "auto"), [about("Cats"), about("Mice")])
        found = responder(short, "logprobs")
        answers, sentence = answered(found, [about("Dogs")])
    assert answers == {} and "listed 4 first tokens, and none of them begins 3 of the 7 answers" in sentence
    assert "up to 0.15 of the probability" in sentence  # what the list leaves: 1 - 0.85


def test_options_below_everything_that_is_listed_share_half_of_what_they_can_have() -> None:
    tokens = [("4", 0.6), ("5", 0.39), ("Well", 0.008), ("3", 0.001)]
    answer, n_unlisted = read.first_token_answer(tokens, SEVEN, 9)
    most = 1 - 0.999  # less than 2 spellings x 4 options x 0.001
    assert n_unlisted == 4 and answer.valid_mass == pytest.approx(0.991)
    expected = np.array([most / 8, most / 8, 0.001, 0.6, 0.39, most / 8, most / 8])
    assert answer.probabilities == pytest.approx(expected / expected.sum())
    complete, n_unlisted = read.first_token_answer([("4", 0.75), ("5", 0.25)], SEVEN, 9)
    assert complete.probabilities.tolist() == [0, 0, 0, 0.75, 0.25, 0, 0] and n_unlisted == 5


def test_a_field_that_a_server_refuses_is_left_out_from_then_on(server: ApiServer) -> None:
    server.unknown_field = "chat_template_kwargs"
    answers = answer_all(responder(server, at_once=1), [about("Dogs"), about("Cats")])
    assert len(answers) == 2
    assert ["chat_template_kwargs" in body for body in server.asked] == [True, False, False]


def test_a_strict_server_is_asked_without_each_field_that_it_refuses_by_name() -> None:
    with serving(FixedVoice({"4": 0.75, "2": 0.25})) as strict:
        strict.refused = {"chat_template_kwargs", "seed", "temperature", "logprobs"}
        found = responder(strict, n_samples=8, at_once=1)
        answers = answer_all(found, [about("Dogs"), about("Cats")])
        assert [answer.n_samples for answer in answers] == [8, 8]
        accepted = {"model", "messages", "top_p", "max_tokens", "n"}
        assert [set(body) == accepted for body in strict.asked].index(True) == len(strict.asked) - 2


def test_a_limit_with_another_name_is_learned_and_the_papers_decoding_is_never_left_out() -> None:
    with serving(FixedVoice({"4": 1.0})) as server:
        server.refused = {"max_tokens"}
        (answer,) = answer_all(responder(server), [about("Dogs")])
        assert answer.n_samples == 0 and "max_completion_tokens" in server.asked[-1]
    with serving(FixedVoice({"4": 1.0})) as server:
        server.refused = {"temperature"}
        missing, sentence = answered(responder(server, decoding="paper"), [about("Dogs")])
        assert missing == {} and "temperature" in sentence


def test_a_server_that_lists_at_most_five_is_asked_for_five() -> None:
    with serving(FixedVoice({"4": 0.7, "5": 0.2995, "3": 0.0003, "2": 0.0001, "6": 0.0001})) as server:
        server.most_listed = 5
        answers = answer_all(responder(server, "logprobs", at_once=1), [about("Dogs"), about("Cats")])
        assert [answer.n_samples for answer in answers] == [0, 0]
        listed = [body["top_logprobs"] for body in server.asked]
        assert listed[-1] == 5 and listed.count(5) == 2
    with serving(FixedVoice({"4": 0.7, "5": 0.3})) as server:
        server.most_listed = 0
        (drawn,) = answer_all(responder(server, n_samples=8), [about("Dogs")])
        assert drawn.n_samples == 8
        missing, sentence = answered(responder(server, "logprobs"), [about("Dogs")])
        assert missing == {} and "more than the most" in sentence and "samples" in sentence


def test_a_list_without_any_option_leaves_them_open() -> None:
    with pytest.raises(read.Unlisted, match="none of them begins 7 of the 7 answers"):
        read.first_token_answer([("<think>", 0.6)], SEVEN, 9)
    answer, _ = read.first_token_answer([("Well", 0.9), ("I", 0.0999)], SEVEN, 9)
    assert answer.valid_mass == 0 and np.isnan(answer.probabilities).all()


@pytest.mark.parametrize(
    ("content", "finish_reason", "text"),
    [
        ("<think>\nFour fits.\n</think>\n\n4", "stop", "4"),
        ("They would say 2.</think>5", "stop", "5"),  # the template opened the thought
        ("[THINK]2[/THINK]3", "stop", "3"),
        ([{"type": "thinking", "text": "2"}, {"type": "text", "text": "6"}], "stop", "6"),
        ([{"type": "output_text", "text": "7"}], "stop", "7"),
        ("<think>\nThey would say 4", "length", None),
        ("", "length", None),
        ([{"type": "reasoning", "text": "4"}], "length", None),
        ("", "stop", ""),
    ],
)
def test_a_thought_is_never_read_as_an_answer(content: object, finish_reason: str, text: str | None) -> None:
    body = {"choices": [{"message": {"content": content}, "finish_reason": finish_reason}]}
    if text is None:
        with pytest.raises(
            read.Unreadable, match=r"spent its limit of tokens on thinking.*Switch its thinking off"
        ):
            read.read_texts(body)
    else:
        assert [said.strip() for said in read.read_texts(body)] == [text]


def test_content_in_parts_is_read_and_a_thought_without_an_answer_is_named() -> None:
    parts = {"choices": [{"message": {"content": [{"type": "text", "text": "4"}, {"type": "image"}]}}]}
    assert read.read_texts(parts) == ["4"]
    for name in ("reasoning_content", "reasoning"):
        with pytest.raises(read.Unreadable, match=r"spent its limit of tokens on thinking"):
            read.read_texts({"choices": [{"message": {"content": None, name: "Hmm"}}]})


def test_every_elicitation_and_server_has_its_own_fingerprint(server: ApiServer) -> None:
    ways: tuple[Elicitation, ...] = ("auto", "logprobs", "samples", "verbalised")
    opened = [responder(server, way) for way in ways]
    other = ApiResponder("api:fixed", Service("http://localhost:1/v1"))
    more = responder(server, "samples", n_samples=21)
    assert len({each.fingerprint for each in (*opened, other, more)}) == 6
    assert "verbalised" in opened[3].card.template and "verbalised" not in opened[2].card.template


@pytest.mark.parametrize("trouble", ["429", "500", "400", "hang", "truncated", "malformed", "drop"])
def test_what_may_pass_is_tried_again(server: ApiServer, trouble: Trouble) -> None:
    server.troubles.append(trouble)
    (answer,) = answer_all(responder(server), [about("Dogs")])
    assert answer.valid_mass == pytest.approx(0.75) and len(server.asked) == 2


def test_a_pause_that_the_server_asks_for_is_kept(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "FIRST_PAUSE", 30.0)  # would not end in time, were it not for Retry-After
    server.troubles.append("429")
    begun = time.monotonic()
    answer_all(responder(server), [about("Dogs")])
    assert 0.05 <= time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("trouble", "cause", "raw"),
    [
        ("429", "status 429", "trouble"),
        ("500", "status 500", "trouble"),
        ("hang", "timed out", ""),
        ("truncated", "connection to 127.0.0.1", ""),
        ("malformed", "not a JSON object", '{"choices": ['),
        ("drop", "connection to 127.0.0.1", ""),
        ("no-logprobs", "no log-probabilities", '"choices"'),
        ("400", "status 400", ""),
    ],
)
def test_what_fails_to_the_end_stays_missing_with_its_cause_and_text(
    server: ApiServer, tmp_path: Path, trouble: Trouble, cause: str, raw: str
) -> None:
    # A refusal is asked again without one field, then the same for draws, and for a single draw.
    n_tries = {"no-logprobs": 1, "400": 6}.get(trouble, 3)
    server.troubles.extend([trouble] * n_tries)
    found = responder(server, "logprobs" if trouble == "no-logprobs" else "auto", at_once=1)
    found.account = Account(None, folder=tmp_path)
    answers, told = answered(found, [about("First"), about("Second")])
    assert list(answers) == [1]
    assert "1 of 2 questions got no answer" in told and cause in told
    (kept,) = failures(tmp_path)
    assert cause in kept["cause"] and raw in kept["raw"] and "First" in kept["prompt"]


def test_a_refused_key_and_an_unknown_model_are_one_sentence_and_are_not_tried_again(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = "another"
    monkeypatch.setenv("MY_KEY", SECRET)
    for name, service, expected in (
        ("api:fixed", Service(server.url, "MY_KEY"), "refuses the key in 'MY_KEY'"),
        ("api:fixed", Service(server.url), "refuses a request without a key"),
        ("api:unknown", Service(server.url, "MY_KEY"), "has no model 'unknown'"),
    ):
        server.asked.clear()
        _, told = answered(ApiResponder(name, service, at_once=1), [about("First"), about("Second")])
        assert expected in told and SECRET not in told and len(server.asked) == 1
    with pytest.raises(UserError, match="'NOT_SET' with the key"):
        ApiResponder("api:fixed", Service(server.url, "NOT_SET"))


@pytest.mark.parametrize(
    "url", ["", "api.openai.com", "ftp://x/v1", "https://me:pw@x/v1", "https://x/v1?key=y"]
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="address must be like") as caught:
        Service(url)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("given", [SECRET, "gsk_abc", "A" * 100])
def test_a_key_in_place_of_its_variable_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(UserError, match="not the key itself") as caught:
        Service(key_variable=given)
    assert given not in str(caught.value)


def test_the_real_apis_key_is_sent_to_no_other_server(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    answer_all(responder(server), [about("Dogs")])
    assert SECRET not in json.dumps(server.headers)
    assert Service().key_variable == "OPENAI_API_KEY"


def test_nothing_goes_where_a_loopback_server_or_a_proxy_points(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(FixedVoice(WORDS)) as elsewhere:
        server.redirect = elsewhere.url
        monkeypatch.setenv("HTTP_PROXY", elsewhere.url.removesuffix("/v1"))
        monkeypatch.delenv("NO_PROXY", raising=False)
        _, told = answered(responder(server), [about("Dogs")])
        assert "status 307" in told and elsewhere.asked == []


def test_a_server_that_is_down_ends_the_work_and_is_not_asked_for_everybody() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    down = ApiResponder("api:fixed", Service(url), n_tries=2, timeout=0.5)
    with pytest.raises(Unanswered, match="in a row got no answer"):
        answer_all(down, [about(str(n)) for n in range(200)])
    assert down.account.n_failures < 2 * PATIENCE


def test_a_server_that_draws_one_at_a_time_is_asked_one_by_one(server: ApiServer) -> None:
    server.single = True
    (answer,) = answer_all(responder(server, "samples", n_samples=6), [about("Dogs")])
    assert answer.n_samples == 6
    drawn = [body for body in server.asked if body["n"] == 1]
    assert len(drawn) == 6 and len({body["seed"] for body in drawn}) == 6


def test_at_most_eight_questions_are_under_way_and_equal_ones_are_asked_once(server: ApiServer) -> None:
    server.seconds = 0.05
    asked = [about(str(n % 40)) for n in range(80)]
    assert len(answer_all(responder(server, timeout=10), asked)) == 80
    assert len(server.asked) == 40 and 4 <= server.most_at_once <= 8


def test_a_caller_that_stops_is_not_kept_waiting_by_a_server_that_hangs(server: ApiServer) -> None:
    server.always = "hang"
    begun, threads = time.monotonic(), threading.active_count()
    batches = responder(server, timeout=60).answer([about("Dogs")])
    assert next(batches) == {}
    batches.close()  # type: ignore[attr-defined]
    assert time.monotonic() - begun < 5
    assert all(thread.daemon for thread in threading.enumerate()[threads:])


def test_a_limit_holds_even_where_the_server_does_not_say_what_it_used(
    server: ApiServer, tmp_path: Path
) -> None:
    server.always = "no-usage"
    found = responder(server, "logprobs")
    found.account = Account(Price(10.0, 10.0, "a test"), limit_usd=0.02, folder=tmp_path)
    answers, told = answered(found, [about(str(n)) for n in range(50)])
    assert "spending limit of $0.02" in told and 1 <= len(answers) < 50
    assert 0 < (found.account.usd or 0) <= 0.02
    again = Account(Price(10.0, 10.0, "a test"), limit_usd=0.02, folder=tmp_path)
    assert again.usd == found.account.usd  # a resumed run knows what was spent before
