"""Frozen studies: their answers stay hidden until they are revealed. Read from the chain of seals next to the corpora.

Every query to a corpus passes through here, so pages, exports and commands hide the same answers. Anybody who opens the
Parquet files with another program sees everything: it keeps honest people honest. exposure/seals.py freezes and
reveals.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from socrates_core.corpus.arrivals import is_same_study, texts_of_studies
from socrates_core.errors import UserError
from socrates_core.files import read_json

_VISIBLE = "(SELECT * FROM read_parquet($responses) WHERE NOT list_contains($frozen, study_id))"


def frozen_studies(corpus: Path) -> dict[str, str]:
    """Since when each frozen study of the corpus in the folder `corpus` has been frozen, by study_id.

    A study is frozen by its texts, so a copy under another name, or a part of it, is frozen too.
    """
    stamp = frozen_stamp(corpus)
    return _frozen_here(corpus, stamp) if stamp else {}


def _frozen_here(corpus: Path, stamp: str) -> dict[str, str]:
    frozen = _frozen(_seals(corpus), stamp)
    if not frozen:
        return {}
    here = {study: since for (name, study), (since, _) in frozen.items() if name == corpus.name}
    for study, texts in texts_of_studies(corpus).items():
        alike = [since for since, known in frozen.values() if is_same_study(texts, known)]
        if alike:
            here[study] = min([*alike, here.get(study, alike[0])])
    return here


def frozen_stamp(corpus: Path) -> str:
    """Changes whenever a study is frozen or revealed; empty before the first."""
    folder = _seals(corpus)
    if not folder.exists():
        return ""
    return f"{folder.stat().st_mtime_ns}.{sum(1 for _ in folder.glob('[0-9]*.json'))}"


def without_frozen(corpus: Path, sql: str, bound: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The query without the answers of frozen studies. Raises UserError if it names a frozen study."""
    frozen = frozen_studies(corpus) if "$responses" in sql else {}
    if not frozen:
        return sql, bound
    if bound.get("study") in frozen:
        raise UserError(hidden_sentence(str(bound["study"]), frozen[bound["study"]]))
    # Every query has to spell it exactly like this: in another spelling it would see hidden answers.
    visible = sql.replace("read_parquet($responses)", _VISIBLE)
    return visible, {**bound, "frozen": list(frozen)}


def hidden_sentence(study_id: str, since: str) -> str:
    """What to show instead of a frozen study's answers."""
    return (
        f"People's answers to {study_id!r} are hidden since {since}. Seal a run of it, then reveal them on its page or "
        f"with: python -m socrates_core reveal {study_id}"
    )


def _seals(corpus: Path) -> Path:
    return corpus.parent.parent / "seals"


@lru_cache(maxsize=8)
def _frozen(folder: Path, _stamp: str) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
    """Since when, and the digests of its texts, by corpus and study_id.

    Revealing a study reveals its copies. Damaged records are skipped here; exposure.seals.read_chain reports them.
    """
    frozen: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            record = read_json(path)
            kind = record["kind"]
            key = tuple(map(str, record["study"] or ()))
            time = str(record["time"])
            texts = frozenset(map(str, record.get("texts") or ()))
        except (UserError, KeyError, TypeError):
            continue
        if kind == "freeze" and len(key) == 2:
            frozen[key[0], key[1]] = time, texts
        elif kind == "reveal" and len(key) == 2:
            copies = [
                other for other, (_, known) in frozen.items() if other == key or is_same_study(known, texts)
            ]
            for other in copies:
                del frozen[other]
    return frozen
