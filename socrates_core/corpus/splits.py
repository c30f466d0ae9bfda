"""Splits: which part of a corpus a model may learn from and which part measures it. Records with digests, in JSON.

A split names what it holds out (studies, conditions, outcomes or participants); its rows are selected from the corpus
when needed. splits_make.py makes splits, splits_check.py compares their sides.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from socrates_core import settings
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import EDITED, UserError, quoted, unknown
from socrates_core.files import digest, read_json, write_text

FORMAT = "socrates-split"
VERSION = 1
Kind = Literal["studies", "conditions", "outcomes", "participants"]
Side = Literal["train", "eval"]
KINDS: tuple[Kind, ...] = ("studies", "conditions", "outcomes", "participants")
UNITS = {"studies": "0", "conditions": "condition_num", "outcomes": "task_num", "participants": "participant"}
Ids = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Split:
    """What is held out of a corpus for evaluation; the rest of `studies` is for training.

    `held_out` has by study the condition_nums, task_nums or participants; for whole studies it is {study_id: (0,)}.
    `left_out` has by study the sample_ids on neither side. If `apart`, a held-out stimulus whose text is also trained
    on is on neither side. `seed` is None for a split that others published, which `source` names.
    """

    name: str
    corpus: str
    corpus_digest: str
    kind: Kind
    seed: int | None
    source: str
    studies: tuple[str, ...]
    held_out: Ids
    left_out: Ids
    apart: bool

    def as_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, "version": VERSION, **vars(self)}

    def digest(self) -> str:
        """SHA-256 in hex of everything in the split but its name."""
        return digest(replace(self, name="").as_dict())


def corpus_digest(corpus: Corpus) -> str:
    """SHA-256 in hex of the digests of a corpus' files."""
    return digest(corpus.manifest["sha256"])


def splits() -> list[str]:
    """The names of the splits on this machine, in alphabetical order."""
    return sorted(path.stem for path in (settings.home() / "splits").glob("[!.]*.json"))


def splits_stamp() -> str:
    """Changes whenever a split is saved or removed."""
    folder = settings.home() / "splits"
    return " ".join(f"{name} {(folder / f'{name}.json').stat().st_mtime_ns}" for name in splits())


def sides_of_studies(corpus: str) -> dict[str, list[str]]:
    """What the splits of a corpus do with each study: "mine: held out", "mine: some conditions held out", ...

    A split that cannot be read is skipped.
    """
    sides: dict[str, list[str]] = {}
    for name in splits():
        try:
            split = load_split(name)
        except UserError:
            continue
        held = "held out" if split.kind == "studies" else f"some {split.kind} held out"
        for study in split.studies if split.corpus == corpus else ():
            sides.setdefault(study, []).append(
                f"{name}: {held if split.held_out.get(study) else 'trained on'}"
            )
    return sides


def save_split(split: Split) -> Path:
    """Saves a split under its name, in place of one of that name; returns its file."""
    path = settings.folder("splits") / f"{check_name(split.name)}.json"
    write_text(path, json.dumps({**split.as_dict(), "digest": split.digest()}, ensure_ascii=False) + "\n")
    return path


def check_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise UserError(
            f"{name!r} cannot name a split. Use up to 64 lower-case letters, digits, '-' and '_'."
        )
    return name


def load_split(name: str) -> Split:
    """The split called `name`. Raises UserError if there is none or its file was changed."""
    if name not in splits():
        raise unknown("split", name, splits(), "Make one with: python -m socrates_core split make NAME")
    path = settings.home() / "splits" / f"{name}.json"
    stored = read_json(path)
    if not isinstance(stored, dict) or (stored.get("format"), stored.get("version")) != (FORMAT, VERSION):
        raise UserError(f"{str(path)!r} is not a split in this program's format, version {VERSION}.")
    fields = {key: value for key, value in stored.items() if key not in ("format", "version", "digest")}
    try:
        ids = {
            key: {study: tuple(listed) for study, listed in fields[key].items()}
            for key in ("held_out", "left_out")
        }
        split = Split(**{**fields, **ids, "studies": tuple(fields["studies"])})
    except EDITED as error:
        raise UserError(f"{str(path)!r} is damaged ({quoted(error)}). Make the split again.") from error
    if split.digest() != stored.get("digest") or split.kind not in KINDS:
        raise UserError(
            f"{str(path)!r} was changed after it was written: its digest differs. Make the split again."
        )
    return split


def split_rows(corpus: Corpus, split: Split, side: Side) -> pd.DataFrame:
    """The responses on one side: study_id, sample_id, participant, stimulus_id, in order.

    Raises UserError if the corpus is not the one that was split.
    """
    return select(
        corpus,
        split,
        f"SELECT * EXCLUDE (side) FROM placed WHERE side = '{side}' ORDER BY study_id, sample_id",
    )


def select(corpus: Corpus, split: Split, sql: str, **bound: Any) -> pd.DataFrame:
    """Runs a query over `placed`: study_id, sample_id, participant, stimulus_id, side ("train", "eval" or NULL).

    The query may also use `texts` with study_id, stimulus_id, stimulus. Raises UserError if the corpus is not the one
    that was split.
    """
    if corpus_digest(corpus) != split.corpus_digest:
        raise UserError(
            f"The corpus {corpus.name!r} is not the one that {split.name!r} splits: it was written again since. "
            "Make the split again, then train and evaluate with the new one."
        )
    held_studies, held_ids = _listed(split.held_out)
    left_studies, left_ids = _listed(split.left_out)
    return corpus.ask(
        f"{_PLACED.format(unit=UNITS[split.kind])} {sql}",
        studies=list(split.studies),
        held_study=held_studies,
        held_id=held_ids,
        left_study=left_studies,
        left_id=left_ids,
        apart=split.apart,
        **bound,
    )


# `apart` compares texts, so it is decided for every stimulus before the responses are read.
_PLACED = """
WITH held AS (SELECT unnest($held_study::VARCHAR[]) AS study_id, unnest($held_id::BIGINT[]) AS id),
left_out AS (SELECT unnest($left_study::VARCHAR[]) AS study_id, unnest($left_id::BIGINT[]) AS sample_id),
texts AS (
    SELECT study_id, stimulus_id, condition_num, task_num, stimulus FROM read_parquet($stimuli)
    WHERE list_contains($studies, study_id)
),
rows AS (
    SELECT r.study_id, r.sample_id, r.participant, r.stimulus_id, h.id IS NOT NULL AS is_held
    FROM read_parquet($responses) r JOIN texts USING (study_id, stimulus_id)
    LEFT JOIN held h ON h.study_id = r.study_id AND h.id = {unit}
    ANTI JOIN left_out l ON l.study_id = r.study_id AND l.sample_id = r.sample_id
),
trained AS (
    SELECT DISTINCT stimulus FROM texts
    SEMI JOIN (SELECT DISTINCT study_id, stimulus_id FROM rows WHERE NOT is_held) USING (study_id, stimulus_id)
),
shared AS (SELECT study_id, stimulus_id FROM texts SEMI JOIN trained USING (stimulus) WHERE $apart),
placed AS (
    SELECT r.study_id, r.sample_id, r.participant, r.stimulus_id,
        CASE WHEN NOT is_held THEN 'train' WHEN s.stimulus_id IS NULL THEN 'eval' END AS side
    FROM rows r LEFT JOIN shared s USING (study_id, stimulus_id)
)
"""


def _listed(ids: Ids) -> tuple[list[str], list[int]]:
    pairs = [(study, unit) for study, units in ids.items() for unit in units]
    return [study for study, _ in pairs], [unit for _, unit in pairs]
