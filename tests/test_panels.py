"""A described population is the one described; people with one profile are one simulated person."""

from dataclasses import replace

import numpy as np
import pytest

from pages.project.draft_form import parse_shares
from socrates_core.personas import Person
from socrates_core.populations.panel import PanelSpec, draw_panel, profiles, profiles_sentence, quotas
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
    "text", ["Female 0.5; Male 0.5", "Female 0.5, Male 0.5", "Female 50%, Male 50%", "Female 0.5\nMale 0.5"]
)
def test_shares_are_read_whatever_is_between_them(text: str) -> None:
    assert parse_shares(text) == {"Female": 0.5, "Male": 0.5}


def test_a_comma_inside_a_value_stays() -> None:
    assert parse_shares("$25,000 to $50,000 0.5; Yes, always 0.5") == {
        "$25,000 to $50,000": 0.5,
        "Yes, always": 0.5,
    }


@pytest.mark.parametrize(
    "shares", [{"Female 0.2, Male": 1.0}, {"Female": 1.0, "Male": 0.0}, parse_shares("Female 1; Male half")]
)
def test_a_share_that_was_not_understood_is_a_problem(shares: dict[str, float]) -> None:
    panel = PanelSpec(kind="describe", describe={"gender": shares})
    told = [each.message for each in problems(make_draft(panel=panel)) if each.field == "panel.describe"]
    assert len(told) == 1 and "was not understood" in told[0] and "Female 0.5; Male 0.5" in told[0]
    age = PanelSpec(kind="describe", describe={"age": {"30": 0.0}})
    assert "25 0.3" in problems(make_draft(panel=age))[0].message


def test_people_with_one_profile_are_one_simulated_person() -> None:
    people = described(50, gender={"Female": 0.5, "Male": 0.5})
    assert len(set(profiles(people))) == 2
    assert "50 simulated people have 2 different profiles" in profiles_sentence(people)
    nobody = [replace(each, demographics={}) for each in people]
    assert "have 1 different profile." in profiles_sentence(nobody)
    apart = [Person(at, "described", {"age": at}) for at in range(3)]
    assert profiles(apart) == [0, 1, 2] and profiles_sentence(apart) == ""
