"""When each study first came into this home, by the content of its texts: a small note for each corpus.

Notes are in SOCRATES_HOME/held and stay when a corpus is deleted, renamed or replaced, so a seal cannot call answers
absent that are in the bin. The owner of the machine can delete notes: they keep honest people honest.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from socrates_core.errors import EDITED, UserError
from socrates_core.files import digest, read_json, read_parquet, write_json
from socrates_core.settings import folder, home

_N_HEX = 24  # of a text's SHA-256: enough that no two texts of anybody's studies share it


@dataclass(frozen=True)
class Arrival:
    """A study that was in this home: when it was first noted, and when its corpus says it was written (`created`)."""

    first: str
    corpus: str
    study_id: str
    created: str


def digest_of_text(text: str) -> str:
    """The start of a text's SHA-256, by which studies are compared."""
    # A text may hold half of a surrogate pair, which strict UTF-8 refuses.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_N_HEX]


def texts_of_studies(corpus: Path) -> Mapping[str, frozenset[str]]:
    """The digests of every text of each study of the corpus in the folder `corpus`, by study_id.

    Raises UserError if its table of texts cannot be read.
    """
    file = corpus / "stimuli.parquet"
    try:
        state = file.stat()
    except OSError as error:
        raise UserError(f"{str(file)!r} cannot be read ({error.strerror or error}).") from error
    return _texts(file, state.st_mtime_ns, state.st_ino)


@lru_cache(maxsize=16)
def _texts(file: Path, _changed: int, _inode: int) -> dict[str, frozenset[str]]:
    table = read_parquet(file, ["study_id", "stimulus"]).to_pandas().drop_duplicates()
    return {
        str(study): frozenset(digest_of_text(str(text)) for text in rows["stimulus"])
        for study, rows in table.groupby("study_id")
    }


def is_same_study(texts: Collection[str], others: Collection[str]) -> bool:
    """Whether all texts of one study are among the other's: a copy under another name, or some of its conditions."""
    smaller, larger = sorted((set(texts), set(others)), key=len)
    return bool(smaller) and smaller <= larger


def note_arrival(corpus: Path, manifest: Mapping[str, Any]) -> None:
    """Notes that the corpus in the folder `corpus` is in this home, unless there is a note already.

    Nothing is noted in a home that cannot be written, so its studies can still be read.
    """
    with suppress(UserError, *EDITED):
        content = digest(manifest["sha256"])
        path = home() / "held" / f"{content[:32]}.json"
        if path.exists():
            return
        studies = {study: sorted(texts) for study, texts in texts_of_studies(corpus).items()}
        created = str(manifest.get("created", ""))
        noted = {"corpus": corpus.name, "content": content, "created": created, "studies": studies}
        folder("held")
        write_json(path, {"format": 1, "first": _now(), **noted})


def note_all_arrivals() -> None:
    """Notes every corpus of this home, including those in the bin and those that were replaced."""
    for manifest in sorted((home() / "corpora").rglob("manifest.json")):
        with suppress(UserError):
            stored = read_json(manifest)
            if isinstance(stored, dict):
                note_arrival(manifest.parent, stored)


def first_arrival(texts: Collection[str]) -> Arrival | None:
    """The first study in this home with any of the digests `texts`; None if there never was one."""
    wanted = set(texts)
    arrivals = [arrival for arrival, known in _notes() if wanted & known]
    return min(arrivals, key=lambda arrival: arrival.first, default=None)


def last_arrival() -> str:
    """When the latest note was made; empty without notes."""
    return max((arrival.first for arrival, _ in _notes()), default="")


def _notes() -> Iterator[tuple[Arrival, set[str]]]:
    """Each study that was here, with its texts; damaged notes are skipped."""
    for path in sorted((home() / "held").glob("*.json")):
        try:
            stored = read_json(path)
            first, corpus, created = (str(stored[name]) for name in ("first", "corpus", "created"))
            studies = {str(study): set(map(str, texts)) for study, texts in stored["studies"].items()}
        except (UserError, *EDITED):
            continue
        for study, texts in studies.items():
            yield Arrival(first, corpus, study, created), texts


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
