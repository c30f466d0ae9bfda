"""Main effects and interactions of a run whose conditions are crossed, as predicted and as people answered."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from socrates_core.analysis.factorial import Contrast, contrasts
from socrates_core.projects.run_results import SimulationRun
from socrates_core.scales.order import is_ordered
from socrates_core.studies.answers import scale_range
from socrates_core.studies.factors import PeopleContrast
from socrates_core.surveys.human_answers import people_contrasts

WITHOUT_INTERVAL = "the model's errors have been measured on single comparisons, not on averages of several"


@dataclass(frozen=True)
class FactorEffect:
    """A main effect or interaction on one outcome, in units of its scale, whose range is `span` (None: open).

    `predicted` is the contrast of the predicted means, without an interval; NaN where a condition has no answers.
    `people` is None where people were not asked the same in every condition compared.
    """

    outcome: str
    contrast: Contrast
    predicted: float
    span: float | None
    people: PeopleContrast | None

    def as_dict(self) -> dict[str, Any]:
        people = self.people
        return {
            "outcome": self.outcome,
            "kind": self.contrast.kind,
            "contrast": self.contrast.name,
            "predicted": self.predicted,
            "people": people.estimate.estimate if people else None,
            "low": people.estimate.low if people else None,
            "high": people.estimate.high if people else None,
            "p": people.estimate.p if people else None,
            "p_holm": people.p_holm if people else None,
            "n": people.estimate.n if people else None,
            "note": people.note if people else "",
        }


def factor_effects(run: SimulationRun) -> list[FactorEffect]:
    """Every main effect and two-way interaction, outcome by outcome, against the levels of the reference condition.

    Empty where the draft's conditions are not crossed. Options without an order have none.
    """
    draft = run.spec.draft
    factors = draft.design.factors
    if not factors:
        return []
    asked = contrasts(factors, draft.reference_index)
    people = people_contrasts(draft, run.spec.shown, asked)
    means = {(cell.condition, cell.outcome): cell.mean for cell in run.cells}
    effects = []
    for o, outcome in enumerate(draft.outcomes):
        if not is_ordered(run.scales[o]):
            continue
        predicted = np.array([means.get((c, o), math.nan) for c in range(len(draft.conditions))])
        span = scale_range(outcome.scale.scale())
        for contrast in asked:
            counted = contrast.weights != 0
            value = float(contrast.weights[counted] @ predicted[counted])
            effects.append(FactorEffect(outcome.name, contrast, value, span, people.get((o, contrast.name))))
    return effects
