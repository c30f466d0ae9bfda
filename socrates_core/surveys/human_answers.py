"""People's answers to exactly what a draft asks: a cell counts only where people read the same text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from socrates_core.analysis.baselines import pooled
from socrates_core.analysis.cells import Answerers, Cell
from socrates_core.analysis.factorial import Contrast
from socrates_core.analysis.options import ShareDifferences
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.records import Effect, Floats, Stimulus
from socrates_core.scales.order import is_ordered
from socrates_core.studies.answers import (
    Comparisons,
    HumanEffect,
    OptionEffects,
    compare_conditions,
    read_outline,
)
from socrates_core.studies.assignment import read_assignment, share_sizes
from socrates_core.studies.factors import PeopleAnswers, PeopleContrast, corrected
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import CellKey, study_of

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class StudyBehind:
    """A study with the stimuli that show what a draft's cells show, by (condition, outcome) position."""

    corpus: Corpus
    study_id: str
    stimuli: dict[CellKey, Stimulus]


def people_of_draft(
    draft: Draft, texts: Mapping[CellKey, str], values: Sequence[Floats]
) -> dict[CellKey, Cell]:
    """People's answers by (condition, outcome) position; empty without a study whose answers may be seen.

    `texts` are what the cells showed. Counts are over `values`, those of each outcome's scale; for an open outcome
    these must contain its `open_answers`.
    """
    shown = shown_study(draft, texts)
    if shown is None:
        return {}
    corpus = shown.corpus
    study_id = shown.study_id
    stimuli = shown.stimuli
    counts = corpus.counts(study_id)
    off = corpus.off_scale(study_id).set_index("stimulus_id")["n"].to_dict()
    everything = corpus.stimuli(study_id)
    parts = corpus.parts(study_id)
    sizes = share_sizes(corpus, study_id)
    answerers = _answerers(corpus, study_id)
    cells = {}
    for key, stimulus in stimuli.items():
        scale_values = values[key[1]]
        item = stimulus.task_num, parts[stimulus.stimulus_id], stimulus.scale
        others = [
            s
            for s in everything
            if (s.task_num, parts[s.stimulus_id], s.scale) == item
            and s.condition_num != stimulus.condition_num
        ]
        blind = pooled(np.array([_counts(counts, s, scale_values) for s in others])) if others else None
        blind = None if blind is None or np.isnan(blind).any() else blind
        n_off = int(off.get(stimulus.stimulus_id, 0))
        cells[key] = Cell(
            values=scale_values,
            counts=_counts(counts, stimulus, scale_values),
            size=sizes.get((stimulus.stimulus_id,)),
            answerers=answerers.get(stimulus.stimulus_id),
            n_off_scale=n_off,
            condition_blind=blind,
            is_ordered=stimulus.scale is None or is_ordered(stimulus.scale),
        )
    return cells


def _answerers(corpus: Corpus, study_id: str) -> dict[int, Answerers]:
    """Who gave the answers of each stimulus. People of one cluster are one; those without a usable weight leave."""
    assignment = read_assignment(corpus, study_id)
    rows = corpus.responses(study_id)
    rows = rows[rows["value"].notna()].assign(weight=1.0)
    rows["unit"] = assignment.clusters(rows["participant"].to_numpy(dtype=np.int64))
    if assignment.design.weight:
        rows["weight"] = rows["participant"].map(assignment.people["weight"]).astype(float)
        rows = rows.dropna(subset=["weight"])
    return {
        int(str(stimulus)): Answerers(*(answers[name].to_numpy() for name in ("response", "unit", "weight")))
        for stimulus, answers in rows.groupby("stimulus_id")
    }


def open_answers(draft: Draft, texts: Mapping[CellKey, str], outcome: int) -> Floats:
    """Every number that people gave to an open outcome of the draft's study, in order; empty without any."""
    shown = shown_study(draft, texts)
    if shown is None:
        return np.zeros(0)
    tasks = {stimulus.task_num for (_, o), stimulus in shown.stimuli.items() if o == outcome}
    ids = [s.stimulus_id for s in shown.corpus.stimuli(shown.study_id) if s.task_num in tasks]
    counts = shown.corpus.counts(shown.study_id)
    return np.unique(counts.loc[counts["stimulus_id"].isin(ids), "value"].to_numpy(dtype=float))


