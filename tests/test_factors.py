"""Factors of studies, imports, drafts and runs: stored, shown, edited, and computed from people's own answers."""

import math
from pathlib import Path

import pandas as pd
import pytest
import statsmodels.formula.api as smf

from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study
from socrates_core.importing.mapping import parse_mapping, render_mapping
from socrates_core.importing.read_table import read_table
from socrates_core.projects import drafts
from socrates_core.projects.run_factors import factor_effects
from socrates_core.reporting.preregistration import render_osf
from socrates_core.reporting.run_numbers import run_numbers, seen_in_training
from socrates_core.studies.factors import people_factor_effects
from socrates_core.surveys.check import warnings
from socrates_core.surveys.draft import Draft, draft_from_dict, render_draft
from socrates_core.surveys.start import draft_from_study
from socrates_core.yaml_files import parse_yaml
from tests.support.commands import as_json, command
from tests.support.drafts import make_draft
from tests.support.jobs import run_now
from tests.support.pages import fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")


def test_a_crossed_study_gives_what_a_regression_of_its_answers_gives(starter_home: Path) -> None:
    corpus = open_corpus("starter")
    answers = corpus.responses("weather")
    # Effect codes in a saturated model: coefficients are unweighted means; HC2 errors are those of Welch.
    code = {"two-fold": -0.5, "seven-fold": 0.5, "one": -0.5, "lower and upper": 0.5}
    factors = {factor.name: factor.level_of_condition for factor in corpus.design("weather").factors}
    rows = pd.DataFrame(
        {
            "y": answers["response"],
            **{
                name: [code[levels[number]] for number in answers["condition_num"]]
                for name, levels in factors.items()
            },
        }
    )
    fitted = smf.ols("y ~ question * estimate", rows).fit(cov_type="HC2")
    effects = people_factor_effects(corpus, "weather")
    names = ["question", "estimate", "question:estimate"]
    for effect, name in zip(effects, names, strict=True):
        assert effect.estimate.estimate == pytest.approx(fitted.params[name], abs=1e-10)
        assert effect.estimate.se == pytest.approx(fitted.bse[name], abs=1e-10)
        assert effect.p_holm >= effect.estimate.p


def test_the_command_prints_main_effects_and_a_study_without_factors_has_none(starter_home: Path) -> None:
    shown = as_json("study", "framing")["factor_effects"]
    anxiety = [effect for effect in shown if effect["outcome"] == "Anxiety"]
    assert [effect["kind"] for effect in anxiety] == ["main effect", "main effect", "interaction"]
    assert "tone: costs − benefits" in command("study", "framing")
    assert as_json("study", "kakadu")["factor_effects"] == []
    command("study", "framing", "--reference", "9", code=2)


def test_a_run_has_the_same_effects_of_people_and_those_of_its_own_means(starter_home: Path) -> None:
    draft = draft_from_study(open_corpus("starter"), "weather")
    run = run_now(draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 3})}))
    people = people_factor_effects(open_corpus("starter"), "weather")
    means = {cell.condition: cell.mean for cell in run.cells}
    effects = factor_effects(run)
    assert [effect.contrast.name for effect in effects] == [effect.contrast.name for effect in people]
    for effect, theirs in zip(effects, people, strict=True):
        assert effect.people is not None
        assert effect.people.estimate == theirs.estimate
        assert effect.predicted == pytest.approx(sum(effect.contrast.weights[c] * means[c] for c in range(4)))
    printed = command("run", run.spec.run_id)
    assert "Main effects and interactions" in printed
    page = fine(open_page("pages/project/results.py", run=run.spec.run_id, results_view="Effects"))
    assert "Main effects and interactions" in page
    # An edited condition was not shown to anybody, so people have no main effect; the prediction stays.
    edited = draft.model_copy(
        update={
            "conditions": (draft.conditions[0].model_copy(update={"text": "Other."}), *draft.conditions[1:])
        }
    )
    assert all(effect.people is None for effect in factor_effects(run_now(edited)))


def test_drafts_without_factors_are_stored_as_before_and_factors_survive_a_file(starter_home: Path) -> None:
    plain = make_draft().as_dict()
    assert "assignment" not in plain
    assert all("levels" not in condition for condition in plain["conditions"])
    draft = draft_from_study(open_corpus("starter"), "framing")
    assert [factor.name for factor in draft.design.factors] == ["tone", "immigrant"]
    within = draft.model_copy(update={"assignment": "within"})
    again = draft_from_dict(parse_yaml(render_draft(within), "it"), "it")
    assert again == within and again.design.assignment == "within"


def _named(*levels: dict[str, str]) -> Draft:
    draft = make_draft()
    first = draft.conditions[0]
    conditions = tuple(
        first.model_copy(update={"name": f"c{n}", "text": f"Text {n}", "levels": named})
        for n, named in enumerate(levels)
    )
    return draft.model_copy(update={"conditions": conditions, "reference": ""})


