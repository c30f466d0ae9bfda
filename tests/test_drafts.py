"""Drafts: files that people write, versions, two windows, and what is wrong with a draft."""

from pathlib import Path

import pytest

from socrates_core.errors import UserError
from socrates_core.populations.panel import PanelSpec
from socrates_core.projects import drafts
from socrates_core.surveys.check import problems, require_runnable
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec, load_draft, render_draft
from tests.support.drafts import make_draft


def messages(draft: Draft) -> str:
    return " ".join(f"{problem.field}: {problem.message}" for problem in problems(draft))


def test_a_draft_survives_yaml(tmp_path: Path) -> None:
    draft = make_draft(reference="Control")
    path = tmp_path / "draft.yaml"
    path.write_text(render_draft(draft))
    assert load_draft(path) == draft


def test_a_scale_may_be_written_as_its_instruction(tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(
        "title: T\nconditions: [{name: A, text: x}]\noutcomes:\n"
        "- {name: O, question: q, scale: 'Only return an integer from 0 to 10, nothing else.'}\n"
    )
    assert load_draft(path).outcomes[0].scale.scale().values == tuple(range(11))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: [", "not valid YAML"),
        ("- 1", "holds no draft"),
        ("colour: red", "colour"),
        ('title: "\\ud800"', "half a character"),
        ("[" * 20000, "nested too deeply"),
        ("outcomes: [{name: O, scale: 'say what you like'}]", "not a response instruction"),
    ],
)
def test_a_bad_file_is_a_sentence(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=told):
        load_draft(path)


def test_a_missing_or_binary_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no file"):
        load_draft(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match="cannot be read as text"):
        load_draft(tmp_path / "binary.yaml")


def test_an_empty_draft_says_what_is_missing() -> None:
    told = messages(Draft())
    assert "Add at least one condition" in told and "Add at least one outcome" in told
    with pytest.raises(UserError, match="cannot be run yet"):
        require_runnable(Draft())


def test_a_complete_draft_has_no_problems() -> None:
    assert problems(make_draft()) == []


@pytest.mark.parametrize(
    "scale",
    [
        ScaleSpec(low=5, high=5),
        ScaleSpec(low=7, high=1),
        ScaleSpec(low=0, high=500_000),
        ScaleSpec(kind="enum_labels", low=1, high=2, labels={1: "Yes", 2: "Yes"}),
        ScaleSpec(kind="enum_labels", low=1, high=2, labels={1: "Yes", 2: " "}),
        ScaleSpec(kind="enum_labels", low=1, high=0, labels={}),
    ],
)
def test_a_bad_scale_is_a_problem_beside_its_field(scale: ScaleSpec) -> None:
    draft = make_draft(outcomes=(OutcomeSpec(name="O", question="q", scale=scale),))
    assert [problem.field for problem in problems(draft)] == ["outcomes.0.scale"]


def test_names_and_texts_must_differ() -> None:
    twin = ConditionSpec(name="A", text="same")
    told = messages(make_draft(conditions=(twin, twin)))
    assert "used twice" in told and "cannot tell them apart" in told


def test_shares_must_add_up_and_fields_must_be_known() -> None:
    panel = PanelSpec(kind="describe", describe={"gender": {"Female": 0.9}, "shoe": {"42": 1.0}})
    told = messages(make_draft(panel=panel))
    assert "add up to 0.9" in told and "'shoe' is no demographic field" in told


def test_a_negative_seed_and_a_share_that_is_no_number_are_problems() -> None:
    panel = PanelSpec(kind="describe", describe={"gender": {"Female": float("nan")}}, seed=-1)
    told = messages(make_draft(panel=panel))
    assert "The seed is -1" in told and "add up to nan" in told


def test_two_windows_never_lose_each_others_words(home: Path) -> None:
    first = make_draft()
    draft_id = drafts.create(first)
    theirs, ours = make_draft(title="Theirs"), make_draft(title="Ours")
    assert drafts.save(draft_id, theirs, based_on=first.digest()).notice == ""
    saved = drafts.save(draft_id, ours, based_on=first.digest())
    assert "another window" in saved.notice
    assert drafts.open_draft(draft_id) == ours
    assert [version.draft for version in drafts.versions(draft_id)] == [theirs]


def test_versions_are_kept_in_order_and_never_overwritten(home: Path) -> None:
    draft_id = drafts.create(make_draft())
    assert [drafts.keep_version(draft_id, make_draft(title=t), t) for t in "ab"] == [1, 2]
    assert [(v.number, v.note) for v in drafts.versions(draft_id)] == [(2, "b"), (1, "a")]


def test_a_deleted_draft_can_be_brought_back(home: Path) -> None:
    draft_id = drafts.create(make_draft())
    drafts.delete(draft_id)
    assert drafts.list_drafts() == [] and drafts.deleted() == {draft_id: "Try"}
    with pytest.raises(UserError, match="no draft"):
        drafts.open_draft(draft_id)
    drafts.restore(draft_id)
    assert drafts.open_draft(draft_id) == make_draft()


def test_a_damaged_working_copy_is_a_sentence_and_the_list_goes_on(home: Path) -> None:
    broken, fine = drafts.create(make_draft()), drafts.create(make_draft(title="Fine"))
    (drafts.drafts_folder() / broken / "working.json").write_text("{")
    assert [row["draft_id"] for row in drafts.list_drafts()] == [fine]
    with pytest.raises(UserError, match="damaged"):
        drafts.open_draft(broken)
