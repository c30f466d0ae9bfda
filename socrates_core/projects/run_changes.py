"""What changes from one run to another: wording, model, or population; held against what should not matter."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from socrates_core.analysis.baselines import uniform
from socrates_core.analysis.summary import moments
from socrates_core.errors import UserError, clipped
from socrates_core.jobs.store import Job
from socrates_core.projects.answer_orders import reversed_texts
from socrates_core.projects.drafts import versions
from socrates_core.projects.run_results import RunCell, SimulationRun, list_runs, load_run
from socrates_core.projects.run_spec import RunSpec, freeze_run, is_reversed, load_spec, queue_run
from socrates_core.records import Floats
from socrates_core.scales.alike import compare_scales
from socrates_core.studies.answers import scale_range

LETTERS = "ABCDEF"
MOST_RUNS = len(LETTERS)
LONGEST_FACT = 28  # characters of a fact in a run's name
Irrelevant = Literal["answers listed in reverse", "other people of the same population"]


@dataclass(frozen=True)
class CellChange:
    """How one condition x outcome of a run differs from that of the first run.

    `difference` is of means, in scale points, and `share` the same as a share of the scale's range; both NaN for
    options without an order. `moved` is the total variation: the share of answers that would have to change. Both runs
    `asked_the_same` where they showed the same text to the same people by the same model: then nothing can differ.
    """

    run: str
    outcome: str
    condition: str
    mean: float
    difference: float
    share: float
    moved: float
    asked_the_same: bool = False


@dataclass(frozen=True)
class EffectChange:
    """How the difference between a condition and the reference differs between a run and the first run.

    All in shares of the scale's range; `change` is a difference of differences.
    """

    run: str
    outcome: str
    condition: str
    reference: str
    first: float
    effect: float

    @property
    def change(self) -> float:
        return self.effect - self.first


@dataclass(frozen=True)
class Yardstick:
    """How far the first run's numbers move when something changes that should not matter.

    `share` is the mean and `largest_share` the largest size of a change of means, in shares of the scale's range;
    `effect` and `largest_effect` the same for differences from the reference.
    """

    what: Irrelevant
    run_id: str
    share: float
    largest_share: float
    effect: float
    largest_effect: float

    def __str__(self) -> str:
        means = f"With {self.what}, means move by {_in_words(self.share, self.largest_share)}"
        effects = f" and differences by {_in_words(self.effect, self.largest_effect)}"
        return f"{means}{effects if math.isfinite(self.effect) else ''}."


@dataclass(frozen=True)
class TextChange:
    """A text that two runs show differently: of a condition or of an outcome's question."""

    run: str
    what: str
    before: str
    after: str