@pytest.mark.parametrize(
    ("draft", "words"),
    [
        (_named({"a": "1", "b": "x"}, {"a": "2"}), "c1 has no level of b"),
        (_named({"a": "1", "b": "x"}, {"a": "2", "b": "x"}), "two factors whose levels differ"),
        (
            _named({"a": "1", "b": "x"}, {"a": "2", "b": "y"}, {"a": "1", "b": "x"}),
            "c0 and c2 have the same levels",
        ),
    ],
)
def test_factors_that_do_not_cross_are_named(draft: Draft, words: str) -> None:
    assert draft.design.factors == ()
    assert [problem.message for problem in warnings(draft) if words in problem.message]


def test_levels_are_typed_in_the_form(starter_home: Path) -> None:
    draft = _named({}, {}, {}, {})
    draft_id = drafts.create(draft)
    app = open_page("pages/project/draft.py", draft=draft_id)
    key = next(box.key for box in app.text_input if box.key and box.key.endswith(":factors"))
    app.text_input(key=key).set_value("tone, party").run()
    assert "c0 has no level of tone and party" in fine(app)
    stored = drafts.open_draft(draft_id)
    assert stored.conditions[3].levels == {"tone": "", "party": ""}
    app.segmented_control(key=key.replace(":factors", ":assignment")).set_value("within").run()
    fine(app)
    assert drafts.open_draft(draft_id).assignment == "within"


MAPPING = """
study: {study_id: crossed, title: Crossed}
conditions:
- {name: A, text: One, when: {tone: [warm], party: [own]}}
- {name: B, text: Two, when: {tone: [cold], party: [own]}}
- {name: C, text: Three, when: {tone: [warm], party: [other]}}
- {name: D, text: Four, when: {tone: [cold], party: [other]}}
outcomes:
- {name: Y, question: 'How?', column: y, scale: {kind: range, low: 1, high: 7}}
"""


def test_columns_that_make_the_conditions_are_the_factors_of_an_import(home: Path, tmp_path: Path) -> None:
    rows = [
        (t, p, 1 + n % 7)
        for n, (t, p) in enumerate([(t, p) for t in ("warm", "cold") for p in ("own", "other")] * 9)
    ]
    path = tmp_path / "crossed.csv"
    pd.DataFrame(rows, columns=["tone", "party", "y"]).to_csv(path, index=False)
    mapping = parse_mapping(MAPPING, "it")
    name = import_study(read_table(path), mapping)
    design = open_corpus(name).design("crossed")
    assert [(factor.name, factor.level_of_condition) for factor in design.factors] == [
        ("tone", ("warm", "cold", "warm", "cold")),
        ("party", ("own", "own", "other", "other")),
    ]
    effects = people_factor_effects(open_corpus(name), "crossed")
    frame = pd.DataFrame(rows, columns=["tone", "party", "y"])
    cells = frame.groupby(["tone", "party"])["y"].mean()
    assert effects[0].contrast.name == "tone: cold − warm"
    assert effects[0].estimate.estimate == pytest.approx(
        (cells["cold", "own"] + cells["cold", "other"] - cells["warm", "own"] - cells["warm", "other"]) / 2
    )
    named = mapping.model_copy(
        update={
            "conditions": tuple(
                condition.model_copy(
                    update={"levels": {"how": "x" if n % 2 else "y", "who": "1" if n < 2 else "2"}}
                )
                for n, condition in enumerate(mapping.conditions)
            )
        }
    )
    assert parse_mapping(render_mapping(named), "it") == named
    name = import_study(read_table(path), named)
    assert [factor.name for factor in open_corpus(name).design("crossed").factors] == ["how", "who"]
    # A group of weighted people earns an estimate without an interval, and the reason.
    frame.assign(w=1.5).to_csv(path, index=False)
    name = import_study(read_table(path), mapping.model_copy(update={"weight": "w"}))
    weighted = people_factor_effects(open_corpus(name), "crossed")[0]
    assert math.isfinite(weighted.estimate.estimate) and math.isnan(weighted.estimate.low)
    assert weighted.note.startswith("No interval:")


def test_a_condition_that_a_study_does_not_have_is_refused(starter_home: Path) -> None:
    with pytest.raises(UserError, match="condition"):
        people_factor_effects(open_corpus("starter"), "framing", reference=9)


def test_the_preregistration_names_the_crossing_and_who_sees_what(starter_home: Path) -> None:
    draft = draft_from_study(open_corpus("starter"), "framing").model_copy(update={"assignment": "within"})
    run = run_now(draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 2})}))
    text = render_osf(run, run_numbers(run, seen_in_training(run)))
    assert "Each person sees all conditions." in text
    assert "2 x 2: tone (benefits, costs) x immigrant (European, Latino)." in text
    app = open_page("pages/project/power.py", run=run.spec.run_id)
    assert app.selectbox(key="assigned:power:paired").value == "paired"
