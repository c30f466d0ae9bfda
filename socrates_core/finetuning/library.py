"""The models of this machine: what each was made from and trained on, and what needs it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.spec import load_spec as load_evaluation_spec
from socrates_core.files import read_json
from socrates_core.finetuning.spec import TRAININGS, load_training, training_path
from socrates_core.jobs.store import Job, list_jobs
from socrates_core.models.catalog import ModelCard, folder_card, list_models
from socrates_core.models.model_folder import ModelFolder, find_model, installed_names, is_folder
from socrates_core.models.seen import N_OFFICIAL, Seen, seen_of
from socrates_core.projects.run_spec import load_spec as load_run_spec

Kind = Literal["model", "adapter", "checkpoint", "hub"]


class Trained(BaseModel):
    """The part `training` of a card: how the model was made, as far as the card says it.

    `validation` and `base_validation` have the fields of `history.Validation`, for the model and for its base. `doubts`
    are reasons to think that the model is no gain.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = ""
    written: str = ""
    spec: dict[str, Any] = {}
    spec_digest: str = ""
    data_digest: str = ""
    base_revision: str = ""
    n_examples: int | None = None
    n_examples_read: int | None = None
    n_rows: int | None = None
    n_validation_rows: int | None = None
    n_tokens: int | None = None
    step: int | None = None
    validation: dict[str, float | None] | None = None
    base_validation: dict[str, float | None] | None = None
    leaks_accepted: str = ""
    leaks: list[str] = []
    doubts: list[str] = []
    rationales: dict[str, Any] | None = None
    precision: str = ""
    processor: str = ""
    n_processes: int | None = None
    memory_mb: float | None = None
    estimate: dict[str, Any] | None = None
    libraries: dict[str, str] = {}
    python: str = ""
    machine: str = ""
    seconds: float | None = None

    def measured(self, name: str, *, base: bool = False) -> float | None:
        """A measure of the model or of its base on the rows kept back for validation; None if it is not known."""
        return ((self.base_validation if base else self.validation) or {}).get(name)


@dataclass(frozen=True)
class LibraryModel:
    """One model and where it comes from.

    `lineage` has the names from the first base to the model itself. `trained` is None if its card has no training;
    `problem` says what is wrong with the card or the model, or how to get it.
    """

    card: ModelCard
    kind: Kind
    lineage: tuple[str, ...]
    trained: Trained | None
    problem: str = ""

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def base(self) -> str:
        """The model it was made from; empty if that is not known."""
        return self.lineage[-2] if len(self.lineage) > 1 else ""


def library() -> list[LibraryModel]:
    """The models and adapters of this machine, the checkpoints of finetunes under way, then the Socrates models."""
    cards = [card for card in list_models() if card.kind in ("local", "hub")]
    local = [_describe(card) for card in cards if card.kind == "local"]
    hub = [_describe(card) for card in cards if card.kind == "hub"]
    return [*local, *map(look_up, _checkpoints()), *hub]


def look_up(name: str) -> LibraryModel:
    """One model by its name; nothing is fetched. Raises UserError if it is neither on this machine nor released."""
    listed = {card.name: card for card in list_models() if card.kind in ("local", "hub")}
    if name not in listed and name not in _checkpoints():
        raise unknown("model", name, listed)
    return _describe(listed.get(name) or folder_card(name))


def _describe(card: ModelCard) -> LibraryModel:
    if card.kind == "hub":
        return LibraryModel(card, "hub", (card.name,), None)
    if not card.path:
        return LibraryModel(card, "model", (card.name,), None, card.advice)
    path = Path(card.path)
    kind: Kind = "adapter" if is_adapter(path) else "model"
    if card.name not in installed_names():
        kind = "checkpoint"
        card = replace(card, title=f"{path.parent.name}: best so far")
    trained = None
    problem = "" if card.installed else card.advice
    try:
        stored = ModelFolder(path).card.get("training")
        trained = None if stored is None else Trained.model_validate(stored)
    except (UserError, ValidationError) as error:
        problem = problem or f"The part 'training' of its card is not as this program writes it: {error}"
    return LibraryModel(card, kind, lineage(card.name), trained, " ".join(problem.split()))


def is_adapter(path: Path) -> bool:
    return (path / "adapter_config.json").exists() and not (path / "config.json").exists()


def lineage(name: str) -> tuple[str, ...]:
    """The names from the first base to `name`, from its card, or else from the base that each folder names."""
    path = _here(name)
    try:
        stored = ModelFolder(path).card.get("lineage") if path else None
    except UserError:
        stored = None
    chain = [name]
    if isinstance(stored, list) and all(isinstance(ancestor, str) for ancestor in stored):
        chain = [*stored[:-1], name]  # its last name is the one under which the model was trained
    # Cards may come from strangers, and two could name each other as their base.
    while (base := _base_of(chain[0])) and base not in chain:
        chain.insert(0, base)
    return tuple(chain)


def _base_of(name: str) -> str:
    """The base that an adapter's settings, or a model's card, name; empty without one."""
    path = _here(name)
    if path is None:
        return ""
    try:
        if is_adapter(path):
            base = read_json(path / "adapter_config.json")["base_model_name_or_path"]
        else:
            base = ModelFolder(path).card.get("base")
    except (UserError, KeyError, TypeError):
        return ""
    return short_name(base) if isinstance(base, str) else ""


