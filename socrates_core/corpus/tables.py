"""The four tables of a corpus: their columns, how they belong together, and what is counted from them."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from socrates_core.corpus.flags import find_flags
from socrates_core.errors import UserError, unknown
from socrates_core.records import DEMOGRAPHICS, Floats, Scale
from socrates_core.scales.order import is_ordered

WORDINGS = ("instrument", "partly", "rebuilt")
DESIGNS = ("between", "within", "mixed")
WHOLE_NUMBERS = ("age", "household_size")

_TEXT = pa.string()
_TEXTS = pa.list_(pa.string())
_INT = pa.int32()
SCHEMAS: dict[str, pa.Schema] = {
    "studies": pa.schema(
        [
            ("study_id", _TEXT),
            ("title", _TEXT),
            ("topic", _TEXT),
            ("source", _TEXT),
            ("url", _TEXT),
            ("licence", _TEXT),
            ("wording", _TEXT),
            ("design", _TEXT),
            ("reference_condition", _INT),
            ("notes", _TEXTS),
            ("n_participants", _INT),
            ("n_conditions", _INT),
            ("n_outcomes", _INT),
            ("n_responses", _INT),
            ("n_off_scale", _INT),
            ("scale_kinds", _TEXTS),
            ("flags", _TEXTS),
        ]
    ),
    "stimuli": pa.schema(
        [
            ("study_id", _TEXT),
            ("stimulus_id", _INT),
            ("condition_num", _INT),
            ("task_num", _INT),
            ("stimulus", _TEXT),
            ("condition_name", _TEXT),
            ("outcome_name", _TEXT),
            ("condition_text", _TEXT),
            ("question", _TEXT),
            ("scale", _TEXT),
        ]
    ),
    "participants": pa.schema(
        [
            ("study_id", _TEXT),
            ("participant", pa.int64()),
            *[(field, _INT if field in WHOLE_NUMBERS else _TEXT) for field in DEMOGRAPHICS],
        ]
    ),
    "responses": pa.schema(
        [
            ("study_id", _TEXT),
            ("sample_id", pa.int64()),
            ("participant", pa.int64()),
            ("stimulus_id", _INT),
            ("response", pa.float64()),
            ("value", pa.float64()),
        ]
    ),
}

# How people were assigned, for studies in which they were not simply drawn one by one; a corpus without any has none.
ASSIGNMENT = pa.schema(
    [
        ("study_id", _TEXT),
        ("participant", pa.int64()),
        ("cluster", _TEXT),
        ("block", _TEXT),
        ("weight", pa.float64()),
    ]
)

_KEYS = {
    "studies": "study_id",
    "stimuli": "stimulus_id",
    "participants": "participant",
    "responses": "sample_id",
}
_COUNTED = (
    "n_participants",
    "n_conditions",
    "n_outcomes",
    "n_responses",
    "n_off_scale",
    "scale_kinds",
    "flags",
    "value",
)


def scale_text(scale: Scale) -> str:
    """A scale as the JSON text that the column `scale` holds."""
    return json.dumps(scale.as_dict(), ensure_ascii=False)


def on_scale(responses: Floats, scale: Scale) -> Floats:
    """The value of the scale that each response [n] is nearest to; NaN if it is off the scale.

    On an ordered scale of whole numbers a fraction (an item mean) is rounded, halves upwards; an open scale takes every
    response as it is. Counts and means use the responses themselves (`analysis.fractions`), since rounding shifts
    means.
    """
    allowed = np.asarray(scale.values, dtype=float)
    if not allowed.size:
        return responses
    whole = is_ordered(scale) and bool(np.all(allowed == np.round(allowed)))
    nearest = np.floor(responses + 0.5) if whole else np.round(responses, 9)
    inside = (responses >= allowed.min()) & (responses <= allowed.max()) & np.isin(nearest, allowed)
    return np.where(inside, nearest, np.nan)


def build_tables(frames: dict[str, pd.DataFrame]) -> dict[str, pa.Table]:
    """Arrow tables by name, checked, with the counted columns and every response's `value` filled in.

    Raises UserError if a column is missing, a key repeats, a response has no stimulus or no participant, or a study
    has no responses.
    """
    for name, frame in frames.items():
        _check_columns(name, frame)
    _check_studies(frames["studies"])
    _check_links(frames)
    responses = _with_values(frames["responses"], frames["stimuli"])
    studies = _with_counts(frames["studies"], frames["stimuli"], responses)
    filled = {**frames, "studies": studies, "responses": responses}
    return {name: _as_table(name, frame) for name, frame in filled.items()}


def assignment_table(frame: pd.DataFrame) -> pa.Table:
    """The Arrow table of people's clusters, blocks, and weights."""
    ordered = frame.sort_values(["study_id", "participant"])
    table = pa.Table.from_pandas(ordered[ASSIGNMENT.names], schema=ASSIGNMENT, preserve_index=False)
    return table.replace_schema_metadata()


