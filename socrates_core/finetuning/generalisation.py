"""Whether a finetuned model does better than its base on what its training held out, for each kind of split."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from socrates_core.analysis.bootstrap import SEED, Measure, over_studies, ratio
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.splits import KINDS, Kind
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.predictors import guesses, model_predictor
from socrates_core.evaluations.results import Evaluation, complete_specs, load_evaluation
from socrates_core.evaluations.scores import Summary, summarise, summarise_people
from socrates_core.evaluations.spec import CAP, EvaluationSpec, plan_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.finetuning.library import Trained, lineage
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.jobs.store import Job
from socrates_core.models import model_revision
from socrates_core.models.model_folder import ModelFolder, find_model, installed_names
from socrates_core.models.seen import Training, seen_of
from socrates_core.records import Floats

STATED, OBSERVED = "wasserstein_exact_stated", "wasserstein_observed"
MEASURES = (STATED, OBSERVED, "wasserstein_exact_observed", "accuracy_draw", "log_score", "valid_mass")
IMPROVED = {"improvement": STATED, "improvement_observed": OBSERVED}
ROLES = ("base", "finetuned", "baseline")
BASELINES = ("uniform", "condition-blind", "half-sample", "oracle")
_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))  # of a column, and of a measure


@dataclass(frozen=True)
class FinetunedModel:
    """A finetuned model by its card. `base` is the first of its lineage that is on this machine."""

    name: str
    base: str
    spec: TrainingSpec
    trainings: tuple[Training, ...]
    n_examples: int | None


@dataclass(frozen=True)
class Pair:
    """A finetuned model and its base, evaluated in the same way on what a split held out of the training."""

    finetune: FinetunedModel
    kind: Kind
    base: Evaluation
    tuned: Evaluation

    @property
    def evaluations(self) -> tuple[Evaluation, Evaluation]:
        return self.base, self.tuned


def finetunes() -> list[FinetunedModel]:
    """The finetuned models of this machine, by name."""
    return [model for name in installed_names() if (model := _finetuned(name))]


def open_finetune(name: str) -> FinetunedModel:
    """The finetuned model called `name`. Raises UserError if its card has no training or is damaged."""
    folder = find_model(name)
    stored = ModelFolder(folder).card.get("training")
    try:
        trained = Trained.model_validate(stored)
    except ValidationError as error:
        raise UserError(
            f"The card of {name!r} does not describe a finetuning by this program, so it is not known what was held "
            "out. Name a model that was finetuned here."
        ) from error
    spec = spec_from_dict(trained.spec, repr(str(folder / "card.json")))
    base = next((ancestor for ancestor in lineage(name)[:-1] if ancestor in installed_names()), spec.base)
    return FinetunedModel(name, base, spec, seen_of(name).trainings, trained.n_examples)


def find_pairs() -> list[Pair]:
    """Every finetuned model with its base, if both were evaluated in the same way on a split it was trained for.

    Of several such evaluations the newest counts; one of an earlier model of the same name does not. Sorted by kind of
    split, base, method, share of people and name.
    """
    specs = complete_specs()
    newest: dict[tuple[str, str], EvaluationSpec] = {}
    for spec in specs:
        # The specs come newest first, so the first of each kind stays.
        newest.setdefault((spec.model.name, _way_of_asking(spec)), spec)
    finetuned = {name: _finetuned(name) for name in {spec.model.name for spec in specs}}
    pairs = []
    for (name, way), spec in newest.items():
        model = finetuned[name]
        if model is None or model.base == name:
            continue
        base = newest.get((model.base, way))
        kind = _kind(model, spec)
        if base and kind:
            with suppress(UserError):  # it was changed by hand; opening it says so
                evaluations = load_evaluation(base.evaluation_id), load_evaluation(spec.evaluation_id)
                pair = Pair(model, kind, *evaluations)
                if _is_current(pair):
                    pairs.append(pair)
    return sorted(pairs, key=_sort_key)


def _sort_key(pair: Pair) -> tuple[Any, ...]:
    spec = pair.finetune.spec
    return KINDS.index(pair.kind), pair.finetune.base, spec.method, spec.people_share, spec.name


def _way_of_asking(spec: EvaluationSpec) -> str:
    """Equal for evaluations that ask the same people the same questions, in the same precision and decoding."""
    settings = {key: value for key, value in spec.model.as_dict().items() if key != "name"}
    return f"{spec.sample_digest()} {spec.shots} {settings}"


def _finetuned(name: str) -> FinetunedModel | None:
    """The finetuned model called `name`; None for any other."""
    if name in installed_names() or Path(name).is_dir():
        with suppress(UserError):
            return open_finetune(name)
    return None


def _kind(model: FinetunedModel, spec: EvaluationSpec) -> Kind | None:
    """The kind of the evaluation's split if the model was trained on its training side; None for another split."""
    kinds = [training.kind for training in model.trainings if training.split_digest == spec.split_digest]
    # A model's own training comes after those of its base (`Seen.over`).
    return kinds[-1] if kinds else None


def _is_current(pair: Pair) -> bool:
    """Whether the finetuned model is still the one that was evaluated; without its base here it is assumed."""
    if pair.finetune.base not in installed_names():
        return True
    return bool(model_revision(pair.finetune.name) == pair.tuned.manifest["card"].get("revision"))


