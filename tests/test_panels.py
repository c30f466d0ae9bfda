"""A described population is the one described; people with one profile are one simulated person."""

from dataclasses import replace

import numpy as np
import pytest

from pages.project.draft_form import edited_rows
from socrates_core.personas import Person
from socrates_core.populations.panel import PanelSpec, draw_panel, profiles, profiles_sentence, quotas
from socrates_core.populations.shares import evened, parse_share, shares_of, shares_table, sum_sentence
from socrates_core.surveys.check import problems
from tests.support.drafts import make_draft


def described(n: int, seed: int = 0, **shares: dict[str, float]) -> list[Person]:
    return draw_panel(PanelSpec(kind="describe", describe=shares, n=n, seed=seed))


def values(people: list[Person], field: str) -> dict[object, int]:
    given = [each.demographics[field] for each in people]
    return {value: given.count(value) for value in given}


@pytest.mark.parametrize("seed", range(20))
def test_half_and_half_of_twenty_are_ten_and_ten(seed: int) -> None:
    party = {"Democrat": 0.4, "Republican": 0.4, "Independent": 0.2}
    people = described(20, seed, gender={"Female": 0.5, "Male": 0.5}, party_id=party)
    assert values(people, "gender") == {"Female": 10, "Male": 10}
    assert values(people, "party_id") == {"Democrat": 8, "Republican": 8, "Independent": 4}


def test_fields_are_combined_at_random() -> None:
    """Over seeds a woman is as often a Democrat as a man is: 5 of 10, with the hypergeometric's deviation of 1.15."""
    both = {"Female": 0.5, "Male": 0.5}, {"Democrat": 0.5, "Republican": 0.5}
    found = []
    for seed in range(200):
        people = described(20, seed, gender=both[0], party_id=both[1])
        found.append(sum(set(each.demographics.values()) == {"Female", "Democrat"} for each in people))
    assert np.mean(found) == pytest.approx(5, abs=4 * 1.15 / np.sqrt(200)) and np.std(found) == pytest.approx(
        1.15, abs=0.2
    )


def test_the_last_people_go_to_the_largest_remainders_and_ties_to_chance() -> None:
    drawn = np.random.default_rng(0)
    assert quotas(np.array([0.5, 0.3, 0.2]), 7, drawn).tolist() == [4, 2, 1]  # 3.5, 2.1, 1.4
    tied = [tuple(quotas(np.ones(3) / 3, 4, drawn).tolist()) for _ in range(300)]
    assert {sum(each) for each in tied} == {4}
    assert all(70 < sum(each[k] == 2 for each in tied) < 130 for k in range(3))
    assert quotas(np.array([0.29, 0.71]), 100, drawn).tolist() == [29, 71]  # 0.29 * 100 is 28.999...


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("40", 40),
        ("40%", 40),
        (" 40 % ", 40),
        ("0.4", 0.4),
        ("0,4", 0.4),
        (".5", 0.5),
        ("half", 0),
        (None, 0),
    ],
)
def test_a_share_is_read_as_percent_or_fraction(text: object, share: float) -> None:
    assert parse_share(text) == share


def test_rows_without_a_value_do_not_count_and_equal_values_are_added() -> None:
    rows: list[dict[str, object]] = [
        {"value": "Female", "share": "30"},
        {"value": None, "share": "9"},
        {"value": " Female ", "share": "20%"},
        {"value": "$25,000 to $50,000", "share": "50"},
        {"share": "1"},
    ]
    assert shares_of(rows) == {"Female": 50, "$25,000 to $50,000": 50}


def test_a_table_shows_the_shares_that_it_reads() -> None:
    shares = {"Female": 0.51, "Male": 48.9999, "Other": 100 / 3}
    again = shares_of(shares_table(shares).to_dict("records"))
    assert again == pytest.approx(shares, abs=1e-4) and list(again) == list(shares)


def test_the_sum_says_what_is_missing() -> None:
    assert sum_sentence({"a": 40, "b": 40}) == "Sum: 80 of 100, 20 missing"
    assert sum_sentence({"a": 0.5, "b": 0.2}) == "Sum: 0.7 of 1, 0.3 missing"
    assert sum_sentence({"a": 70, "b": 40}) == "Sum: 110 of 100, 10 too much"
    assert sum_sentence({"a": 40, "b": 60}) == "Sum: 100%" and sum_sentence({"a": 0.4, "b": 0.6}) == "Sum: 1"
    assert sum_sentence(evened(["a", "b", "c"])) == "Sum: 100%"


def test_percent_and_fractions_describe_the_same_people() -> None:
    percent = described(20, gender={"Female": 40.0, "Male": 60.0})
    assert percent == described(20, gender={"Female": 0.4, "Male": 0.6})


def test_an_edited_table_has_its_rows_after_edits_deletions_and_additions() -> None:
    table = shares_table({"Female": 50, "Male": 30, "Other": 20})
    changes = {
        "edited_rows": {"1": {"share": "45"}},
        "deleted_rows": [2],
        "added_rows": [{"value": "Diverse", "share": "5%"}, {}],
    }
    assert shares_of(edited_rows(table, changes)) == {"Female": 50, "Male": 45, "Diverse": 5}


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"Female 0.2, Male": 1.0}, "holds a share"),
        ({"Female": 1.0, "Male": 0.0}, "'Male' (Gender) has no share"),
        ({"Female": 40.0, "Male": 40.0}, "add up to 80"),
        ({"Female": 1.5, "Male": -0.5}, "0 or more"),
        ({}, "at least one value"),
    ],
)
def test_shares_that_are_no_population_are_a_problem(shares: dict[str, float], message: str) -> None:
    panel = PanelSpec(kind="describe", describe={"gender": shares})
    messages = [
        each.message for each in problems(make_draft(panel=panel)) if each.field == "panel.describe.gender"
    ]
    assert len(messages) == 1 and message in messages[0]


def test_bands_that_overlap_are_a_problem() -> None:
    panel = PanelSpec(kind="describe", describe={"age": {"18-29": 0.5, "25 to 40": 0.3, "60+": 0.2}})
    assert [each.message for each in problems(make_draft(panel=panel))] == [
        "18-29 and 25 to 40 overlap. Choose bands without common numbers."
    ]


def test_people_with_one_profile_are_one_simulated_person() -> None:
    people = described(50, gender={"Female": 0.5, "Male": 0.5})
    assert len(set(profiles(people))) == 2
    assert profiles_sentence(people).startswith(
        "50 simulated people, 2 distinct profiles. People with one profile"
    )
    nobody = [replace(each, demographics={}) for each in people]
    assert profiles_sentence(nobody).startswith("50 simulated people, 1 distinct profile. ")
    apart = [Person(at, "described", {"age": at}) for at in range(3)]
    assert (
        profiles(apart) == [0, 1, 2]
        and profiles_sentence(apart) == "3 simulated people, 3 distinct profiles."
    )