def people_effects(draft: Draft, texts: Mapping[CellKey, str]) -> dict[CellKey, Effect]:
    """People's effects against the draft's reference, where both cells are theirs word for word."""
    # A run predicts on one scale, so places on several are not its effects.
    return _against_reference(
        draft,
        texts,
        lambda compared: [
            (effect, effect.effect) for effect in compared.effects if effect.basis == "answers"
        ],
    )


def people_option_effects(draft: Draft, texts: Mapping[CellKey, str]) -> dict[CellKey, ShareDifferences]:
    """The same for options without an order: how shares of each differ from those in the reference."""
    return _against_reference(
        draft, texts, lambda compared: [(options, options.shares) for options in compared.options]
    )


def _against_reference(
    draft: Draft,
    texts: Mapping[CellKey, str],
    of_comparisons: Callable[[Comparisons], Sequence[tuple[HumanEffect | OptionEffects, _Found]]],
) -> dict[CellKey, _Found]:
    """People's comparisons with the draft's reference by (condition, outcome), as `of_comparisons` finds them."""
    shown = shown_study(draft, texts)
    if shown is None:
        return {}
    reference = draft.reference_index
    bases = {o: stimulus for (c, o), stimulus in shown.stimuli.items() if c == reference}
    known = {
        (number, compared.condition_num, compared.task_num, compared.part): found
        for number in {base.condition_num for base in bases.values()}
        for compared, found in of_comparisons(compare_conditions(shown.corpus, shown.study_id, number))
    }
    effects = {}
    for (c, o), stimulus in shown.stimuli.items():
        if o in bases and bases[o].task_num == stimulus.task_num:
            cell = bases[o].condition_num, stimulus.condition_num, stimulus.task_num
            effect = known.get((*cell, ""), known.get((*cell, stimulus.question)))
            if effect is not None:
                effects[c, o] = effect
    return effects


def people_contrasts(
    draft: Draft, texts: Mapping[CellKey, str], asked: Sequence[Contrast]
) -> dict[tuple[int, str], PeopleContrast]:
    """People's main effects and interactions by outcome position and name, where all conditions are theirs word for
    word; p-values are corrected for all of them at once."""
    shown = shown_study(draft, texts)
    if shown is None or not asked:
        return {}
    answers = PeopleAnswers(shown.corpus, shown.study_id)
    items = {item.key: item for item in read_outline(shown.corpus, shown.study_id).items}
    contrasts = {}
    for o in range(len(draft.outcomes)):
        stimuli = {c: stimulus for (c, outcome), stimulus in shown.stimuli.items() if outcome == o}
        for contrast in asked:
            compared = {c: weight for c, weight in enumerate(contrast.weights) if weight != 0}
            if not all(c in stimuli for c in compared):
                continue
            tasks = {stimuli[c].task_num for c in compared}
            task = tasks.pop()
            item = items.get((task, ""), items.get((task, stimuli[next(iter(compared))].question)))
            if item is not None and not tasks:
                weights = {stimuli[c].condition_num: weight for c, weight in compared.items()}
                contrasts[o, contrast.name] = answers.contrast(item, contrast, weights)
    return dict(zip(contrasts, corrected(list(contrasts.values())), strict=True))


def people_by_group(draft: Draft, texts: Mapping[CellKey, str], outcome: int, field: str) -> pd.DataFrame:
    """People's answers to an outcome of the draft, each with the person's value of a demographic field.

    Columns condition (its position in the draft), group, person, answer and weight; empty without a study whose
    answers may be seen. Answers off the scale and people without a usable weight are left out.
    """
    columns = ["condition", "group", "person", "answer", "weight"]
    shown = shown_study(draft, texts)
    if shown is None:
        return pd.DataFrame(columns=columns)
    conditions = {s.stimulus_id: c for (c, o), s in shown.stimuli.items() if o == outcome}
    answers = shown.corpus.responses(shown.study_id)
    answers = answers[answers["value"].notna() & answers["stimulus_id"].isin(conditions)]
    assignment = read_assignment(shown.corpus, shown.study_id)
    weights = pd.Series(1.0, index=answers.index)
    if assignment.design.weight:
        weights = answers["participant"].map(assignment.people["weight"]).astype(float)
    people = shown.corpus.participants([shown.study_id]).set_index("participant")
    table = pd.DataFrame(
        {
            "condition": answers["stimulus_id"].map(conditions),
            "group": answers["participant"].map(people[field]),
            "person": answers["participant"],
            "answer": answers["response"],
            "weight": weights,
        }
    )
    return table.dropna(subset=["weight"])


