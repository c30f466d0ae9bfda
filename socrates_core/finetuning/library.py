"""Models as things to look after: what each was made from and saw, and which others need it."""

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
    """The part `training` of a card: how the model came about, as far as the card says it.

    `validation` and `base_validation` have the fields of `history.Validation`, of the model and of what it began from.
    `doubts` are reasons to think that the model is no gain.
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
        """A measure on the rows kept back for validation, of the model or of its base; None where it is not known."""
        return ((self.base_validation if base else self.validation) or {}).get(name)


@dataclass(frozen=True)
class LibraryModel:
    """One model with where it comes from.

    `lineage` are names from the first base to the model itself. `trained` is None where its card tells of no
    training; `problem` says what is wrong with the card or the model, or what to do to have it here.
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
        """What it was made from; empty where nothing says it."""
        return self.lineage[-2] if len(self.lineage) > 1 else ""


def library() -> list[LibraryModel]:
    """The models and adapters of this machine, the checkpoints of finetunes under way, then the Socrates models."""
    cards = [card for card in list_models() if card.kind in ("local", "hub")]
    own = [_describe(card) for card in cards if card.kind == "local"]
    return [*own, *map(look_up, _checkpoints()), *(_describe(card) for card in cards if card.kind == "hub")]


def look_up(name: str) -> LibraryModel:
    """One model by its name; nothing is fetched. Raises UserError where it is neither here nor a released one."""
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
        kind, card = "checkpoint", replace(card, title=f"{path.parent.name}: best so far")
    trained, problem = None, "" if card.installed else card.advice
    try:
        stored = ModelFolder(path).card.get("training")
        trained = None if stored is None else Trained.model_validate(stored)
    except (UserError, ValidationError) as error:
        problem = problem or f"Its card does not say how it was trained as this program writes it: {error}"
    return LibraryModel(card, kind, lineage(card.name), trained, " ".join(problem.split()))


def is_adapter(path: Path) -> bool:
    return (path / "adapter_config.json").exists() and not (path / "config.json").exists()


def lineage(name: str) -> tuple[str, ...]:
    """The names from the first base to `name`, by its card, or else by what each folder names as its base."""
    path = _here(name)
    try:
        stored = ModelFolder(path).card.get("lineage") if path else None
    except UserError:
        stored = None
    told = isinstance(stored, list) and all(isinstance(each, str) for each in stored)
    chain = [*stored[:-1], name] if stored and told else [name]
    while (base := _base_of(chain[0])) and base not in chain:
        chain.insert(0, base)
    return tuple(chain)


def _base_of(name: str) -> str:
    """What an adapter's settings, or a model's card, name as its base; empty where neither does."""
    path = _here(name)
    if path is None:
        return ""
    try:
        settings = read_json(path / "adapter_config.json") if is_adapter(path) else None
        base = (
            settings["base_model_name_or_path"]
            if settings is not None
            else ModelFolder(path).card.get("base")
        )
    except (UserError, KeyError, TypeError):
        return ""
    return short_name(base) if isinstance(base, str) else ""


def short_name(name: str) -> str:
    """The name that a model of this machine goes by, where `name` is its folder's path; else `name`."""
    path = _here(name)
    return next((each for each in installed_names() if path and _here(each) == path), name)


def _here(name: str) -> Path | None:
    """The folder that a name opens, links followed; None where it is not on this machine. Nothing is fetched."""
    if name in installed_names() or is_folder(name):
        return find_model(name).resolve()
    return None


def _checkpoints() -> list[str]:
    """The paths of the best checkpoints of finetunes that are no model yet."""
    found = []
    for each in TRAININGS.ids():
        try:
            published = load_training(each).name in installed_names()
        except UserError:
            continue
        kept = sorted(training_path(each).glob("best-[0-9]*"), key=lambda path: int(path.name[5:]))
        if kept and not published:
            found.append(str(kept[-1]))
    return found


def saw_table(seen: Seen) -> pd.DataFrame:
    """What a model was trained on: a row a training and study.

    Columns training (its number, from 1), corpus, split, study_id, and conditions, outcomes, participants as a text
    that counts and lists them, or "all".
    """
    rows = [
        {
            "training": str(number),
            "corpus": each.corpus,
            "split": f"{each.split} ({each.kind})",
            "study_id": study_id,
            "conditions": _listed(part.conditions),
            "outcomes": _listed(part.tasks),
            "participants": _listed(part.participants),
        }
        for number, each in enumerate(seen.trainings, 1)
        for study_id, part in each.studies.items()
    ]
    named = [
        {
            "training": "by its card",
            "corpus": "",
            "split": "",
            "study_id": each,
            "conditions": "all",
            "outcomes": "all",
            "participants": "all",
        }
        for each in seen.studies
    ]
    columns = ["training", "corpus", "split", "study_id", "conditions", "outcomes", "participants"]
    return pd.DataFrame([*rows, *named], columns=columns)


def _listed(numbers: tuple[int, ...] | None) -> str:
    return "all" if numbers is None else f"{len(numbers):,}: {', '.join(map(str, numbers))}"


def saw_counts(seen: Seen) -> list[str]:
    """A sentence a training: how many studies, and of those that are split how many conditions, outcomes or people."""
    told = []
    for each in seen.trainings:
        parts = [f"{len(each.studies):,} studies of {each.corpus}"]
        for field, noun in (("conditions", "conditions"), ("tasks", "outcomes"), ("participants", "people")):
            named = [len(ids) for part in each.studies.values() if (ids := getattr(part, field)) is not None]
            if named:
                parts.append(f"in {len(named):,} of them only {sum(named):,} {noun}")
        told.append(f"{', '.join(parts)}: the training side of the split {each.split}.")
    return told


def saw_briefly(seen: Seen) -> str:
    """How many studies a model was trained on, as far as is known."""
    studies = {(each.corpus, study) for each in seen.trainings for study in each.studies}
    n = len(studies | {("", study) for study in seen.studies}) + (N_OFFICIAL if seen.official else 0)
    if not seen.known:
        return f"at least {n:,} studies" if n else "not known"
    return "no study" if n == 0 else "1 study" if n == 1 else f"{n:,} studies"


def needed_by(name: str) -> list[str]:
    """The adapters of this machine that do not answer without the model."""
    path = _here(name)
    others = [*installed_names(), *_checkpoints()]
    return [each for each in others if each != name and path and _here(_adapted(each)) == path]


def _adapted(name: str) -> str:
    path = _here(name)
    return _base_of(name) if path and is_adapter(path) else ""


def jobs_using(name: str) -> list[Job]:
    """The queued and running jobs that the model answers, is trained or is merged in, its adapters' jobs included."""
    path = _here(name)
    return [
        job
        for job in list_jobs()
        if path
        and job.active
        and any(_here(each) == path for used in _models_of(job) for each in (used, _adapted(used)))
    ]


def _models_of(job: Job) -> list[str]:
    """The names of the models that a job works with."""
    args: Mapping[str, Any] = job.args
    try:
        if job.kind == "simulate":
            return [load_run_spec(args["run_id"]).model.name]
        if job.kind == "evaluate":
            planned = args.get("plan")
            return [planned["model"] if planned else load_evaluation_spec(args["evaluation_id"]).model.name]
        if job.kind == "train":
            spec = load_training(args["training_id"])
            return [spec.base, spec.name]
    except UserError:
        return []
    return [str(args["model"])] if "model" in args else []


def seen_or_unknown(name: str) -> Seen:
    """What a model was trained on; unknown if its card is damaged."""
    try:
        return seen_of(name)
    except UserError as error:
        return Seen(note=str(error), known=False)
