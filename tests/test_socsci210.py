"""SocSci210 and data in its columns become a corpus: nothing lost, nothing doubled, nothing half there."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from socrates_core.corpus import corpora, open_corpus
from socrates_core.corpus.describe import known_problems
from socrates_core.corpus.socsci210 import Request, has_columns, run_import, submit_import
from socrates_core.errors import UserError
from socrates_core.jobs import store
from tests.support.jobs import ended
from tests.support.processes import end_worker
from tests.support.socsci210_rows import AMOUNT, FIVE, Quiet, asked, imported, plain, study, write_rows

DATA = Path(__file__).parents[2] / "shared" / "data"
SAMPLE = DATA / "socsci210_sample.parquet"
real = pytest.mark.skipif(not SAMPLE.exists(), reason="the real sample is not on this machine")


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    return home


def test_a_row_is_kept_under_its_study_and_sample_number(tmp_path: Path) -> None:
    corpus = imported(tmp_path, [*plain("aaaaa"), *plain("bbbbb")])  # both count samples from 0
    assert corpus.name == "socsci210"
    assert corpus.manifest["rows"]["responses"] == 12
    assert corpus.responses("bbbbb")["response"].tolist() == [1, 2, 3, 4, 5, 6]
    assert corpus.participant("bbbbb", 3).demographics == {"age": 23, "gender": "Female"}


def test_a_row_that_is_there_twice_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more than one row for study_id 'aaaaa', sample_id 0"):
        imported(tmp_path, [*plain("aaaaa"), *plain("aaaaa")])
    assert corpora() == []


def test_texts_are_split_and_every_text_has_its_own_scale(tmp_path: Path) -> None:
    rows = study(
        "aaaaa",
        [
            (0, 0, 0, asked("How often?", read="A."), 7),
            (1, 1, 0, asked("How often?", FIVE, read="B."), 5),
            (2, 1, 0, asked("How often?", FIVE, read="B."), 6),
        ],
    )
    corpus = imported(tmp_path, rows)
    first, second = corpus.stimuli("aaaaa")
    assert (first.condition_text, first.question, first.scale.high) == ("A.", "How often?", 7)
    assert (second.condition_text, second.scale.high) == ("B.", 5)
    assert "scale_differs" in corpus.study("aaaaa").flags
    assert corpus.off_scale("aaaaa")["n"].tolist() == [1]


def test_answers_off_the_scale_are_kept_and_counted_but_have_no_value(tmp_path: Path) -> None:
    corpus = imported(tmp_path, study("aaaaa", [(who, 0, 0, asked("How often?"), 99) for who in range(3)]))
    record = corpus.study("aaaaa")
    assert corpus.responses("aaaaa")["response"].tolist() == [99, 99, 99]
    assert corpus.counts("aaaaa").empty
    assert (record.n_responses, record.n_off_scale, record.flags) == (3, 3, ("off_scale",))


def test_known_codes_of_refusal_are_no_answers_to_an_open_question(tmp_path: Path) -> None:
    answers = [(0, 0, 0, asked("How much?", AMOUNT), 98), (1, 0, 0, asked("How much?", AMOUNT), 120)]
    corpus = imported(tmp_path, [*study("9nphm", answers), *study("aaaaa", answers)])
    assert corpus.responses("9nphm")["value"].fillna(-1).tolist() == [-1, 120]
    assert corpus.responses("aaaaa")["value"].tolist() == [98, 120]
    notes = " ".join(corpus.study("9nphm").notes)
    assert "98 and 99 are refusals" in notes and "1 answers to open questions" in notes


@pytest.mark.parametrize(
    ("conditions_of", "design"),
    [
        (lambda who: [who % 3], "between"),
        (lambda who: [0, 1, 2], "within"),
        (lambda who: [who % 3, (who + 1) % 3], "mixed"),
    ],
)
def test_the_design_is_found_in_the_answers(tmp_path: Path, conditions_of: Any, design: str) -> None:
    rows = [
        (who, condition, 0, asked("How often?", read=f"Text {condition}."), 3)
        for who in range(30)
        for condition in conditions_of(who)
    ]
    corpus = imported(tmp_path, study("aaaaa", rows))
    assert corpus.study("aaaaa").design == design
    assert any("neither between nor within" in note for note in corpus.study("aaaaa").notes) is (
        design == "mixed"
    )


def test_batteries_and_repeats_are_flagged_and_keep_every_answer(tmp_path: Path) -> None:
    battery = [
        (who, 0, 0, asked(f"Item {item}?"), 1 + (who + item) % 5) for who in range(5) for item in range(3)
    ]
    repeat = [(who, 0, 1, asked("Again?"), 2) for who in range(5) for _ in range(2)]
    corpus = imported(tmp_path, study("aaaaa", [*battery, *repeat]))
    record = corpus.study("aaaaa")
    assert record.flags == ("battery", "repeats")
    assert (record.n_outcomes, record.n_responses, len(corpus.stimuli("aaaaa"))) == (2, 25, 4)
    assert any(note.startswith("5 answers repeat") for note in record.notes)


def test_a_ranking_is_told_from_a_battery(tmp_path: Path) -> None:
    rows = [
        (who, 0, 0, asked(f"Rank of {item}?", FIVE), 1 + (who + item) % 4)
        for who in range(8)
        for item in range(4)
    ]
    assert "ranking" in imported(tmp_path, study("aaaaa", rows)).study("aaaaa").flags


def test_a_text_that_conditions_share_and_a_placeholder_are_flagged(tmp_path: Path) -> None:
    same = [(who, who % 2, 0, asked("How often?", read="You read stimulus v8"), 3) for who in range(4)]
    record = imported(tmp_path, study("aaaaa", same)).study("aaaaa")
    assert record.flags == ("shared_text", "placeholder")
    assert any("treatment is invisible" in note for note in record.notes)


def test_demographics_may_be_json_and_ids_text_that_ends_in_a_number(tmp_path: Path) -> None:
    frame = pd.DataFrame(plain("trial")).assign(
        sample_id=lambda rows: [f"trial-{number}" for number in rows["sample_id"]],
        participant=lambda rows: [f"trial:{number}" for number in rows["participant"]],
        demographic=lambda rows: [json.dumps({**told, "age": "old"}) for told in rows["demographic"]],
    )
    frame.to_parquet(tmp_path / "my trial.parquet")
    corpus = open_corpus(run_import(Request(str(tmp_path / "my trial.parquet")), Quiet())["corpus"])
    assert (corpus.name, corpus.study("trial").licence) == ("my-trial", "Not stated.")
    assert corpus.participant("trial", 5).demographics == {"gender": "Female"}


def test_only_the_studies_asked_for_are_taken(tmp_path: Path) -> None:
    rows = [*plain("aaaaa"), *plain("bbbbb"), *plain("ccccc")]
    assert imported(tmp_path, rows, studies=("ccccc", "aaaaa")).study_ids() == ["aaaaa", "ccccc"]
    with pytest.raises(UserError, match="no study 'zzzzz'"):
        imported(tmp_path, rows, studies=("aaaaa", "zzzzz"))


def test_studies_that_would_be_lost_are_given_up_only_on_request(tmp_path: Path) -> None:
    rows = [*plain("aaaaa"), *plain("bbbbb")]
    imported(tmp_path, rows)
    with pytest.raises(
        UserError, match=r"1 studies that this import does not bring, such as 'bbbbb'.*--replace"
    ):
        imported(tmp_path, rows, studies=("aaaaa",))
    assert imported(tmp_path, rows, studies=("aaaaa",), name="few").study_ids() == ["aaaaa"]
    assert imported(tmp_path, rows, studies=("aaaaa",), replace=True).study_ids() == ["aaaaa"]
    assert corpora() == ["few", "socsci210"]


def test_reasoning_is_kept_on_request_in_a_file_of_its_own_and_prompts_never(tmp_path: Path) -> None:
    without = imported(tmp_path, plain("aaaaa"))
    assert not (without.path / "reasoning.parquet").exists()
    corpus = imported(tmp_path, plain("aaaaa"), reasoning=True)
    kept = pq.read_table(corpus.path / "reasoning.parquet").to_pydict()
    assert kept["sample_id"] == [0, 1, 2, 3, 4, 5]
    assert kept["reasoning"][5] == "reasoning 5"
    for table in ("studies", "stimuli", "participants", "responses"):
        assert "reasoning" not in str(pq.read_table(corpus.path / f"{table}.parquet").to_pydict())


def test_the_store_is_answered_by_duckdb_alone(tmp_path: Path) -> None:
    corpus = imported(tmp_path, plain("aaaaa"))
    asked_of = (
        f"SELECT count(*), sum(response) FROM '{corpus.path}/responses.parquet' WHERE study_id = 'aaaaa'"
    )
    assert duckdb.execute(asked_of).fetchall() == [(6, 21.0)]


def test_a_folder_of_shards_is_one_corpus_with_its_split_mappings(tmp_path: Path) -> None:
    rows = plain("aaaaa", 40)
    write_rows(tmp_path / "set/data/train-0.parquet", rows[:25])  # the study goes on in the second shard
    write_rows(tmp_path / "set/data/train-1.parquet", rows[25:])
    (tmp_path / "set/metadata").mkdir()
    (tmp_path / "set/metadata/participant_mapping.json").write_text('{"seen": ["aaaaa"], "unseen": []}')
    corpus = open_corpus(run_import(Request(str(tmp_path / "set")), Quiet())["corpus"])
    assert corpus.study("aaaaa").n_responses == 40
    assert len(corpus.stimuli("aaaaa")) == 2
    assert (corpus.path / "metadata/participant_mapping.json").exists()


@pytest.mark.parametrize("stop", [("reading", 1), ("writing", 1)])
def test_a_stopped_import_leaves_nothing_half_there_and_goes_on_where_it_was(
    tmp_path: Path, own_home: Path, stop: tuple[str, int]
) -> None:
    for number, study_id in enumerate(["aaaaa", "bbbbb", "ccccc"]):
        write_rows(tmp_path / f"set/{number}.parquet", plain(study_id))
    with pytest.raises(KeyboardInterrupt):
        run_import(Request(str(tmp_path / "set")), Quiet(stop))
    assert corpora() == []
    again = Quiet()
    run_import(Request(str(tmp_path / "set")), again)
    assert again.begun == [("reading (MB)", 3, 1 if stop[0] == "reading" else 3), ("writing studies", 3, 0)]
    assert open_corpus("socsci210").study_ids() == ["aaaaa", "bbbbb", "ccccc"]
    assert [path.name for path in (own_home / "cache" / "imports").iterdir()] == ["socsci210.lock"]


def test_what_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    first = imported(tmp_path, plain("aaaaa"))
    inode = (first.path / "manifest.json").stat().st_ino
    assert (imported(tmp_path, plain("aaaaa")).path / "manifest.json").stat().st_ino == inode
    assert (imported(tmp_path, plain("aaaaa", 8)).path / "manifest.json").stat().st_ino != inode


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (lambda frame: frame.drop(columns="task_num"), "lacks the columns task_num"),
        (lambda frame: frame.assign(response="often"), "cannot be read as SocSci210 rows"),
        (lambda frame: frame.assign(participant="nobody"), "cannot be read as SocSci210 rows"),
        (lambda frame: frame.head(0), "holds no rows"),
    ],
)
def test_rows_of_another_shape_are_a_sentence(tmp_path: Path, changed: Any, sentence: str) -> None:
    changed(pd.DataFrame(plain("aaaaa"))).to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(UserError, match=sentence):
        run_import(Request(str(tmp_path / "bad.parquet")), Quiet())
    assert corpora() == []


def test_files_that_are_no_parquet_are_told_apart_and_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 but no Parquet PAR1")
    assert not has_columns(bad) and not has_columns(tmp_path / "none") and not has_columns(tmp_path)
    with pytest.raises(UserError, match=r"'bad.parquet' cannot be read"):
        run_import(Request(str(bad)), Quiet())


def test_an_import_is_a_job_of_the_worker_with_progress_and_a_result(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.parquet", plain("aaaaa"))
    job = submit_import(Request(str(path)))
    try:
        done = ended(job.id)
    finally:
        end_worker()
    assert (done.state, store.read_result(job)["responses"]) == ("done", 6)
    assert "writing studies" in (job.path / "progress.jsonl").read_text()
    assert open_corpus("socsci210").study_ids() == ["aaaaa"]


def test_every_known_problem_has_a_source() -> None:
    assert {"7jt2f", "9nphm", "8ctbk", "ndhyr", "3pcdm"} <= set(known_problems())
    for study_id, problems in known_problems().items():
        assert len(study_id) == 5
        assert all("(Source: " in note for note in problems.notes)


@real
def test_the_real_sample_comes_in_whole(tmp_path: Path) -> None:
    told = run_import(Request(str(SAMPLE)), Quiet())
    corpus, frame = open_corpus(told["corpus"]), pd.read_parquet(SAMPLE)
    assert (told["studies"], told["responses"]) == (frame["study_id"].nunique(), len(frame))
    for study_id, rows in frame.groupby("study_id"):
        kept = corpus.responses(str(study_id))
        assert kept["response"].tolist() == rows.sort_values("sample_id")["response"].tolist()
        assert {s.stimulus for s in corpus.stimuli(str(study_id))} == set(rows["stimuli"])
    assert "placeholder" in corpus.study("ndhyr").flags
    assert any("micromotives-datasets" in note for note in corpus.study("zrwjp").notes)


@real
@pytest.mark.parametrize(
    ("name", "design", "n"),
    [
        ("king2004_efficacy_vignettes", "within", 3124),
        ("patriot_act_frames", "between", 2059),
        ("broockman_kalla2016", "between", 1614),
        ("pakistan_endorsement", "mixed", 20848),
        ("race1991_list", "between", 1795),
    ],
)
def test_real_experiments_in_these_columns_come_in(name: str, design: str, n: int) -> None:
    told = run_import(Request(str(DATA / "studies" / f"{name}.parquet")), Quiet())
    record = open_corpus(name).study(name)
    assert (told["corpus"], record.design, record.n_responses) == (name, design, n)