def generalisation_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The rows of `score_pair` for every pair, in the order of `arrange`."""
    return arrange([row for pair in pairs for row in score_pair(pair, Comparison(pair.evaluations))])


def score_pair(pair: Pair, comparison: Comparison) -> list[dict[str, Any]]:
    """A row for the base, the finetuned model and each of BASELINES, on the rows that training did not see.

    `comparison` is that of the pair. Keys: kind, split, base, cap; who and role ("base", "finetuned", "baseline"), for
    the finetuned model also finetune and method; the MEASURES and effect_r; how much smaller W is than the base's, as a
    share, on the stated scale (`improvement`) and as published (`improvement_observed`), each with _low and _high;
    n_studies, n_people, n_cells, n_rows; and n_left_out, the rows that training saw. If training saw all of them, there
    is one row without measures.
    """
    model = pair.finetune
    shared: dict[str, Any] = {
        "kind": pair.kind,
        "split": pair.tuned.spec.split,
        "base": model.base,
        "cap": pair.tuned.spec.cap,
    }
    finetuned = {"role": "finetuned", "finetune": model.name, "method": model.spec.method}
    left_out = {"n_left_out": comparison.n_left_out}
    if comparison.seen_only:
        counts = dict.fromkeys(("n_studies", "n_people", "n_cells", "n_rows"), 0)
        return [{**shared, **finetuned, "who": model.name, **counts, **left_out}]
    n_people = comparison.rows[0].groupby(["study_id", "participant"]).ngroups
    roles = ({"role": "base"}, finetuned, *[{"role": "baseline"}] * len(BASELINES))
    return [
        {**shared, **role, **row, "n_people": n_people, **left_out}
        for role, row in zip(roles, score_rows(comparison), strict=True)
    ]


def arrange(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows of `score_pair` by what is held out: each base once, its finetuned models, each baseline once."""
    table = pd.DataFrame(rows).drop_duplicates(ignore_index=True)
    if table.empty:
        return table
    table["kind"] = pd.Categorical(table["kind"], KINDS)
    table["role"] = pd.Categorical(table["role"], ROLES)
    return table.sort_values(["kind", "split", "base", "n_left_out", "n_people", "role"], ignore_index=True)


def score_rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The scores of a comparison's models, of which the first is the base, then of BASELINES."""
    summaries: dict[str, Summary] = {}
    for name, cells in zip(comparison.names, comparison.cells, strict=True):
        summaries[name] = summarise(cells, model_predictor(name, cells))
    first = comparison.cells[0]  # baselines use only people's answers, which are the same for every model
    for guess in guesses(first, seed=SEED):
        if guess.name in BASELINES:
            summaries[guess.name] = summarise(first, guess)
    summaries |= {summary.name: summary for summary in summarise_people(first)}
    base = summaries[comparison.names[0]]
    for name in (*comparison.names, *BASELINES):
        summary = summaries[name]
        measures = {key: summary.measures[key] for key in MEASURES if key in summary.measures}
        if name in comparison.agreements:
            measures["effect_r"] = comparison.agreements[name].r
        if summary is not base:
            for column, measure in IMPROVED.items():
                if measure in summary.measures:
                    measures[column] = _improvement(base, summary, measure)
        columns = {
            f"{column}{suffix}": getattr(measure, part)
            for column, measure in measures.items()
            for suffix, part in _ENDS
        }
        counts = {key: getattr(summary, key) for key in ("n_studies", "n_cells", "n_rows")}
        yield {"who": name, **columns, **counts}


def _improvement(base: Summary, other: Summary, measure: str) -> Measure:
    pairs = pd.concat([base.by_study[measure], other.by_study[measure]], axis=1).to_numpy(dtype=float)
    return relative_improvement(*pairs.T)


def relative_improvement(before: Floats, after: Floats) -> Measure:
    """1 minus the mean of `after` [s] over the mean of `before` [s], scores of the same studies; lower is better.

    The interval is over studies and keeps both scores of a study together. A study that lacks a
    score is left out.
    """
    both = np.stack([before, after], axis=1)
    both = both[np.isfinite(both).all(axis=1)]
    return over_studies(both, lambda totals: 1 - ratio(totals))


def submit_missing(model: FinetunedModel, *, cap: int | None = CAP) -> list[Job]:
    """Queues the missing evaluations of a finetuned model and its base on the split it was trained for.

    Raises UserError if the split is gone or was made again since.
    """
    split = model.spec.split
    names = (model.base, model.name)
    plans = {name: plan_evaluation(ModelRequest(name), split=split, cap=cap) for name in names}
    tuned = plans[model.name]
    if _kind(model, tuned) is None:
        raise UserError(
            f"The split {split!r} was made again after {model.name!r} was trained, so what it holds out may have been "
            "trained on. Train with the new one."
        )
    done = {spec.content_digest() for spec in complete_specs()} - {tuned.content_digest()}
    # The finetuned model's evaluation counts only within a pair: an earlier model of the same name may have made it.
    done |= {pair.tuned.spec.content_digest() for pair in find_pairs()}
    missing = [name for name, plan in plans.items() if plan.content_digest() not in done]
    return [submit_evaluation(ModelRequest(name), split=split, cap=cap) for name in missing]
