"""Makes splits: a seeded share of any corpus, or those that the authors of SocSci210 published."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import KINDS, UNITS, Ids, Kind, Split, check_name, corpus_digest
from socrates_core.corpus.splits_check import check_split
from socrates_core.errors import EDITED, UserError, quoted, unknown
from socrates_core.files import read_json

OFFICIAL = {
    "studies": "participant_mapping.json",
    "conditions": "condition_mapping.json",
    "outcomes": "task_mapping.json",
}


def make_split(
    corpus: Corpus,
    kind: str,
    *,
    name: str,
    share: float = 0.25,
    seed: int = 0,
    studies: Sequence[str] | None = None,
) -> Split:
    """Holds out a share of the studies, or of every study's conditions, outcomes or participants.

    The same seed gives the same split of the same corpus. Studies are drawn evenly over designs, topics and sizes,
    participants evenly over studies and conditions. A study's reference condition, its last outcome, and conditions
    or outcomes without a text of their own are never held out. Raises UserError if there is too little to split.
    """
    chosen_kind = _kind(kind)
    if not 0 < share < 1:
        raise UserError(f"The share is {share!r}. Give the held-out share as a number between 0 and 1.")
    chosen = sorted({corpus.study(study).study_id for study in studies or corpus.study_ids()})
    rng = np.random.default_rng(seed)
    if kind == "studies":
        held = _hold_studies(corpus, chosen, share, rng)
    elif kind == "participants":
        held = _hold_participants(corpus, chosen, share, rng)
    else:
        held = _hold_cells(corpus, chosen, kind, share, rng)
    if not held:
        raise UserError(
            f"No study of {corpus.name!r} has enough {kind} of its own to hold some out and keep others."
        )
    source = f"{share:g} of the {kind}, drawn with seed {seed}"
    apart = chosen_kind != "participants"  # whose sides show the same texts
    split = Split(
        name=check_name(name),
        corpus=corpus.name,
        corpus_digest=corpus_digest(corpus),
        kind=chosen_kind,
        seed=seed,
        source=source,
        studies=tuple(chosen),
        held_out=held,
        left_out={},
        apart=apart,
    )
    check_split(corpus, split)
    return split


def _kind(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise unknown("kind of split", kind, KINDS)


def _hold_studies(corpus: Corpus, chosen: list[str], share: float, rng: np.random.Generator) -> Ids:
    frame = corpus.studies()
    frame = frame[frame["study_id"].isin(chosen)].assign(order=lambda rows: rng.random(len(rows)))
    if len(frame) < 2:
        return {}
    frame = frame.assign(large=frame["n_responses"] > frame["n_responses"].median())
    ordered = frame.sort_values(["design", "topic", "large", "order"])
    return {str(study): (0,) for study in sorted(ordered["study_id"].iloc[_evenly(len(frame), share, rng)])}


def _hold_participants(corpus: Corpus, chosen: list[str], share: float, rng: np.random.Generator) -> Ids:
    people = corpus.ask(
        "SELECT study_id, participant, min(condition_num) AS condition FROM read_parquet($responses) r "
        "JOIN read_parquet($stimuli) s USING (study_id, stimulus_id) WHERE list_contains($studies, study_id) "
        "GROUP BY ALL ORDER BY ALL",
        studies=chosen,
    )
    if len(people) < 2:
        return {}
    ordered = people.assign(order=rng.random(len(people))).sort_values(["study_id", "condition", "order"])
    return _by_study(ordered.iloc[_evenly(len(people), share, rng)], "participant")


def _hold_cells(corpus: Corpus, chosen: list[str], kind: str, share: float, rng: np.random.Generator) -> Ids:
    unit = UNITS[kind]
    texts = corpus.ask(
        f"SELECT study_id, {unit} AS id, bool_or(n = 1) AS has_own_text FROM ("
        f"SELECT study_id, {unit}, count(DISTINCT {unit}) OVER (PARTITION BY study_id, stimulus) AS n "
        "FROM read_parquet($stimuli) WHERE list_contains($studies, study_id)) GROUP BY ALL ORDER BY ALL",
        studies=chosen,
    )
    held: dict[str, tuple[int, ...]] = {}
    for study, rows in texts.groupby("study_id"):
        ids = rows["id"].to_numpy()
        reference = corpus.study(str(study)).reference_condition if kind == "conditions" else ids[-1]
        kept = ids[0] if reference is None else reference
        free = ids[rows["has_own_text"].to_numpy() & (ids != kept)]
        n = min(max(round(share * len(ids)), 1), len(free))
        if n:
            held[str(study)] = tuple(sorted(int(unit) for unit in rng.permutation(free)[:n]))
    return held


def _evenly(n: int, share: float, rng: np.random.Generator) -> Any:
    """Positions [k] at equal distances among n from a random start: at least one, never all."""
    k = min(max(round(share * n), 1), n - 1)
    return np.floor((np.arange(k) + rng.random()) * n / k).astype(int)


def _by_study(rows: pd.DataFrame, column: str) -> Ids:
    return {str(study): tuple(sorted(map(int, units[column]))) for study, units in rows.groupby("study_id")}


def read_official(corpus: Corpus, kind: str, *, name: str, path: Path | None = None) -> Split:
    """The split that SocSci210's authors published, which came with the corpus or is in a file or folder `path`.

    Studies and rows that the corpus lacks are skipped; `source` says how many rows. Every condition or outcome has to
    be on one side, as the authors say; rows on neither side stay out. Raises UserError if there is no such file or it
    does not fit.
    """
    if kind not in OFFICIAL:
        raise unknown("kind of official split", kind, OFFICIAL)
    file = _official_file(corpus.path if path is None else path, OFFICIAL[kind])
    stored = read_json(file)
    left: Ids = {}
    n_absent = 0
    try:
        if kind == "studies":
            studies, held = _hold_unseen(corpus, stored["seen"], stored["unseen"])
        else:
            studies = sorted(set(stored) & set(corpus.study_ids()))
            listed = {study: (stored[study]["train"], stored[study]["eval"]) for study in studies}
            held, left, n_absent = _hold_listed(corpus, listed, kind)
    except EDITED as error:
        raise UserError(
            f"{str(file)!r} is not a {OFFICIAL[kind]!r} like SocSci210's ({quoted(error)})."
        ) from error
    if not any(held.values()):
        raise UserError(f"The corpus {corpus.name!r} has nothing of what {str(file)!r} holds out.")
    source = file.name + (f" ({n_absent:,} of its rows are not in the corpus)" if n_absent else "")
    split = Split(
        name=check_name(name),
        corpus=corpus.name,
        corpus_digest=corpus_digest(corpus),
        kind=_kind(kind),
        seed=None,
        source=source,
        studies=tuple(studies),
        held_out=held,
        left_out=left,
        apart=False,
    )
    check_split(corpus, split)
    return split


def official_kinds(corpus: Corpus) -> list[str]:
    """The kinds of official split whose files came with the corpus."""
    return [kind for kind, name in OFFICIAL.items() if any(map(Path.is_file, _places(corpus.path, name)))]


def _places(path: Path, file_name: str) -> tuple[Path, Path]:
    """Where a folder may hold the file: directly or in its `metadata`."""
    return path / file_name, path / "metadata" / file_name


def _official_file(path: Path, file_name: str) -> Path:
    """The file `path`, or the file of that name in the folder or its `metadata`."""
    for file in (path, *_places(path, file_name)):
        if file.is_file():
            return file
    raise UserError(
        f"There is no file {file_name!r} in {str(path)!r}. SocSci210 has it in its folder 'metadata'; say where "
        "it is with --mapping."
    )


def _hold_unseen(corpus: Corpus, seen: Sequence[str], unseen: Sequence[str]) -> tuple[list[str], Ids]:
    """The studies on either side, and those held out."""
    both = sorted(set(seen) & set(unseen))
    if both:
        raise UserError(f"The file has the study {both[0]!r} on both sides.")
    known = corpus.study_ids()
    held = dict.fromkeys((study for study in known if study in set(unseen)), (0,))
    return [study for study in known if study in held or study in set(seen)], held


def _hold_listed(
    corpus: Corpus, listed: dict[str, tuple[list[int], list[int]]], kind: str
) -> tuple[Ids, Ids, int]:
    """What is held out, given sample_ids (train, eval); the sample_ids on neither side; how many the corpus lacks.

    Raises TypeError for a sample_id that is not a whole number.
    """
    unit = UNITS[kind]
    n_absent = 0
    # Not isinstance, which takes true and false for whole numbers.
    wrong = [row for sides in listed.values() for side in sides for row in side if type(row) is not int]
    if wrong:
        raise TypeError(f"sample_id {wrong[0]!r}")
    rows = corpus.ask(
        f"SELECT study_id, sample_id, {unit} AS id FROM read_parquet($responses) r "
        "JOIN read_parquet($stimuli) s USING (study_id, stimulus_id) WHERE list_contains($studies, study_id)",
        studies=list(listed),
    )
    held: dict[str, tuple[int, ...]] = {}
    left: dict[str, tuple[int, ...]] = {}
    for study, rows_of_study in rows.groupby("study_id"):
        n_absent += len(set[int]().union(*listed[str(study)]) - set(rows_of_study["sample_id"]))
        train, evaluated = (rows_of_study["sample_id"].isin(ids) for ids in listed[str(study)])
        both = (train & evaluated).any() or set(rows_of_study.loc[train, "id"]) & set(
            rows_of_study.loc[evaluated, "id"]
        )
        if both:
            raise UserError(
                f"The file has rows of one {kind[:-1]} of {study!r} on both sides; it cannot be a split by {kind}."
            )
        held[str(study)] = tuple(sorted({int(unit) for unit in rows_of_study.loc[evaluated, "id"]}))
        left[str(study)] = tuple(
            sorted(int(row) for row in rows_of_study.loc[~train & ~evaluated, "sample_id"])
        )
    return held, {study: ids for study, ids in left.items() if ids}, n_absent
