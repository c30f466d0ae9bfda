"""Scales that a person set by hand, laid over a corpus whenever it is read; the corpus' own files stay as written.

They stand in `overrides/<corpus>.json` beside the corpora, keyed by study and the digest of the stimulus' text, so
that they outlive a new import.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import read_json, read_parquet
from socrates_core.records import Scale
from socrates_core.scales.order import is_ordered

FORMAT = "socrates-scales"
VERSION = 1
Key = tuple[str, str]
# A row is a stimulus with its new scale: values from `first` to `last` in steps, or those of `listed`, or any.
_SET = (
    "(SELECT unnest($set_study) AS study_id, unnest($set_stimulus)::INTEGER AS stimulus_id, "
    "unnest($set_scale) AS new_scale, unnest($set_unread) AS unread, unnest($set_whole) AS whole, "
    "unnest($set_first)::DOUBLE AS first, unnest($set_last)::DOUBLE AS last, unnest($set_step)::DOUBLE AS step, "
    "unnest($set_listed::DOUBLE[][]) AS listed)"
)
_STIMULI = (
    "(SELECT s.* REPLACE (coalesce(o.new_scale, s.scale) AS scale) "
    f"FROM read_parquet($stimuli) s LEFT JOIN {_SET} o USING (study_id, stimulus_id))"
)
_NEAREST = "CASE WHEN whole THEN floor(response + 0.5) ELSE response END"
_STEPS = f"(({_NEAREST} - first) / step)"
# The rule of tables.on_scale; what was refused on an unread scale stays refused.
_RESPONSES = f"""
(SELECT r.* REPLACE (
    CASE WHEN o.stimulus_id IS NULL OR (unread AND value IS NULL) THEN value
         WHEN first IS NULL THEN response
         WHEN response NOT BETWEEN first AND last THEN NULL
         WHEN len(listed) > 0 THEN list_filter(listed, lambda x: abs(x - {_NEAREST}) < 1e-9)[1]
         WHEN abs({_STEPS} - round({_STEPS})) * step < 1e-9 THEN round(first + round({_STEPS}) * step, 9)
    END AS value)
 FROM read_parquet($responses) r LEFT JOIN {_SET} o USING (study_id, stimulus_id))
"""


def overrides_path(corpus: Path) -> Path:
    """The file with the scales set by hand for the corpus in the folder `corpus`."""
    return corpus.parent.parent / "overrides" / f"{corpus.name}.json"


def text_digest(stimulus: str) -> str:
    """SHA-256 in hex of a stimulus' text."""
    return sha256(stimulus.encode("utf-8", "surrogatepass")).hexdigest()


def read_overrides(corpus: Path) -> dict[Key, Scale]:
    """The scales set by hand, by study_id and digest of the stimulus' text. Raises UserError where damaged."""
    path = overrides_path(corpus)
    if not path.exists():
        return {}
    stored = read_json(path)
    if not isinstance(stored, dict) or (stored.get("format"), stored.get("version")) != (FORMAT, VERSION):
        raise UserError(f"{str(path)!r} does not hold scales in this program's format, version {VERSION}.")
    try:
        rows = stored["scales"]
        return {(row["study_id"], row["stimulus"]): Scale.from_dict(row["scale"]) for row in rows}
    except EDITED as error:
        raise UserError(
            f"{str(path)!r} is damaged: a scale in it cannot be read ({quoted(error)})."
        ) from error


def overrides_stamp(corpus: Path) -> str:
    """Changes whenever a scale is set by hand; empty where none is."""
    path = overrides_path(corpus)
    return str(path.stat().st_mtime_ns) if path.exists() else ""


def by_hand(corpus: Path) -> dict[str, tuple[tuple[str, Scale], ...]]:
    """The scales set by hand of each study that has some: pairs of the text's digest and its scale."""
    stamp = overrides_stamp(corpus)
    return _by_hand(corpus, stamp) if stamp else {}


@lru_cache(maxsize=16)
def _by_hand(corpus: Path, _stamp: str) -> dict[str, tuple[tuple[str, Scale], ...]]:
    found: dict[str, tuple[tuple[str, Scale], ...]] = {}
    for (study, text), scale in read_overrides(corpus).items():
        found[study] = (*found.get(study, ()), (text, scale))
    return found


def lay_over(corpus: Path, sql: str, bound: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The query with the scales set by hand in the place of the stored ones, in stimuli and in responses."""
    stamp = overrides_stamp(corpus)
    if not stamp or not ("($stimuli)" in sql or "($responses)" in sql):
        return sql, bound
    state = (corpus / "stimuli.parquet").stat()
    told = _bound(corpus, stamp, state.st_mtime_ns, state.st_ino)
    if not told["set_study"]:
        return sql, bound
    laid = sql.replace("read_parquet($stimuli)", _STIMULI).replace("read_parquet($responses)", _RESPONSES)
    return laid, {**bound, **told}


@lru_cache(maxsize=16)
def _bound(corpus: Path, stamp: str, changed: int, inode: int) -> dict[str, list[Any]]:
    """What `_SET` is bound to: a list a column."""
    overrides = read_overrides(corpus)
    columns = ["study_id", "stimulus_id", "stimulus", "scale"]
    studies = pa.array(sorted({study for study, _ in overrides}), pa.string())
    table = read_parquet(corpus / "stimuli.parquet", columns)
    rows = table.filter(pc.is_in(table["study_id"], studies)).to_pylist()
    told: dict[str, list[Any]] = {
        f"set_{name}": [] for name in ("study", "stimulus", *_row(Scale("range", 0, 1)))
    }
    for row in rows:
        scale = overrides.get((row["study_id"], text_digest(row["stimulus"])))
        if scale is not None:
            known = {"study": row["study_id"], "stimulus": row["stimulus_id"]}
            for name, value in {**known, **_row(scale), "unread": row["scale"] is None}.items():
                told[f"set_{name}"].append(value)
    return told


def _row(scale: Scale) -> dict[str, Any]:
    values = np.asarray(scale.values, dtype=float)
    return {
        "scale": json.dumps(scale.as_dict(), ensure_ascii=False),
        "unread": False,
        "whole": is_ordered(scale) and bool(np.all(values == np.round(values))),
        "step": float(scale.step),
        "first": float(values[0]) if values.size else None,
        "last": float(values[-1]) if values.size else None,
        "listed": values.tolist() if scale.kind == "enum_labels" else [],
    }
