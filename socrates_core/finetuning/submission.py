"""Checks finetunes, then queues them or registers one that runs in the foreground."""

from dataclasses import dataclass
from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.evaluations.submission import is_evaluated, submit_evaluation, submit_evaluation_after
from socrates_core.files import write_text
from socrates_core.finetuning.estimate import (
    TrainingEstimate,
    estimate_training,
    with_precision,
    write_estimate,
)
from socrates_core.finetuning.insight import look_at
from socrates_core.finetuning.leaks import find_leaks
from socrates_core.finetuning.publish import published_folder, published_training
from socrates_core.finetuning.rationales import load_rationales
from socrates_core.finetuning.rows import TrainingRows, choose_rows
from socrates_core.finetuning.rows_record import RowsRecord, describe_rows, write_record
from socrates_core.finetuning.spec import (
    RESERVED,
    TITLES,
    TRAININGS,
    Method,
    TrainingSpec,
    load_spec_file,
)
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import Job, new_id
from socrates_core.models.catalog import lacking_weights
from socrates_core.models.model_folder import open_folder


@dataclass(frozen=True)
class CheckedTraining:
    """A finetune that may start, with a record of its rows and what it is estimated to take."""

    spec: TrainingSpec
    record: RowsRecord
    estimate: TrainingEstimate


def submit_training(spec: TrainingSpec, *, evaluate: bool = False) -> Job:
    """Queues a finetune and starts a worker if none is running; returns an identical one that is still active.

    With `evaluate`, its base and the model that it makes answer the held-out side of its split afterwards. Raises
    UserError if base, split or rows are missing, the name is taken, or held-out material would be trained on.
    """
    spec = with_precision(spec)
    for job in store.list_jobs():
        if job.active and (job.kind, job.key) == ("train", spec.digest()):
            return job
    return queue_training(check_training(spec), evaluate=evaluate)


def register(file: Path, method: Method) -> str:
    """Writes the folder of the finetune in a YAML file, for the foreground; returns its id.

    Raises UserError as `submit_training` does, and if the file is for another method's script.
    """
    spec = load_spec_file(file)
    if spec.method != method:
        raise UserError(
            f"{str(file)!r} is for the method {spec.method!r}. Run: python -m training.{spec.method} {file}"
        )
    return _write_folder(check_training(spec))


def check_training(spec: TrainingSpec) -> CheckedTraining:
    """Chooses the rows of a finetune and checks all that could stop it. Raises UserError with the first fault.

    The checked spec has a precision: "auto" is resolved here, once.
    """
    spec = with_precision(spec)
    check_weights(spec.base)
    check_base(spec)
    check_name(spec.name)
    rows = choose_rows(spec)
    check_rationales(spec, rows)
    leaks = find_leaks(spec, rows)
    if leaks and not spec.accept_leaks.strip():
        raise UserError(
            f"{leaks[0].sentence} Nothing was started. Change the split, or say in 'accept_leaks' why it does not "
            "matter; the model's card will repeat it."
        )
    estimate = estimate_training(spec, look_at(spec, rows))
    return CheckedTraining(spec, describe_rows(spec, rows, leaks), estimate)


def queue_training(checked: CheckedTraining, *, evaluate: bool) -> Job:
    """Queues a checked finetune, with `evaluate` also its evaluations, and starts a worker if none is running."""
    spec = checked.spec
    asks_base = evaluate and not is_evaluated(
        spec.base, spec.split
    )  # may complain, so before anything is queued
    training_id = _write_folder(checked)
    job = store.submit(
        "train",
        f"{spec.name} · {TITLES[spec.method].partition(':')[0]} of {spec.base} on {spec.split}",
        {"training_id": training_id, "name": spec.name},
        key=spec.digest(),
        job_id=training_id,  # the job and its finetune share an id, so a link to one is a link to the other
    )
    if asks_base:
        submit_evaluation(ModelRequest(spec.base), split=spec.split)  # returns one that is queued already
    if evaluate:
        submit_evaluation_after(job, spec.name, spec.split)
    worker_process.ensure_worker()
    return job


def _write_folder(checked: CheckedTraining) -> str:
    training_id = new_id(checked.spec.name)
    path = TRAININGS.root / training_id
    write_estimate(path, checked.estimate)
    write_record(path, checked.record)
    write_text(path / "spec.yaml", checked.spec.as_yaml())  # last: a folder with a spec is a finetune
    return training_id


def check_weights(base: str) -> None:
    """Raises UserError if a hub model's weights, which may be tens of gigabytes, would have to be fetched first."""
    lacking = lacking_weights(base)
    if lacking:
        raise UserError(
            f"The weights of {lacking!r} are not on this machine, and a finetune does not fetch them. Fetch them "
            f"first: python -m socrates_core models fetch {lacking}"
        )


def check_base(spec: TrainingSpec) -> None:
    """Raises UserError if the base model is missing or cannot be trained with this tuning."""
    if open_folder(spec.base, weights=False).adapter is not None and spec.tuning == "full":
        raise UserError(
            f"{spec.base!r} is an adapter, and tuning 'full' would train its base without it. Merge it first, or "
            "choose tuning 'lora'."
        )


def check_rationales(spec: TrainingSpec, rows: TrainingRows) -> None:
    """Raises UserError if a finetune with rationales has none for the rows that it trains on."""
    if spec.method != "reasoning":
        return
    rationales = load_rationales(rows.corpus, spec.rationales)
    if rows.train.merge(rationales, on=["study_id", "sample_id"]).empty:
        raise UserError(
            f"The rationales {spec.rationales!r} have none for the {len(rows.train):,} rows to train on. Choose "
            "others, or let a model write some: python -m socrates_core rationales NAME "
            f"--split {spec.split} --model MODEL"
        )


def check_name(name: str) -> None:
    """Raises UserError if the name is reserved, or a model has it or is about to get it."""
    if name in RESERVED:
        raise UserError(f"{name!r} is reserved for something else. Choose another name for the model.")
    for job in store.list_jobs():
        if job.active and job.kind == "train" and job.args.get("name") == name:
            raise UserError(
                f"The finetune {job.id} is {job.state} and will be called {name!r}. Choose another name."
            )
    for tuning in ("lora", "full"):
        path = published_folder(name, tuning)
        if path.exists():
            training_id = published_training(path)
            origin = f", made by {training_id}" if training_id else ""
            raise UserError(f"There is already a model called {name!r}{origin}. Choose another name.")
