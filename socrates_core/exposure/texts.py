"""Whether a model has seen what a draft says: the draft's texts compared with all texts it was trained on."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.corpus.splits_check import MOST_COMPARED
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.corpus.text_vectors import character_vectors
from socrates_core.errors import UserError
from socrates_core.exposure.status import (
    NOT_TRAINED,
    PRETRAINED,
    Status,
    is_socsci210,
    official_sides,
    statuses,
)
from socrates_core.models.seen import N_OFFICIAL, Seen
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.human_answers import study_behind
from socrates_core.surveys.originals import CellKey

Ids = tuple[int, ...] | None
# A corpus with its digest and its trained studies, each with the conditions and outcomes (None: all).
Wanted = tuple[str, str, tuple[tuple[str, Ids, Ids], ...]]


@dataclass(frozen=True)
class NearSeen:
    """A text of a draft (`what`) and the study with the most similar text that was trained on; `likeness` in [0, 1]."""

    what: str
    corpus: str
    study_id: str
    likeness: float


@dataclass(frozen=True)
class DraftVerdict:
    """Whether the texts of a draft were seen, with the reason and the texts that were, the most similar first.

    "partly": some texts were seen. "unknown": none was found, but not everything could be compared.
    """

    status: Status
    reason: str
    near: tuple[NearSeen, ...] = ()


def near_seen(draft: Draft, seen: Seen, least: float = 0.9) -> list[NearSeen]:
    """The conditions and questions of a draft that are nearly the same as one that was trained on.

    The likeness is that of `splits_check.near_duplicates`: the cosine of the counts of five characters in a row.
    Only texts of corpora on this machine can be compared.
    """
    mine = _texts_of(draft)
    places, vectors = _trained(_wanted(seen)[0])
    if not mine or not places:
        return []
    alike = (character_vectors(list(mine.values())) @ vectors.T).toarray().clip(0, 1)
    best = alike.argmax(axis=1)
    near = [
        NearSeen(what, *places[int(at)], float(alike[row, at]))
        for row, (what, at) in enumerate(zip(mine, best, strict=True))
        # A likeness of exactly `least` may be rounded to a little less.
        if alike[row, at] >= least - 1e-9
    ]
    return sorted(near, key=lambda text: -text.likeness)


def draft_status(draft: Draft, seen: Seen, least: float = 0.9) -> DraftVerdict:
    """Whether a model has seen what a draft says, by the texts that are nearly the same."""
    near = tuple(near_seen(draft, seen, least))
    n = len(_texts_of(draft))
    if near:
        reason = f"{len(near)} of {n} texts of the draft are nearly the same as one that was trained on."
        return DraftVerdict("seen" if len(near) == n else "partly", reason, near)
    missing = _wanted(seen)[1]
    if not seen.known:
        return DraftVerdict("unknown", seen.note or "The model's card does not say what it was trained on.")
    if missing:
        reason = (
            f"The texts of {missing} studies that it was trained on are not on this machine to be compared."
        )
        return DraftVerdict("unknown", reason)
    trained = seen.trainings or seen.studies or seen.official
    return DraftVerdict(
        "unseen",
        f"No text that it was trained on is nearly the same. {PRETRAINED}"
        if trained
        else f"{NOT_TRAINED} {PRETRAINED}",
    )


def cells_seen(draft: Draft, texts: Mapping[CellKey, str], seen: Seen) -> dict[CellKey, Status]:
    """Whether a model saw each cell of a draft that people were asked word for word."""
    behind = study_behind(draft, texts)
    if behind is None:
        return {}
    rows = [
        {"study_id": behind.study_id, "condition_num": s.condition_num, "task_num": s.task_num}
        for s in behind.stimuli.values()
    ]
    return dict(zip(behind.stimuli, statuses(seen, behind.corpus, pd.DataFrame(rows))["status"], strict=True))


def _texts_of(draft: Draft) -> dict[str, str]:
    """The texts of a draft, each under its name, without the empty ones."""
    texts = {f"condition {part.name!r}": part.text for part in draft.conditions}
    texts |= {f"outcome {part.name!r}": part.question for part in draft.outcomes}
    return {what: text.strip() for what, text in texts.items() if text.strip()}


def _wanted(seen: Seen) -> tuple[tuple[Wanted, ...], int]:
    """What the model was trained on in the corpora on this machine, and how many of its studies are in none."""
    here = (
        {name: corpus for name in corpora() if (corpus := _opened(name)) is not None} if seen.trained else {}
    )
    there = {name: set(corpus.study_ids()) for name, corpus in here.items()}
    sides = {name: official_sides(corpus) for name, corpus in here.items() if is_socsci210(corpus)}
    official = {
        name: of_authors["seen"] & there[name]
        for name, of_authors in sides.items()
        if of_authors and seen.official
    }
    trained: list[tuple[str, str, tuple[Ids, Ids]]] = [
        (training.corpus, study, (part.conditions, part.tasks))
        for training in seen.trainings
        for study, part in training.studies.items()
    ]
    trained += [(name, study, (None, None)) for name in there for study in seen.studies]
    missing = sum(
        study not in there.get(training.corpus, ())
        for training in seen.trainings
        for study in training.studies
    )
    missing += sum(not any(study in studies for studies in there.values()) for study in seen.studies)
    # Several corpora may hold the same official studies, so they are not added up.
    missing += N_OFFICIAL - max(map(len, official.values()), default=0) if seen.official else 0
    trained += [(name, study, (None, None)) for name, studies in official.items() for study in studies]
    parts: dict[str, dict[str, tuple[Ids, Ids]]] = {name: {} for name in there}
    for name, study, part in trained:
        if study in there.get(name, ()):
            # Where trainings saw different parts of a study, all of it is compared: rather too much than too little.
            same = parts[name].get(study, part) == part
            parts[name][study] = part if same else (None, None)
    wanted = tuple(
        (name, corpus_digest(here[name]), tuple((study, *part) for study, part in sorted(of_corpus.items())))
        for name, of_corpus in parts.items()
        if of_corpus
    )
    return wanted, missing


def _opened(name: str) -> Corpus | None:
    """The corpus; None for a damaged one, whose texts cannot be compared."""
    try:
        return open_corpus(name)
    except UserError:
        return None


@lru_cache(maxsize=4)
def _trained(wanted: tuple[Wanted, ...]) -> tuple[list[tuple[str, str]], Any]:
    """The (corpus, study_id) of every trained text with the texts' vectors, of a study MOST_COMPARED at most."""
    places = list[tuple[str, str]]()
    texts = list[str]()
    for name, _, studies in wanted:
        parts = {study: (conditions, tasks) for study, conditions, tasks in studies}
        rows = open_corpus(name).ask(
            "SELECT study_id, text, list(condition_num) AS conditions, list(task_num) AS tasks FROM ("
            "SELECT study_id, condition_num, task_num, unnest([condition_text, question]) AS text "
            "FROM read_parquet($stimuli) WHERE list_contains($chosen, study_id)) WHERE trim(text) <> '' "
            "GROUP BY study_id, text QUALIFY row_number() OVER (PARTITION BY study_id ORDER BY md5(text)) <= $most",
            chosen=list(parts),
            most=MOST_COMPARED,
        )
        for row in rows.to_dict("records"):
            conditions, tasks = parts[row["study_id"]]
            if _among(row["conditions"], conditions) and _among(row["tasks"], tasks):
                places.append((name, str(row["study_id"])))
                texts.append(str(row["text"]).strip())
    return places, character_vectors(texts) if texts else None


def _among(numbers: Any, ids: Ids) -> bool:
    return ids is None or bool(set(map(int, numbers)) & set(ids))
