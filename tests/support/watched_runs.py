"""Runs whose cache and progress are watched while something is done to their worker."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from socrates_core.asking.cache import open_cache

_WATCH = """
create table asked_again (key text);
create trigger watch before insert on answers when exists (select 1 from answers where key = new.key)
begin insert into asked_again values (new.key); end;
"""  # fires before "or ignore" drops a row, so that an answer that was worked out twice shows


@contextlib.contextmanager
def cache(home: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(home / "cache" / "answers.sqlite", timeout=30)) as opened:
        yield opened


def watch(home: Path) -> None:
    """Lets the home's cache count the answers that are worked out again, in the table asked_again."""
    with open_cache(), cache(home) as opened:
        opened.executescript(_WATCH)


def n_stored(home: Path) -> int:
    with cache(home) as opened:
        return int(opened.execute("select count(*) from answers").fetchone()[0])
