"""What can be compared with what: scales that differ, scales turned round, options without an order."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from socrates_core.analysis.options import compare_shares
from socrates_core.corpus import open_corpus
from socrates_core.evaluations.effects import effects_table
from socrates_core.records import Design, Scale
from socrates_core.scales import parse_scale
from socrates_core.scales.alike import compare_scales
from socrates_core.scales.order import is_ordered
from socrates_core.studies.answers import compare_conditions, human_effects, study_overview
from socrates_core.studies.assignment import Assignment
from socrates_core.surveys.draft import ScaleSpec
from tests.support.pages import STUDY_PAGE, fine, open_page
from tests.support.small_corpora import HUNDRED, SEVEN, answer, small_corpus

pytestmark = pytest.mark.usefixtures("no_worker")


def labelled(low: int, high: int, first: str, last: str) -> Scale:
    return Scale("range", low, high, labels=((low, first), (high, last)))


def listed(*labels: str, ordered: bool | None = None) -> Scale:
    return Scale("enum_labels", 1, len(labels), labels=tuple(enumerate(labels, 1)), ordered=ordered)


AGREE = labelled(1, 7, "disagree", "agree")
RIDE = listed("car", "bus", "bike")


@pytest.mark.parametrize(
    ("other", "basis"),
    [
        (labelled(1, 7, "Disagree", " agree."), "answers"),
        (labelled(0, 6, "disagree", "agree"), "positions"),
        (labelled(1, 7, "sad", "happy"), "positions"),
        (SEVEN, "positions"),
        (labelled(1, 7, "agree", "disagree"), "nothing"),
        (labelled(1, 5, "completely agree", "completely disagree"), "nothing"),
        (labelled(-3, 3, "strongly disagree", "strongly agree"), "positions"),
        (Scale("open_integer"), "nothing"),
        (listed("agree", "neither", "disagree"), "nothing"),
        (listed("disagree", "neither", "agree"), "positions"),
        (RIDE, "nothing"),
    ],
)
def test_answers_are_compared_as_they_are_only_on_equal_values_and_labels(other: Scale, basis: str) -> None:
    for scales in ([AGREE, other], [other, AGREE]):
        found = compare_scales(scales)
        assert found.basis == basis and bool(found.reason) == (basis != "answers")


def test_the_same_attitude_on_two_scales_is_no_effect_and_that_is_said(home: Path) -> None:
    """People at the same places of 1-7 and 0-6: as answers they differ by -1."""
    small_corpus(
        "mine1",
        [
            answer(p, p % 2, p // 2 % 7 + (p % 2 == 0), scale=Scale("range", 0, 6) if p % 2 else SEVEN)
            for p in range(140)
        ],
    )
    (effect,) = human_effects(open_corpus("mine1"), "one")
    assert effect.effect.difference == pytest.approx(0, abs=1e-12) and effect.basis == "positions"
    assert effect.span == 1 and "0 to 6 and 1 to 7" in effect.note
    page = fine(open_page(STUDY_PAGE, corpus="mine1", study="one", study_view="Effects"))
    assert "of the place on the scale" in page


def test_places_on_the_scale_are_compared_by_welch(home: Path) -> None:
    drawn = np.random.default_rng(0)
    ours, theirs = drawn.integers(0, 101, 40), drawn.integers(1, 8, 50)
    rows = [answer(p, 1, value, scale=HUNDRED) for p, value in enumerate(ours)]
    rows += [answer(100 + p, 0, value) for p, value in enumerate(theirs)]
    small_corpus("mine", rows)
    (effect,) = human_effects(open_corpus("mine"), "one")
    # scipy on places worked out here: (answer - 0) / 100 and (answer - 1) / 6
    test = stats.ttest_ind(ours / 100, (theirs - 1) / 6, equal_var=False)
    low, high = test.confidence_interval(0.95)
    assert (effect.effect.low, effect.effect.high, effect.effect.p) == pytest.approx((low, high, test.pvalue))


def test_scales_turned_round_are_not_compared_and_the_reason_is_shown(home: Path) -> None:
    turned = labelled(1, 7, "agree", "disagree")
    small_corpus(
        "mine2", [answer(p, p % 2, 7 if p % 2 else 1, scale=turned if p % 2 else AGREE) for p in range(40)]
    )
    found = compare_conditions(open_corpus("mine2"), "one")
    assert not found.effects and "opposite directions" in found.refused[0].reason
    page = fine(open_page(STUDY_PAGE, corpus="mine2", study="one", study_view="Effects"))
    assert "opposite directions" in page and "1 comparison not made" in page


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (SEVEN, True),
        (Scale("open_integer"), True),
        (RIDE, False),
        (listed("car", "bus"), True),
        (listed("car", "bus", "bike", ordered=True), True),
        (listed("Never", "Sometimes", "Always", ordered=False), False),
        (listed("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree"), True),
        (listed("Disapprove", "Other or don't know", "Approve"), False),
        (listed("No to both", "Yes to one and no to the other", "Yes to both"), True),
        (listed("18-24", "25-34", "35 and over"), True),
        (listed("Candidate 1", "Candidate 2", "Candidate 3"), False),
        (listed("", "", ""), True),
        (listed("A lot", "A little", "None"), True),
        (listed("mostly by human activity", "mostly by natural causes", "about equally by both"), False),
    ],
)
def test_a_list_of_labels_is_ordered_only_where_the_labels_say_so(scale: Scale, expected: bool) -> None:
    assert is_ordered(scale) is expected


def test_what_was_said_of_the_order_is_kept_and_changes_no_stored_digest() -> None:
    said = listed("car", "bus", "bike", ordered=False)
    assert Scale.from_dict(said.as_dict()).ordered is False and "ordered" not in RIDE.as_dict()
    assert ScaleSpec.of(said).scale().ordered is False and "ordered" not in ScaleSpec.of(RIDE).model_dump()
    assert said == RIDE == parse_scale("Only return 1 for car, 2 for bus, or 3 for bike, nothing else.")


def choices() -> list[dict[str, Any]]:
    """Arm 0: car and bike alike, so that the mean is bus; arm 1: everybody takes the bus."""
    return [answer(p, p % 2, 2 if p % 2 else 1 + p // 2 % 3, scale=RIDE) for p in range(90)]


def test_options_without_an_order_are_compared_one_by_one_in_percentage_points(home: Path) -> None:
    small_corpus("mine3", choices())
    told = study_overview(open_corpus("mine3"), "one")
    assert told["effects"] == []
    (effect,) = told["option_effects"]
    points = {each["label"]: 100 * each["difference"] for each in effect["options"]}
    assert points == pytest.approx({"car": -100 / 3, "bus": 200 / 3, "bike": -100 / 3})
    table = np.array([[0, 45, 0], [15, 15, 15]])
    chi_square = stats.chi2_contingency(table, correction=False)
    assert effect["chi_square"] == pytest.approx(chi_square.statistic) == pytest.approx(45)
    assert effect["p"] == pytest.approx(chi_square.pvalue) and effect["freedom"] == 2
    assert effect["total_variation"] == pytest.approx(2 / 3)  # half of 1/3 + 2/3 + 1/3
    page = fine(open_page(STUDY_PAGE, corpus="mine3", study="one", study_view="Effects"))
    assert "have no order" in page and "have no mean" in page


def test_intervals_of_option_shares_are_newcombes() -> None:
    ours, theirs = np.eye(3)[[0] * 9 + [1] * 20 + [2]], np.eye(3)[[0] * 20 + [1] * 5]
    found = compare_shares(ours, theirs)
    for k, (a, b) in enumerate(((9, 20), (20, 5), (1, 0))):
        low, high = confint_proportions_2indep(a, 30, b, 25, method="newcomb", compare="diff")
        assert (found.low[k], found.high[k]) == pytest.approx((low, high))


def test_options_that_people_chose_several_times_are_compared_by_person() -> None:
    drawn = np.random.default_rng(1)
    ours, theirs = (drawn.multinomial(4, (0.5, 0.3, 0.2), 20) / 4 for _ in range(2))
    found, paired = compare_shares(ours, theirs), compare_shares(ours, theirs, paired=True)
    for k in range(3):
        welch = stats.ttest_ind(ours[:, k], theirs[:, k], equal_var=False).confidence_interval(0.95)
        pairs = stats.ttest_rel(ours[:, k], theirs[:, k]).confidence_interval(0.95)
        assert (found.low[k], found.high[k]) == pytest.approx(tuple(welch))
        assert (paired.low[k], paired.high[k]) == pytest.approx(tuple(pairs))
    tests = [stats.ttest_ind(ours[:, k], theirs[:, k], equal_var=False).pvalue for k in range(3)]
    assert found.p == pytest.approx(multipletests(tests, method="bonferroni")[1].min())
    assert np.isnan(found.chi_square) and found.freedom == 0
    two = compare_shares(ours[:, :2] / ours[:, :2].sum(axis=1, keepdims=True), np.eye(2)[[0] * 9 + [1] * 3])
    assert two.p == pytest.approx(
        stats.ttest_ind(
            ours[:, 0] / ours[:, :2].sum(axis=1), np.repeat([1.0, 0.0], [9, 3]), equal_var=False
        ).pvalue
    )


def test_options_of_clusters_differ_by_chance_no_more_often_than_said() -> None:
    """Six clusters of 10 people a side who choose alike: chi-square calls one study in six different."""
    generator = np.random.default_rng(4)
    people = pd.DataFrame({"cluster": np.arange(120) // 10, "block": None, "weight": 1.0})
    assignment = Assignment(Design("between", cluster="class"), people)
    clustered, plain = [], []
    for _ in range(300):
        liked = generator.dirichlet((3, 3, 3), 12).repeat(10, axis=0)
        chosen = (liked.cumsum(axis=1) < generator.random((120, 1))).sum(axis=1)
        shares = pd.DataFrame(np.eye(3)[chosen])
        clustered.append(assignment.differences_of_shares(shares.iloc[:60], shares.iloc[60:]).p)
        plain.append(compare_shares(shares.to_numpy()[:60], shares.to_numpy()[60:]).p)
    assert np.mean(np.array(clustered) < 0.05) < 0.07
    assert np.mean(np.array(plain) < 0.05) > 0.15


def test_predicted_effects_are_places_on_the_scale_where_peoples_are(home: Path) -> None:
    """A model that says the middle everywhere, 4 of 1-7 and 3 of 0-6, predicts no effect; as answers it says -1."""
    zero_six = Scale("range", 0, 6)
    turned = labelled(1, 7, "agree", "disagree")
    rows = [answer(p, p % 2, 1 + p % 6, scale=zero_six if p % 2 else SEVEN) for p in range(40)]
    rows += [answer(p, p % 2, 1 + p % 6, task=1, scale=turned if p % 2 else AGREE) for p in range(40)]
    small_corpus("mine", rows)
    corpus = open_corpus("mine")
    stimuli = {(s.condition_num, s.task_num): s.stimulus_id for s in corpus.stimuli("one")}
    told = corpus.responses("one").assign(study_id="one", mean=4.0)
    told.loc[told["stimulus_id"] == stimuli[1, 0], "mean"] = 3.0
    (effect,) = effects_table(corpus, told).to_dict("records")
    assert (effect["task_num"], effect["basis"], effect["span"]) == (0, "positions", 1)
    assert effect["predicted"] == pytest.approx(0, abs=1e-12)
    # people: mean place of 2, 4, 6 on 0-6 is 2/3, of 1, 3, 5 on 1-7 it is 1/3; 40 people, so shares are not equal
    ours, theirs = (np.array([1 + p % 6 for p in range(arm, 40, 2)], dtype=float) for arm in (1, 0))
    assert effect["human"] == pytest.approx(ours.mean() / 6 - (theirs.mean() - 1) / 6)
