"""A list of what came into this home from archives, so that other people's evidence never counts as this person's.

SOCRATES_HOME/imported.jsonl has one line for each imported record: kind, name and time. The records are not changed.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from socrates_core.errors import EDITED
from socrates_core.settings import folder, home


def note_imported(records: Iterable[tuple[str, str]]) -> None:
    """Notes that the records (kind, name) came from an archive."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [json.dumps({"kind": kind, "name": name, "time": time}) + "\n" for kind, name in records]
    if lines:
        with (folder() / "imported.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(lines)


def was_imported(kind: str, name: str) -> bool:
    """Whether a record of that kind and name ever came from an archive."""
    path = home() / "imported.jsonl"
    return path.exists() and (kind, name) in _imported(path, path.stat().st_size)


# Lines are only ever added, so the file's size says whether there are new ones.
@lru_cache(maxsize=4)
def _imported(path: Path, _size: int) -> frozenset[tuple[str, str]]:
    records = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(*EDITED):  # a power cut can leave half a line
            stored = json.loads(line)
            records.add((str(stored["kind"]), str(stored["name"])))
    return frozenset(records)