class ComparedRuns:
    """Two to six runs, each held against the first. Conditions and outcomes belong together by their names."""

    def __init__(self, runs: Sequence[SimulationRun]) -> None:
        if not 2 <= len(runs) <= MOST_RUNS:
            raise UserError(f"{len(runs)} runs cannot be compared. Name 2 to {MOST_RUNS}.")
        if len({run.spec.run_id for run in runs}) < len(runs):
            raise UserError("A run cannot be compared with itself. Name each run once.")
        reference = runs[0].spec.draft.conditions[runs[0].spec.draft.reference_index].name
        self.runs = [run.against(reference) if reference in _conditions(run) else run for run in runs]
        self.reference = reference

    @cached_property
    def names(self) -> list[str]:
        """Each run's letter and, shortened, the first two facts that tell it apart."""
        facts = [self._facts(run) for run in self.runs]
        telling = [name for name in facts[0] if len({run_facts[name] for run_facts in facts}) > 1]
        return [
            " · ".join(
                [letter, *(clipped(run_facts[name], LONGEST_FACT) for name in telling[:2] if run_facts[name])]
            )
            for letter, run_facts in zip(LETTERS, facts, strict=False)
        ]

    @cached_property
    def facts(self) -> list[dict[str, str]]:
        """A row for each fact in which the runs differ: what it is, and its value in each run by name."""
        by_run = [self._facts(run) for run in self.runs]
        rows = []
        for what in by_run[0]:
            values = [facts[what] for facts in by_run]
            if len(set(values)) > 1:
                rows.append({"what": what, **dict(zip(self.names, values, strict=True))})
        return rows

    def _facts(self, run: SimulationRun) -> dict[str, str]:
        card = run.manifest["card"]
        draft = run.spec.draft
        return {
            "model": run.model,
            "precision": card["precision"],
            "decoding": card["decoding"],
            "draft": draft.title,
            "version": _version(run.spec),
            "answers listed": "in reverse" if is_reversed(run.spec) else "as written",
            "population": run.population["name"],
            "simulated people": f"{len(run.spec.people):,} people",
            "seed": f"seed {draft.panel.seed}",
        }

    @cached_property
    def texts(self) -> list[TextChange]:
        """The texts that differ from the first run's, under names that both have."""
        first = self.runs[0].spec.draft
        changes = []
        for name, run in zip(self.names[1:], self.runs[1:], strict=True):
            draft = run.spec.draft
            before = {c.name: c.text for c in first.conditions}
            changes += [
                TextChange(name, f"Condition “{c.name}”", before[c.name], c.text)
                for c in draft.conditions
                if c.name in before and c.text != before[c.name]
            ]
            questions = {o.name: o.question for o in first.outcomes}
            changes += [
                TextChange(name, f"Question “{o.name}”", questions[o.name], o.question)
                for o in draft.outcomes
                if o.name in questions and o.question != questions[o.name]
            ]
        return changes

    @cached_property
    def cells(self) -> list[tuple[RunCell, ...]]:
        """The cells that all runs have, in the order of the first run: same names, and scales that compare."""
        by_name = [
            {(cell.outcome_name, cell.condition_name): cell for cell in run.cells} for run in self.runs
        ]
        return [
            tuple(cells[name] for cells in by_name)
            for name in by_name[0]
            if all(name in cells for cells in by_name) and _alike([cells[name] for cells in by_name])
        ]

    @cached_property
    def left_out(self) -> list[str]:
        """What is not compared, and why, as sentences."""
        shared = {(cells[0].outcome_name, cells[0].condition_name) for cells in self.cells}
        outcomes = [o.name for o in self.runs[0].spec.draft.outcomes]
        sentences = []
        for letter, run in zip(LETTERS[1:], self.runs[1:], strict=False):
            theirs = [o.name for o in run.spec.draft.outcomes]
            for outcome in dict.fromkeys([*outcomes, *theirs]):
                if outcome not in outcomes or outcome not in theirs:
                    where = LETTERS[0] if outcome in outcomes else letter
                    sentences.append(f"The outcome “{outcome}” is asked in {where} alone.")
                elif not any(outcome == each for each, _ in shared):
                    sentences.append(
                        f"The answers to “{outcome}” in {letter} are not those in A, or no condition is in both."
                    )
            for condition in dict.fromkeys([*_conditions(self.runs[0]), *_conditions(run)]):
                if condition not in _conditions(run) or condition not in _conditions(self.runs[0]):
                    where = letter if condition in _conditions(run) else LETTERS[0]
                    sentences.append(f"The condition “{condition}” is in {where} alone.")
        return list(dict.fromkeys(sentences))

    @cached_property
    def changes(self) -> list[CellChange]:
        """Each later run's cells against the first run's."""
        first, *others = self.runs
        return [
            replace(_change(name, cells[0], cell), asked_the_same=_asked_the_same(first, cells[0], run, cell))
            for cells in self.cells
            for name, run, cell in zip(self.names[1:], others, cells[1:], strict=True)
        ]

    def table(self) -> list[dict[str, Any]]:
        """A row for each cell and predictor: the runs by letter, then people and the baselines.

        `difference` and `moved` are those of `changes`, for later runs alone. W is the distance to people, in [0, 1].
        """
        changes = {(change.run, change.outcome, change.condition): change for change in self.changes}
        rows = []
        for cells in self.cells:
            for name, cell in zip(self.names, cells, strict=True):
                change = changes.get((name, cell.outcome_name, cell.condition_name))
                rows.append(
                    _row(cell, name[0], "model", cell.predicted)
                    | {"n": cell.n_simulated, "n_profiles": cell.n, "valid_mass": cell.valid_mass}
                    | {
                        "difference": change.difference if change else None,
                        "moved": change.moved if change else None,
                    }
                )
            rows += _of_people(cells[0])
        return rows

    @cached_property
    def effects(self) -> list[EffectChange]:
        """Each later run's differences from the reference against the first run's."""
        by_run = [
            {
                (e.outcome, e.condition): e.predicted.share
                for e in run.effects
                if e.reference == self.reference
            }
            for run in self.runs
        ]
        comparable = {cells[0].outcome_name for cells in self.cells}
        return [
            EffectChange(name, outcome, condition, self.reference, share, effects[outcome, condition])
            for (outcome, condition), share in by_run[0].items()
            for name, effects in zip(self.names[1:], by_run[1:], strict=True)
            if outcome in comparable and (outcome, condition) in effects
        ]

    @cached_property
    def yardsticks(self) -> list[Yardstick]:
        """What is known of changes that should not matter to the first run, from runs that are here."""
        return find_yardsticks(self.runs[0])

    def summary(self, name: str) -> str:
        """How far a run is from the first, and whether that is more than what should not matter moves it.

        Cells in which both asked the same do not count: an unchanged question would make every change look small.
        """
        changed = [change for change in self.changes if change.run == name and not change.asked_the_same]
        sizes = _sizes([change.share for change in changed])
        if not sizes.size:
            return f"{name}: nothing that it asks differently from A has a mean that can be compared."
        where = f"in the {len(changed)} cells that changed, " if len(changed) < len(self.cells) else ""
        moved = f"{name}: {where}means move by {_in_words(float(sizes.mean()), float(sizes.max()))}."
        largest = max((yardstick.share for yardstick in self.yardsticks), default=math.nan)
        if math.isnan(largest):
            return f"{moved} Whether that is much is not known until what should not matter is measured."
        if largest == 0 < sizes.mean():
            return f"{moved} What should not matter does not move them."
        if sizes.mean() > largest:
            return f"{moved} That is {sizes.mean() / largest:.1f} times what should not matter moves them."
        return f"{moved} What should not matter moves them as much, so do not read this as an effect of the change."

    def as_dict(self) -> dict[str, Any]:
        return {
            "runs": [
                {"name": name, "run_id": run.spec.run_id, "verdict": run.verdict.as_dict()}
                for name, run in zip(self.names, self.runs, strict=True)
            ],
            "differ_in": self.facts,
            "texts": [vars(text) for text in self.texts],
            "cells": self.table(),
            "effects": [{**vars(effect), "change": effect.change} for effect in self.effects],
            "yardsticks": [vars(yardstick) for yardstick in self.yardsticks],
            "summary": [self.summary(name) for name in self.names[1:]],
            "left_out": self.left_out,
        }


