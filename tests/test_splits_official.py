"""The authors' mappings of conditions and outcomes, in their format, with what real files may have wrong."""

import re
from pathlib import Path
from typing import Any

import pytest

from socrates_core.corpus import Corpus
from socrates_core.corpus.splits_make import OFFICIAL, read_official
from socrates_core.errors import UserError
from tests.support.splits import USUAL, made_up, official, sides

pytestmark = pytest.mark.usefixtures("home")


def listed(corpus: Corpus, column: str) -> dict[str, dict[str, list[int]]]:
    """A mapping as the authors publish it: condition or outcome 1 of every study is held out, the rest trained on."""
    rows = corpus.ask(
        f"SELECT study_id, sample_id, {column} AS id FROM read_parquet($responses) r "
        "JOIN read_parquet($stimuli) s USING (study_id, stimulus_id) ORDER BY ALL"
    )
    return {
        str(study): {
            "train": own.loc[own["id"] != 1, "sample_id"].tolist(),
            "eval": own.loc[own["id"] == 1, "sample_id"].tolist(),
        }
        for study, own in rows.groupby("study_id")
    }


@pytest.mark.parametrize(("kind", "column"), [("conditions", "condition_num"), ("outcomes", "task_num")])
def test_a_published_mapping_may_name_studies_and_rows_that_the_corpus_lacks(
    tmp_path: Path, kind: str, column: str
) -> None:
    corpus = made_up(USUAL, ["a", "b", "c"])
    mapping = listed(corpus, column)
    gone = mapping["s0"]["train"].pop()  # a row on neither side
    mapping["s1"]["train"] += [900_001, 900_002]
    mapping["s1"]["eval"].append(900_003)
    mapping["abcde"] = {"train": [0, 1], "eval": [2]}
    del mapping["s2"]
    split = read_official(corpus, kind, name="official", path=official(tmp_path, kind, mapping))
    assert split.source == f"{OFFICIAL[kind]} (3 of its rows are not in the corpus)"
    assert split.studies == ("s0", "s1", "s3") and split.left_out == {"s0": (gone,)}
    assert {study for study, ids in split.held_out.items() if ids} == {
        study for study in split.studies if mapping[study]["eval"]
    }
    train, held = sides(corpus, split)
    assert gone not in {*train["sample_id"], *held["sample_id"]}


@pytest.mark.parametrize(
    ("sides_of", "sentence"),
    [
        ({"train": [0, 2], "eval": [0]}, "rows of one condition of 's0' on both sides"),
        ({"train": ["0"], "eval": [1]}, "sample_id '0'"),
        ({"train": [0.5], "eval": [1]}, "sample_id 0.5"),
        ({"train": [None], "eval": [1]}, "sample_id None"),
        ({"train": 3, "eval": []}, "like SocSci210"),
        ({"train": [0]}, "like SocSci210"),
        ({"train": [900_001], "eval": [900_002]}, "nothing of what"),
    ],
)
def test_a_published_mapping_with_a_fault_is_refused_in_a_sentence(
    tmp_path: Path, sides_of: dict[str, Any], sentence: str
) -> None:
    path = official(tmp_path, "conditions", {"s0": sides_of})
    with pytest.raises(UserError, match=re.escape(sentence)):
        read_official(made_up(USUAL), "conditions", name="a", path=path)
