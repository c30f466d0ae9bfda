"""Splits: nothing that is held out is trained on, the same seed gives the same split, and digests prove it."""

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from socrates_core.cli.splits import app
from socrates_core.corpus.splits import KINDS, Split, load_split, save_split, split_rows, splits
from socrates_core.corpus.splits_check import check_split, measure_sides, near_duplicates
from socrates_core.corpus.splits_make import OFFICIAL, make_split, read_official
from socrates_core.errors import UserError
from tests.support.commands import command
from tests.support.splits import TAIL, USUAL, Shape, made_up, official, sides

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def keys(frame: pd.DataFrame, *columns: str) -> set[tuple[Any, ...]]:
    return set(frame[list(columns)].itertuples(index=False, name=None))


UNITS = {
    "studies": ("study_id",),
    "conditions": ("study_id", "condition_num"),
    "outcomes": ("study_id", "task_num"),
    "participants": ("study_id", "participant"),
}


SHAPES = st.lists(
    st.tuples(st.integers(2, 4), st.integers(2, 3), st.integers(4, 9), st.booleans()), min_size=2, max_size=4
)
TEXTS = st.none() | st.lists(st.sampled_from("abcdefgh"), min_size=9, max_size=25)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(SHAPES, st.sampled_from(KINDS), st.floats(0.05, 0.95), st.integers(0, 9), TEXTS)
def test_what_is_held_out_is_never_trained_on(
    shape: Shape, kind: str, share: float, seed: int, texts: list[str] | None
) -> None:
    corpus = made_up(shape, texts)
    try:
        split = make_split(corpus, kind, name="one", share=share, seed=seed)
    except UserError as error:
        assert re.search("enough .* of its own|leaves nothing", str(error))
        assume(False)
    train, held = sides(corpus, split)
    assert len(train) and len(held)
    assert not keys(train, *UNITS[kind]) & keys(held, *UNITS[kind])
    assert not keys(train, "study_id", "sample_id") & keys(held, "study_id", "sample_id")
    if kind != "participants":
        assert not keys(train, "stimulus") & keys(held, "stimulus")
    told = measure_sides(corpus, split)
    assert (told.n_train, told.n_eval) == (len(train), len(held))
    assert told.n_neither == len(corpus.ask("FROM read_parquet($responses)")) - len(train) - len(held)
    shared = keys(train, "study_id", "participant") & keys(held, "study_id", "participant")
    assert told.n_shared_participants == len(shared)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_split_and_another_seed_another(kind: str) -> None:
    corpus = made_up(USUAL * 3)
    made = [make_split(corpus, kind, name="one", seed=seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] and made[0].digest() == made[1].digest() != made[2].digest()


def test_participants_are_held_out_evenly_over_studies_and_conditions() -> None:
    corpus = made_up([(2, 1, 400, False), (4, 1, 400, False)])
    _, held = sides(corpus, make_split(corpus, "participants", name="one", share=0.25))
    n = held.groupby(["study_id", "condition_num"])["participant"].nunique()
    np.testing.assert_allclose(n, [50, 50, 25, 25, 25, 25], atol=1)


def test_the_first_condition_is_kept_as_reference_and_so_is_one_outcome() -> None:
    corpus = made_up(USUAL)
    for kind, column in (("conditions", "condition_num"), ("outcomes", "task_num")):
        train, _ = sides(corpus, make_split(corpus, kind, name="one", share=0.95))
        assert set(train["study_id"]) == {"s0", "s1", "s2", "s3"}
        assert train[column].nunique() == 1 or kind == "outcomes"


def test_a_text_that_both_sides_would_show_is_on_neither() -> None:
    corpus = made_up([(2, 2, 8, False)], ["told", "both", "other", "both"])
    split = make_split(corpus, "conditions", name="one")
    train, held = sides(corpus, split)
    assert set(held["question" if "question" in held else "stimulus"]) == {f"other {TAIL}"}
    assert measure_sides(corpus, split).n_neither == 4 and len(train) == 8


def test_a_study_whose_conditions_all_read_the_same_is_not_held_out() -> None:
    with pytest.raises(UserError, match="enough conditions of its own"):
        make_split(made_up([(3, 1, 9, False)], ["the same"]), "conditions", name="one")


def test_a_split_comes_back_as_it_was_saved(home: Path) -> None:
    split = make_split(made_up(USUAL), "participants", name="one")
    path = save_split(split)
    assert splits() == ["one"] and load_split("one") == split and path.parent == home / "splits"
    stored = json.loads(path.read_text())
    assert stored["version"] == 1 and stored["digest"] == split.digest()
    path.write_text(path.read_text().replace('"s0": [', '"s0": [77, ', 1))
    with pytest.raises(UserError, match="digest differs"):
        load_split("one")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "socrates-split", "version": 1}'])
