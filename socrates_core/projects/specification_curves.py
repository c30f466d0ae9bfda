"""What an experiment found: each effect in every specification, next to people's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.specification_curve import Curve, describe_curve
from socrates_core.errors import UserError
from socrates_core.jobs.store import read_job
from socrates_core.projects.experiments import EXPERIMENTS, Experiment, load_experiment
from socrates_core.projects.run_results import RunEffect, SimulationRun, load_run
from socrates_core.records import Effect
from socrates_core.studies.answers import scale_range
from socrates_core.surveys.human_answers import people_effects
from socrates_core.surveys.originals import texts_of


@dataclass(frozen=True)
class PeoplesEffect:
    """People's effect where they were asked in the draft's own words: in shares of the scale, with a 95% interval."""

    share: float
    low: float
    high: float
    n: int
    n_reference: int


@dataclass(frozen=True)
class EffectCurve:
    """One condition against the reference on one outcome, in every specification.

    `rows` has a row for each specification, from the lowest effect to the highest: specification (its number from 1),
    chosen, model, precision (that it answered in), decoding, order, wording, effect (share of the outcome's scale,
    NaN before the run is complete), valid_mass, n_simulated
    (people), n (their distinct profiles), state, same_as, run_id. `same_as` is the number of a
    specification that asks exactly the same here, for example because it rewords another outcome. Such a row is not
    counted twice.
    """

    outcome: str
    condition: str
    reference: str
    rows: pd.DataFrame
    people: PeoplesEffect | None
    curve: Curve

    @property
    def drawn(self) -> pd.DataFrame:
        """The specifications that have an effect and repeat no other."""
        return self.rows[self.rows["effect"].notna() & self.rows["same_as"].isna()]

    def as_dict(self) -> dict[str, Any]:
        return {
            "outcome": self.outcome,
            "condition": self.condition,
            "reference": self.reference,
            "people": vars(self.people) if self.people else None,
            **vars(self.curve),
            "specifications": self.rows.to_dict("records"),
        }


def list_experiments() -> list[dict[str, Any]]:
    """Every experiment, the newest first, with how many of its runs are complete; a damaged one says so."""
    return EXPERIMENTS.rows(
        _row_of, lambda experiment_id, problem: {"experiment_id": experiment_id, "title": problem}
    )


def _row_of(experiment_id: str) -> dict[str, Any]:
    experiment = load_experiment(experiment_id)
    return {
        "experiment_id": experiment_id,
        "title": experiment.draft.title,
        "created": experiment.created,
        "n_specifications": len(experiment.run_ids),
        "n_complete": run_states(experiment).count("complete"),
        "chosen": experiment.specifications[experiment.chosen].label,
    }


def run_states(experiment: Experiment) -> list[str]:
    """The state of each run: "complete", else its job's; "partial" or "damaged" where its files are not whole."""
    return [_finished(run_id)[0] for run_id in experiment.run_ids]


def _finished(run_id: str) -> tuple[str, SimulationRun | None]:
    """The state of a run, and the run where it is complete."""
    try:
        state = read_job(run_id).state
    except UserError:
        state = "done"  # the job is gone, so the files decide
    if state != "done":
        return state, None
    try:
        run = load_run(run_id)
    except UserError:
        return "damaged", None
    complete = run.manifest["state"] == "complete"
    return ("complete", run) if complete else ("partial", None)


def load_curves(experiment: Experiment) -> list[EffectCurve]:
    """Every outcome and condition against the reference. An open outcome has no scale and so no curve."""
    draft = experiment.draft
    runs = [_finished(run_id) for run_id in experiment.run_ids]
    people = people_effects(draft, texts_of(draft))
    predicted = [{} if run is None else {(e.outcome, e.condition): e for e in run.effects} for _, run in runs]
    curves = []
    for o, outcome in enumerate(draft.outcomes):
        scale = outcome.scale.scale()
        for c, condition in enumerate(draft.conditions):
            if c == draft.reference_index or scale.is_drawn:
                continue
            effects = [effects_of_run.get((outcome.name, condition.name)) for effects_of_run in predicted]
            rows = _rows(experiment, runs, effects, (c, o))
            people_here = _in_shares(people.get((c, o)), scale_range(scale) or 1.0)
            distinct = rows[rows["same_as"].isna()].reset_index(drop=True)
            curve = describe_curve(
                distinct["effect"].to_numpy(),
                chosen=int(distinct.index[distinct["chosen"]][0]),
                people=people_here.share if people_here else float("nan"),
            )
            reference = draft.conditions[draft.reference_index].name
            curves.append(EffectCurve(outcome.name, condition.name, reference, rows, people_here, curve))
    return curves


def _in_shares(effect: Effect | None, span: float) -> PeoplesEffect | None:
    if effect is None:
        return None
    low, high = effect.low / span, effect.high / span
    return PeoplesEffect(effect.difference / span, low, high, effect.n, effect.n_reference)


def _rows(
    experiment: Experiment,
    runs: Sequence[tuple[str, SimulationRun | None]],
    effects: Sequence[RunEffect | None],
    cell: tuple[int, int],
) -> pd.DataFrame:
    same = _same_as(experiment, [run for _, run in runs], cell)
    rows = []
    for at, specification in enumerate(experiment.specifications):
        (state, run), effect = runs[at], effects[at]
        precision = {"precision": run.manifest["card"]["precision"]} if run else {}
        rows.append(
            {
                "specification": at + 1,
                "chosen": at == experiment.chosen,
                **specification.levels,
                **precision,
                "effect": effect.predicted.share if effect else np.nan,
                "valid_mass": run.manifest["valid_mass"] if run else np.nan,
                "n_simulated": effect.n_simulated if effect else np.nan,
                "n": effect.predicted.n if effect else np.nan,
                "state": state,
                "same_as": same[at],
                "run_id": experiment.run_ids[at],
            }
        )
    return pd.DataFrame(rows).sort_values("effect", kind="stable", ignore_index=True)


def _same_as(
    experiment: Experiment, runs: Sequence[SimulationRun | None], cell: tuple[int, int]
) -> list[float]:
    """For each specification the number of another in which the same model was asked the same; NaN without one.

    The chosen specification is never the repetition of another.
    """
    condition, outcome = cell
    first: dict[tuple[str, ...], int] = {}
    same = [np.nan] * len(runs)
    for at in sorted(range(len(runs)), key=lambda at: at != experiment.chosen):
        run = runs[at]
        if run is not None:
            shown = run.spec.shown
            reference = shown[run.spec.draft.reference_index, outcome]
            twin = first.setdefault((run.manifest["fingerprint"], shown[condition, outcome], reference), at)
            same[at] = np.nan if twin == at else twin + 1
    return same
