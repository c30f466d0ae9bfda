"""A run that has answers, next to people's: its cells, scores, effects and baselines, read from its folder."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import LEVELS
from socrates_core.analysis.cells import Cell
from socrates_core.analysis.effects import predicted_effect
from socrates_core.analysis.options import ShareDifferences
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.asking.manifest import load_manifest
from socrates_core.calibrations import CalibratedEffect, ModelCalibration, calibration_for
from socrates_core.errors import UserError, unknown
from socrates_core.files import read_json, read_parquet
from socrates_core.jobs.store import read_job
from socrates_core.populations.panel import profiles
from socrates_core.populations.remarks import describe_population
from socrates_core.projects.run_spec import RUNS, RunSpec, is_reversed, load_spec
from socrates_core.records import Effect, Floats, Precision, Scale
from socrates_core.scales.order import is_ordered
from socrates_core.scales.rendering import number_text
from socrates_core.scoring.versions import wrong_answers
from socrates_core.studies.answers import scale_range
from socrates_core.surveys.human_answers import (
    open_answers,
    people_effects,
    people_of_draft,
    people_option_effects,
    people_sentence,
    shown_study,
    study_behind,
)
from socrates_core.verdicts.verdict import Verdict, verdict_for

FACTS = ("card", "n_people", "n_answered", "valid_mass")  # in every manifest


@dataclass(frozen=True, kw_only=True)
class RunCell(Cell):
    """One condition x outcome of a run, by their positions in the draft; with people where they were asked the same.

    `predicted` is the weighted mean over the `n_simulated` people with a valid answer, who have `n` different profiles.
    Options without an order have no
    `mean` and no `sd`: NaN. `n_samples` is how many draws a person the answers rest on, 0 where they are exact.
    """

    condition: int
    outcome: int
    condition_name: str
    outcome_name: str
    scale: Scale
    predicted: Floats
    n: int
    mean: float
    sd: float
    valid_mass: float
    n_samples: int = 0
    n_simulated: int = 0

    def as_dict(self) -> dict[str, Any]:
        answered = self.counts is not None
        human = moments(self.counts, self.values) if self.counts is not None and self.is_ordered else None
        return {
            "condition_name": self.condition_name,
            "outcome_name": self.outcome_name,
            "n_simulated": self.n_simulated,
            "n": self.n,
            "ordered": self.is_ordered,
            "mean": self.mean,
            "sd": self.sd,
            "valid_mass": self.valid_mass,
            "n_samples": self.n_samples,
            "values": list(self.scale.values),
            "probabilities": self.predicted.tolist(),
            "human_n": self.n_people if answered else None,
            "human_n_off_scale": self.n_off_scale if answered else None,
            "human_counts": None if self.counts is None else self.counts.tolist(),
            "human_mean": human.mean if human else None,
            "human_sd": human.sd if human else None,
            **self.scores(),
            "corrected_distance": self.corrected(self.predicted if self.n else None),
            "corrected_distance_uniform": self.corrected(self.guess),
        }


@dataclass(frozen=True)
class RunEffect:
    """A condition against the reference: the predicted difference and, if people were asked the same, theirs.

    The predicted difference is over `n_simulated` people, who have `predicted.n` different profiles.
    `calibrated` is the effect to expect of people; None without a calibration, or without a range of the scale. It is
    `is_earned` where the model's verdict says that it tells conditions apart, and only then `shown`.
    """

    outcome: str
    condition: str
    reference: str
    predicted: Effect
    people: Effect | None
    calibrated: CalibratedEffect | None = None
    n_simulated: int = 0
    is_earned: bool = False

    @property
    def shown(self) -> CalibratedEffect | None:
        """The calibrated effect where it is worth showing; the numbers of exports hold it in any case."""
        return self.calibrated if self.is_earned else None

    def as_dict(self) -> dict[str, Any]:
        people = self.people
        calibrated = self.calibrated
        return {
            "outcome": self.outcome,
            "condition": self.condition,
            "reference": self.reference,
            "predicted": self.predicted.difference,
            "predicted_share": self.predicted.share,
            "predicted_n_simulated": self.n_simulated,
            "predicted_n": self.predicted.n,
            "people": people.difference if people else None,
            "low": people.low if people else None,
            "high": people.high if people else None,
            "n": people.n if people else None,
            "n_reference": people.n_reference if people else None,
            "calibrated": calibrated.difference if calibrated else None,
            "calibrated_is_earned": self.is_earned,
            **{
                f"calibrated_{end}_{100 * level:.0f}": getattr(calibrated, end)[place] if calibrated else None
                for place, level in enumerate(LEVELS)
                for end in ("low", "high")
            },
        }


@dataclass(frozen=True)
class RunOptions:
    """How shares of options without an order differ from those in the reference: `predicted` [k], and people's.

    `options` [k] name the `values` [k]. The predicted differences are over `n_simulated` people and carry no interval:
    how wrong a model's shares are in other studies is its verdict, and no calibration of effects holds for them.
    """

    outcome: str
    condition: str
    reference: str
    values: tuple[float, ...]
    options: tuple[str, ...]
    predicted: Floats
    n_simulated: int
    people: ShareDifferences | None

    def rows(self) -> list[dict[str, Any]]:
        """A row for each option; differences in percentage points, NaN where nobody was asked the same."""
        people = self.people
        return [
            {
                "outcome": self.outcome,
                "condition": self.condition,
                "reference": self.reference,
                "option": option,
                "predicted": 100 * float(self.predicted[k]),
                "n_simulated": self.n_simulated,
                "people": 100 * float(people.difference[k]) if people else math.nan,
                "low": 100 * float(people.low[k]) if people else math.nan,
                "high": 100 * float(people.high[k]) if people else math.nan,
                "n": people.n if people else None,
                "n_reference": people.n_reference if people else None,
            }
            for k, option in enumerate(self.options)
        ]


@dataclass(frozen=True)
class SimulationRun:
    """A run on disk. Its tables are read when they are first needed."""

    spec: RunSpec
    manifest: dict[str, Any]

    @property
    def title(self) -> str:
        return self.spec.draft.title

    def against(self, reference: str) -> "SimulationRun":
        """The run with its effects against another condition. Raises UserError for a condition it does not have."""
        names = [condition.name for condition in self.spec.draft.conditions]
        if reference not in names:
            raise unknown("condition", reference, names)
        draft = self.spec.draft.model_copy(update={"reference": reference})
        return SimulationRun(replace(self.spec, draft=draft), self.manifest)

    @property
    def outdated(self) -> str:
        """What may be wrong with its answers, if an earlier version of our scoring gave them; else ""."""
        return wrong_answers(self.manifest["card"])

    @property
    def model(self) -> str:
        return str(self.manifest["card"]["name"])

    @property
    def command(self) -> list[str]:
        """The command that reproduces the run from its exported draft.yaml."""
        card = self.manifest["card"]
        precision = card["precision"] if card["precision"] in get_args(Precision) else "auto"
        return [
            "python",
            "-m",
            "socrates_core",
            "simulate",
            "draft.yaml",
            "--model",
            self.spec.model.name,
            "--precision",
            precision,
            "--decoding",
            card["decoding"],
            *(["--deterministic"] if card.get("deterministic") else []),
            *(["--order", "reversed"] if is_reversed(self.spec) else []),
            *(self.spec.model.service.arguments() if self.spec.model.service else []),
            "--wait",
        ]

    @cached_property
    def people(self) -> pd.DataFrame:
        """A row for each person and cell: ids, names, mean, valid mass, prompt tokens, probabilities."""
        table: pd.DataFrame = read_parquet(self.spec.path / "people.parquet").to_pandas()
        # Runs of earlier versions have no weights: everybody counts the same.
        return table if "weight" in table else table.assign(weight=1.0)

    @cached_property
    def cells(self) -> list[RunCell]:
        rows = read_parquet(self.spec.path / "cells.parquet").to_pylist()
        scales = self.scales
        values = [np.array(scale.values, dtype=float) for scale in scales]
        people_by_cell = people_of_draft(self.spec.draft, self.spec.shown, values)
        nothing = {"mean": math.nan, "sd": math.nan}  # of options without an order
        rows = [row if is_ordered(scales[row["outcome"]]) else row | nothing for row in rows]
        cells = []
        for row in rows:
            c, o = row["condition"], row["outcome"]
            people = people_by_cell.get((c, o))
            cells.append(
                RunCell(
                    condition=c,
                    outcome=o,
                    condition_name=row["condition_name"],
                    outcome_name=row["outcome_name"],
                    scale=scales[o],
                    values=values[o],
                    counts=people.counts if people else None,
                    size=people.size if people else None,
                    answerers=people.answerers if people else None,
                    n_off_scale=people.n_off_scale if people else 0,
                    condition_blind=people.condition_blind if people else None,
                    predicted=_spread(row["probabilities"], row["values"], values[o]),
                    is_ordered=is_ordered(scales[o]),
                    is_drawn=self.spec.draft.outcomes[o].scale.scale().is_drawn,
                    n=len(self._profiles(c, o)),
                    n_simulated=len(self._valid(c, o)),
                    mean=row["mean"],
                    sd=row["sd"],
                    valid_mass=row["valid_mass"],
                    n_samples=row.get("n_samples", 0),
                )
            )
        return cells

    @cached_property
    def scales(self) -> list[Scale]:
        """Each outcome's scale. Where answers are drawn it lists every number that was drawn or that people gave."""
        scales = []
        for o, outcome in enumerate(self.spec.draft.outcomes):
            scale = outcome.scale.scale()
            if scale.is_drawn:
                known = np.union1d(self.drawn_values(o), open_answers(self.spec.draft, self.spec.shown, o))
                scale = Scale("enum_labels", labels=tuple((float(value), "") for value in known))
            scales.append(scale)
        return scales

    def drawn_values(self, outcome: int) -> Floats:
        """The values that the stored probabilities of an outcome belong to."""
        rows = read_parquet(self.spec.path / "cells.parquet").to_pylist()
        return np.array(next((row["values"] for row in rows if row["outcome"] == outcome), []), dtype=float)

    @cached_property
    def effects(self) -> list[RunEffect]:
        """Every condition against the draft's reference, outcome by outcome. Unordered options have no effects.

        `n` of a predicted effect counts profiles: people with the same profile are one simulated person.
        """
        draft = self.spec.draft
        human = people_effects(self.spec.draft, self.spec.shown)
        reference = draft.reference_index
        is_earned = not self.why_no_interval
        effects = []
        for o, outcome in enumerate(draft.outcomes):
            if not is_ordered(self.scales[o]):
                continue
            values = self.drawn_values(o)
            base = self._answers(reference, o)
            for c, condition in enumerate(draft.conditions):
                treated = self._answers(c, o)
                # A stopped run may have asked some people in one condition only; they say nothing of a difference.
                both = base.index.intersection(treated.index)
                if c != reference and len(both) and len(values):
                    of_treated, of_base = (np.stack(part.loc[both].tolist()) for part in (treated, base))
                    n = len(self._profiles(c, o, both))
                    weights = np.array([self.spec.people[person].weight for person in both])
                    predicted = predicted_effect(of_treated, of_base, values, weights)
                    predicted = replace(predicted, n=n, n_reference=n)
                    n_simulated = len(self._valid(c, o, both))
                    names = (outcome.name, condition.name, draft.conditions[reference].name)
                    calibrated = self._calibrated(predicted, scale_range(outcome.scale.scale()))
                    effects.append(
                        RunEffect(*names, predicted, human.get((c, o)), calibrated, n_simulated, is_earned)
                    )
        return effects

    @cached_property
    def option_effects(self) -> list[RunOptions]:
        """Every condition against the draft's reference on outcomes whose options have no order."""
        draft = self.spec.draft
        human = people_option_effects(draft, self.spec.shown)
        reference = draft.reference_index
        effects = []
        for o, outcome in enumerate(draft.outcomes):
            if is_ordered(self.scales[o]):
                continue
            scale = self.scales[o]
            base = self._answers(reference, o)
            for c, condition in enumerate(draft.conditions):
                treated = self._answers(c, o)
                both = base.index.intersection(treated.index)
                if c == reference or not len(both):
                    continue
                weights = np.array([self.spec.people[person].weight for person in both])
                shares = [
                    mean_distribution(np.stack(part.loc[both].tolist()), weights) for part in (treated, base)
                ]
                effects.append(
                    RunOptions(
                        outcome.name,
                        condition.name,
                        draft.conditions[reference].name,
                        tuple(map(float, scale.values)),
                        tuple(scale.label(value) or number_text(value) for value in scale.values),
                        shares[0] - shares[1],
                        len(self._valid(c, o, both)),
                        human.get((c, o)),
                    )
                )
        return effects

    @cached_property
    def calibration(self) -> ModelCalibration | str:
        """The model's calibration on other studies than the draft's, or a sentence that says why there is none."""
        return calibration_for(str(self.manifest.get("fingerprint", "")), excluding=self._own_studies)

    @property
    def why_no_interval(self) -> str:
        """Why predicted differences have no interval, as the end of a sentence; empty where they have one."""
        if isinstance(self.calibration, str):
            return "how wrong this model's effects are has not been measured on enough studies"
        if not self.verdict.tells_conditions_apart:
            return "this model has not been shown to tell conditions apart"
        return ""

    @cached_property
    def verdict(self) -> Verdict:
        """Whether the model has earned trust, on other studies than the draft's."""
        return verdict_for(self.manifest["card"], excluding=self._own_studies)

    @cached_property
    def _own_studies(self) -> set[str]:
        """The study behind the draft and one that asked the same words: a model is not judged on what it answers."""
        draft = self.spec.draft
        behind = study_behind(self.spec.draft, self.spec.shown)
        studies = {f"{draft.study.corpus}/{draft.study.study_id}"} if draft.study else set()
        return studies | ({f"{behind.corpus.name}/{behind.study_id}"} if behind else set())

    def _calibrated(self, predicted: Effect, span: float | None) -> CalibratedEffect | None:
        if isinstance(self.calibration, str) or not span or math.isnan(predicted.difference):
            return None
        return self.calibration.effect(predicted.difference / span, span=span)

    def _answers(self, condition: int, outcome: int) -> "pd.Series[Any]":
        """The distributions of a cell by person, without the people that a stopped run has not reached."""
        rows = self._by_cell.get((condition, outcome))
        return pd.Series(dtype=object) if rows is None else rows.set_index("person")["probabilities"].dropna()

    @cached_property
    def people_study(self) -> str | None:
        """The id of the study that the people's answers are from; None without any."""
        shown = shown_study(self.spec.draft, self.spec.shown)
        return shown.study_id if shown else None

    @cached_property
    def people_sentence(self) -> str:
        """Which study the people's answers are from; empty without any."""
        return people_sentence(self.spec.draft, self.spec.shown)

    def _profiles(self, condition: int, outcome: int, among: "pd.Index[Any] | None" = None) -> set[int]:
        """The profiles with a valid answer in a cell, of all its people or of those in `among`."""
        return {self.profiles[person] for person in self._valid(condition, outcome, among)}

    def _valid(self, condition: int, outcome: int, among: "pd.Index[Any] | None" = None) -> list[int]:
        """The people with a valid answer in a cell, of all its people or of those in `among`."""
        rows = self._by_cell.get((condition, outcome))
        if rows is None:
            return []
        people = rows.loc[rows["valid_mass"] > 0, "person"]
        valid: list[int] = (people if among is None else people[people.isin(among)]).tolist()
        return valid

    @cached_property
    def profiles(self) -> list[int]:
        """The number of each person's profile, by position in the panel."""
        return profiles(self.spec.people)

    @cached_property
    def population(self) -> dict[str, Any]:
        """Who was asked: the name, the shares requested and drawn, and what to know about them."""
        return describe_population(self.spec.draft.panel, self.spec.people)

    @cached_property
    def _by_cell(self) -> dict[Any, pd.DataFrame]:
        return dict(iter(self.people.groupby(["condition", "outcome"])))

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.spec.run_id,
            "title": self.title,
            "manifest": self.manifest,
            "verdict": self.verdict.as_dict(),
            "outdated": self.outdated,
            "people_from": self.people_sentence,
            "n_people": len(self.spec.people),
            "n_profiles": len(set(self.profiles)),
            "population": self.population,
            "cells": [cell.as_dict() for cell in self.cells],
            "effects": [effect.as_dict() for effect in self.effects],
            "option_effects": [row for options in self.option_effects for row in options.rows()],
            "calibration": self.calibration
            if isinstance(self.calibration, str)
            else self.calibration.as_dict(),
            "reproduce": self.command,
        }


