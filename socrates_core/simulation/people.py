"""People's answers to exactly what a draft asks: a cell counts only where its text is the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.analysis.baselines import condition_blind
from socrates_core.corpus.queries import Corpus
from socrates_core.drafts.originals import CellKey, study_of
from socrates_core.drafts.spec import Draft
from socrates_core.records import Effect, Floats, Stimulus
from socrates_core.studies import human_effects


@dataclass(frozen=True)
class HumanCell:
    """What people answered in a cell: `counts` [k] over the scale's values, and how many were off it.

    `condition_blind` [k] pools the people of all the study's conditions of the outcome that share the scale; it
    is None where there is only one, since it would be the answer itself.
    """

    study_id: str
    counts: Floats
    n_off_scale: int
    condition_blind: Floats | None

    @property
    def n(self) -> int:
        return int(self.counts.sum())

    def answers(self, values: Floats) -> Floats:
        """One value [n] a person."""
        return np.repeat(values, self.counts.astype(int))


def people_of_draft(
    draft: Draft, texts: Mapping[CellKey, str], values: Sequence[Floats]
) -> dict[CellKey, HumanCell]:
    """People's answers by (condition, outcome) position; empty without a study at hand.

    `texts` are what the cells showed. Counts are over `values`, those of each outcome's scale; of an open one
    `open_answers` has to be among them.
    """
    matched = _matches(draft, texts)
    if matched is None or draft.study is None:
        return {}
    corpus, stimuli = matched
    study_id = draft.study.study_id
    counts = corpus.counts(study_id)
    off = corpus.off_scale(study_id).set_index("stimulus_id")["n"].to_dict()
    everything = corpus.stimuli(study_id)
    found = {}
    for key, stimulus in stimuli.items():
        own = values[key[1]]
        alike = [s for s in everything if (s.task_num, s.scale) == (stimulus.task_num, stimulus.scale)]
        blind = (
            condition_blind(np.array([_counts(counts, s, own) for s in alike])) if len(alike) > 1 else None
        )
        n_off = int(off.get(stimulus.stimulus_id, 0))
        found[key] = HumanCell(study_id, _counts(counts, stimulus, own), n_off, blind)
    return found


def open_answers(draft: Draft, texts: Mapping[CellKey, str], outcome: int) -> Floats:
    """Every number that people gave to an open outcome of the draft's study, in order; empty without any."""
    matched = _matches(draft, texts)
    if matched is None or draft.study is None:
        return np.zeros(0)
    corpus, stimuli = matched
    asked = {stimulus.task_num for (_, o), stimulus in stimuli.items() if o == outcome}
    ids = [s.stimulus_id for s in corpus.stimuli(draft.study.study_id) if s.task_num in asked]
    counts = corpus.counts(draft.study.study_id)
    return np.unique(counts.loc[counts["stimulus_id"].isin(ids), "value"].to_numpy(dtype=float))


def people_effects(draft: Draft, texts: Mapping[CellKey, str]) -> dict[CellKey, Effect]:
    """People's effects against the draft's reference, where both cells are theirs word for word."""
    matched = _matches(draft, texts)
    if matched is None or not draft.conditions:
        return {}
    corpus, stimuli = matched
    reference = draft.conditions[draft.reference_index].source
    if draft.study is None or reference is None:
        return {}
    known = {
        (e.condition_num, e.task_num, e.part): e.effect
        for e in human_effects(corpus, draft.study.study_id, reference)
    }
    found = {}
    for (c, o), stimulus in stimuli.items():
        cell = stimulus.condition_num, stimulus.task_num
        effect = known.get((*cell, ""), known.get((*cell, stimulus.question)))
        if (draft.reference_index, o) in stimuli and effect is not None:
            found[c, o] = effect
    return found


def _matches(draft: Draft, texts: Mapping[CellKey, str]) -> tuple[Corpus, dict[CellKey, Stimulus]] | None:
    """The stimuli of the draft's study that `texts` repeat word for word, in the same condition and outcome."""
    study = study_of(draft)
    if study is None:
        return None
    by_text = {(s.condition_num, s.task_num, s.stimulus): s for s in study[1]}
    found = {}
    for (c, o), text in texts.items():
        key = draft.conditions[c].source, draft.outcomes[o].source, text
        if key in by_text:
            found[c, o] = by_text[key]
    return study[0], found


def _counts(counts: pd.DataFrame, stimulus: Stimulus, values: Floats) -> Floats:
    given = counts[counts["stimulus_id"] == stimulus.stimulus_id].set_index("value")["n"]
    return np.array([float(given.get(float(value), 0)) for value in values])
