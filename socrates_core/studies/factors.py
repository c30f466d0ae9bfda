"""Main effects and interactions of a study whose conditions are crossed, in what people answered."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.effects import holm
from socrates_core.analysis.factorial import (
    Contrast,
    ContrastEstimate,
    between_people,
    contrasts,
    within_people,
)
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import unknown
from socrates_core.records import Design, Floats
from socrates_core.scales.alike import compare_scales
from socrates_core.studies.answers import PERSON_MEANS, StudyItem, read_outline, reference_of, scale_range

NOT_COVERED = (
    "the intervals of main effects do not cover people who were assigned in groups or blocks, who are weighted, or of "
    "whom only some were in several conditions"
)
_NO_ESTIMATE = ContrastEstimate(math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class PeopleContrast:
    """A contrast of people's answers to one item, in units of its scale.

    `span` is the range of that scale, None without one. `note` says why there is no estimate or no interval, as a
    sentence. `p_holm` is the p corrected for all contrasts that were computed together.
    """

    outcome: str
    contrast: Contrast
    estimate: ContrastEstimate
    span: float | None
    note: str = ""
    p_holm: float = math.nan

    def as_dict(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "kind": self.contrast.kind,
            "contrast": self.contrast.name,
            **vars(self.estimate),
            "p_holm": self.p_holm,
            "note": self.note,
        }


def people_factor_effects(
    corpus: Corpus, study_id: str, reference: int | None = None
) -> list[PeopleContrast]:
    """Every main effect and two-way interaction of the study, item by item; empty where conditions are not crossed.

    Levels are compared with those of condition `reference`, the study's own where None.
    """
    crossed = corpus.design(study_id).factors
    if not crossed:
        return []
    outline = read_outline(corpus, study_id)
    numbers = list(outline.conditions)
    chosen = reference_of(corpus.study(study_id), outline.conditions) if reference is None else reference
    if chosen not in numbers:
        raise unknown("condition", chosen, numbers)
    answers = PeopleAnswers(corpus, study_id)
    return corrected(
        [
            answers.contrast(item, contrast, dict(zip(numbers, contrast.weights, strict=True)))
            for item in outline.items
            for contrast in contrasts(crossed, numbers.index(chosen))
        ]
    )


def corrected(effects: Sequence[PeopleContrast]) -> list[PeopleContrast]:
    """The effects with their p-values corrected for all of them at once (Holm)."""
    adjusted = holm(np.array([effect.estimate.p for effect in effects], dtype=float))
    return [replace(effect, p_holm=float(p)) for effect, p in zip(effects, adjusted, strict=True)]


class PeopleAnswers:
    """The answers of a study's people, one a person, item, and condition: the mean where somebody gave several."""

    def __init__(self, corpus: Corpus, study_id: str) -> None:
        self.design: Design = corpus.design(study_id)
        means = corpus.person_means(study_id)
        columns = zip(
            means["task_num"],
            means["part"],
            means["condition_num"],
            means["participants"],
            means[PERSON_MEANS["answers"]],
            strict=True,
        )
        self._by_cell: dict[tuple[int, str, int], pd.Series[float]] = {
            (task, part, number): pd.Series(np.asarray(values, dtype=float), index=people)
            for task, part, number, people, values in columns
        }

    def contrast(self, item: StudyItem, contrast: Contrast, weights: Mapping[int, float]) -> PeopleContrast:
        """The contrast of an item's answers; `weights` are those of the study's condition numbers."""
        compared = {number: weight for number, weight in weights.items() if weight != 0}
        missing = [number for number in compared if number not in item.scales]
        if missing:
            note = "Not every condition of this comparison was asked this question."
            return PeopleContrast(item.name, contrast, _NO_ESTIMATE, None, note)
        scales = dict.fromkeys(scale for number in compared for scale in item.scales[number])
        alike = compare_scales(tuple(scales))
        if alike.basis != "answers":
            return PeopleContrast(item.name, contrast, _NO_ESTIMATE, None, alike.reason)
        span = scale_range(next(iter(scales)))
        nobody = pd.Series(dtype=float)
        given = [self._by_cell.get((*item.key, number), nobody) for number in compared]
        signs = np.array(list(compared.values()))
        if not self.design.is_plain or self.design.assignment == "mixed":
            means = np.array([answers.mean() for answers in given])
            n = len(set().union(*(answers.index for answers in given)))
            estimate = replace(_NO_ESTIMATE, estimate=float(signs @ means), n=n)
            return PeopleContrast(item.name, contrast, estimate, span, f"No interval: {NOT_COVERED}.")
        if self.design.assignment == "within":
            return PeopleContrast(item.name, contrast, within_people(signs, _wide(given)), span)
        return PeopleContrast(
            item.name,
            contrast,
            between_people(signs, [np.asarray(answers, dtype=float) for answers in given]),
            span,
        )


def _wide(given: Sequence["pd.Series[float]"]) -> Floats:
    by_person: Floats = np.array(pd.concat(given, axis=1).to_numpy(), dtype=float)
    return by_person