def _check_columns(name: str, frame: pd.DataFrame) -> None:
    needed = [column for column in SCHEMAS[name].names if column not in _COUNTED]
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise UserError(f"The table {name!r} lacks {', '.join(missing)}. It needs {', '.join(needed)}.")
    key = list(dict.fromkeys(["study_id", _KEYS[name]]))
    empty = frame[key].isna().any(axis=1)
    if empty.any():
        raise UserError(f"The table {name!r} has {int(empty.sum())} rows without {' and '.join(key)}.")
    repeated = frame.loc[frame.duplicated(key), key]
    if len(repeated):
        first = ", ".join(f"{column} {value!r}" for column, value in repeated.iloc[0].to_dict().items())
        raise UserError(f"The table {name!r} has more than one row for {first}. Keep one.")


def _check_studies(studies: pd.DataFrame) -> None:
    for column, allowed in (("wording", WORDINGS), ("design", DESIGNS)):
        for value in studies[column]:
            if value not in allowed:
                raise unknown(column, value, allowed)


def _check_links(frames: dict[str, pd.DataFrame]) -> None:
    """Every stimulus and participant has its study, every response has both, and no study is empty."""
    studies = frames["studies"]
    responses = frames["responses"]
    for name in ("stimuli", "participants"):
        _refuse_unlinked(name, "study", frames[name], studies, ["study_id"])
    _refuse_unlinked("responses", "stimulus", responses, frames["stimuli"], ["study_id", "stimulus_id"])
    _refuse_unlinked(
        "responses", "participant", responses, frames["participants"], ["study_id", "participant"]
    )
    unanswered = sorted(set(studies["study_id"].unique()) - set(responses["study_id"].unique()))
    if unanswered:
        raise UserError(f"The study {unanswered[0]!r} has no responses. Remove it or add its responses.")


def _refuse_unlinked(
    name: str, what: str, frame: pd.DataFrame, targets: pd.DataFrame, key: Sequence[str]
) -> None:
    known = pd.MultiIndex.from_frame(targets[list(key)])
    alone = ~pd.MultiIndex.from_frame(frame[list(key)]).isin(known)
    if alone.any():
        first = ", ".join(f"{column} {value!r}" for column, value in frame.loc[alone, key].iloc[0].items())
        raise UserError(f"{int(alone.sum())} rows of {name!r} have no {what}; the first is {first}.")


def _with_values(responses: pd.DataFrame, stimuli: pd.DataFrame) -> pd.DataFrame:
    key = ["study_id", "stimulus_id"]
    scales = responses[key].merge(stimuli[[*key, "scale"]], on=key, how="left")["scale"]
    observed = responses["response"].to_numpy(dtype=float)
    values = observed.copy()
    for text, positions in scales.groupby(scales).indices.items():
        values[positions] = on_scale(observed[positions], Scale.from_dict(json.loads(str(text))))
    if "refused" in responses:
        values[responses["refused"].to_numpy(dtype=bool)] = np.nan
    return responses.assign(value=values)


def _with_counts(studies: pd.DataFrame, stimuli: pd.DataFrame, responses: pd.DataFrame) -> pd.DataFrame:
    """The studies with counts and flags of their answers; the flags' sentences are added to the notes."""
    stimuli_of = dict(iter(stimuli.groupby("study_id")))
    responses_of = dict(iter(responses.groupby("study_id")))
    rows = []
    for row in studies.to_dict("records"):
        texts = stimuli_of[row["study_id"]]
        given = responses_of[row["study_id"]]
        rows.append(
            {
                **row,
                **judged(row["notes"], texts, given),
                "n_participants": given["participant"].nunique(),
                "n_conditions": texts["condition_num"].nunique(),
                "n_outcomes": texts["task_num"].nunique(),
                "n_responses": len(given),
            }
        )
    return pd.DataFrame(rows)


def judged(notes: Sequence[str], texts: pd.DataFrame, given: pd.DataFrame) -> dict[Any, Any]:
    """What depends on a study's scales: notes (with the flags' sentences), flags, n_off_scale, scale_kinds."""
    flags = find_flags(texts, given)
    return {
        "notes": [*notes, *flags.values()],
        "flags": list(flags),
        "n_off_scale": int(given["value"].isna().sum()),
        "scale_kinds": _kinds(texts["scale"]),
    }


def _kinds(scales: pd.Series) -> list[str]:
    return sorted({json.loads(text)["kind"] for text in scales.dropna().unique()})


def _as_table(name: str, frame: pd.DataFrame) -> pa.Table:
    schema = SCHEMAS[name]
    ordered = frame.sort_values(list(dict.fromkeys(["study_id", _KEYS[name]])))
    try:
        # Without pandas' metadata, which name its version: the digest of a corpus must not depend on that.
        return pa.Table.from_pandas(
            ordered[schema.names], schema=schema, preserve_index=False
        ).replace_schema_metadata()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise UserError(f"The table {name!r} holds values of the wrong type: {error}.") from error