def study_behind(draft: Draft, texts: Mapping[CellKey, str]) -> StudyBehind | None:
    """The study that showed people what `texts` show: the draft's own if it shares any text, else one of any corpus.

    So a study that is fielded after it was drafted is found as soon as its answers are imported, and a draft of a study
    never shows another one's people because that one has more of the texts. A text that several stimuli of a study
    share belongs to none of them. None if no study shares a text; frozen studies count too.
    """
    drafted_from = _own_study(draft, texts)
    return drafted_from if drafted_from is not None else _study_with(texts)


def people_sentence(draft: Draft, texts: Mapping[CellKey, str]) -> str:
    """Says which study people's answers are from, and whether the draft was made from it; empty without answers."""
    shown = shown_study(draft, texts)
    if shown is None:
        return ""
    name = f"“{shown.corpus.study(shown.study_id).title}” ({shown.study_id}, corpus {shown.corpus.name})"
    is_drafted_from = draft.study is not None and (draft.study.corpus, draft.study.study_id) == (
        shown.corpus.name,
        shown.study_id,
    )
    if is_drafted_from:
        return f"People's answers are from {name}."
    made_from = (
        f" The draft was made from {draft.study.study_id} (corpus {draft.study.corpus})."
        if draft.study
        else ""
    )
    return f"People's answers are from another study that asked the same words: {name}.{made_from}"


def shown_study(draft: Draft, texts: Mapping[CellKey, str]) -> StudyBehind | None:
    """The study behind the draft; None where its answers are frozen."""
    behind = study_behind(draft, texts)
    return None if behind is None or behind.study_id in frozen_studies(behind.corpus.path) else behind


def _own_study(draft: Draft, texts: Mapping[CellKey, str]) -> StudyBehind | None:
    """The draft's study with what `texts` repeat of it word for word, in the same condition and outcome."""
    study = study_of(draft)
    if study is None or draft.study is None:
        return None
    by_text = {(s.condition_num, s.task_num, s.stimulus): s for s in study[1]}
    keys = {
        (c, o): (draft.conditions[c].source, draft.outcomes[o].source, text) for (c, o), text in texts.items()
    }
    stimuli = {cell: by_text[key] for cell, key in keys.items() if key in by_text}
    return StudyBehind(study[0], draft.study.study_id, stimuli) if stimuli else None


def _study_with(texts: Mapping[CellKey, str]) -> StudyBehind | None:
    """The study of any corpus that has the most of `texts`, each as one stimulus."""
    best: StudyBehind | None = None
    for name in corpora():
        try:
            corpus = open_corpus(name)
        except UserError:
            continue  # pages that open a damaged corpus say so; here it has no answers
        rows = corpus.ask(
            "SELECT study_id, stimulus, min(stimulus_id) AS stimulus_id FROM read_parquet($stimuli) "
            "WHERE list_contains($texts, stimulus) GROUP BY ALL HAVING count(*) = 1 ORDER BY ALL",
            texts=list(texts.values()),
        )
        for study_id, matches in rows.groupby("study_id"):
            ids = dict(zip(matches["stimulus"], matches["stimulus_id"], strict=True))
            by_cell = {cell: int(ids[text]) for cell, text in texts.items() if text in ids}
            if best is None or len(by_cell) > len(best.stimuli):
                known = {each.stimulus_id: each for each in corpus.stimuli(str(study_id))}
                best = StudyBehind(corpus, str(study_id), {cell: known[at] for cell, at in by_cell.items()})
    return best


def _counts(counts: pd.DataFrame, stimulus: Stimulus, values: Floats) -> Floats:
    given = counts[counts["stimulus_id"] == stimulus.stimulus_id].set_index("value")["n"]
    return np.array([float(given.get(float(value), 0)) for value in values])
