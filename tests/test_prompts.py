"""Prompts and profiles, word for word as the published models were asked."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from socrates_core.personas import label, render_profile
from socrates_core.prompts import SYSTEM, render_prompt, render_stimulus, split_stimulus
from socrates_core.records import DEMOGRAPHICS

PERSON: dict[str, str | int] = {
    "age": 34, "gender": "Female", "education": "Post grad study/professional degree",
    "employment": "Employed as paid employee", "marital_status": "Married",
    "housing_ownership": "Owned or being bought by you or someone in your household",
    "housing_type": "A building with 2 or more apartments", "location": "New Jersey", "metro_status": "Metro Area",
    "income": "75-99K", "internet_access": "Internet Household", "household_size": 4, "party_id": "Moderate Democrat",
    "ideology": "Moderate", "phone_service": "Cellphone only",
}  # fmt: skip

EXAMPLE = """You are a survey respondent with the following demographic profile:
- Age: 34
- Gender: Female
- Education: Post grad study/professional degree
- Employment: Employed as paid employee
- Marital Status: Married
- Housing Ownership: Owned or being bought by you or someone in your household
- Housing Type: A building with 2 or more apartments
- Location: New Jersey
- Metro Status: Metro Area
- Income: 75-99K
- Internet Access: Internet Household
- Household Size: 4
- Party Id: Moderate Democrat
- Ideology: Moderate
- Phone Service: Cellphone only

Read the question below and answer exactly as this person would. Follow the response instructions precisely.

{stimulus}"""
STIMULUS = 'You were asked: "How {well}? Only return an integer from 1 to 7, nothing else."'
INSTRUCTION = "Only return 1 for 'Yes' or 2 for 'No', nothing else."


def test_the_published_example_is_rendered_character_for_character() -> None:
    prompt = render_prompt(PERSON, STIMULUS)
    assert prompt.user == EXAMPLE.replace("{stimulus}", STIMULUS)
    assert prompt.system == SYSTEM == (
        "You are simulating a survey respondent. Answer exactly as instructed, following the specified response "
        "format without additional commentary."
    )  # fmt: skip


def test_the_order_of_a_profile_does_not_depend_on_the_mapping() -> None:
    assert render_profile(dict(reversed(PERSON.items()))) == render_profile(PERSON)


def test_missing_fields_are_left_out() -> None:
    holes = {"age": 34.0, "gender": None, "income": "", "household_size": math.nan}
    assert render_profile(holes) == "- Age: 34"  # type: ignore[arg-type]


def test_fields_of_ones_own_follow_the_known_ones() -> None:
    assert render_profile({"religion": "None", "age": 20}) == "- Age: 20\n- Religion: None"


def test_labels_are_title_case() -> None:
    assert [label(field) for field in ("marital_status", "party_id")] == ["Marital Status", "Party Id"]
    assert all(label(field)[0].isupper() for field in DEMOGRAPHICS)


@pytest.mark.parametrize(
    ("condition", "question", "stimulus"),
    [
        ("A vignette.", "Agree?", f'You read "A vignette." and then were asked: "Agree? {INSTRUCTION}"'),
        ("", "Agree?", f'You were asked: "Agree? {INSTRUCTION}"'),
        ("A whole text. Agree?", "", f"A whole text. Agree? {INSTRUCTION}"),
    ],
)
def test_a_stimulus_is_put_together_and_split_again(condition: str, question: str, stimulus: str) -> None:
    assert render_stimulus(condition, question, INSTRUCTION) == stimulus
    assert split_stimulus(stimulus) == (condition, question)


@pytest.mark.parametrize(
    ("stimulus", "parts"),
    [
        (f"You read “It’s “new”.” and then were asked: “Is it “new”? {INSTRUCTION}”", ("It’s “new”.", "Is it “new”?")),
        (f'You read "A." and then were asked: "Agree?" {INSTRUCTION}', ("A.", "Agree?")),
        ('You read "A." and then were asked: "Agree?"', ("A.", "Agree?")),
    ],
)  # fmt: skip
def test_other_quotation_marks_and_endings_are_split_too(stimulus: str, parts: tuple[str, str]) -> None:
    assert split_stimulus(stimulus) == parts


@pytest.mark.parametrize(
    "told",
    [
        'You viewed a photo and then were asked: "Agree?"',
        "You were asked: “How long?” Then you were asked: “Why?”",
        "Do you agree?",
    ],
)
def test_other_builds_are_left_whole(told: str) -> None:
    assert split_stimulus(f"{told} {INSTRUCTION}") == (told, "")


@given(st.text(max_size=60).map(str.strip), st.text(min_size=1, max_size=60).map(str.strip))
def test_splitting_undoes_rendering(condition: str, question: str) -> None:
    assume(question and "were asked:" not in condition + question)
    assert split_stimulus(render_stimulus(condition, question, INSTRUCTION)) == (condition, question)


@given(st.text(max_size=200))
def test_any_text_can_be_split(text: str) -> None:
    condition, question = split_stimulus(text)
    assert condition in text
    assert question in text
