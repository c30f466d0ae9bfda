"""Scales: reading instructions, writing them, and saying what is wrong with a drafted one."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from socrates_core.errors import UserError
from socrates_core.records import Number, Scale, ScaleKind
from socrates_core.scales import check_scale, parse_scale, render_instruction
from socrates_core.scales.instructions import LONGEST, instruction_start

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the development data is not on this machine")


def range_of(low: Number, high: Number, *ends: str) -> Scale:
    return Scale("range", low, high, labels=tuple(zip((low, high), ends, strict=False)))


def options(*labels: str, start: int = 1) -> Scale:
    listed = tuple(enumerate(labels, start))
    return Scale("enum_labels", start, listed[-1][0], labels=listed)


WORDINGS = {
    "an integer from 1 to 7, nothing else.": range_of(1, 7),
    "a number from 1 to 6, nothing else.”": range_of(1, 6),
    "an integer 1-7.": range_of(1, 7),
    "an integer from -3 to 3, where -3 means Bad and 3 means Good, nothing else.": range_of(
        -3, 3, "Bad", "Good"
    ),
    "an integer from −100 to −10": range_of(-100, -10),
    "a number from 0.5 to 9.5": range_of(0.5, 9.5),
    "a number from 0 to 1 in steps of 0.1, nothing else.": Scale("range", 0, 1, 0.1),
    "a number between $0 and $1,000, nothing else.": range_of(0, 1000),
    "a percentage from 0% to 100%": range_of(0, 100),
    "an integer from 1 to 7 (inclusive), nothing else.": range_of(1, 7),
    "an integer from 7 (best) to 1 (worst)": range_of(1, 7, "worst", "best"),
    "an integer from 1 (Not at all) to 5 (Extremely), nothing else.": range_of(
        1, 5, "Not at all", "Extremely"
    ),
    "an integer from 1 = Low to 5 = High": range_of(1, 5, "Low", "High"),
    "an integer between 1 and 7 (1 = low, 7 = high).": range_of(1, 7, "low", "high"),
    "an integer from 1 to 7, with 1 being rare and 7 being usual.": range_of(1, 7, "rare", "usual"),
    'an integer from 1 to 5, where 1 is "Poor" and 5 is "Fine".': range_of(1, 5, "Poor", "Fine"),
    "an integer from 1 to 5, nothing else. Question 2: why?": range_of(1, 5),
    "an integer from 1 [Never] to 5 [Always]": range_of(1, 5, "Never", "Always"),
    "an integer from -3 to +3, where -3 means Bad and +3 means Good": range_of(-3, 3, "Bad", "Good"),
    "an integer from negative 3 to positive 3": range_of(-3, 3),
    "a number from -0.5 to .5": range_of(-0.5, 0.5),
    "0 or 1, where 0 means No and 1 means Yes": range_of(0, 1, "No", "Yes"),
    "an integer from 0 to 100 in multiples of 5": Scale("multiple", 0, 100, 5),
    "a 1 for Yes and a 2 for No": options("Yes", "No"),
    "the number 1 for Yes or the number 2 for No": options("Yes", "No"),
    "an integer from 1 to 5 where 1 is equal to 'low' and 5 is equal to 'high'": range_of(
        1, 5, "low", "high"
    ),
    "a multiple of 100 between 0 and 1000, nothing else.": Scale("multiple", 0, 1000, 100),
    "1 if you agree, up to 5 if you do not, nothing else.": Scale(
        "if_upto", 1, 5, labels=((1, "you agree"), (5, "you do not"))
    ),
    "1, 2, 3, or 4, nothing else.": range_of(1, 4),
    "1 (Yes) or 2 (No), nothing else.": options("Yes", "No"),
    "1: Yes, 2: No": options("Yes", "No"),
    "1 to vote yes or 2 to abstain": options("vote yes", "abstain"),
    "1 for ‘Don’t know’ or 2 for ‘I’d rather not’, nothing else.": options("Don’t know", "I’d rather not"),
    "1 for 'from 5 to 10 hours' or 2 for 'longer', nothing else.": options("from 5 to 10 hours", "longer"),
    '1 for "He said "no", twice" or 2 for "She, 2 for 1, left", nothing else.': options(
        'He said "no", twice', "She, 2 for 1, left"
    ),
    "1 for نعم or 2 for لا, nothing else.": options("نعم", "لا"),
    "0 for No, 1 for <b>Yes</b>, nothing else.": options("No", "<b>Yes</b>", start=0),
    "an integer representing the cost in dollars, nothing else.": Scale("open_integer"),
    "an amount in dollars, nothing else.": Scale("open_integer"),
    "an integer representing how many of the 3 things upset you": Scale("open_integer"),
}


@pytest.mark.parametrize(("wording", "scale"), WORDINGS.items())
def test_wording_is_read(wording: str, scale: Scale) -> None:
    assert parse_scale(f"Only return {wording}") == scale


@pytest.mark.parametrize(
    "text",
    [
        "",
        "How old are you?",
        "Only return Yes or No",
        "Only return 1 for Yes",
        "Only return",
        "Only return an integer from 0 to 10 million",
        "Only return an integer on a 7-point scale",
        "Only return an integer from 1, meaning Low, to 7, meaning High",
    ],
)
def test_text_without_a_scale_has_none(text: str) -> None:
    assert parse_scale(text) is None


@pytest.mark.parametrize(
    ("wording", "step"),
    [
        ("a number from 0 to 1 with one decimal, where 0 means No and 1 means Yes", 0.1),
        ("a number from 0 to 10 with two decimals", 0.01),
        ("a number between 0 and 1 (one decimal place)", 0.1),
        ("a number to one decimal place from 0 to 10", 0.1),
        ("a number from 0 to 10 rounded to the nearest tenth", 0.1),
        ("a number from 0 (none) to 5 (all), with up to 2 decimals", 0.01),
        ("a number from 0 to 10, no decimals", 1),
        ("a number from 1 to 7 where 1 means 'one decimal' and 7 means 'two decimals'", 1),
    ],
)
def test_decimals_that_an_instruction_asks_for_are_its_step(wording: str, step: float) -> None:
    scale = parse_scale(f"Only return {wording}, nothing else.")
    assert scale is not None and scale.step == step


@pytest.mark.parametrize(
    "wording", ["a decimal number from 0 to 1", "a number from 0 to 10, decimals allowed"]
)
def test_decimals_without_a_count_are_no_scale(wording: str) -> None:
    assert parse_scale(f"Only return {wording}, nothing else.") is None


def test_the_last_instruction_of_a_stimulus_counts() -> None:
    read, asked = "Only return 1 for A or 2 for B.", "Why? Only return an integer from 0 to 10."
    assert parse_scale(f'You read "{read}" and then were asked: "{asked}"') == range_of(0, 10)


def test_a_label_may_speak_of_returning() -> None:
    scale = options("I only return on Mondays", "Never")
    check_scale(scale)
    assert parse_scale(render_instruction(scale)) == scale


def test_a_range_and_a_list_are_written_as_socsci210_writes_them() -> None:
    assert render_instruction(range_of(1, 7, "A", "B")) == (
        "Only return an integer from 1 to 7, where 1 means A and 7 means B, nothing else."
    )
    assert render_instruction(options("Yes", "No")) == "Only return 1 for 'Yes' or 2 for 'No', nothing else."
    assert render_instruction(Scale("open_integer")) == "Only return an integer, nothing else."


def test_multiples_start_at_the_first_multiple() -> None:
    assert Scale("multiple", 1, 20, 5).values == (5, 10, 15, 20)


@needs_data
def test_every_real_instruction_is_read_as_expected() -> None:
    for line in (DATA / "scale_phrases.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        scale = parse_scale(row["tail"])
        assert scale is not None, row["tail"]
        expected = {"kind": row["kind"], "low": row["lo"], "high": row["hi"], "step": row["step"]}
        assert scale.as_dict() == {**expected, "labels": row["labels"]}
        assert parse_scale(render_instruction(scale)) == scale


@needs_data
def test_every_real_stimulus_has_a_scale_that_holds_its_responses() -> None:
    pandas = pytest.importorskip("pandas")
    for path in (DATA / "socsci210_sample.parquet", *sorted((DATA / "studies").glob("*.parquet"))):
        rows = pandas.read_parquet(path)
        scales = {stimulus: parse_scale(stimulus) for stimulus in rows["stimuli"].unique()}
        for stimulus, response in zip(rows["stimuli"], rows["response"], strict=True):
            scale = scales[stimulus]
            assert scale is not None, stimulus
            assert scale.is_open or response in scale.values, (path.name, stimulus, response)


_PIECES = (
    "a",
    "Yes",
    "'",
    '"',
    "‘",
    "’",
    "“",
    "”",
    "«",
    "»",
    ".",
    ",",
    ";",
    "(",
    ")",
    " 2 for ",
    " and 7 means ",
    "nothing else",
    "Only return",
    " or ",
    "<b>",
    "$",
    "7",
    "שלום",
    "\u200f",
    "-",
    "=",
    ":",
    "?",
    "  ",
    "\n",
    "don't",
)
_LABELS = st.lists(st.sampled_from(_PIECES), min_size=1, max_size=6).map("".join) | st.text(max_size=20)
_NUMBERS = st.integers(-100, 100) | st.floats(-100, 100).map(lambda value: round(value, 3))


@st.composite
def drafted_scales(draw: st.DrawFn) -> Scale:
    kind: ScaleKind = draw(st.sampled_from(["range", "enum_labels", "multiple", "if_upto"]))
    if kind == "enum_labels":
        values = sorted(draw(st.sets(_NUMBERS, min_size=2, max_size=5)))
        return Scale(kind, values[0], values[-1], labels=tuple((value, draw(_LABELS)) for value in values))
    low, step = draw(_NUMBERS), 1 if kind == "if_upto" else draw(st.sampled_from([1, 5, 0.1, 0.25, 100]))
    high = round(low + step * draw(st.integers(1, 12)), 9)
    values = [value for value in Scale(kind, low, high, step).values if draw(st.booleans())]
    values = sorted({low, high, *values}) if kind == "if_upto" else values
    return Scale(kind, low, high, step, tuple((value, draw(_LABELS)) for value in values))


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(drafted_scales())
def test_every_accepted_scale_reads_back(scale: Scale) -> None:
    try:
        check_scale(scale)
    except UserError:
        assume(False)
    instruction = render_instruction(scale)
    assert parse_scale(instruction) == scale
    assert parse_scale(f'You read "a" and then were asked: "b? {instruction}"') == scale


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_no_text_makes_reading_fail(text: str) -> None:
    parse_scale(text)
    parse_scale(f"Only return {text}")
    parse_scale(f"Only return an integer from 1 to 7, where 1 means {text}")


def test_an_instruction_is_looked_for_at_the_end_of_a_text_alone() -> None:
    long = "Only return an integer from 1 to 7, where 1 means " + "x" * (2 * LONGEST)
    assert instruction_start(long) is None and parse_scale(long) is None
    assert instruction_start(" " * 10**6 + long[:LONGEST] + "”  ") == 10**6


@pytest.mark.parametrize(
    "piece", ["1 ", "1 for 'a ", "'", "(", " ", "\n", "1,000,", "1=a;", "from 1 (", "7 ;", "-"]
)
def test_hostile_texts_are_read_at_once(piece: str) -> None:
    for opening in ("", "Only return 1 for '", "Only return an integer from 1 to 7, where 1 means "):
        for length in (LONGEST - len(opening), 10**6):
            text = opening + piece * (length // len(piece))
            started = time.process_time()
            parse_scale(text)
            assert time.process_time() - started < 0.1  # below 0.005 s, see benchmarks/scales.py


ACCEPTED = (
    range_of(1, 7),
    range_of(-3, 3, "Bad", "Good"),
    range_of(0, 1000),
    options("Yes", "No"),
    Scale("open_integer"),
    Scale("multiple", 0, 1000, 100),
    Scale("range", 0, 1, 0.1),
    options(
        "Etc.", "N/A,", '"quoted"', "don't", "1 for 2", "<script>", "$x$", "שלום", "(a)", "a, or 2 for b"
    ),
)


@pytest.mark.parametrize("scale", ACCEPTED)
def test_a_sound_scale_is_accepted(scale: Scale) -> None:
    check_scale(scale)
    assert parse_scale(render_instruction(scale)) == scale


REFUSED = {
    "must be less than": range_of(7, 1),
    r"lowest value \(5\) must be less than the highest \(5\)": range_of(5, 5),
    "Fill in the highest value": Scale("range", 1),
    "step is 0": Scale("range", 1, 7, 0),
    "has 100,001 values. Use at most 100,000": range_of(0, 100_000),
    "miss the highest value 10; they end at 9": Scale("range", 1, 10, 2),
    "fewer than two multiples of 100": Scale("multiple", 1, 150, 100),
    "label of 1 is empty": Scale("range", 1, 7, labels=((1, "\u2003"),)),
    "begins or ends with a space": options("Yes ", "No"),
    "is used for both 1 and 2": options("Yes", "yes"),
    "The value 1 is listed twice": Scale("enum_labels", 1, 1, labels=((1, "a"), (1, "b"))),
    "is for 8, which is not a value": Scale("range", 1, 7, labels=((8, "a"),)),
    "at least two options; this one has 1": options("Yes"),
    "options run from 1 to 2, the scale from 1 to 7": Scale("enum_labels", 1, 7, labels=((1, "a"), (2, "b"))),
    "no lowest and highest": Scale("open_integer", 0, 5),
    "has no labels": Scale("open_integer", labels=((1, "a"),)),
    "cannot be a value of a scale": range_of(0, float("inf")),
    "more than nine decimals": range_of(0, 1 / 3),
    "both need a label": Scale("if_upto", 1, 5, labels=((1, "a"),)),
    "at most 4,000 can be read": options(*(f"{number} {'x' * 400}" for number in range(10))),
    "has 501 characters. Use at most 500": options("x" * 501, "y"),
    "cannot be told apart from the instruction": options("Only return this", "b"),
}


@pytest.mark.parametrize(("sentence", "scale"), REFUSED.items())
def test_a_faulty_scale_is_refused_in_a_sentence(sentence: str, scale: Scale) -> None:
    with pytest.raises(UserError, match=sentence) as refusal:
        check_scale(scale)
    assert str(refusal.value).endswith(".")