def find_yardsticks(run: SimulationRun) -> list[Yardstick]:
    """The runs that differ from `run` in one thing that should not matter, the newest of each kind."""
    found: dict[Irrelevant, Yardstick] = {}
    for row in list_runs():
        if row["run_id"] == run.spec.run_id or not row.get("n_answered") or row.get("title") != run.title:
            continue
        what = _only_difference(run.spec, load_spec(row["run_id"]))
        if what is not None and what not in found:
            found[what] = _yardstick(what, run, load_run(row["run_id"]))
    return list(found.values())


def measure_yardsticks(run: SimulationRun, *, consent: bool = False) -> list[Job]:
    """Queues the two runs that say how far what should not matter moves this run's numbers.

    Raises UserError as `submit_simulation` does.
    """
    spec = run.spec
    limit_usd = spec.allowed_usd()
    jobs = []
    try:
        texts = reversed_texts(spec.draft)
    except UserError:
        texts = None  # no answers of this draft can be listed in reverse
    if texts is not None and not is_reversed(spec):
        turned = freeze_run(
            spec.draft,
            spec.model,
            draft_id=spec.draft_id,
            people=spec.people,
            texts=texts,
            consent=consent,
            limit_usd=limit_usd,
        )
        jobs.append(queue_run(turned))
    other = spec.draft.panel.model_copy(update={"seed": spec.draft.panel.seed + 1})
    if not other.is_weighted:  # every profile is asked once: there are no other people
        drawn = freeze_run(
            spec.draft.model_copy(update={"panel": other}),
            spec.model,
            draft_id=spec.draft_id,
            consent=consent,
            limit_usd=limit_usd,
        )
        jobs.append(queue_run(drawn))
    return jobs


