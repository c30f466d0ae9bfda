"""Turns a study's raw answers into its rows in the four tables: splits texts, reads scales, finds design and codes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from socrates_core.corpus.flags import find_design
from socrates_core.corpus.tables import scale_text
from socrates_core.prompts import split_stimuli
from socrates_core.scales import parse_scale
from socrates_core.scales.instructions import instruction_start


@dataclass(frozen=True)
class KnownProblems:
    """What others found out about a study: sentences, each with its source, and codes that are not answers."""

    notes: tuple[str, ...] = ()
    refusals: tuple[int, ...] = ()


@dataclass(frozen=True)
class Provenance:
    """What all studies of an import have in common, and what is known about single ones."""

    source: str
    url: str
    licence: str
    wording: str
    known: Mapping[str, KnownProblems] = field(default_factory=dict)


@lru_cache(maxsize=1)
def known_problems() -> Mapping[str, KnownProblems]:
    """The problems of single SocSci210 studies that this project knows of, by study_id."""
    stored = yaml.safe_load((Path(__file__).parent / "known_problems.yaml").read_text(encoding="utf-8"))
    known: dict[str, KnownProblems] = {}
    for problem in stored["problems"]:
        note = f"{problem['note']} (Source: {stored['sources'][problem['source']]})"
        for study in problem["studies"]:
            before = known.get(study, KnownProblems())
            refusals = (*before.refusals, *problem.get("refusals", ()))
            known[study] = KnownProblems((*before.notes, note), refusals)
    return known


def describe_study(
    study_id: str,
    texts: pd.DataFrame,
    people: pd.DataFrame,
    rows: pd.DataFrame,
    provenance: Provenance,
    *,
    topic: str = "",
) -> dict[str, pd.DataFrame]:
    """The study's four tables, ready for a corpus.

    `texts` has stimulus_id, condition_num, task_num, stimulus; `people` participant and the demographics; `rows`
    sample_id, participant, stimulus_id, response. Conditions are named by number, since the data do not name them.
    """
    known = provenance.known.get(study_id, KnownProblems())
    stimuli = _stimuli(texts)
    refused = rows["response"].isin(known.refusals) & rows["stimulus_id"].isin(_open(stimuli))
    notes = list(known.notes)
    if refused.any():
        notes.append(
            f"{int(refused.sum()):,} answers to open questions are codes of refusal and are not shown."
        )
    design = find_design(stimuli, rows)
    if design == "mixed":
        notes.append(
            "People answered in several conditions, but not in all: neither between nor within people."
        )
    study = {
        "title": _title(study_id, stimuli),
        "topic": topic,
        "source": provenance.source,
        "url": provenance.url,
        "licence": provenance.licence,
        "wording": provenance.wording,
        "design": design,
        "reference_condition": None,
        "notes": notes,
    }
    tables = {
        "studies": pd.DataFrame([study]),
        "stimuli": stimuli,
        "participants": people,
        "responses": rows.assign(refused=refused),
    }
    return {name: table.assign(study_id=study_id) for name, table in tables.items()}


@lru_cache(maxsize=50_000)
def _scale_of(instruction: str) -> str | None:
    scale = parse_scale(instruction)
    return scale_text(scale) if scale else None


def _stimuli(texts: pd.DataFrame) -> pd.DataFrame:
    stimuli: list[str] = texts["stimulus"].tolist()
    parts = split_stimuli(list(zip(texts["condition_num"], texts["task_num"], stimuli, strict=True)))
    # A scale depends on the instruction alone, and many texts share one.
    scales = [_scale_of(text[instruction_start(text) or 0 :]) for text in stimuli]
    described = texts.assign(
        condition_text=[condition for condition, _ in parts],
        question=[question for _, question in parts],
        scale=pd.Series(scales, index=texts.index, dtype=object),
        condition_name="Condition " + texts["condition_num"].astype(str),
    )
    names = {
        task: _outcome_name(task, questions.tolist())
        for task, questions in described.groupby("task_num")["question"]
    }
    return described.assign(outcome_name=described["task_num"].map(names))


def _outcome_name(task: Any, questions: Sequence[str]) -> str:
    """The question if the outcome has a single one, or else its number."""
    only = questions[0] if len(set(questions)) == 1 else ""
    return _shortened(only, 90) or f"Outcome {task}"


def _title(study_id: str, stimuli: pd.DataFrame) -> str:
    """The first question, since the data have no titles."""
    first = stimuli.iloc[0]
    return f"{_shortened(first['question'] or first['stimulus'], 90)} ({study_id})"


def _open(stimuli: pd.DataFrame) -> pd.Series:
    """The stimuli that take any number, by id."""
    is_open = stimuli["scale"].isna() | stimuli["scale"].fillna("").str.contains('"kind": "open_integer"')
    return stimuli.loc[is_open, "stimulus_id"]


def _shortened(text: str, length: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= length else words[: length - 1].rsplit(" ", 1)[0] + "…"