def test_a_damaged_split_is_a_sentence(content: str) -> None:
    save_split(make_split(made_up(USUAL), "studies", name="one")).write_text(content)
    with pytest.raises(UserError, match=r"one\.json"):
        load_split("one")


def test_a_split_of_a_corpus_that_was_written_anew_is_refused() -> None:
    split = make_split(made_up(USUAL), "studies", name="one")
    with pytest.raises(UserError, match="Make the split again"):
        split_rows(made_up(USUAL[:2]), split, "train")
    assert len(split_rows(made_up(USUAL), split, "train"))  # the same answers, the same digest


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"kind": "rows"}, "no kind of split 'rows'"),
        ({"share": 1.5}, "between 0 and 1"),
        ({"name": "../a"}, "cannot name"),
        ({"studies": ["s9"]}, "no study 's9'"),
        ({"studies": ["s0"]}, "enough studies of its own"),
    ],
)
def test_what_cannot_be_split_is_a_sentence(told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make_split(made_up(USUAL), **{"kind": "studies", "name": "one", **told})


def test_near_duplicates_are_found_across_the_sides_among_thousands() -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), 7)) for _ in range(3_000)]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(2_002)]
    texts[2_001] = texts[0].replace(texts[0].split()[5], "changed")
    corpus = made_up([(1, 1, 4, False)] * 2 + [(1, 200, 1, False)] * 10, texts)
    split = Split(**{**vars(make_split(corpus, "studies", name="one")), "held_out": {"s0": (0,)}})
    found = near_duplicates(corpus, split, 0.8).to_dict("records")
    assert len(found) == 1 and 0.9 < found[0].pop("likeness") < 1
    assert found == [{"study_id": "s0", "stimulus_id": 0, "train_study_id": "s11", "train_stimulus_id": 199}]


def test_the_likeness_is_the_cosine_of_five_characters_in_a_row() -> None:
    texts = ["How worried are you?", "How worried were you?"]
    corpus = made_up([(1, 1, 4, False)] * 2, texts)
    split = Split(**{**vars(make_split(corpus, "studies", name="one")), "held_out": {"s0": (0,)}})
    padded = [
        f"    {text.lower()}     " for text in texts
    ]  # the space before the instruction is part of the text
    ours, theirs = (Counter(text[at : at + 5] for at in range(len(text) - 4)) for text in padded)
    product = sum(n * theirs[gram] for gram, n in ours.items())
    lengths = [math.sqrt(sum(n * n for n in counts.values())) for counts in (ours, theirs)]
    assert near_duplicates(corpus, split, 0.1)["likeness"].tolist() == pytest.approx(
        [product / math.prod(lengths)]
    )


def test_texts_that_differ_in_the_instruction_alone_are_alike() -> None:
    corpus = made_up([(1, 1, 4, False)] * 4, ["How worried are you?", "Who won the first prize?"])
    split = Split(
        **{
            **vars(make_split(corpus, "participants", name="one")),
            "kind": "studies",
            "held_out": {"s0": (0,)},
            "apart": False,
        }
    )
    assert near_duplicates(corpus, split)["likeness"].tolist() == pytest.approx([1.0])
    assert check_split(corpus, split).n_shared_texts == 1  # told, where others made the split
    with pytest.raises(UserError, match="leaves nothing to evaluate"):
        check_split(corpus, Split(**{**vars(split), "apart": True}))


