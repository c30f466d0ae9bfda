"""Scales that a person set by hand: set, cleared, and laid over a corpus whenever it is read.

They are kept in `overrides/<corpus>.json` next to the corpora, by study and digest of the stimulus' text, so they
outlive a new import. The corpus' own files stay as they were written.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock

from socrates_core.errors import EDITED, UserError, quoted, unknown
from socrates_core.files import read_json, read_parquet, write_json
from socrates_core.records import Scale, Stimulus
from socrates_core.scales import parse_scale
from socrates_core.scales.order import is_ordered

FORMAT = "socrates-scales"
VERSION = 1
Key = tuple[str, str]  # study_id and the digest of a stimulus' text
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


class StimuliOf(Protocol):
    """The part of a `Corpus` that setting a scale needs; the corpus itself reads this module."""

    path: Path

    def stimuli(self, study_id: str) -> list[Stimulus]: ...


def set_scale(corpus: StimuliOf, study_id: str, stimulus_id: int, scale: Scale | str) -> Scale:
    """Sets the scale of a stimulus, given as a scale or as an instruction; returns the scale.

    It applies to every stimulus of the study with the same text, to people's answers too, and after the study is
    imported again. Raises UserError for an unknown stimulus or an instruction without a scale.
    """
    return set_scales(corpus, [_stimulus(corpus, study_id, stimulus_id)], scale)


def set_scales(corpus: StimuliOf, stimuli: Sequence[Stimulus], scale: Scale | str) -> Scale:
    """Sets one scale for many stimuli, all or none. Raises UserError for an instruction without a scale."""
    parsed = parse_scale(scale) if isinstance(scale, str) else scale
    if parsed is None:
        raise UserError(
            f"No answer scale was found in {str(scale)[-120:]!r}. "
            "Write for example 'Only return an integer from 1 to 7, nothing else.'"
        )
    _change(corpus.path, stimuli, parsed)
    return parsed


def clear_scale(corpus: StimuliOf, study_id: str, stimulus_id: int) -> None:
    """Gives a stimulus back the scale that was read from its text. Raises UserError if none was set by hand."""
    stimulus = _stimulus(corpus, study_id, stimulus_id)
    if not set_by_hand(corpus, [stimulus]):
        raise UserError(
            f"The scale of stimulus {stimulus_id} of {study_id!r} was not set by hand; nothing to clear."
        )
    clear_scales(corpus, [stimulus])


def clear_scales(corpus: StimuliOf, stimuli: Sequence[Stimulus]) -> None:
    """Gives many stimuli back the scales that were read from their texts."""
    _change(corpus.path, stimuli, None)


def set_by_hand(corpus: StimuliOf, stimuli: Sequence[Stimulus]) -> list[Stimulus]:
    """Those of `stimuli` whose scale was set by hand."""
    overrides = read_overrides(corpus.path)
    return [stimulus for stimulus in stimuli if _key(stimulus) in overrides]


def overrides_path(corpus: Path) -> Path:
    """The file with the scales set by hand for the corpus in the folder `corpus`."""
    return corpus.parent.parent / "overrides" / f"{corpus.name}.json"


def overrides_stamp(corpus: Path) -> str:
    """Changes whenever a scale is set by hand; empty if none is."""
    path = overrides_path(corpus)
    return str(path.stat().st_mtime_ns) if path.exists() else ""


def read_overrides(corpus: Path) -> dict[Key, Scale]:
    """The scales set by hand, by study_id and digest of the stimulus' text. Raises UserError for a damaged file."""
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


def by_hand(corpus: Path) -> dict[str, tuple[tuple[str, Scale], ...]]:
    """The scales set by hand of each study that has some: pairs of the text's digest and its scale."""
    stamp = overrides_stamp(corpus)
    return _by_hand(corpus, stamp) if stamp else {}


@lru_cache(maxsize=16)
def _by_hand(corpus: Path, _stamp: str) -> dict[str, tuple[tuple[str, Scale], ...]]:
    scales: dict[str, tuple[tuple[str, Scale], ...]] = {}
    for (study, text), scale in read_overrides(corpus).items():
        scales[study] = (*scales.get(study, ()), (text, scale))
    return scales


def lay_over(corpus: Path, sql: str, bound: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The query with the scales set by hand in place of the stored ones, in stimuli and in responses."""
    stamp = overrides_stamp(corpus)
    if not stamp or not ("($stimuli)" in sql or "($responses)" in sql):
        return sql, bound
    state = (corpus / "stimuli.parquet").stat()
    columns = _columns(corpus, stamp, state.st_mtime_ns, state.st_ino)
    if not columns["set_study"]:
        return sql, bound
    laid_over = sql.replace("read_parquet($stimuli)", _STIMULI).replace(
        "read_parquet($responses)", _RESPONSES
    )
    return laid_over, {**bound, **columns}


@lru_cache(maxsize=16)
def _columns(corpus: Path, _stamp: str, _changed: int, _inode: int) -> dict[str, list[Any]]:
    """The columns of `_SET`, a row for each stimulus whose scale was set by hand."""
    overrides = read_overrides(corpus)
    studies = pa.array(sorted({study for study, _ in overrides}), pa.string())
    table = read_parquet(corpus / "stimuli.parquet", ["study_id", "stimulus_id", "stimulus", "scale"])
    rows = table.filter(pc.is_in(table["study_id"], studies)).to_pylist()
    columns: dict[str, list[Any]] = {
        f"set_{name}": [] for name in ("study", "stimulus", *_row(Scale("range", 0, 1)))
    }
    for row in rows:
        scale = overrides.get((row["study_id"], _digest(row["stimulus"])))
        if scale is not None:
            ids = {"study": row["study_id"], "stimulus": row["stimulus_id"]}
            for name, value in {**ids, **_row(scale), "unread": row["scale"] is None}.items():
                columns[f"set_{name}"].append(value)
    return columns


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


def _digest(text: str) -> str:
    # A text may hold half of a surrogate pair, which strict UTF-8 refuses.
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _key(stimulus: Stimulus) -> Key:
    return stimulus.study_id, _digest(stimulus.stimulus)


def _stimulus(corpus: StimuliOf, study_id: str, stimulus_id: int) -> Stimulus:
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study_id)}
    if stimulus_id not in stimuli:
        raise unknown("stimulus", stimulus_id, stimuli, f"The numbers are those of the study {study_id!r}.")
    return stimuli[stimulus_id]


def _change(corpus: Path, stimuli: Sequence[Stimulus], scale: Scale | None) -> None:
    """Sets the scale of the stimuli, or clears it where `scale` is None."""
    keys = {_key(stimulus) for stimulus in stimuli}
    path = overrides_path(corpus)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with FileLock(path.with_suffix(".lock")):
        scales = {key: other for key, other in read_overrides(corpus).items() if key not in keys}
        if scale is not None:
            scales |= dict.fromkeys(keys, scale)
        rows = [
            {"study_id": study, "stimulus": digest, "scale": scales[study, digest].as_dict()}
            for study, digest in sorted(scales)
        ]
        write_json(path, {"format": FORMAT, "version": VERSION, "scales": rows})
