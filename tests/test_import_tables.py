"""Researchers' own files: read with suspicion, mapped, imported all or nothing."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyreadstat
import pytest

from socrates_core.corpus import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study, preview
from socrates_core.importing.mapping import (
    load_mapping,
    mapping_from_dict,
    render_mapping,
    save_mapping,
)
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest
from socrates_core.studies.answers import human_effects
from tests.support.uploads import SEVEN, small, table

STUDIES = Path(__file__).parents[2] / "shared" / "data" / "studies"
with_data = pytest.mark.skipif(not STUDIES.is_dir(), reason=f"the real studies are not at {STUDIES}")
WARM = "Only return an integer from 0 to 100, where 0 means very cold and 100 means very warm, nothing else."


def written(folder: Path, content: bytes | str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# the real wide file


CANVASSING = {
    "study": {
        "study_id": "canvassing",
        "title": "Canvassing and transgender people",
        "wording": "rebuilt",
        "reference": "Recycling",
    },
    "participant": "id",
    "demographics": {
        "age": {"column": "vf_age"},
        "gender": {"column": "vf_female", "values": {"1": "Female", "0": "Male"}},
        "ethnicity": {"column": "vf_racename"},
    },
    "conditions": [
        {"name": "Recycling", "text": "A canvasser talked about recycling.", "when": {"treat_ind": "0"}},
        {
            "name": "Perspective",
            "text": "A canvasser talked about transgender people.",
            "when": {"treat_ind": "1"},
        },
    ],
    "outcomes": [
        {
            "name": f"Warmth, wave {n}",
            "question": "How warm do you feel?",
            "scale": WARM,
            "column": f"therm_trans_t{n}",
        }
        for n in (1, 2, 3, 4)
    ],
}


@with_data
def test_the_published_wide_csv_gives_the_same_cells_as_its_rows_in_socsci210_columns(home: Path) -> None:
    mapping = mapping_from_dict(CANVASSING, "the mapping")
    name = import_study(read_table(STUDIES / "transphobia_raw.csv"), mapping)
    answers = open_corpus(name).responses("canvassing")
    ours = answers.groupby(["condition_num", "task_num"])["response"].agg(["size", "mean", "std"])
    rows = pd.read_parquet(STUDIES / "broockman_kalla2016.parquet").assign(
        task_num=lambda d: d["task_num"] - 1
    )
    theirs = rows.groupby(["condition_num", "task_num"])["response"].agg(["size", "mean", "std"])
    pd.testing.assert_frame_equal(ours, theirs, check_index_type=False, check_dtype=False)
    effect = human_effects(open_corpus(name), "canvassing")[0].effect
    assert (effect.n, effect.n_reference) == (204, 225)
    assert effect.difference == pytest.approx(60.186275 - 53.724444, abs=1e-5)
    people = open_corpus(name).participants(["canvassing"])
    told = pd.json_normalize(
        [json.loads(text) for text in rows.drop_duplicates("participant")["demographic"]]
    )
    assert people["gender"].value_counts().to_dict() == told["gender"].value_counts().to_dict()
    assert sorted(people["age"]) == sorted(told["age"])


@with_data
def test_the_suggestion_finds_people_arm_and_demographics_of_the_published_csv() -> None:
    found = suggest(read_table(STUDIES / "transphobia_raw.csv"), "transphobia_raw")
    assert found.participant == "id" and found.layout == "wide"
    assert [condition.when for condition in found.conditions] == [
        {"treat_ind": ("0",)},
        {"treat_ind": ("1",)},
    ]
    assert found.demographics["gender"].values == {"1": "Female", "0": "Male"}
    assert {"age", "ethnicity", "party_id"} <= set(found.demographics)
    scales = {outcome.name: outcome.scale.scale() for outcome in found.outcomes}
    assert (scales["therm_trans_t1"].low, scales["therm_trans_t1"].high) == (0, 100)
    assert (scales["miami_trans_law_t1"].low, scales["miami_trans_law_t1"].high) == (-3, 3)


# SPSS and Stata


def patriot(kind: str, folder: Path) -> Path:
    """The Patriot Act experiment as a labelled file whose code 99 is a refusal."""
    rows = pd.read_parquet(STUDIES / "patriot_act_frames.parquet")
    party = [json.loads(text).get("party_id") for text in rows["demographic"]]
    codes = {name: n for n, name in enumerate(sorted({name for name in party if name}), start=1)}
    frame = pd.DataFrame(
        {
            "respondent_id": range(len(rows)),
            "arm": rows["condition_num"].astype(float),
            "party": [float(codes[name]) if name else np.nan for name in party],
            "support": rows["response"].astype(float),
        }
    )
    frame.loc[:9, "support"] = 99.0
    labels: dict[str, str | None] = {
        "support": "Do you oppose or support the Patriot Act?",
        "arm": "Which statements were read",
    }
    values: dict[str, dict[float, str]] = {
        "arm": {0: "Control", 1: "Arguments for", 2: "Arguments against"},
        "support": {1: "strongly oppose", 7: "strongly support", 99: "Refused"},
        "party": {n: name for name, n in codes.items()},
    }
    path = folder / f"patriot.{kind}"
    if kind == "sav":
        pyreadstat.write_sav(
            frame,
            path,
            column_labels=labels,
            variable_value_labels=values,
            missing_ranges={"support": [99]},
        )
    else:
        pyreadstat.write_dta(frame, path, column_labels=labels, variable_value_labels=values)
    return path


@with_data
@pytest.mark.parametrize("kind", ["sav", "dta"])
def test_labelled_files_need_only_the_conditions_texts(kind: str, tmp_path: Path, home: Path) -> None:
    found = read_table(patriot(kind, tmp_path))
    mapping = suggest(found, "Patriot Act")
    assert [condition.name for condition in mapping.conditions] == [
        "Control",
        "Arguments for",
        "Arguments against",
    ]
    assert mapping.study.reference == "Control"
    (outcome,) = mapping.outcomes
    assert outcome.question == "Do you oppose or support the Patriot Act?"
    assert outcome.scale.labels == {1: "strongly oppose", 7: "strongly support"}
    seen = preview(found, mapping)
    assert seen.problems == [] and any("same text" in remark for remark in seen.remarks)
    name = import_study(found, mapping)
    rows = pd.read_parquet(STUDIES / "patriot_act_frames.parquet")[10:]
    answers = open_corpus(name).responses(mapping.study.study_id)
    assert answers.groupby("condition_num")["response"].mean().to_dict() == pytest.approx(
        rows.groupby("condition_num")["response"].mean().to_dict()
    )
    assert ("answers: empty or a missing code", 10) in seen.dropped
    people = open_corpus(name).participants([mapping.study.study_id])
    assert set(people["party_id"].dropna()) <= {json.loads(t).get("party_id") for t in rows["demographic"]}


@with_data
def test_a_long_file_of_a_within_person_study_gives_every_person_all_its_cells(
    home: Path, tmp_path: Path
) -> None:
    rows = pd.read_parquet(STUDIES / "king2004_efficacy_vignettes.parquet")
    long = rows[["participant", "condition_num", "response"]].rename(columns={"condition_num": "vignette"})
    path = tmp_path / "long.sav"
    pyreadstat.write_sav(long.astype({"vignette": float, "response": float}), path)
    texts = rows.groupby("condition_num")["stimuli"].first().str.partition("Only return")[0]
    mapping = small(
        layout="long",
        participant="participant",
        study={"study_id": "king", "title": "Vignettes", "design": "within", "reference": "Self"},
        conditions=[
            {
                "name": "Self" if n == 0 else f"Vignette {n}",
                "text": text.strip(),
                "when": {"vignette": str(n)},
            }
            for n, text in texts.items()
        ],
        outcomes=[
            {
                "name": "say",
                "column": "response",
                "scale": "Only return an integer from 1 to 5, where 1 means No say at all and 5 means Unlimited say.",
            }
        ],
    )
    import_study(read_table(path), mapping)
    answers = open_corpus("king").responses("king")
    assert answers.groupby("participant").size().unique().tolist() == [4]
    assert answers["participant"].nunique() == 781
    found = answers.groupby("condition_num")["response"].mean()
    assert found.to_dict() == pytest.approx(rows.groupby("condition_num")["response"].mean().to_dict())


@with_data
def test_a_scale_may_differ_between_conditions(home: Path) -> None:
    rows = pd.read_parquet(STUDIES / "race1991_list.parquet")
    found = table(
        id=list(range(len(rows))),
        arm=list(rows["condition_num"].map({0: "a", 1: "b", 2: "b"})),
        q=list(rows["response"]),
    )
    outcome = {
        "name": "q",
        "question": "How many upset you?",
        "column": "q",
        "scale": "Only return an integer from 0 to 4, nothing else.",
        "scale_by_condition": {"A": "Only return an integer from 0 to 3, nothing else."},
    }
    import_study(found, small(outcomes=[outcome]))
    scales = {s.condition_name: s.scale.high for s in open_corpus("small").stimuli("small")}
    assert scales == {"A": 3, "B": 4}


# what is counted, dropped and refused


def test_everything_that_is_left_out_is_counted_with_its_reason() -> None:
    found = table(
        id=["1", "2", "2", "3", "4", "5", None],
        arm=["a", "b", "b", "a", "c", "b", "a"],
        q=["1", "7", "7", "99", "3", "dunno", "4"],
        done=["1", "1", "1", "1", "1", "1", "0"],
    )
    outcome = {"name": "q", "question": "How much?", "scale": SEVEN, "column": "q", "missing": 99}
    seen = preview(
        found, small(outcomes=[outcome], keep=[{"column": "done", "values": 1, "reason": "unfinished"}])
    )
    assert seen.dropped == [
        ("rows: unfinished", 1),
        ("rows: a second row of the same id", 1),
        ("rows: in none of the conditions", 1),
        ("answers: empty or a missing code", 1),
        ("answers: neither a number nor a label of the scale of 'q'", 1),
    ]
    assert [outcome.n for outcome in seen.outcomes] == [2] and len(seen.prompts) == 2


def test_cells_are_read_as_given_numbers_as_numbers_and_as_labels() -> None:
    found = table(
        id=["1", "2", "3", "4", "5"],
        arm=["a"] * 5,
        q=["Lots", "3", "very much", "1.5", "9"],
    )
    outcome = {"name": "q", "question": "?", "scale": SEVEN, "column": "q", "values": {"Lots": 6}}
    seen = preview(found, small(outcomes=[outcome]))
    assert seen.frames["responses"]["response"].tolist() == [6, 3, 7, 1.5, 9]
    assert (seen.outcomes[0].n, seen.outcomes[0].n_off_scale) == (4, 1)
    assert any("are off its scale" in remark for remark in seen.remarks)


def test_arms_with_columns_of_their_own_become_one_outcome() -> None:
    found = table(id=["1", "2"], arm=["x", "x"], qa=["1", None], qb=[None, "5"])
    outcome = {
        "name": "q",
        "question": "How much?",
        "scale": SEVEN,
        "column_by_condition": {"A": "qa", "B": "qb"},
    }
    seen = preview(found, small(conditions=[{"name": "A"}, {"name": "B"}], outcomes=[outcome]))
    assert seen.frames["responses"]["stimulus_id"].tolist() == [0, 1]


def test_people_in_two_conditions_of_a_between_study_are_left_out() -> None:
    found = table(id=["1", "1", "2"], arm=["a", "b", "b"], q=["1", "2", "3"])
    seen = preview(found, small(layout="long"))
    assert seen.frames["participants"]["participant"].tolist() == [2]
    assert any(n == 1 and "more than one condition" in reason for reason, n in seen.dropped)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"participant": "nobody"}, "There is no column 'nobody'. Known: id, arm, q."),
        (
            {"outcomes": [{"name": "q", "scale": SEVEN, "column": "q"}], "conditions": [{"name": "A"}]},
            "No question is known for 'q'",
        ),
        ({"study": {"study_id": "../up", "title": "x"}}, "study id '../up' cannot be used"),
        ({"conditions": [{"name": "A", "when": {"arm": "z"}}]}, "No answers are left to import (3 rows"),
        ({"outcomes": []}, "There is no outcome"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused_in_a_sentence_and_nothing_is_written(
    changed: dict[str, object], sentence: str, home: Path
) -> None:
    found = table(id=["1", "2", "3"], arm=["a", "b", "a"], q=["1", "2", "3"])
    assert sentence in " ".join(preview(found, small(**changed)).problems)
    with pytest.raises(UserError):
        import_study(found, small(**changed))
    assert corpora() == []


def test_an_import_replaces_its_own_kind_only(home: Path) -> None:
    found = table(id=["1", "2"], arm=["a", "b"], q=["1", "2"])
    assert import_study(found, small()) == import_study(found, small()) == "small"
    (home / "corpora" / "small" / "mapping.yaml").unlink()  # now it looks like any other corpus
    with pytest.raises(UserError, match="belongs to a corpus that is not an import"):
        import_study(found, small())


# mapping files


def test_a_mapping_is_saved_as_yaml_and_read_back(tmp_path: Path, home: Path) -> None:
    mapping = mapping_from_dict(CANVASSING, "the mapping")
    save_mapping(mapping, tmp_path / "m.yaml")
    assert load_mapping(tmp_path / "m.yaml") == mapping
    import_study(table(id=["1", "2"], arm=["a", "b"], q=["1", "2"]), small())
    assert load_mapping(home / "corpora" / "small" / "mapping.yaml") == small()


def test_cells_in_a_mapping_file_stay_as_they_are_written(tmp_path: Path) -> None:
    text = render_mapping(small()).replace("- a\n", "- 007\n    - yes\n    - 1.0\n    - 2020-01-01\n")
    mapping = load_mapping(written(tmp_path, text, "m.yaml"))
    assert mapping.conditions[0].when == {"arm": ("007", "yes", "1", "2020-01-01")}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [", "not valid YAML"),
        ("- 1", "holds no mapping"),
        ("study: {}", "conditions: Field required"),
        (render_mapping(small()) + "unknown: 1\n", "unknown: Extra inputs"),
        (render_mapping(small()).replace("name: B", "name: A"), "two conditions are called 'A'"),
        (render_mapping(small()) + "demographics: {shoe: {column: q}}\n", "no demographic field 'shoe'"),
        (
            render_mapping(small()).replace("name: q", "name: q\n  text_by_condition: {Z: hi}"),
            "no condition 'Z'",
        ),
        ("a: " + "[" * 3000, "not valid YAML"),
    ],
)
def test_a_mapping_file_with_a_fault_is_refused_in_a_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(sentence)):
        load_mapping(written(tmp_path, text, "m.yaml"))