def short_name(name: str) -> str:
    """The name of an installed model if `name` is the path of its folder; else `name`."""
    path = _here(name)
    return next((installed for installed in installed_names() if path and _here(installed) == path), name)


def _here(name: str) -> Path | None:
    """The folder that a name opens, links resolved; None if it is not on this machine. Nothing is fetched."""
    if name in installed_names() or is_folder(name):
        return find_model(name).resolve()
    return None


def _checkpoints() -> list[str]:
    """The paths of the best checkpoints of finetunes that have not made a model yet."""
    paths = []
    for training_id in TRAININGS.ids():
        try:
            is_published = load_training(training_id).name in installed_names()
        except UserError:
            continue
        kept = sorted(training_path(training_id).glob("best-[0-9]*"), key=lambda path: int(path.name[5:]))
        if kept and not is_published:
            paths.append(str(kept[-1]))
    return paths


def saw_table(seen: Seen) -> pd.DataFrame:
    """What a model was trained on, one row per training and study.

    Columns training (its number, from 1), corpus, split, study_id, and conditions, outcomes and participants as a text
    that counts and lists them, or "all".
    """
    rows = [
        {
            "training": str(number),
            "corpus": training.corpus,
            "split": f"{training.split} ({training.kind})",
            "study_id": study_id,
            "conditions": _listed(part.conditions),
            "outcomes": _listed(part.tasks),
            "participants": _listed(part.participants),
        }
        for number, training in enumerate(seen.trainings, 1)
        for study_id, part in training.studies.items()
    ]
    named = [
        {
            "training": "by its card",
            "corpus": "",
            "split": "",
            "study_id": study_id,
            "conditions": "all",
            "outcomes": "all",
            "participants": "all",
        }
        for study_id in seen.studies
    ]
    columns = ["training", "corpus", "split", "study_id", "conditions", "outcomes", "participants"]
    return pd.DataFrame([*rows, *named], columns=columns)


def _listed(numbers: tuple[int, ...] | None) -> str:
    return "all" if numbers is None else f"{len(numbers):,}: {', '.join(map(str, numbers))}"


def saw_counts(seen: Seen) -> list[str]:
    """A sentence per training: how many studies, and how many conditions, outcomes or people of split studies."""
    sentences = []
    for training in seen.trainings:
        parts = [f"{len(training.studies):,} studies of {training.corpus}"]
        for field, noun in (("conditions", "conditions"), ("tasks", "outcomes"), ("participants", "people")):
            listed = [ids for part in training.studies.values() if (ids := getattr(part, field)) is not None]
            if listed:
                parts.append(f"in {len(listed):,} of them only {sum(map(len, listed)):,} {noun}")
        sentences.append(f"{', '.join(parts)}: the training side of the split {training.split}.")
    return sentences


def saw_briefly(seen: Seen) -> str:
    """How many studies a model was trained on, as far as is known."""
    studies = {(training.corpus, study) for training in seen.trainings for study in training.studies}
    n = len(studies | {("", study) for study in seen.studies}) + (N_OFFICIAL if seen.official else 0)
    if not seen.known:
        return f"at least {n:,} studies" if n else "not known"
    if n == 0:
        return "no study"
    return "1 study" if n == 1 else f"{n:,} studies"


def needed_by(name: str) -> list[str]:
    """The adapters of this machine that need the model to answer."""
    path = _here(name)
    others = [*installed_names(), *_checkpoints()]
    return [other for other in others if other != name and path and _here(_adapted(other)) == path]


def _adapted(name: str) -> str:
    """The base of an adapter; empty for a whole model."""
    path = _here(name)
    return _base_of(name) if path and is_adapter(path) else ""


def jobs_using(name: str) -> list[Job]:
    """The queued and running jobs in which the model, or an adapter over it, answers, is trained or is merged."""
    path = _here(name)
    if path is None:
        return []
    jobs = []
    for job in list_jobs():
        models = [model for used in _models_of(job) for model in (used, _adapted(used))] if job.active else []
        if any(_here(model) == path for model in models):
            jobs.append(job)
    return jobs


def _models_of(job: Job) -> list[str]:
    """The names of the models that a job works with."""
    args: Mapping[str, Any] = job.args
    try:
        if job.kind == "simulate":
            return [load_run_spec(args["run_id"]).model.name]
        if job.kind == "evaluate":
            # An evaluation that waits for its model to be trained has a plan, but no spec yet.
            planned = args.get("plan")
            return [planned["model"] if planned else load_evaluation_spec(args["evaluation_id"]).model.name]
        if job.kind == "train":
            spec = load_training(args["training_id"])
            return [spec.base, spec.name]
    except UserError:
        return []
    model = args.get("model", [])
    # Rationales keep the whole request, everything else the name alone.
    return [str(model["name"] if isinstance(model, Mapping) else model)] if model else []


def seen_or_unknown(name: str) -> Seen:
    """Training exposure of a model; unknown if its card is damaged."""
    try:
        return seen_of(name)
    except UserError as error:
        return Seen(note=str(error), known=False)
