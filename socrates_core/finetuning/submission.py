"""Queues finetunes, or registers one that runs in the foreground."""

from pathlib import Path

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.evaluations.submission import is_evaluated, submit_evaluation, submit_evaluation_after
from socrates_core.files import write_text
from socrates_core.finetuning.estimate import estimate_training, write_estimate
from socrates_core.finetuning.insight import look_at
from socrates_core.finetuning.leaks import find_leaks
from socrates_core.finetuning.publish import published_folder, published_training
from socrates_core.finetuning.rationales import load_rationales
from socrates_core.finetuning.rows import Chosen, choose_rows
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


def submit_training(spec: TrainingSpec, *, evaluate: bool = False) -> Job:
    """Freezes a finetune, queues it and sees to a worker; joins an identical one that is still active.

    With `evaluate`, its base and the model that it makes are asked the held-out side of its split afterwards. Raises
    UserError where base, split or rows are missing, the name is taken, or something held out would be learnt.
    """
    for job in store.list_jobs():
        if job.active and (job.kind, job.key) == ("train", spec.digest()):
            return job
    check_weights(spec.base)
    asks_base = evaluate and not is_evaluated(spec.base, spec.split)  # complains before anything is queued
    training_id = _freeze(spec)
    job = store.submit(
        "train",
        f"{spec.name} · {TITLES[spec.method].partition(':')[0]} of {spec.base} on {spec.split}",
        {"training_id": training_id, "name": spec.name},
        key=spec.digest(),
        job_id=training_id,
    )
    if asks_base:
        submit_evaluation(ModelRequest(spec.base), split=spec.split)  # joins one that is queued
    if evaluate:
        submit_evaluation_after(job, spec.name, spec.split)
    worker_process.ensure_worker()
    return job


def register(file: Path, method: Method) -> str:
    """Freezes the finetune in a YAML file for the foreground; returns its id.

    Raises UserError as `submit_training` does, and where it is for another method's script.
    """
    spec = load_spec_file(file)
    if spec.method != method:
        raise UserError(
            f"{str(file)!r} is for the method {spec.method!r}. Run: python -m training.{spec.method} {file}"
        )
    return _freeze(spec)


def _freeze(spec: TrainingSpec) -> str:
    check_weights(spec.base)
    check_base(spec)
    check_name(spec.name)
    chosen = choose_rows(spec)
    check_rationales(spec, chosen)
    leaks = find_leaks(spec, chosen)
    if leaks and not spec.accept_leaks.strip():
        raise UserError(
            f"{leaks[0].told} Nothing was started. Change the split, or say in 'accept_leaks' why it does not matter; "
            "the model's card will repeat it."
        )
    training_id = new_id(spec.name)
    estimate = estimate_training(spec, look_at(spec, chosen))
    write_estimate(TRAININGS.root / training_id, estimate)
    write_text(TRAININGS.root / training_id / "spec.yaml", spec.as_yaml())
    return training_id


def check_weights(base: str) -> None:
    """Raises UserError where a hub model's weights, which may be tens of gigabytes, would have to be fetched first."""
    lacking = lacking_weights(base)
    if lacking:
        raise UserError(
            f"The weights of {lacking!r} are not on this machine, and a finetune does not fetch them. Fetch them "
            f"first: python -m socrates_core models fetch {lacking}"
        )


def check_base(spec: TrainingSpec) -> None:
    """Raises UserError where the base model is not there, or cannot be trained in the way that is asked for."""
    if open_folder(spec.base, weights=False).adapter is not None and spec.tuning == "full":
        raise UserError(
            f"{spec.base!r} is an adapter, whose base would be trained without it. Merge it first, or choose tuning "
            "'lora'."
        )


def check_rationales(spec: TrainingSpec, chosen: Chosen) -> None:
    """Raises UserError where a finetune with rationales has none for the rows that it would learn from."""
    if spec.method != "reasoning":
        return
    told = load_rationales(chosen.corpus, spec.rationales)
    if chosen.train.merge(told, on=["study_id", "sample_id"]).empty:
        raise UserError(
            f"The rationales {spec.rationales!r} have none for the {len(chosen.train):,} rows that would be learnt "
            "from. Choose others, or let a model write some: python -m socrates_core rationales NAME "
            f"--split {spec.split} --model MODEL"
        )


def check_name(name: str) -> None:
    """Raises UserError where a model has that name already, is about to get it, or something else is called so."""
    if name in RESERVED:
        raise UserError(f"{name!r} is what something else is called here. Choose another name for the model.")
    for job in store.list_jobs():
        if job.active and job.kind == "train" and job.args.get("name") == name:
            raise UserError(
                f"The finetune {job.id} is {job.state} and will be called {name!r}. Choose another name."
            )
    for tuning in ("lora", "full"):
        path = published_folder(name, tuning)
        if path.exists():
            made = published_training(path)
            raise UserError(
                f"There is a model called {name!r} already{f', made by {made}' if made else ''}. Choose another name."
            )
