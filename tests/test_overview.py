"""A study in a sentence: factors, labels and the control that are worked out, and the finding against a reference."""

import json
from pathlib import Path

import pytest

from socrates_core.corpus.store import open_corpus
from socrates_core.studies.answers import human_effects
from socrates_core.studies.arms import factors_of_names, factors_of_texts, read_arms
from socrates_core.studies.overview import guess_control, read_overview
from tests.support.commands import command
from tests.support.pages import STUDY_PAGE, fine_words, open_page
from tests.support.small_corpora import answer, small_corpus

FAMILY = "A family makes {} money. It has {} impact on the environment as others in its street and nearby."


def numbered(n: int) -> dict[int, str]:
    return {number: f"Condition {number}" for number in range(n)}


def test_names_that_cross_two_things_are_two_factors_and_others_none() -> None:
    tone, origin = factors_of_names(["Costs, Latino", "Costs, Russian", "Gains, Latino", "Gains, Russian"])
    assert tone.name == "Costs or Gains" and origin.level_of_condition == ("Latino", "Russian") * 2
    assert factors_of_names(["Costs, Latino", "Costs, Russian", "Gains, Latino"]) == ()
    assert factors_of_names(["No", "Yes"]) == ()


def test_texts_that_cross_two_things_are_two_factors_and_label_their_conditions() -> None:
    texts = [
        FAMILY.format(money, impact) for money in ("little", "much") for impact in ("the same", "a lower")
    ]
    assert [
        len(set(factor.level_of_condition)) for factor in factors_of_texts([t.split() for t in texts])
    ] == [2, 2]
    arms = read_arms(numbered(4), {number: [text] for number, text in enumerate(texts)})
    assert arms.labels_worked_out and arms.labels[3] == "much, a lower"


def test_conditions_are_labelled_by_what_differs_and_keep_their_numbers_if_nothing_does() -> None:
    face = "You viewed an image of a woman's face showing {}"
    faces = {0: [face.format("anger")], 1: [face.format("fear")], 2: ["You did not view any image"]}
    arms = read_arms(numbered(3), faces)
    assert arms.labels == {0: "anger", 1: "fear", 2: "You did not view any image"}
    alike = read_arms(numbered(2), {0: ["One and the same text."], 1: ["One and the same text."]})
    assert alike.labels == numbered(2) and not alike.labels_worked_out
    stated = read_arms({0: "Control", 1: "Anger"}, faces)
    assert stated.labels == {0: "Control", 1: "Anger"} and not stated.labels_worked_out


@pytest.mark.parametrize(
    ("texts", "control"),
    [
        (["", "A warm letter.", "A cold letter."], 0),  # no text
        (["A warm letter.", "You did not get a letter."], 1),  # its words say so
        (["Do you like it?", "Do you like it, as experts do?", "Do you like it, as your friends do?"], 0),
        (["A warm letter.", "A cold letter."], None),
    ],
)
def test_the_control_is_guessed_only_where_something_speaks_for_one(
    texts: list[str], control: int | None
) -> None:
    labels = {number: f"arm {number}" for number in range(len(texts))}
    assert guess_control(labels, {number: [text] for number, text in enumerate(texts)}) == control


def test_a_study_is_a_sentence_with_its_design_people_and_largest_clear_difference(
    starter_home: Path,
) -> None:
    corpus = open_corpus("starter")
    kakadu = read_overview(corpus, "kakadu")
    # 0.18 [0.10, 0.26] is the published example's own effect; see tests/test_starter_corpus.py.
    assert kakadu.sentence == (
        "2 conditions: “Minor impact” or “Major impact”; 1,827 adults, 1 outcome. “Major impact” moved “Willingness to "
        "pay” by 0.18 of 2 points toward “Yes to both amounts” (95% interval 0.10 to 0.26), compared with “Minor "
        "impact”."
    )
    framing = read_overview(corpus, "framing")
    assert framing.sentence.startswith(
        "2 x 2: tone (benefits, costs) x immigrant (European, Latino); 265 adults, 5 outcomes. "
    )
    assert not framing.worked_out and framing.control == 0
    assert framing.headline is not None
    clear = [effect for effect in human_effects(corpus, "framing") if effect.p_holm < 0.05]
    largest = max(clear, key=lambda effect: abs(effect.effect.d))
    assert framing.headline == (largest.task_num, largest.part)


def test_a_study_without_a_clear_difference_says_so(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    assert read_overview(corpus, "jobs").finding == (
        "No difference is clear after correction for 3 comparisons with “Booklet”."
    )
    assert read_overview(corpus, "sportscards").finding.startswith(
        "No clear difference: “Given the Ryan souvenir”"
    )


def test_what_is_worked_out_is_marked_in_the_sentence_of_a_study_that_names_nothing(home: Path) -> None:
    texts = [
        FAMILY.format(money, impact) for money in ("little", "much") for impact in ("the same", "a lower")
    ]
    rows = [
        answer(person, person % 4, 1 + person % 7, text=texts[person % 4], question="How green is it?")
        for person in range(80)
    ]
    small_corpus("mine", rows, reference_condition=None)
    summary = read_overview(open_corpus("mine"), "one")
    assert summary.design == "2 x 2: “little” or “much” x “the same” or “a lower”"
    assert "the factors" in summary.worked_out and summary.control is None
    page = fine_words(open_page(STUDY_PAGE, corpus="mine", study="one"))
    assert (
        "Worked out from the texts and answers, not stated by the source" in page and summary.sentence in page
    )


def test_the_sentence_is_on_the_page_and_on_the_command_line(starter_home: Path) -> None:
    sentence = read_overview(open_corpus("starter"), "weather").sentence
    assert sentence.startswith(
        "2 x 2: question (two-fold, seven-fold) x estimate (one, lower and upper); 345 people"
    )
    page = open_page(STUDY_PAGE, corpus="starter", study="weather")
    assert sentence in fine_words(page) and len(page.get("plotly_chart")) == 1
    assert sentence in command("study", "weather")
    stored = json.loads(command("study", "weather", "--json"))["overview"]
    assert stored["sentence"] == sentence and len(stored["factors"]) == 2 and stored["control"] == 0
