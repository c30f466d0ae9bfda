"""Prompts and profiles, word for word as the published models were asked."""

import math
from pathlib import Path

import pandas
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from socrates_core.errors import UserError
from socrates_core.personas import label, render_profile
from socrates_core.prompts import (
    STIMULUS_FIRST,
    SYSTEM,
    TEMPLATE,
    render_prompt,
    render_stimulus,
    split_stimuli,
    split_stimulus,
)
from socrates_core.records import DEMOGRAPHICS

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PERSON: dict[str, str | int] = {
    "age": 34,
    "gender": "Female",
    "education": "Post grad study/professional degree",
    "employment": "Employed as paid employee",
    "marital_status": "Married",
    "housing_ownership": "Owned or being bought by you or someone in your household",
    "housing_type": "A building with 2 or more apartments",
    "location": "New Jersey",
    "metro_status": "Metro Area",
    "income": "75-99K",
    "internet_access": "Internet Household",
    "household_size": 4,
    "party_id": "Moderate Democrat",
    "ideology": "Moderate",
    "phone_service": "Cellphone only",
}

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
    assert (
        prompt.system
        == SYSTEM
        == (
            "You are simulating a survey respondent. Answer exactly as instructed, following the specified response "
            "format without additional commentary."
        )
    )


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
        (
            f"You read “It’s “new”.” and then were asked: “Is it “new”? {INSTRUCTION}”",
            ("It’s “new”.", "Is it “new”?"),
        ),
        (f'You read "A." and then were asked: "Agree?" {INSTRUCTION}', ("A.", "Agree?")),
        (
            f"You read 'A dog's life.' and then were asked: 'Agree?' {INSTRUCTION}",
            ("A dog's life.", "Agree?"),
        ),
        (f'You viewed a photo and then were asked: "Agree? {INSTRUCTION}"', ("You viewed a photo", "Agree?")),
        (f"You saw Al's dog. Then you were asked: 'Agree?' {INSTRUCTION}", ("You saw Al's dog.", "Agree?")),
        (
            f'You read "A" and viewed "B" and then were asked: "C?" {INSTRUCTION}',
            ('You read "A" and viewed "B"', "C?"),
        ),
        (
            f'You read "A" and then were asked: "You were asked: "B?" C {INSTRUCTION}"',
            ("A", 'You were asked: "B?" C'),
        ),
        (f"You read “A.” and then were asked: “Is it 'B?' {INSTRUCTION}”", ("A.", "Is it 'B?'")),
        (f"You were asked: “A?” Then you were asked: “B?” {INSTRUCTION}", ("You were asked: “A?”", "B?")),
        ('You read "A." and then were asked: "Agree?"', ("A.", "Agree?")),
    ],
)
def test_other_quotation_marks_and_endings_are_split_too(stimulus: str, parts: tuple[str, str]) -> None:
    assert split_stimulus(stimulus) == parts


@pytest.mark.parametrize(
    "told",
    [
        "Do you agree?",
        "You were asked: “How long? Then you were asked: “Why?”",
        'You read "He said: you were asked: "why?" and left.',
        "You read 'the workers' view' and then were asked: 'The workers' pay?'",
    ],
)
def test_a_text_that_leaves_the_seam_open_stays_whole(told: str) -> None:
    assert split_stimulus(f"{told} {INSTRUCTION}") == (told, "")


def test_a_condition_that_tells_what_happened_is_not_quoted() -> None:
    for told in ("You viewed a photo and", "You viewed a photo.", "You were told: 'No.'"):
        condition = told.removesuffix(" and")
        stimulus = f'{told} then {"" if told.endswith("and") else "you "}were asked: "Agree? {INSTRUCTION}"'
        stimulus = stimulus.replace(" then you", " Then you")
        assert render_stimulus(condition, "Agree?", INSTRUCTION) == stimulus
        assert split_stimulus(stimulus) == (condition, "Agree?")


def test_a_study_shows_the_seam_that_one_text_does_not() -> None:
    def rows(*shown: tuple[int, str]) -> list[tuple[int, int, str]]:
        return [(condition, 0, f"{text} {INSTRUCTION}") for condition, text in shown]

    arms = rows((0, "He is old. Still. Do you trust him?"), (1, "He is young. Still. Do you trust him?"))
    assert split_stimuli(arms) == [(f"He is {age}.", "Still. Do you trust him?") for age in ("old", "young")]
    control = rows((0, "Do you trust him?"), (1, "He is young. Do you trust him?"))
    assert split_stimuli(control) == [("", "Do you trust him?"), ("He is young.", "Do you trust him?")]
    battery = rows(*((arm, f"{item} is bad. Do you agree?") for arm in (0, 1) for item in ("Tea", "Rain")))
    assert [question for _, question in split_stimuli(battery)] == [""] * 4


@pytest.mark.skipif(not DATA.exists(), reason="the development data is not on this machine")
def test_nearly_every_real_stimulus_is_split_into_texts_that_stand_in_it() -> None:
    frame = pandas.read_parquet(DATA / "socsci210_sample.parquet")
    n_split: dict[bool, int] = {True: 0, False: 0}
    for _, study in frame.groupby("study_id"):
        rows = study[["condition_num", "task_num", "stimuli"]].drop_duplicates()
        told = list(rows.itertuples(index=False, name=None))
        for (_, _, stimulus), (condition, question) in zip(told, split_stimuli(told), strict=True):
            assert stimulus.find(condition) + len(condition) <= stimulus.rindex(question or "Only return")
            n_split[bool(question)] += 1
    assert n_split[False] <= 2  # two questions of 6esdw that one condition alone was asked


@given(st.text(max_size=60).map(str.strip), st.text(min_size=1, max_size=60).map(str.strip))
def test_splitting_undoes_rendering(condition: str, question: str) -> None:
    assume(question and not set("\"“”'‘’") & set(condition + question))
    assert split_stimulus(render_stimulus(condition, question, INSTRUCTION)) == (condition, question)


@given(st.text(max_size=200) | st.text("You read “”\"'. and then were asked:", max_size=200))
def test_any_text_can_be_split(text: str) -> None:
    condition, question = split_stimulus(text)
    assert condition in text
    assert question in text


def test_the_layout_with_the_stimulus_first_holds_the_same_parts_in_another_order() -> None:
    stimulus = 'You read "A {park} opens." and then were asked: "Fair? Only return 1 or 2, nothing else."'
    usual, other = render_prompt(PERSON, stimulus), render_prompt(PERSON, stimulus, STIMULUS_FIRST)
    assert usual.system == other.system
    for part in (stimulus, render_profile(PERSON)):
        assert part in usual.user and part in other.user
    assert other.user.index(stimulus) < other.user.index("- Age: 34")
    someone_else = render_prompt({"age": 71}, stimulus, STIMULUS_FIRST).user
    assert other.user[: other.user.index("- Age")] == someone_else[: someone_else.index("- Age")]


def test_an_unknown_layout_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=f"{TEMPLATE}, {STIMULUS_FIRST}"):
        render_prompt(PERSON, "Fair?", "profile-last")
