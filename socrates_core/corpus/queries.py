"""Queries to one corpus, which DuckDB answers from its Parquet files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.fractions import memberships
from socrates_core.corpus.filters import Filters, as_condition
from socrates_core.corpus.hidden_answers import frozen_stamp, without_frozen
from socrates_core.corpus.scale_overrides import by_hand, lay_over
from socrates_core.corpus.tables import SCHEMAS, WHOLE_NUMBERS, judged
from socrates_core.errors import UserError, unknown
from socrates_core.records import DEMOGRAPHICS, Design, Factor, Floats, Participant, Scale, Stimulus

Ints = NDArray[np.int64]

OPEN = Scale("open_integer")
_JUDGED = ("notes", "flags", "n_off_scale", "scale_kinds")
# An answer on its scale as it was given, NULL off the scale. `value` is the nearest value of the scale, which differs
# for fractions of whole numbers, and by rounding in the ninth decimal, which is not a fraction.
ANSWER = "CASE WHEN abs(response - value) > 1e-8 THEN response ELSE value END"
ASSIGNED = "assignment"  # the table of clusters, blocks, and weights, in corpora that have any
MOST_PARTS = 30
MOST_TEXTS = 200
# `asked` is a study's stimuli with the `part` of the outcome that they ask about: the question if the outcome is a
# battery of up to MOST_PARTS, or else nothing.
_ASKED = f"""
WITH shown AS (SELECT * FROM read_parquet($stimuli) WHERE study_id = $study),
width AS (
    SELECT task_num, max(n) AS n FROM (
        SELECT task_num, count(DISTINCT question) AS n FROM shown GROUP BY task_num, condition_num
    ) GROUP BY task_num
),
asked AS (
    SELECT shown.*, CASE WHEN width.n BETWEEN 2 AND {MOST_PARTS} THEN question ELSE '' END AS part
    FROM shown JOIN width USING (task_num)
)
"""


@dataclass(frozen=True)
class StudyRecord:
    """A study as its row in the corpus describes it.

    `reference_condition` is None if the source names none; the counts are of answers. `flags` are keys of flags.py;
    their sentences are among the notes.
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
    n_off_scale: int
    scale_kinds: tuple[str, ...]
    flags: tuple[str, ...]


