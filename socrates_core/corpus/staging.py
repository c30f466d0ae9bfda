"""Takes raw shards apart one by one, so each text and person is stored once and an import can stop and continue.

The tables are in a DuckDB file next to the corpus that is being written; it is deleted once the corpus is there.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from socrates_core.corpus.tables import WHOLE_NUMBERS
from socrates_core.errors import UserError
from socrates_core.records import DEMOGRAPHICS

COLUMNS = (
    "sample_id",
    "participant",
    "demographic",
    "stimuli",
    "response",
    "condition_num",
    "task_num",
    "study_id",
)
MEMORY = "700MB"
VERSION = 1  # of the staging tables


def _type(demographic: str) -> str:
    return "INTEGER" if demographic in WHOLE_NUMBERS else "VARCHAR"


_KEY = "study_id, condition_num, task_num, stimulus"
_FIELDS = ", ".join(DEMOGRAPHICS)
_TABLES = f"""
CREATE SEQUENCE IF NOT EXISTS text_ids;
CREATE TABLE IF NOT EXISTS texts (
    text_id BIGINT, study_id VARCHAR, condition_num INTEGER, task_num INTEGER, stimulus VARCHAR);
CREATE TABLE IF NOT EXISTS people (
    study_id VARCHAR, participant BIGINT, {", ".join(f"{name} {_type(name)}" for name in DEMOGRAPHICS)});
CREATE TABLE IF NOT EXISTS answers (
    study_id VARCHAR, sample_id BIGINT, participant BIGINT, text_id BIGINT, response DOUBLE);