def _spread(shares: list[float], drawn: list[float], values: Floats) -> Floats:
    """Shares of the `drawn` values as shares of all `values`, which contain them."""
    spread = np.zeros(len(values))
    spread[np.searchsorted(values, np.array(drawn, dtype=float))] = shares
    return spread


def _state(run_id: str, manifest: dict[str, Any]) -> str:
    """The state of the job while it is active, else that of what was written, else that of the job."""
    try:
        job = read_job(run_id)
    except UserError:
        return str(manifest.get("state", "lost"))
    return job.state if job.active else str(manifest.get("state") or job.state)


def load_run(run_id: str) -> SimulationRun:
    """A run that has answers. Raises UserError if it is unknown, damaged or has none yet."""
    spec = load_spec(run_id)
    manifest = load_manifest(
        spec.path,
        "run",
        run_id,
        content=spec.content_digest(),
        facts=FACTS,
        again="Run its draft again.",
    )
    return SimulationRun(spec, manifest)


def list_runs() -> list[dict[str, Any]]:
    """Every run, the newest first; `state` is its job's until it has answers, and "damaged" if it cannot be read."""
    return RUNS.rows(
        _row_of, lambda run_id, problem: {"run_id": run_id, "title": problem, "state": "damaged"}
    )


def _row_of(run_id: str) -> dict[str, Any]:
    spec = load_spec(run_id)
    has_answers = (spec.path / "manifest.json").exists()
    manifest = read_json(spec.path / "manifest.json") if has_answers else {}
    if not isinstance(manifest, dict):
        raise UserError(f"The manifest of run {run_id!r} is damaged.")
    return {
        "run_id": run_id,
        "title": spec.draft.title,
        "created": spec.created,
        "model": spec.model.name,
        "draft_id": spec.draft_id,
        "state": _state(run_id, manifest),
        "n_people": len(spec.people),
        "n_cells": len(spec.people) * len(spec.draft.conditions) * len(spec.draft.outcomes),
        **{name: manifest.get(name) for name in ("n_answered", "n_cached", "seconds", "valid_mass")},
    }
