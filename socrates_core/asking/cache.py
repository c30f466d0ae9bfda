"""Answers that were computed once, kept for all later work: one SQLite file, safe for several writers."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models import Responder
from socrates_core.records import Answer, Floats, Question
from socrates_core.settings import folder

_SCHEMA = """
create table if not exists responders (fingerprint text primary key, name text not null) without rowid;
create table if not exists answers (
    key text primary key, fingerprint text not null, probabilities blob not null,
    valid_mass real not null, n_tokens integer not null, created text not null default (datetime('now')),
    drawn blob, n_samples integer not null default 0
) without rowid;
"""
_ADDED = ("drawn blob", "n_samples integer not null default 0")  # to a cache of an earlier version


def answer_key(fingerprint: str, question: Question) -> str:
    """SHA-256 of everything that can change an answer: who answers, the exact prompt, the options or the open scale."""
    prompt = question.prompt
    # Left out where there is none, so that answers of earlier versions keep their keys.
    scale = [question.scale.as_dict()] if question.scale else []
    shots = [{"shots": [list(shot) for shot in prompt.shots]}] if prompt.shots else []
    return digest([fingerprint, prompt.system, prompt.user, list(question.options), *scale, *shots])


@dataclass(frozen=True)
class ModelAnswers:
    """How many answers of one responder (by its fingerprint) are stored, in about how many bytes, from when to when."""

    fingerprint: str
    model: str
    n_answers: int
    n_bytes: int
    first: str
    last: str


class AnswerCache:
    """Stored answers by key. What is read is bit for bit what was written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The stored answers among `keys`."""
        wanted = list(keys)
        answers = {}
        for start in range(0, len(wanted), 500):  # SQLite takes a limited number of values in one query
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            query = (
                "select key, probabilities, valid_mass, n_tokens, drawn, n_samples "
                f"from answers where key in ({marks})"
            )
            for key, blob, valid_mass, n_tokens, drawn, n_samples in self._connection.execute(query, part):
                values = None if drawn is None else _numbers(drawn)
                answers[key] = Answer(_numbers(blob), valid_mass, n_tokens, values, n_samples)
        return answers

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that have a stored answer."""
        wanted = list(keys)
        stored = set[str]()
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            query = f"select key from answers where key in ({','.join('?' * len(part))})"
            stored.update(key for (key,) in self._connection.execute(query, part))
        return stored

    def write(self, answers: Mapping[str, Answer], fingerprint: str) -> None:
        """Stores a batch of answers durably, all or none. If two writers store one key, the first wins."""
        rows = [
            (
                key,
                fingerprint,
                _bytes(a.probabilities),
                a.valid_mass,
                a.n_tokens,
                None if a.values is None else _bytes(a.values),
                a.n_samples,
            )
            for key, a in answers.items()
        ]
        # Takes the write lock now: a second writer waits here and not halfway through its batch.
        self._connection.execute("begin immediate")
        with self._connection:
            self._connection.executemany(
                "insert or ignore into answers "
                "(key, fingerprint, probabilities, valid_mass, n_tokens, drawn, n_samples) "
                "values (?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def introduce(self, responder: Responder) -> None:
        """Remembers a readable name for a fingerprint."""
        card = responder.card
        name = f"{card.name}, {card.precision}, {card.decoding}{', deterministic' * card.deterministic}"
        self._connection.execute(
            "insert or ignore into responders values (?, ?)", (responder.fingerprint, name)
        )

    def count(self) -> int:
        return int(self._connection.execute("select count(*) from answers").fetchone()[0])

    def by_model(self) -> list[ModelAnswers]:
        """What is stored for each responder, the most answers first."""
        query = (
            "select fingerprint, coalesce(name, 'unknown'), count(*), "
            "sum(length(probabilities) + length(key) + 100), min(created), max(created) "
            "from answers left join responders using (fingerprint) group by fingerprint order by 3 desc"
        )
        return [ModelAnswers(*row) for row in self._connection.execute(query)]

    def prune(self, fingerprint: str | None = None, *, before: str | None = None) -> int:
        """Deletes the answers of one responder, or those stored before a date "2026-11-23"; returns how many."""
        removed = self._connection.execute(
            "delete from answers where (?1 is null or fingerprint = ?1) and (?2 is null or created < ?2)",
            (fingerprint, before),
        ).rowcount
        # While another process writes, the space cannot be given back; later answers fill it.
        with suppress(sqlite3.OperationalError):
            self._connection.execute("vacuum")
        return removed


def _numbers(blob: bytes) -> Floats:
    # frombuffer gives a view that cannot be written to.
    return np.frombuffer(blob, dtype="<f8").copy()


def _bytes(numbers: Floats) -> bytes:
    return np.asarray(numbers, dtype="<f8").tobytes()


@contextmanager
def open_cache() -> Iterator[AnswerCache]:
    """The home's answer cache. Raises UserError if its file is damaged or locked."""
    path = folder("cache") / "answers.sqlite"
    try:
        # Without Python's own transactions (isolation_level None), since `write` begins and ends each batch itself.
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("pragma journal_mode = wal")
            # With a write-ahead log a killed process loses no batch; a power cut may lose the last, never the file.
            connection.execute("pragma synchronous = normal")
            connection.executescript(_SCHEMA)
            columns = {column[1] for column in connection.execute("pragma table_info(answers)")}
            for column in _ADDED:
                if column.split()[0] not in columns:
                    with suppress(sqlite3.OperationalError):  # another process was quicker
                        connection.execute(f"alter table answers add column {column}")
            yield AnswerCache(connection)
    except sqlite3.DatabaseError as error:
        # SQLite raises the same class for a file that is locked and for one that is damaged.
        if "locked" in str(error):
            raise UserError(
                f"Another program keeps the answer cache {str(path)!r} locked ({error}). Wait for it or end it, then "
                "try again: what was answered is kept."
            ) from error
        raise UserError(
            f"The answer cache {str(path)!r} cannot be used ({error}). "
            "Free some disk space, or move the file away: answers will then be computed again."
        ) from error