class Corpus:
    """A corpus on disk. It holds no data: every call reads the files, from any thread."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self.name = path.name
        self.manifest = manifest

    def studies(self) -> pd.DataFrame:
        """A row for each study, in order of study_id; counts and flags follow scales set by hand."""
        studies = self.ask("SELECT * FROM read_parquet($studies) ORDER BY study_id")
        if not by_hand(self.path):
            return studies
        rows = [self._judged(row) for row in studies.to_dict("records")]
        return studies.assign(**{name: [row[name] for row in rows] for name in _JUDGED})

    def study(self, study_id: str) -> StudyRecord:
        """The study's row. Raises UserError if the corpus has no such study."""
        rows = self._rows("SELECT * FROM read_parquet($studies) WHERE study_id = $study", study=study_id)
        if not rows:
            raise unknown("study", study_id, self.study_ids(), f"This is the corpus {self.name!r}.")
        row = self._judged(rows[0])
        lists = {name: tuple(row[name] or ()) for name in ("notes", "scale_kinds", "flags")}
        return StudyRecord(**{**{field.name: row[field.name] for field in fields(StudyRecord)}, **lists})

    def _judged(self, row: dict[Any, Any]) -> dict[Any, Any]:
        """A study's row; counts and flags follow its scales set by hand, if it has any."""
        scales = by_hand(self.path).get(row["study_id"])
        if scales is None:
            return row
        # Flags depend on the answers, which change for a reader when the study is frozen or revealed.
        stamp = f"{self.manifest.get('created', '')} {frozen_stamp(self.path)}"
        return {**row, **_judged_by(self.path, stamp, row["study_id"], scales)}

    def design(self, study_id: str) -> Design:
        """How the study's people were assigned to conditions. Raises UserError if there is no such study."""
        stored = dict(self.manifest.get("designs", {}).get(study_id, {}))
        factors = tuple(
            Factor(factor["name"], tuple(factor["level_of_condition"]))
            for factor in stored.pop("factors", ())
        )
        assignment: Any = self.study(study_id).design
        return Design(**{**stored, "assignment": assignment, "factors": factors})

    def assignment(self, study_id: str) -> pd.DataFrame:
        """People's cluster, block, and weight, indexed by participant; empty where everybody was assigned alone."""
        columns = ["participant", "cluster", "block", "weight"]
        if self.design(study_id).is_plain:
            return pd.DataFrame(columns=columns).set_index("participant")
        return self.ask(
            f"SELECT {', '.join(columns)} FROM read_parquet($assignment) WHERE study_id = $study ORDER BY participant",
            study=study_id,
        ).set_index("participant")

    def study_ids(self) -> list[str]:
        rows = self._rows("SELECT study_id FROM read_parquet($studies) ORDER BY study_id")
        return [str(row["study_id"]) for row in rows]

    def stimuli(self, study_id: str) -> list[Stimulus]:
        """Everything that people were shown and asked, in order of condition, outcome and stimulus.

        A stimulus whose scale could not be parsed has an open scale.
        """
        rows = self._rows(
            "SELECT * FROM read_parquet($stimuli) WHERE study_id = $study "
            "ORDER BY condition_num, task_num, stimulus_id",
            study=self.study(study_id).study_id,
        )
        return [Stimulus(**{**row, "scale": read_scale(row["scale"])}) for row in rows]

    def stimulus(self, study_id: str, stimulus_id: int) -> Stimulus:
        """One stimulus. Raises UserError if the study has no such stimulus."""
        rows = self._rows(
            "SELECT * FROM read_parquet($stimuli) WHERE study_id = $study AND stimulus_id = $stimulus",
            study=study_id,
            stimulus=stimulus_id,
        )
        if not rows:
            raise UserError(f"The study {study_id!r} has no stimulus {stimulus_id!r}.")
        return Stimulus(**{**rows[0], "scale": read_scale(rows[0]["scale"])})

    def unread(self, study_id: str) -> list[Stimulus]:
        """The stimuli whose scale could not be parsed and was not set by hand; they count as open."""
        rows = self._rows(
            "SELECT * FROM read_parquet($stimuli) WHERE study_id = $study AND scale IS NULL ORDER BY stimulus_id",
            study=self.study(study_id).study_id,
        )
        return [Stimulus(**{**row, "scale": OPEN}) for row in rows]

    def counts(self, study_id: str) -> pd.DataFrame:
        """How many people gave each on-scale answer: stimulus_id, value, n.

        An answer between two values counts for both in proportion, so `n` may be a fraction. Where the study weights
        people, an answer counts as much as its person, and the counts of a stimulus add up to its number of answers.
        """
        weighting = self._weighting(study_id)
        counted = self.ask(
            f"SELECT stimulus_id, scale, {ANSWER} AS value, {weighting.columns} FROM read_parquet($responses) r "
            f"JOIN read_parquet($stimuli) s USING (study_id, stimulus_id) {weighting.join}"
            "WHERE study_id = $study AND value IS NOT NULL GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )
        return _split(weighting.weighted(counted, ["stimulus_id"]))[["stimulus_id", "value", "n"]]

    def answers_by_person(self, study_id: str, field: str | None = None) -> pd.DataFrame:
        """How often each person gave each answer on the scale, a row a stimulus, person, and value.

        Columns stimulus_id, condition_num, task_num, part, scale, participant, value, n, and with a demographic `field`
        also `group`, the person's value of it.
        """
        group = "" if field is None else f', {field} AS "group"'
        people = "" if field is None else "JOIN read_parquet($participants) p USING (study_id, participant) "
        return self.ask(
            f"{_ASKED} SELECT stimulus_id, condition_num, task_num, part, scale, participant, value{group}, "
            f"count(*)::INTEGER AS n FROM read_parquet($responses) r {people}JOIN asked USING (stimulus_id) "
            "WHERE r.study_id = $study AND value IS NOT NULL GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )

    def answered_repeatedly(self, study_id: str, *, within_cells: bool = True) -> bool:
        """Whether a person answered something more than once: in one condition, or (not `within_cells`) in several."""
        cell = "condition_num, " if within_cells else ""
        rows = self._rows(
            f"{_ASKED} SELECT participant FROM read_parquet($responses) r JOIN asked USING (stimulus_id) "
            "WHERE r.study_id = $study AND value IS NOT NULL "
            f"GROUP BY {cell}task_num, part, scale, participant HAVING count(*) > 1 LIMIT 1",
            study=self.study(study_id).study_id,
        )
        return bool(rows)

    def off_scale(self, study_id: str) -> pd.DataFrame:
        """How many responses are off their scale: stimulus_id, n; a row only if there are any."""
        return self.ask(
            "SELECT stimulus_id, count(*)::INTEGER AS n FROM read_parquet($responses) "
            "WHERE study_id = $study AND value IS NULL GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )

    def responses(self, study_id: str) -> pd.DataFrame:
        """Every response to a study with what it answers, in order of sample_id.

        Columns sample_id, participant, condition_num, task_num, part (the question if a task is a battery, or else
        empty), stimulus_id, response (as observed) and value (NaN where off the scale).
        """
        return self.ask(
            f"{_ASKED} SELECT sample_id, participant, condition_num, task_num, part, stimulus_id, response, value "
            "FROM read_parquet($responses) r JOIN asked USING (stimulus_id) WHERE r.study_id = $study "
            "ORDER BY sample_id",
            study=self.study(study_id).study_id,
        )

    def outline(self, study_id: str) -> pd.DataFrame:
        """What people were asked, a row for each condition, task, part and scale.

        Columns condition_num, task_num, part (the question if a task is a battery, or else empty), scale, and of the
        first such stimulus stimulus_id, condition_name, outcome_name, condition_text and question; n_texts counts the
        different texts.
        """
        return self.ask(
            f"{_ASKED} SELECT condition_num, task_num, part, scale, min(stimulus_id) AS stimulus_id, "
            "arg_min(condition_name, stimulus_id) AS condition_name, "
            "arg_min(outcome_name, stimulus_id) AS outcome_name, "
            "arg_min(condition_text, stimulus_id) AS condition_text, "
            "arg_min(question, stimulus_id) AS question, count(*)::INTEGER AS n_texts "
            "FROM asked GROUP BY condition_num, task_num, part, scale ORDER BY task_num, stimulus_id",
            study=self.study(study_id).study_id,
        )

    def parts(self, study_id: str) -> dict[int, str]:
        """Stimulus -> its question in a battery, empty if its task is a single question."""
        rows = self._rows(
            f"{_ASKED} SELECT stimulus_id, part FROM asked", study=self.study(study_id).study_id
        )
        return {int(row["stimulus_id"]): str(row["part"]) for row in rows}

    def passages(self) -> list[tuple[str, str, str]]:
        """Every different text of every study: study_id, what it is ("condition", "text", ...), the text.

        Of texts that differ from person to person, only the first MOST_TEXTS of a study.
        """
        kinds = {
            "condition_name": "condition",
            "outcome_name": "outcome",
            "condition_text": "text",
            "question": "question",
        }
        passages = self._execute(
            "SELECT study_id, kind, text FROM ("
            "SELECT study_id, kind, text, min(stimulus_id) AS first FROM ("
            f"SELECT study_id, stimulus_id, {', '.join(kinds)} FROM read_parquet($stimuli)) "
            f"UNPIVOT (text FOR kind IN ({', '.join(kinds)})) GROUP BY ALL) "
            f"QUALIFY row_number() OVER (PARTITION BY study_id, kind ORDER BY first) <= {MOST_TEXTS} "
            "ORDER BY study_id, first, kind",
            {},
        )
        return [(str(study), kinds[str(kind)], str(text)) for study, kind, text in passages.fetchall()]

    def tallies(self, study_id: str, field: str | None = None) -> pd.DataFrame:
        """How many gave each answer: condition_num, task_num, part, scale, value (NaN off the scale), n.

        An answer between two values counts for both in proportion. Where the study weights people, an answer counts
        as much as its person, and those of a cell add up to the number of its answers. With a demographic `field`
        there is also `group`, the field's value (missing if a person did not say). Raises UserError for an unknown
        field.
        """
        if field is not None and field not in DEMOGRAPHICS:
            raise unknown("demographic field", field, DEMOGRAPHICS)
        group = "" if field is None else f'{field} AS "group", '
        grouped = "" if field is None else '"group", '
        people = "" if field is None else "JOIN read_parquet($participants) p USING (study_id, participant) "
        weighting = self._weighting(study_id)
        counted = self.ask(
            f"{_ASKED} SELECT condition_num, task_num, part, scale, {grouped}value, {weighting.sums} FROM ("
            f"SELECT stimulus_id, {group}{ANSWER} AS value, {weighting.columns} FROM read_parquet($responses) r "
            f"{people}{weighting.join}"
            "WHERE r.study_id = $study GROUP BY ALL) JOIN asked USING (stimulus_id) GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )
        cell = ["condition_num", "task_num", "part", "scale", *(["group"] if field else [])]
        return _split(weighting.weighted(counted, cell))

    def person_means(self, study_id: str) -> pd.DataFrame:
        """One answer of each person for each condition, task and part: the mean of their answers on the scale.

        Columns condition_num, task_num, part, participants [n] in order, responses [n] (as observed) and positions
        [n]: the mean place of these answers on their scales, from 0 (lowest value) to 1 (highest), NaN if a scale has
        no ends.
        """
        rows = self._rows(
            f"{_ASKED} SELECT condition_num, task_num, part, scale, list(participant ORDER BY participant) AS people, "
            "list(total ORDER BY participant) AS totals, list(n ORDER BY participant) AS n FROM ("
            "SELECT condition_num, task_num, part, scale, participant, sum(response) AS total, count(*) AS n "
            "FROM read_parquet($responses) r JOIN asked USING (stimulus_id) "
            "WHERE r.study_id = $study AND value IS NOT NULL GROUP BY ALL) GROUP BY ALL ORDER BY ALL",
            study=self.study(study_id).study_id,
        )
        by_item: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
        for row in rows:
            by_item.setdefault((row["condition_num"], row["task_num"], row["part"]), []).append(row)
        columns = ["condition_num", "task_num", "part", "participants", "responses", "positions"]
        return pd.DataFrame([(*key, *_means(parts)) for key, parts in by_item.items()], columns=columns)

    def participants(
        self, study_ids: Sequence[str] | None = None, filters: Filters | None = None
    ) -> pd.DataFrame:
        """The people of some studies (all by default) who pass every filter.

        A filter is a list of allowed values, or a tuple of two numbers: an inclusive range. It leaves out people who
        did not say. Raises UserError for an unknown field or a value that cannot match.
        """
        conditions = ["TRUE"]
        bound = dict[str, Any]()
        if study_ids is not None:
            conditions.append("list_contains($chosen, study_id)")
            bound["chosen"] = list(study_ids)
        for field, allowed in (filters or {}).items():
            condition, values = as_condition(field, allowed)
            conditions.append(condition)
            bound |= values
        people = self.ask(
            f"SELECT * FROM read_parquet($participants) WHERE {' AND '.join(conditions)} "
            "ORDER BY study_id, participant",
            **bound,
        )
        return people.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))

    def participant_ids(self, study_id: str) -> list[int]:
        """The numbers of a study's participants, in order."""
        sql = "SELECT participant FROM read_parquet($participants) WHERE study_id = $study ORDER BY 1"
        return [row["participant"] for row in self._rows(sql, study=study_id)]

    def participant(self, study_id: str, participant: int) -> Participant:
        """One person, without missing fields. Raises UserError if the study has no such person."""
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

    def _weighting(self, study_id: str) -> "_Weighting":
        return _Weighting(is_weighted=bool(self.design(study_id).weight))

    def ask(self, sql: str, **bound: Any) -> pd.DataFrame:
        """The result of a query over read_parquet($studies), read_parquet($responses) ..."""
        rows: pd.DataFrame = self._execute(sql, bound).df()
        return rows

    def _rows(self, sql: str, **bound: Any) -> list[dict[str, Any]]:
        result = self._execute(sql, bound)
        columns = [column[0] for column in result.description]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    def _execute(self, sql: str, bound: Mapping[str, Any]) -> Any:
        """Runs `sql` on a new cursor; $studies, $stimuli ... are the files, with scales set by hand laid over.

        Answers to frozen studies are left out. Raises UserError if the query names a frozen study.
        """
        sql, bound = without_frozen(self.path, *lay_over(self.path, sql, bound))
        files = {
            name: str(self.path / f"{name}.parquet") for name in (*SCHEMAS, ASSIGNED) if f"(${name})" in sql
        }
        try:
            # A DuckDB connection is for one thread at a time; a cursor is a connection of its own to the same database.
            return _database().cursor().execute(sql, {**files, **bound})
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise damaged(self.name, str(error).splitlines()[0]) from error


@dataclass(frozen=True)
class _Weighting:
    """The parts of a query that count answers, by people's weights if they have any."""

    is_weighted: bool

    @property
    def columns(self) -> str:
        return "count(*)::INTEGER AS n" + (", sum(weight) AS mass" if self.is_weighted else "")

    @property
    def sums(self) -> str:
        """Sums of `columns`."""
        return "sum(n)::INTEGER AS n" + (", sum(mass) AS mass" if self.is_weighted else "")

    @property
    def join(self) -> str:
        """Adds people's weights. People without one leave."""
        if not self.is_weighted:
            return ""
        return (
            "JOIN (SELECT study_id, participant, weight FROM read_parquet($assignment) WHERE weight IS NOT NULL) w "
            "USING (study_id, participant) "
        )

    def weighted(self, counted: pd.DataFrame, cell: list[str]) -> pd.DataFrame:
        """`counted` with weighted counts on the scale, which add up to the number of answers of each `cell`."""
        if not self.is_weighted:
            return counted
        on_scale = counted["value"].notna()
        totals = counted[on_scale].groupby(cell, dropna=False)[["n", "mass"]].transform("sum")
        weighted = counted["n"].astype(float)
        weighted[on_scale] = counted["mass"] * totals["n"] / totals["mass"]
        return counted.assign(n=weighted).drop(columns="mass")


def _split(counted: pd.DataFrame) -> pd.DataFrame:
    """Counted answers (columns scale, value, n and any others) with fractions split between neighbouring values."""
    parts = []
    whole = np.ones(len(counted), dtype=bool)
    for text, places in counted.groupby("scale").indices.items():
        at = np.asarray(places, dtype=np.int64)
        values = np.asarray(read_scale(str(text)).values, dtype=float)
        given = counted["value"].to_numpy(dtype=float)[at]
        between = at[np.isfinite(given) & ~np.isin(given, values)] if values.size else at[:0]
        if between.size:
            whole[between] = False
            shares = memberships(counted["value"].to_numpy(dtype=float)[between], values)
            rows, column = np.nonzero(shares)
            split = counted.iloc[between[rows]]
            parts.append(split.assign(value=values[column], n=split["n"] * shares[rows, column]))
    if not parts:
        return counted
    columns = [name for name in counted.columns if name != "n"]
    together = pd.concat([counted[whole], *parts])
    return together.groupby(columns, dropna=False, sort=True)["n"].sum().reset_index()


def _means(rows: list[dict[str, Any]]) -> tuple[Ints, Floats, Floats]:
    """The people of one item, in order, with the means of their answers and of the answers' places on their scales."""
    n, totals = (
        np.concatenate([np.asarray(row[name], dtype=float) for row in rows]) for name in ("n", "totals")
    )
    places = []
    for row in rows:
        values = read_scale(row["scale"]).values
        low = float(values[0]) if len(values) > 1 else np.nan
        span = float(values[-1] - values[0]) if len(values) > 1 else np.nan
        places.append(
            (np.asarray(row["totals"], dtype=float) - low * np.asarray(row["n"], dtype=float)) / span
        )
    everyone = np.concatenate([np.asarray(row["people"], dtype=np.int64) for row in rows])
    people, at = np.unique(everyone, return_inverse=True)
    answers = np.bincount(at, n)
    return people, np.bincount(at, totals) / answers, np.bincount(at, np.concatenate(places)) / answers


@lru_cache(maxsize=256)
def _judged_by(
    path: Path, _stamp: str, study_id: str, _scales: tuple[tuple[str, Scale], ...]
) -> Mapping[str, Any]:
    """The columns of a study that depend on its scales; empty while its answers are hidden."""
    corpus = Corpus(path, {})
    # Not $study: a query that names a frozen study is refused, but here it has to come back empty.
    here = "WHERE list_contains($chosen, study_id)"
    texts = corpus.ask(f"SELECT * FROM read_parquet($stimuli) {here} ORDER BY stimulus_id", chosen=[study_id])
    given = corpus.ask(
        f"SELECT participant, stimulus_id, value FROM read_parquet($responses) {here}", chosen=[study_id]
    )
    if given.empty:
        return {}
    (row,) = corpus._rows(f"SELECT notes, flags FROM read_parquet($studies) {here}", chosen=[study_id])
    notes = row["notes"][: len(row["notes"]) - len(row["flags"])]  # the flags' sentences come last
    return judged(notes, texts, given)


def damaged(name: str, reason: str) -> UserError:
    """The error for a corpus that cannot be read."""
    return UserError(
        f"The corpus {name!r} is damaged: {reason.rstrip('.')}. "
        "Run 'python -m socrates_core setup' to rebuild the starter corpus; import any other corpus again."
    )


@cache
def _database() -> duckdb.DuckDBPyConnection:
    # DuckDB would download extensions that a query seems to need.
    return duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})


@lru_cache(maxsize=4096)
def read_scale(text: str | None) -> Scale:
    """The scale of a stimulus as the corpus stores it; an open scale if none could be parsed."""
    return Scale.from_dict(json.loads(text)) if text else OPEN
