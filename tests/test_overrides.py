"""Scales set by hand: listed where unread, obeyed by stimuli and answers, kept through a new import."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socrates_core.corpus import Corpus, open_corpus, write_corpus
from socrates_core.corpus.scale_overrides import (
    clear_scale,
    clear_scales,
    overrides_path,
    set_by_hand,
    set_scale,
    set_scales,
)
from socrates_core.corpus.tables import on_scale
from socrates_core.errors import UserError
from socrates_core.records import Scale
from socrates_core.studies.answers import study_overview
from tests.support.commands import as_json, command
from tests.support.corpus_tables import SEVEN, change, tables

FIVE = "Only return an integer from 1 to 5, nothing else."


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    return home


def unread_corpus(**columns: Any) -> Corpus:
    """The test corpus with scales that could not be read."""
    return open_corpus(write_corpus("mine", **change("stimuli", scale=None, **columns)).name)


def values(corpus: Corpus) -> list[float | None]:
    told = corpus.responses("news")["value"]
    return [None if np.isnan(value) else value for value in told]


def test_what_cannot_be_read_is_listed_and_answers_count_as_open() -> None:
    corpus = unread_corpus()
    assert [each.stimulus_id for each in corpus.unread("news")] == [0, 1]
    assert values(corpus) == [2.5, 7, 9]
    told = study_overview(corpus, "news")["unread_scales"]
    assert told[1] == {"stimulus_id": 1, "condition_num": 1, "task_num": 0, "stimulus": "s1"}


def test_a_scale_set_by_hand_is_that_of_the_stimulus_and_of_its_answers() -> None:
    corpus = unread_corpus()
    assert set_scale(corpus, "news", 1, "Only return an integer from 1 to 7.") == Scale("range", 1, 7)
    assert [each.stimulus_id for each in corpus.unread("news")] == [0]
    assert corpus.stimuli("news")[1].scale == Scale("range", 1, 7)
    assert values(corpus) == [2.5, 7, None]
    assert corpus.off_scale("news").to_dict("records") == [{"stimulus_id": 1, "n": 1}]
    assert corpus.counts("news")["n"].sum() == 2
    assert (
        open_corpus("mine").tallies("news")["value"].isna().sum() == 1
    )  # the files are as they were written


def test_what_the_catalogue_says_of_a_study_follows_its_scales_set_by_hand() -> None:
    corpus = unread_corpus()

    def told() -> tuple[Any, ...]:
        (row,) = corpus.studies().to_dict("records")
        study = corpus.study("news")
        assert [*row["flags"]] == [*study.flags] and row["n_off_scale"] == study.n_off_scale
        assert [*row["notes"]] == [*study.notes] and [*row["scale_kinds"]] == [*study.scale_kinds]
        return study.n_off_scale, study.scale_kinds, study.flags, len(study.notes) - len(study.flags)

    before = told()
    assert before[:2] == (0, ()) and "unread_scale" in before[2] and "off_scale" not in before[2]
    set_scale(corpus, "news", 1, "Only return an integer from 1 to 7, nothing else.")
    assert told() == (1, ("range",), ("off_scale", "unread_scale", "scale_differs"), before[3])
    set_scale(corpus, "news", 0, "Only return an integer from 1 to 7, nothing else.")
    assert told()[2] == ("off_scale",)
    clear_scales(corpus, corpus.stimuli("news"))
    assert told() == before


def test_a_scale_that_was_read_can_be_corrected_and_given_back() -> None:
    corpus = open_corpus(write_corpus("mine", **tables()).name)
    set_scale(corpus, "news", 1, Scale("range", 1, 9))
    assert values(corpus) == [3, 7, 9]
    clear_scale(corpus, "news", 1)
    assert values(corpus) == [3, 7, None] and corpus.stimuli("news")[1].scale == SEVEN
    with pytest.raises(UserError, match="nothing to clear"):
        clear_scale(corpus, "news", 1)


def test_a_scale_set_by_hand_holds_for_every_stimulus_with_that_text() -> None:
    corpus = unread_corpus(stimulus="the same")
    set_scale(corpus, "news", 0, FIVE)
    assert corpus.unread("news") == [] and values(corpus) == [3, None, None]


def test_a_scale_set_by_hand_outlives_a_new_import() -> None:
    set_scale(unread_corpus(), "news", 1, FIVE)
    corpus = unread_corpus(stimulus_id=[1, 0])  # numbered the other way round
    assert [(each.stimulus_id, each.stimulus) for each in corpus.unread("news")] == [(1, "s0")]


def test_an_open_scale_set_by_hand_takes_every_answer() -> None:
    corpus = open_corpus(write_corpus("mine", **tables()).name)
    set_scale(corpus, "news", 1, "Only return an integer, nothing else.")
    assert values(corpus) == [3, 7, 9]


def test_what_was_refused_on_an_unread_scale_stays_refused() -> None:
    given = change("responses", refused=[False, True, False])
    given["stimuli"] = given["stimuli"].assign(scale=None)
    corpus = open_corpus(write_corpus("mine", **given).name)
    set_scale(corpus, "news", 1, Scale("range", 0, 10))
    assert values(corpus) == [2.5, None, 9]


SCALES = (
    Scale("range", 1, 7),
    Scale("range", -3, 3),
    Scale("range", 0, 1, 0.1),
    Scale("range", 0.5, 9.5, 1.5),
    Scale("multiple", 1, 20, 5),
    Scale("enum_labels", -1, 99, labels=((-1, "a"), (2, "b"), (99, "c"))),
    Scale("enum_labels", 0.5, 2, labels=((0.5, "a"), (2, "b"))),
    Scale("open_integer"),
    Scale("range", 0, 2000),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(SCALES),
    st.lists(
        st.integers(-5, 110) | st.floats(-5, 110).map(lambda value: round(value, 1)), min_size=3, max_size=3
    ),
)
def test_the_database_and_the_tables_agree_on_what_is_on_a_scale(scale: Scale, answers: list[float]) -> None:
    answers = [float(each) for each in answers]
    written = change("responses", response=answers)
    written["stimuli"] = written["stimuli"].assign(scale=None, stimulus="the same")
    corpus = open_corpus(write_corpus("mine", **written).name)
    set_scale(corpus, "news", 0, scale)
    np.testing.assert_allclose(
        corpus.responses("news")["value"], on_scale(np.array(answers), scale), rtol=1e-12
    )


def test_an_unknown_stimulus_or_a_text_without_a_scale_is_a_sentence() -> None:
    corpus = unread_corpus()
    with pytest.raises(UserError, match="no stimulus '7'"):
        set_scale(corpus, "news", 7, FIVE)
    with pytest.raises(UserError, match="No answer scale was found"):
        set_scale(corpus, "news", 1, "Only return your honest view.")
    assert not overrides_path(corpus.path).exists()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "socrates-scales", "version": 1, "scales": [1]}']
)
def test_a_damaged_file_of_scales_is_a_sentence(content: str) -> None:
    corpus = unread_corpus()
    set_scale(corpus, "news", 1, FIVE)
    overrides_path(corpus.path).write_text(content)
    with pytest.raises(UserError, match="overrides"):
        corpus.stimuli("news")


def test_a_scale_is_set_and_cleared_on_the_command_line() -> None:
    unread_corpus()
    asked = ("set-scale", "--study", "news", "--stimulus", "1")
    told = as_json(*asked, FIVE)
    assert told["scale"]["high"] == 5 and told["n_unread"] == 1
    assert [each["stimulus_id"] for each in as_json("study", "news")["unread_scales"]] == [0]
    assert "from 1 to 5" in command(*asked, "Only return an integer from 1 to 5.")
    assert as_json(*asked, "--clear") == {"study_id": "news", "stimulus_id": 1, "scale": None, "n_unread": 2}
    assert "or --clear" in command(*asked, code=2)
    stored = json.loads(overrides_path(open_corpus("mine").path).read_text())
    assert stored["scales"] == []


def test_the_file_of_scales_is_plain_data(own_home: Path) -> None:
    set_scale(unread_corpus(), "news", 1, FIVE)
    stored = json.loads((own_home / "overrides" / "mine.json").read_text())
    assert pd.DataFrame(stored["scales"]).columns.tolist() == ["study_id", "stimulus", "scale"]


def test_many_scales_are_set_and_given_back_at_once() -> None:
    corpus = open_corpus(write_corpus("mine", **tables()).name)
    stimuli = corpus.stimuli("news")
    set_scales(corpus, stimuli, "Only return an integer from 0 to 10, nothing else.")
    assert [each.scale for each in corpus.stimuli("news")] == [Scale("range", 0, 10)] * len(stimuli)
    assert set_by_hand(corpus, stimuli) == stimuli
    clear_scales(corpus, stimuli)
    assert [each.scale for each in corpus.stimuli("news")] == [SEVEN] * len(stimuli)
    with pytest.raises(UserError, match="No answer scale"):
        set_scales(corpus, stimuli, "Say something.")
    assert set_by_hand(corpus, stimuli) == []
