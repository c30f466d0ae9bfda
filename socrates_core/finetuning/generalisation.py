"""Does a finetuned model do better than its base on what its training held out: one table over the kinds of splits."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from socrates_core.analysis.bootstrap import SEED, Measure, bootstrap, ratio
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
TOLD = (STATED, OBSERVED, "wasserstein_exact_observed", "accuracy_draw", "log_score", "valid_mass")
IMPROVED = {"improvement": STATED, "improvement_observed": OBSERVED}
ROLES = ("base", "finetuned", "baseline")
BESIDE = ("uniform", "condition-blind", "half-sample", "oracle")


@dataclass(frozen=True)
class Finetune:
    """A finetuned model by its card: the first of its lineage that is here, its training, what each training saw."""

    name: str
    base: str
    spec: TrainingSpec
    trainings: tuple[Training, ...]
    n_examples: int | None


@dataclass(frozen=True)
class Pair:
    """A finetuned model and its base, evaluated alike on what a split held out of the training."""

    finetune: Finetune
    kind: Kind
    base: Evaluation
    tuned: Evaluation

    @property
    def evaluations(self) -> tuple[Evaluation, Evaluation]:
        return self.base, self.tuned


def finetunes() -> list[Finetune]:
    """The finetuned models of this machine, by name."""
    return [found for name in installed_names() if (found := _finetuned(name))]


def open_finetune(name: str) -> Finetune:
    """The finetuned model called `name`. Raises UserError where its card tells of no training or is damaged."""
    folder = find_model(name)
    stored = ModelFolder(folder).card.get("training")
    try:
        trained = Trained.model_validate(stored)
    except ValidationError as error:
        raise UserError(
            f"The card of {name!r} tells of no finetuning by this program, so what was held out is not known. "
            "Name a model that was finetuned here."
        ) from error
    spec = spec_from_dict(trained.spec, repr(str(folder / "card.json")))
    base = next((each for each in lineage(name)[:-1] if each in installed_names()), spec.base)
    return Finetune(name, base, spec, seen_of(name).trainings, trained.n_examples)


def find_pairs() -> list[Pair]:
    """Every finetuned model with its base where both were evaluated alike on a split that it was trained for.

    Of several evaluations that ask the same in the same way the newest counts; one from before a model of that name
    was trained anew does not. In order of the kinds of splits, bases, methods, shares of
    people and names.
    """
    specs = complete_specs()
    newest: dict[tuple[str, str], EvaluationSpec] = {}
    for spec in specs:
        newest.setdefault((spec.model.name, _asked(spec)), spec)
    tuned = {name: _finetuned(name) for name in {spec.model.name for spec in specs}}
    found = []
    for (name, asked), spec in newest.items():
        finetune = tuned[name]
        base = newest.get((finetune.base, asked)) if finetune and finetune.base != name else None
        kind = _kind(finetune, spec) if finetune else None
        if finetune and base and kind:
            with suppress(UserError):  # changed by hand since, which whoever opens it is told
                pair = Pair(finetune, kind, *(load_evaluation(each.evaluation_id) for each in (base, spec)))
                found += [pair] if _is_current(pair) else []
    return sorted(found, key=_place)


def _place(pair: Pair) -> tuple[Any, ...]:
    spec = pair.finetune.spec
    return KINDS.index(pair.kind), pair.finetune.base, spec.method, spec.people_share, spec.name


def _asked(spec: EvaluationSpec) -> str:
    """What evaluations share that ask the same people the same, of models in the same precision and decoding."""
    told = {key: value for key, value in spec.model.as_dict().items() if key != "name"}
    return f"{spec.sample_digest()} {spec.shots} {told}"


def _finetuned(name: str) -> Finetune | None:
    """The finetuned model called `name`; None for any other."""
    if name in installed_names() or Path(name).is_dir():
        with suppress(UserError):
            return open_finetune(name)
    return None


def _kind(finetune: Finetune, spec: EvaluationSpec) -> Kind | None:
    """What the split of an evaluation held out of a model's training; None for another split."""
    kinds = [each.kind for each in finetune.trainings if each.split_digest == spec.split_digest]
    return kinds[-1] if kinds else None


def _is_current(pair: Pair) -> bool:
    """Whether the finetuned model is still the one that was evaluated; taken for granted without its base."""
    if pair.finetune.base not in installed_names():
        return True
    return bool(model_revision(pair.finetune.name) == pair.tuned.manifest["card"].get("revision"))


def generalisation_table(pairs: Sequence[Pair]) -> pd.DataFrame:
    """The rows of `score_pair` of every pair, as `arrange` orders them."""
    return arrange([row for pair in pairs for row in score_pair(pair, Comparison(pair.evaluations))])


