"""What came into this home from an archive, so that evidence by others is never taken for one's own.

One line for each thing in SOCRATES_HOME/imported.jsonl: kind, name and time. The things themselves stay as they were.
"""

import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from socrates_core.errors import EDITED
from socrates_core.settings import folder, home


def note_imported(things: Iterable[tuple[str, str]]) -> None:
    """Keeps that the things (kind, name) came from an archive."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [json.dumps({"kind": kind, "name": name, "time": time}) + "\n" for kind, name in things]
    if lines:
        with (folder() / "imported.jsonl").open("a", encoding="utf-8") as file:
            file.writelines(lines)


def was_imported(kind: str, name: str) -> bool:
    """Whether a thing of that kind and name ever came from an archive."""
    path = home() / "imported.jsonl"
    return path.exists() and (kind, name) in _imported(path, path.stat().st_size)


@lru_cache(maxsize=4)
def _imported(path: Path, _size: int) -> frozenset[tuple[str, str]]:
    found = set()
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(*EDITED):  # a line that a power cut left half written
            stored = json.loads(line)
            found.add((str(stored["kind"]), str(stored["name"])))
    return frozenset(found)