def _only_difference(spec: RunSpec, other: RunSpec) -> Irrelevant | None:
    """The one thing that should not matter in which two runs differ; None if they differ in more, or in nothing."""
    if spec.model != other.model or spec.template != other.template:
        return None
    if spec.draft == other.draft and spec.people == other.people and is_reversed(spec) != is_reversed(other):
        return "answers listed in reverse"
    same_seed = other.draft.panel.model_copy(update={"seed": spec.draft.panel.seed})
    alike = spec.draft == other.draft.model_copy(update={"panel": same_seed}) and spec.shown == other.shown
    if alike and spec.draft.panel.seed != other.draft.panel.seed:
        return "other people of the same population"
    return None


def _yardstick(what: Irrelevant, run: SimulationRun, other: SimulationRun) -> Yardstick:
    compared = ComparedRuns([run, other])
    shares = _sizes([change.share for change in compared.changes])
    effects = _sizes([effect.change for effect in compared.effects])
    mean, largest = (float(shares.mean()), float(shares.max())) if shares.size else (math.nan, math.nan)
    effect, largest_effect = (
        (float(effects.mean()), float(effects.max())) if effects.size else (math.nan, math.nan)
    )
    return Yardstick(what, other.spec.run_id, mean, largest, effect, largest_effect)


def _in_words(mean: float, largest: float) -> str:
    """Two shares of the scale's range in percent."""
    return f"{100 * mean:.1f}% of the scale on average (at most {100 * largest:.1f}%)"


def _sizes(values: Sequence[float]) -> Floats:
    """The sizes of the values that are known."""
    sizes: Floats = np.abs(np.array(values, dtype=float))
    return sizes[np.isfinite(sizes)]


def _conditions(run: SimulationRun) -> list[str]:
    return [condition.name for condition in run.spec.draft.conditions]


def _alike(cells: Sequence[RunCell]) -> bool:
    """Whether answers of these cells can be held against each other as they are."""
    basis = compare_scales(tuple(cell.scale for cell in cells)).basis
    return basis in ("answers", "options") and len({cell.values.tobytes() for cell in cells}) == 1


def _change(name: str, first: RunCell, cell: RunCell) -> CellChange:
    span = scale_range(cell.scale)
    difference = cell.mean - first.mean
    return CellChange(
        run=name,
        outcome=cell.outcome_name,
        condition=cell.condition_name,
        mean=cell.mean,
        difference=difference,
        share=difference / span if span else math.nan,
        moved=float(np.abs(cell.predicted - first.predicted).sum() / 2),
    )


def _of_people(cell: RunCell) -> list[dict[str, Any]]:
    """People's row and those of the baselines; none where people were not asked the same."""
    if cell.counts is None:
        return []
    people = cell.counts / max(cell.counts.sum(), 1)
    rows = [
        _row(cell, "people", "people", people) | {"n": cell.n_people, "w_observed": None, "w_stated": None}
    ]
    rows.append(_row(cell, "uniform", "baseline", uniform(len(cell.values))))
    if cell.condition_blind is not None:
        rows.append(_row(cell, "condition-blind", "baseline", cell.condition_blind))
    return rows


def _row(cell: RunCell, predictor: str, kind: str, shares: Floats) -> dict[str, Any]:
    spread = moments(shares, cell.values)
    return {
        "outcome": cell.outcome_name,
        "condition": cell.condition_name,
        "predictor": predictor,
        "kind": kind,
        "n": None,
        "n_profiles": None,
        "mean": spread.mean if cell.is_ordered else None,
        "sd": spread.sd if cell.is_ordered else None,
        "valid_mass": None,
        "w_observed": cell.distance(shares, "observed"),
        "w_stated": cell.distance(shares, "stated"),
        "values": cell.values.tolist(),
        "probabilities": shares.tolist(),
    }


def _asked_the_same(first: SimulationRun, cell: RunCell, run: SimulationRun, other: RunCell) -> bool:
    return (
        first.spec.shown[cell.condition, cell.outcome] == run.spec.shown[other.condition, other.outcome]
        and first.manifest.get("fingerprint") == run.manifest.get("fingerprint")
        and first.spec.people == run.spec.people
    )


def _version(spec: RunSpec) -> str:
    """The number of the draft's version that the run asked; empty where the draft or the version is gone."""
    if spec.draft_id is None:
        return ""
    try:
        kept = versions(spec.draft_id)
    except UserError:
        return ""
    wanted = spec.draft.digest()
    return next((f"version {version.number}" for version in kept if version.draft.digest() == wanted), "")