def score_pair(pair: Pair, comparison: Comparison) -> list[dict[str, Any]]:
    """A row for the base, the finetuned model, and each baseline of BESIDE, on the rows that training did not see.

    `comparison` is of the pair. Keys kind, split, base, cap; who and role ("base", "finetuned", "baseline"), of a
    finetuned model finetune and method; the measures of TOLD, effect_r, and by how much W is smaller than the base's on
    the stated scale (`improvement`) and as published (`improvement_observed`), as shares, each with _low and _high;
    n_studies, n_people, n_cells, n_rows and n_left_out, the rows that training saw. Where that is all of them there is
    one row without measures.
    """
    finetune = pair.finetune
    told: dict[str, Any] = {
        "kind": pair.kind,
        "split": pair.tuned.spec.split,
        "base": finetune.base,
        "cap": pair.tuned.spec.cap,
    }
    own = {"role": "finetuned", "finetune": finetune.name, "method": finetune.spec.method}
    left_out = {"n_left_out": comparison.n_left_out}
    if comparison.seen_only:
        counts = dict.fromkeys(("n_studies", "n_people", "n_cells", "n_rows"), 0)
        return [{**told, **own, "who": finetune.name, **counts, **left_out}]
    people = comparison.rows[0].groupby(["study_id", "participant"]).ngroups
    roles = ({"role": "base"}, own, *[{"role": "baseline"}] * len(BESIDE))
    return [
        {**told, **role, **row, "n_people": people, **left_out}
        for role, row in zip(roles, score_rows(comparison), strict=True)
    ]


def arrange(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `score_pair` by what is held out: each base once, then its finetuned models, then each baseline once."""
    table = pd.DataFrame(rows).drop_duplicates(ignore_index=True)
    if table.empty:
        return table
    table["kind"] = pd.Categorical(table["kind"], KINDS)
    table["role"] = pd.Categorical(table["role"], ROLES)
    return table.sort_values(["kind", "split", "base", "n_left_out", "n_people", "role"], ignore_index=True)


def score_rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The scores of a comparison's models, the first of them the base, then of the baselines of BESIDE."""
    asked = comparison.cells
    models = [model_predictor(name, cells) for name, cells in zip(comparison.names, asked, strict=True)]
    summaries = {
        each.name: summarise(cells, each, seed=SEED) for each, cells in zip(models, asked, strict=True)
    }
    beside = [each for each in guesses(asked[0], seed=SEED) if each.name in BESIDE]
    summaries |= {each.name: summarise(asked[0], each, seed=SEED) for each in beside}
    summaries |= {each.name: each for each in summarise_people(asked[0], seed=SEED)}
    base = summaries[comparison.names[0]]
    for name in (*comparison.names, *BESIDE):
        own = summaries[name]
        measures = {each: own.measures[each] for each in TOLD if each in own.measures}
        if name in comparison.agreements:
            measures["effect_r"] = comparison.agreements[name].r
        if own is not base:
            measures |= {
                told: _improved(base, own, measure)
                for told, measure in IMPROVED.items()
                if measure in own.measures
            }
        ends = {
            f"{each}{end}": getattr(found, part) for each, found in measures.items() for end, part in _ENDS
        }
        yield {"who": name, **ends, **{n: getattr(own, n) for n in ("n_studies", "n_cells", "n_rows")}}


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


def _improved(base: Summary, other: Summary, measure: str) -> Measure:
    beside = pd.concat([base.by_study[measure], other.by_study[measure]], axis=1).to_numpy(dtype=float)
    return relative_improvement(*beside.T, seed=SEED)


def relative_improvement(before: Floats, after: Floats, *, seed: int) -> Measure:
    """1 minus the mean of `after` [s] over the mean of `before` [s], scores of the same studies; lower is better.

    The interval is the study bootstrap's, both scores of a study drawn together. A study that lacks one leaves.
    """
    both = np.stack([before, after], axis=1)
    both = both[np.isfinite(both).all(axis=1)]
    return bootstrap(both, lambda totals: 1 - ratio(totals), seed=seed)


def submit_missing(finetune: Finetune, *, cap: int | None = CAP) -> list[Job]:
    """Queues the evaluations of a finetuned model and its base that are missing on the split it was trained for.

    Raises UserError where the split is gone or was made anew since.
    """
    split, names = finetune.spec.split, (finetune.base, finetune.name)
    plans = {name: plan_evaluation(ModelRequest(name), split=split, cap=cap) for name in names}
    tuned = plans[finetune.name]
    if _kind(finetune, tuned) is None:
        raise UserError(
            f"The split {split!r} was made anew since {finetune.name!r} was trained, so what it holds out may have "
            "been trained on. Train with the new one."
        )
    done = {spec.content_digest() for spec in complete_specs()} - {tuned.content_digest()}
    done |= {pair.tuned.spec.content_digest() for pair in find_pairs()}
    missing = [name for name, plan in plans.items() if plan.content_digest() not in done]
    return [submit_evaluation(ModelRequest(name), split=split, cap=cap) for name in missing]
