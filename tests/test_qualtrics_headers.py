"""The same answers under every shape of header lines that Qualtrics and those who cleaned its exports have written."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from socrates_core.importing.build import preview
from socrates_core.importing.opening import open_files
from tests.support.qualtrics_files import Json, block, choice, matrix, question, step, survey

ROWS = {"1": {"Display": "Tea"}, "4": {"Display": "Coffee"}, "5": {"Display": "Milk"}}
ASKED: list[Json] = [
    choice(11, "Do you like it?", "Yes", "No", "Maybe", tag="like"),
    {**matrix(12, "Rate these"), "Choices": ROWS, "ChoiceOrder": [1, 4, 5], "DataExportTag": "rate"},
    choice(13, "Which ones?", "Red", "Green", "Blue", selector="MAVR", tag="cols"),
    question(
        14,
        "Slider",
        "How warm?",
        "HSLIDER",
        tag="warm",
        Choices={"1": {"Display": ""}},
        Configuration={"CSSliderMin": 0, "CSSliderMax": 100},
    ),
]
RECORDED = ["StartDate", "Finished", "ResponseId"]
NAMES = [*RECORDED, "like", "rate_1", "rate_4", "rate_5", "cols_1", "cols_2", "cols_3", "warm_1"]
QIDS = ["QID11", "QID12_1", "QID12_4", "QID12_5", "QID13_1", "QID13_2", "QID13_3", "QID14_1"]
TEXTS = [
    *("Start Date", "Finished", "Response ID", "Do you like it?"),
    *("Rate these - Tea", "Rate these - Coffee", "Rate these - Milk"),
    *(f"Which ones? - Selected Choice - {colour}" for colour in ("Red", "Green", "Blue")),
    "How warm?",
]
PEOPLE: list[list[object]] = [
    [
        *("2020-01-01", "1", f"R_{n}", n % 3 + 1),
        *((n + place) % 5 + 1 for place in range(3)),
        *("1" if ticked else "" for ticked in (n % 2, n % 3 == 0, n == 1)),
        n * 10,
    ]
    for n in range(8)
]


def ids(names: Sequence[str], *, sign: str = '"') -> list[str]:
    return [f"{{{sign}ImportId{sign}:{sign}{name}{sign}}}" for name in names]


IDS = ids(["startDate", "finished", "_recordId", *QIDS])
BY_PLACE = [*NAMES[:4], "rate_1", "rate_2", "rate_3", *NAMES[7:]]
SHAPES = {
    "names, texts, and ids": [NAMES, TEXTS, IDS],
    "names and ids": [NAMES, IDS],
    "names and texts": [NAMES, TEXTS],
    "names": [NAMES],
    "export tags as ids": [NAMES, TEXTS, ids(["startDate", "finished", "_recordId", *NAMES[3:]])],
    "texts instead of names": [TEXTS, TEXTS, IDS],
    "texts alone": [TEXTS],
    "ids alone": [IDS],
    "ids as names": [[*RECORDED, *QIDS]],
    "ids as names, and texts": [[*RECORDED, *QIDS], TEXTS],
    "ids with dashes": [[*RECORDED, *(name.replace("_", "-") for name in QIDS)]],
    "ids in single quotes": [NAMES, TEXTS, ids(["startDate", "finished", "_recordId", *QIDS], sign="'")],
    "a time zone in an id": [
        NAMES,
        TEXTS,
        ['{"ImportId":"startDate","timeZone":"America/Denver"}', *IDS[1:]],
    ],
    "names in small letters": [[name.lower() for name in NAMES]],
    "names in capitals": [[name.upper() for name in NAMES], TEXTS],
    "names with dots": [[name.replace("_", ".") for name in NAMES], TEXTS],
    "rows numbered by place": [BY_PLACE, TEXTS],
    "the oldest exports": [
        ["V1", "V2", "V3", *NAMES[3:]],
        ["StartDate", "Finished", "ResponseID", *TEXTS[3:]],
    ],
    "an empty line": [NAMES, TEXTS, IDS, [""] * len(NAMES)],
}


def answers(folder: Path, headers: Sequence[Sequence[str]]) -> dict[str, list[float]]:
    """The answers of each outcome, in order of the people."""
    (folder / "survey.qsf").write_text(
        json.dumps(survey(ASKED, [block("Main", 11, 12, 13, 14)], [step("Main")]))
    )
    with (folder / "responses.csv").open("w", newline="") as opened:
        csv.writer(opened).writerows([*headers, *PEOPLE])
    opened_files = open_files([folder / "survey.qsf", folder / "responses.csv"])
    seen = preview(opened_files.table, opened_files.suggested)
    rows = seen.frames["responses"].merge(seen.frames["stimuli"], on=["study_id", "stimulus_id"])
    assert seen.frames["participants"].shape[0] == len(PEOPLE)
    return {
        str(name): cells.sort_values("participant")["response"].tolist()
        for name, cells in rows.groupby("outcome_name")
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_header_lines_gives_the_same_answers_to_the_same_words(
    tmp_path: Path, shape: str
) -> None:
    found = answers(tmp_path, SHAPES[shape])
    assert found["like: Do you like it?"] == [float(n % 3 + 1) for n in range(8)]
    for place, drink in enumerate(("Tea", "Coffee", "Milk")):
        assert found[f"rate: {drink}"] == [float((n + place) % 5 + 1) for n in range(8)]
    assert found["warm: How warm?"] == [n * 10.0 for n in range(8)]
    red, green, blue = (
        found[f"cols: Is this among your answers: “{colour}”?"] for colour in ("Red", "Green", "Blue")
    )
    # The people 2 and 4 ticked nothing, so they have no answer.
    assert red == [0, 1, 1, 1, 0, 1] and green == [1, 0, 1, 0, 1, 0] and blue == [0, 1, 0, 0, 0, 0]
