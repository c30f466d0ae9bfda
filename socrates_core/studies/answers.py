"""What people answered in a study: the counts of its cells, and how its conditions differ."""

import math
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.effects import holm
from socrates_core.analysis.intervals import SampleSize
from socrates_core.analysis.options import ShareDifferences
from socrates_core.corpus.queries import OPEN, Corpus, StudyRecord, read_scale
from socrates_core.errors import unknown
from socrates_core.records import Effect, Floats, Number, Scale, Stimulus, plain
from socrates_core.scales.alike import Basis, compare_scales
from socrates_core.studies.assignment import design_sentence, read_assignment, share_sizes

_People = tuple[NDArray[np.int64], Floats]
PERSON_MEANS: dict[Basis, str] = {
    "answers": "responses",
    "positions": "positions",
}  # columns of Corpus.person_means
_NOBODY: _People = (np.array([], dtype=np.int64), np.array([]))


@dataclass(frozen=True)
class StudyItem:
    """One thing that people were asked: an outcome, or one question of its battery.

    `part` is the question of a battery, empty where the outcome is one question. `scales` and the number of different
    `texts` are given for each condition in which it was asked. `unread` is true where the scale of some text could
    not be read, so that it counts as open.
    """

    task_num: int
    part: str
    name: str
    question: str
    scales: dict[int, tuple[Scale, ...]]
    texts: dict[int, int]
    unread: bool

    @property
    def key(self) -> tuple[int, str]:
        return self.task_num, self.part

    @property
    def one_scale(self) -> Scale | None:
        """The scale of every condition; None where conditions differ in it."""
        distinct = {scale for scales in self.scales.values() for scale in scales}
        return distinct.pop() if len(distinct) == 1 else None


@dataclass(frozen=True)
class Outline:
    """What a study showed and asked: names and texts of its conditions by number, and its items in order.

    `first` is the id of the first stimulus of a condition, task and part.
    """

    conditions: dict[int, str]
    texts: dict[int, str]
    items: tuple[StudyItem, ...]
    first: dict[tuple[int, int, str], int]


@dataclass(frozen=True)
class HumanEffect:
    """How people's answers in one condition differ from those in the reference, for one item.

    `span` is the range of the item's scale in its own units, None for an open one. Where `basis` is "positions" the
    scales or labels of the two conditions differ: the effect is then in shares of the scale, `span` is 1 and `note`
    says why, as it does where the design earns no interval. `p_holm` is the effect's p, corrected for all comparisons
    of the study with this reference. `n_options` counts the values of the scale, 0 for an open one.
    """

    task_num: int
    part: str
    outcome: str
    condition_num: int
    condition: str
    reference: str
    span: float | None
    effect: Effect
    p_holm: float = math.nan
    basis: Basis = "answers"
    note: str = ""
    n_options: int = 0


@dataclass(frozen=True)
class OptionEffects:
    """How people's choices among unordered options in one condition differ from those in the reference, for one item.

    `options` are (value, label) pairs in the order of `shares`, whose differences are shares of people. `p_holm` is
    the p of all options, corrected for all comparisons of the study.
    """

    task_num: int
    part: str
    outcome: str
    condition_num: int
    condition: str
    reference: str
    options: tuple[tuple[Number, str], ...]
    shares: ShareDifferences
    p_holm: float = math.nan

    def as_dict(self) -> dict[str, Any]:
        names = ("task_num", "part", "outcome", "condition_num", "condition", "reference")
        test = ("n", "n_reference", "chi_square", "freedom", "p", "total_variation")
        columns = ("share", "share_reference", "difference", "low", "high")
        return {
            **{name: getattr(self, name) for name in names},
            **{name: getattr(self.shares, name) for name in test},
            "p_holm": self.p_holm,
            "options": [
                {
                    "value": value,
                    "label": label,
                    **{name: float(getattr(self.shares, name)[at]) for name in columns},
                }
                for at, (value, label) in enumerate(self.options)
            ],
        }


@dataclass(frozen=True)
class NotCompared:
    """An item whose answers in two conditions cannot be compared, and why."""

    task_num: int
    part: str
    outcome: str
    condition_num: int
    condition: str
    reference: str
    reason: str


