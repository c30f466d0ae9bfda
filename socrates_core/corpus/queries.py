"""Questions to one corpus, answered by DuckDB from its Parquet files in place."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from socrates_core.corpus.tables import SCHEMAS, WHOLE_NUMBERS
from socrates_core.errors import UserError, unknown
from socrates_core.records import DEMOGRAPHICS, Participant, Scale, Stimulus

Filters = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class StudyRecord:
    """One study as its row in the corpus describes it.

    `reference_condition` is None where the source names none; the counts are of what was answered.
    """

    study_id: str
    title: str
    topic: str
    source: str
    url: str
    licence: str
    wording: str
    design: str
    reference_condition: int | None
    notes: tuple[str, ...]
    n_participants: int
    n_conditions: int
    n_outcomes: int
    n_responses: int
    scale_kinds: tuple[str, ...]


class Corpus:
    """A corpus on disk. Holds no data; every call reads the files, from any thread."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self.name = path.name
        self.manifest = manifest

    def studies(self) -> pd.DataFrame:
        """One row a study, in order of study_id."""
        return self._ask("SELECT * FROM read_parquet($studies) ORDER BY study_id")

    def study(self, study_id: str) -> StudyRecord:
        """The study's row. Raises UserError where the corpus has no such study."""
        rows = self._rows("SELECT * FROM read_parquet($studies) WHERE study_id = $study", study=study_id)
        if not rows:
            raise unknown("study", study_id, self.study_ids(), f"This is the corpus {self.name!r}.")
        row = rows[0]
        lists = {name: tuple(row[name] or ()) for name in ("notes", "scale_kinds")}
        return StudyRecord(**{**{field.name: row[field.name] for field in fields(StudyRecord)}, **lists})

    def study_ids(self) -> list[str]:
        rows = self._rows("SELECT study_id FROM read_parquet($studies) ORDER BY study_id")
        return [str(row["study_id"]) for row in rows]

    def stimuli(self, study_id: str) -> list[Stimulus]:
        """Everything that was shown and asked, in order of condition, outcome and stimulus.

        A stimulus whose scale could not be parsed has an open one.
        """
        rows = self._rows(
            "SELECT * FROM read_parquet($stimuli) WHERE study_id = $study "
            "ORDER BY condition_num, task_num, stimulus_id",
            study=self.study(study_id).study_id,
        )
        return [Stimulus(**{**row, "scale": _scale(row["scale"])}) for row in rows]

    def counts(self, study_id: str) -> pd.DataFrame:
        """How many people gave each on-scale answer: stimulus_id, value, n."""
        return self._ask(
            "SELECT stimulus_id, value, count(*)::INTEGER AS n FROM read_parquet($responses) "
            "WHERE study_id = $study AND value IS NOT NULL GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )

    def off_scale(self, study_id: str) -> pd.DataFrame:
        """How many responses lie off their scale: stimulus_id, n; a row only where there are some."""
        return self._ask(
            "SELECT stimulus_id, count(*)::INTEGER AS n FROM read_parquet($responses) "
            "WHERE study_id = $study AND value IS NULL GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )

    def responses(self, study_id: str, task_num: int | None = None) -> pd.DataFrame:
        """Every response to a study, or to one outcome of it, with its cell.

        Columns participant, condition_num, task_num, stimulus_id, response (as observed), value (NaN where
        off the scale).
        """
        chosen = "" if task_num is None else "AND task_num = $task "
        return self._ask(
            "SELECT participant, condition_num, task_num, stimulus_id, response, value "
            "FROM read_parquet($responses) r JOIN read_parquet($stimuli) s USING (study_id, stimulus_id) "
            f"WHERE study_id = $study {chosen}ORDER BY sample_id",
            study=self.study(study_id).study_id,
            **({} if task_num is None else {"task": task_num}),
        )

    def participants(
        self, study_ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> pd.DataFrame:
        """The people of some studies (all by default) who pass every filter.

        A filter is a list of allowed values, or a tuple of two numbers: an inclusive range. Who did not
        say is left out by it. Raises UserError for an unknown field or a value that cannot match.
        """
        conditions, bound = ["TRUE"], dict[str, Any]()
        if study_ids is not None:
            conditions.append("list_contains($chosen, study_id)")
            bound["chosen"] = list(study_ids)
        for field, allowed in (filters or {}).items():
            condition, values = _condition(field, allowed)
            conditions.append(condition)
            bound |= values
        found = self._ask(
            f"SELECT * FROM read_parquet($participants) WHERE {' AND '.join(conditions)} "
            "ORDER BY study_id, participant",
            **bound,
        )
        return found.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))

    def participant(self, study_id: str, participant: int) -> Participant:
        """One person, missing fields left out. Raises UserError where the study has no such person."""
        rows = self._rows(
            "SELECT * FROM read_parquet($participants) WHERE study_id = $study AND participant = $person",
            study=self.study(study_id).study_id,
            person=participant,
        )
        if not rows:
            raise UserError(
                f"The study {study_id!r} has no participant {participant!r}. "
                "Choose one of those that its list of participants shows."
            )
        return Participant(
            participant, {key: rows[0][key] for key in DEMOGRAPHICS if rows[0][key] is not None}
        )

    def _ask(self, sql: str, **bound: Any) -> pd.DataFrame:
        found: pd.DataFrame = self._execute(sql, bound).df()
        return found

    def _rows(self, sql: str, **bound: Any) -> list[dict[str, Any]]:
        result = self._execute(sql, bound)
        columns = [column[0] for column in result.description]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def _execute(self, sql: str, bound: Mapping[str, Any]) -> Any:
        """Runs `sql` on a cursor of its own; $studies, $stimuli ... stand for the files."""
        files = {name: str(self.path / f"{name}.parquet") for name in SCHEMAS if f"(${name})" in sql}
        try:
            return _database().cursor().execute(sql, {**files, **bound})
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise damaged(self.name, str(error).splitlines()[0]) from error


def damaged(name: str, reason: str) -> UserError:
    """What to say about a corpus that cannot be read."""
    return UserError(
        f"The corpus {name!r} is damaged: {reason.rstrip('.')}. "
        "Run 'python -m socrates_core setup' to rebuild the starter corpus; import any other corpus again."
    )


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})


def _condition(field: str, allowed: Sequence[Any]) -> tuple[str, dict[str, Any]]:
    """A filter as SQL with its bound values; only a name out of DEMOGRAPHICS enters the text."""
    if field not in DEMOGRAPHICS:
        raise unknown("demographic field", field, DEMOGRAPHICS)
    expected = (int, float) if field in WHOLE_NUMBERS else str
    wrong = [value for value in allowed if not isinstance(value, expected)]
    if wrong:
        kind = "numbers" if field in WHOLE_NUMBERS else "texts"
        raise UserError(f"The filter on {field!r} has the value {wrong[0]!r}. It takes {kind}.")
    if isinstance(allowed, tuple) and len(allowed) == 2 and field in WHOLE_NUMBERS:
        low, high = allowed
        return f"{field} BETWEEN ${field}_low AND ${field}_high", {f"{field}_low": low, f"{field}_high": high}
    return f"list_contains(${field}, {field})", {field: list(allowed)}


def _scale(text: str | None) -> Scale:
    return Scale.from_dict(json.loads(text)) if text else Scale("open_integer")
