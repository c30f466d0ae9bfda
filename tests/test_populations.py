"""A population that is what was asked for: ages, exact weights, shares drawn, warnings, and its name."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from socrates_core.corpus import open_corpus
from socrates_core.personas import Person, render_profile
from socrates_core.populations.bands import draw_number, ends_of
from socrates_core.populations.drawn import requested_and_drawn
from socrates_core.populations.panel import PanelSpec, draw_panel, eligible
from socrates_core.populations.remarks import (
    default_population,
    describe_population,
    population_name,
    population_warnings,
)
from socrates_core.projects.run_export import cells_table
from socrates_core.projects.run_spec import load_spec, questions
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, load_draft, render_draft
from socrates_core.surveys.start import empty_draft
from tests.support.commands import as_json, command, said
from tests.support.drafts import make_draft
from tests.support.jobs import finish_jobs, run_now

AGES = {"18-29": 20.0, "30-44": 30.0, "45-59": 25.0, "60+": 25.0}
PARTY = {"Democrat": 0.4, "Republican": 0.4, "Independent": 0.2}


def described(**options: object) -> PanelSpec:
    return PanelSpec.model_validate({"kind": "describe", **options})


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("18-29", (18, 29)),
        ("18–29", (18, 29)),
        ("18 to 29", (18, 29)),
        ("45", (45, 45)),
        ("60+", (60, np.inf)),
        ("65 or older", (65, np.inf)),
        ("29-18", None),
        ("young", None),
        ("", None),
    ],
)
def test_a_band_has_ends(text: str, ends: tuple[float, float] | None) -> None:
    assert ends_of(text) == ends


def test_no_prompt_says_a_band() -> None:
    people = draw_panel(described(describe={"age": AGES}, n=200))
    assert all(isinstance(person.demographics["age"], int) for person in people)
    asked = list(questions(make_draft(panel=described(describe={"age": AGES}, n=40)), people[:40]))
    assert all(
        "18-29" not in each.question.prompt.user and "60+" not in each.question.prompt.user for each in asked
    )
    assert render_profile(people[0].demographics) == f"- Age: {people[0].demographics['age']}"


def test_each_band_has_its_quota_and_ages_within_it_are_uniform() -> None:
    people = draw_panel(described(describe={"age": AGES}, n=4000, seed=7))
    ages = np.array([int(person.demographics["age"]) for person in people])
    assert [
        int(((ages >= low) & (ages <= high)).sum()) for low, high in ((18, 29), (30, 44), (45, 59), (60, 89))
    ] == [
        800,
        1200,
        1000,
        1000,
    ]
    counts = [int((ages == age).sum()) for age in range(30, 45)]
    assert stats.chisquare(counts).pvalue > 0.001 and min(counts) > 0


def test_ages_are_the_same_for_the_same_seed_and_leave_other_fields_alone() -> None:
    gender = {"Female": 0.5, "Male": 0.5}
    banded = draw_panel(described(describe={"age": AGES, "gender": gender}, n=40, seed=3))
    assert banded == draw_panel(described(describe={"age": AGES, "gender": gender}, n=40, seed=3))
    middle = {str(age): share for age, share in zip((25, 35, 50, 70), AGES.values(), strict=True)}
    single = draw_panel(described(describe={"age": middle, "gender": gender}, n=40, seed=3))
    assert [p.demographics["gender"] for p in banded] == [p.demographics["gender"] for p in single]


def test_a_text_is_no_band() -> None:
    assert draw_number("retired", "age", np.random.default_rng(0)) is None
    people = draw_panel(described(describe={"age": {"retired": 0.5, "30": 0.5}}, n=2))
    (warning,) = population_warnings(people)
    assert "Age is a number in training prompts" in warning and "retired" in warning


def test_every_profile_is_asked_once_with_the_product_of_its_shares() -> None:
    """2 x 3 profiles. By hand: Female .55, Male .45; Democrat .4, Republican .4, Independent .2."""
    spec = described(
        describe={"gender": {"Female": 55, "Male": 45}, "party_id": PARTY}, every_profile=True, n=1000
    )
    people = draw_panel(spec)
    weights = {tuple(p.demographics.values()): p.weight for p in people}
    assert len(people) == 6 == spec.size
    assert weights == pytest.approx(
        {
            ("Female", "Democrat"): 0.22,
            ("Female", "Republican"): 0.22,
            ("Female", "Independent"): 0.11,
            ("Male", "Democrat"): 0.18,
            ("Male", "Republican"): 0.18,
            ("Male", "Independent"): 0.09,
        }
    )
    assert sum(weights.values()) == pytest.approx(1)


def test_requested_and_drawn_shares_of_quotas_by_hand() -> None:
    """Ten people at 33/33/34: 3.3, 3.3 and 3.4 become 3, 3 and 4."""
    spec = described(describe={"party_id": {"D": 33, "R": 33, "I": 34}}, n=10)
    table = requested_and_drawn(spec, draw_panel(spec))
    assert table["requested"].tolist() == pytest.approx([0.33, 0.33, 0.34])
    assert table["drawn"].tolist() == pytest.approx([0.3, 0.3, 0.4]) and table["n"].tolist() == [3, 3, 4]


def test_requested_and_drawn_shares_of_every_profile_are_equal() -> None:
    spec = described(describe={"age": AGES, "party_id": PARTY}, every_profile=True)
    table = requested_and_drawn(spec, draw_panel(spec))
    assert table["drawn"].tolist() == pytest.approx(table["requested"].tolist())
    assert table["value"].tolist() == [*AGES, *PARTY] and table["n"].tolist() == [3] * 4 + [4] * 3


def test_a_sample_is_compared_with_those_it_was_drawn_from(starter_home: Path) -> None:
    spec = PanelSpec(studies=("garcia",), n=20)
    people = draw_panel(spec)
    pool = open_corpus("starter").participants(["garcia"])["gender"].value_counts(normalize=True)
    drawn = Counter(person.demographics["gender"] for person in people)
    table = requested_and_drawn(spec, people, eligible(spec)).set_index("value")
    assert set(table["field"]) == {"gender"}
    rows = table.to_dict("index")
    for value in map(str, pool.index):
        assert rows[value]["requested"] == pytest.approx(pool[value])
        assert rows[value]["drawn"] == pytest.approx(drawn[value] / 20)
    assert requested_and_drawn(spec, people)["requested"].isna().all()


def test_people_without_a_field_are_a_row(starter_home: Path) -> None:
    spec = PanelSpec(studies=("garcia", "weather"), n=100)
    people = draw_panel(spec)
    table = requested_and_drawn(spec, people, eligible(spec)).set_index("value")
    n_empty = sum(not person.demographics for person in people)
    assert table.loc["not given", "n"] == n_empty > 0
    assert table.loc["not given", "requested"] == pytest.approx(345 / (345 + 129))


def person(number: int, source: str = "described", **demographics: str | int) -> Person:
    return Person(number, source, demographics)


def test_an_empty_profile_is_a_warning() -> None:
    nobody = [person(n) for n in range(3)]
    assert [text.split(":")[0] for text in population_warnings(nobody)] == ["Nobody here has a profile"]
    (warning,) = population_warnings([person(0, age=30), person(1)])
    assert warning.startswith("1 of 2 people have an empty profile")


def test_mixed_studies_and_currencies_are_warnings() -> None:
    people = [
        person(0, "starter/kakadu/4", income="About 9K Australian dollars"),
        person(1, "starter/apple/7", income="About 35K"),
        person(2, "starter/apple/8", income="About 45K"),
    ]
    studies, currencies = population_warnings(people)
    assert "2 studies are mixed: apple (2), kakadu (1)" in studies and "different countries" in studies
    assert "none named (2), Australian dollars (1)" in currencies
    assert population_warnings(people[1:]) == []


def test_a_field_that_only_some_people_have_is_a_warning() -> None:
    (warning,) = population_warnings([person(0, age=30, gender="Female"), person(1, age=40)])
    assert "Gender (1 of 2)" in warning and "Age" not in warning
    assert population_warnings([person(0, age=30), person(1, age=40)]) == []


def test_a_new_draft_asks_people_of_one_named_study(starter_home: Path) -> None:
    """The people of the abortion study answered most questions about themselves: 1,563 people, five fields."""
    panel = empty_draft().panel
    assert panel.studies == ("abortion",) and panel.n == 50
    assert population_name(panel) == "People of the study “Legal abortion: seven reasons”"
    sources = {each.source.rsplit("/", 1)[0] for each in draw_panel(panel)}
    assert sources == {"starter/abortion"}


def test_a_home_without_studies_has_a_draft_too(home: Path) -> None:
    assert default_population() == PanelSpec() and empty_draft().panel == PanelSpec()


def test_the_name_of_a_population_says_who_is_mixed(starter_home: Path) -> None:
    assert population_name(PanelSpec()) == "People of all studies of starter, mixed"
    two = PanelSpec(studies=("garcia", "apple"), filters={"gender": ["Female"]})
    assert population_name(two).startswith("People of 2 studies, mixed: “A woman passed over")
    assert population_name(two).endswith("filtered by Gender")
    assert population_name(described(describe={"party_id": PARTY})) == "Described people (Party Id)"
    assert "gone" in population_name(PanelSpec(corpus="gone", studies=("gone",)))


def test_a_draft_with_quotas_has_the_digest_that_it_always_had(tmp_path: Path) -> None:
    draft = make_draft()
    assert "every_profile" not in draft.as_dict()["panel"]
    chosen = make_draft(panel=described(describe={"party_id": PARTY}, every_profile=True))
    path = tmp_path / "draft.yaml"
    path.write_text(render_draft(chosen))
    assert load_draft(path) == chosen and load_draft(path).panel.every_profile


def weighted_draft() -> Draft:
    shares = {"gender": {"Female": 70.0, "Male": 30.0}, "party_id": {"Democrat": 60.0, "Republican": 40.0}}
    return Draft(
        title="Weighted",
        conditions=(ConditionSpec(name="Control", text="One."), ConditionSpec(name="New", text="Two.")),
        outcomes=(OutcomeSpec(name="Support", question="How much?"),),
        panel=described(describe=shares, every_profile=True),
    )


def test_a_run_weights_means_shares_valid_mass_and_effects(quiet_home: Path) -> None:
    """By hand: .42, .28, .18, .12 for Female/Democrat, Female/Republican, Male/Democrat, Male/Republican."""
    run = run_now(weighted_draft())
    weights = [0.42, 0.28, 0.18, 0.12]
    assert [each.weight for each in load_spec(run.spec.run_id).people] == pytest.approx(weights)
    by_cell = {
        c: np.array([*rows.sort_values("person")["probabilities"]])
        for c, rows in run.people.groupby("condition")
    }
    assert not np.allclose(by_cell[0][0], by_cell[0][3]), (
        "profiles answer differently, or weights could not matter"
    )
    means = {}
    for cell in run.cells:
        rows = by_cell[cell.condition]
        by_hand = sum(weight * row for weight, row in zip(weights, rows, strict=True))
        assert cell.predicted == pytest.approx(by_hand)
        assert not np.allclose(cell.predicted, rows.mean(axis=0))
        means[cell.condition] = float(by_hand @ np.arange(1, 8))
        assert cell.mean == pytest.approx(means[cell.condition])
    (effect,) = run.effects
    assert effect.predicted.difference == pytest.approx(means[1] - means[0])
    masses = run.people.sort_values(["condition", "person"])["valid_mass"].to_numpy()
    assert run.manifest["valid_mass"] == pytest.approx(masses @ np.tile(weights, 2) / 2)
    assert run.as_dict()["population"]["weighted"]


def test_profiles_that_coincide_are_one_prompt_and_both_numbers_are_kept(quiet_home: Path) -> None:
    draft = make_draft(panel=described(describe={"gender": {"Female": 1.0}}, n=50))
    run = run_now(draft)
    assert run.manifest["n_people"] == 50 and run.manifest["n_cells"] == 100
    keys = {each.question.prompt.user for each in questions(draft, run.spec.people)}
    assert len(keys) == 2, "one prompt a condition"
    table = cells_table(run)
    assert set(table["n_simulated"]) == {50} and set(table["n"]) == {1}
    (effect,) = run.as_dict()["effects"]
    assert (effect["predicted_n_simulated"], effect["predicted_n"]) == (50, 1)


def test_the_command_line_reads_shares_from_a_file_and_says_who_is_asked(
    quiet_home: Path, tmp_path: Path
) -> None:
    draft, shares = tmp_path / "draft.yaml", tmp_path / "shares.csv"
    draft.write_text(render_draft(make_draft()))
    shares.write_text("field,category,share\nage,18-29,40%\nage,30-44,60%\nparty_id,D,50\nparty_id,R,50\n")
    out, remarks, code = said(
        "simulate", str(draft), "--model", "echo", "--shares", str(shares), "--personas", "10", "--json"
    )
    assert code == 0, remarks
    printed = json.loads(out)
    rows = pd.DataFrame(printed["population"]["shares"])
    assert rows["requested"].tolist() == pytest.approx([0.4, 0.6, 0.5, 0.5])
    assert rows["drawn"].tolist() == pytest.approx([0.4, 0.6, 0.5, 0.5])
    assert "Described people (Age, Party Id): 10 simulated people" in remarks
    finish_jobs()
    shown = command("run", printed["run_id"])
    assert "10 simulated people" in shown and "n_simulated" in shown
    assert as_json("run", printed["run_id"])["population"]["shares"]


def test_the_command_line_asks_every_profile_and_warns(quiet_home: Path, tmp_path: Path) -> None:
    draft, shares = tmp_path / "draft.yaml", tmp_path / "shares.yaml"
    draft.write_text(render_draft(make_draft()))
    shares.write_text("age: {retired: 50, '30': 50}\nparty_id: {D: 0.4, R: 0.4, I: 0.2}\n")
    _, remarks, code = said(
        "simulate", str(draft), "--model", "echo", "--shares", str(shares), "--every-profile"
    )
    assert code == 0
    assert "6 simulated people, 6 distinct profiles. Profiles are weighted" in remarks
    assert "Warning: Age is a number in training prompts" in remarks
    sampled = tmp_path / "sampled.yaml"
    sampled.write_text(render_draft(make_draft(panel=PanelSpec())))
    refused = command("simulate", str(sampled), "--model", "echo", "--every-profile", code=2)
    assert "--shares FILE" in refused


def test_a_population_is_described_for_machines() -> None:
    spec = described(describe={"gender": {"Female": 1.0}}, n=5)
    population = describe_population(spec, draw_panel(spec))
    assert (population["n_people"], population["n_profiles"], population["warnings"]) == (5, 1, [])
    assert population["shares"] == [
        {"field": "gender", "value": "Female", "requested": 1.0, "drawn": 1.0, "n": 5}
    ]
