"""Leaks: whatever is held out and stands among the rows is found by the rows themselves, and nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from socrates_core.corpus import open_corpus
from socrates_core.corpus.splits import KINDS, Kind, Split, save_split, split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.evaluations.rows import with_answers
from socrates_core.finetuning.leaks import Leak, find_leaks
from socrates_core.finetuning.rows import TrainingRows, choose_rows
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.models.seen import Seen, training_of
from socrates_core.settings import folder
from tests.support.splits import made_up

LONG = (
    "A town plans to close its library on {} and to keep the reading room open for those who work in the daytime. "
    "The council has asked all who live there what they think of the plan. How much do you favour it?"
)
OTHERS = [
    "Do you like tea?",
    "Should trains be free?",
    "Is a garden worth the work?",
    "Would you lend a neighbour a ladder?",
    "Did the game end fairly?",
]


def chosen_by(split: Split, base: str = "echo") -> tuple[TrainingSpec, TrainingRows]:
    save_split(split)
    spec = spec_from_dict({"name": "mine", "base": base, "split": split.name, "per_cell": 4}, "the test")
    return spec, choose_rows(spec)


def starter_split(kind: Kind) -> Split:
    return make_split(open_corpus("starter"), kind, name=kind)


def two_studies(texts: list[str]) -> Split:
    """A corpus whose second study is held out; `texts` are dealt out to both, a condition each."""
    corpus = made_up([(len(texts) // 2, 1, 8, False)] * 2, texts)
    split = make_split(corpus, "studies", name="two", share=0.5)
    return replace(split, held_out={"s1": (0,)}, apart=False)


def held_out_row(chosen: TrainingRows) -> pd.DataFrame:
    return with_answers(chosen.corpus, split_rows(chosen.corpus, chosen.split, "eval").head(1))


def kinds(leaks: list[Leak]) -> list[str]:
    return [each.kind for each in leaks]


@pytest.mark.parametrize("kind", KINDS)
def test_a_splits_own_training_side_leaks_nothing(starter_home: Path, kind: Kind) -> None:
    assert find_leaks(*chosen_by(starter_split(kind), base="starter")) == []


@pytest.mark.parametrize("place", ["train", "validation", "answered"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_held_out_row_is_found_wherever_it_stands(starter_home: Path, kind: Kind, place: str) -> None:
    spec, chosen = chosen_by(starter_split(kind))
    row = held_out_row(chosen)
    leaking = replace(chosen, **{place: pd.concat([getattr(chosen, place), row])})
    first = find_leaks(spec, leaking)[0]
    assert (first.kind, first.n) == (kind, 1)
    assert repr(row["study_id"].iloc[0]) in first.sentence


def test_a_row_that_says_it_is_of_another_condition_is_found_by_its_number(starter_home: Path) -> None:
    spec, chosen = chosen_by(starter_split("conditions"))
    disguised = held_out_row(chosen).assign(condition_num=-1)
    leaks = find_leaks(spec, replace(chosen, train=pd.concat([chosen.train, disguised])))
    assert kinds(leaks)[0] == "conditions"


def test_a_row_of_a_held_out_condition_is_found_though_its_number_is_new(starter_home: Path) -> None:
    spec, chosen = chosen_by(starter_split("conditions"))
    renumbered = held_out_row(chosen).assign(sample_id=-1)
    leaks = find_leaks(spec, replace(chosen, train=pd.concat([chosen.train, renumbered])))
    assert kinds(leaks)[0] == "conditions"


def test_a_text_on_both_sides_is_found_whatever_its_case_and_spaces(home: Path) -> None:
    split = two_studies([OTHERS[0], OTHERS[1], OTHERS[0].upper() + " ", OTHERS[2]])
    (leak,) = find_leaks(*chosen_by(split))
    assert (leak.kind, leak.n) == ("texts", 1)
    assert "'s0'" in leak.sentence and "'s1'" in leak.sentence


def test_a_nearly_equal_text_of_another_study_is_found(home: Path) -> None:
    split = two_studies([LONG.format("Sundays"), OTHERS[1], LONG.format("Mondays"), OTHERS[2]])
    (leak,) = find_leaks(*chosen_by(split))
    assert (leak.kind, leak.n) == ("near", 1)
    assert "0.9" in leak.sentence


def test_a_near_text_that_is_not_chosen_is_no_leak(home: Path) -> None:
    split = two_studies([LONG.format("Sundays"), OTHERS[1], LONG.format("Mondays"), OTHERS[2]])
    spec, chosen = chosen_by(split)
    others = {
        name: frame[frame["stimulus_id"] == 1]
        for name in ("train", "validation", "answered")
        if len(frame := getattr(chosen, name))
    }
    assert len(others["train"]) and find_leaks(spec, replace(chosen, **others)) == []


def test_the_same_response_instruction_alone_is_no_likeness(home: Path) -> None:
    assert find_leaks(*chosen_by(two_studies(OTHERS[:4]))) == []


def test_conditions_of_one_study_may_be_alike(home: Path) -> None:
    corpus = made_up(
        [(4, 1, 12, False)], [LONG.format(day) for day in ("Mondays", "Fridays", "Sundays", "Tuesdays")]
    )
    assert find_leaks(*chosen_by(make_split(corpus, "conditions", name="arms"))) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_base_model_that_saw_the_held_out_side_is_found(starter_home: Path, kind: Kind) -> None:
    split = starter_split(kind)
    finetuned_on("mine", split, split_rows(open_corpus("starter"), split, "eval"))
    (leak,) = find_leaks(*chosen_by(split, base="mine"))
    assert leak.kind == "base" and "'mine'" in leak.sentence


def test_a_base_model_that_saw_the_training_side_alone_is_clean(starter_home: Path) -> None:
    split = starter_split("studies")
    finetuned_on("mine", split, split_rows(open_corpus("starter"), split, "train"))
    assert find_leaks(*chosen_by(split, base="mine")) == []


def test_a_base_model_trained_by_another_split_leaks_only_what_it_saw(starter_home: Path) -> None:
    corpus, split = open_corpus("starter"), starter_split("studies")
    held = sorted(split.held_out)
    other = replace(split, name="other", held_out={held[0]: (0,)})
    finetuned_on("mine", other, split_rows(corpus, other, "train"))
    (leak,) = find_leaks(*chosen_by(split, base="mine"))
    assert (leak.kind, leak.n) == ("base", len(held) - 1)
    assert repr(held[0]) not in leak.sentence


def finetuned_on(name: str, split: Split, rows: pd.DataFrame) -> None:
    """A model folder whose card says that it was trained on `rows`."""
    saw = Seen(trainings=(training_of(open_corpus("starter"), split, rows),))
    path = folder("models") / name
    path.mkdir()
    (path / "card.json").write_text(json.dumps({"saw": saw.as_dict()}), encoding="utf-8")
