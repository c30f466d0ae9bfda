"""Studies whose answers stay hidden until they are revealed, read from the chain of seals beside the corpora.

Every question to a corpus passes here, so that pages, exports and commands hide the same. Who opens the Parquet files
with another program sees everything: it keeps honest people honest. Freezing and revealing is in sealing.py.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from socrates_core.corpus.held import is_same_study, texts_of_studies
from socrates_core.errors import UserError
from socrates_core.files import read_json

_SHOWN = "(SELECT * FROM read_parquet($responses) WHERE NOT list_contains($frozen, study_id))"


def frozen_studies(corpus: Path) -> dict[str, str]:
    """Since when each frozen study of the corpus in the folder `corpus` is frozen, by study_id.

    A study is frozen by its texts, so that a copy under another name, or a part of it, is frozen too.
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
    """The query without the answers of frozen studies. Raises UserError where it asks for those of one by name."""
    frozen = frozen_studies(corpus) if "$responses" in sql else {}
    if not frozen:
        return sql, bound
    if bound.get("study") in frozen:
        raise UserError(hidden(str(bound["study"]), frozen[bound["study"]]))
    shown = sql.replace("read_parquet($responses)", _SHOWN)
    return shown, {**bound, "frozen": list(frozen)}


def hidden(study_id: str, since: str) -> str:
    """What to say in the place of a frozen study's answers."""
    return (
        f"People's answers to {study_id!r} are hidden since {since}. Seal a run of it, then reveal them on its page or "
        f"with: python -m socrates_core reveal {study_id}"
    )


def _seals(corpus: Path) -> Path:
    return corpus.parent.parent / "seals"


@lru_cache(maxsize=8)
def _frozen(folder: Path, _stamp: str) -> dict[tuple[str, str], tuple[str, frozenset[str]]]:
    """Since when, and the digests of its texts, by corpus and study_id.

    Revealing a study reveals its copies. A damaged record is passed over here; see sealing.read_chain.
    """
    found: dict[tuple[str, str], tuple[str, frozenset[str]]] = {}
    for path in sorted(folder.glob("[0-9]*.json")):
        try:
            record = read_json(path)
            kind, key, time = record["kind"], tuple(map(str, record["study"] or ())), str(record["time"])
            texts = frozenset(map(str, record.get("texts") or ()))
        except (UserError, KeyError, TypeError):
            continue
        if kind == "freeze" and len(key) == 2:
            found[key[0], key[1]] = time, texts
        elif kind == "reveal" and len(key) == 2:
            shown = [each for each, (_, own) in found.items() if each == key or is_same_study(own, texts)]
            for each in shown:
                del found[each]
    return found
