"""Small data in SocSci210's columns, made for tests, with what is treacherous about the real ones."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from socrates_core.corpus import open_corpus
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.socsci210 import Request, run_import
from socrates_core.records import DEMOGRAPHICS

SEVEN = "Only return an integer from 1 to 7, where 1 means Never and 7 means Always, nothing else."
FIVE = "Only return an integer from 1 to 5, nothing else."
AMOUNT = "Only return an integer representing the amount in dollars, nothing else."
_STRUCT = pa.struct(
    [
        (name, pa.int64() if name in ("age", "household_size") else pa.string())
        for name in sorted(DEMOGRAPHICS)
    ]
)


def asked(question: str, instruction: str = SEVEN, read: str = "") -> str:
    told = f'You read "{read}" and then were' if read else "You were"
    return f'{told} asked: "{question} {instruction}"'


def study(study_id: str, answers: list[tuple[int, int, int, str, int]]) -> list[dict[str, Any]]:
    """Rows of one study out of (participant, condition_num, task_num, stimulus, response)."""
    return [
        {
            "sample_id": number,
            "participant": participant,
            "demographic": {"age": 20 + participant, "gender": "Female" if participant % 2 else "Male"},
            "stimuli": stimulus,
            "response": response,
            "condition_num": condition,
            "task_num": task,
            "prompt": f"prompt {number}",
            "reasoning": f"reasoning {number}",
            "study_id": study_id,
        }
        for number, (participant, condition, task, stimulus, response) in enumerate(answers)
    ]


def plain(study_id: str, n_people: int = 6) -> list[dict[str, Any]]:
    """Two conditions between people, one question."""
    texts = [asked("How often?", read=f"Text {condition} of {study_id}.") for condition in (0, 1)]
    return study(study_id, [(who, who % 2, 0, texts[who % 2], 1 + who % 7) for who in range(n_people)])


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A Parquet file in SocSci210's own column types."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(rows)
    columns = {name: pa.array(frame[name].tolist()) for name in frame.columns if name != "demographic"}
    demographic = pa.array(frame["demographic"].tolist(), _STRUCT)
    pq.write_table(pa.table({**columns, "demographic": demographic}), path)
    return path


class Quiet:
    """Hears how an import goes; stops it where `stop` says so."""

    def __init__(self, stop: tuple[str, int] | None = None) -> None:
        self.stop, self.phase, self.begun = stop, "", list[tuple[str, int, int]]()

    def begin(self, phase: str, total: int, cached: int = 0) -> None:
        self.phase = phase
        self.begun.append((phase, total, cached))

    def advance(self, computed: int) -> None:
        if self.stop and self.phase.startswith(self.stop[0]) and computed >= self.stop[1]:
            raise KeyboardInterrupt


def imported(tmp_path: Path, rows: list[dict[str, Any]], **asked_for: Any) -> Corpus:
    path = write_rows(tmp_path / "rows.parquet", rows)
    return open_corpus(run_import(Request(str(path), **asked_for), Quiet())["corpus"])
