"""Reading raw answers: what is said, or missing with a reason, and never a guess."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from socrates_core.records import Number, Scale
from socrates_core.scales import parse_scale, read_answer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def scale_of(wording: str) -> Scale:
    scale = parse_scale(f"Only return {wording}, nothing else.")
    assert scale is not None
    return scale


SEVEN = scale_of("an integer from 1 to 7, where 1 means Strongly disagree and 7 means Strongly agree")
FIVE = scale_of(
    "an integer from 1 to 5, where 1 means 'Not likely', 2 means 'Slightly likely', 4 means 'Very likely', "
    "5 means 'Certain'"
)
YES_NO = scale_of("1 for 'Yes' or 2 for 'No'")
CHOICE = scale_of("1 for 'Stays at job', 2 for 'Cuts back to part-time', or 3 for 'Stays home'")
TEN = scale_of("an integer from 0 to 10")
HUNDRED = scale_of("an integer from 0 to 100")
NEGATIVE = scale_of("an integer from -3 to 3")
OPEN = scale_of("an integer representing the cost in dollars")
MONEY = scale_of("an integer from 1 ($0) to 9 ($45)")

READ: list[tuple[str, Scale, Number]] = [
    ("5", SEVEN, 5),
    (" 5.\n", SEVEN, 5),
    ("**5**", SEVEN, 5),
    ('"5"', SEVEN, 5),
    ("5.0", SEVEN, 5),
    ("(5)", SEVEN, 5),
    ("[5]", SEVEN, 5),
    ("```\n5\n```", SEVEN, 5),
    ("### Response:\n5", SEVEN, 5),
    ("5</s>", SEVEN, 5),
    ("Five", SEVEN, 5),
    ("5<|im_end|>", SEVEN, 5),
    ("5\nassistant\n3", SEVEN, 5),
    ("assistant\n\n4", SEVEN, 4),
    ("5\n5\n5", SEVEN, 5),
    ("\\boxed{5}", SEVEN, 5),
    ("<answer>5</answer>", SEVEN, 5),
    ('{\n  "response": 4\n}', SEVEN, 4),
    ("- 2", SEVEN, 2),
    ("<think>maybe 3, or 4</think>\n\n5", SEVEN, 5),
    ("First 5. My answer would be 5. Final answer: 4", SEVEN, 4),
    ("Strongly agree", SEVEN, 7),
    ("strongly  AGREE.", SEVEN, 7),
    ("7 - Strongly agree", SEVEN, 7),
    ("4. Very likely", FIVE, 4),
    ("Strongly agree (7)", SEVEN, 7),
    ("I strongly agree.", SEVEN, 7),
    ("My answer is: Strongly agree.", SEVEN, 7),
    ("The answer is 7, Strongly agree.", SEVEN, 7),
    ("I am very likely to do this. 4", FIVE, 4),
    ("Certain", FIVE, 5),
    ("I would select 4 (Very likely).", FIVE, 4),
    ("5/7", SEVEN, 5),
    ("5 out of 7", SEVEN, 5),
    ("I'd rate it 8/10.", TEN, 8),
    ("**Answer:** 5", SEVEN, 5),
    ("Sure! Here is my answer: 6", SEVEN, 6),
    ("6 - I mostly agree.", SEVEN, 6),
    ("3 (Neutral)", SEVEN, 3),
    ("3, because I think so.", SEVEN, 3),
    ("I'd choose 6 because I like it.", SEVEN, 6),
    ("I choose number 2.", SEVEN, 2),
    ("As a 34-year-old woman with 3 children, I would pick 2.", SEVEN, 2),
    ("Between 4 and 5, I would say 5.", SEVEN, 5),
    ("On a scale from 1 to 7, I would rate my agreement as 6.", SEVEN, 6),
    ("A score of 3.", FIVE, 3),
    ("On a scale of 1-7, with 7 being the highest, my rating is 4.", SEVEN, 4),
    ("I would rate it a solid 4.", FIVE, 4),
    ("As a moderate Democrat, I'd lean toward supporting this. 6", SEVEN, 6),
    ("She would likely respond with 4.", FIVE, 4),
    ("Given the profile of a 67-year-old retired male, the most likely answer is 2.", SEVEN, 2),
    ("3\n\nExplanation: As a 5 time voter I feel so.", FIVE, 3),
    ("I'd go with a 3 here", FIVE, 3),
    ("Yes", YES_NO, 1),
    ("No.", YES_NO, 2),
    ("Yes, because I care.", YES_NO, 1),
    ("Yes (1)", YES_NO, 1),
    ("Option 2", YES_NO, 2),
    ("I think the answer is No", YES_NO, 2),
    ("No\n\nThe respondent would not want to.", YES_NO, 2),
    ("Stays home", CHOICE, 3),
    ("3. Stays home", CHOICE, 3),
    ("Option 3: Stays home", CHOICE, 3),
    ("The most likely choice is 'Cuts back to part-time'.", CHOICE, 2),
    ("50%", HUNDRED, 50),
    ("I'd estimate about 65 percent.", HUNDRED, 65),
    ("80/100", HUNDRED, 80),
    ("10", TEN, 10),
    ("Based on someone aged 52 with household size 2, my response would be 70.", HUNDRED, 70),
    ("The company sources 42% of its energy from wind. My estimate is 42.", HUNDRED, 42),
    ("I'd put this at 3.", FIVE, 3),
    ("The response is therefore: **4**", FIVE, 4),
    ("Score (1-5): 4", FIVE, 4),
    ("４", FIVE, 4),
    ("٤", FIVE, 4),
    ("Step 1: consider age 45. Step 2: consider income. Answer: 3", FIVE, 3),
    ("-2", NEGATIVE, -2),
    ("−2", NEGATIVE, -2),
    ("+2", NEGATIVE, 2),
    ("$1,200", OPEN, 1200),
    ("30 hours", OPEN, 30),
    ("$45", MONEY, 9),
    ("$0", MONEY, 1),
    ("9", MONEY, 9),
]

MISSING: list[tuple[str, Scale]] = [
    ("", SEVEN),
    ("  \u200b", SEVEN),
    ("8", SEVEN),
    ("3.5", SEVEN),
    ("1997", SEVEN),
    ("My answer is 1997.", SEVEN),
    ("1 - Strongly agree", SEVEN),
    ("No (1)", YES_NO),
    ("5 out of 10", SEVEN),
    ("5 or 6", SEVEN),
    ("5-6", SEVEN),
    ("N/A", SEVEN),
    ("I'd say 5 or maybe 6.", SEVEN),
    ("I'm torn between 4 and 5.", SEVEN),
    ("1, 2, 3", SEVEN),
    ("[1, 2, 3]", SEVEN),
    ("<think>maybe 3", SEVEN),
    ("- Age: 4\n- Household Size: 4", SEVEN),
    ("Household Size: 4", SEVEN),
    ("Question 3", SEVEN),
    ("The respondent lives with 4 people.", SEVEN),
    ("2 people live here", SEVEN),
    ("I have 2 children and earn 75-99K", SEVEN),
    ("1. Strongly disagree\n2. Disagree\n3. Neutral", SEVEN),
    ("1 = Strongly disagree, 7 = Strongly agree", SEVEN),
    ("I would not choose 5.", SEVEN),
    ("My rating is neither 1 nor 7.", SEVEN),
    ("COVID-19", SEVEN),
    ("In 2016, I voted.", SEVEN),
    ("The answer is between 1 and 7.", SEVEN),
    ("The answer depends: 1 means low and 7 means high.", SEVEN),
    (
        "Only return an integer from 1 to 7, where 1 means Strongly disagree and 7 means Strongly agree.",
        SEVEN,
    ),
    ("The survey asks about HR 3 and Section 5.", SEVEN),
    ("Let's see:\n\n1.", SEVEN),
    ("1) **Context**: The person", SEVEN),
    ("Household Size: 3\n\nRead the question below", SEVEN),
    ("4 stars", SEVEN),
    ("For example, the answer is 5.", SEVEN),
    ("Answer: 2 (Yes)", YES_NO),
    ("I'd give them 2, maybe 3.", FIVE),
    ("Respondent #4", FIVE),
    ("No way of telling", YES_NO),
    ("yes or no", YES_NO),
    ("3", YES_NO),
    ("1 for Yes", YES_NO),
    ("Only return 1 for 'Yes' or 2 for 'No', nothing else.", YES_NO),
    ("She is aged 34 and lives in Ohio", HUNDRED),
    ("The respondent is 34 years old.", HUNDRED),
    ("There is a 70% chance.", HUNDRED),
    ("The company sources 42% of its energy from wind.", HUNDRED),
    ("- 2", NEGATIVE),
    ("12.5", OPEN),
    ("born in 1987", OPEN),
    ("As an AI language model, I have no opinion on Proposition 2.", SEVEN),
]


@pytest.mark.parametrize(("text", "scale", "value"), READ)
def test_what_is_said_is_read(text: str, scale: Scale, value: Number) -> None:
    reading = read_answer(text, scale)
    assert reading.value == value
    assert reading.reason.endswith(".")


@pytest.mark.parametrize(("text", "scale"), MISSING)
def test_what_is_not_said_is_missing_with_a_reason(text: str, scale: Scale) -> None:
    reading = read_answer(text, scale)
    assert reading.value is None
    assert reading.reason.endswith(".")


def test_the_reason_tells_off_scale_from_unclear() -> None:
    assert read_answer("8", SEVEN).reason == "8 is not on the scale."
    assert read_answer("1\n2", SEVEN).reason == "The text names several values."
    assert read_answer("", SEVEN).reason == "The answer is empty."


@pytest.mark.skipif(not DATA.exists(), reason="the development data is not on this machine")
def test_every_real_raw_answer_is_read_as_expected() -> None:
    labelled = scale_of("an integer from 0 to 4, where 0 means Not at all and 4 means A great deal")
    for line in (DATA / "raw_answers.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        scale = labelled if (row["lo"], row["hi"]) == (0, 4) else Scale("range", row["lo"], row["hi"])
        assert read_answer(row["text"], scale).value == row["expected"], row["text"]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.sampled_from([SEVEN, YES_NO, OPEN, MONEY, NEGATIVE]))
def test_a_reading_is_on_its_scale_whatever_the_text(text: str, scale: Scale) -> None:
    value = read_answer(text, scale).value
    assert value is None or scale.is_open or value in scale.values


@settings(max_examples=100, deadline=None)
@given(st.integers(-5, 1_200))
def test_every_option_of_a_scale_reads_as_itself(value: int) -> None:
    for scale in (SEVEN, HUNDRED, NEGATIVE, CHOICE, OPEN):
        expected = value if scale.is_open or value in scale.values else None
        assert read_answer(str(value), scale).value == expected


@pytest.mark.parametrize(
    "piece", ["5.\n", "answer ", "say a ", "answer is 5 ", "<a", "5 or ", " ", "\n", "1. ", "'", "\\boxed{5}"]
)
def test_long_hostile_answers_are_read_in_linear_time(piece: str) -> None:
    listed = Scale(
        "enum_labels", 1, 1001, labels=tuple((value, f"label {value}") for value in range(1, 1002))
    )
    for scale in (SEVEN, OPEN, listed):
        started = time.process_time()
        read_answer(piece * (20_000 // len(piece)), scale)
        assert time.process_time() - started < 0.1  # below 0.01 s; a quadratic search takes many seconds