def test_the_published_split_by_study_is_read(tmp_path: Path) -> None:
    corpus = made_up(USUAL)
    path = official(tmp_path, "studies", {"seen": ["s0", "s2", "elsewhere"], "unseen": ["s1"]})
    split = read_official(corpus, "studies", name="official", path=path)
    train, held = sides(corpus, split)
    assert set(train["study_id"]) == {"s0", "s2"} and set(held["study_id"]) == {"s1"}
    assert (
        split.seed is None
        and split.source == "participant_mapping.json"
        and split.studies == ("s0", "s1", "s2")
    )
    with pytest.raises(UserError, match="on both sides"):
        both = official(tmp_path, "studies", {"seen": ["s0"], "unseen": ["s0"]})
        read_official(corpus, "studies", name="a", path=both)


@pytest.mark.parametrize(("kind", "column"), [("conditions", "condition_num"), ("outcomes", "task_num")])
def test_the_published_splits_by_sample_are_read(tmp_path: Path, kind: str, column: str) -> None:
    corpus = made_up(USUAL, ["a", "b", "c"])
    asked = "SELECT r.*, condition_num, task_num FROM read_parquet($responses) r "
    asked += "JOIN read_parquet($stimuli) s USING (study_id, stimulus_id)"
    rows = corpus.ask(asked)
    rows = rows[rows["study_id"] != "s3"]
    spare = rows["sample_id"] == rows["sample_id"].min()
    mapping = {
        study: {
            "train": own.loc[(own[column] != 1), "sample_id"].tolist(),
            "eval": own.loc[own[column] == 1, "sample_id"].tolist(),
        }
        for study, own in rows[~spare].groupby("study_id")
    }
    split = read_official(corpus, kind, name="official", path=official(tmp_path, kind, mapping))
    train, held = sides(corpus, split)
    for side, frame in (("train", train), ("eval", held)):
        wanted = {(study, sample) for study, told in mapping.items() for sample in told[side]}
        assert keys(frame, "study_id", "sample_id") == wanted
    assert measure_sides(corpus, split).n_neither == 1 == len(split.left_out["s0"])
    save_split(split)
    assert load_split("official") == split


def test_a_published_split_that_tears_a_condition_apart_is_refused(tmp_path: Path) -> None:
    torn = {"s0": {"train": [0, 1, 2, 3], "eval": [6, 7]}}
    with pytest.raises(UserError, match="rows of one condition of 's0' on both sides"):
        read_official(made_up(USUAL), "conditions", name="a", path=official(tmp_path, "conditions", torn))


@pytest.mark.parametrize("content", [[], {"seen": 1}, {"s0": {"train": []}}, {"s0": [1]}])
def test_a_file_that_is_no_mapping_is_a_sentence(tmp_path: Path, content: object) -> None:
    corpus = made_up(USUAL)
    for kind in OFFICIAL:
        with pytest.raises(UserError):
            read_official(corpus, kind, name="a", path=official(tmp_path, kind, content))


@pytest.mark.skipif(not DATA.exists(), reason="the development data is not on this machine")
def test_the_published_170_and_40_do_not_overlap() -> None:
    mapping = json.loads((DATA / "participant_mapping.json").read_text())
    shape: Shape = [(1, 1, 2, False)] * 2
    corpus = made_up(shape)
    assert (len(mapping["seen"]), len(mapping["unseen"])) == (170, 40)
    with pytest.raises(UserError, match="nothing of what"):
        read_official(corpus, "studies", name="official", path=DATA / "participant_mapping.json")


def test_splits_are_made_shown_and_listed_on_the_command_line() -> None:
    def told(*args: str) -> Any:
        done = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    corpus = made_up(USUAL)
    assert told("list") == []
    made = told("make", "one", "--corpus", "made", "--kind", "conditions", "--seed", "3")
    assert made["sides"]["n_shared_texts"] == 0 and made["seed"] == 3
    assert told("show", "one") == made
    assert [each["digest"] for each in told("list")] == [made["digest"]]
    official(corpus.path, "studies", {"seen": ["s0", "s2"], "unseen": ["s1"]})  # as the hub's import keeps it
    assert told("make", "two", "--corpus", "made", "--official")["held_out"] == {"s1": [0]}
    assert "rows" in CliRunner().invoke(app, ["make", "one", "--corpus", "made", "--replace"]).stdout
    assert "already" in command("split", "make", "one", "--corpus", "made", code=2)
