"""Survey definitions and texts that mean harm or are broken: a sentence each, quickly, and nothing else."""

import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socrates_core.errors import UserError
from socrates_core.importing.build import preview
from socrates_core.importing.qualtrics.responses import Responses
from socrates_core.importing.qualtrics.suggest import read_survey, suggest_survey
from socrates_core.importing.qualtrics.text import fill_pipes, plain_text
from tests.support.qualtrics_files import (
    Files,
    Json,
    block,
    sets,
    step,
    survey,
)
from tests.support.qualtrics_surveys import COLUMNS, DEFINITION, QUESTIONS

BROKEN = {
    "not JSON": "SurveyEntry",
    "empty": "",
    "a list": "[]",
    "null": "null",
    "deep lists": "[" * 100_000,
    "deep mappings": '{"SurveyElements":' * 100_000,
    "another kind of definition": '{"result": {"Questions": {}, "SurveyFlow": {}}}',
    "elements of a wrong type": '{"SurveyEntry": {}, "SurveyElements": {"0": 1}}',
    "no questions": '{"SurveyEntry": {}, "SurveyElements": [{"Element": "SQ", "Payload": null}, 5, null, [[]]]}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_survey_definition_is_refused_in_a_sentence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "survey.qsf"
    path.write_text(content)
    with pytest.raises(UserError) as told_:
        read_survey(path)
    assert str(told_.value).startswith("'survey.qsf' ") and len(str(told_.value)) < 300


def test_bytes_that_are_no_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "survey.qsf").write_bytes(b"\xff\xfe\x00\x81PK\x03\x04")
    for path in (tmp_path / "survey.qsf", tmp_path / "none.qsf", tmp_path):
        with pytest.raises(UserError):
            read_survey(path)


def test_a_flow_nested_without_end_is_refused(tmp_path: Path) -> None:
    inner: Json = step("Main")
    for n in range(200):
        inner = {"Type": "Group", "FlowID": f"FL_{n}", "Flow": [inner]}
    files = Files(tmp_path, survey(QUESTIONS, [block("Main", 1, 2)], [inner]), COLUMNS)
    with pytest.raises(UserError, match="nested more than 40 levels deep"):
        read_survey(files.qsf)


def test_a_block_shown_without_end_is_refused(tmp_path: Path) -> None:
    rounds = {str(n): {"1": "x"} for n in range(3000)}
    loop = {"Looping": "Static", "LoopingOptions": {"Static": rounds}}
    files = Files(
        tmp_path, survey(QUESTIONS, [block("Main", 1, 2, 3, **loop)], [step("Main")] * 500), COLUMNS
    )
    started = time.monotonic()
    with pytest.raises(UserError, match="more than 20,000 questions"):
        files.understood()
    assert time.monotonic() - started < 20


def test_fields_that_grow_out_of_fields_stay_small(tmp_path: Path) -> None:
    doubling = [sets(f"FL_{n}", mood="${e://Field/mood}" * 50) for n in range(10, 40)]
    flow = [sets("FL_9", mood="sad"), *doubling, step("Main")]
    files = Files(tmp_path, survey(QUESTIONS, [block("Main", 1, 2)], flow), COLUMNS)
    started = time.monotonic()
    assert len(files.understood().mapping.outcomes[0].question) <= 10_100
    assert time.monotonic() - started < 5


PLACES: list[tuple[Any, ...]] = []


def _walk(value: Any, place: tuple[Any, ...]) -> None:
    PLACES.append(place)
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            _walk(value[key], (*place, key))


_walk(DEFINITION, ())
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        5,
        -1,
        1e308,
        True,
        "",
        "x",
        "${e://Field/mood}",
        "QID2",
        "FL_2",
        "<b",
        "-99",
        [],
        {},
        [[]],
        ["1", "1"],
        {"0": None},
        {"1": {"Display": None}},
        {"0": {"0": {}}},
    ]
)


@pytest.fixture(scope="module")
def responses(tmp_path_factory: pytest.TempPathFactory) -> Responses:
    return Files(tmp_path_factory.mktemp("survey"), DEFINITION, COLUMNS).responses()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(PLACES[1:]), JUNK), min_size=1, max_size=3))
def test_a_definition_with_anything_in_any_place_is_understood_or_refused(
    tmp_path: Path, responses: Responses, changes: list[tuple[tuple[Any, ...], Any]]
) -> None:
    changed: Any = deepcopy(DEFINITION)
    for place, junk in changes:
        inner = changed
        for key in place[:-1]:
            inner = inner[key] if isinstance(inner, dict) and key in inner else inner
            inner = (
                inner[key] if isinstance(inner, list) and isinstance(key, int) and key < len(inner) else inner
            )
        if isinstance(inner, dict) or (
            isinstance(inner, list) and isinstance(place[-1], int) and place[-1] < len(inner)
        ):
            inner[place[-1]] = deepcopy(junk)
    (tmp_path / "survey.qsf").write_text(json.dumps(changed))
    try:
        understood = suggest_survey(read_survey(tmp_path / "survey.qsf"), responses)
    except UserError:
        return
    preview(responses, understood.mapping)


def test_the_unchanged_definition_is_understood(tmp_path: Path) -> None:
    files = Files(tmp_path, DEFINITION, COLUMNS)
    mapping = suggest_survey(read_survey(files.qsf), files.responses()).mapping
    assert [outcome.column or "by condition" for outcome in mapping.outcomes] == [
        "Q2",
        "by condition",
        "Q4_1",
        "Q5",
        "1_Q2",
    ]
    assert preview(files.responses(), mapping).problems == []


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One <b>two</b>&nbsp;three</p><p>four</p>", "One two three\nfour"),
        ("a<br>b<br/>\r\n<br>c", "a\nb\nc"),
        ("x<script>alert('y')</script><style>p {}</style>z", "xz"),
        ("3 < 4 &lt;b&gt; <3", "3 < 4 <b> <3"),
        ("<img src='x' alt='a cat'>", "[picture: a cat]"),
        ("<!-- no --><![if gte IE 9]>yes", "yes"),
        ("a\u202eb\x00c\ud800d", "abcd"),
        (None, ""),
        ([1], ""),
        (7, "7"),
    ],
)
def test_html_becomes_its_words(html: object, text: str) -> None:
    assert plain_text(html) == text


@pytest.mark.parametrize(
    "part", ["<", "<a ", "<!--", "<![", "<script ", "<script>", "</", "&#", "&", "<b x='", "<svg>", "${e://"]
)
def test_no_text_takes_long(part: str) -> None:
    started = time.monotonic()
    fill_pipes(plain_text(part * (100_000 // len(part))), {})
    assert time.monotonic() - started < 3


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>/!?-&;#ab =\"'${}:e\n[]", max_size=60))
def test_no_tag_survives(text: str) -> None:
    words = plain_text(f"{text}<b>bold</b>")
    assert "<b>" not in words or "<b>" in text or "&" in text
    json.dumps(words).encode()