CREATE TABLE IF NOT EXISTS reasons (study_id VARCHAR, sample_id BIGINT, reasoning VARCHAR);
CREATE TABLE IF NOT EXISTS shards (name VARCHAR PRIMARY KEY);
"""


class Staging:
    """Texts, people and answers of the shards taken so far, for one process at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = duckdb.connect(
            str(folder / "staging.duckdb"),
            config={
                "memory_limit": MEMORY,
                "threads": "2",
                "temp_directory": str(folder / "spill"),
                # With the order of rows kept, DuckDB needs more memory; every query that needs an order says so.
                "preserve_insertion_order": "false",
                "autoinstall_known_extensions": "false",
            },
        )
        self._database.execute(_TABLES)

    def close(self) -> None:
        self._database.close()

    def taken(self) -> set[str]:
        """The names of the shards that were taken whole."""
        return {name for (name,) in self._database.execute("SELECT name FROM shards").fetchall()}

    def take(self, name: str, path: Path, *, studies: Sequence[str] = (), reasoning: bool = False) -> None:
        """Adds the rows of one Parquet file, only of `studies` if any are named; all or nothing.

        Raises UserError if the file is not Parquet, lacks a column or holds values that do not fit.
        """
        try:
            self._database.execute("BEGIN")
            self._take(path, studies, reasoning)
            self._database.execute("INSERT INTO shards VALUES (?)", [name])
            self._database.execute("COMMIT")
        except duckdb.Error as error:
            self._database.execute("ROLLBACK")
            raise UserError(
                f"{path.name!r} cannot be read as SocSci210 rows ({str(error).splitlines()[0]})."
            ) from error
        # Also what is no error of DuckDB, such as missing columns or Ctrl-C: a shard is taken whole or not at all.
        except BaseException:
            self._database.execute("ROLLBACK")
            raise

    def _take(self, path: Path, studies: Sequence[str], reasoning: bool) -> None:
        columns = self._columns(path, reasoning)
        only = "WHERE list_contains($studies, study_id)" if studies else ""
        bound: dict[str, Any] = {"path": str(path), **({"studies": list(studies)} if studies else {})}
        selected = ", ".join(f"{expression} AS {column}" for column, expression in columns.items())
        self._database.execute(
            f"CREATE OR REPLACE TEMP TABLE shard AS SELECT {selected} FROM read_parquet($path) {only}", bound
        )
        here = "(SELECT DISTINCT study_id FROM shard)"
        self._database.execute(
            f"INSERT INTO texts SELECT nextval('text_ids'), {_KEY} FROM (SELECT DISTINCT {_KEY} FROM shard) "
            f"ANTI JOIN (SELECT * FROM texts WHERE study_id IN {here}) USING ({_KEY})"
        )
        first = ", ".join(f"arg_min({name}, sample_id) AS {name}" for name in DEMOGRAPHICS)
        self._database.execute(
            f"INSERT INTO people SELECT study_id, participant, {_FIELDS} FROM ("
            f"SELECT study_id, participant, {first} FROM shard GROUP BY study_id, participant) "
            f"ANTI JOIN (SELECT * FROM people WHERE study_id IN {here}) USING (study_id, participant)"
        )
        self._database.execute(
            "INSERT INTO answers SELECT study_id, sample_id, participant, text_id, response FROM shard "
            f"JOIN (SELECT * FROM texts WHERE study_id IN {here}) USING ({_KEY})"
        )
        if reasoning:
            self._database.execute("INSERT INTO reasons SELECT study_id, sample_id, reasoning FROM shard")
        self._database.execute("DROP TABLE shard")

    def _columns(self, path: Path, reasoning: bool) -> dict[str, str]:
        """Each column of a shard as an expression over the file's columns."""
        described = self._database.execute(
            "DESCRIBE SELECT * FROM read_parquet($path)", {"path": str(path)}
        ).fetchall()
        types = {str(row[0]): str(row[1]) for row in described}
        missing = [name for name in (*COLUMNS, *(["reasoning"] if reasoning else [])) if name not in types]
        if missing:
            raise UserError(
                f"{path.name!r} lacks the columns {', '.join(missing)}. It has {', '.join(types)}. "
                "Import a study in another form with a mapping."
            )
        columns = {
            "study_id": "study_id::VARCHAR",
            "sample_id": _number("sample_id", types),
            "participant": _number("participant", types),
            "stimulus": "stimuli::VARCHAR",
            "response": "response::DOUBLE",
            "condition_num": "condition_num::INTEGER",
            "task_num": "task_num::INTEGER",
        }
        columns |= {name: _demographic(name, types["demographic"]) for name in DEMOGRAPHICS}
        return columns | ({"reasoning": "reasoning::VARCHAR"} if reasoning else {})

    def studies(self) -> list[str]:
        """The studies taken so far, in order."""
        return [
            study
            for (study,) in self._database.execute(
                "SELECT DISTINCT study_id FROM answers ORDER BY ALL"
            ).fetchall()
        ]

    def texts(self, study_id: str) -> pd.DataFrame:
        """text_id, condition_num, task_num and stimulus in order; stimulus_id numbers them from 0."""
        return self._ask(
            "SELECT (row_number() OVER (ORDER BY condition_num, task_num, text_id) - 1)::INTEGER AS stimulus_id, "
            "text_id, condition_num, task_num, stimulus FROM texts WHERE study_id = ? ORDER BY stimulus_id",
            study_id,
        )

    def people(self, study_id: str) -> pd.DataFrame:
        """participant and the demographics, a row for each person."""
        return self._ask(f"SELECT participant, {_FIELDS} FROM people WHERE study_id = ?", study_id)

    def answers(self, study_id: str) -> pd.DataFrame:
        """sample_id, participant, text_id, response; a row for each answer."""
        return self._ask(
            "SELECT sample_id, participant, text_id, response FROM answers WHERE study_id = ?", study_id
        )

    def reasons(self, study_id: str) -> Any:
        """study_id, sample_id and reasoning of a study as an Arrow table, in order of sample_id."""
        sql = "SELECT * FROM reasons WHERE study_id = ? ORDER BY sample_id"
        return self._database.sql(sql, params=[study_id]).to_arrow_table()

    def _ask(self, sql: str, study_id: str) -> pd.DataFrame:
        rows: pd.DataFrame = self._database.execute(sql, [study_id]).df()
        return rows


def _number(name: str, types: dict[str, str]) -> str:
    """A whole number, or the number at the end of a text ("study:17" is 17)."""
    return (
        f"{name}::BIGINT" if types[name] != "VARCHAR" else f"regexp_extract({name}, '([0-9]+)$', 1)::BIGINT"
    )


def _demographic(name: str, column_type: str) -> str:
    """A field of the demographics, which are a struct or JSON text."""
    if column_type.startswith("STRUCT"):
        value = f'demographic."{name}"' if re.search(rf'\b{name}"? ', column_type) else "NULL"
    else:
        value = f"json_extract_string(demographic, '$.{name}')"
    return f"TRY_CAST({value} AS {_type(name)})"
