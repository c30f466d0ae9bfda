"""What people answered in a study: distributions and effects of its cells, ready to be shown."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.effects import mean_difference, paired_difference
from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.errors import unknown
from socrates_core.records import Effect, Scale, Stimulus


@dataclass(frozen=True)
class HumanEffect:
    """People's answers in one condition against the reference, for one outcome.

    `span` is the range of the outcome's scale in its own units, None for an open one.
    """

    task_num: int
    outcome: str
    condition_num: int
    condition: str
    reference: str
    span: float | None
    effect: Effect


def condition_names(stimuli: list[Stimulus]) -> dict[int, str]:
    """Names of a study's conditions by number, in order."""
    return {s.condition_num: s.condition_name for s in sorted(stimuli, key=lambda s: s.condition_num)}


def outcome_names(stimuli: list[Stimulus]) -> dict[int, str]:
    """Names of a study's outcomes by task number, in order."""
    return {s.task_num: s.outcome_name for s in sorted(stimuli, key=lambda s: s.task_num)}


def reference_of(record: StudyRecord, conditions: dict[int, str]) -> int:
    """The condition that effects are measured against: the study's own, or its first where it names none."""
    return next(iter(conditions)) if record.reference_condition is None else record.reference_condition


def cells(corpus: Corpus, study_id: str) -> list[dict[str, Any]]:
    """A row a stimulus: place, text, scale, n, n_off_scale and how often each value was given."""
    counts = corpus.counts(study_id)
    by_stimulus = dict(iter(counts.groupby("stimulus_id")))
    off = corpus.off_scale(study_id).set_index("stimulus_id")["n"].to_dict()
    rows = []
    for stimulus in corpus.stimuli(study_id):
        given = by_stimulus.get(stimulus.stimulus_id)
        told = {} if given is None else dict(zip(given["value"], given["n"], strict=True))
        rows.append(
            {
                "stimulus_id": stimulus.stimulus_id, "condition_num": stimulus.condition_num,
                "task_num": stimulus.task_num, "condition": stimulus.condition_name,
                "outcome": stimulus.outcome_name, "stimulus": stimulus.stimulus,
                "scale": stimulus.scale.as_dict() if stimulus.scale else None,
                "n": int(sum(told.values())), "n_off_scale": int(off.get(stimulus.stimulus_id, 0)),
                "counts": {f"{value:g}": int(n) for value, n in sorted(told.items())},
            }
        )  # fmt: skip
    return rows


def human_effects(corpus: Corpus, study_id: str, reference: int | None = None) -> list[HumanEffect]:
    """Every condition against `reference` (the study's own where None), outcome by outcome.

    Differences of the answers as observed, off-scale answers left out; Welch between people, paired
    within them. Raises UserError where the reference is no condition of the study.
    """
    stimuli = corpus.stimuli(study_id)
    conditions, outcomes = condition_names(stimuli), outcome_names(stimuli)
    record = corpus.study(study_id)
    chosen = reference_of(record, conditions) if reference is None else reference
    if chosen not in conditions:
        raise unknown("condition", chosen, conditions)
    answers = corpus.responses(study_id)
    answers = answers[answers["value"].notna()]
    effects = []
    for task_num, outcome in outcomes.items():
        scale = next(s.scale for s in stimuli if s.task_num == task_num)
        given = answers[answers["task_num"] == task_num]
        for condition_num, condition in conditions.items():
            if condition_num != chosen:
                effect = _compare(given, condition_num, chosen, scale, within=record.design == "within")
                names = (task_num, outcome, condition_num, condition, conditions[chosen])
                effects.append(HumanEffect(*names, scale_range(scale), effect))
    return effects


def _compare(
    given: pd.DataFrame, treated: int, reference: int, scale: Scale | None, *, within: bool
) -> Effect:
    span = scale_range(scale)
    if within:
        wide = given.pivot_table(index="participant", columns="condition_num", values="response")
        wide = wide.reindex(columns=[treated, reference])
        return paired_difference(
            wide[treated].to_numpy(dtype=float), wide[reference].to_numpy(dtype=float), scale_range=span
        )
    by_condition = [
        given.loc[given["condition_num"] == number, "response"].to_numpy(dtype=float)
        for number in (treated, reference)
    ]
    return mean_difference(by_condition[0], by_condition[1], scale_range=span)


def scale_range(scale: Scale | None) -> float | None:
    """Highest minus lowest value of a scale; None for an open or unread one."""
    values = np.array(scale.values if scale else ())
    return float(values.max() - values.min()) if values.size else None


def study_overview(corpus: Corpus, study_id: str, reference: int | None = None) -> dict[str, Any]:
    """Everything that `study ID` prints, as plain JSON values."""
    stimuli = corpus.stimuli(study_id)
    record = corpus.study(study_id)
    return {
        **vars(record), "corpus": corpus.name,
        "conditions": [{"condition_num": k, "name": v} for k, v in condition_names(stimuli).items()],
        "outcomes": [{"task_num": k, "name": v} for k, v in outcome_names(stimuli).items()],
        "cells": cells(corpus, study_id),
        "effects": [
            {
                "outcome": e.outcome, "condition": e.condition, "reference": e.reference,
                "task_num": e.task_num, "condition_num": e.condition_num, **vars(e.effect),
            }
            for e in human_effects(corpus, study_id, reference)
        ],
    }  # fmt: skip
