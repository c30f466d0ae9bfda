"""The page Launch: the form and its link, what is held out, leaks, the file it would run, and the start."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from streamlit.testing.v1 import AppTest

from pages.models import held_out_chart
from pages.view.words import escape
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import SPLITS, corpus_digest, load_split, split_rows
from socrates_core.corpus.splits_make import OFFICIAL
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import file_digest, write_json
from socrates_core.finetuning.rationales import NOTE
from socrates_core.finetuning.rows import SIDES, choose_rows, count_sides
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, load_training
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs import store
from socrates_core.settings import folder
from tests.support.launch_page import FOUR, PAGE, error, field, split
from tests.support.pages import HOSTILE, fine, open_page

pytestmark = pytest.mark.usefixtures("no_worker")


def shown_spec(app: AppTest) -> dict[str, object]:
    """The configuration that the page shows."""
    return dict(yaml.safe_load(app.code[0].value))


def link(app: AppTest) -> dict[str, str]:
    return {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}


def test_an_empty_home_says_where_studies_come_from(home: Path) -> None:
    assert "make setup" in fine(open_page(PAGE))


def test_without_a_split_the_page_says_why_one_is_needed_and_makes_it(starter_home: Path) -> None:
    app = open_page(PAGE)
    assert "starts from a split" in fine(app) and not app.code
    app.selectbox(key="split_kind").set_value("participants").run()
    app.number_input(key="split_share").set_value(0.5).run()
    app.button(key="split_make").click().run()
    made = load_split("starter-participants-50-seed0")
    assert made.kind == "participants" and link(app)["split"] == made.name
    assert shown_spec(app)["split"] == made.name and "new people" in fine(app)
    app.button(key="split_make").click().run()
    assert "already" in app.error[0].value and SPLITS.ids() == [made.name]


def test_the_authors_split_is_offered_where_its_file_came_with_the_corpus(starter_home: Path) -> None:
    sides_told = {"seen": FOUR[:3], "unseen": FOUR[3:]}
    (open_corpus("starter").path / OFFICIAL["studies"]).write_text(json.dumps(sides_told))
    app = open_page(PAGE)
    app.selectbox(key="split_kind").set_value("official studies").run()
    assert app.number_input(key="split_share").disabled
    app.button(key="split_make").click().run()
    made = load_split("starter-official-studies")
    assert (
        made.seed is None and dict(made.held_out) == {FOUR[3]: (0,)} and shown_spec(app)["split"] == made.name
    )


def test_a_finetune_can_learn_from_a_few_studies_alone(starter_home: Path) -> None:
    app = open_page(PAGE, split=split("participants"))
    assert shown_spec(app)["studies"] == []
    app.multiselect(key="train:studies:mine").set_value(["kakadu", "talor"]).run()
    fine(app)
    assert shown_spec(app)["studies"] == ["kakadu", "talor"] and link(app)["studies"] == "kakadu,talor"
    again = open_page(PAGE, **link(app) | {"studies": "kakadu,<b>no</b>,talor"})
    assert "not on the training side" in again.warning[0].value and "<b>" not in again.warning[0].value
    assert shown_spec(again)["studies"] == ["kakadu", "talor"]
    chosen = choose_rows(TrainingSpec.model_validate(shown_spec(again)))
    assert set(chosen.train["study_id"]) == {"kakadu", "talor"}


def test_reasoning_without_a_rationale_is_refused_before_it_is_queued(starter_home: Path) -> None:
    spec = TrainingSpec(name="tuned", method="reasoning", split=split())
    with pytest.raises(UserError, match="came without rationales"):
        submit_training(spec)
    rows = choose_rows(spec)
    others = pd.DataFrame({"study_id": "elsewhere", "sample_id": [1], "reasoning": ["I like it."]})
    others.to_parquet(rows.corpus.path / "reasoning.parquet")
    with pytest.raises(UserError, match=f"none for the {len(rows.train):,} rows"):
        submit_training(spec)
    assert not store.list_jobs() and not TRAININGS.ids()


def test_the_file_holds_the_form_and_start_queues_it(starter_home: Path) -> None:
    app = open_page(PAGE, split=split())
    fine(app)
    field(app, "Most people per cell").set_value("3").run()
    field(app, "Learning rate").set_value("2e-4").run()
    app.segmented_control(key="train:method").set_value("distribution").run()
    field(app, "Name of the model it makes").set_value("first").run()
    shown = shown_spec(app)
    assert (shown["per_cell"], shown["learning_rate"]) == (32, 5e-4)  # another method has its own recipe
    field(app, "Most people per cell").set_value("3").run()
    shown = shown_spec(app)
    assert TrainingSpec.model_validate(shown).model_dump(mode="json") == shown
    assert app.code[2].value == "python -m training.distribution first.yaml"
    app.button(key="train_start").click().run()
    job = store.list_jobs()[0]
    assert (job.kind, job.id) == ("train", TRAININGS.ids()[0]) and link(app)["trainings"] == job.id
    assert load_training(job.id).model_dump(mode="json") == shown


def test_a_reload_and_a_shared_link_find_the_form_as_it_was(starter_home: Path) -> None:
    app = open_page(PAGE, split=split())
    app.segmented_control(key="train:method").set_value("dpo").run()
    field(app, "Beta").set_value("0.3").run()
    field(app, "Most people per cell").set_value("4").run()
    next(each for each in app.toggle if each.label == "Gradient checkpointing").set_value(True).run()
    kept = link(app)
    assert kept == {"split": "mine", "method": "dpo", "beta": "0.3", "per_cell": "4", "checkpointing": "true"}
    again = open_page(PAGE, **kept)
    assert shown_spec(again) == shown_spec(app)
    field(again, "Beta").set_value("0.1").run()
    assert "beta" not in link(again) and shown_spec(again)["beta"] == 0.1


def test_checkpointing_follows_the_tuning_until_it_is_chosen(starter_home: Path) -> None:
    app = open_page(PAGE, split=split())

    def checkpointing() -> Any:
        return next(each for each in app.toggle if each.label == "Gradient checkpointing")

    tuning = next(each for each in app.selectbox if each.label == "What is tuned")
    assert not shown_spec(app)["checkpointing"]
    tuning.set_value("qlora").run()
    assert checkpointing().value and shown_spec(app)["checkpointing"]
    assert "checkpointing" not in link(app)
    checkpointing().set_value(False).run()
    assert not shown_spec(app)["checkpointing"] and link(app)["checkpointing"] == "false"
    assert shown_spec(open_page(PAGE, **link(app))) == shown_spec(app)


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"per_cell": "0"}, "Most people per cell is '0'"),
        ({"learning_rate": "fast"}, "Learning rate is 'fast'"),
        ({"validation_share": "1.5"}, "Share for validation is '1.5'"),
        ({"name": "Not a name!"}, "Name of the model it makes is 'Not a name!'. Lower-case letters"),
        ({"name": "starter", "tuning": "full"}, "'starter' is reserved for something else"),
        ({"method": "dpo", "tuning": "full"}, "DPO compares with its own start"),
        ({"base": "./no_such"}, "There is no model folder at './no_such'"),
        ({"method": "reasoning"}, "rationale"),
    ],
)
def test_a_wrong_value_is_a_sentence_and_nothing_can_start(
    starter_home: Path, link: dict[str, str], sentence: str
) -> None:
    app = open_page(PAGE, split=split(), **link)
    told = "\n".join([*(each.value for each in app.markdown), *(each.value for each in app.error)])
    assert not app.exception and app.button(key="train_start").disabled
    assert sentence in told.replace("\\", "")


def test_a_leak_stops_the_start_until_a_reason_is_given(starter_home: Path) -> None:
    held = next(iter(load_split(split()).held_out))
    knowing = starter_home / "models" / "knowing"
    shutil.copytree(starter_home / "models" / "starter", knowing, copy_function=os.symlink)
    (knowing / "card.json").unlink(missing_ok=True)
    (knowing / "card.json").write_text(json.dumps({"saw": {"studies": [held]}}))
    app = open_page(PAGE, split="mine", base="knowing")
    assert not app.exception and app.button(key="train_start").disabled
    assert held in app.error[0].value
    field(app, "Why the leak is accepted").set_value("It was only a rehearsal.").run()
    app.button(key="train_start").click().run()
    assert load_training(TRAININGS.ids()[0]).accept_leaks == "It was only a rehearsal."


def test_a_curve_is_queued_a_finetune_a_share_and_its_command_does_the_same(starter_home: Path) -> None:
    app = open_page(PAGE, split=split(), name="mine", people_share="0.5")
    app.toggle(key="curve").set_value(True)
    app.toggle(key="evaluate").set_value(True).run()
    assert "the 4 on fewer people" in fine(app) and shown_spec(app)["people_share"] == 1
    options = "--shares 1,3,10,30,100 --evaluate"
    assert app.code[1].value == f"python -m socrates_core train mine.yaml {options}" and len(app.code) == 2
    app.button(key="train_start").click().run()
    jobs = {job.id: job for job in store.list_jobs()}
    queued = [load_training(each) for each in link(app)["trainings"].split(",")]
    assert {each.name: each.people_share for each in queued} == {
        "mine-1": 0.01,
        "mine-3": 0.03,
        "mine-10": 0.1,
        "mine-30": 0.3,
        "mine-100": 1.0,
    }
    asked = {job.title.rpartition(" · ")[2] for job in jobs.values() if job.kind == "evaluate"}
    assert asked == {"starter", *(each.name for each in queued)}


def test_the_shown_command_evaluates_where_the_page_does(starter_home: Path) -> None:
    app = open_page(PAGE, split=split(), name="mine", evaluate="true")
    assert app.code[1].value == "python -m socrates_core train mine.yaml --evaluate"


@pytest.mark.parametrize("curve", ["false", "true"])
def test_the_offered_name_is_that_of_no_finetune_under_way(starter_home: Path, curve: str) -> None:
    app = open_page(PAGE, split=split(), curve=curve)
    first = shown_spec(app)["name"]
    app.button(key="train_start").click().run()
    again = open_page(PAGE, split="mine", curve=curve)
    fine(again)
    assert shown_spec(again)["name"] == f"{first}-2" and not again.button(key="train_start").disabled


def test_the_examples_are_said_to_be_spread_over_all_rows(starter_home: Path) -> None:
    assert "Examples, spread over all rows" in fine(open_page(PAGE, split=split()))


def write_rationales(name: str, corpus: Corpus, rows: pd.DataFrame) -> None:
    """Rationales of `rows` as the model "author" would have written them."""
    path = folder("rationales") / f"{name}.parquet"
    rows[["study_id", "sample_id"]].assign(reasoning="I like it.").to_parquet(path)
    told = {"corpus": corpus.name, "corpus_digest": corpus_digest(corpus), "writer": {"name": "author"}}
    write_json(path.with_suffix(".json"), {**told, "sha256": file_digest(path)})


def test_reasoning_says_who_wrote_its_rationales_and_what_they_are_for(starter_home: Path) -> None:
    chosen = choose_rows(TrainingSpec(name="tuned", split=split()))
    write_rationales("told", chosen.corpus, chosen.train)
    app = open_page(PAGE, split="mine", method="reasoning", rationales="told")
    told = fine(app).replace("\\", "")
    assert "The rationales “told” are by author" in told and NOTE in told
    assert not app.button(key="train_start").disabled


def test_a_model_of_this_machine_writes_rationales_for_the_rows_of_the_form(starter_home: Path) -> None:
    app = open_page(PAGE, split=split(), method="reasoning", per_cell="3", seed="7")
    assert app.selectbox(key="rationales_model").options == ["starter"]
    assert "rationales NAME --config FILE.yaml --model api:MODEL" in app.code[0].value
    app.text_input(key="rationales_name").set_value("told")
    next(each for each in app.button if each.label == "Write them").click().run()
    (job,) = store.list_jobs()
    wanted = TrainingSpec.model_validate(job.args["spec"])
    assert (job.kind, job.args["model"]["name"], wanted.rationales) == ("rationales", "starter", "told")
    assert (wanted.split, wanted.per_cell, wanted.seed) == ("mine", 3, 7) and link(app)["job"] == job.id


def test_a_name_that_rationales_cannot_have_is_a_sentence(starter_home: Path) -> None:
    app = open_page(PAGE, split=split(), method="reasoning")
    app.text_input(key="rationales_name").set_value("Not a name!")
    next(each for each in app.button if each.label == "Write them").click().run()
    assert "Rationales cannot be called" in error(app) and not store.list_jobs()


@pytest.mark.parametrize("kind", ["studies", "conditions", "outcomes", "participants"])
def test_the_picture_counts_what_the_rows_say(starter_home: Path, kind: str) -> None:
    spec = TrainingSpec(name="x", split=split(kind), per_cell=5)
    chosen = choose_rows(spec)
    told = count_sides(chosen).set_index("study_id")
    corpus, unit = chosen.corpus, ["participant"] if kind == "participants" else ["condition_num", "task_num"]
    stimuli = corpus.ask("SELECT study_id, stimulus_id, condition_num, task_num FROM read_parquet($stimuli)")

    def units(rows: pd.DataFrame) -> dict[str, set[tuple[int, ...]]]:
        rows = rows[["study_id", "stimulus_id", "participant"]].merge(stimuli)
        return {
            str(study): set(own[unit].itertuples(index=False, name=None))
            for study, own in rows.groupby("study_id")
        }

    trained, held = units(chosen.train), units(split_rows(corpus, chosen.split, "eval"))
    validation = units(chosen.validation)
    for study in chosen.split.studies:
        row = told.loc[study]
        assert row["trained"] == len(trained.get(study, set()))
        assert row["validation"] == len(validation.get(study, set()) - trained.get(study, set()))
        assert row["held_out"] == len(held.get(study, set()))
        assert row["unused"] >= 0
    if kind == "participants":
        everybody = corpus.participants(list(chosen.split.studies)).groupby("study_id").size()
        assert told[list(SIDES)].sum(axis=1).to_dict() == everybody.to_dict()


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_study_names_are_text_in_the_picture(text: str) -> None:
    frame = pd.DataFrame(
        {"study_id": [text], "title": [text], "trained": 3, "validation": 0, "held_out": 2, "unused": 1}
    )
    drawn = str(held_out_chart.figure(frame, unit="cells", theme="light").to_plotly_json())
    assert "<script" not in drawn and "<img" not in drawn


def test_a_hostile_base_is_shown_as_text(starter_home: Path) -> None:
    app = open_page(PAGE, split=split(), base=HOSTILE[0])
    assert not app.exception and any(escape(HOSTILE[0]) in each.value for each in app.markdown)
