"""Answers that were worked out once, kept for every later run: one SQLite file, safe under two writers."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager

import numpy as np

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.records import Answer, Question
from socrates_core.settings import folder

_SCHEMA = """
create table if not exists answers (
    key text primary key, fingerprint text not null, probabilities blob not null,
    valid_mass real not null, n_tokens integer not null, created text not null default (datetime('now'))
) without rowid
"""


def answer_key(fingerprint: str, question: Question) -> str:
    """SHA-256 over what can change an answer: who answers, the exact prompt, the options."""
    return digest([fingerprint, question.prompt.system, question.prompt.user, list(question.options)])


class AnswerCache:
    """Stored answers by key; what is read is bit for bit what was written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def read(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The stored answers among `keys`."""
        wanted, found = list(keys), {}
        for start in range(0, len(wanted), 500):
            part = wanted[start : start + 500]
            marks = ",".join("?" * len(part))
            query = f"select key, probabilities, valid_mass, n_tokens from answers where key in ({marks})"
            for key, blob, valid_mass, n_tokens in self._connection.execute(query, part):
                found[key] = Answer(np.frombuffer(blob, dtype="<f8").copy(), valid_mass, n_tokens)
        return found

    def write(self, answers: Mapping[str, Answer], fingerprint: str) -> None:
        """Stores a batch of answers durably, all or none; the first of two writers of a key wins."""
        rows = [
            (key, fingerprint, np.asarray(a.probabilities, dtype="<f8").tobytes(), a.valid_mass, a.n_tokens)
            for key, a in answers.items()
        ]
        self._connection.execute("begin immediate")
        with self._connection:
            self._connection.executemany(
                "insert or ignore into answers (key, fingerprint, probabilities, valid_mass, n_tokens) "
                "values (?, ?, ?, ?, ?)",
                rows,
            )

    def count(self) -> int:
        return int(self._connection.execute("select count(*) from answers").fetchone()[0])


@contextmanager
def open_cache() -> Iterator[AnswerCache]:
    """The home's answer cache. Raises UserError where its file is damaged."""
    path = folder("cache") / "answers.sqlite"
    try:
        with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.execute(_SCHEMA)
            yield AnswerCache(connection)
    except sqlite3.DatabaseError as error:
        raise UserError(
            f"The answer cache {str(path)!r} cannot be used ({error}). "
            "Free some disk space, or move the file away: answers will then be worked out again."
        ) from error