@dataclass(frozen=True)
class Comparisons:
    """How a study's conditions differ from its reference, in the order of its items; see `compare_conditions`."""

    effects: list[HumanEffect]
    options: list[OptionEffects]
    refused: list[NotCompared]


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
    """A row a stimulus: place, text, scale, n answers, n_people, n_off_scale and how often each value was given.

    An answer between two values counts for both in proportion; answers count as much as their person where people are
    weighted. `n_effective` people asked one by one would give as certain shares.
    """
    given: dict[int, dict[float, int]] = {}
    for count in corpus.counts(study_id).to_dict("records"):
        given.setdefault(count["stimulus_id"], {})[count["value"]] = count["n"]
    off = corpus.off_scale(study_id).set_index("stimulus_id")["n"].to_dict()
    sizes = share_sizes(corpus, study_id)
    rows = []
    for stimulus in corpus.stimuli(study_id):
        counts = given.get(stimulus.stimulus_id, {})
        n = round(sum(counts.values()))
        size = sizes.get((stimulus.stimulus_id,), SampleSize(n, float(n)))
        rows.append(
            {
                "stimulus_id": stimulus.stimulus_id,
                "condition_num": stimulus.condition_num,
                "task_num": stimulus.task_num,
                "condition": stimulus.condition_name,
                "outcome": stimulus.outcome_name,
                "stimulus": stimulus.stimulus,
                "scale": stimulus.scale.as_dict() if stimulus.scale else None,
                "n": n,
                "n_people": size.people,
                "n_effective": size.effective,
                "n_off_scale": int(off.get(stimulus.stimulus_id, 0)),
                "counts": {f"{value:.15g}": plain(round(n, 9)) for value, n in sorted(counts.items())},
            }
        )
    return rows


def read_outline(corpus: Corpus, study_id: str) -> Outline:
    """What the study showed and asked, without its answers."""
    rows = corpus.outline(study_id).astype(object).to_dict("records")
    by_item: dict[tuple[int, str], list[dict[Any, Any]]] = {}
    for row in rows:
        by_item.setdefault((row["task_num"], row["part"]), []).append(row)
    # A dict keeps the last value of a key, so in descending order each key ends with its first stimulus.
    ordered = sorted(rows, key=lambda row: (row["condition_num"], row["stimulus_id"]), reverse=True)
    return Outline(
        conditions={row["condition_num"]: row["condition_name"] for row in reversed(ordered)},
        texts=dict(reversed({row["condition_num"]: row["condition_text"] for row in ordered}.items())),
        items=_distinctly_named([_item(key, item_rows) for key, item_rows in by_item.items()]),
        first={(row["condition_num"], row["task_num"], row["part"]): row["stimulus_id"] for row in ordered},
    )


def _item(key: tuple[int, str], rows: list[dict[Any, Any]]) -> StudyItem:
    scales: dict[int, tuple[Scale, ...]] = {}
    texts: dict[int, int] = {}
    for row in rows:
        number = row["condition_num"]
        stored = row["scale"]
        scales[number] = (*scales.get(number, ()), read_scale(stored) if isinstance(stored, str) else OPEN)
        texts[number] = texts.get(number, 0) + row["n_texts"]
    unread = not all(isinstance(row["scale"], str) for row in rows)
    return StudyItem(*key, rows[0]["outcome_name"], rows[0]["question"], scales, texts, unread)


def _distinctly_named(items: list[StudyItem]) -> tuple[StudyItem, ...]:
    """The items, those of a battery with their question after the name of the outcome."""
    return tuple(
        replace(item, name=f"{item.name}: {item.part}") if item.part and item.part not in item.name else item
        for item in items
    )


def human_effects(corpus: Corpus, study_id: str, reference: int | None = None) -> list[HumanEffect]:
    """The differences in means of `compare_conditions`."""
    return compare_conditions(corpus, study_id, reference).effects


