"""Main effects and interactions of a run whose conditions are crossed, as rows of the shared table."""

import math

import pandas as pd

from pages.view.factor_table import show_factor_table
from pages.view.words import interval_text
from socrates_core.projects.run_factors import WITHOUT_INTERVAL, FactorEffect, factor_effects
from socrates_core.projects.run_means import POINTS, Unit, unit_of
from socrates_core.projects.run_results import SimulationRun


def show_factors(run: SimulationRun, unit: Unit) -> None:
    """Every main effect and interaction, predicted and of people; nothing where conditions are not crossed."""
    effects = factor_effects(run)
    if not effects:
        return
    scales = {outcome.name: outcome.scale.scale() for outcome in run.spec.draft.outcomes}
    table = pd.DataFrame([_row(effect, unit_of(scales[effect.outcome], unit)) for effect in effects])
    show_factor_table(
        table,
        [effect.people.note for effect in effects if effect.people],
        f" Predictions have no interval, because {WITHOUT_INTERVAL}.",
    )


def _row(effect: FactorEffect, unit: str) -> dict[str, object]:
    """The effect as a row; differences are in `unit`."""
    factor = 100 / effect.span if unit != POINTS and effect.span else 1.0
    people = effect.people
    estimate, low, high = (
        factor * (getattr(people.estimate, name) if people else math.nan)
        for name in ("estimate", "low", "high")
    )
    return {
        "outcome": effect.outcome,
        "contrast": effect.contrast.name,
        "kind": effect.contrast.kind,
        "predicted": factor * effect.predicted,
        "people": estimate,
        "low": low,
        "high": high,
        "interval": interval_text(low, high),
        "p_holm": people.p_holm if people else math.nan,
        "n": people.estimate.n if people else None,
        "unit": unit,
    }
