"""The normalised store: what it refuses, what survives, what its queries answer."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from socrates_core.corpus import corpora, find_study, open_corpus, write_corpus
from socrates_core.corpus.tables import on_scale
from socrates_core.errors import UserError
from socrates_core.records import Scale
from tests.support.corpus_tables import SEVEN, change, tables


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_a_written_corpus_is_listed_and_opened() -> None:
    path = write_corpus("mine", **tables())
    assert corpora() == ["mine"]
    assert open_corpus("mine").path == path
    assert open_corpus("mine").manifest["rows"] == {
        "studies": 1,
        "stimuli": 2,
        "participants": 3,
        "responses": 3,
    }


def test_the_study_row_counts_what_was_answered() -> None:
    write_corpus("mine", **tables())
    study = find_study("news").study("news")
    assert (study.n_participants, study.n_conditions, study.n_outcomes, study.n_responses) == (3, 2, 1, 3)
    assert study.scale_kinds == ("range",)
    assert study.notes[0] == "Three people only."
    assert study.reference_condition == 0


def test_item_means_stay_raw_and_are_rounded_upwards_as_answers() -> None:
    write_corpus("mine", **tables())
    rows = open_corpus("mine").responses("news")
    assert rows["response"].tolist() == [2.5, 7.0, 9.0]
    assert rows["value"].tolist()[:2] == [3.0, 7.0]


def test_off_scale_answers_are_counted_apart() -> None:
    write_corpus("mine", **tables())
    corpus = open_corpus("mine")
    # the answer 2.5 counts half for 2 and half for 3
    told = {"stimulus_id": [0, 0, 1], "value": [2.0, 3.0, 7.0], "n": [0.5, 0.5, 1.0]}
    assert corpus.counts("news").to_dict("list") == told
    assert corpus.off_scale("news").to_dict("list") == {"stimulus_id": [1], "n": [1]}


@pytest.mark.parametrize(
    ("scale", "responses", "values"),
    [
        (Scale("range", 0, 10), [10.4, -0.4, 9.5, 0.49], [np.nan, np.nan, 10, 0]),
        (Scale("multiple", 0, 300, 100), [100, 150, 300], [100, np.nan, 300]),
        (Scale("enum_labels", 0, 1, labels=((0, "No"), (1, "Yes"))), [0, 1, 2], [0, 1, np.nan]),
        (Scale("range", 0, 1, 0.5), [0.5, 0.25], [0.5, np.nan]),
        (Scale("open_integer"), [12.5, -3], [12.5, -3]),
        (
            Scale("enum_labels", 1, 3, labels=((1, "car"), (2, "bus"), (3, "bike"))),
            [1.5, 2, 3],
            [np.nan, 2, 3],
        ),
    ],
)
def test_only_answers_that_the_scale_allows_have_a_value(scale: Scale, responses: Any, values: Any) -> None:
    np.testing.assert_array_equal(on_scale(np.asarray(responses, dtype=float), scale), values)


def test_answers_off_the_scale_are_flagged_with_a_sentence_among_the_notes() -> None:
    write_corpus("mine", **tables())
    study = find_study("news").study("news")
    assert study.flags == ("off_scale",)
    assert study.n_off_scale == 1
    assert study.notes[1].startswith("1 of 3 answers (33.3%)")


def test_stimuli_come_back_as_they_were_written() -> None:
    write_corpus("mine", **tables())
    first, second = open_corpus("mine").stimuli("news")
    assert (first.condition_num, second.condition_num) == (0, 1)
    assert first.scale == SEVEN
    assert first.condition_text == "text 0"


def test_a_stimulus_without_a_scale_is_open() -> None:
    write_corpus("mine", **change("stimuli", scale=None))
    corpus = open_corpus("mine")
    assert corpus.stimuli("news")[0].scale.is_open
    assert corpus.responses("news")["value"].tolist() == [2.5, 7.0, 9.0]


def test_filters_take_lists_and_ranges() -> None:
    write_corpus("mine", **tables())
    corpus = open_corpus("mine")
    assert corpus.participants(["news"], {"gender": ["Male"]})["participant"].tolist() == [1, 2]
    assert corpus.participants(None, {"age": (18, 25)})["participant"].tolist() == [0]
    assert corpus.participants(None, {"age": [30], "gender": ["Male"]})["participant"].tolist() == [1]
    assert corpus.participants(["other"]).empty


@pytest.mark.parametrize(
    "filters", [{"agee": [1]}, {"age": ["old"]}, {"gender": (1, 2)}, {"age) OR (1=1": [1]}]
)
def test_a_filter_that_cannot_match_is_refused(filters: dict[str, Any]) -> None:
    write_corpus("mine", **tables())
    with pytest.raises(UserError):
        open_corpus("mine").participants(None, filters)


def test_hostile_filter_values_are_only_values() -> None:
    write_corpus("mine", **tables())
    assert open_corpus("mine").participants(None, {"gender": ["x' OR '1'='1"]}).empty


def test_a_person_has_only_the_fields_that_were_given() -> None:
    write_corpus("mine", **tables())
    assert dict(open_corpus("mine").participant("news", 2).demographics) == {"gender": "Male"}
    assert dict(open_corpus("mine").participant("news", 0).demographics) == {"age": 20, "gender": "Female"}
    with pytest.raises(UserError, match="no participant 9"):
        open_corpus("mine").participant("news", 9)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (change("responses", sample_id=[0, 1, 1]), "more than one row"),
        (change("responses", stimulus_id=[0, 1, 5]), "have no stimulus"),
        (change("responses", participant=[0, 1, 5]), "have no participant"),
        (change("participants", study_id="other"), "have no study"),
        (change("studies", wording="invented"), "no wording 'invented'"),
        (change("studies", study_id=None), "without study_id"),
        (change("participants", age=["old", "young", None]), "wrong type"),
        ({**tables(), "responses": tables()["responses"].head(0)}, "has no responses"),
        ({**tables(), "stimuli": tables()["stimuli"].drop(columns="scale")}, "lacks scale"),
    ],
)
def test_tables_that_do_not_fit_are_refused_before_anything_is_written(
    changed: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        write_corpus("mine", **changed)
    assert corpora() == []


@pytest.mark.parametrize("name", ["../up", "", "Mine", ".hidden", "a/b"])
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot name a corpus"):
        write_corpus(name, **tables())


def test_a_failed_rewrite_leaves_the_old_corpus_whole() -> None:
    write_corpus("mine", **tables())
    with pytest.raises(UserError):
        write_corpus("mine", **change("responses", participant=[0, 1, 5]))
    assert open_corpus("mine").manifest["rows"]["responses"] == 3


def test_a_rewrite_replaces_the_corpus_and_leaves_nothing_beside_it(own_home: Path) -> None:
    write_corpus("mine", **tables())
    write_corpus("mine", **change("studies", title="Newer"))
    assert open_corpus("mine").study("news").title == "Newer"
    assert sorted(path.name for path in (own_home / "corpora").iterdir()) == [".lock", "mine"]


def test_an_unwritable_home_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCRATES_HOME", "/proc/nowhere")
    with pytest.raises(UserError, match="SOCRATES_HOME"):
        write_corpus("mine", **tables())


@pytest.mark.parametrize("table", ["studies", "stimuli", "participants", "responses"])
def test_a_changed_or_missing_file_is_noticed(table: str) -> None:
    path = write_corpus("mine", **tables()) / f"{table}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not the one that was written.*setup"):
        open_corpus("mine")
    path.unlink()
    with pytest.raises(UserError, match=r"is missing.*setup"):
        open_corpus("mine")


def test_a_file_that_breaks_after_opening_is_a_sentence() -> None:
    corpus = open_corpus(write_corpus("mine", **tables()).name)
    (corpus.path / "studies.parquet").write_bytes(b"<html>not found</html>")
    with pytest.raises(UserError, match="damaged"):
        corpus.studies()


@pytest.mark.parametrize("manifest", ["", "[]", "{}", '{"format": "socrates-corpus", "version": 9}', "\0"])
def test_a_foreign_manifest_is_a_sentence(manifest: str) -> None:
    path = write_corpus("mine", **tables())
    (path / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="'mine'"):
        open_corpus("mine")


def test_a_manifest_that_names_other_files_is_refused() -> None:
    path = write_corpus("mine", **tables()) / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sha256": {"../../secret": "0"}}))
    with pytest.raises(UserError, match="four tables"):
        open_corpus("mine")


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(UserError, match="setup"):
        open_corpus("starter")
    with pytest.raises(UserError, match="setup"):
        find_study("news")
    write_corpus("mine", **tables())
    with pytest.raises(UserError, match="Known: mine"):
        open_corpus("yours")
    with pytest.raises(UserError, match="Known: news"):
        find_study("olds")
    with pytest.raises(UserError, match="Known: news"):
        open_corpus("mine").counts("olds")


def test_a_damaged_corpus_does_not_hide_the_studies_of_another() -> None:
    (write_corpus("broken", **change("studies", title="Other")) / "manifest.json").write_text("{")
    write_corpus("mine", **tables())
    assert find_study("news").name == "mine"
    with pytest.raises(UserError, match="'broken' is damaged"):
        find_study("olds")


def test_threads_can_ask_at_the_same_time() -> None:
    write_corpus("mine", **tables())
    corpus, seen = open_corpus("mine"), list[int]()

    def ask() -> None:
        seen.extend(len(corpus.responses("news")) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3] * 120