def compare_conditions(corpus: Corpus, study_id: str, reference: int | None = None) -> Comparisons:
    """Every condition against `reference` (the study's own where None), item by item.

    Differences of the answers as observed, one a person (the mean where one gave several), off-scale answers
    left out; Welch between people, paired within them, and clustered where the study's design says so or people of a
    mixed design overlap. Answers are compared as they are only where both conditions
    have the same values and labels, else by their place on the scale; options without an order are compared one by
    one; scales that run in opposite directions are not compared. Raises UserError where the reference is no condition
    of the study.
    """
    plan = read_outline(corpus, study_id)
    record = corpus.study(study_id)
    chosen = reference_of(record, plan.conditions) if reference is None else reference
    if chosen not in plan.conditions:
        raise unknown("condition", chosen, plan.conditions)
    means = corpus.person_means(study_id)
    keys = list(zip(means["task_num"], means["part"], means["condition_num"], strict=True))
    answers: dict[Basis, dict[Any, _People]] = {
        basis: dict(zip(keys, zip(means["participants"], means[column], strict=True), strict=True))
        for basis, column in PERSON_MEANS.items()
    }
    assignment = read_assignment(corpus, study_id)
    # Every answer of the study: read only if some item has options without an order.
    choices = cache(lambda: corpus.responses(study_id))
    options = list[OptionEffects]()
    refused = list[NotCompared]()
    comparable = []
    for number, name in plan.conditions.items():
        for item in plan.items:
            if number == chosen or number not in item.scales or chosen not in item.scales:
                continue
            scales = dict.fromkeys([*item.scales[number], *item.scales[chosen]])
            alike = compare_scales(tuple(scales))
            names = (*item.key, item.name, number, name, plan.conditions[chosen])
            if alike.basis == "nothing":
                refused.append(NotCompared(*names, alike.reason))
            elif alike.basis == "options":
                scale = next(iter(scales))
                shares = [shares_by_person(choices(), (*item.key, side), scale) for side in (number, chosen)]
                options.append(OptionEffects(*names, scale.labels, assignment.differences_of_shares(*shares)))
            else:
                given = answers[alike.basis]
                ours, theirs = (given.get((*item.key, side), _NOBODY) for side in (number, chosen))
                span = 1.0 if alike.basis == "positions" else scale_range(next(iter(scales)))
                effect, no_interval = assignment.difference(ours, theirs, scale_range=span)
                note = " ".join(filter(None, [alike.reason, no_interval and f"No interval: {no_interval}."]))
                n_options = len(next(iter(scales)).values)
                comparable.append(
                    HumanEffect(*names, span, effect, basis=alike.basis, note=note, n_options=n_options)
                )
    # Holm over all comparisons of the study, of every condition and item: a reader looks for the smallest p of all.
    tests = [effect.effect.p for effect in comparable] + [option.shares.p for option in options]
    corrected = holm(np.array(tests)).tolist()
    effects = [replace(effect, p_holm=p) for effect, p in zip(comparable, corrected, strict=False)]
    options = [
        replace(option, p_holm=p) for option, p in zip(options, corrected[len(effects) :], strict=True)
    ]
    place = {item.key: at for at, item in enumerate(plan.items)}
    for rows in (effects, options, refused):
        rows.sort(key=lambda row: place[row.task_num, row.part])
    return Comparisons(effects, options, refused)


def shares_by_person(rows: pd.DataFrame, cell: tuple[int, str, int], scale: Scale) -> pd.DataFrame:
    """A row for each person of a cell, a column for each option: the share of the person's answers.

    `rows` are those of `Corpus.responses`, `cell` is (task_num, part, condition_num).
    """
    task_num, part, condition_num = cell
    here = (rows["task_num"] == task_num) & (rows["part"] == part) & (rows["condition_num"] == condition_num)
    given = rows[here & rows["value"].notna()]
    chosen = pd.DataFrame({value: (given["value"] == value).astype(float) for value in scale.values})
    return chosen.groupby(given["participant"]).mean()


@lru_cache(maxsize=1024)
def scale_range(scale: Scale | None) -> float | None:
    """Highest minus lowest value of a scale; None for an open or unread one."""
    values = scale.values if scale else ()
    return float(max(values) - min(values)) if values else None


def study_overview(corpus: Corpus, study_id: str, reference: int | None = None) -> dict[str, Any]:
    """Everything that `study ID` prints, as plain JSON values."""
    stimuli = corpus.stimuli(study_id)
    record = corpus.study(study_id)
    compared = compare_conditions(corpus, study_id, reference)
    return {
        **vars(record),
        "corpus": corpus.name,
        "assignment": {
            "sentence": design_sentence(corpus, study_id),
            **{
                name: value for name, value in asdict(corpus.design(study_id)).items() if name != "assignment"
            },
        },
        "conditions": [{"condition_num": k, "name": v} for k, v in condition_names(stimuli).items()],
        "outcomes": [{"task_num": k, "name": v} for k, v in outcome_names(stimuli).items()],
        "cells": cells(corpus, study_id),
        "unread_scales": [
            {key: vars(stimulus)[key] for key in ("stimulus_id", "condition_num", "task_num", "stimulus")}
            for stimulus in corpus.unread(study_id)
        ],
        "effects": [
            {
                "outcome": effect.outcome,
                "condition": effect.condition,
                "reference": effect.reference,
                "task_num": effect.task_num,
                "condition_num": effect.condition_num,
                "part": effect.part,
                **vars(effect.effect),
                "p_holm": effect.p_holm,
                "basis": effect.basis,
                "note": effect.note,
            }
            for effect in compared.effects
        ],
        "option_effects": [options.as_dict() for options in compared.options],
        "not_compared": [vars(item) for item in compared.refused],
    }
