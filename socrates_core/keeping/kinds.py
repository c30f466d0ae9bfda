"""The kinds of records in SOCRATES_HOME: what there is of each, what uses a record, and its way to the bin and back."""

from socrates_core.corpus.splits import SPLITS
from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.exposure import seals
from socrates_core.finetuning import library
from socrates_core.finetuning.spec import TRAININGS
from socrates_core.jobs.store import Job, list_jobs, store_lock
from socrates_core.models.model_folder import installed_names
from socrates_core.projects.drafts import DRAFTS
from socrates_core.projects.experiments import EXPERIMENTS
from socrates_core.projects.run_spec import RUNS
from socrates_core.record_folder import BinnedFolder, StoredRecord, files_in
from socrates_core.settings import home


class JobFolder(BinnedFolder):
    """The folder of jobs. One without job.json is a job that is being submitted at this moment."""

    def stored(self) -> list[StoredRecord]:
        return [record for record in super().stored() if (record.paths[0] / "job.json").exists()]


KINDS: dict[str, BinnedFolder] = {
    records.kind: records
    for records in (
        DRAFTS,
        RUNS,
        EXPERIMENTS,
        EVALUATIONS,
        TRAININGS,
        BinnedFolder(kind="adapter", folder="adapters"),
        BinnedFolder(kind="rationales", folder="rationales", endings=(".json", ".parquet")),
        SPLITS,
        BinnedFolder(kind="scales", folder="overrides", endings=(".json",)),
        BinnedFolder(kind="population", folder="margins", endings=(".csv", ".yaml")),
        BinnedFolder(kind="upload", folder="imports"),
        BinnedFolder(kind="corpus", folder="corpora"),
        BinnedFolder(kind="model", folder="models"),
        JobFolder(kind="job", folder="jobs"),
    )
}
MODEL_KINDS = ("model", "adapter")  # in the order in which a model's name is looked up


def records_of(kind: str) -> BinnedFolder:
    """The folder of a kind. Raises UserError if there is no such kind."""
    if kind not in KINDS:
        raise unknown("kind of thing", kind, KINDS)
    return KINDS[kind]


def stored_record(kind: str, name: str) -> StoredRecord:
    """One record by its name. Raises UserError if it is unknown."""
    records = {record.name: record for record in records_of(kind).stored()}
    if name not in records:
        raise unknown(kind, name, records)
    return records[name]


def sizes() -> dict[str, tuple[int, int]]:
    """How many records and bytes there are of each kind, then of the cache, the bin and everything else."""
    counts = {}
    for kind, records in KINDS.items():
        stored = records.stored()
        counts[kind] = (len(stored), sum(record.n_bytes for record in stored))
    deleted = deleted_records()
    cached = list(files_in(home() / "cache"))
    counts["cache"] = (len(cached), sum(file.lstat().st_size for file in cached))
    counts["bin"] = (len(deleted), sum(record.n_bytes for record in deleted))
    everything = sum(file.lstat().st_size for file in files_in(home()))
    counts["other"] = (0, max(everything - sum(n_bytes for _, n_bytes in counts.values()), 0))
    return counts


def users(kind: str, name: str) -> list[Job]:
    """The queued or running jobs that work with the record."""
    if kind in MODEL_KINDS:
        return library.jobs_using(name)
    active = [job for job in list_jobs() if job.active]
    # Most jobs name only a spec that names these, so every job counts but fetch and merge, which read none.
    if kind in ("corpus", "split", "rationales", "scales", "population"):
        return [job for job in active if job.kind not in ("fetch", "merge")]
    return [job for job in active if name == job.id or name in map(str, job.args.values())]


def consequences(kind: str, name: str) -> list[str]:
    """What stops working once the record is deleted, in sentences."""
    if kind in MODEL_KINDS:
        adapters = library.needed_by(name)
        return [f"Without it these adapters cannot answer: {', '.join(adapters)}."] if adapters else []
    if kind == "run":
        sealed = ["It is sealed; without its files the seal proves nothing."] if _is_sealed(name) else []
        return sealed + [
            f"The experiment {experiment.experiment_id!r} needs it."
            for experiment in EXPERIMENTS.readable()
            if name in experiment.run_ids
        ]
    if kind == "corpus":
        sentences = ["Drafts and runs from its studies are shown without people's answers."]
        n_evaluations = sum(evaluation.corpus == name for evaluation in EVALUATIONS.readable())
        if n_evaluations:
            sentences.append(f"{n_evaluations} evaluations on it cannot be compared.")
        return sentences
    return []


def _is_sealed(run_id: str) -> bool:
    try:
        return seals.seal_of(run_id) is not None
    except UserError:
        return False


def delete(kind: str, name: str) -> None:
    """Moves a record to the bin. Raises UserError if it is unknown, or a queued or running job works with it."""
    # The lock keeps a job that needs the record from being submitted between the check and the move.
    with store_lock():
        stored_record(kind, name)
        if jobs := users(kind, name):
            titles = ", ".join(repr(job.title) for job in jobs)
            raise UserError(
                f"The {kind} {name!r} is in use by {titles} (queued or running). Wait for that job, or cancel it first."
            )
        records_of(kind).delete(name)


def deleted_records() -> list[StoredRecord]:
    """What is in the bin, of each kind the last deleted first."""
    return [record for records in KINDS.values() for record in records.deleted()]


def restore(kind: str, name: str) -> None:
    """Brings a record back from the bin. Raises UserError if it is not there, or its name is taken by now."""
    with store_lock():
        records_of(kind).restore(name)


def kind_of_model(name: str) -> str:
    """ "model" or "adapter". Raises UserError if SOCRATES_HOME has no such model."""
    for kind in MODEL_KINDS:
        if any(record.name == name for record in KINDS[kind].stored()):
            return kind
    raise unknown("model", name, installed_names(), "Only models in SOCRATES_HOME can be deleted here.")


def deleted_models() -> dict[str, StoredRecord]:
    """The models and adapters in the bin by name; of several with one name the one deleted last."""
    records = [record for kind in MODEL_KINDS for record in KINDS[kind].deleted()]
    records.sort(key=lambda record: int(record.deleted_at) if record.deleted_at.isdigit() else 0)
    return {record.name: record for record in records}


def deleted_model(name: str) -> StoredRecord:
    """The model or adapter of that name that was deleted last. Raises UserError if the bin has none."""
    models = deleted_models()
    if name not in models:
        raise unknown("deleted model", name, models)
    return models[name]
